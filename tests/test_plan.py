"""The plan: groups, partners, shards, and what it refuses."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.augment.output import check_place
from vidaug_cli.augment.plan import DRAWS, ORIGINAL, Plan, Ring, read_header, read_plan, write_plan
from vidaug_cli.augment.render import draw_cut, draw_mixture
from vidaug_cli.augment.rounds import GROUP
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.manifest import Row, read_rows, row_hash, rows_text, select
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.recipe.loading import load_recipe


def rows_of(count: int, classes: int = 3) -> tuple[Row, ...]:
    size: dict[str, Any] = {"width": 64, "height": 48, "frames": 70, "fps": 30.0}
    names = [(f"c{i % classes}", "train" if i % 4 else "test") for i in range(count)]
    return tuple(
        Row(path=f"{label}/{i}.mp4", root="/data", label=label, codec="mpeg4", split=split, **size)
        for i, (label, split) in enumerate(names)
    )


def plan_of(count: int = 40, **settings: Any) -> Plan:
    base = {"rows": rows_of(count), "recipe": load_recipe("fademixup"), "spec": ClipSpec()}
    return Plan(**dict[str, Any](base | settings))


def slots(plan: Plan) -> list[tuple[int, int, int]]:
    return [(*slot,) for shard in range(plan.shard_count) for slot in plan.slots(shard)]


def rings(plan: Plan) -> list[Ring]:
    return [ring for shard in range(plan.shard_count) for group in plan.groups(shard) for ring in group]


ANY: dict[str, Any] = {
    "videos": st.integers(2, 200),
    "copies": st.integers(1, 9),
    "copies_per_round": st.integers(1, 16),
    "keep_original": st.booleans(),
    "clips_per_shard": st.sampled_from([16, 32, 64, 96]),
    "seed": st.integers(0, 2**32 - 1),
}


@given(**ANY)
def test_every_video_once_in_every_copy(videos: int, **settings: Any) -> None:
    plan = plan_of(videos, **settings)
    made = slots(plan)
    assert [clip for clip, _, _ in made] == list(range(plan.clips))
    for copy in [*range(plan.copies), *([ORIGINAL] if plan.keep_original else [])]:
        assert sorted(row for _, which, row in made if which == copy) == list(range(videos))


@given(**ANY)
def test_shards_hold_whole_groups_of_one_round(videos: int, **settings: Any) -> None:
    """Groups are even, and of the same videos in each of its copies; where one fills a shard, the shard is as full."""
    plan = plan_of(videos, **settings)
    together = max(1, min(plan.copies_per_round, plan.clips_per_shard // GROUP, plan.copies))
    starts = [*range(0, plan.copies, together)]
    rounds = [[*range(start, min(start + together, plan.copies))] for start in starts]
    rounds += [[ORIGINAL]] if plan.keep_original else []
    found: list[list[int]] = []
    for shard in range(plan.shard_count):
        groups = plan.groups(shard)
        assert plan.rounds.clips(shard) == len(plan.slots(shard)) <= plan.clips_per_shard
        for group in groups:
            (copies,) = {tuple(ring[0].copy for ring in group)}
            assert all(slot.copy == copy for ring, copy in zip(group, copies, strict=True) for slot in ring)
            assert len({frozenset(slot.row for slot in ring) for ring in group}) == 1
            assert videos // -(-videos // GROUP) <= len(group[0]) <= GROUP
            assert all(len({slot.row for slot in ring}) == len(ring) > 1 for ring in group)  # no clip meets itself
            found += [list(copies)] if list(copies) not in found else []
        assert len({group[0][0].copy for group in groups}) == 1
    assert found == rounds
    with pytest.raises(IndexError):
        plan.groups(plan.shard_count)


def test_shards_are_filled() -> None:
    def groups(**settings: Any) -> list[int]:
        plan = plan_of(160, **settings)  # ten groups
        return [len(plan.groups(shard)) for shard in range(plan.shard_count)]

    assert groups() == [4, 4, 2]
    assert groups(copies=2) == [2, 2, 2, 2, 2]
    assert groups(copies=4) == [1] * 10
    assert groups(copies=4, clips_per_shard=32) == [1] * 20  # of two copies
    assert groups(copies=5, keep_original=True, clips_per_shard=128) == [2] * 5 + [8, 2] + [8, 2]


@pytest.mark.parametrize("videos", [5, 17, 33, 40])
def test_partners_are_uniform_over_the_data_set(videos: int) -> None:
    """Over many seeds every other video is the partner of a video equally often, in each copy of a round."""
    tries = 60 * videos
    counts = np.zeros((2, videos, videos), int)
    for seed in range(tries):
        for ring in rings(plan_of(videos, seed=seed, copies=3, copies_per_round=2)):
            if (copy := ring[0].copy) > 0:  # the second of the first round, and the first of the second
                own = [slot.row for slot in ring]
                counts[copy - 1, own, np.roll(own, -1)] += 1
    assert (counts.sum(1) == tries).all()  # own video once and partner once, in each copy
    assert (counts.sum(2) == tries).all()
    mean, others = tries / (videos - 1), ~np.eye(videos, dtype=bool)
    assert (counts[:, ~others] == 0).all()
    surprise = [((row[others[video]] - mean) ** 2 / mean).sum() for copy in counts for video, row in enumerate(copy)]
    freedom = videos - 2
    assert max(surprise) < freedom + 4.5 * np.sqrt(2 * freedom) + 14  # a chi-square is above it once in 300,000
    assert np.mean(surprise) == pytest.approx(freedom, abs=5 * np.sqrt(freedom / videos))  # five standard deviations


def test_copies_of_a_group_have_rings_of_their_own() -> None:
    for group in plan_of(160, copies=4, clips_per_shard=640).groups(0):
        partners = [dict(zip(own, np.roll(own, -1), strict=True)) for own in ([s.row for s in ring] for ring in group)]
        for one, other in itertools.combinations(partners, 2):
            assert sum(one[row] == other[row] for row in one) <= 6  # one of 16 by chance


def test_rounds_are_the_same_however_many_copies_come_after_them() -> None:
    few, many = slots(plan_of(copies=4)), slots(plan_of(copies=8))
    assert many[: len(few)] == few
    with_originals = slots(plan_of(copies=4, keep_original=True))
    assert with_originals[: len(few)] == few
    assert [row for _, copy, row in with_originals[len(few) :] if copy == ORIGINAL] == list(range(40))


def test_another_seed_or_copy_is_another_order() -> None:
    for together in (1, 2):
        plans = [plan_of(copies=2, copies_per_round=together, seed=seed) for seed in (0, 1)]
        orders = {tuple(row for _, copy, row in slots(plan) if copy == which) for plan in plans for which in (0, 1)}
        assert len(orders) == 4


def test_a_plan_of_many_clips_is_never_listed() -> None:
    """A million videos in 250,000 shards: no matter which one is asked for, at once and in little memory."""
    rounds = plan_of(copies=10, keep_original=True).rounds_of(1_000_000)
    started = time.process_time()
    for shard in (0, 62_499, 62_500, 156_249, 156_250, rounds.shard_count - 1):
        assert 0 < rounds.clips(shard) <= 64
    assert sum(map(rounds.clips, range(rounds.shard_count))) == 11_000_000
    assert time.process_time() - started < 5


def test_the_hash_knows_everything_but_where_the_videos_lie() -> None:
    plan = plan_of()
    moved = replace(plan, rows=tuple(replace(row, root="/elsewhere") for row in plan.rows))
    assert moved.sha256 == plan.sha256
    changes = {
        "seed": 1, "copies": 2, "copies_per_round": 2, "keep_original": True, "codec": "jpeg", "quality": 90,
        "clips_per_shard": 32,
        "recipe": load_recipe("cutmix"), "spec": ClipSpec(flip=0.4), "rows": rows_of(41), "draws": DRAWS + 1,
    }  # fmt: skip
    for name, value in changes.items():
        other = replace(plan, **dict[str, Any]({name: value}))
        assert other.sha256 != plan.sha256, name
        assert len(other.header.differences(plan.header)) == 1, name


def test_a_written_plan_is_read_back(tmp_path: Path) -> None:
    plan = plan_of(copies=3, keep_original=True, spec=ClipSpec(fps=12.5, short="loop"), codec="jpeg")
    write_plan(plan, tmp_path)
    again = read_plan(tmp_path)
    assert replace(again, rows=tuple(again.rows)) == plan
    assert read_header(tmp_path).plan_sha256 == plan.sha256


def test_a_changed_manifest_or_plan_is_noticed(tmp_path: Path) -> None:
    write_plan(plan_of(), tmp_path)
    manifest = tmp_path / "manifest.jsonl"
    whole = manifest.read_text()
    manifest.write_text(whole.replace('"frames": 70', '"frames": 69', 1))
    with pytest.raises(ShardError, match=r"was changed since it was made \(manifest.jsonl\)"):
        read_plan(tmp_path)
    manifest.write_text(whole)
    header = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps(header | {"version": 2}))
    with pytest.raises(ShardError, match="is version 2, and this vidaug reads 1"):
        read_plan(tmp_path)
    (tmp_path / "plan.json").write_text("[]")
    with pytest.raises(ShardError, match="is not a plan of vidaug"):
        read_plan(tmp_path)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(ShardError, match=r"holds no plan\.json"):
        read_plan(tmp_path)


def test_every_fault_of_a_plan_is_said_with_its_place(tmp_path: Path) -> None:
    write_plan(plan_of(), tmp_path)
    header = json.loads((tmp_path / "plan.json").read_text())
    wrong = {"seed": "x", "clip": header["clip"] | {"crop": [1]}, "classes": [3], "newer": 1}
    (tmp_path / "plan.json").write_text(json.dumps(header | wrong))
    with pytest.raises(ShardError) as error:
        read_plan(tmp_path)
    what, _, hint = str(error.value).removeprefix(f"{tmp_path / 'plan.json'}: ").rpartition("; ")
    assert {fault.partition(":")[0].partition(".0")[0] for fault in what.splitlines()} == {
        "seed",
        "clip.crop",
        "classes",
    }
    assert hint == "make the shards again, in another folder"


@pytest.mark.parametrize("videos", [1, 15, 16, 17, 31, 32, 63, 64, 200])
@pytest.mark.parametrize("settings", [{}, {"copies": 3, "clips_per_shard": 32}, {"keep_original": True, "copies": 9}])
def test_the_number_of_shards_follows_from_the_number_of_videos(videos: int, settings: dict[str, int]) -> None:
    plan = plan_of(rows=rows_of(videos), recipe=load_recipe("none"), **settings)
    assert plan.header.rounds_of(videos).shard_count == plan.shard_count
    assert all(map(plan.groups, range(plan.shard_count)))  # none is empty, and no clip is lost
    assert len(slots(plan)) == plan.clips


def test_a_release_that_draws_the_same_goes_on_with_another_ones_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of()
    write_plan(plan, tmp_path)
    monkeypatch.setattr("vidaug_cli.augment.plan.version", lambda name: "9.9.9")
    later = plan_of()
    assert later.sha256 == plan.sha256
    assert check_place(later, tmp_path, overwrite=False) == []
    write_plan(later, tmp_path)
    assert read_header(tmp_path).tool_version != "9.9.9"  # who wrote it first
    assert read_plan(tmp_path).sha256 == later.sha256


def drawn(value: object) -> object:
    """Floats to six digits: a machine's logarithm may differ in the last place."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return {key: drawn(entry) for key, entry in value.items()}
    return [drawn(entry) for entry in value] if isinstance(value, list | tuple) else value


