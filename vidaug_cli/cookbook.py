"""Recipes by name or path: TOML in, `Recipe` out; all faults at once, each with its place and a way out.

A recipe has `[[augment]]` tables, worked off in order on each clip by itself, and `[[mix]]` tables, of which at most
one is chosen for a clip, by weight; `mix_p` at the top is the chance that a clip is mixed at all.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from vidaug_cli.errors import RecipeError, VidaugError
from vidaug_cli.recipe import AugmentStep, MixMember, Recipe
from vidaug_cli.schema import as_tuples, nearest, same_but_for_spelling, shown, type_fault

if TYPE_CHECKING:
    from vidaug_cli.ops.clips import ClipOp
    from vidaug_cli.ops.mix import Mix

Table = dict[str, Any]
ENTRY_POINTS = "vidaug.ops"  # other packages offer ops in this group
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
    if name in shipped_recipes() or name in _aliases():
        return name
    is_file = os.path.isfile(name)  # noqa: PTH113 (says no to any odd name)
    return None if is_file else same_but_for_spelling(name, [*shipped_recipes(), *_aliases()])


def read_recipe(name: str) -> str:
    """The TOML text of a shipped recipe or of a file. Raises RecipeError with the nearest name."""
    if name in shipped_recipes():
        return (resources.files("vidaug_cli.recipes") / f"{name}.toml").read_text("utf-8")
    if shipped := shipped_name(name):
        return read_recipe(_aliases().get(shipped, shipped))
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
    near = nearest(name, [*shipped_recipes(), *_aliases()])
    raise RecipeError(f"no recipe {shown(name)}{near}", hint="'vidaug recipes' lists them")


def _aliases() -> dict[str, str]:
    """Other names of ops and recipes."""
    from vidaug_cli.ops.mix import ALIASES  # loads torch, which takes longer than to list what ships

    return ALIASES


@cache
def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the tool."""
    found = resources.files("vidaug_cli.recipes").iterdir()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in found if entry.name.endswith(".toml")))


@cache
def augment_ops() -> dict[str, type[ClipOp]]:
    """Ops that may stand under `[[augment]]`, by name: ours and those of other packages."""
    from vidaug_cli.ops.clips import ClipOp
    from vidaug_cli.ops.mix import CUTOUTS
    from vidaug_cli.ops.randaugment import RANDAUGMENT

    return {**RANDAUGMENT, **CUTOUTS, **_foreign_ops(ClipOp)}


@cache
def mix_ops() -> dict[str, type[Mix]]:
    """Ops that may stand under `[[mix]]`, by name: ours and those of other packages."""
    from vidaug_cli.ops.mix import MIXES, Mix

    return {**MIXES, **{alias: MIXES[name] for alias, name in _aliases().items()}, **_foreign_ops(Mix)}


def _foreign_ops(base: type[Any]) -> dict[str, type[Any]]:
    found = {}
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            op = entry.load()
        except Exception as error:  # whatever another package's import raises, the user should read whose it was
            raise RecipeError(
                f"op {entry.name!r} cannot be loaded: {error}", where=entry.value, hint="mend or uninstall its package"
            ) from error
        if isinstance(op, type) and issubclass(op, base):
            found[entry.name] = op
    return found


def _parse(text: str, name: str) -> Table:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # tomllib's own, and Python's for a number of thousands of digits
        raise RecipeError(f"is not TOML: {error}", where=name) from error
    except RecursionError as error:
        raise RecipeError("is nested too deeply", where=name, hint="a recipe has tables of plain values") from error


_TOP = {"name": str, "summary": str, "reference": str, "mix_p": float, "augment": list, "mix": list}


def _shape_faults(table: Table) -> Iterator[tuple[str, str]]:
    """The outermost keys that are wrong, each with what is wrong with it."""
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


def _merge(named: Sequence[tuple[str, Table]]) -> tuple[Table, list[str]]:
    """One table of all, with what is good of each, and what is not."""
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


