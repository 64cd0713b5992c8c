"""Plans of many videos: what they cost to make, to begin work with, and for each clip.

    python benchmarks/scale.py [--videos 100 1000 10000 100000 1000000] [--copies 10]

For each number of videos a manifest is written of videos that do not exist. Then, in a process of its own each, once
everything is imported: the plan is made of it and written, as `vidaug augment` does; and it is opened, as a worker
does, which then asks for the clips of shards here and there, with the rows of their videos. Memory is the peak of the
process beyond what its imports took. At last the command runs with --dry-run, from its start to its end; the videos
that it tries to make clips of are there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch  # noqa: F401 (whoever makes or renders a plan has it loaded)

from vidaug_cli.augment.plan import Plan, read_plan, write_plan
from vidaug_cli.data.manifest import Row, read_manifest, row_line
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.video.encode import write_video
from vidaug_cli.recipe.loading import load_recipe

SHARDS = 200  # that a worker is asked for
VIDEO = Row(path="-", root="-", label="-", frames=300, fps=30.0, width=340, height=256, codec="h264")  # all are such


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs="+", default=(100, 1000, 10_000, 100_000, 1_000_000))
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("folder", type=Path, nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(STEPS[options.step](options.folder, options.copies)))
        return
    print("| clips | plan made | memory | worker ready | memory | a clip | `--dry-run` |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for videos in options.videos:
        with tempfile.TemporaryDirectory() as temporary:
            write_manifest(Path(temporary), videos)
            command = [sys.executable, __file__, temporary, "--copies", str(options.copies), "--step"]
            made, begun = (json.loads(subprocess.check_output([*command, step])) for step in STEPS)
            tried = dry_run(Path(temporary), options.copies)
        cells = [f"{videos * options.copies:,}", f"{made['seconds']:.2f} s", f"{made['MB']:.0f} MB"]
        cells += [f"{begun['seconds']:.3f} s", f"{begun['MB']:.0f} MB", f"{begun['clip']:.1f} us", f"{tried:.1f} s"]
        print("|", " | ".join(cells), "|", flush=True)


def write_manifest(folder: Path, videos: int) -> None:
    """Write a manifest with names, classes and sizes like those of Kinetics-700."""
    draw = random.Random(0)
    row = replace(VIDEO, root=str(folder))
    with (folder / "manifest.jsonl").open("wb") as file:
        for number in range(videos):
            label = f"class number {draw.randrange(700)}"
            path = f"{label}/{draw.getrandbits(60):011x}_{number:06d}.mp4"
            file.write(row_line(replace(row, path=path, label=label, bytes=draw.randrange(10**5, 10**6))))


def make(folder: Path, copies: int) -> dict[str, float]:
    """Make the plan and write it."""

    def work() -> None:
        rows = read_manifest(folder / "manifest.jsonl")
        write_plan(Plan(rows=rows, recipe=load_recipe("fademixup"), spec=ClipSpec(), copies=copies), folder / "out")

    return measured(work)


def begin(folder: Path, _: int) -> dict[str, float]:
    """Open the plan, take one shard's clips, and then those of others."""
    plans: list[Plan] = []

    def take(shard: int) -> int:
        slots = plans[0].slots(shard)
        return sum(plans[0].rows[slot.row].frames > 0 for slot in slots)

    def work() -> None:
        plans.append(read_plan(folder / "out"))
        take(0)

    start = measured(work)
    shards = [place * plans[0].shard_count // SHARDS for place in range(SHARDS)]
    began = time.perf_counter()
    clips = sum(map(take, shards))
    return start | {"clip": (time.perf_counter() - began) / clips * 1e6}


def dry_run(folder: Path, copies: int) -> float:
    """Return the seconds of the command that says what would be made."""
    draw, plan = np.random.default_rng(0), read_plan(folder / "out")
    picture = draw.integers(256, size=(VIDEO.height, 2 * VIDEO.width, 3), dtype=np.uint8)
    frames = (picture[:, place : place + VIDEO.width] for place in range(VIDEO.frames))
    write_video(folder / "video.mp4", frames, VIDEO.fps)
    for file in {plan.rows[slot.row].file for slot in plan.slots(0)}:
        file.parent.mkdir(exist_ok=True)
        os.link(folder / "video.mp4", file)
    words = ["augment", str(folder / "manifest.jsonl"), "-o", str(folder / "dry"), "-r", "fademixup", "-q"]
    command = [sys.executable, "-m", "vidaug_cli", *words, "--copies", str(copies), "--dry-run", "--force"]
    return measured(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))["seconds"]


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Return the seconds that it took, and by how many MB the memory of this process grew at most."""
    before, began = peak(), time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - began, "MB": peak() - before}


def peak() -> float:
    """Return the most memory that this process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


STEPS = {"make": make, "begin": begin}


if __name__ == "__main__":
    main()
