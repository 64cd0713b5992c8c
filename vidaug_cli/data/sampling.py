"""Which frames and which square of a video make a clip: drawn as plain numbers, decoded later."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np

from vidaug_cli.data.manifest import MOST, Row
from vidaug_cli.data.timing import Clock
from vidaug_cli.errors import ManifestError, SettingError
from vidaug_cli.schema import check

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64

Stride = float | tuple[float, float]  # frames from one frame of a clip to the next, or the range it is drawn from
Short = Literal["repeat", "loop", "stretch"]
Views = Literal[1, 10, 30]
SPREAD: dict[Views, tuple[int, int]] = {1: (1, 1), 10: (10, 1), 30: (10, 3)}  # clips over time, crops over the width


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """What a clip is. The default is the released protocol of arXiv:2008.05721: 64 consecutive frames, 160 x 160."""

    frames: int = 64
    stride: Stride = 1  # frames of the video from one frame of the clip to the next; a range: drawn for each clip
    fps: float | None = None  # instead of stride: take what is seen at this rate
    size: int = 160  # pixels, height and width
    crop: tuple[float, float] = (2 / 3, 5 / 6)  # side of the random square, as a share of the short side
    flip: float = 0.5  # chance of a left-right flip
    short: Short = "repeat"  # what a video shorter than the clip does: repeat the last frame, loop, stretch

    def __post_init__(self) -> None:
        object.__setattr__(self, "stride", plain_stride(self.stride))
        low, high = self.crop
        rules = {
            "frames": (1 <= self.frames <= 4096, "1 to 4096"),
            "stride": stride_rule(self.stride, fixed=self.fps is not None),
            "fps": (self.fps is None or (math.isfinite(self.fps) and self.fps > 0), "a number above 0"),
            "size": (8 <= self.size <= 2048, "8 to 2048"),
            "crop": (0 < low <= high <= 1, "two shares, 0 < low <= high <= 1"),
            "flip": (0 <= self.flip <= 1, "a chance, 0 to 1"),
        }
        check(self, rules, where="clip")


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A square of the upright picture, in its pixels."""

    x: int
    y: int
    side: int


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One clip's cut out of its video, as drawn."""

    start: int  # first frame, counted from where the video, or its segment, begins
    step: float  # frames of the video from one frame of the clip to the next, of mean length where its rate varies
    crop: Crop
    flip: bool


def frame_numbers(sample: Sample, spec: ClipSpec, video: Row) -> Int32[np.ndarray, " frames"]:
    """Return the decoded frame numbers of a clip, int32 (T,): all of them within the video, or its segment."""
    offsets = np.minimum(np.arange(spec.frames) * sample.step, MOST)
    if (clock := _clock(spec, video)) is None:
        wanted = sample.start + np.floor(offsets + 1e-6).astype(np.int64)
        numbers = wanted % video.frames if spec.short == "loop" else np.minimum(wanted, video.frames - 1)
    else:
        times = clock.time_of(sample.start) + offsets / _rate(video)
        times = times % clock.seconds if spec.short == "loop" else times
        numbers = np.array([clock.frame_at(time) for time in times.tolist()])
    return np.asarray(video.first + numbers, np.int32)


def draw_sample(rng: np.random.Generator, spec: ClipSpec, video: Row) -> Sample:
    """Draw a stretch, a square and a flip of a video; first of all, from a range of strides, how fast it is."""
    step = step_frames(spec, video, draw_stride(rng, spec.stride))
    start = start_frame(spec, video, int(rng.integers(0, last_start(spec, video, step) + 1)))
    side = max(1, round(min(video.width, video.height) * rng.uniform(*spec.crop)))
    x, y = (int(rng.integers(0, length - side + 1)) for length in (video.width, video.height))
    return Sample(start=start, step=step, crop=Crop(x=x, y=y, side=side), flip=bool(rng.random() < spec.flip))


