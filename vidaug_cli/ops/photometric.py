"""Colour ops on blocks of frames, each with Pillow's definition (`ImageOps`, `ImageEnhance`).

Every op takes RGB or grey frames and a value for each frame, and returns new frames of the same shape. Statistics are
each frame's own. Tables and sums are integers or float64, and a product is rounded before it is added to anything, so
that all devices give the same pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Int32, Shaped, UInt8
from torch import Tensor

from vidaug_cli.ops.clips import Frames, Values

PerFrame = Shaped[Tensor, "frames 1 1 1"]
Levels = Shaped[Tensor, "frames height width channels"]
Codes = Int32[Tensor, "pixels"]

LUMA = (19595 / 65536, 38470 / 65536, 7471 / 65536)  # ITU-R 601-2 as Pillow rounds it; exact in float32


def identity(frames: Frames, values: Values) -> Frames:
    """Copy the pixels; takes no value."""
    return frames.clone()


def invert(frames: Frames, values: Values) -> Frames:
    """Make each pixel 255 - pixel; takes no value."""
    return frames.bitwise_not()


def posterize(frames: Frames, values: Values) -> Frames:
    """Keep the highest bits of each pixel. Value: how many, cut to a whole number and to 1..8."""
    bits = values.astype(np.int64).clip(1, 8)
    return frames & _per_frame(256 - 2 ** (8 - bits), frames, torch.uint8)


def solarize(frames: Frames, values: Values) -> Frames:
    """Invert the pixels that are not below the threshold. Value: the threshold, 0 (all) to 256 (none)."""
    bright = frames >= _per_frame(np.ceil(values), frames, torch.int16)
    return frames ^ (bright.view(torch.uint8) * 255)


def brightness(frames: Frames, values: Values) -> Frames:
    """Move away from black. Value: the factor, 0 black, 1 unchanged."""
    return _blend(torch.zeros((), device=frames.device), frames, values)


def contrast(frames: Frames, values: Values) -> Frames:
    """Move away from the frame's mean grey. Value: the factor, 0 flat grey, 1 unchanged."""
    mean = _luma(frames).mean((1, 2, 3), dtype=torch.float64, keepdim=True)
    return _blend((mean + 0.5).floor_().float(), frames, values)


def color(frames: Frames, values: Values) -> Frames:
    """Move away from each pixel's grey; grey frames stay. Value: the factor, 0 grey, 1 unchanged."""
    if frames.shape[-1] == 1:
        return frames.clone()
    return _blend(_luma(frames).expand(frames.shape).contiguous(), frames, values)


def sharpness(frames: Frames, values: Values) -> Frames:
    """Move away from the smoothed frame; the outermost pixels stay. Value: the factor, 0 smoothed, 1 unchanged."""
    out = frames.clone(memory_format=torch.contiguous_format)
    # Rows of pixels and channels alike, so that the neighbour to the right is c further on in one long run.
    rows, c = frames.flatten(2).float(), frames.shape[-1]
    if min(frames.shape[1:3]) < 3:
        return out
    inner = rows[:, 1:-1, c:-c]
    sums = (rows[:, :-2] + rows[:, 1:-1]).add_(rows[:, 2:])
    sums = (sums[..., : -2 * c] + sums[..., c:-c]).add_(sums[..., 2 * c :]).add_(inner, alpha=4)
    # The kernel's weights sum to 13: (sums + 6) // 13, where the half keeps the product off the whole numbers.
    smooth = sums.add_(6.5).mul_(1 / 13).floor_()
    out.flatten(2)[:, 1:-1, c:-c] = _blend(smooth[..., None], inner[..., None], values)[..., 0]
    return out


def autocontrast(frames: Frames, values: Values) -> Frames:
    """Stretch each channel to 0..255; takes no value."""
    n, _, w, c = frames.shape
    darkest = frames.flatten(2).amin(1).view(n, w, c).amin(1)[..., None].double()
    brightest = frames.flatten(2).amax(1).view(n, w, c).amax(1)[..., None].double()
    levels = torch.arange(256, device=frames.device, dtype=torch.float64)
    span = (brightest - darkest).clamp_(min=1)
    scale = torch.full_like(span, 255) / span  # torch takes 255 / span as 255 * (1 / span), which rounds twice
    stretched = (levels * scale).add_(-darkest * scale).trunc_().clamp_(0, 255)
    return _look_up(_codes(frames), torch.where(brightest > darkest, stretched, levels)).view(frames.shape)


def equalize(frames: Frames, values: Values) -> Frames:
    """Make each channel's levels equally frequent; takes no value."""
    n, h, w, c = frames.shape
    codes = _codes(frames)
    counts = torch.bincount(codes, minlength=n * c * 256).view(n, c, 256)
    below = counts.cumsum(-1) - counts
    step = torch.where(below < h * w, below, 0).amax(-1, keepdim=True) // 255
    equal = ((step // 2 + below) // step.clamp(min=1)).clamp_(max=255)
    levels = torch.arange(256, device=frames.device)
    return _look_up(codes, torch.where(step > 0, equal, levels)).view(frames.shape)


def _per_frame(values: Shaped[np.ndarray, " frames"], frames: Levels, dtype: torch.dtype) -> PerFrame:
    """Return values beside the frames, on their device."""
    return torch.from_numpy(values).to(frames.device, dtype).view(-1, 1, 1, 1)


def _blend(base: Tensor, frames: Levels, values: Values) -> Frames:
    """Return `base + factor * (frames - base)`, clipped and cut to whole numbers: `Image.blend`."""
    factor = _per_frame(values, frames, torch.float32)
    out = (frames.float() - base).mul_(factor).add_(base).clamp_(0, 255)
    return out.to(torch.int16).to(torch.uint8)  # by way of int16, as torch's direct way is three times slower


def _luma(frames: Frames) -> Float32[Tensor, "frames height width 1"]:
    """Return whole grey levels. Every step is exact in float32."""
    if frames.shape[-1] == 1:
        return frames.float()
    red, green, blue = (frames[..., channel].float().mul_(weight) for channel, weight in enumerate(LUMA))
    return red.add_(green).add_(blue).add_(0.5).floor_()[..., None]


def _codes(frames: Frames) -> Codes:
    """Return level + 256 * (channel + C * frame) of every pixel: its place in flattened tables."""
    n, _, w, c = frames.shape
    starts = torch.arange(0, n * c * 256, 256, device=frames.device, dtype=torch.int32).view(n, 1, 1, c)
    return (frames.flatten(2) + starts.expand(n, 1, w, c).flatten(2)).flatten()


def _look_up(codes: Codes, tables: Shaped[Tensor, "frames channels 256"]) -> UInt8[Tensor, " pixels"]:
    """Return the levels that the tables hold for the pixels."""
    return tables.to(torch.uint8).flatten().index_select(0, codes)
