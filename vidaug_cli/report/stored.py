"""The numbers of stored clips, and which of them a report shows moving. Loads no torch."""

from __future__ import annotations

import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from vidaug_cli.augment.inspect import op_names
from vidaug_cli.augment.output import StoredClip, find_clips
from vidaug_cli.augment.plan import ORIGINAL, PlanHeader
from vidaug_cli.data.rows import StoredRows
from vidaug_cli.data.sampling import clip_fps
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.report.clips import rate
from vidaug_cli.words import percent
from vidaug_cli.workers import track

READ = 1000  # clips whose numbers are in a report; of more, so many evenly spread
CLEAN = "crop and flip only"  # in place of ops


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The numbers of one clip."""

    place: StoredClip
    clip: int
    recipe: str
    shares: tuple[tuple[str, float], ...]  # classes of the label, that of the own video first
    own: str
    partner: str | None
    weights: tuple[float, ...]
    ops: tuple[str, ...]
    params: dict[str, Any]
    copy: int
    fps: float
    command: str

    @property
    def keys(self) -> dict[str, Any]:
        """What a reader filters by."""
        return {
            "class": [name for name, _ in self.shares],
            "op": list(dict.fromkeys(self.ops)) or [CLEAN],
            "recipe": [self.recipe],
        }

    @property
    def row(self) -> dict[str, Any]:
        """A row of the table of clips: plain numbers and words."""
        return self.keys | {
            "clip": self.clip,
            "label": " + ".join(f"{name} {percent(share)}" for name, share in self.shares),
            "ops": ", ".join(self.ops) or CLEAN,
            "own": round(float(np.mean(self.weights)), 4),
            "videos": " + ".join(filter(None, [self.own, self.partner])),
            "copy": "original" if self.copy == ORIGINAL else self.copy + 1,
            "command": self.command,
        }


def read_facts(
    source: Path, parts: dict[Path, PlanHeader], rows: dict[Path, StoredRows], *, progress: bool
) -> Iterator[Facts]:
    """Yield the numbers of up to `READ` clips, shard by shard."""
    places = sorted(find_clips(source, READ), key=lambda place: (str(place.folder), str(place.shard), place.place))
    for path, group in groupby(
        track(places, len(places), "clip", "read", show=progress), key=lambda place: place.shard
    ):
        with Shard(path) as shard:
            for place in group:
                yield _fact(place, shard, parts[place.folder], rows[place.folder])


def _fact(place: StoredClip, shard: Shard, header: PlanHeader, rows: StoredRows) -> Facts:
    index = place.place
    own, partner = shard.row("sources", index).tolist()
    label = shard.row("labels", index)
    classes = dict.fromkeys([str(rows[own].label), *(header.classes[k] for k in np.flatnonzero(label))])
    known = [(name, float(label[header.classes.index(name)])) for name in classes]
    number = int(shard.row("clip", index))
    params = shard.params(index)
    return Facts(
        place=place,
        clip=number,
        recipe=recipe_name(header.recipe),
        shares=tuple(known),
        own=rows[own].name,
        partner=rows[partner].name if partner >= 0 else None,
        weights=tuple(round(float(weight), 4) for weight in shard.row("weights", index)),
        ops=tuple(_op_names(params)),
        params=params,
        copy=int(shard.row("copy", index)),
        fps=rate(clip_fps(header.clip, rows[own])),
        command=shlex.join(["vidaug", "replay", str(place.folder), "--clip", str(number)]),
    )


def _op_names(params: dict[str, Any]) -> list[str]:
    """Return the names of the ops of a clip; none where another program left other numbers."""
    with suppress(LookupError, TypeError, AttributeError):
        return op_names(params)
    return []


def recipe_name(text: str) -> str:
    """Return what a stored recipe is called."""
    with suppress(tomllib.TOMLDecodeError, RecursionError):
        return str(tomllib.loads(text).get("name") or "recipe")
    return "recipe"


def choose(facts: Sequence[Facts], most: int) -> list[Facts]:
    """Return clips to show: of every class, op and recipe some, and of as many videos as there are.

    One by one, that clip is taken whose classes, ops, recipe and videos are the most and were shown least; of equals
    the first.
    """
    seen: Counter[tuple[str, str]] = Counter()
    left = dict(enumerate(map(_marks, facts)))
    chosen: list[int] = []
    while left and len(chosen) < most:
        best = max(left, key=lambda place: sum(1 / (1 + seen[mark]) for mark in left[place]))
        seen.update(left.pop(best))
        chosen.append(best)
    return [facts[place] for place in sorted(chosen, key=lambda place: facts[place].clip)]


def _marks(one: Facts) -> list[tuple[str, str]]:
    marks = [(kind, name) for kind, names in one.keys.items() for name in names]
    return [*marks, ("video", one.own), *([("video", one.partner)] if one.partner else [])]
