"""The shard format in terms of HDF5: one table with a row per clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.hdf5 import FREE_LENGTH, REFERENCE, Attributes, Column, Table, open_checked, text
from vidaug_cli.data.shard.header import ShardHeader


def columns(header: ShardHeader, params_bytes: int) -> dict[str, Column]:
    """The datasets of a shard. `params` are padded to the longest."""
    frames, size = header.frames, header.size
    pixels: dict[str, dict[str, Column]] = {
        "raw": {"clips": (np.dtype("u1"), (frames, size, size, 3))},
        "jpeg": {"clips": (FREE_LENGTH, (frames,)), "crc32": (np.dtype("<u4"), (frames,))},
    }
    return pixels[header.codec] | {
        "labels": (np.dtype("<f4"), (len(header.classes),)),
        "weights": (np.dtype("<f4"), (frames,)),
        "sources": (np.dtype("<i8"), (2,)),
        "frames": (np.dtype("<i4"), (2, frames)),
        "params": (text(params_bytes), ()),
        "copy": (np.dtype("<i4"), ()),
        "clip": (np.dtype("<i8"), ()),
    }


def as_row(pictures: Sequence[bytes]) -> NDArray[np.object_]:
    """Values of free length as one row, object (T,); numpy by itself would make a table of equally long ones."""
    row = np.empty(len(pictures), object)
    row[:] = [np.frombuffer(picture, np.uint8) for picture in pictures]
    return row


def open_file(path: Path) -> tuple[Any, ShardHeader, dict[str, Any]]:
    """An HDF5 file that is a shard, its header and its datasets, none of them read. Raises ShardError on any other."""
    return open_checked(path, _describe)


def _describe(attributes: Attributes) -> tuple[ShardHeader, list[Table]]:
    header = ShardHeader.from_attributes(attributes)
    return header, [Table("clip", columns(header, 1))]


def references(clips: Any, i: int) -> NDArray[Any]:
    """Where clip i's JPEGs lie, `REFERENCE` (T,), taken from the chunk itself."""
    _, chunk = clips.id.read_direct_chunk((i, 0))
    return np.frombuffer(chunk, REFERENCE)
