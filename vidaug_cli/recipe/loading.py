"""Recipes by name or path: TOML in, `Recipe` out; all faults at once, each with its place and a way out.

A recipe has `[[augment]]` tables, applied in order to each clip by itself, and `[[mix]]` tables, of which at most
one is chosen for a clip, by weight; `mix_p` at the top is the chance that a clip is mixed at all.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from importlib import resources
from itertools import starmap
from pathlib import Path
from typing import Any

from vidaug_cli.errors import RecipeError, UnknownRecipeError, VidaugError, cannot_read
from vidaug_cli.recipe.notes import Caution, Measured
from vidaug_cli.recipe.recipe import AugmentStep, MixMember, Recipe
from vidaug_cli.recipe.registry import KINDS, TomlTable, aliases, op_name, ops_of, ops_with, spelled
from vidaug_cli.schema import as_tuples, parse, type_fault, type_faults
from vidaug_cli.words import human_bytes, nearest, printable, same_but_for_spelling, shown

MAX_BYTES = 1_000_000
_NOTES = {"measured": Measured, "caution": Caution}  # tables that people are shown, and that make no clip
_TOP = {"name": str, "summary": str, "reference": str, "mix_p": float, "augment": list, "mix": list, **_NOTES}
_SHARES = {"augment": ("p", 1.0), "mix": ("weight", 1e6)}  # the key beside `op` of each kind of table, and its top


def load_recipe(*names: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipes of these names or paths as one: augment tables in order, mix tables pooled.

    Args:
        names: names of shipped recipes, or paths of TOML files.
        overrides: `augment.0.m=7`, `fademixup.beta=0.4` (every table of that op) or `mix_p=0.5`.

    Raises:
        RecipeError: with every fault, a line each.
    """
    faults: list[RecipeError] = []
    tables: list[tuple[str, TomlTable]] = []
    for name in names:
        try:
            tables.append((shipped_name(name) or printable(name), _parse(read_recipe(name), name)))
        except RecipeError as error:
            faults.append(error)
    if faults:  # what the others lack cannot be said without these
        kind = RecipeError if len({*map(type, faults)}) > 1 else type(faults[0])
        raise kind("\n".join(printable(str(fault)) for fault in faults))
    return _build(tables, printable(" + ".join(names)), overrides)


def parse_recipe(text: str, name: str) -> Recipe:
    """Return the recipe that a TOML text holds; `name` is what faults are reported under. Raises RecipeError."""
    return _build([(name, _parse(text, name))], name)


class StoredRecipe(Recipe):
    """A recipe as its text lies with clips. It is parsed where more of it is asked for, as that loads torch.

    Args:
        text: TOML, as `Recipe.text` has written it.
        where: what faults are reported under.
    """

    def __init__(self, text: str, where: str) -> None:
        vars(self).update(text=text, where=where)

    def __getattr__(self, name: str) -> Any:
        """Return a field, of which none is there before the first is asked for. Raises RecipeError."""
        if name not in (known := [field.name for field in fields(Recipe)]):
            raise AttributeError(name)
        recipe = parse_recipe(self.text, self.where)
        if recipe.text != self.text:
            raise RecipeError(
                "is not the recipe that was stored", where=self.where, hint="use the release that wrote it"
            )
        vars(self).update((each, getattr(recipe, each)) for each in known)
        return vars(self)[name]


def shipped_name(name: str) -> str | None:
    """Return the shipped recipe of this name, spelled in any way (`CutMix`, `rand-augment-t`); None for a file."""
    if name in shipped_recipes() or name in aliases():
        return name
    is_file = os.path.isfile(name)  # noqa: PTH113 (says no to any odd name)
    return None if is_file else same_but_for_spelling(name, [*shipped_recipes(), *aliases()])


