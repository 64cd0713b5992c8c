"""When each frame of a video is shown, as a few runs of frames that follow each other evenly."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

Runs = tuple[tuple[int, float], ...]  # frames in a row, and the seconds for which each of them is shown

ROUNDING = 1e-3  # seconds: containers round time stamps to as much
SLACK = 1.5 * ROUNDING  # seconds: a frame that comes earlier by no more counts as being there on time


def fit_runs(times: Sequence[float], tick: float = 0.0) -> Runs:
    """Return the fewest even runs, from the first frame on, that are nowhere off by more than time stamps are rounded.

    Args:
        times: seconds, one for each of at least two frames, strictly increasing.
        tick: seconds, the unit in which the file counts time.
    """
    runs = []
    start, last = 0, len(times) - 1
    while start < last:
        low, high, end = -math.inf, math.inf, start + 1
        shortest = times[end] - times[start]
        for place in range(end, last + 1):
            shortest = min(shortest, times[place] - times[place - 1])
            off = min(max(tick, ROUNDING), shortest / 4)
            passed, count = times[place] - times[start], place - start
            low, high = max(low, (passed - off) / count), min(high, (passed + off) / count)
            if low > high:
                break
            if low <= passed / count <= high:
                end = place
        runs.append((end - start, round((times[end] - times[start]) / (end - start), 9)))
        start = end
    count, seconds = runs[-1]
    return (*runs[:-1], (count + 1, seconds))  # the last frame stays as long as those before it


@dataclass(frozen=True)
class Clock:
    """When the frames of a video are shown. Runs may hold more frames than memory: they are never written out."""

    runs: Runs
    begin: float = 0.0  # seconds at which the first frame is shown

    @cached_property
    def _counts(self) -> list[int]:
        """Frames before each run, and in all."""
        return list(accumulate((count for count, _ in self.runs), initial=0))

    @cached_property
    def _passed(self) -> list[float]:
        """Seconds from the first frame to each run, and in all."""
        return list(accumulate((count * seconds for count, seconds in self.runs), initial=0.0))

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self._counts[-1]

    @property
    def seconds(self) -> float:
        """From the first frame until the last one has been shown."""
        return self._passed[-1]

    @property
    def end(self) -> float:
        """Seconds at which the last frame has been shown."""
        return self.begin + self.seconds

    @property
    def varies(self) -> bool:
        """Whether an even rate would be off by more than half a frame somewhere."""
        even = self.seconds / self.frames
        pairs = zip(self._counts, self._passed, strict=True)
        return any(abs(passed - count * even) > 0.5000001 * even for count, passed in pairs)

    def time_of(self, frame: int) -> float:
        """Return the seconds at which a frame is shown."""
        run = min(bisect_right(self._counts, frame) - 1, len(self.runs) - 1)
        return self.begin + self._passed[run] + (frame - self._counts[run]) * self.runs[run][1]

    def frame_at(self, time: float, early: float = 1e-6) -> int:
        """Return the frame that is seen at a time, in seconds: the last one shown by then; before all, the first.

        A frame that comes `early` seconds later counts as shown: sums are not exact.
        """
        passed = time - self.begin + early
        run = min(max(0, bisect_right(self._passed, passed) - 1), len(self.runs) - 1)
        count, seconds = self.runs[run]
        since = math.floor(min((passed - self._passed[run]) / seconds, count))
        return self._counts[run] + min(max(0, since), count - 1)

    def between(self, start: float | None, end: float | None) -> range:
        """Return the frames shown from `start` until before `end`, in seconds; None: from the first, to the last."""
        first = 0 if start is None else self._first_from(start)
        return range(first, max(first, self.frames if end is None else self._first_from(end)))

    def _first_from(self, time: float) -> int:
        """Return the first frame that comes at a time or later; the number of frames where none does."""
        if time <= self.begin + SLACK:
            return 0
        frame = self.frame_at(time - SLACK, 0.0)
        return frame + (self.time_of(frame) < time - SLACK)

    def cut(self, frames: range) -> Runs:
        """Return the runs of some frames in a row."""
        runs = zip(self.runs, self._counts, strict=False)
        kept = ((min(before + count, frames.stop) - max(before, frames.start), each) for (count, each), before in runs)
        return tuple((count, seconds) for count, seconds in kept if count > 0)
