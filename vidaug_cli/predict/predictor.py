"""A trained network and how it is run on clips, whether they come from videos or from shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from vidaug_cli.data.kinds import Kind, expect
from vidaug_cli.data.sampling import ClipSpec, speed, thinning
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.device import Amp, autocast
from vidaug_cli.errors import UnfitError, UnlikeError
from vidaug_cli.ops.clips import Shape, Video
from vidaug_cli.scores.file import MAX_SOURCE
from vidaug_cli.train.batches import ClipLoader, ClipSampler, CropDataset, reading_note
from vidaug_cli.train.checkpoint import Checkpoint, read_checkpoint
from vidaug_cli.train.slowfast import SlowFast


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A network in eval mode; device, precision, batch and workers change its answers by rounding at most."""

    network: SlowFast
    classes: tuple[str, ...]  # names in label order
    clip: ClipSpec  # what a clip is for this network
    device: str = "cpu"
    amp: Amp = "auto"
    batch: int = 8  # clips on the device at a time
    workers: int = 1
    limits: Limits = LIMITS  # what one video may cost
    about: dict[str, Any] = field(default_factory=dict)  # where the network comes from, for the scores
    chosen_by: frozenset[str] = frozenset()  # names of the videos by whose labels its epoch was chosen

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run forward passes of this block."""
        with torch.inference_mode(), autocast(self.device, self.amp):
            yield

    def softmax(self, video: Video) -> Float32[np.ndarray, "b k"]:
        """Return the network's answer to each clip."""
        with self.running():
            logits = self.network(video.to(self.device, non_blocking=True))
        return np.asarray(logits.float().softmax(1).cpu().numpy())

    def cuts(self, shards: Path, *stored: ClipSpec) -> CropDataset:
        """Return the clips of an output folder, or of one shard, by their middle where the network takes less.

        Those that are `stored` slower than the network was trained with are thinned out where they are long enough.

        Raises ShardError when they are too small for the network, or parts of the folder differ in the speed of clips.
        """
        if len({speed(spec, self.clip) for spec in stored}) > 1:
            raise UnlikeError("has parts whose clips differ in their speed", where=shards, hint="take each by itself")
        data = ShardDataset(shards, with_weights=True)
        taken = Shape(self.clip.frames, self.clip.size, self.clip.size)
        with Shard(data.paths[0]) as shard:
            given = shard.header.shape[:3]
        if any(length < wanted for length, wanted in zip(given, taken, strict=True)):
            there, here = (" x ".join(map(str, shape)) for shape in (given, taken))
            hint = f"make shards with --frames {taken.t} --size {taken.h}"
            raise UnfitError(f"has clips of {there}, and the network takes {here}", where=data.paths[0], hint=hint)
        return CropDataset(data, taken, stride=thinning(stored[0], self.clip))

    @property
    def readers(self) -> int:
        """Processes that read shards ahead: one by itself would only hand over what this process reads as well."""
        return self.workers if self.workers > 1 else 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of reading shards."""
        return tuple(filter(None, [reading_note(self.readers)]))

    def shard_batches(self, cuts: CropDataset) -> Iterator[tuple[Tensor, ...]]:
        """Yield all clips in order, with their labels and weights.

        While it goes on, torch raises a RuntimeError wherever this process is when a reader is killed: see
        `explain_torch_errors`.
        """
        sampler = ClipSampler(len(cuts.shards), self.batch, shuffle=False)
        yield from ClipLoader(cuts, sampler, workers=self.readers, pin=self.device.startswith("cuda"))


def read_predictor(
    checkpoint: Path, *, device: str, amp: Amp = "auto", batch: int = 8, workers: int = 1, limits: Limits = LIMITS
) -> Predictor:
    """Return the network of a checkpoint, a file or a run, whose best one it takes. Raises VidaugError.

    The device is one that is there; the other arguments are fields of `Predictor`.
    """
    expect(checkpoint, Kind.CHECKPOINT, Kind.RUN)
    if checkpoint.is_dir():
        checkpoint /= "best.safetensors"
    trained = read_checkpoint(checkpoint)
    return Predictor(
        network=trained.network(device),
        classes=trained.classes,
        clip=trained.clip,
        device=device,
        amp=amp,
        batch=batch,
        workers=workers,
        limits=limits,
        **origin(trained, checkpoint.name),
    )


def origin(trained: Checkpoint, name: str) -> dict[str, Any]:
    """Return the fields of a `Predictor` that say where a network comes from; `name` is its file's.

    What is known of the training goes with the scores, unless somebody made it too long for them.
    """
    videos = trained.settings.get("validation_videos")
    # A checkpoint that can be continued is the last one, which nobody chose.
    chosen = videos if isinstance(videos, list) and not trained.state else []
    training = {key: value for key, value in trained.settings.items() if key not in _OF_VIDEOS}
    known = {"training": training} if len(json.dumps(training)) <= MAX_SOURCE // 2 else {}
    about = {"checkpoint": name, "epoch": trained.epoch, "top1": trained.metrics.get("top1")} | known
    return {"about": about, "chosen_by": frozenset(map(str, chosen))}


_OF_VIDEOS = {"shards", "validation", "validation_videos"}  # settings that differ between splits
