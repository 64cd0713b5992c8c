"""A video that could not be read this time is tried again, then leaves its shard unfinished; a rerun makes it."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import pytest
from conftest import MakeVideo, write_video
from console import vidaug

from vidaug_cli.augment import finish, render
from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import Report, run
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.listing.tree import ThisTime
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.scan import scan
from vidaug_cli.data.video import tries
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.data.video.reader import probe
from vidaug_cli.data.video.tries import settle
from vidaug_cli.errors import CrashError, VideoError, passes
from vidaug_cli.recipe.loading import load_recipe

LOST = "class_1/video_04.avi"
GAVE_UP = "could not be read this time, at try 3 of 3: "
WORDS = ["-r", "fademixup", "--frames", 8, "--size", 32, "--clips-per-shard", 16, "-j", 1]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tries", "guard"):
        monkeypatch.setattr(f"vidaug_cli.data.video.{module}.PAUSES", (0.02, 0.02))
    monkeypatch.setattr("vidaug_cli.data.scan.PAUSES", (0.02, 0.02))


@pytest.fixture
def videos(video_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(video_folder, tmp_path / "videos"))


@pytest.fixture
def plan(videos: Path) -> Plan:
    """36 videos in three shards."""
    rows, spec = tuple(read_input(str(videos)).rows), ClipSpec(frames=8, size=32)
    return Plan(rows=rows, recipe=load_recipe("fademixup"), spec=spec, clips_per_shard=16)


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("[0-9]*/*")}


@pytest.fixture
def whole(plan: Plan, tmp_path: Path) -> dict[str, bytes]:
    """The files of a run in which nothing failed."""
    run(plan, tmp_path / "whole", Engine())
    return files(tmp_path / "whole")


# Faults of real processes


def hit(monkeypatch: pytest.MonkeyPatch, number: signal.Signals, times: int, name: str = LOST) -> list[int]:
    """Send a signal to the decoder each time that it is to read this video, so many times; return when it did."""
    sent: list[int] = []
    call = Guard._call

    def hit_first(self: Guard, function: Callable[..., Any], *args: Any, times_: int = times, **how: Any) -> Any:
        if str(args[0]).endswith(name) and len(sent) < times_:
            if self._end is None:
                self._start()
            self._process.send_signal(number)
            sent.append(how.get("times", 1))
        return call(self, function, *args, **how)

    monkeypatch.setattr(Guard, "_call", hit_first)
    return sent


def shard_of(plan: Plan, name: str = LOST) -> int:
    return next(n for n in range(3) if any(plan.rows[slot.row].path == name for slot in plan.slots(n)))


def how_many(report: Report) -> tuple[int, int, int]:
    return report.clips, len(report.failures), len(report.unfinished)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
@pytest.mark.parametrize("times", [1, 2])
def test_a_decoder_that_dies_once_or_twice_changes_nothing(
    plan: Plan, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: Any, times: int
) -> None:
    sent = hit(monkeypatch, number, times)
    assert how_many(run(plan, tmp_path / "out", Engine())) == (36, 0, 0)
    assert sent == [1, 2][:times]  # each try may take twice as long
    assert files(tmp_path / "out") == whole


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_a_decoder_that_is_killed_or_stopped_each_time_fails_its_shard_alone(
    plan: Plan, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """A stopped one answers in no time limit."""
    out, mine = tmp_path / "out", shard_of(plan)
    with monkeypatch.context() as patch:
        patch.setattr("vidaug_cli.data.video.limits.PATIENCE", 1)
        hit(patch, number, 99)
        report = run(plan, out, Engine(limits=Limits(seconds=0.5) if number == signal.SIGSTOP else LIMITS))
    (unfinished,) = report.unfinished
    assert (unfinished.shard, unfinished.path, report.failures) == (mine, LOST, ())
    said = {signal.SIGKILL: "killed", signal.SIGTERM: "ended by somebody", signal.SIGSTOP: "did not answer for 2 s"}
    assert unfinished.reason.startswith(GAVE_UP)
    assert said[number] in unfinished.reason
    others = {name: content for name, content in whole.items() if f"0000{mine}" not in name}
    assert files(out) == others  # with the partners that they had
    assert not (out / "failures.jsonl").exists()
    assert how_many(run(plan, out, Engine())) == (36, 0, 0)
    assert files(out) == whole


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_video_that_crashes_each_new_decoder_is_broken(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    sent = hit(monkeypatch, number, 99)
    report = run(plan, tmp_path / "out", Engine())
    assert how_many(report) == (35, 1, 0)
    assert (report.failures[0].path, report.failures[0].reason) == (LOST, f"the decoder crashed (signal {number})")
    assert sent == [1, 2, 4]
    monkeypatch.setattr(tries, "is_short", lambda: True)  # decoders crash without memory, too
    assert how_many(run(plan, tmp_path / "short", Engine())) == (36 - plan.rounds.clips(shard_of(plan)), 0, 1)


SITE = """
import errno, os, pathlib
opened = pathlib.Path.open
def failing(self, *args, **how):
    try:
        name, number, left = opened(pathlib.Path({flag!r})).read().split()
    except FileNotFoundError:
        name = ""
    if name and str(self).endswith(name) and int(left):
        with opened(pathlib.Path({flag!r} + ".new"), "w") as file:
            file.write(f"{{name}} {{number}} {{int(left) - 1}}")
        os.replace({flag!r} + ".new", {flag!r})
        raise OSError(int(number), os.strerror(int(number)), str(self))
    return opened(self, *args, **how)
