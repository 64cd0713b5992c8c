"""How fast a training step is, against the same network as it is usually run, and how long it waits for data.

    python benchmarks/training.py SHARDS --network r50-4x16 --batch 4

SHARDS is a folder of `vidaug augment`. Usual means float32, contiguous layout and torch's Adam as it comes. Steps of
both kinds take turns in one process, and the least of each counts; then one epoch is trained as `vidaug train` does it,
and the share of time that it waited for data is printed, and what a step took with reading and without.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from vidaug_cli.device import resolve_device
from vidaug_cli.train.build import build
from vidaug_cli.train.distributed import World
from vidaug_cli.train.loop import train, train_step
from vidaug_cli.train.run import ShardFolders, TrainingRun
from vidaug_cli.train.settings import Settings
from vidaug_cli.train.slowfast import SlowFast
from vidaug_cli.train.state import Parts


class Plain(SlowFast):
    """The same network as it is usually run."""

    def _see(self, video: Tensor, numbers: Sequence[int], seen: Sequence[str]) -> Tensor:
        return super()._see(video, numbers, seen).contiguous()


def plain(parts: Parts) -> Parts:
    """Parts of the same run with the network in contiguous layout, in float32, and Adam as it comes."""
    run = replace(parts.run, settings=replace(parts.run.settings, amp="off"))
    other = build(run, parts.world)
    other.network.__class__ = Plain
    other.network.to(memory_format=torch.contiguous_format)
    return replace(other, optimizer=torch.optim.Adam(other.network.parameters()))


def seconds(parts: Parts, video: Tensor, target: Tensor) -> float:
    started = time.perf_counter()
    parts.network.train()
    train_step(parts, video, target, 1e-4)
    if video.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--network", default="r50-4x16")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true", help="as 'vidaug train --compile'")
    args = parser.parse_args()
    world = World(resolve_device(args.device))
    settings = Settings(network=args.network, batch_size=args.batch, epochs=1, warmup=0)
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(folder=Path(folder), settings=settings, shards=ShardFolders([args.shards]))
        ours = build(run, world, workers=args.workers or world.default_workers, compiled=args.compile)
        theirs = plain(ours)
        video, target, _ = (part.to(world.device) for part in next(iter(ours.batches)))
        print(f"{args.network}, {args.batch} clips of {tuple(video.shape[1:4])}, {world.device}")
        times = [(seconds(ours, video, target), seconds(theirs, video, target)) for _ in range(args.rounds + 1)][1:]
        fast, slow = (min(column) for column in zip(*times, strict=True))
        print(f"as it is usually run       {slow / args.batch * 1e3:8.1f} ms a clip")
        print(f"as vidaug trains           {fast / args.batch * 1e3:8.1f} ms a clip, {slow / fast:.1f} times as fast")
        (epoch,) = train(ours)
        speed, waiting = epoch["clips_per_second"], epoch["waiting"]
        step, held = (1e3 * epoch[name] for name in ("step_seconds", "held_step_seconds"))
        print(f"one epoch                  {speed:8.1f} clips/s, {waiting:.1%} waiting for data")
        print(f"a step of it               {step:8.1f} ms, {held:.1f} without reading")


if __name__ == "__main__":
    main()
