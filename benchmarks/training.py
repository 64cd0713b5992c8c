"""How fast a training step is, against the same network as it is usually run, and how long it waits for data.

    python benchmarks/training.py SHARDS --network r50-4x16 --batch 4

SHARDS is a folder of `vidaug augment`. Usual means float32, contiguous layout and torch's Adam as it comes. Steps of
both kinds take turns in one process, and the least of each counts; then one epoch is trained as `vidaug train` does it,
and the share of time that it waited for data is printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from vidaug_cli.device import resolve_device
from vidaug_cli.train.distributed import Processes
from vidaug_cli.train.loop import Trainer
from vidaug_cli.train.run import Job, Shards
from vidaug_cli.train.settings import Settings
from vidaug_cli.train.slowfast import SlowFast


class Plain(SlowFast):
    """The same network as it is usually run."""

    def _normalise(self, video: Tensor) -> Tensor:
        return super()._normalise(video).contiguous()


def plain(trainer: Trainer) -> Trainer:
    """Return a trainer of the same job with the network in contiguous layout, in float32, and Adam as it comes."""
    other = Trainer(replace(trainer.job, settings=replace(trainer.settings, amp="off")), trainer.here)
    other.network.__class__ = Plain
    other.network.to(memory_format=torch.contiguous_format)
    other.optimizer = torch.optim.Adam(other.network.parameters())
    return other


def seconds(trainer: Trainer, video: Tensor, target: Tensor) -> float:
    """Return how long a training step takes."""
    started = time.perf_counter()
    trainer.network.train()
    trainer.step(video, target, 1e-4)
    if trainer.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--network", default="r50-4x16")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true", help="as 'vidaug train --compile'")
    args = parser.parse_args()
    here = Processes(resolve_device(args.device))
    settings = Settings(network=args.network, batch_size=args.batch, epochs=1, warmup=0)
    with tempfile.TemporaryDirectory() as run:
        job = Job(run=Path(run), settings=settings, shards=Shards.open([args.shards]))
        ours = Trainer(job, here, workers=args.workers or here.reading_workers, compiled=args.compile)
        theirs = plain(ours)
        ours.order.epoch = 0
        video, target, _ = (part.to(here.device) for part in next(iter(ours.batches)))
        print(f"{args.network}, {args.batch} clips of {tuple(video.shape[1:4])}, {here.device}")
        times = [(seconds(ours, video, target), seconds(theirs, video, target)) for _ in range(args.rounds + 1)][1:]
        fast, slow = (min(column) for column in zip(*times, strict=True))
        print(f"as it is usually run       {slow / args.batch * 1e3:8.1f} ms a clip")
        print(f"as vidaug trains           {fast / args.batch * 1e3:8.1f} ms a clip, {slow / fast:.1f} times as fast")
        with tqdm(disable=True) as bar:
            row = ours.epoch(bar)
        print(
            f"one epoch                  {row['clips_per_second']:8.1f} clips/s, {row['waiting']:.1%} waiting for data"
        )


if __name__ == "__main__":
    main()
