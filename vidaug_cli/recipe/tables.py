"""The tables that TOML gives for recipes, before ops are made of them: merged, and changed by `--set KEY=VALUE`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidaug_cli.recipe.registry import OPS, TomlTable, any_op, op_name, ops_with
from vidaug_cli.schema import type_fault
from vidaug_cli.words import nearest, shown

_TOP = {"name": str, "summary": str, "reference": str, "mix_p": float, "augment": list, "mix": list}


def _shape_faults(table: TomlTable) -> Iterator[tuple[str, str]]:
    """Yield the outermost keys that are wrong, each with what is wrong with it."""
    for key, value in table.items():
        if key not in _TOP:
            yield key, f"unknown key{nearest(key, _TOP)}"
        elif isinstance(value, dict) and _TOP[key] is list:
            yield key, f"should be tables, [[{key}]]"
        elif fault := type_fault(value, _TOP[key]):
            yield key, fault
        elif isinstance(value, list) and not all(isinstance(entry, dict) for entry in value):
            yield key, f"should be tables, [[{key}]]"
    if "mix_p" in table and not table.get("mix"):
        yield "mix_p", "there is no [[mix]] that it could be the chance of"
    elif not type_fault(table.get("mix_p", 1.0), float) and not 0 <= table.get("mix_p", 1.0) <= 1:
        yield "mix_p", f"{shown(table['mix_p'])} should be a chance, 0 to 1"


def merge(named: Sequence[tuple[str, TomlTable]]) -> tuple[TomlTable, list[str]]:
    """Return one table of all, with what is good of each, and the faults of the rest."""
    faults = []
    for name, table in named:
        for key, fault in list(_shape_faults(table)):
            faults.append(f"{name}: {shown(key)[1:-1]}: {fault}")
            table.pop(key, None)
    chances = {table.get("mix_p", 1.0) for _, table in named if table.get("mix")}
    if len(chances) > 1:
        faults.append(f"the recipes have different mix_p: {sorted(chances)}; make them one with a file")

    def joined(key: str) -> str:
        return "; ".join(table[key] for _, table in named if table.get(key))

    return {
        "name": "+".join(str(table.get("name", Path(name).stem)) for name, table in named),
        "summary": joined("summary"),
        "reference": joined("reference"),
        "mix_p": chances.pop() if chances else 1.0,
        "augment": [dict(entry) for _, table in named for entry in table.get("augment", [])],
        "mix": [dict(entry) for _, table in named for entry in table.get("mix", [])],
    }, faults


def override_key(table: TomlTable, override: str) -> Iterator[str]:
    """Put one `--set KEY=VALUE` into the table, and yield what is wrong with it."""
    keys, value = _key_and_value(override)
    entries: list[tuple[str, TomlTable]] = [(kind, entry) for kind in OPS for entry in table[kind]]
    match keys:
        case []:
            yield f"--set {shown(override)[1:-1]}: should be KEY=VALUE, such as fademixup.beta=0.4"
        case ["mix_p"]:
            table["mix_p"] = value
            faults = _shape_faults({"mix_p": value, "mix": table["mix"]})
            yield from (f"--set {key}: {fault}" for key, fault in faults)
        case [name, key] if named := [entry for kind, entry in entries if op_name(kind, entry) == any_op(name)]:
            for entry in named:
                entry[key] = value
        case ["augment" | "mix" as kind, index, key] if index in map(str, range(len(table[kind]))):
            table[kind][int(index)][key] = value
        case _:
            names = list(dict.fromkeys(op_name(kind, entry) for kind, entry in entries))
            places = ["mix_p", *(f"{kind}.{i}" for kind in OPS for i in range(len(table[kind]))), *names]
            what = f"the recipe has no such place{nearest('.'.join(keys[:-1]), places)} (it has {', '.join(places)})"
            owners = ops_with(keys[-1])
            if near := [name for name in owners if name in names]:
                what += f"; {keys[-1]} is a key of {near[0]}: try {near[0]}.{keys[-1]}"
            elif owners:
                what += f"; {keys[-1]} is a key of {' and '.join(owners)}, which the recipe does not have"
            yield f"--set {shown('.'.join(keys))[1:-1]}: {what}"


def _key_and_value(override: str) -> tuple[list[str], Any]:
    """Return the parts of the key and the value of `KEY=VALUE`, read as TOML; a bare word is a string.

    There are no parts where it is something else.
    """
    key, equals, text = override.partition("=")
    for line in (override, f"{key}={json.dumps(text.strip())}") if equals else ():
        try:
            value: Any = tomllib.loads(line)
        except (ValueError, RecursionError):
            continue
        keys = []
        while isinstance(value, dict) and len(value) == 1:
            ((part, value),) = value.items()
            keys.append(part)
        if not isinstance(value, dict):
            return keys, value
    return [], None
