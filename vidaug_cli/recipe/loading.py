"""Recipes by name or path: TOML in, `Recipe` out; all faults at once, each with its place and a way out.

A recipe has `[[augment]]` tables, worked off in order on each clip by itself, and `[[mix]]` tables, of which at most
one is chosen for a clip, by weight; `mix_p` at the top is the chance that a clip is mixed at all.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

from vidaug_cli.errors import RecipeError, VidaugError
from vidaug_cli.recipe.recipe import AugmentStep, MixMember, Recipe
from vidaug_cli.recipe.registry import OPS, Table, aliases, has_it, op_name
from vidaug_cli.recipe.tables import merge, override_key
from vidaug_cli.schema import as_tuples, type_fault
from vidaug_cli.words import nearest, same_but_for_spelling, shown

MAX_BYTES = 1_000_000


def load_recipe(*names: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipes of these names or paths as one: augment tables in order, mix tables pooled.

    Args:
        names: names of shipped recipes, or paths of TOML files.
        overrides: `augment.0.m=7`, `fademixup.beta=0.4` (every table of that op) or `mix_p=0.5`.

    Raises:
        RecipeError: with every fault, a line each.
    """
    faults: list[str] = []
    tables: list[tuple[str, Table]] = []
    for name in names:
        try:
            tables.append((shipped_name(name) or name, _parse(read_recipe(name), name)))
        except RecipeError as error:
            faults.append(str(error))
    _raise(faults)  # what the others lack cannot be said without these
    return _build(tables, " + ".join(names), overrides)


def parse_recipe(text: str, name: str) -> Recipe:
    """A `Recipe` from TOML text; `name` is what faults are reported under. Raises RecipeError."""
    return _build([(name, _parse(text, name))], name)


def shipped_name(name: str) -> str | None:
    """The recipe that ships under this name, spelled in any way (`CutMix`, `rand-augment-t`); None for a file."""
    if name in shipped_recipes() or name in aliases():
        return name
    is_file = os.path.isfile(name)  # noqa: PTH113 (says no to any odd name)
    return None if is_file else same_but_for_spelling(name, [*shipped_recipes(), *aliases()])


def read_recipe(name: str) -> str:
    """The TOML text of a shipped recipe or of a file. Raises RecipeError with the nearest name."""
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
    """Names of the recipes that come with the tool."""
    found = resources.files("vidaug_cli.recipes").iterdir()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in found if entry.name.endswith(".toml")))


def _parse(text: str, name: str) -> Table:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # tomllib's own, and Python's for a number of thousands of digits
        raise RecipeError(f"is not TOML: {error}", where=name) from error
    except RecursionError as error:
        raise RecipeError("is nested too deeply", where=name, hint="a recipe has tables of plain values") from error


_SHARES = {"augment": ("p", 1.0), "mix": ("weight", 1e6)}  # the key beside `op` of each kind of table, and its top


def _build(tables: Sequence[tuple[str, Table]], where: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of some tables. Raises RecipeError with every fault of theirs and of the overrides."""
    table, faults = merge(tables)
    faults += [fault for override in overrides for fault in override_key(table, override)]

    def entries(kind: str) -> list[tuple[str, Any, float]]:
        found = [_entry(kind, entry) for entry in table[kind]]
        for index, (*_, entry_faults) in enumerate(found):
            faults.extend(f"{where}: {kind}.{index}{fault}" for fault in entry_faults)
        return [(name, op, share) for name, op, share, _ in found]

    augment, mix = entries("augment"), entries("mix")
    if not faults and mix and not any(weight for *_, weight in mix):
        faults.append(f"{where}: mix: every weight is 0")
    _raise(faults)
    return Recipe(
        name=table["name"],
        summary=table["summary"],
        reference=table["reference"],
        augment=tuple(AugmentStep(*entry) for entry in augment),
        mix=tuple(MixMember(*entry) for entry in mix),
        mix_p=float(table["mix_p"]),
    )


def _entry(kind: str, entry: Table) -> tuple[str, Any, float, list[str]]:
    """Name, op, chance or weight, and faults of one table; where there are faults, the op is None."""
    key, top = _SHARES[kind]
    name, share = op_name(kind, entry), entry.get(key, 1.0)
    faults = []
    if fault := type_fault(share, float) or ("" if 0 <= share <= top else f"{shown(share)} should be 0 to {top:g}"):
        faults.append(f".{key}: {fault}")
        share = 0
    ops = OPS[kind]()
    if name not in ops:
        return name, None, share, [*faults, f".op: {_op_fault(kind, entry)}"]
    settings = {name: value for name, value in entry.items() if name not in ("op", key)}
    op, op_faults = _make_op(ops[name], settings, ["op", key])
    return name, op, float(share), faults + [f" ({name}): {fault}" for fault in op_faults]


def _op_fault(kind: str, entry: Table) -> str:
    """What is wrong with the `op` of a table, which is none of its kind."""
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


def _make_op(cls: type[Any], settings: Table, other_keys: list[str]) -> tuple[Any, list[str]]:
    """An op from its settings, or None and what is wrong with them."""
    hints = get_type_hints(cls)
    known = {field.name: hints[field.name] for field in fields(cls)}
    faults = [
        f"{shown(key)[1:-1]}: unknown key" + (nearest(key, [*known, *other_keys]) or has_it(key))
        for key in settings
        if key not in known
    ]
    faults += [f"{field.name}: is missing" for field in fields(cls) if _required(field) and field.name not in settings]
    for key, value in settings.items():
        if key in known and (fault := type_fault(value, known[key])):
            faults.append(f"{key}: {fault}")
    good = {
        key: as_tuples(value) for key, value in settings.items() if key in known and not type_fault(value, known[key])
    }
    try:
        made = cls(**good)
    except (VidaugError, ValueError, TypeError) as error:
        # Beside other faults only what is said of a given value: of the rest they may be the cause.
        said = str(error).splitlines()
        return None, faults + [line for line in said if not faults or line.partition(" =")[0] in good]
    return (None, faults) if faults else (made, [])


def _required(field: Field[Any]) -> bool:
    return field.init and field.default is MISSING and field.default_factory is MISSING


def _raise(faults: Iterable[str]) -> None:
    found = list(faults)
    if found:
        raise RecipeError("\n".join(found))
