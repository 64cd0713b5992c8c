"""How long commands take to start, as medians over processes and as ratios to bare Python and to loading h5py.

    python benchmarks/startup.py [OUT]

OUT is a folder of shards to inspect; without it one is made of sample videos, in a temporary folder. Exits with 1 where
a command takes longer than is promised and the machine is not at fault: `python -c pass` takes no longer than usual.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VIDAUG = str(Path(sys.executable).with_name("vidaug"))
BARE, H5PY = "python -c pass", "python -c 'import h5py'"
PROMISED = {"vidaug --help": 0.15, "vidaug recipes": 0.2, "vidaug inspect OUT --json": 0.6}  # seconds
USUAL = 0.03  # seconds that bare Python takes on a machine with nothing else to do


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        medians = measure(options.out or made(Path(temporary)), options.rounds)
    for name, seconds in medians.items():
        promise = f", promised {PROMISED[name]} s" if name in PROMISED else ""
        ratios = f"{seconds / medians[BARE]:5.1f} x bare Python, {seconds / medians[H5PY]:4.2f} x h5py"
        print(f"{name:26} {seconds:.3f} s, {ratios}{promise}")
    slow = [name for name, seconds in PROMISED.items() if medians[name] > seconds]
    sys.exit(1 if slow and medians[BARE] <= USUAL else 0)


def made(folder: Path) -> Path:
    """Return a folder of shards of sample videos."""
    videos, out = folder / "videos", folder / "out"
    subprocess.run([VIDAUG, "sample", videos, "--per-class", "2", "-q"], check=True, stdout=subprocess.DEVNULL)
    small = ["-r", "fademixup", "--frames", "8", "--size", "32", "-q"]
    subprocess.run([VIDAUG, "augment", videos, "-o", out, *small], check=True)
    return out


def measure(out: Path, rounds: int) -> dict[str, float]:
    """Return the median seconds of each command; a round runs each of them once, after one that is not counted."""
    commands = {
        BARE: [sys.executable, "-c", "pass"],
        H5PY: [sys.executable, "-c", "import h5py"],
        "vidaug --help": [VIDAUG, "--help"],
        "vidaug recipes": [VIDAUG, "recipes"],
        "vidaug inspect OUT --json": [VIDAUG, "inspect", str(out), "--json"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(1 + rounds):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


if __name__ == "__main__":
    main()
