"""Values held against types and rules, with faults in words: what recipes and settings are checked with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from vidaug_cli.errors import VidaugError
from vidaug_cli.words import nearest, shown

LARGEST = sys.float_info.max  # neither infinity nor NaN is at most this, nor a whole number no float can hold
T = TypeVar("T")
Rules = dict[str, tuple[bool, str]]  # for each setting, whether its value is good, and in words what is

_WANTED = {
    str: "a string",
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object with keys",
}


def check(
    settings: object, rules: Rules, *, where: object = "", hint: str = "", error: type[VidaugError] = VidaugError
) -> None:
    """Raise `error` with a line for each setting that breaks its rule: its name, its value and what is good."""
    broken = {name: good for name, (holds, good) in rules.items() if not holds}
    faults = [f"{name} = {shown(getattr(settings, name))} should be {good}" for name, good in broken.items()]
    if faults:
        raise error("\n".join(faults), where=where, hint=hint)


def type_fault(value: Any, hint: Any) -> str:
    """Return what is wrong with `value` for a field of this type; empty if nothing is."""
    if hint is Any or type(value) in _plain(hint):
        return ""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        faults = [type_fault(value, arg) for arg in args if arg is not NoneType]
        return "" if "" in faults else " or ".join(dict.fromkeys(faults))
    if origin is Literal:
        if value in args:
            return ""
        advice = nearest(value, args) if isinstance(value, str) else ""
        return f"{shown(value)} should be {', '.join(map(repr, args))}{advice}"
    if origin in (list, dict):
        if fault := type_fault(value, origin):
            return fault
        entries = value if origin is list else value.values()
        return next(filter(None, (type_fault(entry, args[-1]) for entry in entries)), "")
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


def parse(
    kind: type[T],
    found: object,
    *,
    where: object = "",
    hint: str = "",
    error: type[VidaugError] = VidaugError,
    extra: bool = False,
) -> T:
    """Return a dataclass from what JSON, TOML or HDF5 gave: objects for dataclasses within it, lists for tuples.

    Args:
        kind: the dataclass; fields without a default have to be there.
        found: what was read.
        where: what the error calls its origin.
        hint: what to try, for the end of the error.
        error: its class.
        extra: pass over keys that are no fields, so that what a newer release wrote stays readable.

    Raises `error` with every fault, a line each, with its place: `failures.0.clip: 'a' should be a whole number`.
    """
    if faults := list(type_faults(found, kind, extra=extra)):
        raise error("\n".join(faults), where=where, hint=hint)
    try:
        return cast(T, _made(found, kind))
    except VidaugError as fault:
        raise error(fault.what, where=where, hint=fault.hint or hint) from fault


def type_faults(found: object, hint: Any, place: str = "", *, extra: bool = False) -> Iterator[str]:
    """Yield what is wrong with a value from outside for a type, each with its place in it."""
    if isinstance(hint, type) and is_dataclass(hint):
        if not isinstance(found, dict):
            yield f"{place or hint.__name__}: {shown(found)} should be an object with keys"
            return
        known = _fields(hint)
        inside = f"{place}." if place else ""
        for key in () if extra else [key for key in found if key not in known]:
            yield f"{inside}{shown(key)[1:-1]}: unknown key{nearest(str(key), known)}"
        for name, (kind, plain, needed) in known.items():
            if name not in found:
                if needed:
                    yield f"{inside}{name}: is missing"
            elif type(found[name]) not in plain:
                yield from type_faults(found[name], kind, inside + name, extra=extra)
    elif (kind := _entries(hint)) and isinstance(found, list):
        for number, entry in enumerate(found):
            yield from type_faults(entry, kind, f"{place}.{number}", extra=extra)
    elif fault := type_fault(found, hint):
        yield f"{place}: {fault}"


@cache
def _plain(hint: Any) -> frozenset[type]:
    """Return the types whose values are all good for `hint`: a quick answer for most values."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return frozenset({str, int, bool, NoneType}.intersection(kinds))


@cache
def _fields(kind: type[Any]) -> dict[str, tuple[Any, frozenset[type], bool]]:
    """Return for each field of a dataclass its type, that type's `_plain` ones, and whether it has to be there."""
    hints = get_type_hints(kind)
    return {
        field.name: (
            hints[field.name],
            _plain(hints[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(kind)
        if field.init
    }


def _entries(hint: Any) -> Any:
    """Return the dataclass of which `hint` is a tuple of any length, if it is."""
    args = get_args(hint)
    return args[0] if get_origin(hint) is tuple and Ellipsis in args and is_dataclass(args[0]) else None


def _made(value: Any, hint: Any) -> Any:
    """Return a value without faults as the type that it was read for."""
    if isinstance(value, dict) and is_dataclass(hint):
        known = _fields(cast(type, hint))
        return cast(type, hint)(
            **{name: _made(inner, known[name][0]) for name, inner in value.items() if name in known}
        )
    if not isinstance(value, list) or hint is Any or get_origin(hint) is list:
        return value
    kind = _entries(hint)
    return tuple(_made(entry, kind) for entry in value) if kind else as_tuples(value)


def as_tuples(value: Any) -> Any:
    """Return lists, also those within lists, as tuples: what a frozen dataclass can hold."""
    return tuple(as_tuples(entry) for entry in value) if isinstance(value, list) else value
