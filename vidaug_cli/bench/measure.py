"""How long pieces of work take: cases by turns, on the clock and in CPU time, with median and spread."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

LEAST = 3  # repeats of a case that count; one before them does not
WIDE = 1.5  # most over least, from which a spread is called wide


@dataclass(frozen=True, kw_only=True)
class Case:
    """A piece of work, to be measured among the others of its part."""

    what: str
    call: Callable[[], object]
    clips: float  # that one call works off
    frames: int = 0  # ... and the frames it decodes, where that tells something
    bytes: float = 0  # that a clip takes on the disk, where that tells something
    one: str = ""  # the case of the part with one process, where this has several
    copy: str = ""  # the case of the part that only copies, where this is to be compared with it


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What was measured of one case, in milliseconds a clip."""

    part: str
    what: str
    ms: float  # on the clock, median of the repeats
    least: float
    most: float
    cpu_ms: float | None  # of this process and all below it, median; None where the system does not say
    repeats: int
    more: dict[str, float] = field(default_factory=dict)  # by keys of `MORE`

    @property
    def wide(self) -> bool:
        """Whether the repeats differ too much to compare closely."""
        return self.most > WIDE * self.least


MORE: dict[str, str] = {  # what else a figure may tell, and how a table says it
    "frames_per_second": "{:,.0f} frames/s",
    "copies": "{:.1f} copies",  # of the clip, in whose time it would be made
    "bytes": "{:,.0f} bytes",
    "gain": "{:.2f} x one process",
    "waiting": "{:.1%} of it waiting",
    "headspace": "{:.1%} less without reading",
}


class Taken(NamedTuple):
    """Seconds of one call."""

    clock: float
    cpu: float | None


class Turns:
    """Cases of one part that take turns, so that a machine that gets slower on the way is slower for all of them."""

    def __init__(self, part: str, cases: Sequence[Case]) -> None:
        self.part, self.cases = part, cases
        self.taken: dict[str, list[Taken]] = {case.what: [] for case in cases}

    def run(self, seconds: float) -> None:
        """Call each case once to warm up, and then in turns, `LEAST` times and for `seconds` a case on average.

        What was measured stays where this is interrupted.
        """
        for case in self.cases:
            case.call()
        began, turns = time.perf_counter(), 0
        while turns < LEAST or time.perf_counter() - began < seconds * len(self.cases):
            for case in self.cases:
                self.taken[case.what].append(timed(case.call))
            turns += 1

    @property
    def figures(self) -> list[Figure]:
        """What is known by now, in the order of the cases."""
        return [self._figure(case) for case in self.cases if self.taken[case.what]]

    def _figure(self, case: Case) -> Figure:
        taken = self.taken[case.what]
        seconds = [each.clock for each in taken]
        more = {"frames_per_second": case.frames / median(seconds)} if case.frames else {}
        if case.copy:  # each call against the copy in the same turn, clip for clip
            pairs = zip(taken, self.taken[case.copy], strict=False)
            clips = next(other.clips for other in self.cases if other.what == case.copy) / case.clips
            more["copies"] = clips * median(own.clock / copy.clock for own, copy in pairs)
        if case.one:
            pairs = zip(self.taken[case.one], taken, strict=False)
            more["gain"] = median(one.clock / own.clock for one, own in pairs)
        if case.bytes:
            more["bytes"] = case.bytes
        return figure(self.part, case.what, taken, case.clips, more)


def figure(part: str, what: str, taken: Sequence[Taken], clips: float, more: dict[str, float]) -> Figure:
    """Return the figure of calls that worked off so many clips each."""
    clock = [1000 * each.clock / clips for each in taken]
    cpu = [1000 * each.cpu / clips for each in taken if each.cpu is not None]
    return Figure(
        part=part,
        what=what,
        ms=median(clock),
        least=min(clock),
        most=max(clock),
        cpu_ms=median(cpu) if cpu else None,
        repeats=len(taken),
        more=more,
    )


def timed(call: Callable[[], object]) -> Taken:
    """Return what a call takes."""
    cpu, clock = cpu_seconds(), time.perf_counter()
    call()
    clock, after = time.perf_counter() - clock, cpu_seconds()
    return Taken(clock, None if cpu is None or after is None else max(0.0, after - cpu))


def cpu_seconds() -> float | None:
    """Return the CPU seconds of this process and of all processes below it; None where that is not to be had."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = time.process_time() + ended.ru_utime + ended.ru_stime
    try:
        return own + sum(map(_clock, _children(os.getpid())))
    except OSError:  # not Linux
        return None


def _clock(process: int) -> float:
    """Return the CPU seconds of another process and of those below it; 0 for one that is gone."""
    with suppress(OSError):
        # The number of a process's clock, as clock_getcpuclockid(3) makes it; /proc counts in hundredths of a second.
        seconds = time.clock_gettime((~process << 3) | 2)
        return seconds + sum(map(_clock, _children(process)))
    return 0.0


def _children(process: int) -> list[int]:
    """Return the processes that another one started and that still run. Raises OSError where it cannot be told."""
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").iterdir():
        with suppress(FileNotFoundError):
            found += map(int, (thread / "children").read_text().split())
    return found
