"""Whether the shards of an output folder are whole and what the plan says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.augment.plan import Plan, drawn_otherwise, read_header, read_plan
from vidaug_cli.data.shard.check import check_shard
from vidaug_cli.data.shard.done import done_path, read_done, shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import ShardError
from vidaug_cli.workers import in_processes, track


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file of an output folder."""

    path: str
    what: str


def verify(out: Path, *, deep: bool = True, workers: int = 0, progress: bool = False) -> tuple[list[Fault], int]:
    """Every fault of an output folder, and how many shards were looked at.

    Raises ShardError when the plan itself cannot be read.
    """
    if other := drawn_otherwise(read_header(out)):
        raise ShardError(other, where=out, hint="verify it with that release")
    plan = read_plan(out)
    _plan.cache_clear()
    tasks = [(out, index, deep) for index in range(len(plan.shards))]
    faults: dict[int, list[str]] = {}
    checked = in_processes(_verify_shard, tasks, workers)
    for index, found in track(checked, len(tasks), "shard", "verify", show=progress):
        faults[index] = found
    known = {shard_path(out, index) for index in range(len(plan.shards))}
    strangers = sorted(set((out / "shards").glob("*.h5")) - known)
    return [
        *(Fault(str(shard_path(out, index)), what) for index in sorted(faults) for what in faults[index]),
        *(Fault(str(path), "is not a shard of this plan") for path in strangers),
    ], len(tasks)


def _verify_shard(out: Path, index: int, deep: bool) -> tuple[int, list[str]]:
    plan = _plan(out)
    path = shard_path(out, index)
    if not done_path(path).exists():
        return index, ["is not finished; the same 'vidaug augment' command continues"]
    try:
        done = read_done(done_path(path))
        faults = check_shard(path, done, deep=deep, row_labels=plan.labels)
        return index, faults or list(_against_plan(plan, index, path, {failure.clip for failure in done.failures}))
    except ShardError as error:
        return index, [str(error)]


@lru_cache(maxsize=1)
def _plan(out: Path) -> Plan:
    """The plan in `out`, read once in a process for all the shards it looks at."""
    return read_plan(out)


def _against_plan(plan: Plan, index: int, path: Path, left_out: set[int]) -> Iterator[str]:
    """Whether a shard that is whole in itself is the one the plan says."""
    wanted = [slot for group in plan.shards[index] for slot in group if slot.clip not in left_out]
    with Shard(path) as shard:
        header = shard.header
        for name, value in (
            ("plan_sha256", plan.sha256),
            ("recipe", plan.recipe.text),
            ("classes", plan.classes),
            ("seed", plan.seed),
            ("frames", plan.spec.frames),
            ("size", plan.spec.size),
            ("codec", plan.codec),
            ("quality", plan.quality),
            ("shard", index),
        ):
            if getattr(header, name) != value:
                yield f"{name} is not the plan's"
        stored = zip(*(shard.column(name).tolist() for name in ("clip", "copy")), shard.column("sources"), strict=True)
        if [(clip, copy, int(row)) for clip, copy, (row, _) in stored] != [tuple(slot) for slot in wanted]:
            yield "its clips are not the plan's"
        elif not _within_videos(plan, shard.column("sources"), shard.column("frames")):
            yield "it has frames that are not its videos'"


def _within_videos(plan: Plan, sources: NDArray[np.int64], frames: NDArray[np.int32]) -> bool:
    """Whether frame numbers (N, 2, T) lie in their videos, or in the segments of these; sources (N, 2), -1 for none."""
    first, count = np.array([(row.first, row.frames) for row in plan.rows]).T
    inside = (first[sources] <= frames.min(2)) & (frames.max(2) < (first + count)[sources])
    return bool((inside | (sources < 0)).all())
