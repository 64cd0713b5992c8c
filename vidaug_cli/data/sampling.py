"""Which frames and which square of a video make a clip: drawn as plain numbers, decoded later."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.manifest import Row
from vidaug_cli.schema import check

Short = Literal["repeat", "loop", "stretch"]


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """What a clip is. The default is the released protocol of arXiv:2008.05721: 64 consecutive frames, 160 x 160."""

    frames: int = 64
    stride: int = 1  # frames of the video from one frame of the clip to the next
    fps: float | None = None  # instead of stride: resample by time, from the video's mean frame rate
    size: int = 160  # pixels, height and width
    crop: tuple[float, float] = (2 / 3, 5 / 6)  # side of the random square, as a share of the short side
    flip: float = 0.5  # chance of a left-right flip
    short: Short = "repeat"  # what a video shorter than the clip does: repeat the last frame, loop, stretch

    def __post_init__(self) -> None:
        low, high = self.crop
        rules = {
            "frames": (1 <= self.frames <= 4096, "1 to 4096"),
            "stride": (1 <= self.stride <= 1024, "1 to 1024"),
            "fps": (self.fps is None or (math.isfinite(self.fps) and self.fps > 0), "a number above 0"),
            "size": (8 <= self.size <= 2048, "8 to 2048"),
            "crop": (0 < low <= high <= 1, "two shares, 0 < low <= high <= 1"),
            "flip": (0 <= self.flip <= 1, "a chance, 0 to 1"),
            "short": (self.short in get_args(Short), ", ".join(get_args(Short))),
        }
        check(self, rules, where="clip")

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"crop": list(self.crop)}


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A square of the upright picture, in its pixels."""

    x: int
    y: int
    side: int


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One clip's cut out of its video, as drawn."""

    start: int  # first frame
    step: float  # frames of the video from one frame of the clip to the next
    crop: Crop
    flip: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Sample:
        return cls(**stored | {"crop": Crop(**stored["crop"])})


def frame_numbers(sample: Sample, spec: ClipSpec, frames: int) -> NDArray[np.int32]:
    """The decoded frame numbers of a clip, int32 (T,), for a video of `frames` frames."""
    wanted = sample.start + np.floor(np.arange(spec.frames) * sample.step + 1e-6).astype(np.int64)
    held: NDArray[np.int64] = wanted % frames if spec.short == "loop" else np.minimum(wanted, frames - 1)
    return held.astype(np.int32)


def draw_sample(rng: np.random.Generator, spec: ClipSpec, video: Row) -> Sample:
    """A random stretch, square and flip of a video."""
    step = step_frames(spec, video)
    start = int(rng.integers(0, max(0, video.frames - span_frames(spec, step)) + 1))
    short = min(video.width, video.height)
    side = max(1, round(short * rng.uniform(*spec.crop)))
    x, y = (int(rng.integers(0, length - side + 1)) for length in (video.width, video.height))
    crop = Crop(x=x, y=y, side=side)
    return Sample(start=start, step=step, crop=crop, flip=bool(rng.random() < spec.flip))


def clean_sample(spec: ClipSpec, video: Row) -> Sample:
    """The middle of the video in time and space, at the largest side `spec.crop` allows, unflipped: no chance in it."""
    step = step_frames(spec, video)
    side = max(1, round(min(video.width, video.height) * spec.crop[1]))
    crop = Crop(x=(video.width - side) // 2, y=(video.height - side) // 2, side=side)
    return Sample(start=max(0, video.frames - span_frames(spec, step)) // 2, step=step, crop=crop, flip=False)


def span_frames(spec: ClipSpec, step: float) -> int:
    """Frames of the video from the clip's first to its last."""
    return math.floor((spec.frames - 1) * step + 1e-6) + 1


def step_frames(spec: ClipSpec, video: Row) -> float:
    """Frames of the video from one frame of the clip to the next."""
    step = float(spec.stride) if spec.fps is None else (video.fps or spec.fps) / spec.fps
    if spec.short == "stretch":
        while span_frames(spec, step) > video.frames and step > 1 / spec.frames:
            step /= 2  # the authors slow a short video down by 2 or 4
    return step
