"""How fast `vidaug augment` is against the straightforward way, an earlier commit, and itself; ratios within one run.

    TMPDIR=/dev/shm python benchmarks/augment.py VIDEOS
    TMPDIR=/dev/shm python benchmarks/augment.py VIDEOS --copies 1 --against 2b14e23 --yardsticks

makes the same clips of the videos of a folder each way, by turns, several times, and prints medians of whole processes:
on the clock, and CPU time with that of their children, which says more where other programs are at work.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).parent
RECIPES = ("fademixup", "randaugment_t")
YARDSTICKS = {"straightforward": False, "careful": True}  # careful: converts no frame that is not taken


class Taken(NamedTuple):
    """Seconds of a whole process."""

    clock: float
    cpu: float


Times = dict[tuple[str, int], list[Taken]]  # by way and number of processes, in the order of the rounds


def timed(command: Sequence[object], **settings: Path | dict[str, str]) -> Taken:
    """Return what a Python process and its children take."""
    cpu, started = children(), time.perf_counter()
    subprocess.run([sys.executable, *map(str, command)], check=True, **settings)  # type: ignore[call-overload]
    return Taken(time.perf_counter() - started, children() - cpu)


def children() -> float:
    """Return the CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def copying() -> float:
    """Return how much more two processes do than one when all they do is copy memory."""
    code = "import numpy as np\na = np.ones(60_000_000, np.uint8)\nfor _ in range(150): b = a.copy()"

    def seconds(processes: int) -> float:
        started = time.perf_counter()
        running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(processes)]
        for process in running:
            process.wait()
        return time.perf_counter() - started

    return median(2 * seconds(1) / seconds(2) for _ in range(5))


def straightforward(plan: Path, folder: Path, processes: int, careful: bool) -> Taken:
    """Return what the straightforward way takes to make the clips of a plan."""
    folder.mkdir()
    code = f"make_shards(Path({str(plan)!r}), Path({str(folder)!r}), {processes}, {careful})"
    taken = timed(["-c", f"import sys; sys.path.insert(0, {str(HERE)!r}); from straightforward import *; {code}"])
    shutil.rmtree(folder)
    return taken


def vidaug(source: Path, manifest: Path, folder: Path, recipe: str, copies: int, processes: int) -> Taken:
    """Return what `vidaug augment` takes, with the code in `source`."""
    shutil.rmtree(folder, ignore_errors=True)
    options = f"--copies {copies} -j {processes} --device cpu -q".split()
    command = ["-m", "vidaug_cli", "augment", manifest, "-o", folder, "-r", source / f"recipes/{recipe}.toml", *options]
    return timed(command, cwd=source, env=os.environ | {"PYTHONPATH": str(source)})


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Yield a folder with the code of a commit."""
    git = ["git", "-C", str(HERE), "worktree"]
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        subprocess.run([*git, "add", "--detach", "--quiet", str(source), commit], check=True)
        try:
            yield source
        finally:
            subprocess.run([*git, "remove", "--force", str(source)], check=True)


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="only so many of the videos")
    parser.add_argument("--recipes", nargs="*", default=RECIPES)
    parser.add_argument("--processes", type=int, nargs="*", default=(1, 2))
    parser.add_argument("--yardsticks", nargs="*", default=list(YARDSTICKS), help="no name: none of them")
    parser.add_argument("--against", metavar="COMMIT", help="and the code of this commit")
    options = parser.parse_args()
    if options.against:
        with checked_out(options.against) as other:
            compare(options, {"vidaug": HERE.parent, options.against: other})
    else:
        compare(options, {"vidaug": HERE.parent})


def compare(options: argparse.Namespace, sources: dict[str, Path]) -> None:
    """Measure all ways with all recipes, and print what came out."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        manifest = work / "manifest.jsonl"
        timed(["-m", "vidaug_cli", "scan", options.videos, "-o", manifest, "-q", "--no-cache"])
        lines = manifest.read_text().splitlines(keepends=True)
        lines = lines[:: max(1, len(lines) // (options.limit or len(lines)))][: options.limit]
        manifest.write_text("".join(lines))
        clips = options.copies * len(lines)
        startup = min(timed(["-c", "import torch, h5py, av, joblib"]).clock for _ in range(3))
        print(f"{clips} clips of 64 x 160 x 160, whole processes; starting Python with torch takes {startup:.1f} s")
        if len(options.processes) > 1:
            print(f"two processes that only copy memory do {copying():.2f} times what one does here")
        for recipe in options.recipes:
            ways: dict[str, Callable[[int], Taken]] = {
                name: lambda processes, name=name, source=source, recipe=recipe: vidaug(  # type: ignore[misc]
                    source, manifest, work / name, recipe, options.copies, processes
                )
                for name, source in sources.items()
            }
            ways |= {
                name: lambda processes, careful=YARDSTICKS[name]: straightforward(
                    work / "vidaug", work / "plain", processes, careful
                )
                for name in options.yardsticks
            }
            show(recipe, measure(ways, options.processes, options.rounds), clips)


def measure(ways: dict[str, Callable[[int], Taken]], processes: Sequence[int], rounds: int) -> Times:
    """Return what each way takes with each number of processes, by turns."""
    times: Times = {(way, number): [] for number in processes for way in ways}
    for _ in range(rounds):
        for way, number in times:
            times[way, number].append(ways[way](number))
    return times


def show(recipe: str, times: Times, clips: int) -> None:
    """Print the times of one recipe and the ratios to ours, each within its round."""
    print(f"\n{recipe}, ms a clip: median (least to most), and CPU time")
    for (way, processes), taken in times.items():
        each = sorted(1000 * one.clock / clips for one in taken)
        spread = f"{median(each):6.1f} ({each[0]:.1f} to {each[-1]:.1f})"
        print(f"  {way:16} -j {processes}  {spread}, CPU {1000 * median(one.cpu for one in taken) / clips:.1f}")
    print(f"{recipe}, how many times as fast: on the clock, and by CPU time")
    for way, processes in times:
        if way != "vidaug":
            print(f"  vidaug / {way}, -j {processes}: {ratio(times[way, processes], times['vidaug', processes])}")
    if {("vidaug", 1), ("vidaug", 2)} <= times.keys():
        print(f"  two workers / one: {ratio(times['vidaug', 1], times['vidaug', 2])}")


def ratio(slow: Sequence[Taken], fast: Sequence[Taken]) -> str:
    """Return how many times as long, the median of pairs and their spread, on the clock and in CPU time."""
    clock, cpu = ([a[kind] / b[kind] for a, b in zip(slow, fast, strict=True)] for kind in (0, 1))
    return ", ".join(f"{median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in (clock, cpu))


if __name__ == "__main__":
    main()
