"""What recipes cost a GPU: kernels and copies that do not grow with the batch, and no wait; counted without one."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from fake_gpu import FakeGpu, fake_gpu
from test_plan import plan_of

from vidaug_cli import Clips, augment_batch, load_recipe
from vidaug_cli.augment.render import Engine, _mixed_ring, draw_cut
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.ops.clips import Shape
from vidaug_cli.ops.frame_ops import OPS, Ramp
from vidaug_cli.ops.mix import CUTOUTS, MIXES
from vidaug_cli.recipe.loading import parse_recipe
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.rng import Step, generator

BATCHES = (4, 16, 64)
MIX_KERNELS, OP_KERNELS, COPIES = 25, 40, 3
TABLES = [f'mix_p = 1.0\n[[mix]]\nop = "{name}"' for name in MIXES] + [
    f'[[augment]]\nop = "{name}"' for name in CUTOUTS
]


def augmented(recipe: Recipe, batch: int) -> FakeGpu:
    with fake_gpu() as gpu:
        video = torch.empty((batch, 16, 32, 32, 3), dtype=torch.uint8, device="cuda")
        clips = Clips(video, torch.zeros(batch, 101, device="cuda"), torch.ones(batch, 16, device="cuda"))
        gpu.kernels.clear()
        out = augment_batch(recipe, clips, seed=0, epoch=0, first_clip=0)
        assert (out.video.shape, out.video.device.type) == (video.shape, "cuda")
    assert (gpu.down, gpu.waits) == (0, 0), str(gpu)
    return gpu


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("table", TABLES)
def test_a_mix_or_a_cutout_takes_few_kernels(table: str, batch: int) -> None:
    gpu = augmented(parse_recipe(table, "of the test"), batch)
    assert gpu.kernels.total() <= MIX_KERNELS, str(gpu)
    assert gpu.up == 1


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("name", OPS)
def test_a_frame_op_takes_few_kernels(name: str, interpolation: str) -> None:
    low, high = OPS[name].limits
    op = Ramp(name=name, first=low, last=(low + high) / 2, interpolation=interpolation)  # type: ignore[arg-type]
    counts = set()
    for batch in BATCHES:
        with fake_gpu() as gpu:
            video = torch.empty((batch, 16, 32, 32, 3), dtype=torch.uint8, device="cuda")
            gpu.kernels.clear()
            op.apply(video, [op.draw(generator(0, 0, clip, 0), Shape(16, 32, 32)) for clip in range(batch)])
        assert (gpu.up, gpu.down, gpu.waits) == (1, 0, 0), str(gpu)
        counts.add(gpu.kernels.total())
    assert len(counts) == 1
    assert max(counts) <= {"nearest": OP_KERNELS, "bilinear": 90}[interpolation]


def step_of(clip: int, step: int) -> np.random.Generator:
    return generator(0, 0, clip, Step.AUGMENT + step)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", ["randaugment", "randaugment_t", "randaugment_t_small", "vipriors2020"])
def test_a_recipe_takes_no_more_than_its_ops(name: str, batch: int) -> None:
    recipe = load_recipe(name)
    gpu = augmented(recipe, batch)
    assert gpu.up <= COPIES, str(gpu)
    groups, shape = set(), Shape(16, 32, 32)
    for clip in range(batch):
        draws = recipe.draw_augment(partial(step_of, clip), shape)
        for step, draw in enumerate(draws):
            layers = (draw or {}).get("layers", [])
            groups |= {(step, place, layer["op"]) for place, layer in enumerate(layers)}
    assert gpu.kernels.total() <= OP_KERNELS * len(groups) + MIX_KERNELS, str(gpu)


@pytest.mark.parametrize("batch", [3, 4, 16])
@pytest.mark.parametrize("name", ["fademixup", "randaugment_t", "vipriors2020"])
def test_a_ring_is_rendered_on_one_device(name: str, batch: int) -> None:
    """A tensor left on the host would fail. The host waits for the results, and for clips that are not pinned."""
    plan = plan_of(16, recipe=load_recipe(name), copies=1, clips_per_shard=16, spec=ClipSpec(frames=8, size=32))
    ring = [draw_cut(plan, slot) for slot in plan.groups(0)[0][0]]
    pixels = np.zeros((17, 8, 32, 32, 3), np.uint8)
    with fake_gpu() as gpu:
        records = list(_mixed_ring(plan, Engine(device="cuda", batch=batch), ring, pixels))
    batches = -(-16 // batch)
    assert len(records) == 16
    assert (gpu.down, gpu.waits) == (3 * batches, 3 * batches + 1), str(gpu)
