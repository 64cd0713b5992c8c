"""HDF5 files of ours: how they are written, and what one must be before anything of it is read. Only here: h5py.

Every dataset has chunks of one known size and no compression. So the bytes that a file declares are the bytes it must
hold, and a reader can refuse a false size before it allocates anything. Shards and scores are made of this.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Generic, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from vidaug_cli.errors import ShardError, VersionError, VidaugError, system_error
from vidaug_cli.files import atomically

MAX_TEXT = 2**20  # bytes of one text, in an attribute or a row
FLETCHER32_BYTES = 4

Attributes = Mapping[str, str | int]
T = TypeVar("T")


def text(length: int = 1) -> np.dtype[Any]:
    """Return the type of UTF-8 padded to `length` bytes: only values of fixed length can have checksums."""
    padded: np.dtype[Any] = h5py.string_dtype("utf-8", max(1, length))
    return padded


@dataclass(frozen=True)
class Column:
    """What a dataset has to be. Those of a file with the same `per` have the same number of rows."""

    per: str  # what a row is about, for errors: "clip"
    dtype: np.dtype[Any]  # `text()` stands for texts of any length
    row: tuple[int, ...] = ()  # shape of one row
    chunk: int = 1  # rows in a chunk
    checksum: bool = True  # whether chunks have HDF5's Fletcher-32


Columns = Mapping[str, Column]


@dataclass(frozen=True)
class Format(Generic[T]):
    """One of the formats that our files have."""

    name: str  # attribute `format`
    version: int  # attribute `version`
    called: str  # for errors: "shard"
    error: type[ShardError]  # what is raised where a file is none, or damaged
    header: Callable[[Attributes], T]  # makes the other attributes a header; ShardError where they are none
    columns: Callable[[T], Columns]  # the datasets of a file with this header; of each `per`, the last says how many


class Sink(io.FileIO):
    """The file HDF5 writes to, which never fails: after an error on closing, the library crashes at the next file.

    The first error, such as of a full disk, is kept in `error` instead; the writer asks for it.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`, or keep the error."""
        rest = memoryview(data)
        try:
            while rest and not self.error:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen the file, or keep the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = error
            return size or 0


@contextmanager
def creating(path: Path, check: Callable[[Path], object]) -> Iterator[tuple[Any, Sink]]:
    """Yield a new HDF5 file to fill, and its sink; `check` then sees it before it takes the name of `path`.

    Raises VidaugError when the folder or the disk does not take it.
    """
    with atomically(path) as temporary:
        with Sink(temporary, "x+") as sink:
            with _new_file(sink) as file:
                yield file, sink
            if sink.error:
                raise sink.error
        check(temporary)


def _new_file(sink: Sink) -> Any:
    """Return a new, empty HDF5 file that is written to `sink`.

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


def add_dataset(file: Any, name: str, column: Column, rows: Sequence[Any] | NDArray[Any] = ()) -> Any:
    """Add a dataset of these rows and return it; it can grow. Texts are padded to the longest of them."""
    dtype = column.dtype
    if _is_text(dtype):
        rows = [row.encode() for row in rows]
        dtype = text(max(map(len, rows), default=1))
    values = np.asarray(rows, dtype).reshape(-1, *column.row)
    options = {"maxshape": (None, *column.row), "chunks": (column.chunk, *column.row), "fletcher32": column.checksum}
    return file.create_dataset(name, dtype=dtype, data=values, **options)


def append_rows(dataset: Any, rows: NDArray[Any]) -> None:
    """Write more rows behind those that are there, of a dataset without a checksum."""
    count = len(dataset)
    dataset.resize(count + len(rows), axis=0)
    if rows.shape == dataset.chunks and count % len(rows) == 0:
        # One whole chunk goes to the file as it lies in memory: the same bytes in about half the time.
        dataset.id.write_direct_chunk((count, *[0] * (rows.ndim - 1)), rows)
    else:
        dataset[count:] = rows


def fill(file: Any, kind: Format[Any], attributes: Attributes, columns: Columns, rows: Mapping[str, Any]) -> None:
    """Add datasets of these rows, and the attributes: numbers, and texts of fixed length.

    Texts up to 64 KB lie in the file's checksummed metadata.
    """
    for name, column in columns.items():
        # Else its chunks get their place when Python lets go of it, which another thread's look at open files delays.
        add_dataset(file, name, column, rows[name]).flush()
    for name, value in {"format": kind.name, "version": kind.version, **attributes}.items():
        data, dtype = (value.encode(), text(len(value.encode()))) if isinstance(value, str) else (value, "<i8")
        file.attrs.create(name, data, dtype=dtype)


def open_checked(path: Path, kind: Format[T]) -> tuple[Any, T, dict[str, Any]]:
    """Return a file of this format, its header, and its datasets by name, none of them read.

    Raises ShardError where it is of another format or version, where datasets are missing or foreign, and where one is
    not as `kind.columns` says.
    """
    # A finished file never changes, and locks fail on many network file systems.
    file = h5py.File(path, "r", locking=False)
    try:
        attributes = {name: _attribute(file, name) for name in file.attrs}
        if attributes.pop("format", None) != kind.name:
            raise kind.error(f"is HDF5, but not a {kind.called} of vidaug")
        if (version := attributes.pop("version", None)) != kind.version:
            raise VersionError(f"is version {version}, and this vidaug reads {kind.version}", hint="update vidaug-cli")
        header = kind.header(attributes)
        return file, header, _datasets(file, kind.columns(header))
    except BaseException:
        file.close()
        raise


class PlainDataset:
    """A dataset of bytes in a checked file, read without HDF5: it knows where in the file each chunk begins.

    HDF5 takes a megabyte of memory for each open file, and milliseconds to open or close one among many. The file is
    opened when it is read, as often as it was closed. Raises ShardError where chunks are missing.
    """

    _file: io.BufferedReader | None = None

    def __init__(self, path: Path, dataset: Any) -> None:
        self.path, self.shape, self._chunk = path, dataset.shape, dataset.chunks[0]
        found: list[tuple[int, int]] = []
        dataset.id.chunk_iter(lambda chunk: found.append((chunk.chunk_offset[0] // self._chunk, chunk.byte_offset)))
        found.sort()
        if [number for number, _ in found] != list(range(-(-len(self) // self._chunk))):
            raise ShardError("has chunks that are missing or there twice")
        self._places = [place for _, place in found]

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, where: int | slice) -> NDArray[np.uint8]:
        """Return a row, or some rows that follow each other."""
        if not isinstance(where, slice):
            return self[where : where + 1].reshape(self.shape[1:])
        self._file = self._file or self.path.open("rb")
        start, stop, _ = where.indices(len(self))
        rows = np.empty((max(0, stop - start), *self.shape[1:]), np.uint8)
        for first in range(start - start % self._chunk, stop, self._chunk):
            begin, end = max(start, first), min(stop, first + self._chunk)
            part = rows[begin - start : end - start]
            self._file.seek(self._places[first // self._chunk] + (begin - first) * prod(self.shape[1:]))
            if self._file.readinto(part.data) != part.nbytes:
                raise ShardError("ends within its pixels")
        return rows

    def close(self) -> None:
        """Close the file, until something is read again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    __del__ = close


def versions() -> dict[str, str]:
    """Return the versions of h5py and of the HDF5 library."""
    return {"h5py": h5py.__version__, "HDF5": h5py.version.hdf5_version}


def format_of(path: Path) -> str | None:
    """Return the attribute `format` of an HDF5 file, which ours have; empty where there is none, None if unreadable."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return str(_attribute(file, "format")) if "format" in file.attrs else ""
    except ShardError:
        return ""
    except _HDF5_ERRORS:
        return None


# What h5py makes of errors of the HDF5 library; on a hostile file any of its functions may raise any of them.
_SAID = {  # some words of the HDF5 library, in ours
    "truncated file": "it is cut short",
    "file signature not found": "it is no HDF5 file",
    "checksum": "a checksum is wrong",
    "filter returned failure": "a checksum is wrong",
}
_HDF5_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, MemoryError)


@contextmanager
def reading(where: object, kind: Format[Any], hint: Callable[[], str]) -> Iterator[None]:
    """Turn whatever is wrong with a file of this format into a ShardError with its place, and with what `hint` says."""
    try:
        yield
    except VidaugError as error:
        fault = error.what.splitlines()[0]  # of a header with several faults the first
        known = type(error) if isinstance(error, ShardError) and type(error) is not ShardError else kind.error
        raise known(fault, where=error.where or where, hint=error.hint or hint()) from error
    except FileNotFoundError as error:
        raise kind.error("does not exist", where=where) from error
    except MemoryError as error:
        raise kind.error("needs more memory than there is", where=where, hint="close other programs") from error
    except _HDF5_ERRORS as error:
        if isinstance(error, OSError):
            error.filename = error.filename or str(where)
            if said := system_error(error):  # of a disk, not of the file: nothing of it has to be made again
                raise kind.error(f"cannot be read: {said.what}", where=where, hint=said.hint) from error
        reason = next((said for words, said in _SAID.items() if words in str(error)), "its structure is broken")
        raise kind.error(f"is damaged or not a {kind.called} ({reason})", where=where, hint=hint()) from error


def _is_text(dtype: np.dtype[Any]) -> bool:
    return h5py.check_string_dtype(dtype) is not None


def _attribute(file: Any, name: str) -> str | int:
    """Return an attribute that is a text of fixed length or a 64-bit integer. Raises ShardError on any other."""
    attribute = h5py.h5a.open(file.id, name.encode())
    kind = attribute.get_type()
    is_text = isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
    known = is_text or kind == h5py.h5t.STD_I64LE
    if attribute.shape != () or attribute.get_storage_size() > MAX_TEXT or not known:
        raise ShardError(f"attribute {name[:40]!r} is neither a text of fixed length nor a 64-bit integer")
    return bytes(file.attrs[name]).decode() if is_text else int(file.attrs[name])


def _datasets(file: Any, columns: Columns) -> dict[str, Any]:
    """Return the datasets if they are all there, nothing else is, and each is what `add_dataset` makes."""
    if odd := sorted(set(file) ^ columns.keys()):
        raise ShardError(f"should hold the datasets {', '.join(columns)}; these are missing or foreign: {odd}"[:400])
    for name in columns:
        # Looked at before it is followed: a soft or external link may lead into another file.
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ShardError(f"{name!r} is a link to somewhere else")
    datasets = {name: file[name] for name in columns}
    if not all(isinstance(dataset, h5py.Dataset) and dataset.shape for dataset in datasets.values()):
        raise ShardError("holds something that is not a dataset")
    counts = {column.per: len(datasets[name]) for name, column in columns.items()}
    for name, column in columns.items():
        _check_dataset(datasets[name], name, column, counts[column.per], file.id.get_filesize())
    return datasets


def _check_dataset(dataset: Any, name: str, column: Column, count: int, file_bytes: int) -> None:
    dtype, shape, kind = column.dtype, (count, *column.row), dataset.id.get_type()
    if _is_text(dtype) and isinstance(kind, h5py.h5t.TypeStringID):  # of any length
        dtype = text(min(kind.get_size(), MAX_TEXT))
    if kind != h5py.h5t.py_create(dtype, logical=True) or dataset.shape != shape:
        raise ShardError(f"{name!r} is {dataset.dtype} {dataset.shape}, should be {dtype} {shape}")
    made = dataset.id.get_create_plist()
    if made.get_layout() != h5py.h5d.CHUNKED or made.get_chunk() != (column.chunk, *column.row):
        each = f"one chunk per {column.per}" if column.chunk == 1 else f"chunks of {column.chunk} {column.per}s"
        raise ShardError(f"{name!r} is not stored in this file with {each}")
    filters = [made.get_filter(number)[0] for number in range(made.get_nfilters())]
    if filters != [h5py.h5z.FILTER_FLETCHER32] * column.checksum:
        raise ShardError(f"{name!r} should have {'a checksum and no other' if column.checksum else 'no'} filter")
    chunk_bytes = column.chunk * prod(column.row) * dtype.itemsize + FLETCHER32_BYTES * column.checksum
    stored = -(-count // column.chunk) * chunk_bytes
    # First what costs nothing to ask; what is stored is counted by walking through the chunks.
    if stored > file_bytes or stored != dataset.id.get_storage_size():
        raise ShardError(f"{name!r} declares {count} {column.per}s, which are not in the file")
