"""`vidaug bench`: every part gives figures, the rules say what they should, and nothing known is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_video
from console import Done, vidaug
from train_makers import NETWORK

from vidaug_cli.bench import measure
from vidaug_cli.bench.measure import Case, Figure, Turns, cpu_seconds
from vidaug_cli.bench.parts import PARTS, Part
from vidaug_cli.bench.setting import Setting
from vidaug_cli.bench.verdict import CUTS, DECODE, READ, STEP, WHOLE, Known, together, verdict
from vidaug_cli.commands import bench
from vidaug_cli.ops.frame_ops import op_names
from vidaug_cli.ops.mix import MIXES
from vidaug_cli.train.settings import PRESETS, Settings
from vidaug_cli.train.slowfast import ARCHITECTURES

SMALL = ("--frames", 8, "--size", 32, "--seconds", 0.001, "--device", "cpu", "-q")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    for number in range(4):
        write_video(folder / f"class_{number % 2}" / f"{number}.avi", frames=12)
    return folder


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)
    monkeypatch.setitem(PRESETS, "small", Settings(network="tiny", batch_size=2, amp="off"))


def figures_of(done: Done) -> dict[str, dict[str, Any]]:
    return {figure["what"]: figure for figure in done.result["figures"]}


def test_every_part_is_measured_and_the_last_line_says_what_limits(videos: Path, network: None) -> None:
    done = vidaug("bench", videos, *SMALL)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line for line in lines if line in PARTS] == list(PARTS)
    assert {*op_names("official"), *MIXES} <= {line.split("  ")[1] for line in lines if line.startswith("  ")}
    assert lines[-2].startswith("all of it takes ")
    assert "is the largest part of a clip" in lines[-1]
    assert lines[-1].endswith(".")


def test_json_holds_all_that_the_table_shows(videos: Path) -> None:
    done = vidaug("bench", videos, *SMALL, "--only", "read", "--only", "codec", "--json")
    assert done.code == 0, done.err
    told = done.result
    assert told.keys() == {"machine", "clips", "figures", "stages", "verdict", "notes"}
    assert told["clips"] | {"frames": 8, "size": 32, "videos": 4} == told["clips"]
    assert {figure["part"] for figure in told["figures"]} == {"read", "codec"}
    for figure in told["figures"]:
        assert figure.keys() == {"part", "what", "ms", "least", "most", "cpu_ms", "repeats", "more"}
        assert 0 < figure["least"] <= figure["ms"] <= figure["most"]
        assert figure["repeats"] >= measure.LEAST
    figures = figures_of(done)
    assert figures[DECODE]["more"]["frames_per_second"] > 0
    assert figures["write raw"]["more"]["bytes"] > 8 * 32 * 32 * 3 > figures["write jpeg"]["more"]["bytes"] / 2
    assert (told["stages"], told["verdict"]) == ({}, "")  # nothing was measured that tells


def test_without_input_there_are_sample_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PER_CLASS", 1)
    done = vidaug("bench", *SMALL, "--only", "mix", "--json", "--set", "fademixup.beta=0.4")
    assert done.code == 0, done.err
    assert done.result["clips"]["videos"] == 6
    assert figures_of(done)["fademixup"]["more"]["copies"] > 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--only", "reading"], "'reading' is not one of"),
        (["--seconds", 0], "--seconds"),
        (["--preset", "large"], "no preset 'large'"),
        (["--frames", 0], "frames"),
        (["--device", "gpu"], "no device 'gpu'"),
        (["-r", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_line(videos: Path, words: list[object], complaint: str) -> None:
    done = vidaug("bench", videos, "-q", *words)
    assert (done.code, done.out) in {(1, ""), (2, "")}
    assert complaint in done.err
    assert "Traceback" not in done.err


def test_an_interrupt_prints_what_is_known(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(PARTS, "ops", Part("", interrupted))
    done = vidaug("bench", videos, *SMALL, "--json")
    assert done.code == 130
    assert list(figures_of(done)) == [DECODE, READ.format(1), READ.format(CUTS)]


def test_an_interrupt_within_a_part_keeps_its_finished_turns() -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt

    turns = Turns("part", [Case(what="case", call=call, clips=1)])
    with pytest.raises(KeyboardInterrupt):
        turns.run(10)
    assert [figure.repeats for figure in turns.figures] == [2]  # the first call was the warm-up


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Callable[[], None]]:
    """Calls that take so many seconds by a clock that no other program moves."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def lasting(seconds: float) -> Callable[[], None]:
        return lambda: now.__setitem__(0, now[0] + seconds)

    return lasting


