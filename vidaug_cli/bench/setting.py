"""What all parts measure with: the plan, clips of its videos, a folder for what they write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from vidaug_cli.augment.plan import Plan, Slot
from vidaug_cli.augment.render import Cut, Engine, Pixels, clip_shape, draw_cut
from vidaug_cli.augment.run import run
from vidaug_cli.bench.measure import Case, Figure, Turns
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.reader import ClipRequest
from vidaug_cli.ops.clips import Video
from vidaug_cli.train.distributed import torch_threads

CLIPS = 8  # that ops and writers are measured on: some ops cost more for some draws


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

    def cut(self, clip: int, copy: int = 0) -> Cut:
        """Return a cut of video number `clip`, over and over if there are fewer."""
        return draw_cut(self.plan, Slot(clip, copy, clip % len(self.plan.rows)))

    @cached_property
    def cuts(self) -> list[Cut]:
        """A cut of each of some videos."""
        return [self.cut(clip) for clip in range(CLIPS)]

    @cached_property
    def guard(self) -> Guard:
        """What decodes, in a process of its own, until this object is gone."""
        return Guard(self.engine.limits)

    @cached_property
    def video(self) -> Video:
        """The clips of `cuts` as decoded, uint8 (CLIPS, T, S, S, 3) on the device."""
        pixels: Pixels = np.empty((CLIPS, *clip_shape(self.plan), 3), np.uint8)
        for cut, out in zip(self.cuts, pixels, strict=True):
            self.guard.read_clips(self.plan.rows[cut.slot.row], [request_of(cut)], self.plan.spec.size, out=[out])
        return torch.from_numpy(pixels).to(self.engine.device)

    @property
    def batches(self) -> list[slice]:
        """The clips of `video` that are on the device at a time."""
        return [slice(start, start + self.engine.batch) for start in range(0, CLIPS, self.engine.batch)]

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
