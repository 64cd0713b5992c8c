"""What a video holds, and the frames of a clip from it. A video is a file, or a folder of JPEG or PNG frames.

Runs in a child process that can be killed (see `guard`), so neither this nor what it imports may import torch.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidaug_cli.data.manifest import Probe, ProbeMode
from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.timing import Runs, fit_runs
from vidaug_cli.data.video.decoder import OpenVideo, open_video
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.data.video.pictures import Pictures, orientation
from vidaug_cli.errors import VideoError

if TYPE_CHECKING:
    from jaxtyping import Int32, UInt8


def probe(path: Path, how: ProbeMode = "full", limits: Limits = LIMITS) -> Probe:
    """Return what the video at `path` holds.

    Args:
        path: a file, or a folder of frame images.
        how: "full" decodes every frame once, and only then `frames` and `corrupt` are true. "packets" counts packets
            instead, "header" believes the header; both decode the first frame, for its size and rotation.
        limits: caps on pixels and frames.

    Raises:
        VideoError: it cannot be used, and why.
    """
    with open_video(path, limits) as video:
        frames = video.frames()
        first = next(frames)
        rotation, turn = orientation(first)
        if how == "header" and not video.announced:
            how = "packets"
        count, rate = video.announced, video.rate
        stamps: list[float | None] = []
        if how == "full":
            stamps = [first.time, *(frame.time for frame in frames)]
        elif how == "packets":
            deque(video.packets(), maxlen=0)
            ticks = sorted(video.stamps, key=lambda stamp: stamp or 0)  # packets come in coding order
            stamps = [None if stamp is None else stamp * video.tick for stamp in ticks]
        if stamps:
            count, rate = len(stamps), _mean_rate([stamp for stamp in stamps if stamp is not None], rate)
        if how == "full" and video.marked == count:
            raise VideoError("is damaged: not one frame is whole", where=path)
        begin, runs = _timing(video, stamps)
        return Probe(
            frames=count,
            fps=rate if count > 1 else 0.0,
            width=first.height if turn.swap else first.width,
            height=first.width if turn.swap else first.height,
            codec=video.decoder.codec.canonical_name,
            rotation=rotation,
            corrupt=video.marked + video.lost,
            bytes=video.bytes,
            probe=how,
            begin=begin,
            runs=runs,
        )


def _mean_rate(times: list[float], rate: float) -> float:
    """Return frames per second by the time stamps, which jump about but span the right time; `rate` if that is near.

    Headers can be far off: 1000 for 30 where the unit is a millisecond.
    """
    span = max(times, default=0.0) - min(times, default=0.0)
    measured = (len(times) - 1) / span if span else rate
    return rate if abs(measured - rate) < 0.05 * rate else round(measured, 3)


def _timing(video: OpenVideo, stamps: list[float | None]) -> tuple[float, Runs | None]:
    """Return the seconds of the first frame, and the runs of all, where each has a stamp later than the one before."""
    times = [stamp for stamp in stamps if stamp is not None]
    if len(times) < max(2, len(stamps)) or any(late <= early for early, late in pairwise(times)):
        return 0.0, None
    origin = times[0] if video.origin is None else video.origin
    return round(times[0] - origin, 9), fit_runs(times, video.tick)


def read_clip(
    path: Path,
    wanted: Int32[np.ndarray, " frames"],
    crop: Crop | None,
    size: int,
    *,
    flip: bool = False,
    limits: Limits = LIMITS,
    out: UInt8[np.ndarray, "frames size size 3"] | None = None,
) -> tuple[UInt8[np.ndarray, "frames size size 3"], Int32[np.ndarray, " frames"]]:
    """Return the wanted frames of a video, cropped, scaled, upright and in RGB.

    Every frame up to the last one wanted is decoded; each one taken is converted once. Colours follow the matrix and
    range that the file names (BT.601 where it names none); HDR is not tone-mapped.

    Args:
        path: a file, or a folder of frame images.
        wanted: int32 (T,), decoded frame numbers from 0, in any order; they may repeat.
        crop: a square of the upright picture; None takes the whole picture and does not keep its aspect.
        size: pixels, height and width of the result.
        flip: mirror left-right, after the crop.
        limits: caps on pixels and frames.
        out: uint8 (T, size, size, 3) to write into, instead of a new array.

    Returns:
        uint8 (T, size, size, 3), and int32 (T,): the frame numbers taken. They differ from `wanted` where the video
        ends early: there its last frame is taken.

    Raises:
        VideoError: it cannot be used, and why.
    """
    clip = np.empty((len(wanted), size, size, 3), np.uint8) if out is None else out
    taken = np.empty(len(wanted), np.int32)
    picture_of = Pictures(path, crop, size, flip)
    order = np.argsort(wanted, kind="stable")  # places in the clip, in the order in which the video reaches them
    ascending = wanted[order]

    def take(frame: VideoFrame, number: int, places: NDArray[np.intp]) -> None:
        if len(places):
            clip[places[0]] = picture_of(frame)
            clip[places[1:]] = clip[places[0]]
            taken[places] = number

    done = 0
    with open_video(path, limits) as video:
        for number, frame in enumerate(video.frames()):
            reached = int(np.searchsorted(ascending, number, side="right"))
            take(frame, number, order[done:reached])
            done = reached
            if done == len(order):
                break
        else:
            take(frame, number, order[done:])
    return clip, taken
