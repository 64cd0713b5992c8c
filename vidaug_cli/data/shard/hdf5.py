"""The shard format in terms of HDF5: how its datasets are made, and what a file must be before anything is read.

Every dataset has one row per clip, one chunk per row, and no compression; so the bytes a file declares are the bytes it
must hold, and a reader can tell a lie before it allocates anything. Only here: h5py.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.shard.header import ShardHeader
from vidaug_cli.data.shard.heap import REFERENCE
from vidaug_cli.errors import ShardError

MAX_TEXT = 2**20  # bytes of one attribute, or of one clip's params
FLETCHER32_BYTES = 4

Column = tuple[np.dtype[Any], tuple[int, ...]]  # type, and shape of one row


def columns(header: ShardHeader, params_bytes: int) -> dict[str, Column]:
    """The datasets of a shard. `params` are padded to the longest: only values of fixed length can have checksums."""
    frames, size = header.frames, header.size
    pixels: dict[str, dict[str, Column]] = {
        "raw": {"clips": (np.dtype("u1"), (frames, size, size, 3))},
        "jpeg": {"clips": (h5py.vlen_dtype(np.uint8), (frames,)), "crc32": (np.dtype("<u4"), (frames,))},
    }
    return pixels[header.codec] | {
        "labels": (np.dtype("<f4"), (len(header.classes),)),
        "weights": (np.dtype("<f4"), (frames,)),
        "sources": (np.dtype("<i8"), (2,)),
        "frames": (np.dtype("<i4"), (2, frames)),
        "params": (h5py.string_dtype("utf-8", params_bytes), ()),
        "copy": (np.dtype("<i4"), ()),
        "clip": (np.dtype("<i8"), ()),
    }


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
    return h5py.File(h5py.h5f.create(b"shard", h5py.h5f.ACC_TRUNC, creation, access))


def add_dataset(file: Any, name: str, column: Column, count: int) -> Any:
    """A dataset of `count` rows that can grow."""
    dtype, row = column
    checksum = h5py.check_vlen_dtype(dtype) is None  # HDF5 refuses filters on values of free length
    shape, most, chunk = (count, *row), (None, *row), (1, *row)
    return file.create_dataset(name, shape, dtype, maxshape=most, chunks=chunk, fletcher32=checksum)


def as_row(pictures: Sequence[bytes]) -> NDArray[np.object_]:
    """Values of free length as one row, object (T,); numpy by itself would make a table of equally long ones."""
    row = np.empty(len(pictures), object)
    row[:] = [np.frombuffer(picture, np.uint8) for picture in pictures]
    return row


def append_row(dataset: Any, row: NDArray[Any]) -> None:
    """One more row. Past h5py's own assignment, which does make that table."""
    count = dataset.shape[0]
    dataset.resize(count + 1, axis=0)
    where = dataset.id.get_space()
    where.select_hyperslab((count, *(0 for _ in row.shape)), (1, *row.shape))
    kind = h5py.h5t.py_create(dataset.dtype)
    dataset.id.write(h5py.h5s.create_simple((1, *row.shape)), where, np.ascontiguousarray(row), kind)


def add_attributes(file: Any, header: ShardHeader) -> None:
    """The header; texts of fixed length, so that they lie in the file's checksummed metadata."""
    for name, value in header.as_attributes().items():
        if isinstance(value, str):
            text = value.encode()
            file.attrs.create(name, text, dtype=h5py.string_dtype("utf-8", max(1, len(text))))
        else:
            file.attrs.create(name, value, dtype="<i8")


def open_file(path: Path) -> tuple[Any, ShardHeader, dict[str, Any]]:
    """An HDF5 file that is a shard, its header and its datasets, none of them read. Raises ShardError on any other."""
    # A finished shard never changes, and locks fail on many network file systems.
    file = h5py.File(path, "r", locking=False)
    try:
        header = ShardHeader.from_attributes(_attributes(file))
        return file, header, _datasets(file, header)
    except BaseException:
        file.close()
        raise


def references(clips: Any, i: int) -> NDArray[Any]:
    """Where clip i's JPEGs lie, `heap.REFERENCE` (T,), taken from the chunk itself."""
    _, chunk = clips.id.read_direct_chunk((i, 0))
    return np.frombuffer(chunk, REFERENCE)


def _attributes(file: Any) -> dict[str, str | int]:
    """All attributes: texts of fixed length and 64-bit integers, and nothing else."""
    found: dict[str, str | int] = {}
    for name in file.attrs:
        attribute = h5py.h5a.open(file.id, name.encode())
        kind = attribute.get_type()
        text = isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
        if attribute.shape != () or attribute.get_storage_size() > MAX_TEXT or not (text or kind == h5py.h5t.STD_I64LE):
            raise ShardError(f"attribute {name[:40]!r} is neither a text of fixed length nor a 64-bit integer")
        value = file.attrs[name]
        found[name] = bytes(value).decode() if text else int(value)
    return found


def _datasets(file: Any, header: ShardHeader) -> dict[str, Any]:
    """Our datasets, if they are all there, and nothing else is, and each is what `add_dataset` makes."""
    wanted = columns(header, 1)
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
    count = found["clip"].shape[0]
    for name, dataset in found.items():
        dtype, row = wanted[name]
        if name == "params" and isinstance(dataset.id.get_type(), h5py.h5t.TypeStringID):
            dtype = h5py.string_dtype("utf-8", min(dataset.id.get_type().get_size(), MAX_TEXT))
        _check_dataset(dataset, name, dtype, (count, *row), file.id.get_filesize())
    return found


def _check_dataset(dataset: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], file_bytes: int) -> None:
    if dataset.id.get_type() != h5py.h5t.py_create(dtype, logical=True) or dataset.shape != shape:
        raise ShardError(f"{name!r} is {dataset.dtype} {dataset.shape}, should be {dtype} {shape}")
    made = dataset.id.get_create_plist()
    chunked = made.get_layout() == h5py.h5d.CHUNKED and made.get_chunk() == (1, *shape[1:])
    if not chunked or made.get_external_count():
        raise ShardError(f"{name!r} is not stored in this file with one chunk per clip")
    filters = [made.get_filter(number)[0] for number in range(made.get_nfilters())]
    vlen = h5py.check_vlen_dtype(dtype) is not None
    if filters != ([] if vlen else [h5py.h5z.FILTER_FLETCHER32]):
        raise ShardError(f"{name!r} should have a checksum and no other filter")
    value_bytes = REFERENCE.itemsize if vlen else dtype.itemsize
    row_bytes = int(np.prod(shape[1:], dtype=object)) * value_bytes + FLETCHER32_BYTES * (not vlen)
    # First what costs nothing to ask; what is stored is counted by walking through the chunks.
    if shape[0] * row_bytes > file_bytes or shape[0] * row_bytes != dataset.id.get_storage_size():
        raise ShardError(f"{name!r} declares {shape[0]} clips of {row_bytes} bytes, which are not in the file")
