"""Soft labels that count frames by the motion they hold: a cut that removes an action gives its label away."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from vidaug_cli.ops.clips import Video

Motion = Float64[Tensor, "clips frames"]
BLOCK = 16  # frames at a time, so that what is computed on the way stays in the cache


def frame_motion(video: Video) -> Motion:
    """Return how far each frame is from the one before it: the mean absolute difference of levels, 0 to 255.

    The first frame, which has none before it, has what the second has; a clip of one frame has 0. What is added up are
    whole numbers, so every device finds the same.
    """
    sums = torch.zeros(video.shape[:2], dtype=torch.int64, device=video.device)
    for clip, out in zip(video, sums[:, 1:], strict=True):
        pairs = clip[:-1].split(BLOCK), clip[1:].split(BLOCK), out.split(BLOCK)
        for before, after, block in zip(*pairs, strict=True):
            difference = torch.maximum(before, after) - torch.minimum(before, after)
            block.copy_(difference.flatten(2).sum(2, dtype=torch.int32).sum(1))  # a row fits 32 bits, a frame may not
    sums[:, :1] = sums[:, 1:2] if video.shape[1] > 1 else 0
    return sums.double() / video[0, 0].numel()


def motion_shares(weights: Motion, own: Motion, partner: Motion) -> Float64[Tensor, " clips"]:
    """Return the own video's share of each label: how much of its motion shows, beside how much of the partner's does.

    With `seen(w, m) = sum(w * m) / sum(m)` over the frames, the share is `a / (a + b)` of `a = seen(W, own)` and
    `b = seen(1 - W, partner)`. Where nothing moves in a video all its frames count alike; where neither's motion shows,
    the share is the mean weight, as it is without motion. Equal motion in all frames gives the mean weight, too.

    Args:
        weights: W, the share of the own video in each frame.
        own, partner: motion in each frame of the two videos before they were mixed.
    """
    a, b = _seen(weights, own), _seen(1 - weights, partner)
    return torch.where(a + b > 0, a / (a + b), weights.mean(1))


def _seen(weights: Motion, motion: Motion) -> Float64[Tensor, " clips"]:
    whole = motion.sum(1)
    return torch.where(whole > 0, (weights * motion).sum(1) / whole, weights.mean(1))
