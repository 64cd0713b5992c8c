"""RandAugment-T: what it draws, and that what it draws is what happens to the pixels."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.clips import ClipOp, Draw, Shape, ramp
from vidaug_cli.ops.frame_ops import OPS, op_names
from vidaug_cli.ops.randaugment import RANDAUGMENT, RandAugmentT

SHAPE = Shape(8, 24, 32)


def scene(batch: int = 1, frames: int = 8, channels: int = 3, height: int = 24, width: int = 32) -> torch.Tensor:
    """The same still picture in every frame, so that all change over time is the op's."""
    rng = np.random.default_rng(1)
    still = rng.integers(0, 256, (batch, 1, height, width, channels), dtype=np.uint8)
    return torch.from_numpy(np.repeat(still, frames, 1))


def layers_of(op: RandAugmentT, clips: int = 1500) -> list[Draw]:
    drawn = (op.draw(np.random.default_rng([3, clip]), SHAPE) for clip in range(clips))
    return [layer for draw in drawn for layer in draw["layers"]]


def ends_of(op: RandAugmentT) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    layers = layers_of(op)
    return np.array([layer["first"] for layer in layers]), np.array([layer["last"] for layer in layers])


def test_ramp_runs_evenly() -> None:
    assert ramp(1, 9, 5).tolist() == [1, 3, 5, 7, 9]
    assert ramp(4, 9, 1).tolist() == [4]


def test_spatial_magnitudes_stay() -> None:
    first, last = ends_of(RandAugmentT(variant="spatial", m=7))
    assert (first == 7).all()
    assert (last == 7).all()


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_temporal_plus_swings_about_m(width: float) -> None:
    first, last = ends_of(RandAugmentT(m=8, range=width))
    swing = (last - first) / 2
    most = 0.5 * width * 8
    assert np.allclose(first + last, 16)
    assert np.abs(swing).max() <= most
    # d is uniform over 0..most and the coin fair: quartiles, within three standard errors of 3,000 draws.
    assert np.allclose(np.quantile(np.abs(swing), [0.25, 0.5, 0.75]) / most, [0.25, 0.5, 0.75], atol=0.03)
    assert (swing > 0).mean() == pytest.approx(0.5, abs=0.03)


def test_temporal_grows_to_m() -> None:
    first, last = ends_of(RandAugmentT(variant="temporal", m=8))
    assert (last == 8).all()
    assert first.min() >= 0.1
    assert first.max() <= 8
    assert first.mean() == pytest.approx(4.05, abs=0.15)


def test_mix_is_one_or_the_other_for_a_whole_clip() -> None:
    op = RandAugmentT(variant="mix", n=3)
    draws = [op.draw(np.random.default_rng([3, clip]), SHAPE) for clip in range(1500)]
    spatial = [draw["variant"] == "spatial" for draw in draws]
    assert np.mean(spatial) == pytest.approx(0.5, abs=0.04)
    for draw, still in zip(draws, spatial, strict=True):
        assert draw["variant"] in ("spatial", "temporal_plus")
        assert all((layer["first"] == layer["last"]) == still for layer in draw["layers"])


def test_fixed_ends_are_given() -> None:
    assert set(zip(*ends_of(RandAugmentT(variant="fixed", m1=2, m2=9)), strict=True)) == {(2, 9)}


@pytest.mark.parametrize("table", ["official", "monotone"])
def test_ops_and_signs_are_drawn_evenly(table: Any) -> None:
    layers = layers_of(RandAugmentT(table=table), 3000)
    names = [layer["op"] for layer in layers]
    assert set(names) == set(op_names(table))
    for name in op_names(table):
        expected = 1 / len(op_names(table))
        assert names.count(name) / len(names) == pytest.approx(expected, abs=4 * (expected / len(names)) ** 0.5)
        signs = [layer["sign"] for layer in layers if layer["op"] == name]
        fair = 0.5 if OPS[name].scales[table].signed else 1.0
        assert signs.count(1) / len(signs) == pytest.approx(fair, abs=0.11 if fair < 1 else 0)


def test_layers_of_a_clip_are_drawn_apart() -> None:
    layers = layers_of(RandAugmentT(ops=("rotate",)))
    one, two = layers[::2], layers[1::2]
    for key in ("first", "sign"):
        values = np.array([[a[key], b[key]] for a, b in zip(one, two, strict=True)], float).T
        assert abs(np.corrcoef(values)[0, 1]) < 0.1


CHANGED: dict[str, dict[str, Any]] = {
    "n": {"n": 3},
    "m": {"m": 12.0},
    "variant": {"variant": "temporal"},
    "range": {"range": 0.5},
    "m1": {"variant": "fixed", "m1": 3, "m2": 9},
    "m2": {"variant": "fixed", "m1": 2, "m2": 12},
    "table": {"table": "monotone"},
    "ops": {"ops": ("rotate", "solarize")},
    "interpolation": {"interpolation": "bilinear"},
    "fill": {"fill": (255, 0, 0)},
}


def test_every_setting_is_tried() -> None:
    assert set(CHANGED) == {field.name for field in fields(RandAugmentT)}


@pytest.mark.parametrize("name", CHANGED)
def test_every_setting_changes_the_result(name: str) -> None:
    base = RandAugmentT(variant="fixed", m1=2, m2=9) if name in ("m1", "m2") else RandAugmentT()
    video = scene(12)

    def result(op: ClipOp) -> torch.Tensor:
        return op.apply(video, [op.draw(np.random.default_rng([5, clip]), SHAPE) for clip in range(len(video))])

    assert torch.equal(result(base), result(replace(base)))
    assert not torch.equal(result(base), result(replace(base, **CHANGED[name])))


