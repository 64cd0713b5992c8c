"""Mix two clips: one weight field gives the pixels and the soft label of every mix.

A weight field `W(t, h, w)` is the share of the clip's own video: a ramp over time, and a box in which another value
holds. The pixels are `W * own + (1 - W) * partner`, the soft label is `mean(W)` of the own label plus the rest of the
partner's, and the label of a frame is the mean of `W` over that frame. All three come from the same `Blend`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray
from torch import Tensor

from vidaug_cli.errors import ClipsError
from vidaug_cli.ops.clips import Clips, Frames, Shape, Values, map_frames, ramp
from vidaug_cli.ops.upload import upload

Span = tuple[int, int]  # from the first to behind the last
Inside = Bool[Tensor, "clips t h w"]


@dataclass(frozen=True)
class Box:
    """A range of frames, of rows and of columns."""

    t: Span = (0, 0)
    y: Span = (0, 0)
    x: Span = (0, 0)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The index of the box in a clip."""
        return slice(*self.t), slice(*self.y), slice(*self.x)

    @property
    def shape(self) -> Shape:
        """How many frames, rows and columns it covers."""
        return Shape(*(stop - start for start, stop in (self.t, self.y, self.x)))


@dataclass(frozen=True)
class Blend:
    """One clip's weights: a ramp over time, and a box in which `inside` replaces it."""

    first: float = 1.0  # weight of the clip's own video at its first frame
    last: float = 1.0  # ... and at its last
    box: Box = Box()
    inside: float = 0.0
    lam: float | None = None  # the ratio that sized the box, for the record; the weights follow from the box alone


UNMIXED = Blend()


def frame_weights(blend: Blend, shape: Shape) -> Values:
    """Return the share of the own video in each frame: the mean of the weight field over rows and columns."""
    weights = ramp(blend.first, blend.last, shape.t)
    share = blend.box.shape.h * blend.box.shape.w / (shape.h * shape.w)
    covered = slice(*blend.box.t)
    weights[covered] += share * (blend.inside - weights[covered])
    return weights


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
    shape, device = Shape(*own.video.shape[1:4]), own.video.device
    weights = np.stack([frame_weights(blend, shape) for blend in blends])
    share = torch.from_numpy(weights).mean(1, keepdim=True).numpy()
    fields = () if device.type == "cpu" else _fields(blends, shape)
    weight, ours, theirs, *field = upload(device, weights, share, 1 - share, *fields)
    target = ours * own.target + theirs * partner.target  # in float64, so that rows sum to 1
    if field:
        video = _fade_block(own.video, partner.video, _weight_field(*field))
    else:
        video = torch.empty_like(own.video)
        for clip, other, blend, out in zip(own.video, partner.video, blends, video, strict=True):
            _fade(clip, other, ramp(blend.first, blend.last, shape.t), out)
            box = blend.box.slices
            _fade(clip[box], other[box], ramp(blend.inside, blend.inside, blend.box.shape.t), out[box])
    return Clips(video, target.to(own.target.dtype), (weight * own.weights).to(own.weights.dtype))


def axis_masks(boxes: Sequence[Box], shape: Shape) -> list[NDArray[np.bool_]]:
    """Return for each axis which places of it the boxes take up, bool (B, T), (B, H) and (B, W)."""
    spans = np.array([(box.t, box.y, box.x) for box in boxes])
    return [
        (spans[:, axis, :1] <= np.arange(side)) & (np.arange(side) < spans[:, axis, 1:])
        for axis, side in enumerate(shape)
    ]


def inside(t: Bool[Tensor, "clips t"], y: Bool[Tensor, "clips h"], x: Bool[Tensor, "clips w"]) -> Inside:
    """Return which pixels lie in the boxes whose `axis_masks` these are."""
    return t[:, :, None, None] & (y[:, :, None] & x[:, None])[:, None]


def _fields(blends: Sequence[Blend], shape: Shape) -> list[NDArray[Any]]:
    """Return what the weight fields of a batch follow from: little, as all of it has to travel to a GPU."""
    ramps = np.stack([ramp(blend.first, blend.last, shape.t) for blend in blends]).astype(np.float32)
    insides = np.array([blend.inside for blend in blends], np.float32)
    return [ramps, insides, *axis_masks([blend.box for blend in blends], shape)]


def _weight_field(
    ramps: Float32[Tensor, "clips frames"], insides: Float32[Tensor, " clips"], *masks: Bool[Tensor, "clips _"]
) -> Float32[Tensor, "clips frames height width 1"]:
    return torch.where(inside(*masks), insides.view(-1, 1, 1, 1), ramps[..., None, None])[..., None]


def _fade(own: Frames, partner: Frames, weights: Values, out: Frames) -> None:
    """Put `weights * own + (1 - weights) * partner`, rounded, into `out`, on the CPU."""
    values = set(weights.tolist())
    if values in ({0}, {1}):
        out.copy_(own if values == {1} else partner)
    elif out.numel():
        map_frames(_fade_block, own, partner, torch.from_numpy(weights).float().view(-1, 1, 1, 1), out=out)


def _fade_block(
    own: UInt8[Tensor, "*clips height width channels"],
    partner: UInt8[Tensor, "*clips height width channels"],
    weights: Float32[Tensor, "*shape"],
) -> UInt8[Tensor, "*clips height width channels"]:
    """Return the blend of frames, or of clips; weights have the shape of pixels, or one in place of a side."""
    # Apart, not fused into one multiply-add, so that every device rounds alike; by way of int16, as torch's direct way
    # takes five times as long on the CPU.
    base = partner.float()
    return own.float().sub_(base).mul_(weights).add_(base).round_().to(torch.int16).to(torch.uint8)
