"""Mix two clips: one weight field gives the pixels and the soft label of every mix.

A weight field `W(t, h, w)` is the share of the clip's own video: a ramp over time, and a box in which another value
holds. The pixels are `W * own + (1 - W) * partner`, the soft label is `mean(W)` of the own label plus the rest of the
partner's, and the label of a frame is the mean of `W` over that frame. All three come from the same `Blend`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from vidaug_cli.errors import ClipsError
from vidaug_cli.ops.clips import Clips, Draw, Frames, Shape, map_frames


class Span(NamedTuple):
    """A half-open range of one axis."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many frames, rows or columns it covers."""
        return self.stop - self.start


class Box(NamedTuple):
    """A range of frames, of rows and of columns."""

    t: Span = Span(0, 0)
    y: Span = Span(0, 0)
    x: Span = Span(0, 0)

    @classmethod
    def from_json(cls, stored: Draw) -> Box:
        """Return the box of `{"t": [start, stop], "y": ..., "x": ...}`."""
        return cls(*(Span(*stored[axis]) for axis in cls._fields))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The index of the box in a clip."""
        return slice(*self.t), slice(*self.y), slice(*self.x)


class Blend(NamedTuple):
    """One clip's weights: a ramp over time, and a box in which `inside` replaces it."""

    first: float = 1.0  # weight of the clip's own video at its first frame
    last: float = 1.0  # ... and at its last
    box: Box = Box()
    inside: float = 0.0
    lam: float | None = None  # the ratio that sized the box, for the record; the weights follow from the box alone

    @classmethod
    def from_json(cls, stored: Draw) -> Blend:
        """Return what `as_json` wrote."""
        return cls(stored["first"], stored["last"], Box.from_json(stored["box"]), stored["inside"], stored.get("lam"))

    def as_json(self) -> Draw:
        """Return it as JSON can hold it."""
        return self._asdict() | {"box": {axis: list(span) for axis, span in self.box._asdict().items()}}


UNMIXED = Blend()
ClipWeights = Float64[np.ndarray, "frames"]


def ramp_weights(blend: Blend, frames: int) -> ClipWeights:
    """Return the weight of the own video outside the box."""
    return np.linspace(blend.first, blend.last, frames)


def frame_weights(blend: Blend, shape: Shape) -> ClipWeights:
    """Return the share of the own video in each frame: the mean of the weight field over rows and columns."""
    weights = ramp_weights(blend, shape.t)
    share = blend.box.y.size * blend.box.x.size / (shape.h * shape.w)
    covered = slice(*blend.box.t)
    weights[covered] += share * (blend.inside - weights[covered])
    return weights


def weight_field(blend: Blend, shape: Shape) -> Float64[np.ndarray, "frames height width"]:
    """Return the whole field. The kernel never builds it; drawings and tests do."""
    field = np.broadcast_to(ramp_weights(blend, shape.t)[:, None, None], shape).copy()
    field[blend.box.slices] = blend.inside
    return field


def mix(own: Clips, partner: Clips, blends: Sequence[Blend]) -> Clips:
    """Blend pixels, soft labels and frame weights of two batches, clip by clip.

    Args:
        own, partner: batches of the same shape on the same device; neither is changed.
        blends: one per clip.

    Returns:
        A new batch. `weights` is the share of what `own` was; a label weight is the mean of it over the clip.

    Raises ClipsError when the batches differ in shape or device, or there is not one blend per clip.
    """
    for name in ("video", "target"):
        ours, theirs = (getattr(clips, name) for clips in (own, partner))
        if (ours.shape, ours.device) != (theirs.shape, theirs.device):
            what = f"is {tuple(theirs.shape)} on {theirs.device}, the own one {tuple(ours.shape)} on {ours.device}"
            raise ClipsError(what, where=f"the partner's {name}")
    if len(blends) != len(own):
        raise ClipsError(f"there are {len(blends)} blends for {len(own)} clips")
    device, shape = own.video.device, Shape(*own.video.shape[1:4])
    weights = torch.from_numpy(np.stack([frame_weights(blend, shape) for blend in blends])).to(device)
    share = weights.mean(1, keepdim=True)
    target = share * own.target + (1 - share) * partner.target  # in float64, so that rows sum to 1
    video = torch.empty_like(own.video)
    for ours, theirs, blend, out in zip(own.video, partner.video, blends, video, strict=True):
        _blend(ours, theirs, blend, out)
    return Clips(
        video=video,
        target=target.to(own.target.dtype),
        weights=(weights * own.weights).to(own.weights.dtype),
    )


def _blend(own: Frames, partner: Frames, blend: Blend, out: Frames) -> None:
    """Blend the pixels of one clip into `out`: the one kernel."""
    _fade(own, partner, ramp_weights(blend, len(own)), out)
    box = blend.box.slices
    _fade(own[box], partner[box], np.full(blend.box.t.size, blend.inside, np.float64), out[box])


def _fade(own: Frames, partner: Frames, weights: ClipWeights, out: Frames) -> None:
    """Put `weights * own + (1 - weights) * partner`, rounded, into `out`."""
    values = set(weights.tolist())
    if values in ({0}, {1}):
        out.copy_(own if values == {1} else partner)
    elif out.numel():
        map_frames(_fade_block, own, partner, torch.from_numpy(weights).to(own.device, torch.float32), out=out)


def _fade_block(own: Frames, partner: Frames, weights: Float32[Tensor, " frames"]) -> Frames:
    # Apart, not fused into one multiply-add, so that every device rounds alike.
    base = partner.float()
    return own.float().sub_(base).mul_(weights.view(-1, 1, 1, 1)).add_(base).round_().to(torch.uint8)