@settings(max_examples=60, deadline=None)
@given(
    variant=st.sampled_from(["spatial", "temporal_plus", "temporal", "mix"]),
    table=st.sampled_from(["official", "monotone"]),
    m=st.floats(0, 30),
    n=st.integers(1, 4),
    seed=st.integers(0, 10_000),
    size=st.tuples(*[st.integers(1, top) for top in (3, 6, 20, 20)], st.sampled_from([1, 3])),
)
def test_a_clip_does_not_know_its_batch(
    variant: Any, table: Any, m: float, n: int, seed: int, size: tuple[int, ...]
) -> None:
    op = RandAugmentT(variant=variant, table=table, m=m, n=n)
    rng = np.random.default_rng(seed)
    video = torch.from_numpy(rng.integers(0, 256, size, dtype=np.uint8))
    before = video.clone()
    draws = [op.draw(np.random.default_rng([seed, clip]), Shape(*size[1:4])) for clip in range(size[0])]
    made = op.apply(video, draws)
    assert made.shape == video.shape
    assert made.dtype == torch.uint8
    assert torch.equal(video, before)
    for clip in range(size[0]):
        stored = json.loads(json.dumps(draws[clip]))
        assert stored == draws[clip]
        assert torch.equal(op.apply(video[clip : clip + 1], [stored]), made[clip : clip + 1])


def test_layers_follow_one_another(device: torch.device) -> None:
    op = RandAugmentT(n=3)
    video = scene(4).to(device)
    draws = [op.draw(np.random.default_rng([9, clip]), SHAPE) for clip in range(4)]
    expected = video
    for i in range(3):
        expected = op.apply(expected, [{"layers": draw["layers"][i : i + 1]} for draw in draws])
    assert torch.equal(op.apply(video, draws), expected)


@pytest.mark.parametrize("name", [name for name in OPS if OPS[name].moves])
@pytest.mark.parametrize("sign", [-1, 1])
def test_neighbouring_frames_move_alike(name: str, sign: int) -> None:
    """The sign holds for the clip: of a bright patch on black, the centre goes one way only."""
    video = torch.zeros(1, 16, 64, 64, 1, dtype=torch.uint8)
    video[:, :, 40:48, 40:48] = 255
    layer = {"op": name, "first": 0.0, "last": 30.0, "sign": sign}
    made = RandAugmentT(n=1).apply(video, [{"layers": [layer]}])[0, ..., 0].double()
    at = torch.arange(64, dtype=torch.float64)
    total = made.sum((1, 2))
    path = torch.stack([(made.sum(2) * at).sum(1) / total, (made.sum(1) * at).sum(1) / total], 1).diff(dim=0)
    path = path[:8]  # while the whole patch is in the picture
    axis = int(path.abs().sum(0).argmax())
    assert path[:, axis].abs().sum() > 2
    assert path[:, axis].abs().max() < 6
    assert (path[:, axis] > 0).all() or (path[:, axis] < 0).all()


def test_value_follows_the_magnitude() -> None:
    """Brightness by hand: factor 0.1 + M/30 * 1.8, M from 0 to 60, which counts as 30 from the middle on."""
    video = torch.full((1, 5, 4, 4, 3), 100, dtype=torch.uint8)
    layer = {"op": "brightness", "first": 0.0, "last": 60.0, "sign": 1}
    made = RandAugmentT().apply(video, [{"layers": [layer]}])
    assert made[0, :, 0, 0, 0].tolist() == [10, 100, 190, 190, 190]
    weaker = RandAugmentT(table="monotone").apply(video, [{"layers": [layer | {"sign": -1}]}])
    assert weaker[0, :, 0, 0, 0].tolist() == [100, 55, 10, 10, 10]


def test_names_in_recipes() -> None:
    assert RANDAUGMENT["randaugment_t"] is RandAugmentT
    assert list(RANDAUGMENT) == ["randaugment_t", "ramp"]


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        ({"m": 31}, ["m = 31 should be 0 to 30"]),
        ({"m": float("nan")}, ["m = nan should be 0 to 30"]),
        ({"n": 0, "range": 3}, ["n = 0 should be 1 to 32", "range = 3 should be 0 to 2"]),
        ({"variant": "space"}, ["variant = 'space' should be spatial, temporal_plus, temporal, mix or fixed"]),
        ({"table": "mine"}, ["table = 'mine' should be official or monotone"]),
        ({"interpolation": "cubic"}, ["interpolation = 'cubic' should be nearest or bilinear"]),
        ({"fill": (0, 0, 256)}, ["fill = (0, 0, 256) should be 0 to 255, one level or three"]),
        (
            {"ops": ("rotate", "shearx")},
            ["ops = ('rotate', 'shearx') should be ops of the table: 'shearx' is not; did you mean 'shear_x'?"],
        ),
        ({"variant": "fixed", "m1": 1, "m2": 2, "m": 9}, ['m = 9 should be left out with variant = "fixed"']),
        (
            {"variant": "temporal", "range": 0.5},
            ['range = 0.5 should be left out unless variant = "temporal_plus" or "mix"'],
        ),
        ({"m1": 3.0}, ['m1 = 3.0 should be left out unless variant = "fixed"']),
        (
            {"variant": "fixed", "m1": 40},
            ['m1 = 40 should be 0 to 30 with variant = "fixed"', 'm2 = None should be 0 to 30 with variant = "fixed"'],
        ),
    ],
)
def test_wrong_settings(wrong: dict[str, Any], lines: list[str]) -> None:
    with pytest.raises(VidaugError) as caught:
        RandAugmentT(**wrong)
    assert str(caught.value).splitlines() == lines


def test_an_op_outside_the_table_is_named() -> None:
    with pytest.raises(VidaugError, match="'invert' is not"):
        RandAugmentT(table="monotone", ops=("invert",))
