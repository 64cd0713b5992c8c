"""Recipes by name or path: TOML in, `Recipe` out; all faults at once, each with its place and a way out.

A recipe has `[[augment]]` tables, applied in order to each clip by itself, and `[[mix]]` tables, of which at most
one is chosen for a clip, by weight; `mix_p` at the top is the chance that a clip is mixed at all.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from vidaug_cli.errors import RecipeError, VidaugError
from vidaug_cli.recipe.recipe import AugmentStep, MixMember, Recipe
from vidaug_cli.recipe.registry import OPS, TomlTable, aliases, op_name, ops_with
from vidaug_cli.recipe.tables import merge, override_key
from vidaug_cli.schema import as_tuples, type_fault, type_faults
from vidaug_cli.words import nearest, same_but_for_spelling, shown

MAX_BYTES = 1_000_000


def load_recipe(*names: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipes of these names or paths as one: augment tables in order, mix tables pooled.

    Args:
        names: names of shipped recipes, or paths of TOML files.
        overrides: `augment.0.m=7`, `fademixup.beta=0.4` (every table of that op) or `mix_p=0.5`.

    Raises:
        RecipeError: with every fault, a line each.
    """
    faults: list[str] = []
    tables: list[tuple[str, TomlTable]] = []
    for name in names:
        try:
            tables.append((shipped_name(name) or name, _parse(read_recipe(name), name)))
        except RecipeError as error:
            faults.append(str(error))
    if faults:  # what the others lack cannot be said without these
        raise RecipeError("\n".join(faults))
    return _build(tables, " + ".join(names), overrides)


def parse_recipe(text: str, name: str) -> Recipe:
    """Return the recipe that a TOML text holds; `name` is what faults are reported under. Raises RecipeError."""
    return _build([(name, _parse(text, name))], name)


def shipped_name(name: str) -> str | None:
    """Return the shipped recipe of this name, spelled in any way (`CutMix`, `rand-augment-t`); None for a file."""
    if name in shipped_recipes() or name in aliases():
        return name
    is_file = os.path.isfile(name)  # noqa: PTH113 (says no to any odd name)
    return None if is_file else same_but_for_spelling(name, [*shipped_recipes(), *aliases()])


def read_recipe(name: str) -> str:
    """Return the TOML text of a shipped recipe or of a file. Raises RecipeError with the nearest name."""
    if name in shipped_recipes():
        return (resources.files("vidaug_cli.recipes") / f"{name}.toml").read_text("utf-8")
    if shipped := shipped_name(name):
        return read_recipe(aliases().get(shipped, shipped))
    path = Path(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError("is too large for a recipe", where=name)
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError("is not a text file", where=name, hint="a recipe is TOML") from error
    except OSError as error:
        if path.suffix == ".toml" or len(path.parts) > 1:
            raise RecipeError(f"cannot be read: {error.strerror}", where=name) from error
    except ValueError:  # no path holds a zero byte
        pass
    near = nearest(name, [*shipped_recipes(), *aliases()])
    raise RecipeError(f"no recipe {shown(name)}{near}", hint="'vidaug recipes' lists them")


@cache
def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that come with the tool."""
    files = resources.files("vidaug_cli.recipes").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def _parse(text: str, name: str) -> TomlTable:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # tomllib's own, and Python's for a number of thousands of digits
        raise RecipeError(f"is not TOML: {error}", where=name) from error
    except RecursionError as error:
        raise RecipeError("is nested too deeply", where=name, hint="a recipe has tables of plain values") from error


_SHARES = {"augment": ("p", 1.0), "mix": ("weight", 1e6)}  # the key beside `op` of each kind of table, and its top


def _build(tables: Sequence[tuple[str, TomlTable]], where: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of some tables. Raises RecipeError with every fault of theirs and of the overrides."""
    table, faults = merge(tables)
    faults += [fault for override in overrides for fault in override_key(table, override)]
    augment, mix = (
        [_entry(kind, entry, f"{where}: {kind}.{index}", faults) for index, entry in enumerate(table[kind])]
        for kind in _SHARES
    )
    if not faults and mix and not any(weight for *_, weight in mix):
        faults.append(f"{where}: mix: every weight is 0")
    if faults:
        raise RecipeError("\n".join(faults))
    return Recipe(
        name=table["name"],
        summary=table["summary"],
        reference=table["reference"],
        augment=tuple(AugmentStep(*entry) for entry in augment),
        mix=tuple(MixMember(*entry) for entry in mix),
        mix_p=float(table["mix_p"]),
    )


def _entry(kind: str, entry: TomlTable, place: str, faults: list[str]) -> tuple[str, Any, float]:
    """Return name, op, and chance or weight of one table, and add what is wrong with it to `faults`."""
    key, top = _SHARES[kind]
    name, share, ops = op_name(kind, entry), entry.get(key, 1.0), OPS[kind]()
    if fault := type_fault(share, float) or ("" if 0 <= share <= top else f"{shown(share)} should be 0 to {top:g}"):
        faults.append(f"{place}.{key}: {fault}")
        share = 0
    if name not in ops:
        faults.append(f"{place}.op: {_op_fault(kind, entry)}")
        return name, None, share
    settings = {name: value for name, value in entry.items() if name not in ("op", key)}
    op, op_faults = _make_op(ops[name], settings, ["op", key])
    faults += [f"{place} ({name}): {fault}" for fault in op_faults]
    return name, op, float(share)


def _op_fault(kind: str, entry: TomlTable) -> str:
    """Return what is wrong with the `op` of a table, which is not an op of its kind."""
    if "op" not in entry:
        return "is missing"
    if fault := type_fault(entry["op"], str):
        return fault
    (other,) = OPS.keys() - {kind}
    known = op_name(other, entry)
    if known in OPS[other]():
        return f"no op {shown(entry['op'])}; {known} stands under [[{other}]]"
    near = nearest(entry["op"], OPS[kind]())
    return f"no op {shown(entry['op'])}{near or '; is the package that offers it installed?'}"


def _make_op(cls: type[Any], settings: TomlTable, other_keys: list[str]) -> tuple[Any, list[str]]:
    """Return an op from its settings, and what is wrong with them."""
    known = [field.name for field in fields(cls)]
    faults = [
        f"{shown(key)[1:-1]}: unknown key{nearest(key, [*known, *other_keys]) or _owners(key)}"
        for key in settings
        if key not in known
    ]
    wrong = dict(type_faults(settings, cls, extra=True))
    faults += [f"{key}: {fault}" for key, fault in wrong.items()]
    good = {key: as_tuples(value) for key, value in settings.items() if key in known and key not in wrong}
    try:
        return cls(**good), faults
    except (VidaugError, ValueError, TypeError) as error:
        # Beside other faults only what is said of a given value: of the rest they may be the cause.
        said = str(error).splitlines()
        return None, faults + [line for line in said if not faults or line.partition(" =")[0] in good]


def _owners(key: str) -> str:
    """Return `; cutout has it`, to end a message about a key that an op does not have; nothing where none has."""
    names = ops_with(key)
    return f"; {' and '.join(names)} {'has' if len(names) == 1 else 'have'} it" if names else ""
