"""Ops by name: ours and those of other packages, as they are spelled here and as papers spell them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from functools import cache
from typing import Any

from vidaug_cli.errors import PluginError
from vidaug_cli.words import same_but_for_spelling, shown

TomlTable = dict[str, Any]
KINDS = ("augment", "mix")  # of tables in a recipe
ENTRY_POINTS = "vidaug.ops"  # other packages offer ops in this group


def aliases() -> dict[str, str]:
    """Return other names of ops and recipes, each with the name it stands for."""
    from vidaug_cli.ops.mix import ALIASES  # loads torch, which takes longer than to list what ships

    return ALIASES


@cache
def ops_of(kind: str) -> dict[str, type[Any]]:
    """Return the ops that may stand under `[[augment]]` or `[[mix]]`, by name: ours and those of other packages."""
    from vidaug_cli.ops.clips import ClipOp
    from vidaug_cli.ops.mix import CUTOUTS, MIXES, Mix
    from vidaug_cli.ops.randaugment import RANDAUGMENT

    if kind == "augment":
        return {**RANDAUGMENT, **CUTOUTS, **_foreign_ops(ClipOp)}
    return {**MIXES, **{alias: MIXES[name] for alias, name in aliases().items()}, **_foreign_ops(Mix)}


def _foreign_ops(base: type[Any]) -> dict[str, type[Any]]:
    from importlib import metadata  # here, as it takes longer to load than to list the recipes

    ops = {}
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            op = entry.load()
        except Exception as error:  # whatever another package's import raises, the user should read whose it was
            what = f"op {entry.name!r} cannot be loaded: {error}"
            raise PluginError(what, where=entry.value, hint="mend or uninstall its package") from error
        if isinstance(op, type) and issubclass(op, base):
            ops[entry.name] = op
    return ops


def spelled(name: str, names: Collection[str]) -> str:
    """Return a name as it is spelled among `names`; as it is where it is none of them."""
    return name if name in names else same_but_for_spelling(name, names) or name


def op_name(kind: str, entry: TomlTable) -> str:
    """Return the name of the op of a table, as we spell it where we know it."""
    name = entry.get("op")
    return spelled(name, ops_of(kind)) if isinstance(name, str) else shown(name)


def ops_with(key: str) -> list[str]:
    """Return the names of the ops that have this key."""
    every = {name: op for kind in KINDS for name, op in ops_of(kind).items() if name not in aliases()}
    return [name for name, op in every.items() if key in (field.name for field in fields(op))]
