"""Values held against types and rules, with faults in words: what recipes and settings are checked with."""

from __future__ import annotations

import json
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


def check(settings: object, rules: Rules, *, where: str = "", error: type[VidaugError] = VidaugError) -> None:
    """Raise `error` with a line for each setting that breaks its rule: its name, its value and what is good."""
    broken = {name: good for name, (holds, good) in rules.items() if not holds}
    faults = [f"{name} = {shown(getattr(settings, name))} should be {good}" for name, good in broken.items()]
    if faults:
        raise error("\n".join(faults), where=where)


def type_fault(value: Any, hint: Any) -> str:
    """Return what is wrong with `value` for a field of this type; empty if nothing is."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return ""
    if origin in (Union, UnionType):
        if value is None and NoneType in args:
            return ""
        faults = [type_fault(value, arg) for arg in args if arg is not NoneType]
        return "" if "" in faults else " or ".join(dict.fromkeys(faults))
    if origin is Literal:
        advice = nearest(value, args) if isinstance(value, str) else ""
        return "" if value in args else f"{shown(value)} should be {', '.join(map(repr, args))}{advice}"
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


def from_json(text: str) -> Any:
    """Return what strict JSON text holds. Raises ValueError on anything else: NaN, infinity and a key twice as well."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
    except RecursionError as error:
        raise ValueError("it is too deep") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(content := dict(pairs)) < len(pairs):
        raise ValueError("it has a key twice")
    return content


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
        known = {field.name: field for field in fields(hint) if field.init}
        inside = f"{place}." if place else ""
        for key in () if extra else found.keys() - known.keys():
            yield f"{inside}{shown(key)[1:-1]}: unknown key{nearest(str(key), known)}"
        for name, field in known.items():
            if name in found:
                yield from type_faults(found[name], _hints(hint)[name], inside + name, extra=extra)
            elif field.default is MISSING and field.default_factory is MISSING:
                yield f"{inside}{name}: is missing"
    elif (kind := _entries(hint)) and isinstance(found, list):
        for number, entry in enumerate(found):
            yield from type_faults(entry, kind, f"{place}.{number}", extra=extra)
    elif fault := type_fault(found, hint):
        yield f"{place}: {fault}"


def _entries(hint: Any) -> Any:
    """Return the dataclass of which `hint` is a tuple of any length, if it is."""
    args = get_args(hint)
    return args[0] if get_origin(hint) is tuple and Ellipsis in args and is_dataclass(args[0]) else None


def _made(found: Any, hint: Any) -> Any:
    """Return what was found to be of a type as that type."""
    if isinstance(hint, type) and is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{name: _made(value, hints[name]) for name, value in found.items() if name in hints})
    if kind := _entries(hint):
        return tuple(_made(entry, kind) for entry in found)
    return as_tuples(found) if get_origin(hint) is not list else found


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def as_tuples(value: Any) -> Any:
    """Lists, also within lists, as tuples: what a frozen dataclass can hold."""
    return tuple(as_tuples(entry) for entry in value) if isinstance(value, list) else value