def test_draws_are_those_of_their_format() -> None:
    """A fuse, not a truth: where a change makes other draws, DRAWS goes up by one, and the hash here follows."""
    clips = []
    for recipe in ("vipriors2020", "cutout", "randaugment_mix"):
        plan = plan_of(copies=2, keep_original=True, recipe=load_recipe(recipe), seed=3)
        for slot in (slot for shard in range(plan.shard_count) for slot in plan.slots(shard)):
            cut, mixture = draw_cut(plan, slot), draw_mixture(plan, slot)
            crop, mixed = vars(cut.sample.crop), mixture and [mixture.op, asdict(mixture.blend)]
            clips.append([slot, cut.frames.tolist(), crop, cut.sample.flip, cut.augment, mixed])
    text = json.dumps(drawn(clips), sort_keys=True)
    assert (DRAWS, hashlib.sha256(text.encode()).hexdigest()[:16]) == (2, "3e73bec88f64b5bb")


def test_a_release_that_draws_otherwise_says_which_one_wrote_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plan(plan_of(draws=DRAWS + 1), tmp_path)
    written = read_header(tmp_path).tool_version
    monkeypatch.setattr("vidaug_cli.augment.plan.version", lambda name: "9.9.9")
    said = (
        f"{tmp_path}: was drawn by vidaug-cli {written} in format {DRAWS + 1}, "
        f"and vidaug-cli 9.9.9 draws in format {DRAWS}; "
    )
    with pytest.raises(ShardError) as error:
        check_place(plan_of(), tmp_path, overwrite=False)
    assert str(error.value) == f"{said}go on with that release, choose another folder, or --overwrite"
    assert check_place(plan_of(), tmp_path, overwrite=True) == ["draws"]
    with pytest.raises(ShardError) as error:
        verify(tmp_path, workers=1)
    assert str(error.value) == f"{said}verify it with that release"
    assert read_plan(tmp_path).classes == plan_of().classes  # what is drawn already can be read and replayed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"copies": 0}, "copies = 0 should be at least 1"),
        ({"copies": 100_001}, "copies = 100001 should be at most 100000"),
        ({"seed": 2**32}, "seed = 4294967296 should be 0 to 4294967295"),
        ({"clips_per_shard": 40}, "clips_per_shard = 40 should be a multiple of 16"),
        ({"copies_per_round": 0}, "copies_per_round = 0 should be 1 to 16"),
        ({"quality": 0}, "quality = 0 should be 1 to 100"),
        ({"rows": rows_of(1)}, "mixes two videos and there is only one"),
        (
            {"rows": (replace(rows_of(1)[0], label=None), *rows_of(3))},
            "no label is known of 1 of 4 videos, such as c0/0",
        ),
    ],
)
def test_plans_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(VidaugError, match=message):
        plan_of(**settings)


