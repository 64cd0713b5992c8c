"""`Clips`, the batch that flows through everything, and what an op is.

Videos are channels last from the decoder to the tensor core: `uint8 (B, T, H, W, C)`. Permuted without a copy that is
torch's `channels_last_3d`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidaug_cli.schema import Rules, check

Video = Annotated[Tensor, "uint8 (B, T, H, W, C)"]
Frames = Annotated[Tensor, "uint8 (N, H, W, C)"]
Target = Annotated[Tensor, "float32 (B, K)"]  # soft label, rows sum to 1
FrameWeights = Annotated[Tensor, "float32 (B, T)"]  # share of the clip's own video in each frame
Draw = dict[str, Any]  # plain numbers, strings, lists and dicts: what JSON holds


class Shape(NamedTuple):
    """Frames, rows and columns of one clip."""

    t: int
    h: int
    w: int


@dataclass(frozen=True)
class Clips:
    """A batch of clips with their soft labels."""

    video: Video
    target: Target
    weights: FrameWeights

    def __len__(self) -> int:
        return len(self.video)


class Op(ABC):
    """What a table of a recipe names: a frozen dataclass whose fields are its keys. Wrong ones raise VidaugError."""

    def __post_init__(self) -> None:
        check(self, self.rules())

    def rules(self) -> Rules:
        """For each key, whether its value is good, and in words what is."""
        return {}

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: Shape) -> Any:
        """The random numbers for one clip."""


class ClipOp(Op):
    """An augmentation of one clip by itself."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: Shape) -> Draw:
        """The random numbers for one clip, as JSON can hold them."""

    @abstractmethod
    def apply(self, video: Video, draws: Sequence[Draw]) -> Video:
        """A new batch: clip i of `video` augmented as `draws[i]` says. The argument is left as it was.

        A clip does not know its batch: the result for one clip is the same alone and among others.
        """


# What fits a core's cache, where batch-sized temporaries would go through memory; a GPU wants much at once.
CPU_BLOCK, GPU_BLOCK = 320_000, 32_000_000  # bytes


def frame_blocks(frames: Frames) -> range:
    """Starts of the blocks in which frames are worked off, `range.step` of them at a time."""
    size = CPU_BLOCK if frames.device.type == "cpu" else GPU_BLOCK
    return range(0, len(frames), max(1, size // max(1, frames[:1].numel())))


def map_frames(
    op: Callable[..., Frames], frames: Frames, *per_frame: Tensor | NDArray[Any], out: Frames | None = None
) -> Frames:
    """`op(block, *values)` over blocks of frames, with `per_frame` arrays of first dimension N cut alike.

    The result goes into `out` where one is given, which saves a copy into a batch.
    """
    out = torch.empty_like(frames) if out is None else out
    blocks = frame_blocks(frames)
    for start in blocks:
        cut = slice(start, start + blocks.step)
        out[cut] = op(frames[cut], *(value[cut] for value in per_frame))
    return out
