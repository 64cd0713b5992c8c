"""The frame ops: what each does, what its magnitudes mean, and how clips go through several of them.

A new frame op is one function and one row of `OPS`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from vidaug_cli.errors import ClipsError
from vidaug_cli.ops import geometric, photometric
from vidaug_cli.ops.clips import ClipOp, Draw, Frames, Shape, Values, Video, map_frames, ramp
from vidaug_cli.ops.geometric import PLAIN, Interpolation, Sampling, Size, resample, size_of
from vidaug_cli.ops.upload import upload
from vidaug_cli.schema import Rules
from vidaug_cli.words import nearest

MagnitudeTable = Literal["official", "monotone"]  # as released with arXiv:2008.05721; stronger with the magnitude
Fill = int | tuple[int, int, int]
Numbers = Float64[np.ndarray, "frames _"]

TOP = 30  # the highest magnitude
STEPS = 6  # the most numbers that an op needs for a frame


class Scale(NamedTuple):
    """What a magnitude means to an op: `base + sign * (lo at magnitude 0 .. hi at 30)`, in the op's own units."""

    lo: float = 0.0
    hi: float = 0.0
    signed: bool = False  # the sign is drawn, once per clip and op; otherwise it is +
    base: float = 0.0

    def values(self, magnitudes: Values, sign: int) -> Values:
        """Return the op's values; magnitudes beyond the scale count as its end."""
        return self.base + sign * (self.lo + magnitudes.clip(0, TOP) / TOP * (self.hi - self.lo))


@dataclass(frozen=True)
class FrameOp:
    """A row of `OPS`."""

    scales: dict[MagnitudeTable, Scale]
    limits: tuple[float, float] = (0, 0)  # values that make sense
    levels: Callable[[Frames, photometric.Values], Frames] = photometric.identity  # what happens to colours
    moves: Callable[[Values, Size], Numbers] | None = None  # where pixels come from, so that sampling matters

    def numbers(self, values: Values, size: Size) -> Numbers:
        """Return what the op computes with for each frame, float64 (T, 1 to 6), made on the host."""
        return values[:, None] if self.moves is None else self.moves(values, size)

    def pixels(self, frames: Frames, numbers: Float64[Tensor, "frames _"], sampling: Sampling = PLAIN) -> Frames:
        """Return the frames after the op; they may be the argument, which stays as it was."""
        return self.levels(frames, numbers[:, 0]) if self.moves is None else resample(frames, numbers, sampling)

    def __call__(self, frames: Frames, values: Values, sampling: Sampling = PLAIN) -> Frames:
        """Return the frames after the op with a value for each, in the op's own units."""
        (numbers,) = upload(frames.device, self.numbers(values, size_of(frames)))
        return self.pixels(frames, numbers, sampling)


def _scales(official: Scale, monotone: Scale | None = None) -> dict[MagnitudeTable, Scale]:
    """Return the scale of each table; without a second the same for both."""
    return {"official": official, "monotone": monotone or official}


_NO_VALUE = _scales(Scale())
_TURN = _scales(Scale(0, 30, signed=True))
_SLANT = _scales(Scale(0, 0.3, signed=True))
_SHIFT = _scales(Scale(0, 100 / 160, signed=True), Scale(0, 150 / 331, signed=True))
_FACTOR = _scales(Scale(0.1, 1.9), Scale(0, 0.9, signed=True, base=1))

OPS: dict[str, FrameOp] = {
    "identity": FrameOp(_NO_VALUE),
    "autocontrast": FrameOp(_NO_VALUE, levels=photometric.autocontrast),
    "equalize": FrameOp(_NO_VALUE, levels=photometric.equalize),
    "invert": FrameOp({"official": Scale()}, levels=photometric.invert),
    "rotate": FrameOp(_TURN, (-360, 360), moves=geometric.rotate),
    "shear_x": FrameOp(_SLANT, (-2, 2), moves=geometric.shear_x),
    "shear_y": FrameOp(_SLANT, (-2, 2), moves=geometric.shear_y),
    "translate_x": FrameOp(_SHIFT, (-1, 1), moves=geometric.translate_x),
    "translate_y": FrameOp(_SHIFT, (-1, 1), moves=geometric.translate_y),
    "posterize": FrameOp(_scales(Scale(0, 4), Scale(8, 4)), (1, 8), levels=photometric.posterize),
    "solarize": FrameOp(_scales(Scale(0, 256), Scale(255, 0)), (0, 256), levels=photometric.solarize),
    "color": FrameOp(_FACTOR, (0, 10), levels=photometric.color),
    "contrast": FrameOp(_FACTOR, (0, 10), levels=photometric.contrast),
    "brightness": FrameOp(_FACTOR, (0, 10), levels=photometric.brightness),
    "sharpness": FrameOp(_FACTOR, (0, 10), levels=photometric.sharpness),
}


