"""Ranges of strides: what is drawn, stored and replayed, how fast tests are, and cuts of stored clips at any speed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import write_video
from console import vidaug
from hypothesis import given, settings
from hypothesis import strategies as st
from test_batches import WHOLE, Coded
from test_plan import plan_of
from test_sampling import VIDEO
from train_makers import NETWORK

from vidaug_cli.augment.plan import Plan, read_plan
from vidaug_cli.augment.preview import stored_strips
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import run as augment
from vidaug_cli.data.holdout import HoldOut
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import (
    ClipSpec,
    Stride,
    clean_sample,
    draw_sample,
    frame_numbers,
    mean_stride,
    speed_note,
    thinning,
    views,
)
from vidaug_cli.data.shard.format import shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.clips import Shape
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.scores.file import read_scores
from vidaug_cli.train.batches import MIDDLE, CropDataset, SampleIndex
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.run import ShardFolders
from vidaug_cli.train.slowfast import ARCHITECTURES

# What a range is

ends = st.tuples(st.floats(1, 9), st.floats(1, 9)).map(sorted)


@given(ends=ends, frames=st.integers(2, 20), length=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_a_clip_takes_frames_at_one_rate_out_of_the_range(
    ends: list[float], frames: int, length: int, seed: int
) -> None:
    low, high = ends
    spec, video = ClipSpec(frames=frames, stride=(low, high)), replace(VIDEO, frames=length)
    sample = draw_sample(np.random.default_rng(seed), spec, video)
    assert low <= sample.step <= high
    numbers = frame_numbers(sample, spec, video)
    wanted = [min(length - 1, sample.start + int(place * sample.step + 1e-6)) for place in range(frames)]
    assert numbers.tolist() == wanted
    if length > (frames - 1) * high + 1:  # then it need not repeat any frame, wherever it begins
        assert len(set(wanted)) == frames


def test_every_rate_in_the_range_is_as_likely_and_starts_anywhere() -> None:
    spec, rng = ClipSpec(frames=16, stride=(2, 6)), np.random.default_rng(0)
    samples = [draw_sample(rng, spec, VIDEO) for _ in range(4000)]
    shares, _ = np.histogram([sample.step for sample in samples], 4, (2, 6))
    assert shares / 4000 == pytest.approx([0.25] * 4, abs=0.03)
    room = [(sample.start, 200 - int(15 * sample.step) - 1) for sample in samples]
    assert all(0 <= start <= last for start, last in room)
    assert np.mean([start / last for start, last in room]) == pytest.approx(0.5, abs=0.02)


@given(ends=ends, frames=st.integers(1, 300))
def test_a_short_video_is_slowed_down_from_the_rate_that_was_drawn(ends: list[float], frames: int) -> None:
    spec = ClipSpec(frames=16, stride=(ends[0], ends[1]), short="stretch")
    sample = draw_sample(np.random.default_rng(0), spec, replace(VIDEO, frames=frames))
    drawn = draw_sample(np.random.default_rng(0), spec, replace(VIDEO, frames=10_000)).step
    halvings = np.log2(drawn / sample.step)
    assert halvings == round(halvings) >= 0
    assert int(15 * sample.step + 1e-6) < frames or sample.step <= 1 / 16


@pytest.mark.parametrize("short", ["repeat", "loop", "stretch"])
def test_clean_clips_and_views_have_the_middle(short: Any) -> None:
    ranged, plain = (ClipSpec(frames=16, stride=stride, short=short) for stride in ((2, 6), 4))
    for frames in (3, 40, 200):
        video = replace(VIDEO, frames=frames)
        assert clean_sample(ranged, video) == clean_sample(plain, video)
        assert views(ranged, video, 30) == views(plain, video, 30)
    assert clean_sample(ClipSpec(frames=16, stride=(1, 2)), VIDEO).step == 1.5


@settings(deadline=None)
@given(stride=st.floats(1, 1024))
def test_a_range_of_equal_ends_is_the_plain_stride(stride: float) -> None:
    whole = round(stride)
    cases: list[tuple[Stride, Stride]] = [((stride, stride), stride), ((float(whole), whole), whole)]
    for value, plain in cases:
        spec = ClipSpec(stride=value)
        assert spec == ClipSpec(stride=plain)
        assert plan_of(2, spec=spec).sha256 == plan_of(2, spec=ClipSpec(stride=plain)).sha256
    assert type(ClipSpec(stride=float(whole)).stride) is int


@pytest.mark.parametrize("ends", [(0, 2), (3, 2), (1, 1025), (float("nan"), 2), (1, float("inf"))])
def test_ranges_that_cannot_be_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(VidaugError, match=r"clip: stride = .* should be 1 to 1024, or a range in there"):
        ClipSpec(stride=ends)
    with pytest.raises(VidaugError, match=r"stride = \(2, 3\) should be one number, as fps says how fast clips are"):
        ClipSpec(stride=(2, 3), fps=10)


# Plans

HASHES = {  # as they were when a stride was always one whole number
    ClipSpec(): "56e5ceefff6a5b6e",
    ClipSpec(frames=16, stride=4, size=80, crop=(0.7, 0.95)): "e6c3eab819b2d300",
    ClipSpec(fps=12.5, short="loop"): "f448b7b012cfd1d0",
}


@pytest.mark.parametrize("spec", HASHES)
def test_plans_without_a_range_have_the_hash_they_had(spec: ClipSpec) -> None:
    assert plan_of(spec=spec).sha256[:16] == HASHES[spec]


def test_a_range_is_another_plan() -> None:
    strides: list[Stride] = [4, (4, 5), (3, 5), (3.5, 5)]
    assert len({plan_of(spec=ClipSpec(stride=stride)).sha256 for stride in strides}) == 4


# Stored, replayed, shown

SMALL = ("--frames", 8, "--size", 32, "--flip", 0)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight videos of two classes; frame f is grey 20 + 3 f."""
    folder = tmp_path_factory.mktemp("speed") / "videos"
    for number in range(8):
        write_video(folder / f"{'ab'[number % 2]}/{number}.avi", frames=72, level=lambda frame: 20 + 3 * frame)
    return folder


