"""HDF5's global heap, where values of free length lie, read without HDF5.

The heap has no checksums, and the library trusts it: on one damaged byte HDF5 2.0 may loop for ever and 1.14 crash.
The layout is section III.E of the HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.errors import ShardError

_COLLECTION = struct.Struct("<4sB3xQ")  # signature, version, bytes with this head
_OBJECT = struct.Struct("<H6xQ")  # number from 1, or 0 for the free rest; bytes without this head


def read_values(path: Path, references: NDArray[Any]) -> list[bytes]:
    """The values that `references`, `hdf5.REFERENCE` (T,), point at. Raises ShardError when they are not there.

    No more is read than the file is long, whatever the references say.
    """
    left = path.stat().st_size
    damaged = ShardError("has a damaged heap of JPEGs")
    if references["length"].sum(dtype=np.uint64) > left:
        raise damaged
    collections: dict[int, dict[int, memoryview]] = {}
    with path.open("rb") as file:
        for address in set(references["address"].tolist()):
            file.seek(address)
            head = file.read(_COLLECTION.size)
            if len(head) < _COLLECTION.size:
                raise damaged
            signature, version, size = _COLLECTION.unpack(head)
            left -= size
            if (signature, version) != (b"GCOL", 1) or size < _COLLECTION.size or left < 0:
                raise damaged
            collections[address] = _objects(memoryview(file.read(size - _COLLECTION.size)))
    values = [bytes(collections[address].get(index, b"")) for _, address, index in references.tolist()]
    if [len(value) for value in values] != references["length"].tolist():
        raise damaged
    return values


def _objects(data: memoryview) -> dict[int, memoryview]:
    """The objects of a collection by their numbers."""
    found: dict[int, memoryview] = {}
    start = 0
    while start + _OBJECT.size <= len(data):
        number, size = _OBJECT.unpack_from(data, start)
        if number == 0 or number in found:
            break
        start += _OBJECT.size
        found[number] = data[start : start + size]
        start += (size + 7) // 8 * 8
    return found