pathlib.Path.open = failing
"""
Fault = Callable[[str, int, int], None]


@pytest.fixture
def disk_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fault]:
    """Make decoders fail to open a video, so many times: what Python imports at its start sees to it."""
    flag = tmp_path / "flag"
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(SITE.format(flag=str(flag)))
    monkeypatch.syspath_prepend(tmp_path / "site")

    def fault(name: str, number: int, times: int) -> None:
        flag.write_text(f"{name} {number} {times}")

    render._guard.cache_clear()  # a decoder that an earlier test started knows nothing of it
    yield fault
    render._guard.cache_clear()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOMEM, errno.ETIMEDOUT])
def test_a_disk_that_fails_once_changes_nothing_and_one_that_goes_on_fails_the_shard(
    plan: Plan, whole: dict[str, bytes], tmp_path: Path, disk_fault: Fault, number: int
) -> None:
    out = tmp_path / "out"
    disk_fault(LOST, number, 99)
    report = run(plan, out, Engine())
    assert how_many(report) == (36 - plan.rounds.clips(shard_of(plan)), 0, 1)
    assert report.unfinished[0].reason == f"{GAVE_UP}cannot be read: {os.strerror(number)}"
    disk_fault(LOST, number, 1)
    assert how_many(run(plan, out, Engine())) == (36, 0, 0)
    assert files(out) == whole


@pytest.mark.parametrize("decoders", [1, 3])
def test_around_a_gpu_as_on_the_cpu(
    plan: Plan, whole: dict[str, bytes], tmp_path: Path, disk_fault: Fault, monkeypatch: pytest.MonkeyPatch,
    decoders: int,
) -> None:  # fmt: skip
    """The CPU stands for it. Two videos of different shards fail: the third is whole, and what is decoded next."""
    monkeypatch.setattr(finish, "devices_of", lambda _: ["cpu"])
    out, engine = tmp_path / "out", Engine(device="cuda")
    rows = [{plan.rows[slot.row].path for slot in plan.slots(shard)} for shard in range(3)]
    for lost in (0, 1):
        disk_fault(sorted(rows[lost])[3], errno.EIO, 99)
        report = run(plan, out, engine, workers=decoders)
        assert [each.shard for each in report.unfinished] == [lost]
        assert {name: whole[name] for name in files(out)} == files(out)
        shutil.rmtree(out)
    disk_fault("a", errno.EIO, 0)
    assert how_many(run(plan, out, engine, workers=decoders)) == (36, 0, 0)
    assert files(out) == whole


def test_the_command_says_which_shard_and_why_and_the_same_one_makes_it(
    videos: Path, tmp_path: Path, disk_fault: Fault
) -> None:
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out"
    assert vidaug("scan", videos, "-o", manifest, "-q").code == 0
    disk_fault(LOST, errno.EIO, 99)
    words = ["augment", manifest, "-o", out, *WORDS]
    done = vidaug(*words, "--json")
    (unfinished,) = done.made["unfinished"]
    reason = f"{GAVE_UP}cannot be read: Input/output error"
    assert unfinished == {"shard": unfinished["shard"], "path": LOST, "reason": reason}
    last = f"\n1 shard unfinished; the same command tries again:\n  shard {unfinished['shard']}: {LOST}: {reason}\n"
    assert done.err.endswith(last)
    assert done.next == shlex.join(["vidaug", *map(str, words), "--json"])
    assert done.code == 4
    ended = vidaug(*words, "--on-error", "fail")
    assert (ended.code, ended.err.splitlines()[-1]) == (1, f"vidaug: error: {LOST}: {reason}")
    disk_fault(LOST, errno.EIO, 2)
    again = vidaug(*words)
    assert again.code == 0
    assert "unfinished" not in again.err


def test_a_scan_keeps_nothing_that_may_pass_and_no_plan_is_made_without_it(
    videos: Path, tmp_path: Path, disk_fault: Fault
) -> None:
    cache = tmp_path / "probes.db"
    disk_fault(LOST, errno.EIO, 99)
    reason = f"{GAVE_UP}cannot be read: Input/output error"
    found = scan(videos, cache=cache)
    assert (len(found.rows), found.quarantined) == (35, [(LOST, reason)])
    assert isinstance(found.quarantined[0], ThisTime)
    with sqlite3.connect(cache) as table:
        kept = [Path(path).name for (path,) in table.execute("SELECT path FROM probes")]
    assert (len(kept), Path(LOST).name in kept) == (35, False)
    made = vidaug("augment", videos, "-o", tmp_path / "out", *WORDS)
    assert made.code == 1
    hint = "try the same command again, or do without: scan into a manifest, and give that"
    assert made.err.splitlines()[-1] == f"vidaug: error: {LOST}: {reason}; {hint}"
    assert not (tmp_path / "out").exists()
    disk_fault(LOST, errno.EIO, 1)
    again = scan(videos, cache=cache)
    assert (len(again.rows), again.quarantined, again.cached) == (36, [], 35)


def test_a_name_that_cannot_be_looked_up_this_time(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, look = [2], Path.stat

    def failing(self: Path, **how: bool) -> os.stat_result:
        if str(self).endswith(LOST) and left[0]:
            left[0] -= 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(self))
        return look(self, **how)

    monkeypatch.setattr("vidaug_cli.data.listing.combine._identity", str)
    monkeypatch.setattr(Path, "stat", failing)
    assert len(scan(videos, cache=False).rows) == 36
    left[0] = 99
    found = scan(videos, cache=False)
    assert found.quarantined == [(LOST, "could not be read this time: Stale file handle")]
    assert isinstance(found.quarantined[0], ThisTime)


# Mended videos


def test_a_mended_video_is_tried_when_asked_and_with_another_row_it_is_another_plan(
    videos: Path, tmp_path: Path
) -> None:
    first, out, lost = tmp_path / "first.jsonl", tmp_path / "out", videos / LOST
    good = lost.read_bytes()
    assert vidaug("scan", videos, "-o", first, "-q").code == 0
    words = ["-o", out, *WORDS]
    assert vidaug("augment", first, "-o", tmp_path / "whole", *WORDS).code == 0
    lost.write_bytes(good[: len(good) // 2])
    assert vidaug("augment", first, *words).code == 3
    left_out = files(out)
    write_video(lost, frames=14)  # mended, and not what it was
    assert vidaug("scan", videos, "-o", tmp_path / "second.jsonl", "-q").code == 0
    other = vidaug("augment", tmp_path / "second.jsonl", *words, "--retry-failed")
    assert other.code == 1
    assert "holds the shards of another plan, made from other videos (1 added, 1 removed); choose" in other.err
    assert files(out) == left_out
    lost.write_bytes(good)  # mended, and what it was
    assert vidaug("scan", videos, "-o", tmp_path / "third.jsonl", "-q").code == 0
    assert vidaug("augment", tmp_path / "third.jsonl", *words).code == 3  # nobody asked
    assert files(out) == left_out
    assert vidaug("augment", tmp_path / "third.jsonl", *words, "--retry-failed").code == 0
    assert files(out) == files(tmp_path / "whole")


def test_what_is_tried_again_in_vain_this_time_stays_as_it_is(plan: Plan, tmp_path: Path, disk_fault: Fault) -> None:
    out, lost = tmp_path / "out", Path(plan.rows[0].root, LOST)
    lost.write_bytes(b"not a video any more")
    run(plan, out, Engine())
    before = files(out)
    lost.touch()  # else the decoding process knows what its bytes are
    disk_fault(LOST, errno.EIO, 99)
    report = run(plan, out, Engine(), retry_failed=True)
    assert how_many(report) == (35, 1, 1)
    assert files(out) == before


# What counts as what


def test_errors_of_the_machine_pass_and_those_of_a_name_last() -> None:
    passing = "EIO ESTALE EMFILE ENFILE ENOMEM ETIMEDOUT EAGAIN ENOTCONN EHOSTDOWN EHOSTUNREACH ENOENT EACCES ENOBUFS"
    for name in passing.split():
        assert passes(OSError(getattr(errno, name), ""))
    assert passes(MemoryError())
    for name in ["ENAMETOOLONG", "ELOOP", "ENOTDIR", "EISDIR", "EINVAL"]:
        assert not passes(OSError(getattr(errno, name), ""))
    assert not passes(ValueError())


def test_a_disk_that_fails_under_the_index_of_a_file_is_no_fault_of_the_file(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg calls an MP4 file invalid then."""
    path, real = make_video("v.mp4"), Path.open

    def invalid(*_: object, **__: object) -> Any:
        raise av.error.InvalidDataError(-0x41444E49, "Invalid data", "v.mp4")

    def failing(self: Path, *args: Any, **how: Any) -> Any:
        file = real(self, *args, **how)
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        return File(file)

    class File:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> File:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def read(self, count: int) -> bytes:
            if count > 256:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return bytes(self.file.read(count))

    monkeypatch.setattr(av, "open", invalid)
    with pytest.raises(VideoError, match="is a damaged or cut MP4 or MOV file") as caught:
        probe(path)
    assert not caught.value.passing
    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(VideoError, match="cannot be read: Stale file handle") as caught:
        probe(path)
    assert caught.value.passing


