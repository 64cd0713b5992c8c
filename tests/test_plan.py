"""The plan: groups, partners, shards, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.augment.output import check_place
from vidaug_cli.augment.plan import DRAWS, GROUP, ORIGINAL, Plan, read_header, read_plan, write_plan
from vidaug_cli.augment.render import draw_cut, draw_mixture
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.manifest import Row, hash_rows, read_rows, rows_text, select
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
    return [(*slot,) for shard in plan.shards for group in shard for slot in group]


@given(videos=st.integers(2, 200), copies=st.integers(1, 3), original=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_every_video_once_in_every_copy(videos: int, copies: int, original: bool, seed: int) -> None:
    plan = plan_of(videos, copies=copies, keep_original=original, seed=seed)
    made = slots(plan)
    assert [clip for clip, _, _ in made] == list(range(plan.clips))
    for copy in [*range(copies), *([ORIGINAL] if original else [])]:
        assert sorted(row for _, which, row in made if which == copy) == list(range(videos))


@given(videos=st.integers(1, 400))
def test_groups_are_whole_and_a_short_last_one_joins_the_one_before(videos: int) -> None:
    plan = plan_of(videos, recipe=load_recipe("none"))
    groups = [group for shard in plan.shards for group in shard]
    sizes = [len(group) for group in groups]
    assert sum(sizes) == videos
    assert all(size == GROUP for size in sizes[:-1])
    assert sizes[-1] == videos if videos < GROUP else GROUP <= sizes[-1] < 2 * GROUP
    assert all(len({slot.row for slot in group}) == len(group) for group in groups)  # no clip meets itself


def test_shards_hold_whole_groups() -> None:
    assert [len(shard) for shard in plan_of(320, clips_per_shard=96).shards] == [3, 3, 3, 1]


def test_partners_are_uniform_over_the_data_set() -> None:
    """Over many seeds every other video is the partner of video 0 about equally often."""
    counts = dict.fromkeys(range(1, 40), 0)
    for seed in range(2000):
        (group,) = plan_of(40, seed=seed).shards[0]
        place = next(index for index, slot in enumerate(group) if slot.row == 0)
        counts[group[(place + 1) % len(group)].row] += 1
    mean = 2000 / 39
    assert sum((count - mean) ** 2 / mean for count in counts.values()) < 75  # chi-square with 38 degrees, p > 0.0003


def test_originals_move_no_other_clip() -> None:
    assert slots(plan_of(copies=2, keep_original=True))[:80] == slots(plan_of(copies=2))


def test_another_seed_or_copy_is_another_order() -> None:
    orders = {tuple(row for _, copy, row in slots(plan_of(copies=2, seed=seed)) if copy == which)
              for seed in (0, 1) for which in (0, 1)}  # fmt: skip
    assert len(orders) == 4


def test_the_hash_knows_everything_but_where_the_videos_lie() -> None:
    plan = plan_of()
    moved = replace(plan, rows=tuple(replace(row, root="/elsewhere") for row in plan.rows))
    assert moved.sha256 == plan.sha256
    changes = {
        "seed": 1, "copies": 2, "keep_original": True, "codec": "jpeg", "quality": 90, "clips_per_shard": 32,
        "recipe": load_recipe("cutmix"), "spec": ClipSpec(flip=0.4), "rows": rows_of(41), "draws": 2,
    }  # fmt: skip
    for name, value in changes.items():
        other = replace(plan, **dict[str, Any]({name: value}))
        assert other.sha256 != plan.sha256, name
        assert len(other.header.differences(plan.header)) == 1, name


def test_a_written_plan_is_read_back(tmp_path: Path) -> None:
    plan = plan_of(copies=3, keep_original=True, spec=ClipSpec(fps=12.5, short="loop"), codec="jpeg")
    write_plan(plan, tmp_path)
    assert read_plan(tmp_path) == plan
    assert read_header(tmp_path).plan_sha256 == plan.sha256


def test_a_changed_manifest_or_plan_is_noticed(tmp_path: Path) -> None:
    write_plan(plan_of(), tmp_path)
    manifest = tmp_path / "manifest.jsonl"
    whole = manifest.read_text()
    manifest.write_text(whole.replace('"frames": 70', '"frames": 69', 1))
    with pytest.raises(ShardError, match=r"was changed since it was made \(manifest_sha256\)"):
        read_plan(tmp_path)
    manifest.write_text(whole)
    header = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps(header | {"version": 2}))
    with pytest.raises(ShardError, match="has version 2, this tool reads 1"):
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


@pytest.mark.parametrize("videos", [1, 31, 32, 63, 64, 200])
@pytest.mark.parametrize("settings", [{}, {"copies": 3, "clips_per_shard": 32}, {"keep_original": True, "copies": 4}])
def test_the_number_of_shards_follows_from_the_number_of_videos(videos: int, settings: dict[str, int]) -> None:
    plan = plan_of(rows=rows_of(videos), recipe=load_recipe("none"), **settings)
    assert plan.header.shard_count(videos) == len(plan.shards)
    assert all(plan.shards)  # none is empty, and no clip is lost
    assert sum(len(group) for shard in plan.shards for group in shard) == plan.clips


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
    assert read_plan(tmp_path) == later


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
        for slot in (slot for shard in plan.shards for group in shard for slot in group):
            cut, mixture = draw_cut(plan, slot), draw_mixture(plan, slot)
            crop, mixed = vars(cut.sample.crop), mixture and [mixture.op, asdict(mixture.blend)]
            clips.append([slot, cut.frames.tolist(), crop, cut.sample.flip, cut.augment, mixed])
    text = json.dumps(drawn(clips), sort_keys=True)
    assert (DRAWS, hashlib.sha256(text.encode()).hexdigest()[:16]) == (1, "6d6dce11cb6d79eb")


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
        ({"seed": 2**32}, "seed = 4294967296 should be 0 to 4294967295"),
        ({"clips_per_shard": 40}, "clips_per_shard = 40 should be a multiple of 32"),
        ({"quality": 0}, "quality = 0 should be 1 to 100"),
        ({"rows": rows_of(1)}, "mixes two videos and there is only one"),
        ({"rows": (replace(rows_of(1)[0], label=None), *rows_of(3))}, "1 of 4 videos have no label, such as c0/0.mp4"),
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
    assert plan_of(rows=rows).labels == (1, 2, 0)


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
    assert hash_rows(again) == hash_rows(rows)


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
