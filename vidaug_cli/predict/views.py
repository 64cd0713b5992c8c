"""The pixels of the views by which a test judges each video, read ahead by threads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64, UInt8

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, Crop, Sample, Views, frame_numbers, views
from vidaug_cli.data.video.guard import Guard, decode_each
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.errors import VideoError

Pixels = UInt8[np.ndarray, "f h w 3"]


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
