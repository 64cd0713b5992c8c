"""Views of videos as pixels, decoded by threads while the network is at work on earlier ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import groupby
from operator import attrgetter
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, Sample, check_taken, frame_numbers
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.reader import LIMITS, Limits
from vidaug_cli.errors import VideoError
from vidaug_cli.predict.views import Views, views

Task = TypeVar("Task")
Result = TypeVar("Result")


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
    """The views of each video, those that are alike taken together."""
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
    """Each reading with its pixels, or with the reason why there are none, in order.

    At most `workers` + 1 of them are in memory; each worker is a thread with a decoding process of its own. Whatever
    ends the iteration early (an error, Ctrl-C, `close`) ends the processes too.
    """
    guards: SimpleQueue[Guard] = SimpleQueue()

    def read(reading: Reading) -> tuple[Reading, Pixels | VideoError]:
        guard = guards.get()
        try:
            return reading, read_samples(guard, reading.row, reading.samples, spec)
        except VideoError as error:
            return reading, error
        finally:
            guards.put(guard)

    with ExitStack() as stack:
        for _ in range(workers):
            guards.put(stack.enter_context(Guard(limits)))
        yield from _ahead(read, wanted, workers)


def read_samples(guard: Guard, row: Row, samples: Sequence[Sample], spec: ClipSpec) -> Pixels:
    """Cuts of a video that share their crop. Raises VideoError when it cannot be read or is not what was scanned."""
    wanted = np.stack([frame_numbers(sample, spec, row) for sample in samples])
    distinct, numbers = np.unique(wanted, return_inverse=True)
    frames, taken = guard.read_clip(row.file, distinct, samples[0].crop, spec.size)
    check_taken(row, distinct, taken)
    return Pixels(frames.copy(), numbers.reshape(wanted.shape))  # the guard's own memory is for its next call


def _ahead(call: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[Result]:
    """`call(task)` for each task, in order, by so many threads."""
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for task in tasks:
            waiting.append(pool.submit(call, task))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # what still runs ends with its guard's process
