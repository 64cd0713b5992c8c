"""Labels that count frames by their motion: closed forms, still clips, shards that are verified and replayed."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import write_video
from hypothesis import given, settings
from hypothesis import strategies as st

from vidaug_cli.augment.inspect import summarise
from vidaug_cli.augment.plan import Plan, read_plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.replay import replay_clips
from vidaug_cli.augment.run import run
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.check import check_shard
from vidaug_cli.data.shard.format import shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.ops.clips import Clips, Video
from vidaug_cli.ops.motion import frame_motion, motion_shares
from vidaug_cli.recipe.batch import augment_batch
from vidaug_cli.recipe.loading import load_recipe, parse_recipe

BYTES = st.integers(0, 255)
SHARES = st.floats(0, 1)
AMOUNTS = st.floats(0, 255)


def clip_of(*levels: int) -> Video:
    """One clip whose frames are flat, of these levels."""
    return torch.tensor(levels, dtype=torch.uint8).view(1, -1, 1, 1, 1).expand(1, -1, 4, 4, 3).contiguous()


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def test_motion_is_the_mean_difference_to_the_frame_before() -> None:
    assert frame_motion(clip_of(10, 10, 40, 20, 255, 0)).tolist() == [[0, 0, 30, 20, 235, 255]]
    assert frame_motion(clip_of(10, 40, 40)).tolist() == [[30, 30, 0]]  # the first has what the second has
    assert frame_motion(clip_of(7)).tolist() == [[0]]
    half = clip_of(0, 100)
    half[:, 1, :2] = 0  # in half of the rows nothing moves
    assert frame_motion(half).tolist() == [[50, 50]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 9))
def test_motion_as_numpy_has_it(seed: int, clips: int, frames: int) -> None:
    video = np.random.default_rng(seed).integers(0, 256, (clips, frames, 5, 3, 3), np.uint8)
    wanted = np.abs(np.diff(video.astype(float), axis=1)).mean((2, 3, 4))
    first = wanted[:, :1] if frames > 1 else np.zeros((clips, 1))
    found = frame_motion(torch.from_numpy(video)).numpy()
    np.testing.assert_allclose(found, np.concatenate([first, wanted], axis=1), rtol=1e-12)


@pytest.mark.parametrize(
    ("weights", "own", "partner", "share"),
    [
        ((1, 1, 0, 0), (1, 1, 1, 1), (3, 3, 3, 3), 1 / 2),  # even motion: the share of the pixels
        ((1, 1, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), 1 / 2),  # nothing moves: the same
        ((1, 0, 0, 0), (1, 1, 1, 1), (1, 1, 1, 1), 1 / 4),
        ((1, 1, 0, 0), (0, 0, 5, 5), (1, 1, 1, 1), 0),  # the cut removes the action: its label goes
        ((1, 1, 0, 0), (5, 5, 0, 0), (2, 2, 0, 0), 1),  # the partner's action does not show
        ((1, 1, 0, 0), (9, 0, 1, 0), (1, 1, 1, 1), 0.9 / 1.4),  # 9/10 of one, 1/2 of the other
        ((1, 1, 0, 0), (0, 0, 0, 0), (0, 0, 2, 2), 0.5 / 1.5),  # a still video has the share of its pixels
        ((1, 1, 0, 0), (0, 0, 5, 5), (5, 5, 0, 0), 1 / 2),  # neither action shows: the share of the pixels
        ((0.25,) * 4, (1, 2, 3, 4), (4, 3, 2, 1), 1 / 4),  # mixup
        ((1, 1, 1, 1), (1, 0, 3, 4), (4, 3, 2, 1), 1),  # not mixed
        ((0.3, 0.3, 0.3, 0.3), (0.1, 0, 0, 0), (200, 0, 0, 0), 0.3),  # how much moves does not matter, only when
    ],
)
def test_closed_forms(
    weights: tuple[float, ...], own: tuple[float, ...], partner: tuple[float, ...], share: float
) -> None:
    assert motion_shares(row(*weights), row(*own), row(*partner)).item() == pytest.approx(share, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SHARES, AMOUNTS, AMOUNTS), min_size=1, max_size=70), st.integers(1, 6))
def test_shares_are_shares_and_the_two_videos_are_alike(frames: list[tuple[float, float, float]], batch: int) -> None:
    weights, own, partner = (row(*column).expand(batch, -1).contiguous() for column in zip(*frames, strict=True))
    shares = motion_shares(weights, own, partner)
    assert 0 <= float(shares.min()) <= float(shares.max()) <= 1
    swapped = motion_shares(1 - weights, partner, own)
    assert swapped.tolist() == pytest.approx((1 - shares).tolist(), abs=1e-9)
    assert shares.tolist() == pytest.approx(motion_shares(weights[:1], own[:1], partner[:1]).tolist() * batch)


def test_a_batch_in_memory_gets_such_labels() -> None:
    """Clip 0 moves at its end only, clip 1 evenly; both are brightened, which must not count as motion."""
    recipe = load_recipe("framecutmix", overrides=["label=motion", "framecutmix.box=inside"])
    plain = load_recipe("framecutmix", overrides=["framecutmix.box=inside"])
    video = torch.cat([clip_of(0, 0, 0, 0, 0, 0, 0, 0, 80, 0), clip_of(*[0, 9] * 5)])
    clips = Clips(video, torch.eye(2))
    kinds = set()
    for epoch in range(20):
        by_motion, by_share = (
            augment_batch(each, clips, seed=0, epoch=epoch, first_clip=0) for each in (recipe, plain)
        )
        assert torch.equal(by_motion.video, by_share.video)
        assert torch.equal(by_motion.weights, by_share.weights)
        seen = by_share.weights[:, -2:].mean(1), by_share.weights.mean(1)  # of clip 0 its action, of clip 1 its frames
        for clip, own_and_other in enumerate((seen, seen[::-1])):
            own, other = own_and_other[0][clip], 1 - own_and_other[1][clip]
            wanted = own / (own + other) if own + other > 0 else by_share.weights[clip].mean()
            assert by_motion.target[clip, clip] == pytest.approx(float(wanted), abs=1e-6)
            kinds.add(bool(by_motion.target[clip, clip] != by_share.target[clip, clip]))
    assert True in kinds


def test_what_augmentation_moves_is_no_motion_of_the_video() -> None:
    darker = """
        label = "motion"
        [[augment]]
        op = "ramp"
        name = "brightness"
        first = 1.0
        last = 0.2
        [[mix]]
        op = "framecutmix"
    """
    clips = Clips(torch.cat([clip_of(*[100] * 8, 80, 100), clip_of(*[100, 109] * 5)]), torch.eye(2))
    with_ramp, without = (
        augment_batch(recipe, clips, seed=0, epoch=3, first_clip=0)
        for recipe in (parse_recipe(darker, "darker"), load_recipe("framecutmix", overrides=["label=motion"]))
    )
    assert not torch.equal(with_ramp.video, without.video)
    assert torch.equal(with_ramp.target, without.target)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 videos of 10 frames, still but for one step, at another place in each."""
    folder = tmp_path_factory.mktemp("steps")
    for number in range(12):
        path = folder / f"class_{number % 3}/video_{number:02d}.avi"
        write_video(path, frames=10, level=lambda frame, number=number: 60 + 100 * (frame > number % 9))
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> Path:
    folder = tmp_path_factory.mktemp("motion") / "out"
    run(plan_of(videos, "label=motion"), folder, Engine())
    return folder


