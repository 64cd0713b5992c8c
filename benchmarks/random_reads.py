"""What a clip costs that is read at random from many shards, beside one from a few.

    TMPDIR=/dev/shm python benchmarks/random_reads.py [--shards 64] [--frames 64] [--size 160]

The shards are of noise, of eight clips each, and lie in TMPDIR. Clips of a few of them and of all take turns; what the
first reading of each shard costs, which checks it, is not in the medians and stands below them. Memory is what the
process has taken for the files by then.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.format import Record, ShardHeader, shard_path
from vidaug_cli.data.shard.writer import ShardWriter

CLIPS = 8  # of a shard
FEW = 4  # shards


def write(folder: Path, shards: int, frames: int, size: int) -> None:
    """Write so many shards of noise."""
    rng, label = np.random.default_rng(0), np.eye(1, 101, dtype=np.float32)[0]
    for shard in range(shards):
        header = ShardHeader(
            classes=tuple(map(str, range(101))), recipe="", seed=0, shard=shard, plan_sha256="0" * 64,
            frames=frames, size=size, codec="raw", quality=95, device="cpu",
        )  # fmt: skip
        with ShardWriter(shard_path(folder, shard), header) as writer:
            for clip in range(CLIPS):
                writer.append(
                    Record(
                        video=rng.integers(0, 256, header.shape, np.uint8),
                        label=label,
                        weights=np.ones(frames, np.float32),
                        sources=(0, -1),
                        frames=np.zeros((2, frames), np.int32),
                        params={},
                        copy=0,
                        clip=shard * CLIPS + clip,
                    )
                )


def reading(data: ShardDataset, clip: int) -> float:
    """Return the milliseconds that a clip takes."""
    began = time.perf_counter()
    data[clip]
    return 1e3 * (time.perf_counter() - began)


def taken() -> int:
    """Return the kilobytes that this process has for itself."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def main() -> None:
    """Print the milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), args.shards, args.frames, args.size)
        data, draw = ShardDataset(name, with_weights=True), random.Random(0)
        reading(data, 0)
        before = taken()
        first = [reading(data, shard * CLIPS) for shard in range(1, args.shards)]
        memory = (taken() - before) / len(first)
        turns = [
            [reading(data, draw.randrange(shards * CLIPS)) for shards in (FEW, args.shards)] for _ in range(args.rounds)
        ]
    few, many = map(median, zip(*turns, strict=True))
    print(f"clips of {args.frames} x {args.size} x {args.size}")
    print(f"from {FEW} shards    {few:8.3f} ms")
    print(f"from {args.shards} shards   {many:8.3f} ms, {many / few:.2f} times")
    print(f"a shard's first  {median(first):8.3f} ms, and {memory:.0f} KB kept")


if __name__ == "__main__":
    main()
