"""What all parts measure with: the plan, clips of its videos, a folder for what they write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Cut, Engine, Pixels, clip_shape, draw_cut
from vidaug_cli.augment.run import run
from vidaug_cli.bench.measure import Case, Figure, Turns
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.reader import ClipRequest
from vidaug_cli.ops.clips import Video
from vidaug_cli.train.distributed import torch_threads

CLIPS = 8  # that ops are measured on at least: some cost more for some draws


class Measured(Protocol):
    """What has figures, some of them before all of it is measured."""

    @property
    def figures(self) -> Sequence[Figure]:
        """What is known by now."""


@dataclass(kw_only=True)
class Setting:
    """The videos, the recipe and the machine, and what was measured so far."""

    plan: Plan
    engine: Engine
    folder: Path  # temporary, on the disk that is measured
    seconds: float  # for each case, about
    processes: int = 2
    preset: str = "small"
    readers: int = 0  # processes that read for training; 0 takes the number that `train` does
    measured: list[Measured] = field(default_factory=list)

    @property
    def figures(self) -> list[Figure]:
        """What is known by now."""
        return [figure for part in self.measured for figure in part.figures]

    def take_turns(self, part: str, cases: Sequence[Case]) -> None:
        """Measure the cases of a part, each with one thread on the CPU, as `augment` runs."""
        turns = Turns(part, [replace(case, call=self._finished(case.call)) for case in cases])
        self.measured.append(turns)
        with torch_threads(1):
            turns.run(self.seconds)

    def _finished(self, call: Callable[[], object]) -> Callable[[], object]:
        """Return the call with the wait for the device behind it."""
        if self.engine.kind == "cpu":
            return call

        def finished() -> None:
            call()
            torch.cuda.synchronize(self.engine.device)

        return finished

    @cached_property
    def passes(self) -> list[list[Cut]]:
        """The cuts that `augment` makes of each video in one pass of the decoder, for the videos of a shard."""
        by_row: dict[int, list[Cut]] = {}
        for cut in self.cuts:
            by_row.setdefault(cut.slot.row, []).append(cut)
        return list(by_row.values())

    @cached_property
    def cuts(self) -> list[Cut]:
        """The cuts of the clips of a shard, in their order."""
        return [draw_cut(self.plan, slot) for slot in self.plan.slots(0)]

    @cached_property
    def guard(self) -> Guard:
        """What decodes, in a process of its own, until this object is gone."""
        return Guard(self.engine.limits)

    @property
    def held(self) -> int:
        """How many clips `video` has: whole batches."""
        return -(-CLIPS // self.engine.batch) * self.engine.batch

    @cached_property
    def video(self) -> Video:
        """Some of the clips of `cuts` as decoded, uint8 (clips, T, S, S, 3) on the device."""
        pixels: Pixels = np.empty((self.held, *clip_shape(self.plan), 3), np.uint8)
        for cut, out in zip(cycle(self.cuts), pixels, strict=False):
            self.guard.read_clips(self.plan.rows[cut.slot.row], [request_of(cut)], self.plan.spec.size, out=[out])
        return torch.from_numpy(pixels).to(self.engine.device)

    def batches(self, clips: int) -> Iterator[tuple[slice, slice]]:
        """Yield which of so many clips are on the device at a time, and where in `video` there are pixels for them."""
        for start in range(0, clips, self.engine.batch):
            size, place = min(self.engine.batch, clips - start), start % self.held
            yield slice(start, start + size), slice(place, place + size)

    @cached_property
    def shards(self) -> Path:
        """A folder of the plan's shards."""
        out = self.folder / "shards"
        run(self.plan, out, self.engine)
        return out


def labelled(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return rows that all have a label: what a video shows makes no difference here."""
    return tuple(row if row.label is not None else replace(row, label="unknown") for row in rows)


def request_of(cut: Cut) -> ClipRequest:
    """Return what a cut asks the decoder for."""
    return ClipRequest(cut.frames, cut.sample.crop, cut.sample.flip)