@pytest.fixture(scope="module")
def ranged(videos: Path) -> Path:
    """Two copies of each and a clean clip, at strides of 2 to 6."""
    out = videos.parent / "ranged"
    words = ("--stride", "2-6", *SMALL, "-r", "fademixup", "--copies", 2, "--keep-original", "-j", 1, "-q")
    assert vidaug("augment", videos, "-o", out, *words).code == 0
    return out


def test_the_drawn_rate_is_stored_and_the_clip_has_it(ranged: Path) -> None:
    assert json.loads((ranged / "plan.json").read_bytes())["clip"]["stride"] == [2, 6]
    assert read_plan(ranged).spec.stride == (2, 6)
    steps = []
    with Shard(shard_path(ranged, 0)) as shard:
        for number in range(len(shard)):
            record = shard.record(number)
            for who, frames in zip(("own", "partner"), record.frames, strict=True):
                if not record.params[who]:
                    continue
                sample = record.params[who]["sample"]
                assert frames.tolist() == [sample["start"] + int(place * sample["step"]) for place in range(8)]
                if record.copy >= 0:
                    steps.append(sample["step"])
                else:
                    assert sample["step"] == 4
    assert len(steps) == 32
    assert 2 <= min(steps) < 3
    assert 5 < max(steps) <= 6


def test_such_clips_are_whole_and_replay_to_equal_bytes(ranged: Path) -> None:
    assert vidaug("verify", ranged, "-j", 1).code == 0
    done = vidaug("replay", ranged, "--count", 6, "--json")
    assert done.code == 0
    assert "differ" not in done.out


