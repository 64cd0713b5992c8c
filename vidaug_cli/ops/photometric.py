"""Colour ops on blocks of frames, each with Pillow's definition (`ImageOps`, `ImageEnhance`).

Every op takes RGB or grey frames and a value for each frame, on the same device, and returns frames of the same shape;
the argument stays as it was. Statistics are each frame's own. Tables and sums are integers or float64, and a product is
rounded before it is added to anything, so that all devices give the same pixels.

Chains of ops with a table of 256 levels are not made one table: on a CPU, looking up a level takes as long as eight
passes of arithmetic (42 and 5 us a frame of 160 x 160), and most of these ops are fewer.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int32, Int64, Shaped, UInt8
from torch import Tensor

from vidaug_cli.ops.clips import Frames
from vidaug_cli.ops.packed import channels_of, unpack

Values = Float64[Tensor, " frames"]
PerFrame = Shaped[Tensor, "frames 1 1 1"]
Codes = Int32[Tensor, "pixels"]

LUMA = (19595, 38470, 7471)  # ITU-R 601-2 in 1/65536, as Pillow rounds it


def identity(frames: Frames, values: Values) -> Frames:
    """Leave the pixels as they are; takes no value."""
    return frames


def invert(frames: Frames, values: Values) -> Frames:
    """Make each pixel 255 - pixel; takes no value."""
    return frames.bitwise_not()


def posterize(frames: Frames, values: Values) -> Frames:
    """Keep the highest bits of each pixel. Value: how many, cut to a whole number and to 1..8."""
    bits = values.to(torch.int32).clamp_(1, 8)
    return frames & _per_frame(255 << (8 - bits), torch.uint8)


def solarize(frames: Frames, values: Values) -> Frames:
    """Invert the pixels that are not below the threshold. Value: the threshold, 0 (all) to 256 (none)."""
    # All bits of what is darker, as the sign of a difference: comparing takes ten times as long on the CPU.
    dark = frames.to(torch.int16).sub_(_per_frame(values.ceil(), torch.int16)).bitwise_right_shift_(8).to(torch.uint8)
    return dark.bitwise_not_().bitwise_xor_(frames)


def brightness(frames: Frames, values: Values) -> Frames:
    """Move away from black. Value: the factor, 0 black, 1 unchanged."""
    return _levels(frames.float().mul_(_per_frame(values, torch.float32)))


def contrast(frames: Frames, values: Values) -> Frames:
    """Move away from the frame's mean grey. Value: the factor, 0 flat grey, 1 unchanged."""
    exact, pixels = frames.float(), frames[0, ..., 0].numel()
    mean = (2 * _luma(frames).sum((1, 2), dtype=torch.int64) + pixels) // (2 * pixels)  # rounded, in integers
    return _levels(_blend(_per_frame(mean, torch.float32), exact, _per_frame(values, torch.float32)))


def color(frames: Frames, values: Values) -> Frames:
    """Move away from each pixel's grey; grey frames stay. Value: the factor, 0 grey, 1 unchanged."""
    if frames.shape[-1] == 1:
        return frames
    exact, grey = frames.float(), _luma(frames)
    # On the CPU, the way to three equal levels by packed pixels is a quarter of the way by broadcasting over them.
    base = unpack(grey.mul_(0x010101)).float() if grey.device.type == "cpu" else grey[..., None].float()
    return _levels(_blend(base, exact, _per_frame(values, torch.float32)))


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
    factor = values.to(torch.float32).view(-1, 1, 1)
    out.flatten(2)[:, 1:-1, c:-c] = _levels(_blend(smooth, inner, factor))
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
    counts = _counts(codes, n * c * 256).view(n, c, 256)
    below = counts.cumsum(-1) - counts
    step = torch.where(below < h * w, below, 0).amax(-1, keepdim=True) // 255
    equal = ((step // 2 + below) // step.clamp(min=1)).clamp_(max=255)
    levels = torch.arange(256, device=frames.device)
    return _look_up(codes, torch.where(step > 0, equal, levels)).view(frames.shape)


def _per_frame(values: Shaped[Tensor, " frames"], dtype: torch.dtype) -> PerFrame:
    """Return values as they stand beside the frames."""
    return values.to(dtype).view(-1, 1, 1, 1)


def _blend(base: Tensor, exact: Tensor, factor: Tensor) -> Tensor:
    """Return `base + factor * (exact - base)` in float32, in the memory of `exact`: `Image.blend`."""
    return exact.sub_(base).mul_(factor).add_(base)


def _levels(exact: Tensor) -> UInt8[Tensor, "*shape"]:
    """Return float32 numbers as whole levels, cut, by way of int16: the direct way takes five times as long."""
    return exact.clamp_(0, 255).to(torch.int16).to(torch.uint8)


def _luma(frames: Frames) -> Int32[Tensor, "frames height width"]:
    """Return whole grey levels, computed in integers."""
    if frames.shape[-1] == 1:
        return frames[..., 0].int()
    red, green, blue = (level.mul_(weight) for level, weight in zip(channels_of(frames), LUMA, strict=True))
    return red.add_(green).add_(blue).add_(32768).bitwise_right_shift_(16)


def _codes(frames: Frames) -> Codes:
    """Return level + 256 * (channel + C * frame) of every pixel: its place in flattened tables."""
    n, _, w, c = frames.shape
    starts = torch.arange(0, n * c * 256, 256, device=frames.device, dtype=torch.int32).view(n, 1, 1, c)
    return (frames.flatten(2) + starts.expand(n, 1, w, c).flatten(2)).flatten()


def _counts(codes: Codes, kinds: int) -> Int64[Tensor, " kinds"]:
    """Return how often each code comes."""
    if codes.device.type == "cpu":
        return torch.bincount(codes, minlength=kinds)
    counts = torch.zeros(kinds, dtype=torch.int64, device=codes.device)  # for bincount's length, a GPU is waited for
    return counts.scatter_add_(0, codes.long(), counts.new_ones(1).expand(len(codes)))


def _look_up(codes: Codes, tables: Shaped[Tensor, "frames channels 256"]) -> UInt8[Tensor, " pixels"]:
    """Return the levels that the tables hold for the pixels."""
    return tables.to(torch.uint8).flatten().index_select(0, codes)
