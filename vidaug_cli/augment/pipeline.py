"""Shards from end to end: decoded, augmented and written one after the other on the CPU, all at once around a GPU."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from vidaug_cli.augment.output import to_retry
from vidaug_cli.augment.plan import Plan, shared_plan
from vidaug_cli.augment.render import Engine, Gathering, decode, draw_cut, failure_of, group_pixels, thread_guard
from vidaug_cli.data.shard.format import DoneRecord, Failure, done_path, read_done, shard_path
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.errors import VideoError

OnError = Literal["skip", "fail"]


def render_shard(
    plan: Plan, out: Path, index: int, engine: Engine, on_error: OnError = "skip"
) -> Generator[None, None, DoneRecord]:
    """Write one whole shard and its done record, and return that. The same plan and index always give the same bytes.

    Yields after each video that is decoded and each clip that is written; closed there, it leaves nothing.

    Raises VideoError for the first video that fails, when `on_error` is "fail".
    """
    guard, memory = thread_guard(engine.limits)
    with ShardWriter(shard_path(out, index), plan.shard_header(index, engine.kind)) as writer:
        for group in plan.groups(index):
            gathering = Gathering(plan, group, group_pixels(plan, memory))
            for row in gathering.rows:
                gathering.decode(guard, row)
                yield
            writer.failures += gathering.failures
            if writer.failures and on_error == "fail":
                raise _first_failure(writer.failures)
            for record in gathering.clips(engine):
                writer.append(record)
                yield
    return read_done(done_path(shard_path(out, index)))


def _first_failure(failures: Sequence[Failure]) -> VideoError:
    """Return what ends a run in which no video may fail."""
    return VideoError(failures[0].reason, where=failures[0].path, hint="--on-error skip leaves it out")


def retry(plan: Plan, out: Path, done: DoneRecord, engine: Engine, *, every: bool) -> DoneRecord | None:
    """Try the clips again that were left out of a finished shard: those that may be readable by now, or `every` one.

    A video's clips are read together, as rendering does. Where none of them is readable, the shard stays as it is, and
    its record with the reasons of today is returned; None where the shard has to be made anew.
    """
    failures, slots = {failure.clip: failure for failure in done.failures}, plan.slots(done.shard)
    guard, memory = thread_guard(engine.limits)
    pixels = group_pixels(plan, memory)[:, 0]
    again_of = {failure.clip for failure in to_retry(done, every)}
    for row in dict.fromkeys(slot.row for slot in slots if slot.clip in again_of):
        cuts = [draw_cut(plan, slot) for slot in slots if slot.row == row]
        try:
            decode(plan, guard, cuts, list(pixels[: len(cuts)]))
            return None
        except VideoError as error:
            failures |= {cut.slot.clip: failure_of(plan, cut.slot, error) for cut in cuts}
    again = replace(done, failures=tuple(failures.values()))
    if again != done:
        again.write(done_path(shard_path(out, done.shard)))
    return again


def finish_shard(
    out: Path, sha256: str, engine: Engine, on_error: OnError, retry_failed: bool, index: int, done: DoneRecord | None
) -> Generator[None, None, DoneRecord]:
    """Render one shard of the plan in `out`, in steps, in a worker process or in this one, and return its record.

    Of one that is `done`, the clips that were left out are tried first, and where all fail again the shard stays.
    """
    if engine.device == "cuda":  # a worker cannot be pinned to a GPU, so the GPUs share the shards
        engine = replace(engine, device=f"cuda:{index % torch.cuda.device_count()}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the workers share the cores
    try:
        plan = shared_plan(out, sha256)
        kept = retry(plan, out, done, engine, every=retry_failed) if done else None
        if kept and on_error == "fail":
            raise _first_failure(kept.failures)
        return kept or (yield from render_shard(plan, out, index, engine, on_error))
    finally:
        torch.set_num_threads(threads)  # training may follow, and its sums depend on it