PASSING, BROKEN = VideoError("is slow", passing=True), VideoError("is broken")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([7], 7),
        ([PASSING, 7], 7),
        ([BROKEN, 7], 7),  # FFmpeg said so of a disk that failed for a moment
        ([PASSING, PASSING, 7], 7),
        ([BROKEN, BROKEN], "is broken"),
        ([BROKEN, PASSING, BROKEN], "is broken"),
        ([BROKEN, VideoError("is cut"), VideoError("is odd")], "is odd"),
        ([PASSING] * 3, f"{GAVE_UP}is slow"),
        ([BROKEN, PASSING, PASSING], f"{GAVE_UP}is slow"),
        ([CrashError("crashed")] * 3, "crashed"),
        ([CrashError("crashed"), CrashError("crashed"), 7], 7),
        ([CrashError("crashed"), PASSING, CrashError("crashed")], f"{GAVE_UP}crashed"),
        ([-3, -3], -3),  # an odd answer counts when it comes again
        ([-3, 20], 20),
        ([-3, PASSING, -3], -3),
    ],
)
def test_two_tries_have_to_agree_on_a_fault(answers: Sequence[int | VideoError], expected: int | str) -> None:
    asked: list[int] = []

    def attempt(more: int) -> int:
        asked.append(more)
        answer = answers[len(asked) - 1]
        if isinstance(answer, VideoError):
            raise answer
        return answer

    def doubt(answer: int) -> int | None:
        return answer if answer < 0 else None

    if isinstance(expected, int):
        assert settle(attempt, lambda _: False, doubt) == expected
    else:
        with pytest.raises(VideoError) as caught:
            settle(attempt, lambda _: False, doubt)
        assert (str(caught.value), caught.value.passing) == (expected, expected.startswith(GAVE_UP))
    assert asked == [1, 2, 4][: len(answers)]


