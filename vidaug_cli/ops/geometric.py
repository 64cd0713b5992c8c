"""Rotate, shear, translate and zoom: one resampling kernel over affine maps from output to input pixels.

Every frame has its own map and keeps its shape. Maps are made on the host in float64 and followed in 16.16 fixed point
as Pillow does it, so that all devices take the same pixels.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int32, UInt8
from torch import Tensor

from vidaug_cli.ops.clips import Frames, Values
from vidaug_cli.ops.packed import pack, unpack

Interpolation = Literal["nearest", "bilinear"]
Size = tuple[int, int]  # rows and columns of a frame
Steps = Float64[np.ndarray, "frames 6"]  # whole 1/65536 pixels of the input: x per column, per row, of pixel 0; y alike
Positions = Int32[Tensor, "frames height width"]  # on one axis, of each output pixel
Padded = UInt8[Tensor, "frames padded_height padded_width channels"]
Row = tuple[Values | int, Values | int, Values | int]
ONE = 65536  # a pixel, in fixed point


class Sampling(NamedTuple):
    """How pixels between pixels and outside the frame are made."""

    interpolation: Interpolation = "nearest"
    fill: tuple[int, ...] = (0,)  # colour outside the frame: one level, or one for each channel


PLAIN = Sampling()


def rotate(values: Values, size: Size) -> Steps:
    """Turn about the centre. Value: degrees, counter-clockwise."""
    angle, (h, w) = np.radians(values), size
    right, below = (np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))
    x, y = (w / 2 - (right[0] * (w / 2) + below[0] * (h / 2))), (h / 2 - (right[1] * (w / 2) + below[1] * (h / 2)))
    return _steps((right[0], below[0], x), (right[1], below[1], y))


def shear_x(values: Values, size: Size) -> Steps:
    """Slide rows to the left, the lower the more. Value: columns per row."""
    return _steps((1, values, 0), (0, 1, 0))


def shear_y(values: Values, size: Size) -> Steps:
    """Slide columns up, the further right the more. Value: rows per column."""
    return _steps((1, 0, 0), (values, 1, 0))


def translate_x(values: Values, size: Size) -> Steps:
    """Move to the left. Value: share of the width."""
    return shift(values, np.zeros_like(values), size)


def translate_y(values: Values, size: Size) -> Steps:
    """Move up. Value: share of the height."""
    return shift(np.zeros_like(values), values, size)


def shift(x: Values, y: Values, size: Size) -> Steps:
    """Move to the left and up. Values: shares of the width and of the height."""
    return _steps((1, 0, x * size[1]), (0, 1, y * size[0]))


def zoom(values: Values, size: Size) -> Steps:
    """Enlarge about the centre, or shrink. Value: octaves, 1 twice as large, -1 half as large."""
    step, (h, w) = 0.5**values, size
    return _steps((step, 0, w / 2 * (1 - step)), (0, step, h / 2 * (1 - step)))


def size_of(frames: Frames) -> Size:
    """Return the rows and columns of frames."""
    return frames.shape[1], frames.shape[2]


def _steps(x: Row, y: Row) -> Steps:
    """Return how to follow the maps with these rows; an entry is one number or one per frame."""
    maps = np.stack(np.broadcast_arrays(*x, *y), -1).astype(np.float64).reshape(-1, 2, 3)
    right, below, start = np.moveaxis(maps, -1, 0)
    first = start + right * 0.5 + below * 0.5  # where the centre of pixel (0, 0) comes from
    return np.floor(np.stack((right, below, first), -1) * ONE + 0.5).reshape(-1, 6)


def resample(frames: Frames, steps: Float64[Tensor, "frames 6"], sampling: Sampling = PLAIN) -> Frames:
    """Return new frames whose pixels are the input's where `steps`, on the same device, lead."""
    if sampling.interpolation == "bilinear":
        return _interpolate(_pad(frames, sampling.fill), *_positions(steps, frames)).view(frames.shape)
    if frames.device.type == "cpu" and bool(((steps[:, 0] == ONE) & (steps[:, 3] == 0)).all()):
        return _slide(frames, steps, sampling.fill)
    columns, rows = (
        (axis >> 16).clamp_(-1, size)
        for axis, size in zip(_positions(steps, frames), frames.shape[2:0:-1], strict=True)
    )
    index = _index(rows.mul_(frames.shape[2] + 2).add_(columns).add_(frames.shape[2] + 3), frames)
    if frames.device.type == "cpu" and frames.shape[-1] == 3:
        return unpack(_pad_packed(frames, sampling.fill).view(-1).index_select(0, index).view(frames.shape[:3]))
    return _pick(_pad(frames, sampling.fill), index).view(frames.shape)


