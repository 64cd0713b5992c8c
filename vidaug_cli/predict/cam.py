"""Class activation maps: where and when in a clip SlowFast sees a class.

Zhou et al., arXiv:1512.04150, section 2: a map of class k is the last feature maps weighted by k's row of the head. As
SlowFast's head follows a mean over each pathway, a class's logit is the mean of its Slow map plus that of its Fast map
plus its bias.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from vidaug_cli.ops.clips import Video
from vidaug_cli.train.slowfast import SlowFast

Pathway = tuple[Float[Tensor, "b c t h w"], Float[Tensor, "k c"], Int64[np.ndarray, " t"]]

PITCH = 32  # pixels from one place of the last maps to the next: five steps of stride 2


def activations(network: SlowFast, video: Video) -> Float32[Tensor, "b k t"]:
    """Return the activation of every class in every frame of the clips: the mean over each frame's map."""
    parts = (
        torch.einsum("kc,bct,Tt->bkT", weight, maps.mean((3, 4)), resampling(frames, video.shape[1]).to(maps.device))
        for maps, weight, frames in _pathways(network, video)
    )
    return sum(parts, start=torch.zeros((), device=video.device)).float()


def class_maps(network: SlowFast, video: Video, classes: Sequence[int]) -> Float32[Tensor, "b k t h w"]:
    """Return the maps of some classes, as large as the clips."""
    total = torch.zeros((), device=video.device)
    for maps, weight, frames in _pathways(network, video):
        at = frames, *(PITCH * np.arange(length) for length in maps.shape[3:])
        t, y, x = (resampling(*axis).to(maps.device) for axis in zip(at, video.shape[1:4], strict=True))
        small = torch.einsum("kc,bcthw->bkthw", weight[list(classes)], maps)
        total = total + torch.einsum("bkthw,Tt,Hh,Ww->bkTHW", small, t, y, x)
    return total.float()


def _pathways(network: SlowFast, video: Video) -> Iterator[Pathway]:
    """Yield for Slow and Fast the last maps, the head's weights on them, and the clip's frame of each map.

    Convolutions over time keep their place, and both subsamplings start at frame 0: Slow's map j is of Fast's frame
    j * alpha. Nothing is centred on the frames it stands for. In double precision, which autocast leaves alone.
    """
    slow, fast = network.features(video)
    step = max(1, video.shape[1] // network.architecture.fast_frames)
    head, channels = network.head.weight.double(), slow.shape[1]
    weights = head[:, :channels], head[:, channels:]
    for maps, weight, pitch in zip((slow, fast), weights, (step * network.architecture.alpha, step), strict=True):
        yield maps.double(), weight, pitch * np.arange(maps.shape[2])


def resampling(at: Int64[np.ndarray, " n"], length: int) -> Float[Tensor, "t n"]:
    """Return the matrix that turns values at the places `at` into values at 0, 1, .. length - 1, in double precision.

    It is linear between them; beyond the last, values are the same as there.
    """
    columns = [np.interp(np.arange(length), at, unit) for unit in np.eye(len(at))]
    return torch.from_numpy(np.stack(columns, 1))
