"""HDF5 files of ours: how they are made, and what one must be before anything of it is read. Only here: h5py.

Every dataset has one chunk per row and no compression; so the bytes a file declares are the bytes it must hold, and a
reader can tell a lie before it allocates anything. Shards and scores are made of this.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from vidaug_cli.errors import ShardError, VidaugError, system_error

MAX_TEXT = 2**20  # bytes of one text, in an attribute or a row
FLETCHER32_BYTES = 4
FREE_LENGTH = h5py.vlen_dtype(np.uint8)
REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])  # a value of free length, in its chunk

Attributes = dict[str, str | int]
Column = tuple[np.dtype[Any], tuple[int, ...]]  # type, and shape of one row
T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """Datasets with as many rows each; the last one says how many."""

    of: str  # what a row is about, for errors: "clip"
    columns: dict[str, Column]


def text(length: int) -> np.dtype[Any]:
    """UTF-8 padded to `length` bytes: only values of fixed length can have checksums."""
    padded: np.dtype[Any] = h5py.string_dtype("utf-8", max(1, length))
    return padded


class Sink(io.FileIO):
    """The file HDF5 writes to, which never fails: after an error on closing, the library crashes at the next file.

    The first error, such as of a full disk, is kept in `error` instead; the writer asks for it.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        try:
            while rest and not self.error:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = error
            return size or 0


def create_file(sink: Sink) -> Any:
    """A new, empty HDF5 file that is written to `sink`.

    In the layout of HDF5 1.10, lower and upper bound alike: its metadata carry checksums (older layouts have none), it
    is read since 2016, and a newer library writes the same bytes. No times are stored, for the same reason.
    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, sink)
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    return h5py.File(h5py.h5f.create(b"vidaug", h5py.h5f.ACC_TRUNC, creation, access))


def add_dataset(file: Any, name: str, column: Column, count: int) -> Any:
    """A dataset of `count` rows that can grow."""
    dtype, row = column
    checksum = h5py.check_vlen_dtype(dtype) is None  # HDF5 refuses filters on values of free length
    shape, most, chunk = (count, *row), (None, *row), (1, *row)
    return file.create_dataset(name, shape, dtype, maxshape=most, chunks=chunk, fletcher32=checksum)


def append_row(dataset: Any, row: NDArray[Any]) -> None:
    """One more row. Past h5py's own assignment, which makes a table of equally long values of free length."""
    count = dataset.shape[0]
    dataset.resize(count + 1, axis=0)
    where = dataset.id.get_space()
    where.select_hyperslab((count, *(0 for _ in row.shape)), (1, *row.shape))
    kind = h5py.h5t.py_create(dataset.dtype)
    dataset.id.write(h5py.h5s.create_simple((1, *row.shape)), where, np.ascontiguousarray(row), kind)


def add_attributes(file: Any, attributes: Mapping[str, str | int]) -> None:
    """Numbers, and texts of fixed length: up to 64 KB these lie in the file's checksummed metadata."""
    for name, value in attributes.items():
        if isinstance(value, str):
            data = value.encode()
            file.attrs.create(name, data, dtype=text(len(data)))
        else:
            file.attrs.create(name, value, dtype="<i8")


def open_checked(
    path: Path, describe: Callable[[Attributes], tuple[T, Sequence[Table]]]
) -> tuple[Any, T, dict[str, Any]]:
    """A file of ours, what `describe` makes of its attributes, and its datasets by name, none of them read.

    `describe` also says which tables there have to be. Raises ShardError where they are not, where there is anything
    else, and where a dataset is not what `add_dataset` makes.
    """
    # A finished file never changes, and locks fail on many network file systems.
    file = h5py.File(path, "r", locking=False)
    try:
        header, tables = describe(_attributes(file))
        return file, header, _datasets(file, tables)
    except BaseException:
        file.close()
        raise