def op_names(table: MagnitudeTable) -> tuple[str, ...]:
    """Return the names of the ops that a table has."""
    return tuple(name for name, op in OPS.items() if table in op.scales)


Layer = tuple[str, Values]  # name of a frame op and its values over the clip


@dataclass(frozen=True, kw_only=True)
class FrameOps(ClipOp):
    """Frame ops one after the other, each with values over time. How pixels are sampled is common to all of them."""

    interpolation: Interpolation = "nearest"
    fill: Fill = 0  # colour of what moves in from outside the frame: a level for all channels, or red, green, blue

    @property
    def _levels(self) -> tuple[int, ...]:
        return self.fill if isinstance(self.fill, tuple) else (self.fill,)

    def rules(self) -> Rules:
        """Return for each key whether its value is good, and in words what is."""
        good = len(self._levels) in (1, 3) and all(0 <= level <= 255 for level in self._levels)
        return {"fill": (good, "0 to 255, one level or three")}

    @abstractmethod
    def layers(self, draw: Draw, frames: int) -> Iterator[Layer]:
        """Yield the drawn ops of a clip of so many frames, in order."""

    def apply(self, video: Video, draws: Sequence[Draw]) -> Video:
        """Return a new batch that went through the drawn ops of each clip, in order."""
        levels, channels = len(self._levels), video.shape[-1]
        if levels not in (1, channels):
            what = f"has {levels} levels, and the clips have {channels} channel"
            raise ClipsError(what, where="fill", hint="give one level")
        sampling = Sampling(self.interpolation, self._levels)
        layers = [list(self.layers(draw, video.shape[1])) for draw in draws]
        if video.device.type != "cpu":
            return _by_op(video, layers, sampling)
        out = torch.empty_like(video, memory_format=torch.contiguous_format)
        for clip, made, ops in zip(video, out, layers, strict=True):
            numbers = [OPS[name].numbers(values, size_of(clip)) for name, values in ops]
            # All ops on one block of frames, then on the next, so that a block stays in the cache.
            map_frames(partial(_chain, [OPS[name] for name, _ in ops], sampling), clip, *numbers, out=made)
        return out


def _chain(ops: Iterable[FrameOp], sampling: Sampling, frames: Frames, *numbers: Numbers) -> Frames:
    for op, each in zip(ops, numbers, strict=True):
        frames = op.pixels(frames, torch.from_numpy(each), sampling)
    return frames


def _by_op(video: Video, layers: Sequence[Sequence[Layer]], sampling: Sampling) -> Video:
    """Return a new batch that went through the layers of each clip: in each, all clips with the same op at once.

    So a GPU gets as many kernels for many clips as for a few.
    """
    clips, frames, *size, _ = video.shape
    depth = max(map(len, layers), default=0)
    numbers = np.zeros((depth, clips, frames, STEPS))
    found: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for clip, layer in enumerate(layers):
        for place, (name, values) in enumerate(layer):
            each = OPS[name].numbers(values, (size[0], size[1]))
            numbers[place, clip, :, : each.shape[1]] = each
            found[place, name].append(clip)
    groups = dict(sorted(found.items(), key=lambda item: item[0][0]))  # a clip's layers one after the other
    order = np.array([clip for group in groups.values() for clip in group], np.int64)
    there, places = upload(video.device, numbers, order)
    out, taken = video.clone(memory_format=torch.contiguous_format), 0
    for (place, name), group in groups.items():
        chosen = places[taken : taken + len(group)]
        taken += len(group)
        own = there[place].index_select(0, chosen).flatten(0, 1)
        made = OPS[name].pixels(out.index_select(0, chosen).flatten(0, 1), own, sampling)
        out.index_copy_(0, chosen, made.unflatten(0, (len(group), frames)))
    return out


@dataclass(frozen=True, kw_only=True)
class Ramp(FrameOps):
    """One frame op whose value, in the op's own units, runs evenly from the first frame to the last."""

    name: str  # of a row of `OPS`
    first: float = 0.0
    last: float = 0.0

    def rules(self) -> Rules:
        """Return for each key whether its value is good, and in words what is."""
        low, high = OPS[self.name].limits if self.name in OPS else (-np.inf, np.inf)
        return super().rules() | {
            "name": (self.name in OPS, f"a frame op{suggestion(self.name, OPS)}"),
            "first": (low <= self.first <= high, f"{low} to {high}"),
            "last": (low <= self.last <= high, f"{low} to {high}"),
        }

    def draw(self, rng: np.random.Generator, shape: Shape) -> Draw:
        """Return `{"op", "first", "last"}`: nothing is left to chance."""
        return {"op": self.name, "first": self.first, "last": self.last}

    def layers(self, draw: Draw, frames: int) -> Iterator[Layer]:
        """Yield the one op with its values over the frames."""
        yield draw["op"], ramp(draw["first"], draw["last"], frames)


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return the end of a message about a wrong name: the nearest of `names`, or else all of them."""
    return nearest(name, names) or f" (there are {', '.join(names)})"
