"""Shards from end to end: decoded, augmented and written one after the other on the CPU, all at once around a GPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count, cycle, groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch

from vidaug_cli.augment.plan import Group, Plan
from vidaug_cli.augment.render import Engine, Gathering, GroupPixels, group_pixels, thread_guard
from vidaug_cli.data.shard.format import DoneRecord, Failure, Record, done_path, read_done, shard_path
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.data.video.guard import Decoders
from vidaug_cli.data.video.memory import Memory, address
from vidaug_cli.errors import VideoError

OnError = Literal["skip", "fail"]
Item = TypeVar("Item")

WAITING = 2**28  # bytes of the clips of a shard that wait to be written at most
WRITERS = 4  # decoding processes for each shard that is still compressed and hashed while the next one is made
PORTABLE = 1  # cudaHostRegisterPortable: pinned for every GPU


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A shard of which a video could not be read this time: what is there of it stays, and a rerun tries again."""

    shard: int
    path: str  # of the video
    reason: str

    @classmethod
    def after(cls, error: VideoError, shard: int, on_error: OnError = "skip") -> Unfinished:
        """Return what an error makes of a shard. Raises the error where it lasts, or is to end the run."""
        if not error.passing or on_error == "fail":
            raise error
        return cls(shard=shard, path=error.where, reason=error.reason)


def render_shard(
    plan: Plan, out: Path, index: int, engine: Engine, on_error: OnError = "skip"
) -> Generator[float, None, DoneRecord]:
    """Write one whole shard and its done record, and return that. The same plan and index always give the same bytes.

    Yields after each video that is decoded and each clip that is written which share of these is done; closed there, it
    leaves nothing.

    Raises VideoError for the first video that could not be read this time, and for the first that fails, when
    `on_error` is "fail".
    """
    guard, memory = thread_guard(engine.limits)
    groups = plan.groups(index)
    step, steps = count(1), sum(len(ring) for group in groups for ring in (*group[:1], *group))
    with ShardWriter(shard_path(out, index), plan.shard_header(index, engine.kind)) as writer:
        for group in groups:
            gathering = Gathering(plan, group, group_pixels(plan, memory))
            for row in gathering.rows:
                gathering.decode(guard, row)
                yield next(step) / steps
            writer.failures += gathering.failures
            if writer.failures and on_error == "fail":
                raise first_failure(writer.failures)
            for record in gathering.clips(engine):
                writer.append(record)
                yield next(step) / steps
    return read_done(done_path(shard_path(out, index)))