def read_recipe(name: str) -> str:
    """Return the TOML text of a shipped recipe or of a file. Raises RecipeError with the nearest name."""
    if shipped := shipped_name(name):
        file = shipped if shipped in shipped_recipes() else aliases()[shipped]
        return (resources.files("vidaug_cli.recipes") / f"{file}.toml").read_text("utf-8")
    path = Path(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError("is too large for a recipe", where=name, hint=f"{human_bytes(MAX_BYTES)} are the most")
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError("is not text in UTF-8", where=name, hint="a recipe is TOML") from error
    except OSError as error:
        if path.suffix == ".toml" or len(path.parts) > 1:
            kind = UnknownRecipeError if isinstance(error, FileNotFoundError) else RecipeError
            raise cannot_read(error, name, kind=kind) from error
    except ValueError:  # no path holds a zero byte
        pass
    near = nearest(name, [*shipped_recipes(), *aliases()])
    raise UnknownRecipeError(f"no recipe {shown(name)}{near}", hint="'vidaug recipes' lists them")


@cache
def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that come with the tool."""
    files = resources.files("vidaug_cli.recipes").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def stored_cautions(recipe: Recipe) -> Mapping[str, Caution]:
    """Return the cautions of a recipe that was read from a stored text, which has none, if it is as it ships."""
    names = recipe.name.split("+")
    if not set(names) <= set(shipped_recipes()):
        return {}
    shipped = load_recipe(*names)
    return shipped.cautions if shipped == recipe else {}


def _parse(text: str, name: str) -> TomlTable:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # tomllib's own, and Python's for a number of thousands of digits
        raise RecipeError(f"is not TOML: {error}", where=name) from error
    except RecursionError as error:
        raise RecipeError("is nested too deeply", where=name, hint="a recipe has tables of plain values") from error


def _build(tables: Sequence[tuple[str, TomlTable]], where: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of some tables. Raises RecipeError with every fault of theirs and of the overrides."""
    table, faults = _merge(tables)
    faults += [fault for override in overrides for fault in _override(table, override)]
    augment, mix = (
        [_entry(kind, entry, f"{where}: {kind}.{index}", faults) for index, entry in enumerate(table[kind])]
        for kind in KINDS
    )
    if not faults and mix and not any(weight for *_, weight in mix):
        faults.append(f"{where}: mix: every weight is 0")
    if faults:
        raise RecipeError("\n".join(faults))
    steps = {"augment": tuple(starmap(AugmentStep, augment)), "mix": tuple(starmap(MixMember, mix))}
    return Recipe(**table | steps | {"mix_p": float(table["mix_p"])})


def _shape_faults(table: TomlTable) -> Iterator[tuple[str, str]]:
    """Yield the outermost keys that are wrong, each with what is wrong with it."""
    for key, value in table.items():
        tables = isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
        if key not in _TOP:
            yield key, f"unknown key{nearest(key, _TOP)}"
        elif _TOP[key] is list and isinstance(value, dict | list) and not tables:
            yield key, f"should be one or more tables [[{key}]]"
        else:
            yield from (
                (key, f"{place}: {fault}" if place else fault) for place, fault in type_faults(value, _TOP[key])
            )
    if "mix_p" in table and not table.get("mix"):
        yield "mix_p", "is the chance of [[mix]], and there is none"
    elif not type_fault(chance := table.get("mix_p", 1.0), float) and not 0 <= chance <= 1:
        yield "mix_p", f"{shown(chance)} should be a chance, 0 to 1"


def _merge(named: Sequence[tuple[str, TomlTable]]) -> tuple[TomlTable, list[str]]:
    """Return one table of all, with what is good of each, and the faults of the rest."""
    faults = []
    for name, table in named:
        for key, fault in list(_shape_faults(table)):
            faults.append(f"{name}: {shown(key)[1:-1]}: {fault}")
            table.pop(key, None)
    chances = {table.get("mix_p", 1.0) for _, table in named if table.get("mix")}
    if len(chances) > 1:
        those = " and ".join(f"{chance:g}" for chance in sorted(chances))
        faults.append(f"the recipes have different mix_p, {those}: put them into one file with one mix_p")

    names = [str(table.get("name", Path(name).stem)) for name, table in named]
    notes = zip(names, (table.get("caution") for _, table in named), strict=True)
    return {
        "name": "+".join(names),
        **{key: "; ".join(table[key] for _, table in named if table.get(key)) for key in ("summary", "reference")},
        "mix_p": chances.pop() if chances else 1.0,
        **{kind: [dict(entry) for _, table in named for entry in table.get(kind, [])] for kind in KINDS},
        "cautions": {name: parse(Caution, caution) for name, caution in notes if caution},
    }, faults


def _override(table: TomlTable, override: str) -> Iterator[str]:
    """Put one `--set KEY=VALUE` into the table, and yield what is wrong with it."""
    keys, value = _key_and_value(override)
    entries = [(op_name(kind, entry), entry) for kind in KINDS for entry in table[kind]]
    names = list(dict.fromkeys(name for name, _ in entries))
    match keys:
        case []:
            yield f"--set {shown(override)[1:-1]}: should be KEY=VALUE, such as fademixup.beta=0.4"
        case ["mix_p"]:
            table["mix_p"] = value
            yield from (f"--set {key}: {fault}" for key, fault in _shape_faults({"mix_p": value, "mix": table["mix"]}))
        case [name, key] if named := [entry for op, entry in entries if op == spelled(name, names)]:
            for entry in named:
                entry[key] = value
        case ["augment" | "mix" as kind, index, key] if index in map(str, range(len(table[kind]))):
            table[kind][int(index)][key] = value
        case _:
            places = ["mix_p", *(f"{kind}.{i}" for kind in KINDS for i in range(len(table[kind]))), *names]
            what = f"the recipe has no such place{nearest('.'.join(keys[:-1]), places)} (it has {', '.join(places)})"
            owners = ops_with(keys[-1])
            if near := [name for name in owners if name in names]:
                what += f"; {keys[-1]} is a key of {near[0]}: try {near[0]}.{keys[-1]}"
            elif owners:
                what += f"; {keys[-1]} is a key of {' and '.join(owners)}, which the recipe does not have"
            yield f"--set {shown('.'.join(keys))[1:-1]}: {what}"


def _key_and_value(override: str) -> tuple[list[str], Any]:
    """Return the parts of the key and the value of `KEY=VALUE`, read as TOML; what is no value of TOML is a string.

    There are no parts where it is something else.
    """
    match = re.fullmatch(r"\s*([\w.-]+)\s*=(.*)", override, re.ASCII | re.DOTALL)
    if match is None:
        return [], None
    text = match[2].strip()
    try:
        (value,) = tomllib.loads(f"value={text}").values()
    except (ValueError, RecursionError):
        value = text
    return match[1].split("."), text if isinstance(value, dict) else value


def _entry(kind: str, entry: TomlTable, place: str, faults: list[str]) -> tuple[str, Any, float]:
    """Return name, op, and chance or weight of one table, and add what is wrong with it to `faults`."""
    key, top = _SHARES[kind]
    name, share, ops = op_name(kind, entry), entry.get(key, 1.0), ops_of(kind)
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
    other = "mix" if kind == "augment" else "augment"
    if (known := op_name(other, entry)) in ops_of(other):
        return f"no op {shown(entry['op'])}; {known} stands under [[{other}]]"
    near = nearest(entry["op"], ops_of(kind))
    return f"no op {shown(entry['op'])}{near or '; is the package that offers it installed?'}"


def _make_op(cls: type[Any], settings: TomlTable, other_keys: list[str]) -> tuple[Any, list[str]]:
    """Return an op from its settings, and what is wrong with them."""
    wrong = dict(type_faults(settings, cls))
    unknown = [key for key, fault in wrong.items() if fault == "unknown key"]  # and no known one is near
    advice = {key: nearest(key, other_keys) or _owners(key) for key in unknown}
    faults = [f"{key}: {fault}{advice.get(key, '')}" for key, fault in wrong.items()]
    known = {field.name for field in fields(cls)} - wrong.keys()
    good = {key: as_tuples(value) for key, value in settings.items() if key in known}
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
