"""The frame ops: what each does, what its magnitudes mean, and how clips go through several of them.

A new frame op is one function and one row of `OPS`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch

from vidaug_cli.errors import ClipsError
from vidaug_cli.ops import geometric, photometric
from vidaug_cli.ops.clips import ClipOp, Draw, Frames, Shape, Values, Video, map_frames, ramp
from vidaug_cli.ops.geometric import Interpolation, Sampling
from vidaug_cli.schema import Rules
from vidaug_cli.words import nearest

MagnitudeTable = Literal["official", "monotone"]  # as released with arXiv:2008.05721; stronger with the magnitude
Fill = int | tuple[int, int, int]

TOP = 30  # the highest magnitude


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

    function: Callable[..., Frames]  # (frames, values), and the sampling where the op moves pixels
    scales: dict[MagnitudeTable, Scale]
    limits: tuple[float, float] = (0, 0)  # values that make sense
    moves: bool = False  # moves pixels, so that interpolation and fill matter


def _scales(official: Scale, monotone: Scale | None = None) -> dict[MagnitudeTable, Scale]:
    """Return the scale of each table; without a second the same for both."""
    return {"official": official, "monotone": monotone or official}


_NO_VALUE = _scales(Scale())
_TURN = _scales(Scale(0, 30, signed=True))
_SLANT = _scales(Scale(0, 0.3, signed=True))
_SHIFT = _scales(Scale(0, 100 / 160, signed=True), Scale(0, 150 / 331, signed=True))
_FACTOR = _scales(Scale(0.1, 1.9), Scale(0, 0.9, signed=True, base=1))

OPS: dict[str, FrameOp] = {
    "identity": FrameOp(photometric.identity, _NO_VALUE),
    "autocontrast": FrameOp(photometric.autocontrast, _NO_VALUE),
    "equalize": FrameOp(photometric.equalize, _NO_VALUE),
    "invert": FrameOp(photometric.invert, {"official": Scale()}),
    "rotate": FrameOp(geometric.rotate, _TURN, (-360, 360), moves=True),
    "shear_x": FrameOp(geometric.shear_x, _SLANT, (-2, 2), moves=True),
    "shear_y": FrameOp(geometric.shear_y, _SLANT, (-2, 2), moves=True),
    "translate_x": FrameOp(geometric.translate_x, _SHIFT, (-1, 1), moves=True),
    "translate_y": FrameOp(geometric.translate_y, _SHIFT, (-1, 1), moves=True),
    "posterize": FrameOp(photometric.posterize, _scales(Scale(0, 4), Scale(8, 4)), (1, 8)),
    "solarize": FrameOp(photometric.solarize, _scales(Scale(0, 256), Scale(255, 0)), (0, 256)),
    "color": FrameOp(photometric.color, _FACTOR, (0, 10)),
    "contrast": FrameOp(photometric.contrast, _FACTOR, (0, 10)),
    "brightness": FrameOp(photometric.brightness, _FACTOR, (0, 10)),
    "sharpness": FrameOp(photometric.sharpness, _FACTOR, (0, 10)),
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
        ops = {name: partial(op.function, sampling=sampling) if op.moves else op.function for name, op in OPS.items()}
        out = torch.empty_like(video)
        for clip, made, draw in zip(video, out, draws, strict=True):
            names, values = zip(*self.layers(draw, len(clip)), strict=True)
            # All ops on one block of frames, then on the next, so that a block stays in the cache.
            map_frames(partial(_chain, [ops[name] for name in names]), clip, *values, out=made)
        return out


def _chain(ops: Iterable[Callable[..., Frames]], frames: Frames, *values: Values) -> Frames:
    for op, value in zip(ops, values, strict=True):
        frames = op(frames, value)
    return frames


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
