"""Views of videos as pixels, decoded by threads while the network is at work on earlier ones."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, Sample, frame_numbers
from vidaug_cli.data.video.guard import Guard, decode_each
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.errors import VideoError
from vidaug_cli.predict.views import Views, views


class Reading(NamedTuple):
    """Cuts of one video that share a crop, and so are read in one go."""

    video: int  # its number
    row: Row
    samples: Sequence[Sample]
    places: Sequence[Sequence[int]]  # for each sample, which views it is: of a short video, several


class Pixels(NamedTuple):
    """What was read: a frame that several samples show is there once."""

    frames: NDArray[np.uint8]  # (F, H, W, 3)
    numbers: NDArray[np.intp]  # (S, T): sample s is `frames[numbers[s]]`


def readings(spec: ClipSpec, rows: Iterable[Row], count: Views, crop: float | None) -> Iterator[Reading]:
    """Yield the views of each video, those that are alike taken together."""
    for video, row in enumerate(rows):
        places: dict[Sample, list[int]] = {}
        for place, sample in enumerate(views(spec, row, count, crop)):
            places.setdefault(sample, []).append(place)
        for _, group in groupby(places, key=attrgetter("crop")):
            samples = tuple(group)
            yield Reading(video, row, samples, [places[sample] for sample in samples])


def read_ahead(
    wanted: Iterable[Reading], spec: ClipSpec, workers: int = 1, limits: Limits = LIMITS
) -> Generator[tuple[Reading, Pixels | VideoError], None, None]:
    """Yield each reading with its pixels, or with the reason why there are none, in order.

    At most `workers` + 1 of them are in memory, as `decode_each` keeps it.
    """

    def read(guard: Guard, reading: Reading) -> Pixels:
        return read_samples(guard, reading.row, reading.samples, spec)

    return decode_each(read, wanted, workers, limits, ordered=True)


def read_samples(guard: Guard, row: Row, samples: Sequence[Sample], spec: ClipSpec) -> Pixels:
    """Return cuts of a video that share their crop. Raises VideoError when it is unreadable or not what was scanned."""
    wanted = np.stack([frame_numbers(sample, spec, row) for sample in samples])
    distinct, numbers = np.unique(wanted, return_inverse=True)
    frames, _ = guard.read_clip(row, distinct, samples[0].crop, spec.size)
    return Pixels(frames, numbers.reshape(wanted.shape))
