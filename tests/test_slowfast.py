"""SlowFast: published sizes, the way of the frames, and every setting of an architecture."""

from __future__ import annotations

from dataclasses import fields, replace
from math import prod
from typing import Any, cast, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.slowfast import ARCHITECTURES, PATHWAY_INPUTS, Architecture, Block, Input, SlowFast

TINY = Architecture(blocks=(1, 1, 1, 1), bottleneck=False, width=8, beta=4, alpha=4, fast_frames=8)


def make(architecture: Architecture, classes: int = 3) -> SlowFast:
    torch.manual_seed(0)
    return SlowFast(architecture, classes).eval()


def clip(batch: int = 2, frames: int = 8, side: int = 32) -> Tensor:
    drawn = torch.randint(0, 256, (batch, frames, side, side, 3), generator=torch.Generator().manual_seed(1))
    return drawn.to(torch.uint8)


def parameters(architecture: Architecture, classes: int) -> int:
    with torch.device("meta"):
        network = SlowFast(architecture, classes)
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "classes", "millions"),
    [
        ("r50-4x16", 101, 33.79),
        ("r101-4x16", 101, 62.14),
        ("r50-4x16-original", 400, 34.48),
        ("r50-8x8-original", 400, 34.57),
        ("r101-8x8-original", 400, 62.83),
    ],
)
def test_published_sizes(name: str, classes: int, millions: float) -> None:
    assert round(parameters(ARCHITECTURES[name], classes) / 1e6, 2) == millions


def closed_form(a: Architecture, classes: int) -> int:
    """Parameters, counted from the tables of the papers and not from modules."""
    fast = a.width // a.beta
    growth = 4 if a.bottleneck else 1
    fused = [fast] + [fast * growth * 2**stage for stage in range(3)]  # Fast channels before each stage
    seen = {"rgb": (3, 3), "diff": (3, 3), "rgb+diff": (6, 6), "slow-rgb-fast-diff": (3, 3)}[a.input]
    total = seen[0] * prod(a.slow_stem) * a.width + seen[1] * prod(a.fast_stem) * fast + 2 * (a.width + fast)
    total += sum(2 * width * width * a.lateral_kernel + (4 * width if a.lateral_norm else 0) for width in fused)
    for width, frames, extra in ((a.width, (1, 1, 3, 3), fused), (fast, (3, 3, 3, 3), [0] * 4)):
        channels = width
        for stage, count in enumerate(a.blocks):
            inner, channels = width * 2**stage, channels + 2 * extra[stage]
            outer = inner * growth
            for block in range(count):
                if a.bottleneck:
                    total += inner * (channels * frames[stage] + 9 * inner + outer) + 4 * inner + 2 * outer
                else:
                    total += inner * 9 * (channels * frames[stage] + inner) + 4 * inner
                if channels != outer or (stage and not block):
                    total += channels * outer + 2 * outer
                channels = outer
    return int(total) + (a.width + fast) * growth * 8 * classes + (classes if a.head_bias else 0)


small_architectures = st.builds(
    lambda beta, times, **rest: Architecture(width=beta * times, beta=beta, **rest),
    beta=st.integers(1, 4),
    times=st.integers(1, 3),
    blocks=st.tuples(*[st.integers(1, 2)] * 4),
    bottleneck=st.booleans(),
    alpha=st.integers(1, 5),
    fast_frames=st.integers(1, 9),
    lateral_kernel=st.sampled_from([1, 3, 5]),
    lateral_norm=st.booleans(),
    head_bias=st.booleans(),
    zero_init=st.booleans(),
    slow_stem=st.tuples(*[st.sampled_from([1, 3, 5])] * 3),
    fast_stem=st.tuples(*[st.sampled_from([1, 3, 5, 7])] * 3),
    input=st.sampled_from(get_args(Input)),
)


@settings(max_examples=25, deadline=None)
@given(small_architectures, st.integers(1, 5), st.integers(1, 20))
def test_any_small_architecture_works_on_any_number_of_frames(a: Architecture, classes: int, frames: int) -> None:
    network = make(a, classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == closed_form(a, classes)
    with torch.no_grad():
        logits = network(clip(1, frames, 16))
    assert logits.shape == (1, classes)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_named_architecture_agrees_with_the_closed_form(name: str) -> None:
    assert parameters(ARCHITECTURES[name], 7) == closed_form(ARCHITECTURES[name], 7)


def test_clips_are_not_turned_on_their_way_in() -> None:
    network, video = make(TINY), clip(frames=16)
    before, seen = video.clone(), []
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last_3d)
    network.fast.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    maps = network.features(video)
    assert seen[0].permute(0, 2, 3, 4, 1).is_contiguous()  # in memory as the clip was: frames, rows, columns, channels
    assert torch.allclose(seen[0].permute(0, 2, 3, 4, 1), (video[:, ::2].float() - 128) / 128, atol=1e-6)
    assert torch.equal(video, before)
    assert all(one.is_contiguous(memory_format=torch.channels_last_3d) for one in maps)