def test_a_preview_says_the_rate_of_each_clip_and_shows_it(ranged: Path) -> None:
    with Shard(shard_path(ranged, 0)) as shard:
        step = shard.params(0)["own"]["sample"]["step"]
    (strip,) = stored_strips(ranged, [0])
    assert strip.note == f"fademixup, stride {step:.2f}"
    assert strip.fps == 30 / 4  # of the middle: what was drawn slower looks slower


@pytest.mark.parametrize("word", ["2-", "-3", "2-3-4", "two", "2,6", "2 6", ""])
def test_other_words_are_no_stride(word: str, tmp_path: Path) -> None:
    for command in ("augment", "train"):
        done = vidaug(command, tmp_path, "-o", tmp_path / "out", f"--stride={word}")
        assert (done.code, done.out) == (2, "")
        assert f"{word!r} is neither a number such as 4 nor a range such as 2-6." in " ".join(done.err.split())


def test_a_stride_comes_from_the_environment_too(ranged: Path, videos: Path) -> None:
    """The folder takes no other plan than its own."""
    words = ("augment", videos, "-o", ranged, *SMALL, "-r", "fademixup", "--copies", 2, "--keep-original", "-j", 1)
    assert vidaug(*words, VIDAUG_AUGMENT_STRIDE="2-6").code == 0
    assert vidaug(*words, "--stride", "2.0-6").code == 0
    done = vidaug(*words, VIDAUG_AUGMENT_STRIDE="2-5")
    assert done.code == 1
    assert "differs in stride (2 to 6 there, 2 to 5 now)" in done.err


# Cuts of stored clips

F, PART = 4, Shape(4, 13, 24)
HIGHEST = (WHOLE.t - 1) / (F - 1)


def cut_frames(cuts: CropDataset, index: SampleIndex) -> list[int]:
    """Which frames of the stored clip a cut shows; its weights must be theirs."""
    video, _, weights = cuts[index]
    assert tuple(video.shape[:3]) == PART
    frames = video[:, 0, 0, 0].long()
    assert torch.equal(video[..., 0].long(), frames[:, None, None].expand(PART))
    assert torch.equal(weights, frames / 100)
    return frames.tolist()


def coded(**values: Any) -> CropDataset:
    return CropDataset(Coded(), **{"shape": PART} | values)  # type: ignore[arg-type]


@settings(deadline=None)
@given(ends=st.tuples(st.floats(1, HIGHEST), st.floats(1, HIGHEST)).map(sorted), position=st.integers(0, 10**6))
def test_a_cut_takes_frames_at_one_rate_from_within_the_clip(ends: list[float], position: int) -> None:
    cuts, index = coded(stride=(ends[0], ends[1])), SampleIndex(3, position, 1)
    frames = cut_frames(cuts, index)
    assert 0 <= frames[0] < frames[-1] < WHOLE.t
    # One rate within the range explains them: frame i is the first and floor(i * rate).
    gone = np.array(frames) - frames[0]
    places = np.arange(1, F)
    least, most = (gone[1:] / places).max(), ((gone[1:] + 1) / places).min()
    assert max(least, ends[0]) - 1e-5 <= min(most, ends[1])
    assert frames == cut_frames(cuts, index._replace(clip=2))  # seed, epoch and position alone
    assert frames == cut_frames(coded(stride=(ends[0], ends[1]), flip=0.0, seed=0), index)


def test_cuts_have_every_rate_and_begin_everywhere() -> None:
    cuts = coded(stride=(1, 3))
    found = [cut_frames(cuts, SampleIndex(0, position, 0)) for position in range(600)]
    starts = {tuple(np.diff(frames)): set[int]() for frames in found}
    for frames in found:
        starts[tuple(np.diff(frames))].add(frames[0])
    assert {(1, 1, 1), (1, 2, 1), (1, 2, 2), (2, 2, 2), (2, 3, 2), (2, 3, 3)} <= starts.keys()
    for steps, places in starts.items():
        assert places == set(range(WHOLE.t - sum(steps)))


