"""Files of torch.save, opened so that a hostile one can neither run code nor fill the memory.

`torch.load(weights_only=True)` runs no foreign code, but it takes declared sizes at their word. So the zip is checked
first, its pickle is gone through without making anything, and torch reads a copy of what was checked.
"""

from __future__ import annotations

import io
import math
import pickletools
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vidaug_cli.errors import VidaugError

MAX_ENTRIES = 50_000  # R101 with Adam has 5,000
MAX_PICKLE = 8_000_000  # bytes; R101 with Adam has 600,000
MAX_VALUES, MAX_DEPTH = 1_000_000, 32  # of what comes out: a small pickle can hold one list a billion times over

_STORAGES = {  # bytes of an element
    f"torch {kind}Storage": size
    for size, kinds in {1: "Byte Char Bool", 2: "Half BFloat16 Short", 4: "Float Int", 8: "Double Long"}.items()
    for kind in kinds.split()
}


class RefusedError(Exception):
    """Why a file is not opened."""


def read_archive(path: Path, hint: str) -> Any:
    """What torch.save wrote, on the CPU: dicts, lists, tuples, tensors without grad, strings, numbers, None.

    Raises VidaugError, with `hint`, on anything else.
    """
    try:
        if path.exists() and not path.is_file():  # to open a pipe would be to wait for ever
            raise RefusedError("is not a file")
        with path.open("rb") as file:
            checked = _checked_copy(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(checked, map_location="cpu", weights_only=True)
        return _plain(loaded, iter(range(MAX_VALUES)))
    except FileNotFoundError as error:
        raise VidaugError("does not exist", where=path, hint=hint) from error
    except OSError as error:
        raise VidaugError(f"cannot be read: {error.strerror or error}", where=path, hint=hint) from error
    except RefusedError as error:
        raise VidaugError(str(error), where=path, hint=hint) from error
    except Exception as error:  # neither zipfile nor torch says what it raises on bytes it does not expect
        raise VidaugError(f"is damaged ({type(error).__name__})", where=path, hint=hint) from error


def _checked_copy(file: Any) -> io.BytesIO:
    """The records that torch needs as a new zip: two readers of a crafted one need not see the same."""
    start = file.read(4)
    if start != b"PK\x03\x04":
        raise RefusedError(
            "is in torch's old format: load it with torch and save it again"
            if start[:2] == b"\x80\x02"
            else "is not a file of torch.save"
        )
    copy = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w") as made:
        entries = archive.infolist()
        records = {entry.filename.partition("/")[2]: entry for entry in entries}
        if len(entries) > MAX_ENTRIES or len(records) < len(entries) or len({e.filename[0] for e in entries}) != 1:
            raise RefusedError("is a zip, but not one of torch.save")
        if any(
            entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries
        ):
            raise RefusedError("is compressed, which torch.save never does")
        if sum(entry.file_size for entry in entries) > file.seek(0, io.SEEK_END):
            raise RefusedError("declares more bytes than it has")
        if "data.pkl" not in records or records["data.pkl"].file_size > MAX_PICKLE:
            raise RefusedError("is a zip, but not one of torch.save")
        _rehearse(archive.read(records["data.pkl"]), {name: entry.file_size for name, entry in records.items()})
        for name, entry in records.items():
            if name in ("data.pkl", "byteorder", "version") or name.startswith("data/"):
                made.writestr(f"checked/{name}", archive.read(entry))  # which compares the CRC
    copy.seek(0)
    return copy


class _Global(NamedTuple):
    name: str


class _Storage(NamedTuple):
    elements: int


_HOLDER, _ORDERED, _TENSOR = object(), object(), object()  # a list or dict; an OrderedDict; a tensor
_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
    "EMPTY_LIST": _HOLDER,
    "EMPTY_DICT": _HOLDER,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _rehearse(pickled: bytes, sizes: Mapping[str, int]) -> None:
    """Go through a pickle as torch will, with placeholders for values, and refuse what torch.save does not write.

    Args:
        pickled: of protocol 2.
        sizes: bytes of each record of the archive.
    """
    stack: list[Any] = []
    outer: list[list[Any]] = []  # the stack below each mark
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(pickled):
        match opcode.name:
            case "PROTO" | "STOP":
                pass
            case "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT":
                stack.append(argument)
            case "GLOBAL":
                stack.append(_Global(str(argument)))
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case "BINPUT" | "LONG_BINPUT":
                memo[int(argument or 0)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[int(argument or 0)])
            case "MARK":
                outer.append(stack)
                stack = []
            case "TUPLE" | "APPENDS" | "SETITEMS" as name:
                items, stack = stack, outer.pop()
                if name == "TUPLE":
                    stack.append(_shallow(items))
                elif name == "SETITEMS":
                    _check_keys(items[::2])
            case name if name in _TUPLES:
                stack[-_TUPLES[name] :] = [_shallow(stack[-_TUPLES[name] :])]
            case "APPEND":
                stack.pop()
            case "SETITEM":
                _check_keys([stack[-2]])
                del stack[-2:]
            case "BINPERSID":
                stack.append(_storage(stack.pop(), sizes))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_call(stack.pop(), arguments))
            case "BUILD":  # a state dict's _metadata
                stack.pop()
                if stack[-1] is not _ORDERED:
                    raise RefusedError("holds an object that is no tensor")
            case name:
                raise RefusedError(f"holds more than tensors and plain values (pickle's {name})")