def test_only_originals_is_a_plan() -> None:
    assert plan_of(copies=0, keep_original=True).clips == 40


def test_subset_and_limit() -> None:
    rows = rows_of(40)
    train = select(rows, subset="train", limit=None, seed=0)
    assert {row.split for row in train} == {"train"}
    few = select(rows, subset=None, limit=10, seed=0)
    assert len(few) == 10
    assert few == sorted(few, key=rows.index)
    assert few != select(rows, subset=None, limit=10, seed=1)
    with pytest.raises(VidaugError, match="no video has split 'valid'; there is test, train"):
        select(rows, subset="valid", limit=None, seed=0)


def test_classes_keep_the_numbers_of_the_data_set() -> None:
    named = [("b", 1), ("a", 2), ("c", None)]
    rows = tuple(replace(rows_of(1)[0], label=label, class_id=number, path=label) for label, number in named)
    assert plan_of(rows=rows).classes == ("c", "b", "a")
    assert plan_of(rows=rows).labels.tolist() == [1, 2, 0]


GOOD = {
    "path": "a/b.mp4",
    "root": "/data",
    "label": "a",
    "frames": 9,
    "fps": 30,
    "width": 8,
    "height": 8,
    "codec": "h264",
}


def test_rows_are_read_back_and_hash_alike() -> None:
    rows = list(rows_of(5))
    again = read_rows(rows_text(rows).splitlines(), "memory")
    assert again == rows
    assert [*map(row_hash, again)] == [*map(row_hash, rows)]


