"""Many clips in one run: whether memory and open files of any process grow.

    python benchmarks/soak.py [--clips 20000] [-j 2]

Small clips of sample videos are augmented, while memory and open files of each process of the run are noted twice a
second. Printed are the medians of the second and of the last tenth of the time that a process lived (in the first it
starts); exits with 1 where one grew by more than 5 %. Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MOST = 1.05  # times what it was
PAGE = 4096


class Look(NamedTuple):
    """A process at one moment."""

    bytes: int  # of its own: shared memory and mapped files aside
    files: int


def main() -> None:
    """Run, watch and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("-j", "--workers", type=int, default=2)
    options = parser.parse_args()
    vidaug = [sys.executable, "-m", "vidaug_cli"]
    with tempfile.TemporaryDirectory() as temporary:
        videos, out = Path(temporary) / "videos", Path(temporary) / "out"
        subprocess.run([*vidaug, "sample", videos, "-q"], check=True)
        count = sum(1 for _ in videos.rglob("*.mp4"))
        words = ["-r", "vipriors2020", "--frames", "8", "--size", "32", "--codec", "jpeg", "-j", str(options.workers)]
        copies = ["--copies", str(-(-options.clips // count))]
        run = subprocess.Popen([*vidaug, "augment", videos, "-o", out, *words, *copies, "-q"])
        looks = watch(run)
        clips = sum(1 for _ in out.glob("[0-9]*/*.h5"))
    if run.returncode:
        sys.exit(run.returncode)
    print(f"{count * -(-options.clips // count):,} clips in {clips:,} shards\n")
    print("| process | seconds | MB, second tenth | last tenth | open files, second tenth | last tenth |")
    print("|---|---:|---:|---:|---:|---:|")
    grew = False
    for name, seen in looks.items():
        tenth = len(seen) // 10
        if tenth < 3:  # such as those that only looked into the videos
            continue
        cells = [f"{len(seen) / 2:.0f}"]
        for values, scale in (([look.bytes / 1e6 for look in seen], ".1f"), ([look.files for look in seen], "g")):
            early, late = statistics.median(values[tenth : 2 * tenth]), statistics.median(values[-tenth:])
            cells += [f"{early:{scale}}", f"{late:{scale}}"]
            grew |= late > early * MOST
        print(f"| {name} |", " | ".join(cells), "|")
    sys.exit(grew)


def watch(run: subprocess.Popen[bytes]) -> dict[str, list[Look]]:
    """Return what was seen of each process of the run until it ended."""
    looks: dict[str, list[Look]] = {}
    while run.poll() is None:
        for depth, process in tree(run.pid):
            with suppress(OSError, ValueError):  # it ended meanwhile
                resident, shared = map(int, Path(f"/proc/{process}/statm").read_text().split()[1:3])
                files = sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
                looks.setdefault(f"{'> ' * depth}{process}", []).append(Look((resident - shared) * PAGE, files))
        time.sleep(0.5)
    return looks


def tree(process: int, depth: int = 0) -> list[tuple[int, int]]:
    """Return a process and those below it, each with its depth."""
    below: list[tuple[int, int]] = []
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                below += tree(int(child), depth + 1)
    return [(depth, process), *below]


if __name__ == "__main__":
    main()