def _shallow(items: list[Any]) -> tuple[Any, ...]:
    """A tuple in which only tuples of whole numbers are kept: of deeper ones nobody asks."""
    return tuple(
        _HOLDER if isinstance(item, tuple) and not _counts(item) and not hasattr(item, "_fields") else item
        for item in items
    )


def _counts(value: Any) -> bool:
    """Whether it is a tuple of whole numbers from 0."""
    return type(value) is tuple and all(type(number) is int and number >= 0 for number in value)


def _check_keys(keys: list[Any]) -> None:
    if not all(key is None or isinstance(key, str | int | float) for key in keys):
        raise RefusedError("holds a key that is neither text nor a number")


def _storage(found: Any, sizes: Mapping[str, int]) -> _Storage:
    """What `("storage", type, key, place, elements)` names, if the record has that many."""
    match found:
        case ("storage", _Global(kind), str(key), str(), int(elements)) if kind in _STORAGES:
            if sizes.get(f"data/{key}") == elements * _STORAGES[kind]:
                return _Storage(elements)
    raise RefusedError("declares a tensor of another size than it holds")


def _call(function: Any, arguments: Any) -> Any:
    match function, arguments:
        case _Global("collections OrderedDict"), ():
            return _ORDERED
        case _Global("torch._utils _rebuild_parameter"), (tensor, bool(), hooks) if tensor is _TENSOR:
            return _TENSOR if hooks is _ORDERED else _HOLDER
        case _Global("torch._utils _rebuild_tensor_v2"), (_Storage(held), int(offset), size, stride, bool(), hooks):
            if (
                hooks is _ORDERED
                and _counts((offset,))
                and _counts(size)
                and _counts(stride)
                and len(size) == len(stride) <= 8
            ):
                last = sum((count - 1) * step for count, step in zip(size, stride, strict=True))
                if math.prod(size) <= held and (0 in size or offset + last < held):
                    return _TENSOR
            raise RefusedError("declares a tensor of another size than it holds")
        case _Global(name), _:
            raise RefusedError(f"holds a {name.replace(' ', '.')!r:.80}, and only tensors and plain values are read")
    raise RefusedError("holds an object that is no tensor")


def _plain(value: Any, budget: Iterator[int], depth: int = 0) -> Any:
    """The same with plain dicts and detached tensors, every part of a known kind."""
    if next(budget, None) is None or depth > MAX_DEPTH:
        raise RefusedError("holds too many values or too deep ones")
    if type(value) in (dict, OrderedDict):
        return {_plain(key, budget, depth): _plain(entry, budget, depth + 1) for key, entry in dict.items(value)}
    if type(value) in (list, tuple):
        return type(value)(_plain(entry, budget, depth + 1) for entry in value)
    if type(value) in (Tensor, nn.Parameter):
        return value.detach()
    if type(value) is str:
        value.encode()  # half a surrogate pair could be read and never printed
    elif type(value) is int and value.bit_length() > 256:
        raise RefusedError("holds a number that is too large")
    elif value is not None and type(value) not in (bool, int, float):
        raise RefusedError("holds more than tensors and plain values")
    return value
