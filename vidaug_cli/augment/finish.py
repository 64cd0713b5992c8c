"""Shards that are to be finished: by which processes, and which stay as they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import torch

from vidaug_cli.augment.pipeline import OnError, Unfinished, first_failure, render_ahead, render_shard
from vidaug_cli.augment.plan import Plan, shared_plan
from vidaug_cli.augment.render import Engine, decode, draw_cut, failure_of, group_pixels, thread_guard
from vidaug_cli.augment.rounds import GROUP
from vidaug_cli.cluster import in_cluster
from vidaug_cli.data.shard.format import DoneRecord, done_path, shard_path
from vidaug_cli.device import resolve_device
from vidaug_cli.errors import VideoError
from vidaug_cli.words import count, human_bytes
from vidaug_cli.workers import at_once, free_memory, in_processes

IN_A_ROW = 16  # shards that a process of several GPUs takes at a time
WORKER_BYTES = 6e8  # of memory that a worker on the CPU takes besides its group


def retry(plan: Plan, out: Path, done: DoneRecord, engine: Engine) -> DoneRecord | None:
    """Try the clips again that were left out of a finished shard.

    A video's clips are read together, as rendering does. Where none of them is readable, the shard stays as it is, and
    its record with the reasons of today is returned; None where the shard has to be made anew.

    Raises VideoError where a video could not be read this time.
    """
    failures, slots = {failure.clip: failure for failure in done.failures}, plan.slots(done.shard)
    guard, memory = thread_guard(engine.limits)
    pixels = group_pixels(plan, memory)[:, 0]
    for row in dict.fromkeys(slot.row for slot in slots if slot.clip in failures):
        cuts = [draw_cut(plan, slot) for slot in slots if slot.row == row]
        try:
            decode(plan, guard, cuts, list(pixels[: len(cuts)]))
            return None
        except VideoError as error:
            if error.passing:
                where = plan.rows[row].name
                raise VideoError(error.what, where=where, hint=error.hint, passing=True) from error
            failures |= {cut.slot.clip: failure_of(plan, cut.slot, error) for cut in cuts}
    again = replace(done, failures=tuple(failures.values()))
    if again != done:
        again.write(done_path(shard_path(out, done.shard)))
    return again


def finish_shard(
    out: Path, sha256: str, engine: Engine, on_error: OnError, index: int, done: DoneRecord | None
) -> Generator[float, None, DoneRecord | Unfinished]:
    """Render one shard of the plan in `out`, in steps, in a worker process or in this one, and return its record.

    Of one that is `done`, the clips that were left out are tried first, and where all fail again the shard stays.
    Where a video could not be read this time, return what that leaves unfinished.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the workers share the cores
    try:
        plan = shared_plan(out, sha256)
        kept = _kept(plan, out, engine, on_error, done)
        return kept or (yield from render_shard(plan, out, index, engine, on_error))
    except VideoError as error:
        return Unfinished.after(error, index, on_error)
    finally:
        torch.set_num_threads(threads)  # training may follow, and its sums depend on it


def finish_ahead(
    out: Path,
    sha256: str,
    engine: Engine,
    on_error: OnError,
    decoders: int,
    tasks: Iterable[tuple[int, DoneRecord | None]],
    device: str,
    watch: Callable[[float], object] = lambda _: None,
) -> Generator[DoneRecord | Unfinished, None, None]:
    """Do what `finish_shard` does for each of the tasks, around one GPU, and yield the records."""
    plan, engine = shared_plan(out, sha256), replace(engine, device=device)
    unchanged: deque[DoneRecord | Unfinished] = deque()

    def to_make() -> Iterator[int]:
        for index, done in tasks:
            try:
                kept: DoneRecord | Unfinished | None = _kept(plan, out, engine, on_error, done)
            except VideoError as error:
                kept = Unfinished.after(error, index, on_error)
            if kept:
                unchanged.append(kept)
            else:
                yield index

    for record in render_ahead(plan, out, to_make(), engine, decoders, on_error, watch):
        yield record
        while unchanged:
            yield unchanged.popleft()
    yield from unchanged


