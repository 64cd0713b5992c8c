"""Rotate, shear and translate: one resampling kernel over affine maps from output to input pixels.

Frames are uint8 (N, H, W, C) and every frame has its own value. Maps are made on the host in float64 and followed in
16.16 fixed point as Pillow does it, so that all devices take the same pixels.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidaug_cli.ops.clips import Frames
from vidaug_cli.ops.schedule import Values

Interpolation = Literal["nearest", "bilinear"]
Maps = NDArray[np.float64]  # (N, 2, 3): x and y of the input from (x, y, 1) of the output


class Sampling(NamedTuple):
    """How pixels between pixels and outside the frame are made."""

    interpolation: Interpolation = "nearest"
    fill: tuple[int, ...] = (0,)  # colour outside the frame: one level, or one for each channel


PLAIN = Sampling()


def rotate(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """About the centre. Value: degrees, counter-clockwise."""
    angle = np.radians(values)
    maps = _unmoved(len(values))
    maps[:, 0, 0] = maps[:, 1, 1] = np.cos(angle)
    maps[:, 1, 0] = np.sin(angle)
    maps[:, 0, 1] = -maps[:, 1, 0]
    _, h, w, _ = frames.shape
    centre = np.array([w / 2, h / 2])
    maps[:, :, 2] = centre - maps[:, :, :2] @ centre
    return resample(frames, maps, sampling)


def shear_x(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """Rows slide to the left, the lower the more. Value: columns per row."""
    maps = _unmoved(len(values))
    maps[:, 0, 1] = values
    return resample(frames, maps, sampling)


def shear_y(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """Columns slide up, the further right the more. Value: rows per column."""
    maps = _unmoved(len(values))
    maps[:, 1, 0] = values
    return resample(frames, maps, sampling)


def translate_x(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """To the left. Value: share of the width."""
    maps = _unmoved(len(values))
    maps[:, 0, 2] = values * frames.shape[2]
    return resample(frames, maps, sampling)


def translate_y(frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
    """Up. Value: share of the height."""
    maps = _unmoved(len(values))
    maps[:, 1, 2] = values * frames.shape[1]
    return resample(frames, maps, sampling)


def resample(frames: Frames, maps: Maps, sampling: Sampling = PLAIN) -> Frames:
    """New frames of the same shape whose pixel (x, y) is the input's at `map @ (x, y, 1)`."""
    x, y = (_positions(maps[:, row], frames) for row in (0, 1))
    padded = _pad(frames, sampling.fill)
    pick = _pick_linear if sampling.interpolation == "bilinear" else _pick_nearest
    return pick(padded, x, y).view(frames.shape)


def _unmoved(frames: int) -> Maps:
    return np.tile(np.eye(2, 3), (frames, 1, 1))


def _positions(row: NDArray[np.float64], frames: Frames) -> Tensor:
    """Where each output pixel's centre lies on one axis of the input: int32 (N, H, W), in 1/65536 pixels."""
    _, h, w, _ = frames.shape
    first = row[:, 2] + row[:, 0] * 0.5 + row[:, 1] * 0.5  # where the centre of pixel (0, 0) comes from
    right, below, start = np.floor(np.stack((row[:, 0], row[:, 1], first))[..., None] * 65536 + 0.5).astype(np.int32)
    across = right * np.arange(w, dtype=np.int32)
    down = below * np.arange(h, dtype=np.int32) + start
    return torch.from_numpy(across).to(frames.device)[:, None] + torch.from_numpy(down).to(frames.device)[..., None]


def _pad(frames: Frames, fill: tuple[int, ...]) -> Frames:
    """The frames within a border of one pixel of the fill colour: what lies outside is read from there."""
    n, h, w, c = frames.shape
    padded = frames.new_empty((n, h + 2, w + 2, c))
    padded[:, 1:-1, 1:-1] = frames
    colour = torch.tensor(fill, dtype=torch.uint8, device=frames.device)
    for edge in (padded[:, 0], padded[:, -1], padded[:, :, 0], padded[:, :, -1]):
        edge.copy_(colour)
    return padded


def _pick(padded: Frames, index: Tensor) -> Tensor:
    """Pixels (N*H*W, C) of the padded frames; index int32 (N, H, W), row * width + column, counted in each frame."""
    n, h, w, c = padded.shape
    if n > 1:
        index = index + torch.arange(0, n * h * w, h * w, dtype=torch.int32, device=index.device).view(n, 1, 1)
    return padded.view(-1, c).index_select(0, index.flatten())


def _pick_nearest(padded: Frames, x: Tensor, y: Tensor) -> Tensor:
    _, h, w, _ = padded.shape
    columns = (x >> 16).clamp_(-1, w - 2)
    return _pick(padded, (y >> 16).clamp_(-1, h - 2).mul_(w).add_(columns).add_(w + 1))


def _pick_linear(padded: Frames, x: Tensor, y: Tensor) -> Tensor:
    """Between the four pixels around; next to an edge the edge's own, as in Pillow, and outside the fill colour."""
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


def _neighbours(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The padded pixels on either side of a position on an axis of `size` pixels, and the second one's share."""
    position = position - 32768
    first = position >> 16
    share = (position & 65535).float().div_(65536)
    return first.clamp(0, size - 1).add_(1), first.add_(1).clamp_(0, size - 1).add_(1), share
