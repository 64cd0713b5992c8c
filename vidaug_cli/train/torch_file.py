"""Files of torch.save, opened so that a hostile one can neither run code nor fill the memory.

`torch.load(weights_only=True)` runs no foreign code and keeps tensors within their records. A pickle may still ask it
for a terabyte of zeros, or for a dict's key that takes for ever to hash. So the zip and the instructions of its pickle
are checked first, and torch reads a copy of what was checked.
"""

from __future__ import annotations

import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.checkpoint import MARK, reading

MAX_ENTRIES = 50_000  # R101 with AdamW and a moving average has 4,469
MAX_PICKLE = 8_000_000  # bytes; that R101 has 505,515

_RECORD = re.compile(r"data\.pkl|byteorder|version|data/[0-9]+")


class _Global(str):
    """What stands for a function or a type."""


_DICT = object()  # stands for a dict
_PLAIN = "PROTO STOP NONE NEWTRUE NEWFALSE EMPTY_LIST APPEND APPENDS BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE"
_CALLS = {  # the functions that torch.save has called, and how many arguments it gives them
    "collections OrderedDict": 0,
    "torch._utils _rebuild_tensor_v2": 6,
    "torch._utils _rebuild_parameter": 3,
}
_KINDS = "Byte Char Bool Half BFloat16 Short Float Int Double Long"
_STORAGES = [f"torch {kind}Storage" for kind in _KINDS.split()]


def is_torch_file(path: Path) -> bool:
    """Return whether a file begins like one of torch.save by another program."""
    with path.open("rb") as file:
        start = file.read(4096)
    return start[:2] in (b"PK", b"\x80\x02") and MARK.encode() not in start


def read_torch_file(path: Path, hint: str) -> Any:
    """Return what torch.save wrote, on the CPU: dicts, lists, tuples, tensors, strings, numbers, None.

    Raises VidaugError on anything else, as `reading`.
    """
    with reading(path, hint), warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")
        return torch.load(_checked_copy(file), map_location="cpu", weights_only=True)


def _checked_copy(file: BinaryIO) -> io.BytesIO:
    """Return the records as a new zip: two readers of a crafted one may not see the same."""
    if (start := file.read(4)) == b"\x80\x02\x8a\n":
        raise VidaugError("is in torch's old format: load it with torch and save it again")
    if not start.startswith(b"PK"):
        raise VidaugError("is a pickle of Caffe2 or another program, which cannot be read without running its code")
    copy = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w") as made:
        entries = archive.infolist()
        _check_sizes(entries, file.seek(0, io.SEEK_END))
        records = {name: entry for entry in entries if _RECORD.fullmatch(name := entry.filename.partition("/")[2])}
        if "data.pkl" not in records or records["data.pkl"].file_size > MAX_PICKLE:
            raise VidaugError("is a zip, but not one of torch.save")
        _check_pickle(archive.read(records["data.pkl"]))
        for name, entry in records.items():
            made.writestr(f"checked/{name}", archive.read(entry))  # which compares the CRC
    copy.seek(0)
    return copy


def _check_sizes(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Refuse what torch.save does not write, so that nothing unfolds to more than the `size` bytes of the file."""
    if len(entries) > MAX_ENTRIES or len({entry.filename for entry in entries}) < len(entries):
        raise VidaugError("is a zip, but not one of torch.save")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise VidaugError("is compressed, which torch.save never does")
    if sum(entry.file_size for entry in entries) > size:
        raise VidaugError("declares more bytes than it has")


def _check_pickle(pickled: bytes) -> None:
    """Go through a pickle without making anything.

    Raises VidaugError or LookupError where it calls more than torch.save has called, or has other keys than text and
    numbers: of nested tuples, a few bytes could take for ever to hash.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    for opcode, argument, _ in pickletools.genops(pickled):
        name, before = opcode.name, opcode.stack_before
        if name == "MARK":
            marks.append(len(stack))
        elif name.endswith("PUT"):
            memo[argument] = stack[-1]
        elif name.endswith("GET"):
            stack.append(memo[argument])
        else:
            marked = pickletools.markobject in before
            start = marks.pop() - before.index(pickletools.markobject) if marked else len(stack) - len(before)
            stack[start:] = [_made(name, argument, stack[start:])] * len(opcode.stack_after)


def _made(name: str, argument: Any, taken: Sequence[Any]) -> Any:
    """Return what stands for the result of one instruction that takes these values off the stack.

    Text, numbers, tuples and names of functions are themselves. Raises VidaugError on what torch.save does not write.
    """
    match name, taken:
        case "GLOBAL", _:
            return _Global(argument)
        case "EMPTY_DICT", _:
            return _DICT
        case "EMPTY_TUPLE" | "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3", _:
            return tuple(taken)
        case "SETITEM" | "SETITEMS", [changed, *items]:
            if not all(key is None or isinstance(key, str | int) for key in items[::2]):
                raise VidaugError("holds a key that is neither text nor a number")
            return changed
        case "BUILD", [state_dict, state] if state_dict is _DICT and state is _DICT:  # its _metadata
            return _DICT
        case "BINPERSID", [("storage", _Global() as kind, str(), str(), int())] if kind in _STORAGES:
            return None
        case "REDUCE", [_Global() as function, tuple() as arguments] if _CALLS.get(function) == len(arguments):
            return None if arguments else _DICT
        case "REDUCE", [_Global() as function, _] if function not in _CALLS:
            raise VidaugError(f"holds {function.replace(' ', '.')!r:.80}, and only tensors and plain values are read")
        case name, _ if name not in _PLAIN.split():
            raise VidaugError(f"holds more than tensors and plain values (pickle's {name})")
    return argument if isinstance(argument, str | int) else None
