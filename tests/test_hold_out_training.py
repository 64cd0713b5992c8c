"""`vidaug train --hold-out`: what is left out of training, what is tested, and that a run knows its part."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_video
from console import Done, vidaug
from train_makers import NETWORK

from vidaug_cli.data.holdout import HoldOut, groups_of, hold_out
from vidaug_cli.data.manifest import Row, read_manifest
from vidaug_cli.data.shard.format import finished_shards
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import VidaugError
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.run import ShardFolders
from vidaug_cli.train.slowfast import ARCHITECTURES

CLASSES = ("fall", "walk")
PERSONS = 5


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of each of five persons in both classes."""
    folder = tmp_path_factory.mktemp("held") / "videos"
    for name in CLASSES:
        for person in range(PERSONS):
            for clip in (1, 2):
                write_video(folder / name / f"person{person}_{name}_{clip}.avi")
    return folder


@pytest.fixture(scope="module")
def mixed(videos: Path) -> Path:
    out = videos.parent / "mixed"
    words = ("-r", "cutmix", "--copies", 3, "--keep-original", "--frames", 8, "--size", 32, "-q")
    assert vidaug("augment", videos, *words, "-o", out).code == 0
    return out


def train(shards: Path, run: Path, *words: object) -> Done:
    settings = ("--network", "tiny", "--epochs", 2, "--batch-size", 4, "--amp", "off", "--device", "cpu")
    return vidaug("train", shards, "-o", run, *settings, *words)


def shown(out: Path) -> np.ndarray:
    """The videos of every clip, own and partner, by their rows."""
    parts = []
    for path in finished_shards(out).values():
        with Shard(path) as shard:
            parts.append(shard.column("sources"))
    return np.concatenate(parts)


@pytest.mark.parametrize("fold", range(PERSONS))
def test_clips_are_left_out_for_their_own_video_and_for_their_partner(mixed: Path, fold: int) -> None:
    held = {at for at, out in enumerate(hold_out(read_manifest(mixed), 1 / PERSONS, fold)) if out}
    assert len({read_manifest(mixed)[at].path[5:12] for at in held}) == 1  # one person
    assert len(held) == 4
    sources = shown(mixed)
    wanted = [clip for clip, both in enumerate(sources.tolist()) if not held.intersection(both)]
    everything, clips = ShardFolders([mixed]), ShardFolders([mixed], HoldOut(1 / PERSONS, fold))
    assert 0 < len(wanted) == len(clips.dataset) < len(everything.dataset) == clips.all_clips == 80
    for place in (0, len(wanted) // 2, -1):
        for one, other in zip(clips.dataset[place], everything.dataset[wanted[place]], strict=True):
            assert (one == other).all()
    assert sorted(row.path for row in clips.held_rows) == sorted(read_manifest(mixed)[at].path for at in held)


def test_two_folders_hold_out_the_same_videos(mixed: Path, videos: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    assert vidaug("augment", videos, "-r", "none", "--frames", 8, "--size", 32, "-q", "-o", clean).code == 0
    one, both = (ShardFolders(folders, HoldOut(0.2, 1)) for folders in ([mixed], [mixed, clean]))
    assert [row.path for row in both.held_rows] == [row.path for row in one.held_rows]
    assert len(both.dataset) == len(one.dataset) + 16


def test_videos_in_two_folders_are_no_segments() -> None:
    """Groups of rows that come twice are told as those of the rows that come once."""
    row = Row(path="a/x.avi", root="/", label="a", frames=9, fps=30, width=9, height=9, codec="-")
    rows = [replace(row, path=f"{name}/{name}.avi", label=name) for name in "ab"]
    assert groups_of(rows * 2).text == groups_of(rows).text == "2 videos, each by itself, as no name tells groups"
    parts = [replace(rows[0], start=float(start), end=start + 1.0) for start in range(2)]
    assert groups_of(parts * 2).rule == "the file that segments are of"


def test_a_run_is_tested_on_clean_clips_of_what_it_holds_out(mixed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = train(mixed, run, "--hold-out", 0.2, "--fold", 3)
    assert done.code == 0
    left = len(ShardFolders([mixed], HoldOut(0.2, 3)).dataset)
    first = done.err.splitlines()[0]
    assert first == (
        "held out: 4 of 20 videos (5 groups of videos, by names such as person01, seq2 or scene3); "
        f"{80 - left} of 80 clips show them and are left out"
    )
    rows = read_manifest(mixed)
    held = [row for row, out in zip(rows, hold_out(rows, 0.2, 3), strict=True) if out]
    assert [row.path for row in read_manifest(run / "validation")] == [row.path for row in held]
    clips = ShardFolders([run / "validation"])
    assert (len(clips.dataset), clips.plans[0].recipe.name, clips.plans[0].copies) == (4, "none", 0)
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = max(metrics, key=lambda row: (row["val_top1"], -row["val_loss"]))
    assert read_checkpoint(run / "best.safetensors").epoch == best["epoch"]
    assert read_checkpoint(run / "best.safetensors").settings["hold_out"] == {"share": 0.2, "fold": 3}
    again = train(mixed, run, "--hold-out", 0.2, "--fold", 3)
    assert again.err.splitlines()[-1] == f"{run}: 2 of 2 epochs are done"
    moved = shutil.copytree(run, tmp_path / "moved")  # with the clips of what it holds out
    assert vidaug("train", "--resume", moved, "--epochs", 3).code == 0
    assert read_checkpoint(moved / "last.safetensors").settings["hold_out"] == {"share": 0.2, "fold": 3}
    for words in (("--hold-out", 0.2), ("--hold-out", 0.25, "--fold", 3), ()):
        assert "holds another run, which differs in" in train(mixed, run, *words).err


def test_videos_that_moved_are_found_or_missed_in_a_line(mixed: Path, videos: Path, tmp_path: Path) -> None:
    elsewhere = videos.rename(videos.parent / "moved")
    try:
        done = train(mixed, tmp_path / "run", "--hold-out", 0.2)
        assert done.code == 1
        said = f"vidaug: error: {videos}: none of the 4 videos of the manifest is there; --root says where the"
        assert done.err.splitlines()[-1].startswith(said)
        assert not (tmp_path / "run" / "validation").exists()
        done = train(mixed, tmp_path / "run", "--hold-out", 0.2, "--root", elsewhere)
        assert done.code == 0
        assert train(mixed, tmp_path / "run", "--hold-out", 0.2).code == 0  # they are rendered by now
    finally:
        elsewhere.rename(videos)


def test_a_part_that_leaves_nothing_is_refused(mixed: Path) -> None:
    with pytest.raises(VidaugError, match=r"5 groups of videos, by .*: too few for 10 parts; hold out 1/5 or more"):
        ShardFolders([mixed], HoldOut(0.1))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--hold-out", 0.2, "--val", "videos"), "--hold-out and --val both say what to test on: give one of them."),
        (("--fold", 1), "--fold is a part that --hold-out leaves out: give that too."),
        (("--hold-out", 0.2, "--limit", 3), "--limit is for the videos of --val: give --val VIDEOS, or leave it out."),
    ],
)
def test_wrong_usage_is_said(words: tuple[object, ...], said: str, mixed: Path, tmp_path: Path) -> None:
    done = train(mixed, tmp_path / "run", *words)
    assert done.code == 2
    assert said in " ".join(done.err.split())
