"""Recipes by name or path: TOML in, `Recipe` out; all faults at once, each with its place and a way out.

A recipe has `[[augment]]` tables, worked off in order on each clip by itself, and `[[mix]]` tables, of which at most
one is chosen for a clip, by weight; `mix_p` at the top is the chance that a clip is mixed at all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from vidaug_cli.errors import RecipeError, VidaugError
from vidaug_cli.recipe import AugmentStep, MixMember, Recipe
from vidaug_cli.schema import as_tuples, nearest, type_fault

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
    tables = [(name, _parse(read_recipe(name), name)) for name in names]
    faults: list[str] = []
    for name, table in tables:
        faults += [f"{name}: {fault}" for fault in _shape_faults(table)]
    _raise(faults)
    merged = _merge(tables)
    faults = [fault for override in overrides for fault in _override(merged, override)]
    _raise(faults)
    return _build(merged, " + ".join(names))


def parse_recipe(text: str, name: str) -> Recipe:
    """A `Recipe` from TOML text; `name` is what faults are reported under. Raises RecipeError."""
    table = _parse(text, name)
    _raise([f"{name}: {fault}" for fault in _shape_faults(table)])
    return _build(_merge([(table.get("name", name), table)]), name)


def read_recipe(name: str) -> str:
    """The TOML text of a shipped recipe or of a file. Raises RecipeError with the nearest name."""
    if name in shipped_recipes():
        return (resources.files("vidaug_cli.recipes") / f"{name}.toml").read_text("utf-8")
    from vidaug_cli.ops.mix import ALIASES  # loads torch, which takes longer than to list what ships

    if name in ALIASES:
        return read_recipe(ALIASES[name])
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
    names = [*shipped_recipes(), *ALIASES]
    raise RecipeError(f"no recipe {name!r}{nearest(name, names)}", hint="'vidaug recipes' lists them")


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
    from vidaug_cli.ops.mix import ALIASES, MIXES, Mix

    return {**MIXES, **{alias: MIXES[name] for alias, name in ALIASES.items()}, **_foreign_ops(Mix)}


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


_TOP = {"name": str, "summary": str, "reference": str, "mix_p": float, "augment": list, "mix": list}


def _shape_faults(table: Table) -> Iterator[str]:
    """Faults of the outermost keys."""
    for key, value in table.items():
        if key not in _TOP:
            yield f"{key}: unknown key{nearest(key, _TOP)}"
        elif fault := type_fault(value, _TOP[key]):
            yield f"{key}: {fault}"
        elif isinstance(value, list) and not all(isinstance(entry, dict) for entry in value):
            yield f"{key}: should be tables, [[{key}]]"
    if "mix_p" in table and not table.get("mix"):
        yield "mix_p: there is no [[mix]] that it could be the chance of"
    elif not type_fault(table.get("mix_p", 1.0), float) and not 0 <= table.get("mix_p", 1.0) <= 1:
        yield f"mix_p: {table['mix_p']} should be a chance, 0 to 1"


def _merge(tables: Iterable[tuple[str, Table]]) -> Table:
    named = list(tables)
    chances = {table.get("mix_p", 1.0) for _, table in named if table.get("mix")}
    if len(chances) > 1:
        raise RecipeError(f"the recipes have different mix_p: {sorted(chances)}", hint="make them one with a file")

    def joined(key: str) -> str:
        return "; ".join(table[key] for _, table in named if table.get(key))

    return {
        "name": "+".join(str(table.get("name", Path(name).stem)) for name, table in named),
        "summary": joined("summary"),
        "reference": joined("reference"),
        "mix_p": chances.pop() if chances else 1.0,
        "augment": [dict(entry) for _, table in named for entry in table.get("augment", [])],
        "mix": [dict(entry) for _, table in named for entry in table.get("mix", [])],
    }


def _override(table: Table, override: str) -> Iterator[str]:
    """Put one `--set KEY=VALUE` into the table; faults are yielded."""
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals:
        yield f"--set {override}: should be KEY=VALUE, such as fademixup.beta=0.4"
        return
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()  # a bare word is a string
    entries: list[Table] = [*table["augment"], *table["mix"]]
    by_op = [entry for entry in entries if entry.get("op") == keys[0]]
    match keys:
        case ["mix_p"]:
            table["mix_p"] = value
            yield from (f"--set {fault}" for fault in _shape_faults({"mix_p": value, "mix": table["mix"]}))
        case [_, key] if by_op:
            for entry in by_op:
                entry[key] = value
        case ["augment" | "mix" as kind, index, key] if index.isdigit() and int(index) < len(table[kind]):
            table[kind][int(index)][key] = value
        case _:
            places = ["mix_p"] + [f"{kind}.{i}" for kind in ("augment", "mix") for i in range(len(table[kind]))]
            places += dict.fromkeys(str(entry.get("op")) for entry in entries)
            yield f"--set {path}: the recipe has no such place{nearest('.'.join(keys[:-1]), places)}" + (
                f" (it has {', '.join(places)})"
            )


_SHARES = {"augment": ("p", 1.0), "mix": ("weight", 1e6)}  # the key beside `op` of each kind of table, and its top
_OPS: dict[str, Callable[[], dict[str, type[Any]]]] = {"augment": augment_ops, "mix": mix_ops}


def _build(table: Table, where: str) -> Recipe:
    """The recipe of a merged table. Raises RecipeError with every fault."""
    faults: list[str] = []

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
    name, share = str(entry.get("op")), entry.get(key, 1.0)
    faults = []
    if fault := type_fault(share, float) or ("" if 0 <= share <= top else f"{share} should be 0 to {top:g}"):
        faults.append(f".{key}: {fault}")
        share = 0
    ops = _OPS[kind]()
    if name not in ops:
        other = {"augment": "mix", "mix": "augment"}[kind]
        missing = nearest(name, ops) or "; is the package that offers it installed?"
        advice = f"; {name} stands under [[{other}]]" if name in _OPS[other]() else missing
        return name, None, share, [*faults, f".op: no op {name!r}{advice}" if "op" in entry else ".op: is missing"]
    settings = {name: value for name, value in entry.items() if name not in ("op", key)}
    op, op_faults = _make_op(ops[name], settings, ["op", key])
    return name, op, float(share), faults + [f" ({name}): {fault}" for fault in op_faults]


def _make_op(cls: type[Any], settings: Table, other_keys: list[str]) -> tuple[Any, list[str]]:
    """An op from its settings, or None and what is wrong with them."""
    hints = get_type_hints(cls)
    known = {field.name: hints[field.name] for field in fields(cls)}
    faults = [f"{key}: unknown key{nearest(key, [*known, *other_keys])}" for key in settings if key not in known]
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