def test_a_plain_stride_is_every_nth_frame() -> None:
    found = {tuple(cut_frames(coded(stride=3), SampleIndex(0, position, 0))) for position in range(40)}
    assert found == {(0, 3, 6, 9), (1, 4, 7, 10)}
    assert cut_frames(coded(stride=1), SampleIndex(0, 5, 0)) == cut_frames(coded(), SampleIndex(0, 5, 0))


def test_the_middle_has_the_middle_of_the_range() -> None:
    for stride in ((1, 3), 2, (2, 2)):
        assert cut_frames(coded(stride=stride, seed=7), SampleIndex(MIDDLE, 3, 0)) == [2, 4, 6, 8]


@pytest.mark.parametrize(
    ("stored", "taken", "stride", "note"),
    [
        (ClipSpec(frames=64), ClipSpec(frames=16, stride=4), 4, ""),
        (ClipSpec(frames=64, stride=2), ClipSpec(frames=16, stride=(2, 8)), 2.5, ""),
        (ClipSpec(frames=64, stride=(1, 3)), ClipSpec(frames=16, stride=2), 1, ""),
        (ClipSpec(frames=64, fps=30), ClipSpec(frames=16, fps=12), 2.5, ""),
        (ClipSpec(frames=64, fps=30), ClipSpec(frames=16, stride=2), 1, ""),
        (ClipSpec(frames=61), ClipSpec(frames=16, stride=4), 4, ""),
        (ClipSpec(frames=60), ClipSpec(frames=16, stride=4), 1, "0.25 times as fast .* --stride 4$"),
        (ClipSpec(frames=64, stride=4), ClipSpec(frames=16, stride=2), 1, "2 times as fast .* --stride 2$"),
        (ClipSpec(frames=16, fps=30), ClipSpec(frames=16, fps=15), 1, "0.5 times as fast .* --fps 15$"),
    ],
)
def test_stored_clips_are_tested_as_fast_as_the_network_was_trained(
    stored: ClipSpec, taken: ClipSpec, stride: float, note: str
) -> None:
    assert thinning(stored, taken) == pytest.approx(stride)
    said = speed_note(stored, taken)
    assert re.search(note, said) if note else said == ""


# Labels of cuts

