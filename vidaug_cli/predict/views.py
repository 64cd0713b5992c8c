"""The pixels of the views by which a test judges each video, read ahead by threads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64, UInt8

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, Crop, Sample, Views, frame_numbers, views
from vidaug_cli.data.video.guard import Guard, decode_each
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.data.video.reader import ClipRequest
from vidaug_cli.errors import VideoError

Pixels = UInt8[np.ndarray, "f h w 3"]


class Reading(NamedTuple):
    """Views of one video that share a crop."""

    video: int  # its number
    row: Row
    crop: Crop
    frames: Int32[np.ndarray, " f"]  # of the video; one that several views show is there once
    cuts: Int64[np.ndarray, "s t"]  # cut s shows `frames[cuts[s]]`
    places: Sequence[Sequence[int]]  # of each cut, which views it is: of a short video, several


def readings(spec: ClipSpec, rows: Iterable[Row], count: Views, crop: float | None) -> Iterator[list[Reading]]:
    """Yield the views of each video, crop by crop, those that are alike taken together."""
    for video, row in enumerate(rows):
        places: defaultdict[Sample, list[int]] = defaultdict(list)
        for place, sample in enumerate(views(spec, row, count, crop)):
            places[sample].append(place)
        found = []
        for square, group in groupby(places, key=attrgetter("crop")):
            samples = list(group)
            numbers = np.stack([frame_numbers(sample, spec, row) for sample in samples])
            frames, cuts = np.unique(numbers, return_inverse=True)
            views_of = [places[each] for each in samples]
            found.append(Reading(video, row, square, frames, cuts.reshape(numbers.shape), views_of))
        yield found


def read_ahead(
    wanted: Iterable[list[Reading]], spec: ClipSpec, workers: int = 1, limits: Limits = LIMITS
) -> Generator[tuple[Reading, Pixels | VideoError], None, None]:
    """Yield each reading with its frames, or with the reason why they cannot be read or are not what was scanned.

    In order; one pass of the decoder serves all readings of a video, and at most `workers` + 1 videos are in memory, as
    `decode_each` keeps it.
    """

    def read(guard: Guard, video: list[Reading]) -> list[Pixels]:
        requests = [ClipRequest(reading.frames, reading.crop) for reading in video]
        return guard.read_clips(video[0].row, requests, spec.size)[0]

    with closing(decode_each(read, wanted, workers, limits, ordered=True)) as results:
        for video, found in results:
            yield from zip(video, [found] * len(video) if isinstance(found, VideoError) else found, strict=True)
