"""Files of torch.save, opened so that a hostile one can neither run code nor fill the memory.

`torch.load(weights_only=True)` runs no foreign code and keeps tensors within their records. A pickle may still ask it
for a terabyte of zeros, or for a dict's key that takes for ever to hash. So the sizes and the instructions of pickles
are checked first, and torch reads a copy of what was checked. Since torch 1.6 such a file is a zip; before, it was four
pickles, one that lists the storages, and their bytes.
"""

from __future__ import annotations

import io
import os
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch

from vidaug_cli.errors import WeightsError
from vidaug_cli.train.checkpoint import MARK, reading
from vidaug_cli.train.pickles import Global, plain, walk

MAX_ENTRIES = 50_000  # R101 with AdamW and a moving average has 4,469
OLD = b"\x80\x02\x8a\x0a"  # how files of torch before 1.6 begin: a number of ten bytes

_RECORD = re.compile(r"data\.pkl|byteorder|version|data/[0-9]+")
_CALLS = {  # the functions that torch.save has called, and how many arguments it gives them
    "collections OrderedDict": 0,
    "torch._utils _rebuild_tensor_v2": 6,
    "torch._utils _rebuild_parameter": 3,
}
_SIZES = {1: "Byte Char Bool", 2: "Half BFloat16 Short", 4: "Float Int", 8: "Double Long"}
_STORAGES = {f"torch {kind}Storage": size for size, kinds in _SIZES.items() for kind in kinds.split()}  # bytes each


def is_torch_file(path: Path) -> bool:
    """Return whether a file begins like one of torch.save by another program."""
    with path.open("rb") as file:
        start = file.read(4096)
    return start.startswith((b"PK", OLD)) and MARK.encode() not in start


def read_torch_file(path: Path, hint: str) -> Any:
    """Return what torch.save wrote, on the CPU: dicts, lists, tuples, tensors, strings, numbers, None.

    Raises VidaugError on anything else, as `reading`.
    """
    with reading(path, hint), warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")
        checked = _checked_zip if file.read(2) == b"PK" else _checked_old_file
        return torch.load(checked(file), map_location="cpu", weights_only=True)


def _checked_zip(file: BinaryIO) -> io.BytesIO:
    """Return the records as a new zip: two readers of a crafted one may not see the same."""
    copy = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w") as made:
        entries = archive.infolist()
        _check_sizes(entries, file.seek(0, os.SEEK_END))
        records = {name: entry for entry in entries if _RECORD.fullmatch(name := entry.filename.partition("/")[2])}
        if "data.pkl" not in records:
            raise WeightsError("is a zip, but not one of torch.save")
        walk(archive.read(records["data.pkl"]), _made)
        for name, entry in records.items():
            made.writestr(f"checked/{name}", archive.read(entry))  # which compares the CRC
    copy.seek(0)
    return copy


def _check_sizes(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Refuse what torch.save does not write, so that nothing unfolds to more than the `size` bytes of the file."""
    if len(entries) > MAX_ENTRIES or len({entry.filename for entry in entries}) < len(entries):
        raise WeightsError("is a zip, but not one of torch.save")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise WeightsError("is compressed, which torch.save never does")
    if sum(entry.file_size for entry in entries) > size:
        raise WeightsError("declares more bytes than it has")


def _checked_old_file(file: BinaryIO) -> io.BytesIO:
    """Return a file of torch before 1.6 as it is, whose storages are in it, each once and as long as it is said to be.

    torch makes a storage as soon as a pickle names it, and fills it later.
    """
    file.seek(0)
    copy = io.BytesIO(file.read())
    storages: dict[str, tuple[str, int]] = {}  # type and elements by key

    def made(name: str, argument: Any, taken: Sequence[Any]) -> Any:
        match name, taken:
            case "BINPERSID", [("storage", Global() as kind, str() as key, str(), int() as elements, None)]:
                if kind not in _STORAGES or storages.setdefault(key, (kind, elements)) != (kind, elements):
                    raise WeightsError("holds a storage of two sizes, or of a type that is not read")
                return None
        return _made(name, argument, taken)

    for _ in range(3):  # the format's number, its version and the machine, which torch looks at
        walk(copy, plain)
    walk(copy, made)
    keys = walk(copy, plain)
    if sorted(keys) != sorted(storages):
        raise WeightsError("does not hold each storage of its tensors once")
    for kind, elements in map(storages.__getitem__, keys):
        if int.from_bytes(copy.read(8), "little") != elements:
            raise WeightsError("holds a storage of another size than its tensors say")
        copy.seek(elements * _STORAGES[kind], os.SEEK_CUR)
    if copy.tell() > copy.getbuffer().nbytes:
        raise WeightsError("is cut short, or declares more bytes than it has")
    copy.seek(0)
    return copy


def _made(name: str, argument: Any, taken: Sequence[Any]) -> Any:
    """Return what stands for the result of one instruction of torch.save's pickle; None for tensors.

    Raises VidaugError on what torch.save does not write.
    """
    match name, taken:
        case "BUILD", [dict() as state_dict, {"_metadata": _, **others}] if not others:
            return state_dict
        case "BINPERSID", [("storage", Global() as kind, str(), str(), int())] if kind in _STORAGES:
            return None
        case "REDUCE", [Global() as function, tuple() as arguments] if _CALLS.get(function) == len(arguments):
            return None if arguments else {}
        case "REDUCE", [Global() as function, _] if function in _CALLS:
            raise WeightsError("holds more than tensors and plain values (pickle's REDUCE)")
    return plain(name, argument, taken)