def _positions(steps: Float64[Tensor, "frames 6"], frames: Frames) -> tuple[Positions, Positions]:
    """Return where each output pixel's centre lies in the input, x and y in 1/65536 pixels."""
    across, down = (
        torch.arange(side, dtype=torch.int32, device=frames.device) for side in (frames.shape[2], frames.shape[1])
    )
    whole = steps.to(torch.int32)

    def along(axis: int) -> Positions:
        right, below, first = (whole[:, 3 * axis + place, None] for place in range(3))
        return (right * across)[:, None] + (below * down).add_(first)[..., None]

    return along(0), along(1)


def _slide(frames: Frames, steps: Float64[Tensor, "frames 6"], fill: tuple[int, ...]) -> Frames:
    """Return frames each row of which is a whole row of the input, slid: a copy in one piece."""
    n, h, w, c = frames.shape
    whole = steps.numpy().astype(np.int64)
    below_x, first_x, below_y, first_y = (whole[:, place, None] for place in (1, 2, 4, 5))
    down = np.arange(h)
    shift = ((below_x * down + first_x) >> 16).clip(-w, w)
    row = (below_y * down + first_y) >> 16
    row = np.where((row < 0) | (row >= h), h, row)  # the last one is of the fill colour
    reach = int(np.abs(shift).max())
    wide = frames.new_empty((n, h + 1, w + 2 * reach, c))
    wide[:, :h, reach : reach + w] = frames
    for edge in (wide[:, h], wide[:, :, :reach], wide[:, :, reach + w :]):
        _fill(edge, fill)
    starts = (np.arange(n)[:, None] * (h + 1) + row) * (w + 2 * reach) + reach + shift
    windows = wide.as_strided((wide.numel() // c - w + 1, w * c), (c, 1))
    return windows.index_select(0, torch.from_numpy(starts.reshape(-1))).view(frames.shape)


def _fill(part: UInt8[Tensor, "*places channels"], fill: tuple[int, ...]) -> None:
    """Make all pixels one colour; no number has to travel to the device by itself."""
    if len(set(fill)) == 1:
        part.fill_(fill[0])
    else:
        for channel, level in enumerate(fill):
            part[..., channel].fill_(level)


def _pad(frames: Frames, fill: tuple[int, ...]) -> Padded:
    """Return the frames within a border of one pixel of the fill colour: what lies outside is read from there."""
    n, h, w, c = frames.shape
    padded = frames.new_empty((n, h + 2, w + 2, c))
    padded[:, 1:-1, 1:-1] = frames
    for edge in (padded[:, 0], padded[:, -1], padded[:, :, 0], padded[:, :, -1]):
        _fill(edge, fill)
    return padded


def _pad_packed(frames: Frames, fill: tuple[int, ...]) -> Int32[Tensor, "frames padded_height padded_width"]:
    """Return what `_pad` does, of RGB frames on the CPU, as packed pixels."""
    n, h, w, _ = frames.shape
    red, green, blue = fill if len(fill) == 3 else 3 * fill
    padded = torch.empty((n, h + 2, w + 2), dtype=torch.int32)
    for edge in (padded[:, 0], padded[:, -1], padded[:, :, 0], padded[:, :, -1]):
        edge.fill_(red | green << 8 | blue << 16)
    pack(frames, padded[:, 1:-1, 1:-1])
    return padded


def _index(places: Positions, frames: Frames) -> Int32[Tensor, " pixels"]:
    """Return places in padded frames, row * width + column in each, as places among the pixels of all."""
    n, h, w, _ = frames.shape
    if n > 1:
        size = (h + 2) * (w + 2)
        places += torch.arange(0, n * size, size, dtype=torch.int32, device=frames.device).view(n, 1, 1)
    return places.flatten()


def _pick(padded: Padded, index: Int32[Tensor, " pixels"]) -> UInt8[Tensor, "pixels channels"]:
    return padded.view(-1, padded.shape[-1]).index_select(0, index)


def _interpolate(padded: Padded, x: Positions, y: Positions) -> UInt8[Tensor, "pixels channels"]:
    """Interpolate between the four pixels around; outside the frame take the fill colour.

    Next to an edge the edge's own pixels count alone, as in Pillow.
    """
    _, h, w, c = padded.shape
    inner = padded[:, 1:-1, 1:-1]
    inside = (x >= 0) & (x < (w - 2) << 16) & (y >= 0) & (y < (h - 2) << 16)
    (left, right, share_x), (upper, lower, share_y) = (_neighbours(*axis) for axis in ((x, w - 2), (y, h - 2)))
    # Written out for each channel, as broadcasting over so short an axis is slow on the CPU.
    share_x, share_y = (share.view(-1, 1).expand(-1, c).contiguous() for share in (share_x, share_y))

    def at(column: Tensor, row: Tensor) -> Tensor:
        return _pick(
            padded, _index((row * w).add_(column).mul_(inside), inner)
        ).float()  # the first pixel of all is border

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
