"""The mixing family: pixels, labels and frame weights come from the same numbers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.blend import UNMIXED, Blend, frame_weights, mix
from vidaug_cli.ops.clips import Clips, Shape
from vidaug_cli.ops.mix import ALIASES, CUTOUTS, MIXES, CubeCutMix, CutMix, CutMixUp, FadeMixUp, FrameCutMix, Mix, MixUp
from vidaug_cli.schema import parse

PAPER_SHAPE = Shape(64, 160, 160)


def clips_of(level: int, shape: Shape, label: int, classes: int, batch: int = 1) -> Clips:
    """Flat clips of one grey level and one class."""
    target = torch.zeros(batch, classes)
    target[:, label] = 1
    return Clips(torch.full((batch, *shape, 3), level, dtype=torch.uint8), target, torch.ones(batch, shape.t))


def draws(op: Mix, count: int, shape: Shape = PAPER_SHAPE, seed: int = 0) -> list[Blend]:
    rng = np.random.default_rng(seed)
    return [op.draw(rng, shape) for _ in range(count)]


@pytest.mark.parametrize("name", MIXES)
@given(seed=st.integers(0, 10**6), labels=st.tuples(st.integers(0, 2), st.integers(0, 2)))
@settings(max_examples=60, deadline=None)
def test_label_is_the_share_of_voxels_that_changed(name: str, seed: int, labels: tuple[int, int]) -> None:
    """White is the own video, black the partner: the mean brightness is the weight, whatever the op."""
    shape = Shape(8, 12, 16)
    blend = MIXES[name]().draw(np.random.default_rng(seed), shape)
    own, partner = clips_of(255, shape, labels[0], 3), clips_of(0, shape, labels[1], 3)
    mixed = mix(own, partner, [blend])
    brightness = mixed.video[0].double().mean((1, 2, 3)) / 255
    assert brightness == pytest.approx(mixed.weights[0].double(), abs=0.5 / 255)
    weight = float(mixed.weights[0].double().mean())
    expected = torch.zeros(3, dtype=torch.float64)
    expected[labels[0]] += weight
    expected[labels[1]] += 1 - weight
    assert mixed.target[0].double() == pytest.approx(expected, abs=1e-6)
    assert float(mixed.target.sum()) == pytest.approx(1, abs=1e-6)
    assert 0 <= float(mixed.weights.min()) <= float(mixed.weights.max()) <= 1


def weight_field(blend: Blend, shape: Shape) -> NDArray[np.float64]:
    """The definition: the share of the own video, (T, H, W)."""
    ramp = np.linspace(blend.first, blend.last, shape.t)
    field = np.broadcast_to(ramp[:, None, None], shape).copy()
    field[blend.box.slices] = blend.inside
    return field


@pytest.mark.parametrize("name", MIXES)
def test_kernel_follows_the_weight_field(name: str) -> None:
    """Pixel by pixel against the definition, in numpy's float64."""
    shape = Shape(6, 10, 14)
    rng = np.random.default_rng(3)
    own, partner = (rng.integers(0, 256, (8, *shape, 3), np.uint8) for _ in range(2))
    blends = draws(MIXES[name](), 8, shape, seed=4)
    ones, target = torch.ones(8, shape.t), torch.ones(8, 1)
    mixed = mix(
        Clips(torch.from_numpy(own), target, ones), Clips(torch.from_numpy(partner), target, ones), blends
    ).video.numpy()
    for i, blend in enumerate(blends):
        field = weight_field(blend, shape)[..., None]
        expected = field * own[i] + (1 - field) * partner[i]
        assert np.abs(mixed[i] - expected).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("name", MIXES)
def test_frame_weights_are_the_mean_of_the_field(name: str) -> None:
    for blend in draws(MIXES[name](), 50, Shape(9, 13, 11)):
        field = weight_field(blend, Shape(9, 13, 11))
        assert frame_weights(blend, Shape(9, 13, 11)) == pytest.approx(field.mean((1, 2)), abs=1e-12)


