"""Which cuts of a video a test uses, fixed ones, unlike those of training; and their pixels, read ahead by threads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Int32, Int64, UInt8

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, Crop, Sample, frame_numbers, last_start, start_frame, step_frames
from vidaug_cli.data.video.guard import Guard, decode_each
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.errors import VidaugError, VideoError

Pixels = UInt8[np.ndarray, "f h w 3"]

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
    wide = video.width >= video.height
    corners = [(offset, room[1] // 2) if wide else (room[0] // 2, offset) for offset in _spread(max(room), crops)]
    squares = [Crop(x=x, y=y, side=side) for x, y in corners]
    return [Sample(start=start, step=step, crop=square, flip=False) for square in squares for start in starts]


def _spread(last: int, count: int) -> list[int]:
    """Return `count` places from 0 to `last`, evenly; one alone lies in the middle."""
    return [last // 2] if count == 1 else [last * number // (count - 1) for number in range(count)]


class Reading(NamedTuple):
    """Views of one video that share a crop, and so are read in one go."""

    video: int  # its number
    row: Row
    crop: Crop
    frames: Int32[np.ndarray, " f"]  # of the video; one that several views show is there once
    cuts: Int64[np.ndarray, "s t"]  # cut s shows `frames[cuts[s]]`
    places: Sequence[Sequence[int]]  # of each cut, which views it is: of a short video, several


def readings(spec: ClipSpec, rows: Iterable[Row], count: Views, crop: float | None) -> Iterator[Reading]:
    """Yield the views of each video, those that are alike taken together."""
    for video, row in enumerate(rows):
        places: defaultdict[Sample, list[int]] = defaultdict(list)
        for place, sample in enumerate(views(spec, row, count, crop)):
            places[sample].append(place)
        for square, group in groupby(places, key=attrgetter("crop")):
            samples = list(group)
            numbers = np.stack([frame_numbers(sample, spec, row) for sample in samples])
            frames, cuts = np.unique(numbers, return_inverse=True)
            yield Reading(video, row, square, frames, cuts.reshape(numbers.shape), [places[each] for each in samples])


def read_ahead(
    wanted: Iterable[Reading], spec: ClipSpec, workers: int = 1, limits: Limits = LIMITS
) -> Generator[tuple[Reading, Pixels | VideoError], None, None]:
    """Yield each reading with its frames, or with the reason why they cannot be read or are not what was scanned.

    In order; at most `workers` + 1 of them are in memory, as `decode_each` keeps it.
    """

    def read(guard: Guard, reading: Reading) -> Pixels:
        return guard.read_clip(reading.row, reading.frames, reading.crop, spec.size)[0]

    return decode_each(read, wanted, workers, limits, ordered=True)
