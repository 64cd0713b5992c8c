"""Whether the shards of an output folder are whole and what the plan says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.augment.output import add_failures
from vidaug_cli.augment.plan import Plan, read_header, read_plan, shared_plan
from vidaug_cli.data.kinds import parts_of
from vidaug_cli.data.rows import StoredRows
from vidaug_cli.data.shard.check import check_shard
from vidaug_cli.data.shard.format import done_path, read_done, shard_folders, shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import ShardError
from vidaug_cli.workers import in_processes, track


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file of an output folder."""

    path: str
    what: str


def verify(out: Path, *, deep: bool = True, workers: int = 0, progress: bool = False) -> tuple[list[Fault], int]:
    """Return every fault of an output folder and its parts, and how many shards were looked at.

    With `deep`, every byte is read. Raises ShardError when a plan itself cannot be read.
    """
    each = [_verify(part, deep=deep, workers=workers, progress=progress) for part in parts_of(out)]
    return [fault for faults, _ in each for fault in faults], sum(shards for _, shards in each)


def _verify(out: Path, *, deep: bool, workers: int, progress: bool) -> tuple[list[Fault], int]:
    if other := read_header(out).drawn_differently:
        raise ShardError(other, where=out, hint="verify it with that release")
    plan = read_plan(out)
    paths = [shard_path(out, index) for index in range(plan.shard_count)]
    checked = in_processes(partial(_verify_shard, out, plan.sha256, deep), [(i,) for i in range(len(paths))], workers)
    faults = dict(track(checked, len(paths), "shard", "verify", show=progress))
    add_failures(out, plan.shard_count)
    there = chain.from_iterable(folder.glob("*.h5") for folder in shard_folders(out))
    strangers = sorted(set(there) - set(paths))
    return [
        *(Fault(str(error.where), error.what) for error in StoredRows(out, plan.classes).faults()),
        *(Fault(str(path), what) for index, path in enumerate(paths) for what in faults[index]),
        *(Fault(str(path), "is not a shard of this plan") for path in strangers),
    ], len(paths)


def _verify_shard(out: Path, sha256: str, deep: bool, index: int) -> tuple[int, list[str]]:
    plan, path = shared_plan(out, sha256), shard_path(out, index)
    if not done_path(path).exists():
        return index, ["is not finished; the same 'vidaug augment' command continues"]
    try:
        done = read_done(done_path(path))
        faults = check_shard(path, done, deep=deep, row_labels=plan.labels)
        return index, faults or list(_against_plan(plan, index, path, {failure.clip for failure in done.failures}))
    except ShardError as error:
        return index, [str(error)]


def _against_plan(plan: Plan, index: int, path: Path, left_out: set[int]) -> Iterator[str]:
    """Yield in what a shard that is whole in itself is not the one that the plan says."""
    wanted = [slot for slot in plan.slots(index) if slot.clip not in left_out]
    with Shard(path) as shard:
        planned = vars(plan.shard_header(index, shard.header.device))
        there = vars(shard.header)
        differing = (name for name in there if name != "plan_sha256" and there[name] != planned[name])
        yield from (f"{name} is not that of the plan" for name in differing)
        if shard.header.plan_sha256 != plan.sha256:
            yield "is of another plan"
        stored = zip(*(shard.column(name).tolist() for name in ("clip", "copy")), shard.column("sources"), strict=True)
        if [(clip, copy, int(row)) for clip, copy, (row, _) in stored] != [tuple(slot) for slot in wanted]:
            yield "its clips are not the plan's"
        elif not _within_videos(plan, shard.column("sources"), shard.column("frames")):
            yield "it has frames that are not its videos'"


def _within_videos(plan: Plan, sources: NDArray[np.int64], frames: NDArray[np.int32]) -> bool:
    """Return whether all frames (N, 2, T) lie in their videos, or the segments of these; sources (N, 2), -1: none."""
    videos, places = np.unique(sources, return_inverse=True)
    place = places.ravel()  # which has the shape of sources since numpy 2
    rows = [plan.rows[video] for video in videos.tolist()]  # -1 is some row, and does not count
    first, count = np.array([(row.first, row.frames) for row in rows], np.int64).reshape(-1, 2).T
    inside = (first[place] <= frames.min(2).ravel()) & (frames.max(2).ravel() < (first + count)[place])
    return bool((inside | (sources.ravel() < 0)).all())
