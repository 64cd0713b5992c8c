"""How many cores other programs leave, which no limit of this process tells."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

MIN_SECONDS = 0.5  # what is seen in less says little


class CpuTimes(NamedTuple):
    """Times since the start of the machine, and of this process."""

    clock: float  # seconds
    idle: int  # ticks of the cores this process may use, all together
    all: int  # ticks, idle or not
    own: float  # seconds of this process's work


class CpuMonitor:
    """What the cores did since this object was made."""

    def __init__(self) -> None:
        self.began = _read_times()

    def free_cores(self) -> float | None:
        """Return the cores that did not work for others; None where it is not known, or too little time has passed."""
        began, now = self.began, _read_times()
        if began is None or now is None or now.clock - began.clock < MIN_SECONDS or now.all == began.all:
            return None
        idle = len(os.sched_getaffinity(0)) * (now.idle - began.idle) / (now.all - began.all)
        return idle + (now.own - began.own) / (now.clock - began.clock)

    def advice(self, threads: int) -> str:
        """Return a line that advises fewer threads, where so many would wait for cores; empty where there is enough."""
        free = self.free_cores()
        if free is None or (fewer := max(1, round(free))) >= threads:
            return ""
        return f"other programs leave {free:.1f} cores for {threads} threads; --threads {fewer} may be faster"


def _read_times(stat: Path = Path("/proc/stat")) -> CpuTimes | None:
    """Return the times until now; None on a system that does not have them."""
    try:
        lines = dict(line.split(maxsplit=1) for line in stat.read_text().splitlines() if line.startswith("cpu"))
        ticks = [list(map(int, lines[f"cpu{core}"].split()))[:8] for core in os.sched_getaffinity(0)]
    except (AttributeError, OSError, LookupError, ValueError):
        return None
    own = os.times()
    idle = sum(core[3] + core[4] for core in ticks)
    return CpuTimes(time.monotonic(), idle, sum(map(sum, ticks)), own.user + own.system)