def test_times_are_those_of_one_clip(work: Callable[[float], Callable[[], None]]) -> None:
    slow = Case(what="slow", call=work(0.04), clips=4, copy="fast", frames=8)
    turns = Turns("part", [Case(what="fast", call=work(0.02), clips=8), slow])  # each clip takes a quarter as long
    turns.run(0.15)
    figures = {figure.what: figure for figure in turns.figures}
    assert (figures["slow"].ms, figures["slow"].least, figures["fast"].most) == pytest.approx((10, 10, 2.5))
    assert figures["slow"].more == pytest.approx({"copies": 4, "frames_per_second": 200})
    assert figures["fast"].repeats == 5  # in turns of 0.06 s, for 0.3 s
    cpu = figures["slow"].cpu_ms
    assert cpu is None or cpu < figures["slow"].ms / 2


def test_a_gain_is_how_many_times_as_fast(work: Callable[[float], Callable[[], None]]) -> None:
    one, two = Case(what="one", call=work(0.04), clips=1), Case(what="two", call=work(0.02), clips=1, one="one")
    turns = Turns("part", [one, two])
    turns.run(0.05)
    assert turns.figures[1].more == pytest.approx({"gain": 2})


def test_cpu_time_is_that_of_child_processes_too() -> None:
    before = cpu_seconds()
    if before is None:
        pytest.skip("this system does not tell the CPU time of other processes")
    code = "import time\nwhile time.process_time() < 0.3: pass\nprint('ready', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        running = cpu_seconds()
        child.communicate(b"\n")
    ended = cpu_seconds()
    assert running is not None
    assert ended is not None
    assert running - before >= 0.3  # while it runs
    assert ended - before >= 0.3  # and once it is gone


def known(**values: Any) -> Known:
    stages = {"decode": 1.0, "convert": 1.0, "ops": 1.0, "mix": 1.0, "write": 1.0}
    return Known(**{"stages": stages | values.pop("stages", {}), "whole": None, "processes": 2} | values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"stages": {"decode": 4.0}}, "Decoding is the largest part of a clip (50%)"),
        ({"stages": {"decode": 4.0}}, "--copies"),
        ({"stages": {"convert": 4.0}}, "a smaller --size"),
        ({"stages": {"ops": 4.0}}, "--device cuda"),
        ({"stages": {"mix": 4.0}}, "Mixing is the largest part"),
        ({"stages": {"write": 4.0}}, "--codec"),
        (
            {"gain": 1.4, "copying": 1.45},
            "those that only copy do 1.4: more with -j bring little",
        ),
        ({"gain": 1.77, "copying": 1.2}, "where those that only copy do 1.2"),
        ({"gain": 1.2, "copying": 1.9}, "other programs"),
        ({"waiting": 0.2, "headspace": 0.3}, "waits 20% of its time for clips, and more reading processes (-j)"),
        ({"waiting": 0.01, "headspace": 0.1}, "a step is 10% shorter without"),
        ({"waiting": 0.01, "headspace": -0.01}, "computes all the time"),
    ],
)
def test_the_verdict_follows_from_the_figures(values: dict[str, Any], told: str) -> None:
    sentence = verdict(known(**values))
    assert told in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize("values", [{"gain": 1.85, "copying": 1.9}, {"gain": None}])
def test_processes_that_bring_what_they_should_are_not_blamed(values: dict[str, Any]) -> None:
    assert "process" not in verdict(known(stages={"decode": 2.0}, **values))


def test_nothing_is_said_of_what_was_not_measured() -> None:
    assert verdict(Known({}, None)) == ""


def test_stages_follow_from_the_figures() -> None:
    def figure(part: str, what: str, ms: float, **more: float) -> Figure:
        return Figure(part=part, what=what, ms=ms, least=ms, most=ms, cpu_ms=None, repeats=3, more=more)

    figures = [
        figure("read", DECODE, 80.0),  # of another time: only what took turns is compared
        figure("augment", DECODE, 8.0),
        figure("augment", READ.format(CUTS), 9.0),
        figure("augment", "write raw", 5.0),
        figure("augment", WHOLE, 15.0),
        figure("processes", together("augment", 3), 5.0, gain=2.5),
        figure("processes", together("copying", 3), 5.0, gain=2.7),
        figure("train", STEP, 5.0, waiting=0.1, headspace=0.2),
    ]
    told = Known.of(figures, "raw", 3)
    # One pass of the decoder serves all cuts of a video, so that each pays its share of it.
    assert told == Known({"decode": 8 / CUTS, "convert": 9 - 8 / CUTS, "write": 5.0}, 15.0, 3, 2.5, 2.7, 0.1, 0.2)


def test_each_op_is_applied_to_pixels_of_the_videos(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def take_turns(self: Any, part: str, cases: list[Case]) -> None:
        seen.append(self.video.numpy().copy())
        for case in cases:
            case.call()
        seen.append(self.video.numpy().copy())

    monkeypatch.setattr(Setting, "take_turns", take_turns)
    assert vidaug("bench", videos, *SMALL, "--only", "ops").code == 0
    before, after = seen
    assert np.ptp(before) > 0
    assert np.array_equal(before, after)  # nothing works on what another op has made