@pytest.mark.parametrize(("op", "share"), [(CutMix, 0.316), (FrameCutMix, 0.406), (CubeCutMix, 0.237)])
def test_mean_pasted_share_of_clipped_boxes(op: type[CutMix], share: float) -> None:
    pasted = [1 - frame_weights(blend, PAPER_SHAPE).mean() for blend in draws(op(), 10_000)]
    assert np.mean(pasted) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("op", [CutMix, FrameCutMix, CubeCutMix])
def test_boxes_kept_inside_paste_half_on_average(op: type[CutMix]) -> None:
    """Nothing is cut off, so the mean share is that of 1 - lambda: one half, less what truncation takes."""
    pasted = [1 - frame_weights(blend, PAPER_SHAPE).mean() for blend in draws(op(box="inside"), 10_000)]
    assert np.mean(pasted) == pytest.approx(0.495, abs=0.015)


def test_fademixup_has_the_mean_weight_of_mixup_and_both_directions() -> None:
    blends = draws(FadeMixUp(), 4000)
    ends = np.array([(blend.first, blend.last) for blend in blends])
    lam = ends.mean(1)
    swing = np.abs(ends[:, 0] - lam)
    assert np.mean(lam) == pytest.approx(0.5, abs=0.02)
    assert np.var(lam) == pytest.approx(1 / 12, abs=0.01)  # of U(0, 1) = Beta(1, 1)
    assert np.mean(ends[:, 0] < ends[:, 1]) == pytest.approx(0.5, abs=0.03)
    assert np.mean(swing / np.minimum(lam, 1 - lam)) == pytest.approx(0.5, abs=0.02)  # gamma is uniform
    assert ends.min() >= 0
    assert ends.max() <= 1


def test_cutmixup_label_weights() -> None:
    """l(1 - vol) when l >= 0.5, else l(1 - vol) + vol; half of the clips are plain MixUp with l."""
    blends = draws(CutMixUp(), 4000)
    plain = [blend for blend in blends if blend.box == UNMIXED.box]
    assert len(plain) / len(blends) == pytest.approx(0.5, abs=0.03)
    assert np.var([blend.first for blend in blends]) == pytest.approx(0.05, abs=0.005)  # of Beta(2, 2)
    for blend in blends:
        share, volume = blend.first, np.prod(blend.box.shape) / np.prod(PAPER_SHAPE)
        expected = share * (1 - volume) + (volume if share < 0.5 else 0)
        assert frame_weights(blend, PAPER_SHAPE).mean() == pytest.approx(expected, abs=1e-12)


def test_cutmixup_blended_inside_leaves_the_own_video_pure_around_the_box() -> None:
    blends = draws(CutMixUp(blend="inside", mixup_p=0), 100)
    assert all(blend.first == blend.last == 1 and 0 < blend.inside < 1 for blend in blends)


@pytest.mark.parametrize(
    ("op", "changes"),
    [
        (CutMix, {"beta": 9.0, "box": "inside"}),
        (MixUp, {"beta": 9.0}),
        (FadeMixUp, {"beta": 9.0}),
        (CutMixUp, {"beta": 9.0, "mixup_beta": 9.0, "mixup_p": 0.9, "box": "inside", "blend": "inside"}),
    ],
)
def test_every_key_changes_something(op: type, changes: dict[str, object]) -> None:
    plain = draws(op(), 50)
    for key, value in changes.items():
        assert draws(op(**{key: value}), 50) != plain, key


