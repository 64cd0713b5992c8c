"""A data set that grew: clips of the videos that are new, as another part of the folder that has those of the others.

A video stays what it is wherever it lies: see `video_of`. One whose content or class changed is gone, and another new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from vidaug_cli.augment.difference import settings_changed
from vidaug_cli.augment.plan import Plan, read_plans
from vidaug_cli.data.kinds import is_shards, next_part
from vidaug_cli.data.manifest import Row, Video, video_of
from vidaug_cli.errors import PlanError, SettingError
from vidaug_cli.words import count


@dataclass(frozen=True, kw_only=True)
class Extension:
    """What is to be made in a folder, so that it has the clips of all videos of a plan."""

    out: Path
    jobs: list[tuple[Plan, Path]]  # plans in the order of their folders; what is finished there stays
    stay: int  # videos that have a place there
    new: int
    gone: int  # that are there, and not among the videos

    @property
    def text(self) -> str:
        """One line for a person."""
        gone = f", and {self.gone} there are not in INPUT, or were others then" if self.gone else ""
        return f"{self.out}: {count(self.new, 'new video')}, {self.stay} are there already{gone}"


def extend(plan: Plan, out: Path) -> Extension:
    """Return what is to be made for the videos of a plan in `out`: what is left of its plans, and a part for the new.

    The new part has the settings of the plan, and the classes of those before with what is new after them. Where `out`
    has no shards it is the plan itself.

    Raises ShardError when `out` was made with other settings, VidaugError when the recipe mixes two videos and one is
    new.
    """
    plans = read_plans(out) if is_shards(out) else {}
    if not plans:
        return Extension(out=out, jobs=[(plan, out)], stay=0, new=len(plan.rows), gone=0)
    for folder, old in plans.items():
        if old.header.drawn_differently:
            raise PlanError(old.header.drawn_differently, where=folder, hint="choose another folder")
        if other := settings_changed(old.header, plan.header):
            hint = "--extend makes clips like those that are there; choose another folder for others"
            raise PlanError(f"was made with other settings: {', '.join(other)}", where=folder, hint=hint)
    there = {video_of(row) for old in plans.values() for row in old.rows}
    roots = {video_of(row): row.root for row in plan.rows}
    new = [row for row in plan.rows if video_of(row) not in there]
    jobs = [(_where_they_lie(old, roots), folder) for folder, old in plans.items()]
    if new:
        jobs.append((_plan_of(plan, new, plans.values(), out), next_part(out)))
    gone = len(there - roots.keys())
    return Extension(out=out, jobs=jobs, stay=len(plan.rows) - len(new), new=len(new), gone=gone)


def _where_they_lie(plan: Plan, roots: Mapping[Video, str]) -> Plan:
    """Return the plan with its videos where they are now."""
    if all(roots.get(video_of(row), row.root) == row.root for row in plan.rows):
        return plan
    return replace(plan, rows=tuple(replace(row, root=roots.get(video_of(row), row.root)) for row in plan.rows))


def _plan_of(plan: Plan, new: Sequence[Row], before: Iterable[Plan], out: Path) -> Plan:
    if len(new) == 1 and plan.recipe.mix and plan.rounds.copies:
        what = f"{new[0].name} is the one new video, and recipe {plan.recipe.name} mixes two"
        raise SettingError(what, where=out, hint="add it together with the next ones")
    classes = dict.fromkeys(chain.from_iterable(old.classes for old in before)) | dict.fromkeys(plan.classes)
    return replace(plan, rows=tuple(new), classes=tuple(classes))
