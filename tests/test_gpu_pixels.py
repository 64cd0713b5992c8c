"""A GPU makes the pixels that the CPU makes: its way leads to them, and no step of it is rounded otherwise there.

The way is taken on the host, with numbers. Its steps are looked at on a GPU that computes nothing: each is exact, or
rounded once as IEEE 754 says, which CPU and CUDA do alike. Sums of floats are not, nor are products added unrounded.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_gpu import HostAsGpu, OnGpu, fake_gpu
from torch import Tensor

from vidaug_cli import Clips, augment_batch, load_recipe
from vidaug_cli.ops.clips import Shape
from vidaug_cli.ops.disturb import ClipKey, disturb
from vidaug_cli.ops.disturbances import DISTURBANCES
from vidaug_cli.ops.frame_ops import OPS, Ramp
from vidaug_cli.ops.geometric import Interpolation
from vidaug_cli.ops.mix import CUTOUTS, MIXES
from vidaug_cli.recipe.loading import parse_recipe, shipped_recipes
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.rng import generator

CLIPS, FRAMES, SIDES, CLASSES = 5, 6, (20, 24), 4
COPIES = {"_to_copy", "copy_", "clone", "index_select", "index_copy_", "index_copy", "index", "roll", "stack", "cat"}
FILLS = {"arange", "full_like", "ones", "zeros", "fill_"}
ROUNDED_ONCE = {"add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "neg", "round_", "floor_", "ceil", "trunc_"}
CHOICES = {"clamp_", "where", "gt"}
ALIKE = COPIES | FILLS | ROUNDED_ONCE | CHOICES

RECIPES = {f"mix {name}": parse_recipe(f'mix_p = 1.0\n[[mix]]\nop = "{name}"', "of the test") for name in MIXES}
RECIPES |= {f"op {name}": parse_recipe(f'[[augment]]\nop = "{name}"', "of the test") for name in CUTOUTS}
RECIPES |= {name: load_recipe(name) for name in shipped_recipes()}


def video(channels: int = 3) -> Tensor:
    """Noise and, in the first clip, a smooth picture in a few levels."""
    noise = np.random.default_rng(0).integers(0, 256, (CLIPS, FRAMES, *SIDES, channels), np.uint8)
    noise[0] = 60 + np.arange(SIDES[1])[:, None] * 4
    return torch.from_numpy(noise)


def on_host(made: Tensor) -> Tensor:
    assert isinstance(made, OnGpu)
    return made.as_subclass(Tensor)


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("name", OPS)
def test_frame_ops(name: str, interpolation: Interpolation, channels: int) -> None:
    low, high = OPS[name].limits
    op = Ramp(name=name, first=low, last=high, interpolation=interpolation, fill=77)
    draws = [op.draw(generator(0, 0, clip, 0), Shape(FRAMES, *SIDES)) for clip in range(CLIPS)]
    with HostAsGpu():
        made = op.apply(video(channels).to("cuda"), draws)
    assert torch.equal(on_host(made), op.apply(video(channels), draws))
    with fake_gpu() as gpu:
        op.apply(torch.empty(made.shape, dtype=torch.uint8, device="cuda"), draws)
    # The smoothed frame is a sum of whole numbers, which floats hold.
    assert gpu.floats <= ALIKE | ({"add_ alpha"} if name == "sharpness" else set())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_recipes(recipe: Recipe) -> None:
    target = torch.eye(CLASSES)[torch.arange(CLIPS) % CLASSES]
    with HostAsGpu():
        there = Clips(video().to("cuda"), target.to("cuda"))
        made = augment_batch(recipe, there, seed=1, epoch=0, first_clip=0)
    expected = augment_batch(recipe, Clips(video(), target), seed=1, epoch=0, first_clip=0)
    for name, part in vars(expected).items():
        assert torch.equal(on_host(getattr(made, name)), part)
    with fake_gpu() as gpu:
        clips = Clips(
            torch.empty(made.video.shape, dtype=torch.uint8, device="cuda"), torch.zeros(CLIPS, CLASSES, device="cuda")
        )
        gpu.clear()
        augment_batch(recipe, clips, seed=1, epoch=0, first_clip=0)
    assert gpu.floats <= ALIKE | {"add_ alpha"}


@pytest.mark.parametrize("name", DISTURBANCES)
def test_disturbances(name: str) -> None:
    keys, others = [ClipKey(f"{clip}.avi") for clip in range(CLIPS)], video().flip(0)
    with HostAsGpu():
        made = disturb(video().to("cuda"), DISTURBANCES[name], keys, others.to("cuda"))
    assert torch.equal(on_host(made), disturb(video(), DISTURBANCES[name], keys, others))
    with fake_gpu() as gpu:
        clips = torch.empty(made.shape, dtype=torch.uint8, device="cuda")
        disturb(clips, DISTURBANCES[name], keys, clips)
    # Sums of some 20 floats of at most 255 differ by less than a thousandth of a level: after rounding, by one at most.
    assert gpu.floats <= ALIKE | ({"bmm"} if name.startswith("blur") else set())


def test_a_sum_of_floats_would_be_noticed() -> None:
    with fake_gpu() as gpu:
        frames = torch.empty((4, 8, 8, 3), dtype=torch.uint8, device="cuda")
        frames.float().mean((1, 2, 3))
    assert not gpu.floats <= ALIKE
