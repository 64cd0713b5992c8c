"""How far a job is: a bar on a terminal, lines elsewhere, nothing where it is short or quiet."""

from __future__ import annotations

import itertools
import os
import pty
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from console import vidaug
from network_makers import random_network
from train_makers import NETWORK, make_shards, parts_of

from vidaug_cli import workers as progress
from vidaug_cli.augment import run as augment_run
from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import run
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.predict.cam import measure
from vidaug_cli.predict.predict import predict_shards, predict_videos
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.train.loop import train
from vidaug_cli.train.slowfast import ARCHITECTURES
from vidaug_cli.words import duration
from vidaug_cli.workers import APART, EVERY, Progress, track

SCRIPT = Path(sys.executable).with_name("vidaug")


@pytest.fixture(autouse=True)
def as_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where other tests have it silent."""
    monkeypatch.setattr(progress, "APART", APART)
    monkeypatch.setattr(progress, "EVERY", EVERY)


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines_of(capsys: pytest.CaptureFixture[str], total: int, seconds: float, done: int = 0) -> list[str]:
    """What a job says that does one clip every so many seconds."""
    clock = Clock()
    with Progress(total, "clip", "augment", done=done, clock=clock) as bar:
        for _ in range(total - done):
            clock.now += seconds
            bar.update()
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_a_line_at_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, 2000, 0.1)
    assert len(lines) == 10
    assert lines[0] == "augment: 200 of 2,000 clips (10%), 10.0 clips/s, 3 min 0 s left"
    assert lines[-1] == "augment: 2,000 of 2,000 clips (100%), 10.0 clips/s"


def test_a_line_every_so_many_seconds_between(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, 100, 10)
    assert len(lines) == pytest.approx(1000 / EVERY + 10, abs=11)
    assert lines[0] == "augment: 3 of 100 clips (3%), 10.0 s/clip, 16 min 10 s left"
    spoken = [int(line.split()[1]) for line in lines]
    assert set(range(10, 101, 10)) <= set(spoken)
    assert max(b - a for a, b in itertools.pairwise(spoken)) * 10 <= EVERY


def test_short_jobs_say_nothing_and_quick_tenths_are_not_all_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(capsys, 1000, 0.9 * APART / 1000) == []
    assert lines_of(capsys, 1000, 3 * APART / 1000) != []
    assert len(lines_of(capsys, 1000, 20 / 1000)) == 3  # of 20 s, at least 5 s apart
    assert lines_of(capsys, 1, 1000) == []  # ends at its first word


def test_what_was_done_before_is_no_speed(capsys: pytest.CaptureFixture[str]) -> None:
    (line, *_) = lines_of(capsys, 100, 10, done=90)
    assert line == "augment: 93 of 100 clips (93%), 10.0 s/clip, 1 min 10 s left"


def test_more_to_say_comes_last(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress(10, "step", "train", clock=clock) as bar, bar.aside():
        bar.set_postfix_str("loss 1.234")
        clock.now += 40
        bar.update(4)
    assert capsys.readouterr().err == "train: 4 of 10 steps (40%), 10.0 s/step, 1 min 0 s left, loss 1.234\n"


def test_what_is_begun_is_shown_and_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """It never goes back, where a worker has ended a shard whose record is not there yet, nor beyond the end."""
    clock = Clock()
    with Progress(100, "clip", "augment", clock=clock) as bar:
        for begun, done in ((12.7, 0), (0, 0), (3, 20), (500, 0)):
            clock.now += 40
            bar.update(done)
            clock.now += 40
            bar.begun(begun)
        assert bar.done == 20
    spoken = [line.split(",")[0] for line in capsys.readouterr().err.splitlines()]
    shown = [int(line.split()[1]) for line in spoken]
    assert shown == [0, 12, 12, 12, 20, 23, 23, 100]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bar_moves_within_a_shard(video_folder: Path, tmp_path: Path, workers: int) -> None:
    seen: list[tuple[int, float]] = []

    class Watched(Progress):
        def begun(self, count: float) -> None:
            super().begun(count)
            seen.append((self.done, count))

    rows = read_input(str(video_folder)).rows
    plan = Plan(rows=tuple(rows), recipe=load_recipe("fademixup"), spec=ClipSpec(frames=16, size=96), copies=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augment_run, "Progress", Watched)
        report = run(plan, tmp_path / "out", Engine(), workers=workers)
    assert (report.clips, report.shards) == (288, plan.shard_count)
    within = {int(count) for done, count in seen if done == 0}  # before the first shard was finished
    assert len(within) > 20
    assert max(done + count for done, count in seen) <= 288 * (1 + 1e-6)


def test_nothing_to_do_and_nothing_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(capsys, 0, 10) == []
    clock = Clock()
    with Progress(10, "clip", "augment", show=False, clock=clock) as bar:
        clock.now += 100
        bar.update(10)
    assert bar.done == 10
    assert list(track("abc", 3, "letter", "spell", show=False)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_a_line_where_nothing_gets_done_for_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard may take minutes; here, half a second is as long."""
    monkeypatch.setattr(progress, "EVERY", 0.5)
    with Progress(10, "clip", "augment", done=4) as bar:
        time.sleep(2.5)
        bar.update()
    err = capsys.readouterr().err
    assert err.startswith("augment: 4 of 10 clips (40%), 0.0 clips/s\n")
    time.sleep(1.5)
    assert "progress" not in [thread.name for thread in threading.enumerate()]
    assert capsys.readouterr().err == ""


