"""How much memory this process takes, and the processes that read clips for it."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from contextlib import suppress
from pathlib import Path


def peak_memory() -> int:
    """Return the most bytes of memory that this process has had since it began."""
    with suppress(OSError, LookupError):  # ru_maxrss counts, on Linux, what the process had from which this one came
        return _bytes_of(Path("/proc/self/status"), "VmHWM:")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def children_memory() -> int | None:
    """Return the bytes that the processes this one has started share with none other; None where nothing tells."""
    try:
        maps = [Path(f"/proc/{child.pid}/smaps_rollup") for child in multiprocessing.active_children()]
        return sum(_bytes_of(path, "Private_Clean:", "Private_Dirty:") for path in maps)
    except (OSError, LookupError):
        return None


def _bytes_of(path: Path, *names: str) -> int:
    """Return the sum of some values in kB of a file of the system. Raises OSError or LookupError without them."""
    lines = dict(line.split(maxsplit=1) for line in path.read_text().splitlines() if line.endswith(" kB"))
    return sum(1024 * int(lines[name].split()[0]) for name in names)