def render_ahead(
    plan: Plan,
    out: Path,
    shards: Iterable[int],
    engine: Engine,
    decoders: int,
    on_error: OnError = "skip",
    watch: Callable[[float], object] = lambda _: None,
) -> Generator[DoneRecord | Unfinished, None, None]:
    """Write whole shards as `render_shard` does, with the same bytes, and yield their done records.

    A shard of which a video could not be read this time is given up, and the next ones are made.

    For a GPU, which is to wait for nothing: while it has a group, the next one is decoded, in memory that it reads by
    itself, and the last one is compressed and written. Whatever ends this early ends all of that, and an unfinished
    shard leaves nothing.

    Args:
        plan: what to render.
        out: where.
        shards: their numbers.
        engine: the device.
        decoders: decoding processes.
        on_error: as for `render_shard`.
        watch: is told after each clip how many shards the shares come to that are made of those at work.
    """
    memory = Memory()
    room = group_pixels(plan, memory, groups=2)
    given_up: dict[int, Unfinished] = {}
    groups = ((shard, group) for shard in shards for group in plan.groups(shard) if shard not in given_up)
    at_work: deque[BehindWriter] = deque()
    with pinned(room, engine), Decoders(decoders, engine.limits, memory) as pool:

        def begin(shard: int, group: Group, pixels: GroupPixels) -> tuple[int, Gathering, list[Future[None]]]:
            gathering = Gathering(plan, group, pixels)
            return shard, gathering, [pool.submit(gathering.decode, row) for row in gathering.rows]

        begun = (begin(*each, pixels) for each, pixels in zip(groups, cycle(np.split(room, 2)), strict=False))
        try:
            for shard, parts in groupby(one_ahead(begun), key=itemgetter(0)):
                writer = BehindWriter(ShardWriter(shard_path(out, shard), plan.shard_header(shard, engine.kind)))
                at_work.append(writer)
                made, clips = count(1), max(1, sum(len(ring) for group in plan.groups(shard) for ring in group))
                for _, gathering, decoded in parts:
                    wait(decoded)  # whatever fails: their memory is used again
                    for error in filter(None, map(Future.exception, decoded)):
                        if not isinstance(error, VideoError):
                            raise error
                        given_up.setdefault(shard, Unfinished.after(error, shard, on_error))
                    if shard in given_up:
                        continue
                    writer.failures += gathering.failures
                    if writer.failures and on_error == "fail":
                        raise first_failure(writer.failures)
                    for record in gathering.clips(engine):
                        # On the CPU it may lie in the memory of its group, which is used again before it is written.
                        writer.append(replace(record, video=record.video.copy()) if engine.kind == "cpu" else record)
                        watch(len(at_work) - 1 + next(made) / clips)
                if shard in given_up:
                    at_work.pop().give_up()
                    yield given_up[shard]
                    continue
                writer.finish()
                while len(at_work) > max(2, decoders // WRITERS):
                    yield at_work.popleft().done()
            while at_work:
                yield at_work.popleft().done()
        finally:
            for writer in at_work:
                writer.give_up()


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items, each once the next one is there."""
    made: deque[Item] = deque()
    for item in items:
        made.append(item)
        if len(made) > 1:
            yield made.popleft()
    yield from made


@contextmanager
def pinned(pixels: GroupPixels, engine: Engine) -> Iterator[None]:
    """Keep the pixels where they lie, so that a GPU can copy them by itself; nothing where there is none."""
    if engine.kind != "cuda":
        yield
        return
    runtime, start = torch.cuda.cudart(), address(pixels)
    torch.cuda.check_error(int(runtime.cudaHostRegister(start, pixels.nbytes, PORTABLE)))
    try:
        yield
    finally:
        runtime.cudaHostUnregister(start)


class BehindWriter:
    """A `ShardWriter` in a thread of its own: calls return at once, and wait only where too many clips wait there.

    What fails there is raised by a later call. A writer that is not to be `done` has to `give_up`.
    """

    def __init__(self, writer: ShardWriter) -> None:
        self._writer, self._pool = writer, ThreadPoolExecutor(1)
        self._room = max(2, WAITING // writer.header.clip_bytes)  # clips
        try:
            self._pool.submit(writer.__enter__).result()
        except BaseException:
            self._pool.shutdown()
            raise
        self._begun: deque[Future[None]] = deque()
        self._closed: Future[DoneRecord] | None = None
        self.failures: list[Failure] = []

    def append(self, record: Record) -> None:
        """Have a clip written."""
        if len(self._begun) == self._room:
            if self._begun[0].exception():
                self.done()  # raises it in words
            self._begun.popleft()
        self._begun.append(self._pool.submit(self._writer.append, record))

    def finish(self) -> Future[DoneRecord]:
        """Have the shard closed and checked, and return its done record once it is."""
        self._closed = self._closed or self._pool.submit(self._close)
        return self._closed

    def done(self) -> DoneRecord:
        """Return the done record, when the shard is finished."""
        with self._pool:
            return self.finish().result()

    def give_up(self) -> None:
        """Leave nothing of a shard that is not finished."""
        self._pool.shutdown(cancel_futures=self._closed is None)
        if self._closed is None:
            self._writer.__exit__(GeneratorExit, GeneratorExit(), None)

    def _close(self) -> DoneRecord:
        with ExitStack() as stack:
            stack.push(self._writer)
            for written in self._begun:
                written.result()
            self._writer.failures += self.failures
        return read_done(done_path(self._writer.path))


def first_failure(failures: Sequence[Failure]) -> VideoError:
    """Return what ends a run in which no video may fail."""
    return VideoError(failures[0].reason, where=failures[0].path, hint="--on-error skip leaves it out")