MIXES = ("mixup", "fademixup", "cutmix", "framecutmix", "cubecutmix", "cutmixup", "framecutmixup", "cubecutmixup")
LEVELS = {"black": 0, "grey": 128, "white": 255}


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Videos of one grey each, named after it: what is in a mixed clip can be read off its brightness."""
    folder = tmp_path_factory.mktemp("flat")
    rows = []
    for number in range(6):
        label = sorted(LEVELS)[number % 2 * 2]
        path = write_video(folder / f"{number}.avi", frames=24, level=lambda _, label=label: LEVELS[label])
        size: dict[str, Any] = {"frames": 24, "fps": 30, "width": 64, "height": 48, "codec": "mpeg4"}
        rows.append(Row(path=path.name, root=str(folder), label=label, **size))
    return rows


def flat_shards(rows: list[Row], out: Path, recipe: str) -> ShardFolders:
    settings: dict[str, Any] = {"copies": 2, "keep_original": True, "classes": ("black", "grey", "white")}
    plan = Plan(rows=tuple(rows), recipe=load_recipe(recipe), spec=ClipSpec(frames=16, size=16), **settings)
    augment(plan, out, Engine(), workers=1)
    return ShardFolders([out])


@pytest.mark.parametrize("recipe", MIXES)
def test_the_label_of_a_cut_is_what_its_pixels_show(recipe: str, flat: list[Row], tmp_path: Path) -> None:
    shards = flat_shards(flat, tmp_path / "out", recipe)
    stored = [shards.dataset[clip] for clip in range(len(shards.dataset))]
    whole = CropDataset(shards.dataset, Shape(16, 16, 16), pairs=shards.pairs)
    assert len(stored) == 18
    for clip, (_, label, _) in enumerate(stored):
        assert torch.allclose(whole[SampleIndex(0, clip, clip)][1], label, atol=1e-5)
    classes = ("white", "grey", "black")  # in another order than the shards'
    cuts = CropDataset(shards.dataset, Shape(5, 16, 16), stride=(1, 3.75), pairs=shards.pairs, classes=classes)
    moved = 0.0
    for epoch in range(4):
        for clip, (_, label, _) in enumerate(stored):
            video, target, weights = cuts[SampleIndex(epoch, clip, clip)]
            brightness = float(video.double().mean()) / 255
            assert target.tolist() == pytest.approx([brightness, 0, 1 - brightness], abs=0.02)
            assert target.sum() == pytest.approx(1, abs=1e-6)
            moved = max(moved, abs(float(target[0] - label[2])))
            assert weights.shape == (5,)
    assert (moved > 0.05) == (recipe not in ("mixup", "cutmix", "cutmixup"))  # whose weights stay the same over time


def test_labels_that_are_no_means_of_weights_are_refused(flat: list[Row], tmp_path: Path) -> None:
    import h5py

    shards = flat_shards(flat, tmp_path / "out", "fademixup")
    with h5py.File(shard_path(tmp_path / "out", 0), "r+") as file:
        label = file["labels"][3]
        file["labels"][3] = label[[1, 0, 2]]
    with pytest.raises(VidaugError, match="has labels that are not the mean of the frames' weights"):
        _ = ShardFolders([tmp_path / "out"]).pairs
    assert shards.boxed is None


def test_pairs_are_those_of_all_clips(flat: list[Row], tmp_path: Path) -> None:
    shards = flat_shards(flat, tmp_path / "out", "mixup")
    with pytest.raises(ValueError, match="17 pairs for 18 clips"):
        CropDataset(shards.dataset, Shape(5, 16, 16), pairs=shards.pairs[:17])


# Training

TRAIN = ("--network", "tiny", "--epochs", 1, "--batch-size", 4, "--warmup", 0.5, "--amp", "off")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)


@pytest.fixture(scope="module")
def long(videos: Path) -> Path:
    """Clips of 24 frames, mixed, at every second frame of the video."""
    out = videos.parent / "long"
    words = ("--frames", 24, "--stride", 2, "--size", 32, "-r", "framecutmix", "--copies", 1, "-j", 1, "-q")
    assert vidaug("augment", videos, "-o", out, *words).code == 0
    return out


def test_training_draws_how_fast_clips_are_and_tests_at_the_middle(long: Path, videos: Path, tmp_path: Path) -> None:
    words = (*TRAIN, "--frames", 8, "--stride", "1-3")
    done = vidaug("train", long, "-o", tmp_path / "run", *words, "--val", videos, "-q")
    assert (done.code, done.err) == (0, "")
    checkpoint = read_checkpoint(tmp_path / "run" / "best.safetensors")
    assert (checkpoint.clip.frames, checkpoint.clip.stride) == (8, 4)  # every second frame of every second
    assert checkpoint.settings["stride"] == [1, 3]
    assert read_plan(tmp_path / "run" / "validation").spec == replace(checkpoint.clip, crop=(2 / 3, 2 / 3))
    # Clean clips that are twice as slow and long enough are as good to test on as those.
    slow, fast, short = (tmp_path / name for name in ("slow", "fast", "short"))
    for out, frames, stride in ((slow, 15, 2), (fast, 8, 4), (short, 8, 2)):
        clean = ("--frames", frames, "--stride", stride, "--size", 32, "--crop", 2 / 3, 2 / 3, "-r", "none")
        made = vidaug("augment", videos, "-o", out, *clean, "--copies", 0, "--keep-original", "-j", 1, "-q")
        assert made.code == 0
    scores = {}
    for source in (videos, fast, slow, short):
        middle = ["--views", 1] if source is videos else []
        done = vidaug("predict", tmp_path / "run", source, "-o", tmp_path / "s.h5", *middle)
        assert done.code == 0
        assert (f"{source}: these clips play 0.5 times as fast as those" in done.err) == (source is short)
        scores[source] = read_scores(tmp_path / "s.h5").scores
    assert all(np.allclose(scores[source], scores[videos], atol=1e-5) for source in (fast, slow))
    assert not np.allclose(scores[short], scores[videos], atol=1e-5)


def test_another_stride_is_another_run(long: Path, tmp_path: Path) -> None:
    words = (*TRAIN, "--frames", 8, "-q")
    weights = {}
    for stride in ("1-3", "1-2", "3"):
        assert vidaug("train", long, "-o", tmp_path / stride, *words, "--stride", stride).code == 0
        weights[stride] = read_checkpoint(tmp_path / stride / "last.safetensors").weights["head.weight"]
    assert len({tuple(weight.ravel().tolist()) for weight in weights.values()}) == 3
    again = vidaug("train", long, "-o", tmp_path / "1-3", *words, "--stride", "1.0-3")
    assert again.code == 0
    done = vidaug("train", long, "-o", tmp_path / "1-3", *words, "--stride", "1-2")
    assert "holds another run, which differs in stride" in done.err


def test_clips_too_short_for_the_fastest_are_refused(long: Path, tmp_path: Path) -> None:
    for words, said in (
        (
            ("--frames", 8, "--stride", "1-3.5"),
            "clips have 24 frames, and 8 at a stride of 3.5 take 25; make longer ones",
        ),
        (
            ("--stride", "2"),
            "clips have 24 frames, and 24 at a stride of 2 take 47; make longer ones, or lower --frames",
        ),
        (("--frames", 8, "--stride", "3-2"), "training: stride = (3, 2) should be 1 to 1024, or a range in there"),
    ):
        done = vidaug("train", long, "-o", tmp_path / "run", *TRAIN, *words)
        assert done.code == 1
        (line,) = done.err.splitlines()
        assert said in line


def test_validation_clips_too_short_for_the_middle_are_refused(long: Path, videos: Path, tmp_path: Path) -> None:
    clean = ("--frames", 14, "--stride", 2, "--size", 32, "-r", "none", "--copies", 0, "--keep-original", "-j", 1)
    assert vidaug("augment", videos, "-o", tmp_path / "val", *clean, "-q").code == 0
    words = (*TRAIN, "--frames", 8, "--stride", "1-3", "--val", tmp_path / "val")
    done = vidaug("train", long, "-o", tmp_path / "run", *words)
    assert f"{tmp_path / 'val'}: clips have 14 frames, and 8 at a stride of 2 take 15; make clean clips" in done.err


def test_mean_stride_is_the_mean_of_what_is_drawn() -> None:
    assert [mean_stride(stride) for stride in (4, 1.5, (2, 6), (1, 2))] == [4, 1.5, 4, 1.5]


def test_pairs_follow_the_clips_that_are_not_held_out(long: Path) -> None:
    shards = ShardFolders([long], HoldOut(share=0.3))
    assert len(shards.pairs) == len(shards.dataset) < len(ShardFolders([long]).dataset)
    assert len(shards.dataset.column("sources")) == len(shards.dataset)
    whole = CropDataset(shards.dataset, Shape(24, 32, 32), pairs=shards.pairs)
    for clip in range(len(shards.dataset)):
        _, label, _ = shards.dataset[clip]
        assert torch.allclose(whole[SampleIndex(0, 0, clip)][1], label, atol=1e-5)


def test_a_run_is_resumed_with_its_range(long: Path, tmp_path: Path) -> None:
    words = (*TRAIN, "--frames", 8, "--stride", "1-3", "-q", "--hold-out", 0.3)
    assert vidaug("train", long, "-o", tmp_path / "run", *words).code == 0
    done = vidaug("train", "--resume", tmp_path / "run", "--epochs", 2, "-q")
    assert (done.code, done.err) == (0, "")
    assert read_checkpoint(tmp_path / "run" / "last.safetensors").epoch == 2
    assert "stride        [1, 3]" in vidaug("inspect", tmp_path / "run").out
