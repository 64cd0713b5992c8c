"""How fast `vidaug augment` is against the straightforward way, and one worker against two; ratios within one run.

    python benchmarks/augment.py VIDEOS

makes the same clips of the videos of a folder both ways, by turns, several times, and prints the medians.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = str(Path(__file__).parent)
PROCESSES = (1, 2)
RECIPES = ("fademixup", "randaugment_t")
YARDSTICKS = {"straightforward": False, "careful": True}  # careful: converts no frame that is not taken


def timed(command: list[str]) -> float:
    """Return the seconds of a whole process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True)
    return time.perf_counter() - started


def copying() -> float:
    """Return how much more two processes do than one when all they do is copy memory."""
    code = "import numpy as np\na = np.ones(60_000_000, np.uint8)\nfor _ in range(150): b = a.copy()"

    def seconds(processes: int) -> float:
        started = time.perf_counter()
        running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(processes)]
        for process in running:
            process.wait()
        return time.perf_counter() - started

    return statistics.median(2 * seconds(1) / seconds(2) for _ in range(5))


def straightforward(plan: Path, folder: Path, processes: int, careful: bool) -> float:
    """Return the seconds of the straightforward way."""
    folder.mkdir()
    code = f"make_shards(Path({str(plan)!r}), Path({str(folder)!r}), {processes}, {careful})"
    seconds = timed(["-c", f"import sys; sys.path.insert(0, {HERE!r}); from straightforward import *; {code}"])
    shutil.rmtree(folder)
    return seconds


def ours(manifest: Path, folder: Path, recipe: str, copies: int, processes: int) -> float:
    """Return the seconds of `vidaug augment`."""
    shutil.rmtree(folder, ignore_errors=True)
    options = f"-r {recipe} --copies {copies} -j {processes} --device cpu -q"
    return timed(["-m", "vidaug_cli", "augment", str(manifest), "-o", str(folder), *options.split()])


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recipes", nargs="*", default=RECIPES)
    parser.add_argument(
        "--yardsticks", nargs="*", default=list(YARDSTICKS), help="give no name to measure only one worker against two"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        manifest = work / "manifest.jsonl"
        timed(["-m", "vidaug_cli", "scan", str(options.videos), "-o", str(manifest), "-q", "--no-cache"])
        clips = options.copies * len(manifest.read_text().splitlines())
        startup = min(timed(["-c", "import torch, h5py, av, joblib"]) for _ in range(3))
        print(f"{clips} clips of 64 x 160 x 160, whole processes; starting Python with torch takes {startup:.1f} s")
        print(f"two processes that only copy memory do {copying():.2f} times what one does here")
        for recipe in options.recipes:
            times = measure(manifest, work, recipe, options)
            print(f"\n{recipe}, ms a clip: median (least to most)")
            for (way, processes), seconds in times.items():
                each = sorted(1000 * value / clips for value in seconds)
                spread = f"{statistics.median(each):6.1f} ({each[0]:.1f} to {each[-1]:.1f})"
                print(f"  {way:16} -j {processes}  {spread}")
            print(f"{recipe}, how many times as fast, paired within a round")
            for way in options.yardsticks:
                for processes in PROCESSES:
                    print(
                        f"  vidaug / {way}, -j {processes}: {ratio(times[way, processes], times['vidaug', processes])}"
                    )
            print(f"  two workers / one: {ratio(times['vidaug', 1], times['vidaug', 2])}")


def measure(manifest: Path, work: Path, recipe: str, options: argparse.Namespace) -> dict[tuple[str, int], list[float]]:
    """Return the seconds of each way with each number of processes, measured by turns."""
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(options.rounds):
        for processes in PROCESSES:
            seconds = ours(manifest, work / "ours", recipe, options.copies, processes)
            times.setdefault(("vidaug", processes), []).append(seconds)
            for way in options.yardsticks:
                seconds = straightforward(work / "ours", work / "plain", processes, YARDSTICKS[way])
                times.setdefault((way, processes), []).append(seconds)
    return times


def ratio(slow: list[float], fast: list[float]) -> str:
    """Return how many times as long, the median of pairs and their spread."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