def _override(table: Table, override: str) -> Iterator[str]:
    """Put one `--set KEY=VALUE` into the table; faults are yielded."""
    keys, value = _key_and_value(override)
    entries: list[tuple[str, Table]] = [(kind, entry) for kind in _OPS for entry in table[kind]]
    match keys:
        case []:
            yield f"--set {shown(override)[1:-1]}: should be KEY=VALUE, such as fademixup.beta=0.4"
        case ["mix_p"]:
            table["mix_p"] = value
            faults = _shape_faults({"mix_p": value, "mix": table["mix"]})
            yield from (f"--set {key}: {fault}" for key, fault in faults)
        case [name, key] if named := [entry for kind, entry in entries if _op_name(kind, entry) == _any_op(name)]:
            for entry in named:
                entry[key] = value
        case ["augment" | "mix" as kind, index, key] if index in map(str, range(len(table[kind]))):
            table[kind][int(index)][key] = value
        case _:
            names = list(dict.fromkeys(_op_name(kind, entry) for kind, entry in entries))
            places = ["mix_p", *(f"{kind}.{i}" for kind in _OPS for i in range(len(table[kind]))), *names]
            what = f"the recipe has no such place{nearest('.'.join(keys[:-1]), places)} (it has {', '.join(places)})"
            homes = _homes(keys[-1])
            if near := [name for name in homes if name in names]:
                what += f"; {keys[-1]} is a key of {near[0]}: try {near[0]}.{keys[-1]}"
            elif homes:
                what += f"; {keys[-1]} is a key of {' and '.join(homes)}, which the recipe does not have"
            yield f"--set {shown('.'.join(keys))[1:-1]}: {what}"


def _key_and_value(override: str) -> tuple[list[str], Any]:
    """The parts of the key and the value of `KEY=VALUE`, read as TOML, where a bare word is a string; else no parts."""
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


def _has_it(key: str) -> str:
    homes = _homes(key)
    return f"; {' and '.join(homes)} {'has' if len(homes) == 1 else 'have'} it" if homes else ""


def _homes(key: str) -> list[str]:
    """Names of the ops that have this key."""
    every = {name: op for ops in _OPS.values() for name, op in ops().items() if name not in _aliases()}
    return [name for name, op in every.items() if key in (field.name for field in fields(op))]


_SHARES = {"augment": ("p", 1.0), "mix": ("weight", 1e6)}  # the key beside `op` of each kind of table, and its top
_OPS: dict[str, Callable[[], dict[str, type[Any]]]] = {"augment": augment_ops, "mix": mix_ops}


def _build(tables: Sequence[tuple[str, Table]], where: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of some tables. Raises RecipeError with every fault of theirs and of the overrides."""
    table, faults = _merge(tables)
    faults += [fault for override in overrides for fault in _override(table, override)]

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


def _op_name(kind: str, entry: Table) -> str:
    """The name of the op of a table, as we spell it where we know it."""
    name = entry.get("op")
    if not isinstance(name, str):
        return shown(name)
    ops = _OPS[kind]()
    return name if name in ops else same_but_for_spelling(name, ops) or name


def _any_op(name: str) -> str:
    """An op's name of either kind of table, as we spell it."""
    return next((known for kind in _OPS if (known := _op_name(kind, {"op": name})) in _OPS[kind]()), name)


def _entry(kind: str, entry: Table) -> tuple[str, Any, float, list[str]]:
    """Name, op, chance or weight, and faults of one table; where there are faults, the op is None."""
    key, top = _SHARES[kind]
    name, share = _op_name(kind, entry), entry.get(key, 1.0)
    faults = []
    if fault := type_fault(share, float) or ("" if 0 <= share <= top else f"{shown(share)} should be 0 to {top:g}"):
        faults.append(f".{key}: {fault}")
        share = 0
    ops = _OPS[kind]()
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
    (other,) = _OPS.keys() - {kind}
    known = _op_name(other, entry)
    if known in _OPS[other]():
        return f"no op {shown(entry['op'])}; {known} stands under [[{other}]]"
    near = nearest(entry["op"], _OPS[kind]())
    return f"no op {shown(entry['op'])}{near or '; is the package that offers it installed?'}"


def _make_op(cls: type[Any], settings: Table, other_keys: list[str]) -> tuple[Any, list[str]]:
    """An op from its settings, or None and what is wrong with them."""
    hints = get_type_hints(cls)
    known = {field.name: hints[field.name] for field in fields(cls)}
    faults = [
        f"{shown(key)[1:-1]}: unknown key" + (nearest(key, [*known, *other_keys]) or _has_it(key))
        for key in settings
        if key not in known
    ]
    faults += [f"{field.name}: is missing" for field in fields(cls) if _required(field) and field.name not in settings]
    for key, value in settings.items():
        if key in known and (fault := type_fault(value, known[key])):
            faults.append(f"{key}: {fault}")
    if faults:
        return None, faults
    try:
        return cls(**{key: as_tuples(value) for key, value in settings.items()}), []
    except (VidaugError, ValueError, TypeError) as error:
        return None, str(error).splitlines()


def _required(field: Field[Any]) -> bool:
    return field.init and field.default is MISSING and field.default_factory is MISSING


def _raise(faults: Iterable[str]) -> None:
    found = list(faults)
    if found:
        raise RecipeError("\n".join(found))
