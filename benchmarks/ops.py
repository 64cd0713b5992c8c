"""Each op and mix beside a plain copy of the clip, and beside Pillow where it has the op; ratios within one run.

    python benchmarks/ops.py

One core, clips of 64 x 160 x 160. Time is the processor's, so that other programs count little, and what is compared
takes turns. Pillow's images are made of the array once, go through the ops, and become an array again; `identity` shows
what that alone takes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from straightforward import PILLOW
from torch import Tensor

from vidaug_cli.ops.blend import Blend, mix
from vidaug_cli.ops.clips import ClipOp, Clips, Draw, Shape, Video
from vidaug_cli.ops.frame_ops import FrameOps, op_names
from vidaug_cli.ops.mix import CUTOUTS
from vidaug_cli.ops.randaugment import RandAugmentT
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.recipe.registry import aliases, ops_of
from vidaug_cli.rng import Step, generator

SHAPE = Shape(64, 160, 160)
RECIPES = ("randaugment", "randaugment_t")  # of frame ops alone


class Case(NamedTuple):
    """A row of the table: what is done to a clip with each of several draws, ours and by Pillow."""

    name: str
    draws: int
    ours: Callable[[int], object]
    pillow: Callable[[int], object] | None = None


def scenes(clips: int) -> Video:
    """Return clips of moving blurs with some noise, (clips, T, H, W, 3): all levels, no two frames alike."""
    noise = torch.Generator().manual_seed(0)
    coarse = torch.rand((clips, 3, 6, 9, 9), generator=noise)
    smooth = torch.nn.functional.interpolate(coarse, tuple(SHAPE), mode="trilinear").movedim(1, -1)
    grain = torch.randn(smooth.shape, generator=noise)
    return smooth.mul_(255).add_(grain, alpha=4).round_().clamp_(0, 255).to(torch.uint8).contiguous()


def by_pillow(op: FrameOps, video: Video, draw: Draw) -> Tensor:
    """Return the clip of a batch of one after a draw, (T, H, W, 3), made as `ImageOps` and `ImageEnhance` do it."""
    images = [Image.fromarray(frame) for frame in video[0].numpy()]
    for name, values in op.layers(draw, len(images)):
        images = [PILLOW[name](image, value) for image, value in zip(images, values.tolist(), strict=True)]
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))


def augmenting(name: str, op: ClipOp, clips: Sequence[Video], draws: int) -> Case:
    """Return the row of an op that augments."""
    drawn = [op.draw(generator(0, 0, number, Step.AUGMENT), SHAPE) for number in range(draws)]

    def ours(number: int) -> Video:
        return op.apply(clips[number % len(clips)], [drawn[number]])

    def pillow(number: int, op: FrameOps) -> Tensor:
        return by_pillow(op, clips[number % len(clips)], drawn[number])

    return Case(name, draws, ours, partial(pillow, op=op) if isinstance(op, FrameOps) else None)


def mixing(name: str, clips: Sequence[Clips], blends: Sequence[Blend]) -> Case:
    """Return the row of an op that mixes."""

    def ours(number: int) -> Clips:
        own, partner = (clips[place % len(clips)] for place in (number, number + 1))
        return mix(own, partner, [blends[number]])

    return Case(name, len(blends), ours)


def cases(clips: Sequence[Video], draws: int) -> Iterator[Case]:
    """Yield the rows of the table."""
    (step,) = load_recipe("randaugment_t").augment
    assert isinstance(step.op, RandAugmentT)
    for name in op_names(step.op.table):
        yield augmenting(name, replace(step.op, n=1, ops=(name,)), clips, draws)
    for name in RECIPES:
        (step,) = load_recipe(name).augment
        yield augmenting(f"{name}, recipe", step.op, clips, 4 * draws)  # which ops it draws matters most
    for name, cutout in CUTOUTS.items():
        yield augmenting(name, cutout(), clips, draws)
    targets = torch.eye(len(clips)).split(1)
    whole = [Clips(video, target) for video, target in zip(clips, targets, strict=True)]
    for name, kind in ops_of("mix").items():
        if name not in aliases():
            yield mixing(name, whole, [kind().draw(generator(0, 0, n, Step.MIX), SHAPE) for n in range(draws)])


def taken(work: Callable[[int], object], draws: int) -> float:
    """Return the processor's milliseconds for a clip, the mean over the draws."""
    started = time.process_time()
    for number in range(draws):
        work(number)
    return 1000 * (time.process_time() - started) / draws


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only rows that begin so, such as 'solarize'")
    parser.add_argument("--draws", type=int, default=16, help="of each op; four times as many of a recipe")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = scenes(4).split(1)
    print(f"{'':24} ms a clip   / copy   Pillow's ms   Pillow / vidaug, median (least to most)")
    for case in cases(clips, options.draws):
        if not options.names or case.name.startswith(tuple(options.names)):
            print(row(case, lambda number: clips[number % len(clips)].clone(), options.rounds), flush=True)


def row(case: Case, copy: Callable[[int], object], rounds: int) -> str:
    """Return a line of the table; the first round is not counted."""
    ways = [case.ours, copy, *([case.pillow] if case.pillow else [])]
    times = [[taken(way, case.draws) for way in ways] for _ in range(rounds + 1)][1:]
    ours, copies, *pillow = zip(*times, strict=True)
    line = f"{case.name:24} {statistics.median(ours):9.2f} {_ratios(ours, copies)[len(ours) // 2]:8.1f}"
    if not pillow:
        return line
    ratios = _ratios(pillow[0], ours)
    spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return f"{line} {statistics.median(pillow[0]):13.2f}   {spread}"


def _ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """Return how many times as long, of each round, in order."""
    return sorted(a / b for a, b in zip(slow, fast, strict=True))


if __name__ == "__main__":
    main()
