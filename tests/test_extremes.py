"""Clips that are near black or near white: what counts, and which commands say how many there are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import write_video
from console import vidaug
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.data.shard.extremes import Extremes
from vidaug_cli.data.shard.format import done_path, shard_path

SMALL = ("--frames", 4, "--size", 16, "-j", 1)


@pytest.mark.parametrize(
    ("level", "words"), [(0, ["near black"]), (15, ["near black"]), (16, []), (239, []), (240, ["near white"])]
)
def test_levels(level: int, words: list[str]) -> None:
    assert Extremes.of(np.full((4, 5, 5, 3), level, np.uint8)).words == words


@given(st.integers(0, 1200), st.sampled_from([0, 255]), st.integers(0, 99))
def test_more_than_95_of_100_levels_make_a_clip_so(extreme: int, level: int, seed: int) -> None:
    """Wherever they lie: not all frames are looked at."""
    video = np.full(1200, 128, np.uint8)
    video[:extreme] = level
    found = Extremes.of(np.random.default_rng(seed).permutation(video).reshape(4, 10, 10, 3))
    assert (found.near_black, found.near_white) == ((extreme > 1140) * (level == 0), (extreme > 1140) * (level == 255))


def test_what_is_said() -> None:
    some = Extremes(near_black=3, near_white=1)
    assert Extremes.sum([some, Extremes(near_black=2), Extremes()]) == Extremes(near_black=5, near_white=1)
    assert Extremes.sum([some, None]) is None
    assert Extremes.sum([]) == Extremes()
    assert some.text(100) == "3 near black and 1 near white of 100 clips (4.0%)"
    assert some.advice(80) == ""  # 5 % are not more than 5 %
    assert some.advice(79).startswith("3 near black and 1 near white of 79 clips (5.1%): if the videos are not so")
    assert (Extremes().text(100), Extremes().advice(0)) == ("", "")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two black videos, one white and one grey."""
    for number, level in enumerate((0, 0, 255, 120)):
        write_video(tmp_path / f"videos/class_{number % 2}/{number}.avi", frames=5, level=lambda _, level=level: level)
    return tmp_path / "videos"


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_augment_inspect_and_preview_count_them(videos: Path, tmp_path: Path, codec: str) -> None:
    out, counted = tmp_path / "out", {"near_black": 4, "near_white": 2}
    words = ("augment", videos, "-o", out, "-r", "none", "--copies", 2, "--codec", codec, *SMALL)
    for _ in range(2):  # made, and there already
        made = vidaug(*words, "--json")
        assert made.made["extremes"] == counted
        assert "4 near black and 2 near white of 8 clips (75.0%): if the videos are not so" in made.err
    assert json.loads(done_path(shard_path(out, 0)).read_bytes())["extremes"] == counted
    assert vidaug("inspect", out, "--json").result["extremes"] == counted
    assert "levels: 4 near black and 2 near white of 8 clips (75.0%)\n" in vidaug("inspect", shard_path(out, 0)).out
    looked = vidaug("preview", out, "-o", tmp_path / "look.png")
    assert "near black" in looked.err
    assert "near white of 6 clips" in looked.err
    planned = vidaug("preview", videos, "-r", "none", "-o", tmp_path / "look.png", "--count", 4, *SMALL[:4])
    assert "2 near black and 1 near white of 4 clips (75.0%)" in planned.err
    assert vidaug("preview", out, "-o", tmp_path / "look.png", "-q").err == ""


def test_nothing_is_said_of_ordinary_clips(video_folder: Path, tmp_path: Path) -> None:
    made = vidaug("augment", video_folder, "-o", tmp_path / "out", "-r", "none", "--json", *SMALL)
    assert made.made["extremes"] == {"near_black": 0, "near_white": 0}
    assert "near" not in made.err
    assert "near" not in vidaug("inspect", tmp_path / "out").out


def test_a_record_that_has_not_counted_says_so(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    vidaug("augment", videos, "-o", out, "-r", "none", *SMALL)
    record = done_path(shard_path(out, 0))
    content = json.loads(record.read_bytes())
    del content["extremes"], content["check"]  # as it was written before there were any
    record.write_text(json.dumps(content))
    assert vidaug("inspect", out, "--json").result["extremes"] is None
    assert vidaug("augment", videos, "-o", out, "-r", "none", "--json", *SMALL).made["extremes"] is None
    record.unlink()
    assert vidaug("inspect", shard_path(out, 0), "--json").result["extremes"] is None


@pytest.mark.parametrize("extremes", ['{"near_black": -1, "near_white": 0}', '{"near_black": "x"}', "7"])
def test_damaged_counts_are_a_damaged_record(videos: Path, tmp_path: Path, extremes: str) -> None:
    out = tmp_path / "out"
    vidaug("augment", videos, "-o", out, "-r", "none", *SMALL)
    record = done_path(shard_path(out, 0))
    record.write_text(json.dumps(json.loads(record.read_bytes()) | {"extremes": json.loads(extremes)}))
    assert "does not say that a shard is done" in vidaug("verify", out).out
