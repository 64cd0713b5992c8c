"""Unequal classes: `--balance`, `--per-class` and `--copies CLASS=N`."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_video
from console import vidaug
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.augment.output import check_place
from vidaug_cli.augment.plan import ORIGINAL, Plan, read_header, read_plan, write_plan
from vidaug_cli.augment.rounds import GROUP
from vidaug_cli.augment.shares import Shares
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.recipe.loading import load_recipe

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)  # videos of each class


def rows_of(sizes: list[int]) -> tuple[Row, ...]:
    size: dict[str, Any] = {"width": 64, "height": 48, "frames": 70, "fps": 30.0, "codec": "mpeg4"}
    names = [(f"c{label}", number) for label, videos in enumerate(sizes) for number in range(videos)]
    return tuple(Row(path=f"{label}/{number}.mp4", root="/data", label=label, **size) for label, number in names)


def plan_of(sizes: list[int], **settings: Any) -> Plan:
    base = {"rows": rows_of(sizes), "recipe": load_recipe("none"), "spec": ClipSpec(), "copies_per_round": 1}
    return Plan(**dict[str, Any](base | settings))


def copies_of_rows(plan: Plan) -> dict[int, list[int]]:
    """Return the copies of each row, and check that clips are counted through and shards are as large as they say."""
    made: dict[int, list[int]] = {row: [] for row in range(len(plan.rows))}
    clips = []
    for shard in range(plan.shard_count):
        slots = plan.slots(shard)
        assert 0 < len(slots) == plan.rounds.clips(shard) <= plan.clips_per_shard
        clips += [slot.clip for slot in slots]
        for slot in slots:
            made[slot.row].append(slot.copy)
    assert clips == list(range(plan.clips))
    return made


@given(sizes=SIZES, clips=st.integers(1, 90), original=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_each_class_has_just_so_many_clips(sizes: list[int], clips: int, original: bool, seed: int) -> None:
    """Of N clips of s videos, N mod s videos have N div s + 1, and the others N div s, with copies from 0 on."""
    plan = plan_of(sizes, per_class=clips, keep_original=original, seed=seed)
    made = copies_of_rows(plan)
    assert plan.clips == len(sizes) * clips + original * sum(sizes)
    assert plan.clips_by_class == {f"c{label}": clips + original * videos for label, videos in enumerate(sizes)}
    for label, videos in enumerate(sizes):
        own = [sorted(copies) for row, copies in made.items() if plan.labels[row] == label]
        assert all(copies == list(range(ORIGINAL if original else 0, max(copies, default=-1) + 1)) for copies in own)
        counts = Counter(len(copies) - original for copies in own)
        least, more = divmod(clips, videos)
        assert counts == Counter({least: videos - more, least + 1: more}) - Counter()


@given(sizes=SIZES, each=st.lists(st.integers(0, 9), min_size=6, max_size=6), seed=st.integers(0, 99))
def test_each_video_of_a_class_has_its_copies(sizes: list[int], each: list[int], seed: int) -> None:
    named = {f"c{label}": number for label, number in enumerate(each[: len(sizes)]) if label != 1}
    plan = plan_of(sizes, copies=3, copies_of=named, seed=seed)
    made = copies_of_rows(plan)
    for row, copies in made.items():
        assert sorted(copies) == list(range(named.get(f"c{plan.labels[row]}", 3)))


@given(sizes=SIZES, clips=st.integers(1, 90), seed=st.integers(0, 2**32 - 1))
def test_every_round_has_each_class_in_proportion(sizes: list[int], clips: int, seed: int) -> None:
    """So partners come from all classes in every round, and no video is beside itself."""
    plan = plan_of(sizes, per_class=clips, seed=seed)
    rounds = max(-(-clips // videos) for videos in sizes)
    shares = plan.shares
    assert shares
    assert (shares.rounds, len(shares.sizes)) == (rounds, rounds)
    for number in range(rounds):
        rows, _ = shares.members(number)
        assert len(set(rows.tolist())) == len(rows) == shares.sizes[number]
        found = np.bincount(plan.labels[rows], minlength=len(sizes))
        assert (abs(found - clips / rounds) < 1).all()
    for shard in range(plan.shard_count):
        for group in plan.groups(shard):
            assert len(group) == 1
            assert len({slot.row for slot in group[0]}) == len(group[0]) <= GROUP


@given(small=st.integers(0, 60), many=st.integers(1, 50))
def test_classes_of_one_clip_are_spread_over_the_rounds(small: int, many: int) -> None:
    """Where each were rounded by itself, all of them would be in the last round."""
    shares = Shares(seed=0, labels=np.arange(small + 1, dtype=np.int32), clips=np.array([*[1] * small, many]))
    assert (len(shares.sizes), sum(shares.sizes)) == (many, small + many)
    assert max(shares.sizes) - min(shares.sizes) <= 1


def test_which_videos_get_one_more_follows_from_the_seed() -> None:
    def more(seed: int) -> list[int]:
        return [
            row for row, copies in copies_of_rows(plan_of([10], per_class=15, seed=seed)).items() if len(copies) == 2
        ]

    assert more(0) == more(0)
    times = Counter(itertools.chain.from_iterable(map(more, range(400))))
    assert all(150 < times[row] < 250 for row in range(10))  # 200 of 400, five standard deviations of 10


def test_partners_come_from_the_classes_as_often_as_these_have_clips() -> None:
    """One class of 60 videos and one of 6: with equal classes half of all partners are of each, in all rounds."""
    pairs: Counter[tuple[int, int]] = Counter()
    for seed in range(40):
        plan = plan_of([60, 6], per_class=60, recipe=load_recipe("fademixup"), seed=seed)
        for shard in range(plan.shard_count):
            for (ring,) in plan.groups(shard):
                labels = [int(plan.labels[slot.row]) for slot in ring]
                pairs.update(zip(labels, np.roll(labels, -1).tolist(), strict=True))
    # In a round of 6 and 6, the partner is one of 11 others: 6 of the other class.
    assert pairs[0, 1] == pairs[1, 0] == pytest.approx(40 * 60 * 6 / 11, rel=0.08)


def test_equal_copies_are_no_other_plan() -> None:
    """plan.json of a plan without unequal classes has no key for them."""
    header = plan_of([4, 4], copies=2, copies_per_round=4).header
    assert {"copies_of", "per_class"}.isdisjoint(header.as_json())
    assert {"per_class": 8}.items() <= plan_of([4, 4], per_class=8).header.as_json().items()


def test_the_hash_knows_the_shares() -> None:
    plans = [plan_of([4, 8]), plan_of([4, 8], per_class=8), plan_of([4, 8], per_class=9)]
    plans += [plan_of([4, 8], copies_of={"c0": number}) for number in (2, 3)]
    assert len({plan.sha256 for plan in plans}) == len(plans)
    assert plans[1].header.differences(plans[2].header) == ["per_class"]


def test_a_written_plan_is_read_back_and_knows_its_shards(tmp_path: Path) -> None:
    unequal: list[dict[str, Any]] = [{"per_class": 70}, {"copies_of": {"c0": 9, "c1": 0}, "copies": 2}]
    for number, settings in enumerate(unequal):
        plan, out = plan_of([20, 7, 1], keep_original=True, **settings), tmp_path / str(number)
        write_plan(plan, out)
        again = read_plan(out)
        assert [again.slots(shard) for shard in range(plan.shard_count)] == [*map(plan.slots, range(plan.shard_count))]
        header = read_header(out)
        assert header.rounds_of(28, header.shares_of(plan.labels, header.classes)).shard_count == plan.shard_count
        assert check_place(plan, out, overwrite=False) == []
        with pytest.raises(ShardError, match="another plan, which differs in"):
            check_place(plan_of([20, 7, 1], keep_original=True), out, overwrite=False)


def test_a_shard_of_many_clips_is_known_at_once() -> None:
    """700 classes, 200,000 videos, two million clips: the first shard asked for takes what an order of them takes."""
    labels = (np.random.default_rng(0).zipf(1.5, 200_000) % 700).astype(np.int32)
    shares = Shares(seed=0, labels=labels, clips=np.full(700, 3000))
    started = time.process_time()
    assert sum(shares.sizes) == 2_100_000
    assert len(shares.members(shares.rounds - 1)[0]) == shares.sizes[-1]
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"copies_of": {"c7": 2}}, "there is no class 'c7' to make 2 copies of; did you mean 'c"),
        ({"copies_of": {"c0": -1}}, "copies_of = {'c0': -1} should be 0 to 100000"),
        ({"copies": 0, "copies_of": {"c0": 0}}, "copies = 0 should be at least 1"),
        ({"per_class": 4, "copies_per_round": 2}, "copies_per_round = 2 should be 1, as classes get different numbers"),
        ({"per_class": 4, "copies_of": {"c0": 1}}, "per_class = 4 should be 0 or more, and 0 beside copies_of"),
        ({"per_class": 100_001}, "100001 clips of class 'c1' are 100001 copies of each of its 1 video"),
        (
            {"copies_of": {"c1": 60}, "recipe": load_recipe("fademixup")},
            "60 of 62 clips are of class 'c1', which has 1 video: there are not enough partners",
        ),
    ],
)
def test_shares_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(VidaugError) as error:
        plan_of([2, 1], **settings)
    assert message in str(error.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unequal")
    for label, videos in {"bend": 9, "jump": 4, "walk": 2}.items():
        for number in range(videos):
            place = root / "videos" / label / f"{number}.mp4"
            place.parent.mkdir(parents=True, exist_ok=True)
            write_video(place, frames=12)
    assert vidaug("scan", root / "videos", "-o", root / "all.jsonl").code == 0
    return root


SMALL = ["-r", "fademixup", "--frames", "4", "--size", "16", "--clips-per-shard", "16", "--seed", "5"]


def bytes_of(out: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(out.glob("*/shard-*.h5"))]


def test_balanced_shards_from_the_command(folder: Path, tmp_path: Path) -> None:
    """The same bytes for any number of workers and parts; each class as many clips as the largest."""
    made = ["augment", folder / "all.jsonl", *SMALL, "--balance", "--copies", 2]
    dry = vidaug(*made, "-o", tmp_path / "one", "--dry-run")
    assert dry.code == 0
    assert "54 clips of 15 videos in 3 classes" in dry.out
    assert dry.out.splitlines()[1] == "clips per class: 18"
    assert not (tmp_path / "one").exists()
    assert vidaug(*made, "-o", tmp_path / "one", "-j", 1).code == 0
    for part in ("1/2", "0/2"):
        assert vidaug(*made, "-o", tmp_path / "parts", "-j", 2, "--part", part).code == 0
    assert len(bytes_of(tmp_path / "one")) == len(bytes_of(tmp_path / "parts")) > 3
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "parts")
    header = json.loads((tmp_path / "one" / "plan.json").read_text())
    assert (header["per_class"], header["copies"], "copies_of" in header) == (18, 1, False)
    summary = vidaug("inspect", tmp_path / "one", "--json").result
    assert summary["clips_by_class"] == {"bend": 18, "jump": 18, "walk": 18}
    assert sum(summary["label_mass"].values()) == pytest.approx(54)
    told = vidaug("inspect", tmp_path / "one").out
    assert "clips per class (soft) of 3 classes, and clips whose own video is of it" in told
    (status,) = vidaug("status", tmp_path / "one", "--json").result["folders"]
    assert (status["missing"], status["planned_clips"]) == (0, 54)
    assert vidaug("verify", tmp_path / "one").code == 0
    again = vidaug(*made, "-o", tmp_path / "one")
    assert again.code == 0
    assert "0 clips rendered" in again.err


def test_copies_by_class_and_a_data_set_that_grew(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "all.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "some.jsonl").write_text("".join(lines[:-3]))  # without two of walk and one of jump
    options = [*SMALL, "-o", tmp_path / "out", "--copies", 2, "--copies", "jump=3"]
    assert vidaug("augment", tmp_path / "some.jsonl", *options).code == 0
    assert vidaug("augment", folder / "all.jsonl", *options, "--extend").code == 0
    summary = vidaug("inspect", tmp_path / "out", "--json").result
    assert summary["clips_by_class"] == {"bend": 18, "jump": 12, "walk": 4}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--copies wlak=3", "there is no class 'wlak' to make 3 copies of; did you mean 'walk'?"),
        ("--copies walk", "'walk' is neither a number such as 4 nor one for a class such as walk=10."),
        ("--per-class 5 --copies 2", "--per-class and --copies both say how many clips a class has: give one of them."),
        ("--per-class 5 --balance", "--per-class and --balance both say how many clips a class has: give one of them."),
        ("--balance --copies 0 --keep-original", "--balance makes copies, and --copies 0 asks for none"),
        ("--balance --extend", "--extend adds clips of new videos only, which makes no classes equal"),
    ],
)
def test_what_cannot_be_asked_for(folder: Path, tmp_path: Path, options: str, message: str) -> None:
    done = vidaug("augment", folder / "all.jsonl", *SMALL, "-o", tmp_path / "out", *options.split())
    assert done.code in (1, 2)
    assert message in done.err
    assert "Traceback" not in done.err


def test_videos_without_a_clip_are_said(folder: Path, tmp_path: Path) -> None:
    done = vidaug("augment", folder / "all.jsonl", *SMALL, "-o", tmp_path / "out", "--per-class", 3, "--dry-run")
    assert "7 of 15 videos get no clip: their classes are to have fewer than videos" in done.err
    assert "clips per class: 3\n" in done.out
    copies = ["--copies", "bend=0", "--copies", "walk=4"]
    done = vidaug("augment", folder / "all.jsonl", *SMALL, "-o", tmp_path / "out", *copies, "--dry-run")
    assert "clips per class: 0 to 8 (walk 8, jump 4, bend 0)" in done.out
