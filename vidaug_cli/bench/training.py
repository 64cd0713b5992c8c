"""A training step on clips that are read, beside one on a batch that is there already."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from vidaug_cli.bench.measure import LEAST, Figure, Taken, figure, timed
from vidaug_cli.bench.verdict import CACHED, STEP
from vidaug_cli.ops.clips import Clips
from vidaug_cli.train.build import build
from vidaug_cli.train.distributed import World, torch_threads
from vidaug_cli.train.loop import read_batches, train_step
from vidaug_cli.train.run import ShardFolders, TrainingRun
from vidaug_cli.train.settings import Settings

EPOCH = 10_000  # clips: a start of an epoch, when all waits, is rare in a training, too


class Steps:
    """Steps of a training run, by turns on a cached batch and on batches as they come from the shards."""

    def __init__(self, shards: Path, folder: Path, settings: Settings, device: str, workers: int) -> None:
        """Take a folder of shards, one for the run (which writes nothing), and processes that read; 0: as `train`."""
        world = World(device)
        self.ahead = 2 * (workers or world.default_workers)  # batches that torch reads before they are asked for
        folders = ShardFolders([shards])
        folders.dataset = folders.dataset.only([clip % folders.all_clips for clip in range(EPOCH)])
        run = TrainingRun(folder=folder, settings=settings, shards=folders)
        self.parts = build(run, world, workers=workers or world.default_workers)
        self.cached: list[Taken] = []
        self.read: list[Taken] = []
        self.waited: list[float] = []  # seconds of each of `read`

    def run(self, seconds: float) -> None:
        """Take steps of both kinds in turns, for `seconds` each and `LEAST` times at least.

        What was measured stays where this is interrupted.
        """
        with torch_threads(self.parts.threads):
            batches = self._batches()
            kept = next(batches)
            self._step(kept)
            began = time.perf_counter()
            while len(self.cached) < LEAST or time.perf_counter() - began < 2 * seconds:
                for _ in range(self.ahead):  # what was read while the cached batch was worked on
                    self._step(next(batches))
                self.read.append(timed(lambda: self._step(self._next(batches))))
                self.cached.append(timed(lambda: self._step(kept)))

    @property
    def figures(self) -> list[Figure]:
        """What is known by now."""
        if not self.cached:
            return []
        batch = self.parts.budget.batch
        pairs = list(zip(self.read, self.cached, strict=False))
        more = {
            "waiting": median(wait / step.clock for wait, step in zip(self.waited, self.read, strict=False)),
            "headspace": median(1 - cached.clock / read.clock for read, cached in pairs),
        }
        return [
            figure("train", CACHED, self.cached, batch, {}),
            figure("train", STEP, self.read, batch, more),
        ]

    def _batches(self) -> Iterator[Clips]:
        """Yield batches on the device, epoch after epoch."""
        while True:
            yield from read_batches(self.parts, 1)  # the first one, which is the cached batch, has to stay
            self.parts.batches.clip_sampler.epoch += 1

    def _next(self, batches: Iterator[Clips]) -> Clips:
        asked = time.perf_counter()
        clips = next(batches)
        self.waited.append(time.perf_counter() - asked)
        return clips

    def _step(self, clips: Clips) -> None:
        self.parts.network.train()
        float(train_step(self.parts, clips.video, clips.target, self.parts.run.settings.lr)[0])  # waits for the device
