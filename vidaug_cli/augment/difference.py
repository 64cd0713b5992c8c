"""What tells a plan from another, in words: settings by their values, classes and videos by how many came and went."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from vidaug_cli.augment.plan import Plan, PlanHeader, PlanSettings
from vidaug_cli.data.manifest import video_of
from vidaug_cli.data.rows import StoredRows
from vidaug_cli.errors import VidaugError
from vidaug_cli.recipe.registry import KINDS
from vidaug_cli.words import changes


def difference(plan: Plan, out: Path, there: PlanHeader) -> str:
    """Return `made from other videos (2 added, 0 removed), which differs in seed (0 there, 1 now)`.

    Args:
        plan: the one that is wanted now.
        out: an output folder.
        there: its header, of another plan.
    """
    now, told = plan.header, []
    if there.manifest_xxh3 != now.manifest_xxh3:
        told.append(f"made from {_videos(plan, out, there)}")
    differing = settings_changed(there, now)
    if there.classes != now.classes:
        moved = set(there.classes) == set(now.classes)
        differing.append("the order of classes" if moved else f"classes ({_moved(there.classes, now.classes)})")
    if differing:
        told.append(f"which differs in {', '.join(differing)}")
    return ", ".join(told)


def settings_changed(there: PlanHeader, now: PlanHeader) -> list[str]:
    """Return in which settings plans differ, whatever their videos and classes: `stride (2 to 6 there, 4 now)`."""
    recipes = _recipe(there.recipe), _recipe(now.recipe)
    if recipes[0]["recipe"] != recipes[1]["recipe"]:  # then their keys have nothing in common
        recipes = {"recipe": recipes[0]["recipe"]}, {"recipe": recipes[1]["recipe"]}
    told = changes(_settings(there) | recipes[0], _settings(now) | recipes[1])
    return told or (["recipe"] if there.recipe != now.recipe else [])  # or else in what it says of itself


def _settings(header: PlanHeader) -> dict[str, Any]:
    plain = {field.name: getattr(header, field.name) for field in fields(PlanSettings)}
    return plain | vars(header.clip)


def _recipe(text: str) -> dict[str, Any]:
    """Return name and keys of a recipe as --set spells them; no keys where it is damaged."""
    table: dict[str, Any] = {}
    with suppress(ValueError, RecursionError):
        table = tomllib.loads(text)
    keys = {
        f"{kind}.{place}.{key}": value
        for kind in KINDS
        for place, entry in enumerate(table.get(kind, ()))
        for key, value in entry.items()
    }
    return {"recipe": table.get("name"), "mix_p": table.get("mix_p")} | keys


def _videos(plan: Plan, out: Path, there: PlanHeader) -> str:
    try:
        before = {video_of(row) for row in StoredRows(out, there.classes)}
    except VidaugError:  # a damaged manifest: which they were is not known
        return "other videos"
    now = set(map(video_of, plan.rows))
    if before == now:
        return "the same videos in another order, or as another scan describes them"
    return f"other videos ({_moved(before, now)})"


def _moved(before: Collection[Any], now: Collection[Any]) -> str:
    return f"{len(set(now) - set(before))} added, {len(set(before) - set(now))} removed"
