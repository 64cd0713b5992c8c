"""Rotate, shear and translate: one resampling kernel over affine maps from output to input pixels.

Every frame has its own value and keeps its shape. Maps are made on the host in float64 and followed in 16.16 fixed
point as Pillow does it, so that all devices take the same pixels.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int32, UInt8
from torch import Tensor

from vidaug_cli.ops.clips import Frames, Values

Interpolation = Literal["nearest", "bilinear"]
Maps = Float64[np.ndarray, "frames 2 3"]  # x and y of the input from (x, y, 1) of the output
Positions = Int32[Tensor, "frames height width"]  # on one axis, of each output pixel
Padded = UInt8[Tensor, "frames padded_height padded_width channels"]
Picked = UInt8[Tensor, "pixels channels"]
Row = tuple[Values | int, Values | int, Values | int]


class Sampling(NamedTuple):
    """How pixels between pixels and outside the frame are made."""

    interpolation: Interpolation = "nearest"
    fill: tuple[int, ...] = (0,)  # colour outside the frame: one level, or one for each channel


PLAIN = Sampling()


def rotate(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """Turn about the centre. Value: degrees, counter-clockwise."""
    angle = np.radians(values)
    maps = _maps((np.cos(angle), -np.sin(angle), 0), (np.sin(angle), np.cos(angle), 0))
    _, h, w, _ = frames.shape
    centre = np.array([w / 2, h / 2])
    maps[:, :, 2] = centre - maps[:, :, :2] @ centre
    return resample(frames, maps, sampling)


def shear_x(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """Slide rows to the left, the lower the more. Value: columns per row."""
    return resample(frames, _maps((1, values, 0), (0, 1, 0)), sampling)


def shear_y(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """Slide columns up, the further right the more. Value: rows per column."""
    return resample(frames, _maps((1, 0, 0), (values, 1, 0)), sampling)


def translate_x(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """Move to the left. Value: share of the width."""
    return resample(frames, _maps((1, 0, values * frames.shape[2]), (0, 1, 0)), sampling)


def translate_y(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """Move up. Value: share of the height."""
    return resample(frames, _maps((1, 0, 0), (0, 1, values * frames.shape[1])), sampling)


def shift(frames: Frames, x: Values, y: Values, sampling: Sampling = PLAIN) -> Frames:
    """Move to the left and up. Values: shares of the width and of the height."""
    return resample(frames, _maps((1, 0, x * frames.shape[2]), (0, 1, y * frames.shape[1])), sampling)


def zoom(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """Enlarge about the centre, or shrink. Value: octaves, 1 twice as large, -1 half as large."""
    step = 0.5**values
    _, h, w, _ = frames.shape
    return resample(frames, _maps((step, 0, w / 2 * (1 - step)), (0, step, h / 2 * (1 - step))), sampling)


def _maps(x: Row, y: Row) -> Maps:
    """Return the maps with these rows; an entry is one number or one per frame."""
    return np.stack(np.broadcast_arrays(*x, *y), -1).astype(np.float64).reshape(-1, 2, 3)


def resample(frames: Frames, maps: Maps, sampling: Sampling = PLAIN) -> Frames:
    """Return new frames whose pixel (x, y) is the input's at `map @ (x, y, 1)`."""
    x, y = (_positions(maps[:, row], frames) for row in (0, 1))
    padded = _pad(frames, sampling.fill)
    pick = _pick_linear if sampling.interpolation == "bilinear" else _pick_nearest
    return pick(padded, x, y).view(frames.shape)


def _positions(row: Float64[np.ndarray, "frames 3"], frames: Frames) -> Positions:
    """Return where each output pixel's centre lies on one axis of the input, in 1/65536 pixels."""
    _, h, w, _ = frames.shape
    first = row[:, 2] + row[:, 0] * 0.5 + row[:, 1] * 0.5  # where the centre of pixel (0, 0) comes from
    right, below, start = np.floor(np.stack((row[:, 0], row[:, 1], first))[..., None] * 65536 + 0.5).astype(np.int32)
    across = right * np.arange(w, dtype=np.int32)
    down = below * np.arange(h, dtype=np.int32) + start
    return torch.from_numpy(across).to(frames.device)[:, None] + torch.from_numpy(down).to(frames.device)[..., None]


def _pad(frames: Frames, fill: tuple[int, ...]) -> Padded:
    """Return the frames within a border of one pixel of the fill colour: what lies outside is read from there."""
    n, h, w, c = frames.shape
    padded = frames.new_empty((n, h + 2, w + 2, c))
    padded[:, 1:-1, 1:-1] = frames
    colour = torch.tensor(fill, dtype=torch.uint8, device=frames.device)
    for edge in (padded[:, 0], padded[:, -1], padded[:, :, 0], padded[:, :, -1]):
        edge.copy_(colour)
    return padded


def _pick(padded: Padded, index: Positions) -> Picked:
    """Return pixels of the padded frames, by row * width + column in each frame."""
    n, h, w, c = padded.shape
    if n > 1:
        index = index + torch.arange(0, n * h * w, h * w, dtype=torch.int32, device=index.device).view(n, 1, 1)
    return padded.view(-1, c).index_select(0, index.flatten())


def _pick_nearest(padded: Padded, x: Positions, y: Positions) -> Picked:
    """Return the pixels in which the positions lie."""
    _, h, w, _ = padded.shape
    columns = (x >> 16).clamp_(-1, w - 2)
    return _pick(padded, (y >> 16).clamp_(-1, h - 2).mul_(w).add_(columns).add_(w + 1))


def _pick_linear(padded: Padded, x: Positions, y: Positions) -> Picked:
    """Interpolate between the four pixels around; outside the frame take the fill colour.

    Next to an edge the edge's own pixels count alone, as in Pillow.
    """
    _, h, w, c = padded.shape
    inside = (x >= 0) & (x < (w - 2) << 16) & (y >= 0) & (y < (h - 2) << 16)
    (left, right, share_x), (upper, lower, share_y) = (_neighbours(*axis) for axis in ((x, w - 2), (y, h - 2)))
    # Written out for each channel, as broadcasting over so short an axis is slow on the CPU.
    share_x, share_y = (share.view(-1, 1).expand(-1, c).contiguous() for share in (share_x, share_y))

    def at(column: Tensor, row: Tensor) -> Tensor:
        return _pick(padded, (row * w).add_(column).mul_(inside)).float()  # the first pixel of all is border

    def between(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
        return b.sub_(a).mul_(share).add_(a)  # apart, not fused, so that every device rounds alike

    above = between(at(left, upper), at(right, upper), share_x)
    below = between(at(left, lower), at(right, lower), share_x)
    return between(above, below, share_y).to(torch.int16).to(torch.uint8)


def _neighbours(position: Positions, size: int) -> tuple[Positions, Positions, Float32[Tensor, "frames height width"]]:
    """Return the padded pixels on either side of a position on an axis of `size` pixels, and the second one's share."""
    position = position - 32768
    first = position >> 16
    share = (position & 65535).float().div_(65536)
    return first.clamp(0, size - 1).add_(1), first.add_(1).clamp_(0, size - 1).add_(1), share
