"""Shards, networks and runs small enough to be trained in tests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidaug_cli.augment.plan import Plan, write_plan
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.format import Record, ShardHeader, shard_path
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.train.build import build
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.distributed import World
from vidaug_cli.train.history import EpochMetrics, MetricsLog
from vidaug_cli.train.loop import train
from vidaug_cli.train.run import ShardFolders, TrainingRun
from vidaug_cli.train.settings import Settings
from vidaug_cli.train.slowfast import Architecture
from vidaug_cli.train.state import Parts

NETWORK = Architecture(
    blocks=(1, 1, 1, 1), bottleneck=False, width=4, beta=2, alpha=4, fast_frames=8, head_bias=True, dropout=0.0
)
BASE: dict[str, Any] = {
    "network": "tiny",
    "epochs": 2,
    "batch_size": 4,
    "optimizer": "adamw",
    "lr": 1e-3,
    "warmup": 0.5,
    "amp": "off",
}
CPU = World("cpu")


def make_shards(
    out: Path,
    classes: Sequence[str] = ("dark", "light"),
    *,
    videos: int = 12,
    frames: int = 8,
    size: int = 32,
    recipe: str = "none",
    share: float = 1.0,
    shards: int | None = None,
) -> Path:
    """Noise, brighter in class light; with a recipe other than `none`, as copies that hold `share` of it.

    Only the first `shards` are written.
    """
    rows = tuple(
        Row(path=f"{n}.mp4", root="/", label=classes[n % len(classes)], frames=9, fps=30, width=9, height=9, codec="-")
        for n in range(videos)
    )
    clean = recipe == "none"
    plan = Plan(
        rows=rows,
        recipe=load_recipe(recipe),
        spec=ClipSpec(frames=frames, size=size),
        copies=0 if clean else 1,
        keep_original=clean,
        clips_per_shard=32,
    )
    write_plan(plan, out)
    for index in range(plan.shard_count)[:shards]:
        header = ShardHeader(
            classes=plan.classes,
            recipe=plan.recipe.text,
            seed=0,
            shard=index,
            plan_sha256=plan.sha256,
            frames=frames,
            size=size,
            codec="raw",
            quality=95,
            device="cpu",
        )
        with ShardWriter(shard_path(out, index), header) as writer:
            for slot in plan.slots(index):
                writer.append(_record(plan, slot.row, slot.clip, share))
    return out


def _record(plan: Plan, row: int, clip: int, share: float) -> Record:
    """One clip."""
    frames, size, label = plan.spec.frames, plan.spec.size, plan.labels[row]
    noise = np.random.default_rng(row).integers(0, 100, (frames, size, size, 3))
    soft = np.zeros(len(plan.classes), np.float32)
    soft[label] = share
    soft[(label + 1) % len(soft)] += 1 - share
    return Record(
        video=(noise + 150 * (plan.classes[label] == "light")).astype(np.uint8),
        label=soft,
        weights=np.full(frames, share, np.float32),
        sources=(row, -1),
        frames=np.zeros((2, frames), np.int32),
        params={},
        copy=0,
        clip=clip,
    )


def run_of(folder: Path, shards: Path, validation: Path | None = None, **values: Any) -> TrainingRun:
    """Settings are those of BASE but for `values`, of which recipe and init are the run's."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: values.pop(name) for name in ("recipe", "init") if name in values}
    clips = None if validation is None else ShardFolders([validation])
    settings = Settings(**BASE | values)
    return TrainingRun(folder=folder, settings=settings, shards=ShardFolders([shards]), validation=clips, **parts)


def parts_of(folder: Path, shards: Path, validation: Path | None = None, **values: Any) -> Parts:
    return build(run_of(folder, shards, validation, **values), CPU)


def trained(folder: Path, shards: Path, validation: Path | None = None, **values: Any) -> dict[str, Tensor]:
    """The weights after a whole run."""
    run = run_of(folder, shards, validation, **values)
    train(build(run, CPU))
    return read_checkpoint(run.last).weights


class StoppedError(Exception):
    """The end of a run that is cut off."""


class StoppingLog(MetricsLog):
    """Ends a run after an epoch, whose checkpoints are written by then."""

    def begin(self, history: Sequence[EpochMetrics], notes: Sequence[str], epochs: int) -> None:
        pass

    def add_epoch(self, history: Sequence[EpochMetrics]) -> None:
        raise StoppedError


def train_an_epoch(parts: Parts) -> None:
    """One epoch more, after which the run is cut off."""
    with suppress(StoppedError):
        train(parts, log=StoppingLog(parts.run.folder))


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


class OwnStatistics(torch.nn.BatchNorm3d):
    """In training it does not normalise by its batch, so that a clip does not know which others a process has.

    It follows the statistics of the batch all the same, which are those of this process's clips.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's own word)
        if not self.training:
            return super().forward(input)
        super().forward(input.detach())
        shape = (1, -1, 1, 1, 1)
        return input * self.weight.view(shape) + self.bias.view(shape)