def clean_sample(spec: ClipSpec, video: Row) -> Sample:
    """Return the middle of the video in time and space, at the largest side `spec.crop` allows, unflipped.

    Of a range of strides it has the middle, as all views have.
    """
    return views(spec, video, 1, spec.crop[1])[0]


def views(spec: ClipSpec, video: Row, count: Views = 10, crop: float | None = None) -> list[Sample]:
    """Return the views of one video, crop by crop and in each from the first frame to the last; nothing is flipped.

    One view is the middle of the video. Ten start evenly from its first frame to where the last one ends with the
    video; thirty are these at the start, middle and end of the longer side. In a video no longer than a clip all start
    at its first frame.

    Args:
        spec: what a clip is.
        video: its length and size.
        count: 1, 10 or 30.
        crop: side of the square, as a share of the short side; None: the least that `spec` trains with.

    Raises VidaugError for another count or share.
    """
    share = spec.crop[0] if crop is None else crop
    if count not in get_args(Views):
        raise SettingError(f"views = {count} should be 1, 10 or 30")
    if not 0 < share <= 1:
        raise SettingError(f"crop = {share:g} should be above 0, at most 1")
    clips, crops = SPREAD[count]
    step = step_frames(spec, video)
    starts = [start_frame(spec, video, place) for place in _spread(last_start(spec, video, step), clips)]
    side = max(1, round(min(video.width, video.height) * share))
    room = video.width - side, video.height - side
    wide = video.width >= video.height
    corners = [(offset, room[1] // 2) if wide else (room[0] // 2, offset) for offset in _spread(max(room), crops)]
    squares = [Crop(x=x, y=y, side=side) for x, y in corners]
    return [Sample(start=start, step=step, crop=square, flip=False) for square in squares for start in starts]


def _spread(last: int, count: int) -> list[int]:
    """Return `count` places from 0 to `last`, evenly; one alone lies in the middle."""
    return [last // 2] if count == 1 else [last * number // (count - 1) for number in range(count)]


def read_stride(text: str) -> Stride | None:
    """Return the stride that a person wrote, a number such as 4 or a range such as 2-6; None where it is neither."""
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)):
        return None
    low, high = found.groups()
    return (float(low), float(high)) if high else float(low)


def write_stride(stride: Stride) -> str:
    """Return a stride as `read_stride` takes it."""
    return "-".join(map(str, stride)) if isinstance(stride, tuple) else str(stride)


def plain_stride(stride: Stride) -> Stride:
    """Return a range of equal ends as the number it is, and numbers as integers where they are whole.

    So equal strides are equal in JSON, and in the hash of a plan.
    """
    if isinstance(stride, tuple):
        return plain_stride(stride[0]) if len(set(stride)) == 1 else cast(Stride, tuple(map(plain_stride, stride)))
    return int(stride) if float(stride).is_integer() else stride


def stride_rule(stride: Stride, *, fixed: bool = False) -> tuple[bool, str]:
    """Return whether a stride is good, and in words what is; with `fixed`, a range is not."""
    ends = stride if isinstance(stride, tuple) else (stride, stride)
    if fixed and ends[0] != ends[-1]:
        return False, "one number, as fps says how fast clips are"
    return 1 <= ends[0] <= ends[-1] <= 1024, "1 to 1024, or a range in there, its lower end first"


def mean_stride(stride: Stride) -> float:
    """Return a stride, of a range the middle: the mean of what is drawn, so that tests are as fast as training is."""
    return float(np.mean(stride))


def draw_stride(rng: np.random.Generator, stride: Stride) -> float:
    """Draw from a range, any fraction as likely as another; a stride that is one number takes no draw."""
    return float(rng.uniform(*stride)) if isinstance(stride, tuple) else float(stride)


def frame_offsets(frames: int, step: float) -> Int64[np.ndarray, " frames"]:
    """Return how far each frame of a clip is from its first, in whole frames of what it is taken from, int64 (T,)."""
    return np.asarray(np.floor(np.arange(frames) * step + 1e-6), np.int64)


def step_frames(spec: ClipSpec, video: Row, stride: float | None = None) -> float:
    """Return the frames of the video from one frame of the clip to the next; if its rate varies, of mean length.

    `stride` is the one that was drawn; without it, it is the middle of those of the clip.
    """
    stride = mean_stride(spec.stride) if stride is None else stride
    step = stride if spec.fps is None else min((_rate(video) or spec.fps) / spec.fps, MOST)
    if spec.short == "stretch":
        while span(spec.frames, step) > video.frames and step > 1 / spec.frames:
            step /= 2  # the authors slow a short video down by 2 or 4
    return step


def clip_fps(spec: ClipSpec, video: Row) -> float:
    """Return the frames per second at which a clip is as fast as its video; 0 where unknown, as of frame images.

    With a range of strides it is that of the middle: at this rate a clip drawn faster looks faster.
    """
    step = step_frames(spec, video)
    return video.fps / step if step else 0.0


def last_start(spec: ClipSpec, video: Row, step: float) -> int:
    """Return the frame with which the last clip begins that ends with the video; 0 for a shorter video."""
    return max(0, video.frames - span(spec.frames, step))


def start_frame(spec: ClipSpec, video: Row, place: int) -> int:
    """Return the frame, from 0, that is seen after `place` frames; by time, frames of mean length."""
    clock = _clock(spec, video)
    return place if clock is None else clock.frame_at(place / _rate(video))


def _clock(spec: ClipSpec, video: Row) -> Clock | None:
    """Return when the frames are shown, where clips are taken by time and the rate varies; a stride counts frames."""
    return None if spec.fps is None or video.durations is None else Clock(video.durations)


def check_rates(spec: ClipSpec, videos: Sequence[Row]) -> None:
    """Raise VidaugError where clips are taken by time, and a video does not say when its frames are shown.

    One that is left out would be a smaller data set than was asked for, and is known before any work is done. A single
    frame looks the same at any rate.
    """
    unknown = [video.name for video in videos if video.frames > 1 and not _rate(video)]
    if spec.fps is not None and unknown:
        what = f"clips at {spec.fps:g} fps need each video's rate, and of {len(unknown)} of {len(videos)} none is known"
        hint = "write their fps into the manifest, or take every n-th frame: --stride in place of --fps"
        raise ManifestError(f"{what}, such as {unknown[0]}", hint=hint)


def _rate(video: Row) -> float:
    """Return frames per second; 0 where unknown."""
    return video.fps if video.durations is None else video.frames / Clock(video.durations).seconds


def span(frames: int, step: float) -> int:
    """Return the frames of the video from a clip's first to its last, both counted."""
    return math.floor((frames - 1) * step + 1e-6) + 1


def speed(stored: ClipSpec, taken: ClipSpec) -> float:
    """Return the stride in frames of a stored clip at which it is as fast as `taken`; 1 where that is unknown.

    Of ranges the middle counts. It is unknown between clips by time and clips by the frame.
    """
    if (stored.fps is None) != (taken.fps is None):
        return 1.0
    if stored.fps is not None and taken.fps is not None:
        return stored.fps / taken.fps
    return mean_stride(taken.stride) / mean_stride(stored.stride)


def thinning(stored: ClipSpec, taken: ClipSpec) -> float:
    """Return `speed` where stored clips are slower than `taken`, and long enough; else 1, and they stay as they are."""
    stride = speed(stored, taken)
    return stride if stride > 1 and span(taken.frames, stride) <= stored.frames else 1.0


def speed_note(stored: ClipSpec, taken: ClipSpec) -> str:
    """Return a line about stored clips that cannot be made as fast as `taken`; empty where they can."""
    times = thinning(stored, taken) / speed(stored, taken)
    if abs(times - 1) < 1e-6:
        return ""
    way = f"--stride {mean_stride(taken.stride):g}" if taken.fps is None else f"--fps {taken.fps:g}"
    return f"these clips play {times:.3g} times as fast as those that the network is trained on: make some with {way}"
