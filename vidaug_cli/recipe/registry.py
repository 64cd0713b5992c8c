"""Ops by name: ours and those of other packages, as they are spelled here and as papers spell them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any

from vidaug_cli.errors import RecipeError
from vidaug_cli.words import same_but_for_spelling, shown

if TYPE_CHECKING:
    from vidaug_cli.ops.clips import ClipOp
    from vidaug_cli.ops.mix import Mix

TomlTable = dict[str, Any]
ENTRY_POINTS = "vidaug.ops"  # other packages offer ops in this group


def aliases() -> dict[str, str]:
    """Return other names of ops and recipes, each with the name it stands for."""
    from vidaug_cli.ops.mix import ALIASES  # loads torch, which takes longer than to list what ships

    return ALIASES


@cache
def augment_ops() -> dict[str, type[ClipOp]]:
    """Return the ops that may stand under `[[augment]]`, by name: ours and those of other packages."""
    from vidaug_cli.ops.clips import ClipOp
    from vidaug_cli.ops.mix import CUTOUTS
    from vidaug_cli.ops.randaugment import RANDAUGMENT

    return {**RANDAUGMENT, **CUTOUTS, **_foreign_ops(ClipOp)}


@cache
def mix_ops() -> dict[str, type[Mix]]:
    """Return the ops that may stand under `[[mix]]`, by name: ours and those of other packages."""
    from vidaug_cli.ops.mix import MIXES, Mix

    return {**MIXES, **{alias: MIXES[name] for alias, name in aliases().items()}, **_foreign_ops(Mix)}


def _foreign_ops(base: type[Any]) -> dict[str, type[Any]]:
    from importlib import metadata  # here, as it takes longer to load than to list the recipes

    ops = {}
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            op = entry.load()
        except Exception as error:  # whatever another package's import raises, the user should read whose it was
            raise RecipeError(
                f"op {entry.name!r} cannot be loaded: {error}", where=entry.value, hint="mend or uninstall its package"
            ) from error
        if isinstance(op, type) and issubclass(op, base):
            ops[entry.name] = op
    return ops


OPS: dict[str, Callable[[], dict[str, type[Any]]]] = {"augment": augment_ops, "mix": mix_ops}


def op_name(kind: str, entry: TomlTable) -> str:
    """Return the name of the op of a table, as we spell it where we know it."""
    name = entry.get("op")
    if not isinstance(name, str):
        return shown(name)
    ops = OPS[kind]()
    return name if name in ops else same_but_for_spelling(name, ops) or name


def any_op(name: str) -> str:
    """Return an op's name of either kind of table, as we spell it."""
    return next((known for kind in OPS if (known := op_name(kind, {"op": name})) in OPS[kind]()), name)


def ops_with(key: str) -> list[str]:
    """Return the names of the ops that have this key."""
    every = {name: op for ops in OPS.values() for name, op in ops().items() if name not in aliases()}
    return [name for name, op in every.items() if key in (field.name for field in fields(op))]