def _kept(plan: Plan, out: Path, engine: Engine, on_error: OnError, done: DoneRecord | None) -> DoneRecord | None:
    """Return the record of a shard that stays as it is; None where it has to be made."""
    kept = retry(plan, out, done, engine) if done else None
    if kept and on_error == "fail":
        raise first_failure(kept.failures)
    return kept


def finish_all(
    out: Path,
    sha256: str,
    engine: Engine,
    on_error: OnError,
    workers: int,
    tasks: Iterable[tuple[int, DoneRecord | None]],
    most: int,
    scheduler: str = "",
    watch: Callable[[float], object] = lambda _: None,
) -> Generator[DoneRecord | Unfinished, None, None]:
    """Yield the records of shards as they are finished, and what stays unfinished: see `finish_shard`.

    Args:
        out: the folder, with its plan.
        sha256: of the plan.
        engine: the device; `cuda` means all GPUs, with a process for each.
        on_error: as for `render_shard`.
        workers: processes that render, on the CPU; that decode, for GPUs.
        tasks: numbers of shards, and the records of those that are done, of which what failed is tried again; asked for
            when a process is free soon.
        most: how many tasks there are, or fewer.
        scheduler: of a Dask cluster, whose workers do it instead, each on the device that it has.
        watch: is told now and then how many shards the shares come to that are made of those at work here; not of those
            that a cluster makes, or the processes of several GPUs.
    """
    how = (out.absolute(), sha256, engine, on_error)
    if scheduler:
        yield from in_cluster(partial(_finish_there, *how), tasks, scheduler)
        return
    if engine.kind == "cpu":
        steps = partial(finish_shard, *how)
        yield from in_processes(partial(at_once, steps), tasks, workers, most=most, beside=steps, watch=watch)
        return
    devices = devices_of(engine)
    ahead = partial(finish_ahead, *how, max(1, workers // len(devices)))
    if len(devices) == 1:
        yield from ahead(tasks, devices[0], watch)
        return
    left = iter(tasks)
    rows = iter(lambda: list(islice(left, IN_A_ROW)), [])
    each = ((ahead, row, device) for row, device in zip(rows, cycle(devices), strict=False))
    for records in in_processes(_listed, each, len(devices), most=-(-most // IN_A_ROW)):
        yield from records


def _finish_there(
    out: Path, sha256: str, engine: Engine, on_error: OnError, index: int, done: DoneRecord | None
) -> DoneRecord | Unfinished:
    """Do what `finish_shard` does, on a worker of a cluster."""
    engine = replace(engine, device=resolve_device(engine.device))
    return at_once(finish_shard, out, sha256, engine, on_error, index, done)


def _listed(
    ahead: Callable[..., Iterator[DoneRecord | Unfinished]],
    tasks: Sequence[tuple[int, DoneRecord | None]],
    device: str,
) -> list[DoneRecord | Unfinished]:
    return list(ahead(tasks, device))


def devices_of(engine: Engine) -> list[str]:
    """Return the devices that clips are rendered on."""
    return (
        [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        if engine.device == "cuda"
        else [engine.device]
    )


def choose_workers(plan: Plan, engine: Engine, cores: int) -> tuple[int, str]:
    """Return how many workers to take where nobody says it, and a line with the reason.

    A GPU takes as many decoding processes as there are cores, the CPU as many workers as cores and memory allow.
    """
    devices, memory = devices_of(engine), free_memory()
    if engine.kind == "cuda":
        names = ", ".join(devices)
        return cores, f"{count(cores, 'process')} to decode, one for each core, for {names}"
    group = plan.rounds.at_once * (GROUP + 1) * plan.spec.frames * plan.spec.size**2 * 3
    room = max(1, int(memory // (WORKER_BYTES + 2.2 * group)))
    said = f", as {human_bytes(memory)} of memory are free" if room < cores else ""
    return min(cores, room), f"{count(min(cores, room), 'worker')} on {count(cores, 'core')}{said}"
