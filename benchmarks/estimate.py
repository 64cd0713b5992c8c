"""What a large job takes: hours and terabytes for each codec and number of nodes, from rates measured here.

    python benchmarks/estimate.py VIDEOS [--videos 650000] [--copies 10] [--nodes 1 10 50] [--cores 32]

For each codec, one process augments some of the videos of the folder VIDEOS, and the time of each shard and its bytes
are noted. The job is then simulated, event by event: every core takes the next shard; each takes as long as one of
those that were measured (drawn with replacement, and scaled to its number of clips), or longer where all cores together
would write more than the disk takes; nodes fail now and then, which costs the shards that they were making, and come
back. The defaults are those of Kinetics-700 with its 650,000 videos; that its files are decoded as fast as those in
VIDEOS is an assumption, so take some of your own.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vidaug_cli.augment.plan import PlanSettings

CODECS = "raw", "jpeg", "video"
HOUR = 3600.0


class Measured(NamedTuple):
    """What one core did with one codec."""

    seconds: list[float]  # a clip, of each shard
    bytes: float  # a clip

    @property
    def mean(self) -> float:
        """Seconds a clip."""
        return sum(self.seconds) / len(self.seconds)


class Site(NamedTuple):
    """Where the job runs."""

    nodes: int
    cores: int  # of a node
    disk: float  # bytes a second that all nodes together can write
    between_failures: float  # hours of a node from one failure to the next, on average
    repair: float  # hours until it is back


def main() -> None:
    """Measure, simulate and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="VIDEOS")
    parser.add_argument("--recipe", default="fademixup")
    parser.add_argument("--limit", type=int, default=64, help="videos that are measured with")
    parser.add_argument("--videos", type=int, default=650_000)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--nodes", type=int, nargs="+", default=(1, 10, 50))
    parser.add_argument("--cores", type=int, default=32, help="of a node")
    parser.add_argument("--disk", type=float, default=2.0, help="GB/s that all nodes together can write")
    parser.add_argument("--between-failures", type=float, default=500.0, help="hours, of a node")
    parser.add_argument("--repair", type=float, default=4.0, help="hours")
    options = parser.parse_args()
    rounds = PlanSettings(copies=options.copies).rounds_of(options.videos)
    shards = [rounds.clips(shard) for shard in range(rounds.shard_count)]
    print(f"{options.videos:,} videos x {options.copies} copies: {sum(shards):,} clips in {len(shards):,} shards\n")
    heads = [f"{nodes} x {options.cores} cores" for nodes in options.nodes]
    print("| codec | ms a clip and core | spread of shards | TB |", " | ".join(heads), "|")
    print("|---|---:|---:|---:|" + "---:|" * len(heads))
    for codec in CODECS:
        measured = measure(options.folder, codec, options.recipe, options.limit, options.copies)
        hours = []
        for nodes in options.nodes:
            site = Site(nodes, options.cores, options.disk * 1e9, options.between_failures, options.repair)
            spent, lost = simulate(shards, measured, site)
            hours.append(f"{spent:,.1f} h, {lost} lost")
        low, high = min(measured.seconds) / measured.mean, max(measured.seconds) / measured.mean
        size = f"{sum(shards) * measured.bytes / 1e12:.1f}"
        print(f"| {codec} | {measured.mean * 1e3:.1f} | {low:.2f} to {high:.2f} | {size} |", " | ".join(hours), "|")


def measure(folder: Path, codec: str, recipe: str, limit: int, copies: int) -> Measured:
    """Augment some videos in one process, and return what it took; the first shard, with the start, does not count."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "out"
        words = ["augment", folder, "-o", out, "-r", recipe, "--copies", copies, "--codec", codec, "--limit", limit]
        command = [sys.executable, "-m", "vidaug_cli", *map(str, words), "-j", "1", "-q"]
        subprocess.run(command, check=True)
        records = sorted(out.glob("[0-9]*/*.json"), key=lambda path: path.stat().st_mtime_ns)
        clips = [json.loads(path.read_bytes())["clips"] for path in records]
        ends = [path.stat().st_mtime for path in records]
        seconds = [(end - start) / count for start, end, count in zip(ends, ends[1:], clips[1:], strict=False)]
        weight = sum(path.with_suffix(".h5").stat().st_size for path in records)
        return Measured(seconds, weight / sum(clips))


def simulate(shards: Sequence[int], measured: Measured, site: Site) -> tuple[float, int]:
    """Return the hours until all shards are made, and how many were lost with a node and made again."""
    draw = random.Random(0)
    slower = max(1.0, site.nodes * site.cores * measured.bytes / measured.mean / site.disk)
    waiting, lost, ended = [*reversed(shards)], 0, 0.0
    fails = [draw.expovariate(1 / site.between_failures) * HOUR for _ in range(site.nodes)]
    free = [(0.0, node) for node in range(site.nodes) for _ in range(site.cores)]  # when a core is free, and whose
    heapq.heapify(free)
    while waiting:
        now, node = heapq.heappop(free)
        while now >= fails[node] + site.repair * HOUR:  # it was idle then
            fails[node] += site.repair * HOUR + draw.expovariate(1 / site.between_failures) * HOUR
        if now >= fails[node]:
            heapq.heappush(free, (fails[node] + site.repair * HOUR, node))
            continue
        clips = waiting.pop()
        end = now + clips * draw.choice(measured.seconds) * slower
        if end >= fails[node]:
            waiting.append(clips)
            lost += 1
            end = fails[node] + site.repair * HOUR
        else:
            ended = max(ended, end)
        heapq.heappush(free, (end, node))
    return ended / HOUR, lost


if __name__ == "__main__":
    main()
