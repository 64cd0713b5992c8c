"""Which cuts of a video a test uses: fixed ones, unlike those of training."""

from __future__ import annotations

from typing import Literal, get_args

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, Crop, Sample, last_start, start_frame, step_frames
from vidaug_cli.errors import VidaugError

Views = Literal[1, 10, 30]

SPREAD: dict[Views, tuple[int, int]] = {1: (1, 1), 10: (10, 1), 30: (10, 3)}  # clips over time, crops over the width


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
        raise VidaugError(f"views = {count} should be 1, 10 or 30")
    if not 0 < share <= 1:
        raise VidaugError(f"crop = {share:g} should be above 0, at most 1")
    clips, crops = SPREAD[count]
    step = step_frames(spec, video)
    starts = [start_frame(spec, video, place) for place in _spread(last_start(spec, video, step), clips)]
    side = max(1, round(min(video.width, video.height) * share))
    room = video.width - side, video.height - side
    offsets = _spread(max(room), crops)
    wide = video.width >= video.height
    corners = [(offset, room[1] // 2) if wide else (room[0] // 2, offset) for offset in offsets]
    return [
        Sample(start=start, step=step, crop=Crop(x=x, y=y, side=side), flip=False)
        for x, y in corners
        for start in starts
    ]


def _spread(last: int, count: int) -> list[int]:
    """Return `count` places from 0 to `last`, evenly; one alone lies in the middle."""
    return [last // 2] if count == 1 else [last * number // (count - 1) for number in range(count)]