def test_unknown_keys_of_newer_manifests_are_passed_over() -> None:
    assert read_rows([json.dumps(GOOD | {"mood": "blue"})], "memory")[0].path == "a/b.mp4"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("v.avi 3", "list:1: is not JSON; a manifest is what 'vidaug scan' writes: one JSON object a line"),
        ("[1]", "list:1: is not a JSON object"),
        (
            json.dumps({key: value for key, value in GOOD.items() if key != "frames"}),
            "list:1: frames: is missing; a manifest is what",
        ),
        (json.dumps(GOOD | {"frames": "9"}), "list:1: frames: '9' should be a whole number"),
        (json.dumps(GOOD | {"frames": True}), "list:1: frames: True should be a whole number"),
        (json.dumps(GOOD | {"width": 0}), "list:1: width = 0 should be 1 to 2147483647"),
        (
            json.dumps({"path": "", "root": 3, "label": None, "frames": 1.5, "fps": -1, "height": 9, "codec": "x"}),
            "list:1: root: 3 should be a string\nframes: 1.5 should be a whole number\nwidth: is missing; a",
        ),
        (
            json.dumps(GOOD | {"path": "", "fps": -1, "height": 2**31}),
            "list:1: path = '' should be the name of a file\nheight = 2147483648 should be 1 to 2147483647\nfps = -1",
        ),
        ("", "list: holds no video"),
    ],
)
def test_lines_that_are_no_rows(line: str, message: str) -> None:
    with pytest.raises(VidaugError) as error:
        read_rows([line], "list")
    assert str(error.value).startswith(message)
