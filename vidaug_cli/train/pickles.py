"""Pickles gone through instruction by instruction: nothing that they name is imported, called or made."""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from vidaug_cli.errors import WeightsError

MAX_STEPS = 2_000_000  # instructions; R101 with AdamW and a moving average has 98,880

Made = Callable[[str, Any, Sequence[Any]], Any]

_PLAIN = "PROTO STOP NONE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE"


class Global(str):
    """What stands for a function or a type: its module and its name, with a space between."""


def walk(pickled: bytes | BinaryIO, made: Made) -> Any:
    """Return what `made` makes of a pickle, whose end is then the place of the file.

    Args:
        pickled: a pickle, or a file in memory that has one at its place. Files on a disk would be read in pieces as
            large as the pickle says.
        made: returns the result of an instruction, by its name, its argument and the values that it takes off the
            stack, such as `plain`.

    Raises VidaugError as `made` does, and on very many instructions; LookupError or ValueError on what is no pickle.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    for step, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        name, before = opcode.name, opcode.stack_before
        if step == MAX_STEPS:
            raise WeightsError(f"holds a pickle of more than {MAX_STEPS} instructions")
        if name == "STOP":
            return stack[-1]
        if name == "MARK":
            marks.append(len(stack))
        elif name.endswith("PUT"):
            memo[argument] = stack[-1]
        elif name.endswith("GET"):
            stack.append(memo[argument])
        else:
            marked = pickletools.markobject in before
            start = marks.pop() - before.index(pickletools.markobject) if marked else len(stack) - len(before)
            stack[start:] = [made(name, argument, stack[start:])] * len(opcode.stack_after)
    raise ValueError("no end")


def plain(name: str, argument: Any, taken: Sequence[Any]) -> Any:
    """Return what an instruction makes: dicts, lists, tuples, text, whole numbers, truths; None in place of a float.

    Raises VidaugError on anything else, and on keys that are neither text nor numbers: of nested tuples, a few bytes
    could take for ever to hash.
    """
    match name, taken:
        case "GLOBAL", _:
            return Global(argument)
        case "NEWTRUE" | "NEWFALSE", _:
            return name == "NEWTRUE"
        case "EMPTY_DICT", _:
            return {}
        case "EMPTY_LIST", _:
            return []
        case "EMPTY_TUPLE" | "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3", _:
            return tuple(taken)
        case "APPEND" | "APPENDS", [list() as changed, *items]:
            changed.extend(items)
            return changed
        case "SETITEM" | "SETITEMS", [dict() as changed, *items]:
            if not all(key is None or isinstance(key, str | int) for key in items[::2]):
                raise WeightsError("holds a key that is neither text nor a number")
            changed.update(zip(items[::2], items[1::2], strict=True))
            return changed
        case "REDUCE", [Global() as function, _]:
            raise WeightsError(f"holds {function.replace(' ', '.')!r:.80}, and only tensors and plain values are read")
        case name, _ if name not in _PLAIN.split():
            raise WeightsError(f"holds more than tensors and plain values (pickle's {name})")
    return argument if isinstance(argument, str | int) else None