def format_of(path: Path) -> str | None:
    """The attribute `format` of an HDF5 file, which ours begin with; empty where there is none, None where it cannot
    be read."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return str(_attributes(file, ("format",)).get("format", ""))
    except ShardError:
        return ""
    except _HDF5_ERRORS:
        return None


# What h5py makes of errors of the HDF5 library; on a hostile file any of its functions may raise any of them.
_HDF5_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, MemoryError)


@contextmanager
def reading(where: object, kind: str, hint: Callable[[], str]) -> Iterator[None]:
    """Turn whatever is wrong with a file of this kind into a ShardError that says where; `hint` is only asked then."""
    try:
        yield
    except VidaugError as error:
        raise ShardError(error.what, where=error.where or where, hint=error.hint or hint()) from error
    except FileNotFoundError as error:
        raise ShardError("does not exist", where=where) from error
    except MemoryError as error:
        raise ShardError("needs more memory than there is", where=where) from error
    except _HDF5_ERRORS as error:
        if isinstance(error, OSError):
            error.filename = error.filename or str(where)
            if said := system_error(error):  # of a disk, not of the file: nothing of it has to be made again
                raise ShardError(f"cannot be read: {said.what}", where=where, hint=said.hint) from error
        raise ShardError(f"is damaged or not a {kind} ({_first_line(error)})", where=where, hint=hint()) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk or the folder does not take into a ShardError."""
    try:
        yield
    except OSError as error:
        hint = "is the folder there and writable, and the disk not full?"
        raise ShardError(f"cannot be written ({_first_line(error)})", where=path, hint=hint) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _attributes(file: Any, names: Sequence[str] | None = None) -> Attributes:
    """All attributes, or those of `names`: texts of fixed length and 64-bit integers, and nothing else."""
    found: Attributes = {}
    for name in file.attrs if names is None else filter(file.attrs.__contains__, names):
        attribute = h5py.h5a.open(file.id, name.encode())
        kind = attribute.get_type()
        is_text = isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
        known = is_text or kind == h5py.h5t.STD_I64LE
        if attribute.shape != () or attribute.get_storage_size() > MAX_TEXT or not known:
            raise ShardError(f"attribute {name[:40]!r} is neither a text of fixed length nor a 64-bit integer")
        value = file.attrs[name]
        found[name] = bytes(value).decode() if is_text else int(value)
    return found


def _datasets(file: Any, tables: Sequence[Table]) -> dict[str, Any]:
    """Our datasets, if they are all there, and nothing else is, and each is what `add_dataset` makes."""
    wanted = [name for table in tables for name in table.columns]
    if set(file) != set(wanted):
        odd = sorted(set(file) ^ set(wanted))
        raise ShardError(f"should hold the datasets {', '.join(wanted)}; these are missing or foreign: {odd}"[:400])
    for name in wanted:
        # Looked at before it is followed: a soft or external link may lead into another file.
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ShardError(f"{name!r} is a link to somewhere else")
    found = {name: file[name] for name in wanted}
    if not all(isinstance(dataset, h5py.Dataset) and dataset.shape for dataset in found.values()):
        raise ShardError("holds something that is not a dataset")
    for table in tables:
        count = found[list(table.columns)[-1]].shape[0]
        for name, (dtype, row) in table.columns.items():
            kind = found[name].id.get_type()
            if h5py.check_string_dtype(dtype) and isinstance(kind, h5py.h5t.TypeStringID):  # of any length
                dtype = text(min(kind.get_size(), MAX_TEXT))
            _check_dataset(found[name], name, dtype, (count, *row), table.of, file.id.get_filesize())
    return found


def _check_dataset(
    dataset: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], of: str, file_bytes: int
) -> None:
    if dataset.id.get_type() != h5py.h5t.py_create(dtype, logical=True) or dataset.shape != shape:
        raise ShardError(f"{name!r} is {dataset.dtype} {dataset.shape}, should be {dtype} {shape}")
    made = dataset.id.get_create_plist()
    chunked = made.get_layout() == h5py.h5d.CHUNKED and made.get_chunk() == (1, *shape[1:])
    if not chunked or made.get_external_count():
        raise ShardError(f"{name!r} is not stored in this file with one chunk per {of}")
    filters = [made.get_filter(number)[0] for number in range(made.get_nfilters())]
    vlen = h5py.check_vlen_dtype(dtype) is not None
    if filters != ([] if vlen else [h5py.h5z.FILTER_FLETCHER32]):
        raise ShardError(f"{name!r} should have a checksum and no other filter")
    value_bytes = REFERENCE.itemsize if vlen else dtype.itemsize
    row_bytes = int(np.prod(shape[1:], dtype=object)) * value_bytes + FLETCHER32_BYTES * (not vlen)
    # First what costs nothing to ask; what is stored is counted by walking through the chunks.
    if shape[0] * row_bytes > file_bytes or shape[0] * row_bytes != dataset.id.get_storage_size():
        raise ShardError(f"{name!r} declares {shape[0]} {of}s of {row_bytes} bytes, which are not in the file")
