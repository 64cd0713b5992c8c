"""How many cores other programs leave, which no limit of this process tells."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

LEAST = 0.5  # seconds: what is seen in less says little


class Times(NamedTuple):
    """Since the start of the machine, and of this process."""

    clock: float  # seconds
    idle: int  # ticks of the cores this process may use, all together
    all: int  # ticks, idle or not
    own: float  # seconds of this process's work


class Watch:
    """Looks from its making until it is asked."""

    def __init__(self) -> None:
        self.began = _times()

    def free(self) -> float | None:
        """Cores that were not at work for others; None where the system does not tell, or too little time went by."""
        began, now = self.began, _times()
        if began is None or now is None or now.clock - began.clock < LEAST or now.all == began.all:
            return None
        cores = len(os.sched_getaffinity(0)) * (now.idle - began.idle) / (now.all - began.all)
        return cores + (now.own - began.own) / (now.clock - began.clock)

    def advice(self, threads: int) -> str:
        """A line where so many threads would wait for cores, and for each other; empty where there is enough."""
        free = self.free()
        if free is None or (fewer := max(1, round(free))) >= threads:
            return ""
        what = f"other programs leave {free:.1f} cores, for which {threads} threads would wait in turn"
        return f"{what}; --threads {fewer} may be faster"


def _times(stat: Path = Path("/proc/stat")) -> Times | None:
    """What there is to read now; None on a system that does not have it."""
    try:
        lines = dict(line.split(maxsplit=1) for line in stat.read_text().splitlines() if line.startswith("cpu"))
        ticks = [list(map(int, lines[f"cpu{core}"].split()))[:8] for core in os.sched_getaffinity(0)]
    except (AttributeError, OSError, LookupError, ValueError):
        return None
    own = os.times()
    idle = sum(core[3] + core[4] for core in ticks)
    return Times(time.monotonic(), idle, sum(map(sum, ticks)), own.user + own.system)