def test_a_clip_does_not_know_its_batch_and_arguments_stay_as_they_were() -> None:
    shape = Shape(5, 8, 9)
    generator = torch.Generator().manual_seed(1)
    video = torch.randint(0, 256, (2, 4, *shape, 3), generator=generator, dtype=torch.uint8)
    own, partner = (Clips(v, torch.eye(4), torch.ones(4, shape.t)) for v in video)
    before = video.clone()
    blends = [
        MIXES[name]().draw(np.random.default_rng(7), shape) for name in ("cutmix", "fademixup", "cutmixup", "mixup")
    ]
    together = mix(own, partner, blends)
    assert torch.equal(video, before)
    for i, blend in enumerate(blends):
        alone = mix(
            Clips(own.video[i : i + 1], own.target[i : i + 1], own.weights[i : i + 1]),
            Clips(partner.video[i : i + 1], partner.target[i : i + 1], partner.weights[i : i + 1]),
            [blend],
        )
        assert torch.equal(alone.video[0], together.video[i])
        assert torch.equal(alone.target[0], together.target[i])


def test_an_unmixed_clip_is_left_as_it_was() -> None:
    shape = Shape(4, 8, 8)
    mixed = mix(clips_of(9, shape, 0, 2), clips_of(200, shape, 1, 2), [UNMIXED])
    assert mixed.video.unique().tolist() == [9]
    assert mixed.target.tolist() == [[1, 0]]


@pytest.mark.parametrize("name", MIXES)
def test_a_stored_blend_is_the_drawn_one(name: str) -> None:
    for blend in draws(MIXES[name](), 20):
        assert parse(Blend, json.loads(json.dumps(asdict(blend)))) == blend


@pytest.mark.parametrize("name", [name for name in MIXES if "cut" in name])
def test_the_ratio_that_sized_the_box_is_kept(name: str) -> None:
    """Side lengths by hand from the stored ratio; a box kept inside has them in full."""
    kind: Any = MIXES[name]  # fields differ
    op = kind(box="inside")
    for blend in draws(op, 50):
        stored = asdict(blend)
        if blend.box == UNMIXED.box:
            assert stored["lam"] is None
            continue
        factor = (1 - stored["lam"]) ** (1 / len(op.axes))
        sides = [int(size * factor) if axis in op.axes else size for axis, size in zip("tyx", PAPER_SHAPE, strict=True)]
        assert list(blend.box.shape) == sides


@pytest.mark.parametrize(("name", "share"), [("cutout", 1 / 4), ("framecutout", 1 / 4), ("cubecutout", 1 / 8)])
def test_cutout_deletes_its_share_inside_the_clip(name: str, share: float) -> None:
    shape = Shape(16, 20, 24)
    op = CUTOUTS[name]()
    rng = np.random.default_rng(0)
    video = torch.full((20, *shape, 3), 7, dtype=torch.uint8)
    drawn = [op.draw(rng, shape) for _ in range(20)]
    out = op.apply(video, json.loads(json.dumps(drawn)))
    assert (video == 7).all()
    assert set(out.unique().tolist()) == {7, 128}
    assert (out == 128).double().mean((1, 2, 3, 4)).tolist() == pytest.approx([share] * 20)
    assert len({str(draw) for draw in drawn}) > 10


def test_aliases_name_members() -> None:
    assert set(ALIASES.values()) <= set(MIXES)


@pytest.mark.parametrize(
    ("op", "settings", "message"),
    [
        (CutMix, {"beta": 0}, "beta = 0 should be a number above 0"),
        (CutMix, {"box": "out"}, "box = 'out' should be clip or inside"),
        (CutMixUp, {"mixup_p": 2}, "mixup_p = 2 should be a chance, 0 to 1"),
        (CUTOUTS["cutout"], {"h": 0}, "h = 0 should be a share, above 0 and up to 1"),
        (CUTOUTS["cutout"], {"fill": 300}, "fill = 300 should be a grey level, 0 to 255"),
    ],
)
def test_settings_out_of_range(op: type, settings: dict[str, object], message: str) -> None:
    with pytest.raises(VidaugError) as error:
        op(**settings)
    assert str(error.value) == message
