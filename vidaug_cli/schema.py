"""Values held against types and rules, with faults in words: what recipes and settings are checked with."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from vidaug_cli.errors import ContentError, SettingError, VidaugError
from vidaug_cli.words import cut, either, nearest, shown

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
    settings: object, rules: Rules, *, where: object = "", hint: str = "", error: type[VidaugError] = SettingError
) -> None:
    """Raise `error` with a line for each setting that breaks its rule: its name, its value and what is good.

    A field whose type is a `Literal` needs no rule: it has to be one of those values, or None where that is allowed.
    """
    kind: Any = type(settings)
    choices = {}
    for name, (field_hint, *_) in (_fields(kind) or {}).items():
        for literal in (each for each in (field_hint, *get_args(field_hint)) if get_origin(each) is Literal):
            value, optional = getattr(settings, name), NoneType in get_args(field_hint)
            holds = value in get_args(literal) or (optional and value is None)
            choices[name] = holds, either(map(str, get_args(literal)))
    broken = {name: good for name, (holds, good) in (choices | rules).items() if not holds}
    faults = [f"{name} = {shown(getattr(settings, name))} should be {good}" for name, good in broken.items()]
    if faults:
        raise error("\n".join(faults), where=where, hint=hint)


def type_fault(value: Any, hint: Any) -> str:
    """Return what is wrong with `value` for a field of this type, of several faults the first; empty if nothing is."""
    return next((fault for _, fault in type_faults(value, hint)), "")


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: of dataclasses and named tuples the fields, and no NaN or infinity."""
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # of numpy or torch
        return plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_json(text: str | bytes) -> Any:
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
    error: type[VidaugError] = ContentError,
    extra: bool = False,
) -> T:
    """Return a dataclass from what JSON, TOML or HDF5 gave: objects for dataclasses within it, lists for tuples.

    Args:
        kind: the dataclass; fields without a default have to be there.
        found: what was read.
        where: what the error calls its origin.
        hint: what to try, for the end of the error.
        error: its class.
        extra: pass over keys that are not fields, so that what a newer release wrote stays readable.

    Raises `error` with every fault, a line each, with its place: `failures.0.clip: 'a' should be a whole number`.
    """
    if faults := [": ".join(filter(None, (place, fault))) for place, fault in type_faults(found, kind, extra=extra)]:
        raise error("\n".join(faults), where=where, hint=hint)
    try:
        return cast(T, _made(found, kind))
    except VidaugError as fault:
        raise error(fault.what, where=where, hint=fault.hint or hint) from fault


def type_faults(value: Any, hint: Any, place: str = "", *, extra: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a value from outside for a type: the place in the value, and the fault."""
    if hint is Any or type(value) in _plain(hint):
        return
    origin, args, known = get_origin(hint), get_args(hint), _fields(hint)
    inside = f"{place}." if place else ""
    container = dict if known is not None or origin is dict else list if origin in (list, tuple) else None
    if container and not isinstance(value, container):
        yield place, f"{shown(value)} should be {_WANTED[container]}"
    elif known is not None:
        for key in () if extra else [key for key in value if key not in known]:
            yield f"{inside}{shown(key)[1:-1]}", f"unknown key{nearest(str(key), known)}"
        for name, (kind, needed) in known.items():
            if name in value:
                yield from type_faults(value[name], kind, inside + name, extra=extra)
            elif needed:
                yield inside + name, "is missing"
    elif container:
        kinds = _kinds(hint, len(value))
        if len(kinds) != len(value):
            yield place, f"{shown(value)} should have {len(kinds)} entries"
            return
        entries = value.items() if container is dict else enumerate(value)
        for (key, entry), kind in zip(entries, kinds, strict=True):
            yield from type_faults(entry, kind, f"{inside}{key}", extra=extra)
    elif origin in (Union, UnionType):
        each = [list(type_faults(value, arg, place, extra=extra)) for arg in args if arg is not NoneType]
        if len(each) == 1:
            yield from each[0]
        elif [] not in each:
            yield place, " or ".join(dict.fromkeys(faults[0][1] for faults in each))
    elif origin is Literal:
        if value not in args:
            advice = nearest(value, args) if isinstance(value, str) else ""
            yield place, f"{shown(value)} should be {either(map(repr, args))}{advice}"
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good = {float: number and abs(value) <= LARGEST, int: number and isinstance(value, int)}
        if not good.get(hint, isinstance(value, hint)):
            yield place, f"{shown(value)} should be {_WANTED.get(hint, hint)}"


def _kinds(hint: Any, count: int) -> tuple[Any, ...]:
    """Return the type of each entry of a list, tuple or dict that has `count` of them."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple and Ellipsis not in args:
        return args
    return (args[1 if origin is dict else 0],) * count


@cache
def _plain(hint: Any) -> frozenset[type]:
    """Return the types whose values are all good for `hint`: a quick answer for most values."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return frozenset({str, int, bool, NoneType}.intersection(kinds))


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]] | None:
    """Return for each field of a dataclass its type, and whether it has to be there; None for another type."""
    if not is_dataclass(kind):
        return None
    hints = get_type_hints(kind)
    given = [field for field in fields(kind) if field.init]
    return {field.name: (hints[field.name], field.default is field.default_factory is MISSING) for field in given}


def _made(value: Any, hint: Any) -> Any:
    """Return a value without faults as the type that it was read for."""
    if type(value) not in (list, dict):
        return value
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        args = [arg for arg in get_args(hint) if arg is not NoneType]
        fitting = (arg for extra in (False, True) for arg in args if not any(type_faults(value, arg, extra=extra)))
        return _made(value, next(fitting))
    if (known := _fields(hint)) is not None:
        return hint(**{name: _made(entry, known[name][0]) for name, entry in value.items() if name in known})
    if origin is dict:
        return {key: _made(entry, get_args(hint)[1]) for key, entry in value.items()}
    return origin(map(_made, value, _kinds(hint, len(value)))) if origin else value


def as_tuples(value: Any) -> Any:
    """Return lists, also those within lists, as tuples: what a frozen dataclass can hold."""
    return tuple(as_tuples(entry) for entry in value) if isinstance(value, list) else value


def parse_json(text: str | bytes, kind: type[T], what: str, *, error: type[VidaugError] = ContentError) -> T:
    """Return what strict JSON (no NaN) says, whose outermost value has to be a `kind`; raise `error` otherwise."""
    try:
        value = from_json(text)
    except ValueError as fault:
        raise error(f"{what} is not JSON: {cut(str(fault))}") from fault
    if not isinstance(value, kind):
        raise error(f"{what} should be a JSON {'object' if kind is dict else 'list'}")
    return value
