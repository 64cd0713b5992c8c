"""Clips that move in a page: as small a video as will do, the weights under it, and the activations over them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from vidaug_cli.data.video.encode import small_mp4
from vidaug_cli.report import charts

MOST_BYTES = 90_000  # of a clip's video: 60 of them, in base64, stay under 8 MB with a thousand clips' numbers
STEPS = (
    (160, 29),
    (160, 35),
    (128, 38),
    (96, 42),
    (64, 48),
)  # side in pixels and rate factor, until it is small enough
SLOWEST, FASTEST, UNKNOWN = 2.0, 60.0, 30.0  # frames per second that are played; what a manifest says may be anything


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A class of a clip: its true share in each frame, and what the network saw of it."""

    name: str
    says: str  # in numbers
    truth: str  # polygon
    activation: str  # line


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What a card shows. Shares are from 0 to 1."""

    number: int
    title: str
    shares: tuple[tuple[str, float], ...]  # classes of the soft label, that of the own video first
    own: str
    partner: str | None
    weights: tuple[float, ...]  # share of the own video in each frame
    notes: tuple[str, ...]
    command: str
    keys: dict[str, Any]  # what it is filtered by
    fps: float
    video: str  # MP4 in base64; empty: it could not be read
    fault: str = ""  # why not
    curves: tuple[Curve, ...] = ()

    @property
    def frames(self) -> int:
        """How many it has."""
        return len(self.weights)

    @property
    def strip(self) -> str:
        """The polygon of the weights."""
        return charts.frames(self.weights)


def moving(video: UInt8[np.ndarray, "t h w 3"], fps: float) -> str:
    """Return a clip as MP4 in base64: no larger than it is, and coarser where it would take too many bytes."""
    even = video.shape[1] - video.shape[1] % 2
    for side, crf in STEPS:
        made = small_mp4(video, fps, side=max(2, min(side, even)), crf=crf)
        if len(made) <= MOST_BYTES:
            break
    return b64encode(made).decode()


def rate(fps: float) -> float:
    """Return the frames per second at which a clip of this rate is played; 0 is unknown."""
    return min(max(fps or UNKNOWN, SLOWEST), FASTEST)


def scaled(activation: Float[np.ndarray, " t"], low: float, high: float) -> Sequence[float]:
    """Return an activation as a share of the range from `low` to `high`."""
    return [float(value) for value in (activation - low) / ((high - low) or 1)]