def plan_of(videos: Path, *overrides: str) -> Plan:
    recipe = load_recipe("randaugment_t_small", "framecutmix", overrides=overrides)
    rows = tuple(read_input(str(videos)).rows)
    return Plan(
        rows=rows, recipe=recipe, spec=ClipSpec(frames=8, size=32), copies=2, clips_per_shard=96, keep_original=True
    )


def test_shards_keep_such_labels_and_are_verified_and_replayed(out: Path, videos: Path, tmp_path: Path) -> None:
    assert verify(out) == ([], 1)
    again = list(replay_clips(out, None, Engine(batch=1)))
    assert [clip.what for clip in again] == ["equal bytes"] * 36
    run(plan_of(videos, "label=motion"), tmp_path / "small", Engine(batch=1))
    assert shard_path(tmp_path / "small", 0).read_bytes() == shard_path(out, 0).read_bytes()
    run(plan_of(videos), tmp_path / "plain", Engine())
    with Shard(shard_path(out, 0)) as moved, Shard(shard_path(tmp_path / "plain", 0)) as plain:
        for name in ("weights", "sources", "crc32"):
            np.testing.assert_array_equal(moved.column(name), plain.column(name))
        assert 'label = "motion"' in moved.header.recipe
        differ = (moved.column("labels") != plain.column("labels")).any(1)
        np.testing.assert_allclose(moved.column("labels").sum(1), 1, atol=1e-6)
        shares = moved.label_shares()
        np.testing.assert_array_equal(plain.label_shares(), plain.column("weights").mean(1, dtype=np.float64))
        assert all("share" not in (plain.params(i)["mix"] or {}) for i in range(36))
    assert 6 < differ.sum() <= 24
    assert summarise(out).own_weight == np.histogram(shares[:24], 10, (0, 1))[0].tolist()


def test_verify_finds_a_label_that_is_not_its_share(out: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "shard-00000.h5"
    damaged.write_bytes(shard_path(out, 0).read_bytes())
    with h5py.File(damaged, "r+") as file:
        mixed = int(np.flatnonzero((file["labels"][...] > 0.01).sum(1) == 2)[0])
        file["labels"][mixed] = file["labels"][mixed][::-1]
    assert check_shard(damaged, row_labels=read_plan(out).labels) == [
        f"clip {mixed}: label that does not agree with the weights"
    ]