def stem_inputs(architecture: Architecture, video: Tensor) -> tuple[Tensor, Tensor]:
    """What Slow sees and what Fast sees, (B, T, H, W, C)."""
    network, seen = make(architecture), []
    for pathway in (network.slow, network.fast):
        pathway.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].permute(0, 2, 3, 4, 1)))
    network.features(video)
    return seen[0], seen[1]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(get_args(Input)), st.integers(1, 24), st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_what_each_pathway_sees(kind: Input, frames: int, fast_frames: int, alpha: int, half: bool) -> None:
    """Levels and differences to the clip's next frame, by numpy; nothing moves after the last."""
    a = replace(TINY, input=kind, fast_frames=fast_frames, alpha=alpha, mean=100.0, std=50.0, diff_std=8.0)
    video = clip(2, frames, 16)
    levels = video.numpy().astype(np.float64)
    moves = np.diff(levels, axis=1, append=levels[:, -1:])
    parts = {"rgb": (levels - 100) / 50, "diff": moves / 8}
    step = max(1, frames // fast_frames)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        both = stem_inputs(a, video)
    for seen, names, every in zip(both, PATHWAY_INPUTS[kind], (step * alpha, step), strict=True):
        wanted = np.concatenate([parts[name] for name in names], -1)[:, ::every]
        assert seen.shape == wanted.shape
        assert np.allclose(seen.float().numpy(), wanted, rtol=0, atol=0.02 if half else 1e-5)


def test_differences_in_bfloat16_are_exact() -> None:
    """Else a small movement on a bright ground would be rounded away."""
    video = torch.arange(256, dtype=torch.uint8).repeat(2, 1)
    video = torch.stack([video[0].flip(0), video[1]])[None, :, :, None, None].expand(1, 2, 256, 16, 3)
    with torch.autocast("cpu", torch.bfloat16):
        _, fast = stem_inputs(replace(TINY, input="diff", diff_std=1.0), video)
    assert fast[0, 0, :, 0, 0].tolist() == list(range(-255, 256, 2))


def test_a_network_on_differences_sees_nothing_that_stands_still() -> None:
    network = make(replace(TINY, input="diff"))
    static = clip(2, 1, 32).expand(2, 8, 32, 32, 3)
    assert torch.equal(network(static)[0], network(static)[1])
    moving = clip(1).clamp(0, 200)
    assert torch.equal(network(moving), network(moving + 55))
    assert not torch.equal(network(moving), network(moving.flip(1)))


def test_shapes_of_the_last_maps() -> None:
    network = make(Architecture(blocks=(1, 1, 1, 1), width=8, beta=4, alpha=8))
    slow, fast = network.features(clip(2, 64, 64))
    assert slow.shape == (2, 8 * 32, 4, 2, 2)
    assert fast.shape == (2, 2 * 32, 32, 2, 2)
    assert network(clip(2, 64, 64)).dtype == torch.float32


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_block_starts_as_its_shortcut_with_zero_init(bottleneck: bool, training: bool) -> None:
    network = make(replace(TINY, zero_init=True, bottleneck=bottleneck)).train(training)
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    assert len(blocks) == 8
    for block in blocks:
        maps = torch.randn(2, cast(nn.Conv3d, block.residual[0]).in_channels, 3, 8, 8)
        assert torch.equal(block(maps), block.shortcut(maps).relu())


@pytest.mark.parametrize("frames", [16, 32, 40, 64])
def test_clips_of_other_lengths(frames: int) -> None:
    network = make(Architecture(blocks=(1, 1, 1, 1), bottleneck=False, width=8, alpha=8))
    fast_frames = {16: 16, 32: 32, 40: 40, 64: 32}[frames]
    slow, fast = network.features(clip(1, frames, 16))
    assert (slow.shape[2], fast.shape[2]) == (-(-fast_frames // 8), fast_frames)
    assert network(clip(1, frames, 16)).shape == (1, 3)


def test_a_clip_does_not_know_its_batch() -> None:
    network, video = make(TINY), clip(5)
    together = network(video)
    alone = torch.cat([network(one[None]) for one in video])
    assert (together.max(0).values - together.min(0).values).max() > 1e-3
    assert torch.allclose(together, alone, atol=1e-5)


def test_fast_takes_every_second_of_64_frames_and_slow_every_sixteenth() -> None:
    network = make(replace(TINY, alpha=8, fast_frames=32))
    seen: dict[str, Tensor] = {}
    for name in ("slow", "fast"):
        getattr(network, name).stem.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))

    def stems(video: Tensor) -> dict[str, Tensor]:
        network.features(video)
        return dict(seen)

    with torch.no_grad():
        video = clip(1, 64, 16)
        before = stems(video)
        for number in (0, 1, 2, 8, 15, 16, 32, 47, 48, 62, 63):
            changed = video.clone()
            changed[:, number] = 255 - changed[:, number]
            after = stems(changed)
            assert torch.equal(before["fast"], after["fast"]) == (number % 2 != 0)
            assert torch.equal(before["slow"], after["slow"]) == (number % 16 != 0)


@pytest.mark.parametrize("alpha", [1, 2, 4, 8, 16, 32])
def test_frames_from_the_first_to_the_last_are_those_of_pyslowfast(alpha: int) -> None:
    """As `pack_pathway_output` of PySlowFast takes them, where alpha divides the frames; and any number is taken."""
    network = replace(TINY, alpha=alpha, slow_frames="linspace", fast_frames=256)
    for frames in range(1, 257):
        slow, fast = network.frames_taken(frames)
        strided, also_fast = replace(network, slow_frames="stride").frames_taken(frames)
        assert list(fast) == list(also_fast) == list(range(frames))
        assert list(strided) == list(range(0, frames, alpha))
        assert len(slow) == len(strided)
        assert [slow[0], slow[-1]] == ([0, frames - 1] if len(slow) > 1 else [0, 0])
        if frames % alpha == 0 and frames < 160:  # from there on, a float32 is sometimes a little below its integer
            assert slow == torch.linspace(0, frames - 1, frames // alpha).long().tolist()


@pytest.mark.parametrize("frames", [8, 16, 11])
def test_slow_sees_the_frames_it_takes_alone(frames: int) -> None:
    """The Fast pathway's way into Slow shut, a change of any other frame leaves Slow's maps alone."""
    network = make(replace(TINY, slow_frames="linspace", fast_frames=8))
    for lateral in network.laterals:
        nn.init.zeros_(cast(nn.Conv3d, cast(nn.Sequential, lateral)[0]).weight)
    video, (taken, _) = clip(1, frames), network.architecture.frames_taken(frames)
    with torch.no_grad():
        before = network.features(video)[0]
        for number in range(frames):
            changed = video.clone()
            changed[:, number] ^= 128
            assert torch.equal(network.features(changed)[0], before) == (number not in taken)


OTHER: dict[str, Any] = {
    "blocks": (1, 2, 1, 1),
    "bottleneck": True,
    "width": 16,
    "beta": 2,
    "alpha": 2,
    "fast_frames": 4,
    "slow_frames": "linspace",
    "lateral_kernel": 3,
    "lateral_norm": True,
    "head_bias": True,
    "zero_init": True,
    "dropout": 0.1,
    "mean": 100.0,
    "std": 60.0,
    "slow_stem": (1, 5, 5),
    "fast_stem": (3, 3, 3),
    "input": "diff",
    "diff_std": 8.0,
}


@pytest.mark.parametrize("field", [field.name for field in fields(Architecture)])
def test_every_setting_changes_something(field: str) -> None:
    def result(architecture: Architecture) -> tuple[list[tuple[int, ...]], Tensor]:
        network = make(architecture)
        network.dropout.train()
        torch.manual_seed(0)
        return [tuple(parameter.shape) for parameter in network.parameters()], network(clip())

    base = replace(TINY, input="rgb+diff") if field == "diff_std" else TINY
    shapes, logits = result(base)
    other_shapes, other_logits = result(replace(base, **{field: OTHER[field]}))
    assert shapes != other_shapes or not torch.allclose(logits, other_logits, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "good"),
    [
        ({"blocks": (1, 1, 1)}, "four counts"),
        ({"blocks": (1, 1, 1, 0)}, "four counts"),
        ({"beta": 3}, "a divisor of width"),
        ({"lateral_kernel": 4}, "odd"),
        ({"dropout": 1.0}, "below 1"),
        ({"std": 0.0}, "above 0"),
        ({"mean": float("nan")}, "0 to 255"),
        ({"slow_frames": "last"}, "stride or linspace"),
        ({"slow_stem": (1, 4, 4)}, "three odd numbers"),
        ({"fast_stem": (3, 3, 17)}, "three odd numbers"),
        ({"input": "flow"}, r"rgb, diff, rgb\+diff or slow-rgb-fast-diff"),
        ({"diff_std": 0.0}, "above 0"),
    ],
)
def test_what_no_network_can_be(values: dict[str, Any], good: str) -> None:
    with pytest.raises(VidaugError, match=good):
        Architecture(**values)


def test_in_bfloat16_the_logits_stay_float32_and_near() -> None:
    network, video = make(TINY), clip()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        slow, fast = network.features(video)
        logits = network(video)
    assert slow.dtype == fast.dtype == torch.bfloat16
    assert logits.dtype == torch.float32
    with torch.no_grad():
        assert torch.allclose(logits, network(video), atol=0.02)
