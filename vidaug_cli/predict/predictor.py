"""A trained network and how it is run on clips, whether they come from videos or from shards."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.file import Shard
from vidaug_cli.data.video.limits import Limits
from vidaug_cli.device import Amp, autocast, within_memory
from vidaug_cli.errors import ShardError, VideoError
from vidaug_cli.ops.clips import Shape, Video
from vidaug_cli.predict.decoding import read_ahead, readings
from vidaug_cli.predict.views import Views
from vidaug_cli.train.batches import ClipLoader, ClipSampler, CropDataset, reading_note
from vidaug_cli.train.checkpoint import Checkpoint
from vidaug_cli.train.slowfast import SlowFast

Key = tuple[int, Sequence[int]]  # number of a clip's video, and which of the video's views it is


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
    limits: Limits = field(default_factory=Limits)  # what one video may cost
    about: dict[str, Any] = field(default_factory=dict)  # where the network comes from, for the scores

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, device: str = "cpu", **settings: Any) -> Predictor:
        network = checkpoint.network(device)
        return cls(network=network, classes=checkpoint.classes, clip=checkpoint.clip, device=device, **settings)

    @property
    def shape(self) -> Shape:
        """Of a clip as the network takes it."""
        return Shape(self.clip.frames, self.clip.size, self.clip.size)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Where forward passes are made. Raises VidaugError when the device has not the memory."""
        with within_memory(self.device, self.batch), torch.inference_mode(), autocast(self.device, self.amp):
            yield

    def softmax(self, video: Video) -> NDArray[np.float32]:
        """uint8 (B, T, H, W, 3) to float32 (B, K)."""
        with self.running():
            logits = self.network(video.to(self.device, non_blocking=True))
        return np.asarray(logits.float().softmax(1).cpu().numpy())

    def video_batches(
        self, rows: Sequence[Row], views: Views, crop: float | None, failed: dict[int, str]
    ) -> Generator[tuple[list[Key], Video], None, None]:
        """The views of videos in order. A video that cannot be read gets its reason into `failed`, by its number."""

        def clips() -> Iterator[tuple[Key, Tensor]]:
            for reading, pixels in found:
                if isinstance(pixels, VideoError):
                    failed[reading.video] = pixels.reason
                    continue
                frames = torch.from_numpy(pixels.frames).to(self.device)
                for places, numbers in zip(reading.places, pixels.numbers, strict=True):
                    yield (reading.video, places), frames[torch.from_numpy(numbers).to(self.device)]

        wanted = readings(self.clip, rows, views, crop)
        with closing(read_ahead(wanted, self.clip, self.workers, self.limits)) as found:
            stream = clips()
            while some := list(islice(stream, self.batch)):
                yield [key for key, _ in some], torch.stack([clip for _, clip in some])

    def cuts(self, shards: Path | Sequence[Path]) -> CropDataset:
        """The clips of an output folder, or of some shards, by their middle where the network takes less.

        Raises ShardError when they are too small for the network.
        """
        data = ShardDataset(shards, with_weights=True)
        with Shard(data.paths[0]) as shard:
            have = Shape(*shard.header.shape[:3])
        if any(length < wanted for length, wanted in zip(have, self.shape, strict=True)):
            what = f"has clips of {_spell(have)}, and the network takes {_spell(self.shape)}"
            hint = f"make shards with --frames {self.shape.t} --size {self.shape.h}"
            raise ShardError(what, where=data.paths[0], hint=hint)
        return CropDataset(data, self.shape)

    @property
    def readers(self) -> int:
        """Processes that read shards ahead: one by itself would only hand over what this process reads as well."""
        return self.workers if self.workers > 1 else 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of reading shards."""
        note = reading_note(self.readers)
        return (note,) if note else ()

    def shard_batches(self, cuts: CropDataset) -> Iterator[tuple[Tensor, ...]]:
        """All of them in order, with their labels and weights.

        While it goes on, torch raises a RuntimeError wherever this process is when a reader is killed: see
        `explain_torch_errors`.
        """
        order = ClipSampler(len(cuts.shards), self.batch, shuffle=False)
        yield from ClipLoader(cuts, order, workers=self.readers, pin=self.device.startswith("cuda"))


def _spell(shape: Shape) -> str:
    return " x ".join(map(str, shape))
