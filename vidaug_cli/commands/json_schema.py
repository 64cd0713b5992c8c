"""A JSON Schema from types: dataclasses, named tuples and TypedDicts, with the comments beside their fields."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    NamedTuple,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

Schema = dict[str, Any]

_SIMPLE = {str: "string", Path: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def schema_of(kind: Any, definitions: Schema) -> Schema:
    """Return the schema of a type; those of types with fields go to `definitions`, by their names."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, UnionType):
        return either([schema_of(arg, definitions) for arg in args])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": schema_of(args[1], definitions)}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        if origin is tuple and Ellipsis not in args:
            each = [schema_of(arg, definitions) for arg in args]
            return {"type": "array", "items": each, "minItems": len(each), "maxItems": len(each)}
        return {"type": "array", "items": schema_of(args[0], definitions)}
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # its place, before the types within it
        parts = {
            each.name: schema_of(each.kind, definitions) | ({"description": each.what} if each.what else {})
            for each in fields_of(kind)
        }
        required = [each.name for each in fields_of(kind) if each.always]
        definitions[kind.__name__] = object_schema(parts, inspect.cleandoc(kind.__doc__).partition("\n\n")[0], required)
    return {"$ref": f"#/definitions/{kind.__name__}"}


def either(schemas: list[Schema]) -> Schema:
    """Return the schema of what one of these fits."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def object_schema(parts: Schema, what: str, required: Sequence[str] | None = None) -> Schema:
    """Return the schema of an object with these keys and no others, of which `required` (None: all) are there."""
    required = list(parts) if required is None else required
    found = {"type": "object", "description": what, "properties": parts, "required": list(required)}
    return found | {"additionalProperties": False}


class Field(NamedTuple):
    """A key of a result."""

    name: str
    kind: Any
    always: bool  # whether it is there
    what: str


def fields_of(kind: Any) -> list[Field]:
    """Return the fields of a dataclass, a named tuple or a `TypedDict`, with the comments beside them."""
    hints, comments = get_type_hints(kind, include_extras=True), _comments(kind)
    names = [each.name for each in fields(kind)] if is_dataclass(kind) else list(hints)
    found = []
    for name in names:
        hint = hints[name]
        always = not is_typeddict(kind) or name in kind.__required_keys__
        if get_origin(hint) in (Required, NotRequired):
            always, (hint,) = get_origin(hint) is Required, get_args(hint)
        found.append(Field(name, hint, always, comments.get(name, "")))
    return found


def _comments(kind: type) -> dict[str, str]:
    """Return the comments beside the fields of a class and of what it inherits from, which a TypedDict forgets."""
    source, known = inspect.getsource(kind), vars(sys.modules[kind.__module__])
    bases = re.search(r"^class \w+(?:\((.*)\))?:", source, re.MULTILINE)
    found: dict[str, str] = {}
    for name in re.findall(r"\w+", bases[1] or "") if bases else ():
        if inspect.isclass(known.get(name)) and known[name].__module__.startswith("vidaug_cli"):
            found |= _comments(known[name])
    beside = re.findall(r"^    (\w+): [^#\n]*  # (.+)$", source, re.MULTILINE)
    return found | {name: re.sub(r"\bNone\b", "null", what) for name, what in beside}