def test_durations() -> None:
    said = {0.2: "0 s", 59.6: "1 min 0 s", 90: "1 min 30 s", 7500: "2 h 5 min"}
    assert {seconds: duration(seconds) for seconds in said} == said


@pytest.fixture
def talkative(as_for_users: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every update is a line, as if seconds were minutes."""
    monkeypatch.setattr(progress, "EVERY", 0)


MANY = ["--frames", 8, "--size", 32, "-r", "none", "--copies", 3, "--clips-per-shard", 32]  # three shards
COMMANDS: dict[str, Callable[[Path, Path, Path], list[object]]] = {
    "scan": lambda videos, out, new: ["scan", videos, "-o", new, "--no-cache"],
    "augment": lambda videos, out, new: ["augment", videos, "-o", new, *MANY],
    "verify": lambda videos, out, new: ["verify", out],
    "replay": lambda videos, out, new: ["replay", out],
    "sample": lambda videos, out, new: ["sample", new, "--per-class", 1],
}


@pytest.mark.usefixtures("talkative")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_long_command_says_how_far_it_is_unless_quiet(name: str, video_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert vidaug("augment", video_folder, "-o", out, *MANY, "-j", 1, "-q").code == 0
    told = vidaug(*COMMANDS[name](video_folder, out, tmp_path / "new"))
    assert told.code == 0
    assert f"\n{name}: " in f"\n{told.err}"
    assert " of " in told.err.split(f"{name}: ")[1].splitlines()[0]
    quiet = vidaug(*COMMANDS[name](video_folder, out, tmp_path / "new2"), "-q")
    assert (quiet.code, quiet.err) == (0, "")
    if name in ("verify", "replay"):
        assert quiet.out == told.out


def test_on_a_terminal_it_is_a_bar(video_folder: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    words = ["augment", video_folder, "-o", tmp_path / "out", "--frames", "8", "--size", "32", "-r", "none", "-j", "1"]
    process = subprocess.Popen([SCRIPT, *map(str, words)], stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 4096):
            text += part
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert b"augment: 100%|" in text
    assert b"36/36" in text


@pytest.mark.usefixtures("talkative")
def test_networks_say_how_far_they_are(
    video_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)
    shards = make_shards(tmp_path / "shards", videos=8)
    train(parts_of(tmp_path / "run", shards, epochs=2), progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert {line.split(" steps")[0] for line in said.err.splitlines()} >= {f"train: {n} of 4" for n in range(1, 5)}
    assert ", loss " in said.err
    rows = read_input(str(video_folder)).rows[:2]
    classes = ("class_0", "class_1", "class_2")
    clip = ClipSpec(frames=8, size=32)
    predictor = Predictor(network=random_network(3), classes=classes, clip=clip, amp="off", batch=2)
    predict_videos(predictor, rows, views=1, progress=True)
    plan = Plan(rows=tuple(rows), recipe=load_recipe("fademixup"), spec=clip, copies=2)
    run(plan, tmp_path / "mixed", Engine())
    measure(predictor, tmp_path / "mixed", progress=True)
    plain = replace(plan, recipe=load_recipe("none"))
    run(plain, tmp_path / "plain", Engine())
    predict_shards(predictor, tmp_path / "plain", progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "predict: 2 of 2 videos" in said.err
    assert "measure: 4 of 4 clips" in said.err
    assert "predict: 4 of 4 clips" in said.err