def test_a_closed_guard_tries_no_more(make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "PAUSES", (60.0, 60.0))
    guard, said = Guard(), list[str]()

    def read() -> None:
        try:
            guard.probe(Path("/nowhere/at/all.mp4"))
        except VideoError as error:
            said.append(error.what)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(3)
    assert thread.is_alive()
    guard.close()
    thread.join(20)
    assert said == ["could not be read this time, at try 1 of 3: cannot be read: No such file or directory"]


def test_a_decoder_killed_while_it_starts_is_started_again(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, start = [2], subprocess.Popen

    def killed(*args: Any, **how: Any) -> subprocess.Popen[bytes]:
        process = start(*args, **how)
        if left[0]:
            left[0] -= 1
            process.kill()
        return process

    monkeypatch.setattr(subprocess, "Popen", killed)
    with Guard() as guard:
        assert guard.probe(make_video()).frames == 20
    assert left == [0]


def test_what_key_frames_are_known_by_is_the_same_in_any_process(make_video: MakeVideo) -> None:
    """The process that looked first may have been killed before the other look."""
    code = (
        "import sys; from pathlib import Path; from vidaug_cli.data.video.decoder import open_video\n"
        "from vidaug_cli.data.video.limits import LIMITS; from vidaug_cli.data.video.keyframes import seen\n"
        "with open_video(Path(sys.argv[1]), LIMITS) as video: print([seen(frame) for frame in video.frames()])"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code, str(make_video())], env=os.environ | {"PYTHONHASHSEED": seed}, text=True,
            check=True, capture_output=True,
        ).stdout
        for seed in "12"
    ]  # fmt: skip
    assert said[0] == said[1]
