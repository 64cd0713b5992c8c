"""When the checkpoints of a run are written, and of which epoch."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch

from vidaug_cli.train.build import Parts
from vidaug_cli.train.checkpoint import Checkpoint, write_checkpoint
from vidaug_cli.train.history import EpochMetrics
from vidaug_cli.train.resume import training_tensors

SLOW_SECONDS = 1.0  # checkpoints that take longer to write ...
INTERVAL = 20  # ... are written after so many times as long at the earliest


class CheckpointWriter:
    """Writes the best and the last checkpoint of a run, always together: what is on the disk is a run after one epoch.

    Where writing is slow, epochs are passed over; the best of them is kept in memory until the next time.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._best: Checkpoint | None = None  # of the best epoch, until it is written
        self._written, self._cost = -math.inf, 0.0  # when the checkpoints were written, and the seconds that it took

    def save(self, history: list[EpochMetrics]) -> None:
        """Write the checkpoints after the last epoch of the history, if they are due. Raises VidaugError."""
        run, metrics = self.parts.run, history[-1]
        # Copies, as the best may be written epochs later, and training goes on with the same tensors.
        weights = {name: value.to("cpu", copy=True) for name, value in self.parts.tested.state_dict().items()}
        last = Checkpoint(
            architecture=run.architecture,
            classes=run.classes,
            clip=run.clip,
            weights=weights,
            epoch=len(history),
            settings=run.identity,
            metrics=metrics,
        )
        if _merit(metrics) > max(map(_merit, history[:-1]), default=(-1.0, 0.0)):
            self._best = last
        began = time.perf_counter()
        spared = self._cost > SLOW_SECONDS and began - self._written < INTERVAL * self._cost
        if spared and len(history) < run.settings.epochs:
            return
        if self._best is not None:
            write_checkpoint(run.best, self._best)
        tensors = training_tensors(self.parts.network, self.parts.optimizer, self.parts.average)
        state = {"history": history, "threads": torch.get_num_threads()}
        write_checkpoint(run.last, replace(last, training=tensors, state=state))
        self._best, self._written = None, time.perf_counter()
        self._cost = self._written - began


def _merit(metrics: EpochMetrics) -> tuple[float, float]:
    """Return what the best epoch has most of: accuracy, then little loss; without validation, it is the last epoch."""
    return metrics.get("val_top1", metrics["epoch"]), -metrics.get("val_loss", 0.0)
