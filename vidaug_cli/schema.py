"""Values held against types and rules, with faults in words: what recipes and settings are checked with."""

from __future__ import annotations

import difflib
import reprlib
import sys
from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from vidaug_cli.errors import VidaugError

SHOWN = 80  # letters of a value that a message quotes
LARGEST = sys.float_info.max  # neither infinity nor NaN is at most this, nor a whole number no float can hold
Rules = dict[str, tuple[bool, str]]  # for each setting, whether its value is good, and in words what is

_WANTED = {str: "a string", float: "a number", int: "a whole number", bool: "true or false", list: "a list"}


def check(settings: object, rules: Rules, *, where: str = "", error: type[VidaugError] = VidaugError) -> None:
    """Raise `error` with a line for each setting that breaks its rule: its name, its value and what is good."""
    broken = {name: good for name, (holds, good) in rules.items() if not holds}
    faults = [f"{name} = {shown(getattr(settings, name))} should be {good}" for name, good in broken.items()]
    if faults:
        raise error("\n".join(faults), where=where)


def type_fault(value: Any, hint: Any) -> str:
    """What is wrong with `value` for a field of this type; empty if nothing is."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in args:
            return ""
        faults = [type_fault(value, arg) for arg in args if arg is not NoneType]
        return "" if "" in faults else " or ".join(dict.fromkeys(faults))
    if origin is Literal:
        advice = nearest(value, args) if isinstance(value, str) else ""
        return "" if value in args else f"{shown(value)} should be {', '.join(map(repr, args))}{advice}"
    if origin is tuple:
        if not isinstance(value, list):
            return f"{shown(value)} should be a list"
        wanted = args[:1] * len(value) if Ellipsis in args else args
        if len(wanted) != len(value):
            return f"{shown(value)} should have {len(wanted)} entries"
        return next(filter(None, map(type_fault, value, wanted)), "")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    good = {float: number and abs(value) <= LARGEST, int: number and isinstance(value, int)}
    return "" if good.get(hint, isinstance(value, hint)) else f"{shown(value)} should be {_WANTED.get(hint, hint)}"


def as_tuples(value: Any) -> Any:
    """Lists, also within lists, as tuples: what a frozen dataclass can hold."""
    return tuple(as_tuples(entry) for entry in value) if isinstance(value, list) else value


def shown(value: Any) -> str:
    """A value as a message quotes it: short, however long, deep or large it is."""
    try:
        return _quoting.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


_quoting = reprlib.Repr()
_quoting.maxstring = _quoting.maxother = SHOWN


def same_but_for_spelling(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is `name` but for case, hyphens, underscores and blanks: papers write FadeMixUp."""
    known = {_folded(other): other for other in names}
    return known.get(_folded(name))


def _folded(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def nearest(name: str, names: Iterable[Any]) -> str:
    """`; did you mean 'fademixup'?`, or nothing when no name is near."""
    known = {str(other).casefold(): str(other) for other in names}
    close = difflib.get_close_matches(name[:SHOWN].casefold(), known, 1, 0.5)
    return f"; did you mean {known[close[0]]!r}?" if close and known[close[0]] != name else ""
