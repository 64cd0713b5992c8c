"""A pickle gone through before torch sees it: with placeholders for values, so that nothing is made and no code runs.

What torch.save writes of tensors and plain values needs three functions and two dozen of pickle's instructions. The
rest is refused, as are tensors that do not lie within the bytes there are.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_AXES = 8  # of a tensor

_STORAGES = {  # bytes of an element
    f"torch {kind}Storage": size
    for size, kinds in {1: "Byte Char Bool", 2: "Half BFloat16 Short", 4: "Float Int", 8: "Double Long"}.items()
    for kind in kinds.split()
}


class RefusedError(ValueError):
    """Why a file is not opened."""


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    elements: int


_HOLDER, _ORDERED, _TENSOR = object(), object(), object()  # a list or dict; an OrderedDict; a tensor
_PARAMETER = (_TENSOR, _ORDERED)
_MISFIT = "declares a tensor of another size than it holds"
_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
    "EMPTY_LIST": _HOLDER,
    "EMPTY_DICT": _HOLDER,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def rehearse(pickled: bytes, sizes: Mapping[str, int]) -> None:
    """Go through a pickle as torch will. Raises RefusedError, or whatever there is to raise on no pickle at all.

    Args:
        pickled: of protocol 2.
        sizes: bytes of each record of the archive, such as `data/0`.
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
                    check_keys(items[::2])
            case name if name in _TUPLES:
                stack[-_TUPLES[name] :] = [_shallow(stack[-_TUPLES[name] :])]
            case "APPEND":
                stack.pop()
            case "SETITEM":
                check_keys([stack[-2]])
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


def _shallow(items: list[Any]) -> Any:
    """A tuple, if it may be the arguments of a call or a size: of longer and deeper ones nobody asks."""
    if len(items) > MAX_AXES:
        return _HOLDER
    return tuple(_HOLDER if isinstance(item, tuple) and not _counts(item) else item for item in items)


def _counts(value: Any) -> bool:
    """Whether it is a tuple of whole numbers from 0."""
    return type(value) is tuple and all(type(number) is int and number >= 0 for number in value)


def check_keys(keys: Iterable[Any]) -> None:
    """Raise RefusedError unless the keys of a dict are such that take no time to hash."""
    if not all(key is None or isinstance(key, str | int | float) for key in keys):
        raise RefusedError("holds a key that is neither text nor a number")


def _storage(found: Any, sizes: Mapping[str, int]) -> _Storage:
    """What `("storage", type, key, place, elements)` names, if the record has that many."""
    match found:
        case ("storage", _Global(kind), str(key), str(), int(elements)) if kind in _STORAGES:
            if sizes.get(f"data/{key}") == elements * _STORAGES[kind]:
                return _Storage(elements)
    raise RefusedError(_MISFIT)


def _call(function: Any, arguments: Any) -> Any:
    """What one of the three functions that torch.save writes would return."""
    match function, arguments:
        case _Global("collections OrderedDict"), ():
            return _ORDERED
        case _Global("torch._utils _rebuild_parameter"), (tensor, bool(), hooks) if (tensor, hooks) == _PARAMETER:
            return _TENSOR
        case _Global("torch._utils _rebuild_tensor_v2"), (_Storage() as storage, offset, size, stride, bool(), hooks):
            if hooks is _ORDERED and _fits(storage, offset, size, stride):
                return _TENSOR
            raise RefusedError(_MISFIT)
        case _Global(name), _:
            raise RefusedError(f"holds {name.replace(' ', '.')!r:.80}, and only tensors and plain values are read")
    raise RefusedError("holds an object that is no tensor")


def _fits(storage: _Storage, offset: Any, size: Any, stride: Any) -> bool:
    """Whether a tensor of this size lies within the storage, which has as many elements at least."""
    if not (_counts((offset,)) and _counts(size) and _counts(stride) and len(size) == len(stride) <= MAX_AXES):
        return False
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    return 0 in size or (math.prod(size) <= storage.elements and last < storage.elements)
