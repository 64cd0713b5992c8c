"""Peak memory of `vidaug augment`, the largest single process, for 100 and for 1,000 videos in four copies.

    python benchmarks/memory.py VIDEOS [--copies 4] [--copies-per-round 4]

The videos of the folder are linked under other names until there are enough of them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--counts", type=int, nargs="*", default=(100, 1000))
    parser.add_argument("--copies", default=4)
    parser.add_argument("--copies-per-round", default=4)
    options = parser.parse_args()
    rows = scan(options.videos)
    with tempfile.TemporaryDirectory() as temporary:
        for count in sorted(options.counts):
            folder = Path(temporary) / f"videos_{count}"
            for number, row in enumerate(islice(cycle(rows), count)):
                copy = folder / row["label"] / f"{number:05d}{Path(row['path']).suffix}"
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes((options.videos / row["path"]).read_bytes())
            out = Path(temporary) / f"shards_{count}"
            words = ["-r", "vipriors2020", "-j", "1", "--codec", "jpeg", "-q", "--clips-per-shard", "256"]
            rounds = ["--copies", options.copies, "--copies-per-round", options.copies_per_round]
            vidaug("augment", folder, "-o", out, *words, *rounds)
            # Of all children so far, so it can only grow: equal figures mean that more videos took no more memory.
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            print(f"{count} videos: {peak * (1 if sys.platform == 'darwin' else 1024) / 1e6:.0f} MB")


def scan(videos: Path) -> list[dict[str, str]]:
    """Return the rows of a manifest of the videos."""
    return [json.loads(line) for line in vidaug("scan", videos, "-q").splitlines()]


def vidaug(*arguments: object) -> str:
    """Run a command and return its output."""
    command = [sys.executable, "-m", "vidaug_cli", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ).stdout


if __name__ == "__main__":
    main()
