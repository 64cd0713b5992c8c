"""The CutMix and MixUp family, which draw the weight field that `blend` blends with, and the Cutout family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from vidaug_cli.ops.blend import Blend, Box, Span, axis_masks, inside
from vidaug_cli.ops.clips import ClipOp, Draw, Op, Shape, Video
from vidaug_cli.ops.upload import upload
from vidaug_cli.schema import Rules

BoxRule = Literal["clip", "inside"]


class Mix(Op[Blend]):
    """A member of the mixing family: it draws the weights for one clip."""

    axes: ClassVar[str] = "tyx"  # along which the weights change within a clip; of an unknown member, perhaps all


def _above_zero(value: float) -> tuple[bool, str]:
    return 0 < value < float("inf"), "a number above 0"


def _draw_box(rng: np.random.Generator, shape: Shape, axes: str, share: float, rule: BoxRule) -> Box:
    """Draw a box that takes up `share` of the volume spanned by `axes` ("t", "yx", "tyx") and all of the other axes.

    Its centre is uniform over the integers of each axis; what sticks out is cut off (`clip`), or the box is shifted
    to lie inside (`inside`).
    """
    factor = share ** (1 / len(axes))

    def span(axis: str, size: int) -> Span:
        if axis not in axes:
            return 0, size
        side, centre = int(size * factor), int(rng.integers(size))
        if rule == "clip":
            return max(0, centre - side // 2), min(size, centre + side // 2)
        start = min(max(0, centre - side // 2), size - side)
        return start, start + side

    return Box(*(span(axis, size) for axis, size in zip("tyx", shape, strict=True)))


@dataclass(frozen=True, kw_only=True)
class _BetaMix(Mix):
    """A mix whose ratio is drawn from Beta(beta, beta)."""

    beta: float = 1.0

    def rules(self) -> Rules:
        """Return for each key whether its value is good, and in words what is."""
        return {"beta": _above_zero(self.beta)}


@dataclass(frozen=True, kw_only=True)
class CutMix(_BetaMix):
    """A box of all frames shows the partner. Yun et al. 2019, arXiv:1905.04899."""

    box: BoxRule = "clip"
    axes = "yx"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Blend:
        """Draw lambda ~ Beta(beta, beta), and a box that takes up 1 - lambda of the clip."""
        lam = rng.beta(self.beta, self.beta)
        return Blend(box=_draw_box(rng, shape, self.axes, 1 - lam, self.box), lam=lam)


class FrameCutMix(CutMix):
    """Some frames in a row show the partner. Kim et al. 2020, arXiv:2008.05721."""

    axes = "t"


class CubeCutMix(CutMix):
    """A box of some frames in a row shows the partner. Kim et al. 2020, arXiv:2008.05721."""

    axes = "tyx"


class MixUp(_BetaMix):
    """Both videos, transparent. Zhang et al. 2018, arXiv:1710.09412."""

    axes = ""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Blend:
        """Draw lambda ~ Beta(beta, beta), the same in all frames."""
        lam = rng.beta(self.beta, self.beta)
        return Blend(lam, lam)


class FadeMixUp(MixUp):
    """Two videos cross-fade. Kim et al. 2020, arXiv:2008.05721."""

    axes = "t"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Blend:
        """Draw lambda as MixUp does, and a swing around it up to min(lambda, 1 - lambda), either way."""
        lam = rng.beta(self.beta, self.beta)
        swing = rng.uniform(-1, 1) * min(lam, 1 - lam)  # keeps the ramp in [0, 1]
        return Blend(lam - swing, lam + swing)


@dataclass(frozen=True, kw_only=True)
class CutMixUp(CutMix):
    """MixUp with a box that is one video pure, or plain MixUp. Kim et al. 2020, arXiv:2008.05721."""

    mixup_beta: float = 2.0
    mixup_p: float = 0.5  # chance of plain MixUp
    blend: Literal["outside", "inside"] = "outside"  # inside: blended in the box, the own video pure around it

    def rules(self) -> Rules:
        """Return for each key whether its value is good, and in words what is."""
        return super().rules() | {
            "mixup_beta": _above_zero(self.mixup_beta),
            "mixup_p": (0 <= self.mixup_p <= 1, "a chance, 0 to 1"),
        }

    def draw(self, rng: np.random.Generator, shape: Shape) -> Blend:
        """Draw a MixUp ratio, and with chance 1 - mixup_p a box of CutMix in which one video is pure."""
        share = rng.beta(self.mixup_beta, self.mixup_beta)
        if rng.random() < self.mixup_p:
            return Blend(share, share)
        cut = super().draw(rng, shape)
        if self.blend == "inside":
            return replace(cut, inside=share)
        return replace(cut, first=share, last=share, inside=float(share < 0.5))


class FrameCutMixUp(CutMixUp):
    """CutMixUp whose box is some whole frames. Kim et al. 2020, arXiv:2008.05721."""

    axes = "t"


class CubeCutMixUp(CutMixUp):
    """CutMixUp whose box spans some frames. Kim et al. 2020, arXiv:2008.05721."""

    axes = "tyx"


@dataclass(frozen=True, kw_only=True)
class Cutout(ClipOp):
    """A box is deleted; the label stays. DeVries and Taylor 2017, arXiv:1708.04552."""

    t: float = 1.0  # sides of the box as shares of the clip's
    h: float = 0.5
    w: float = 0.5
    fill: int = 128  # becomes zero after the (x - 128) / 128 normalisation

    def rules(self) -> Rules:
        """Return for each key whether its value is good, and in words what is."""
        shares = {name: (0 < getattr(self, name) <= 1, "a share, above 0 and up to 1") for name in "thw"}
        return shares | {"fill": (0 <= self.fill <= 255, "a grey level, 0 to 255")}

    def draw(self, rng: np.random.Generator, shape: Shape) -> Draw:
        """Draw where the box lies, inside the clip."""
        spans = {}
        for axis, size, share in zip("tyx", shape, (self.t, self.h, self.w), strict=True):
            side = int(size * share)
            start = int(rng.integers(size - side + 1))
            spans[axis] = [start, start + side]
        return {"box": spans}

    def apply(self, video: Video, draws: Sequence[Draw]) -> Video:
        """Return a new batch with the box of each clip filled."""
        boxes = [Box(**draw["box"]) for draw in draws]
        if video.device.type != "cpu":  # as many kernels for many clips as for one
            masks = upload(video.device, *axis_masks(boxes, Shape(*video.shape[1:4])))
            return video.masked_fill(inside(*masks)[..., None], self.fill)
        out = video.clone()
        for clip, box in zip(out, boxes, strict=True):
            clip[box.slices] = self.fill
        return out


@dataclass(frozen=True, kw_only=True)
class FrameCutout(Cutout):
    """Some whole frames in a row are deleted. Kim et al. 2020, arXiv:2008.05721."""

    t: float = 0.25
    h: float = 1.0
    w: float = 1.0


@dataclass(frozen=True, kw_only=True)
class CubeCutout(Cutout):
    """A box is deleted in some frames in a row. Kim et al. 2020, arXiv:2008.05721."""

    t: float = 0.5


_MIXES = (CutMix, FrameCutMix, CubeCutMix, MixUp, FadeMixUp, CutMixUp, FrameCutMixUp, CubeCutMixUp)
MIXES: dict[str, type[Mix]] = {kind.__name__.lower(): kind for kind in _MIXES}
CUTOUTS: dict[str, type[ClipOp]] = {"cutout": Cutout, "framecutout": FrameCutout, "cubecutout": CubeCutout}
ALIASES = {
    "framemix": "framecutmix",
    "cubemix": "cubecutmix",
    "framemixup": "framecutmixup",
    "cubemixup": "cubecutmixup",
}
