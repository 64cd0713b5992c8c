"""Processes beside each other in one folder, and what failed tried again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from console import vidaug

from vidaug_cli.augment import output
from vidaug_cli.augment.claims import claim_shards
from vidaug_cli.augment.part import Part
from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import Report, run
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.format import DoneRecord, Failure, done_path, read_done, shard_path
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.errors import OccupiedError, VidaugError, VideoError
from vidaug_cli.files import HOST, abandoned, leftovers, temporary_beside
from vidaug_cli.recipe.loading import load_recipe

SPEC = ClipSpec(frames=8, size=32)
WORDS = [
    "-r",
    "fademixup",
    "--frames",
    "8",
    "--size",
    "32",
    "--clips-per-shard",
    "48",
    "--copies-per-round",
    "1",
    "-j",
    "1",
]
NOBODY = 2**22 + 1  # a number that Linux gives to no process


def plan_of(folder: Path, copies: int = 4, recipe: str = "fademixup") -> Plan:
    """Of the 36 videos: a shard for each copy."""
    rows = tuple(read_input(str(folder)).rows)
    return Plan(rows=rows, recipe=load_recipe(recipe), spec=SPEC, copies=copies, copies_per_round=1, clips_per_shard=48)


def rendered(plan: Plan, out: Path, part: str = "0/1", **how: Any) -> Report:
    return run(plan, out, Engine(), part=Part.parse(part), **how)


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("[0-9]*/*"))}


def listed(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]


@pytest.fixture
def videos(video_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(video_folder, tmp_path / "videos"))


def test_parts_started_at_once_lose_nothing(videos: Path, tmp_path: Path) -> None:
    """Four parts with six unreadable videos each, on a folder that is not there yet, eight times."""
    plan = plan_of(videos)
    for number in range(6):
        (videos / f"class_{number % 3}/video_{number:02d}.avi").write_bytes(b"not a video any more")
    whole = rendered(plan, tmp_path / "whole")
    assert (len(whole.failures), whole.listed) == (24, True)
    for trial in range(8):
        out, together = tmp_path / f"out{trial}", Barrier(4)

        def one(index: int, out: Path = out, together: Barrier = together) -> Report:
            together.wait()
            return rendered(plan, out, f"{index}/4")

        with ThreadPoolExecutor(4) as pool:
            reports = list(pool.map(one, range(4)))
        assert files(out) == files(tmp_path / "whole")
        assert len(listed(out)) == 24
        assert listed(out) == listed(tmp_path / "whole")
        assert [len(report.failures) for report in reports] == [6] * 4  # each says its own
        assert any(report.listed for report in reports)
        assert sorted(path.name for path in out.iterdir()) == [
            "000", "failures.jsonl", "manifest.index", "manifest.jsonl", "plan.json",
        ]  # fmt: skip


def test_a_part_says_what_it_left_out_before_the_others_are_there(videos: Path, tmp_path: Path) -> None:
    plan = plan_of(videos, copies=2)
    (videos / "class_0/video_00.avi").write_bytes(b"no")
    report = rendered(plan, tmp_path / "out", "1/2")
    assert "1 clip left out:\n  class_0/video_00.avi: " in report.text
    assert not (tmp_path / "out/failures.jsonl").exists()
    report = rendered(plan, tmp_path / "out", "0/2")
    assert f"1 clip left out, as {tmp_path / 'out/failures.jsonl'} lists:" in report.text
    assert len(listed(tmp_path / "out")) == 2


def test_what_lies_there_already_and_is_equal_is_not_written_again(video_folder: Path, tmp_path: Path) -> None:
    plan, out = plan_of(video_folder, copies=2), tmp_path / "out"
    rendered(plan, out, "0/2")
    before = {name: (out / name).stat().st_ino for name in ("plan.json", "manifest.jsonl")}
    rendered(plan, out, "1/2")
    assert {name: (out / name).stat().st_ino for name in before} == before


def test_the_same_command_twice_at_once(video_folder: Path, tmp_path: Path) -> None:
    """The second says so in a line and stops; the first ends as if it had been alone."""
    out = tmp_path / "out"
    words = ["augment", str(video_folder), "-o", str(out), *WORDS, "--copies", "12"]
    first = subprocess.Popen([sys.executable, "-m", "vidaug_cli", *words], stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    while not list(out.glob("[0-9]*/*.json")):
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    again, part = vidaug(*words), vidaug(*words, "--part", "1/4")
    other = vidaug(*words[:-1], "3", "--overwrite")
    first.send_signal(signal.SIGCONT)
    for done in (again, part, other):
        assert done.code == 1
        start, _, end = done.err.partition(", since ")
        assert start.endswith(f"vidaug: error: {out}: is being written by process {first.pid}")
        assert end.endswith("; --wait waits until it has ended, and --join makes other shards beside it\n")
    assert first.wait(60) == 0, first.stderr.read()
    first.stderr.close()
    alone = tmp_path / "alone"
    assert vidaug(*words[:3], alone, *words[4:], "-q").code == 0
    assert files(out) == files(alone)
    assert not list(out.glob(".*"))


def test_parts_beside_each_other_overlap_or_do_not() -> None:
    for a in range(1, 7):
        for b in range(1, 7):
            for i in range(a):
                for j in range(b):
                    shared = bool(set(range(i, 60, a)) & set(range(j, 60, b)))
                    assert Part(i, a).overlaps(Part(j, b)) == shared


def test_another_part_may_be_at_work_but_not_one_with_shards_of_this(video_folder: Path, tmp_path: Path) -> None:
    plan, out = plan_of(video_folder), tmp_path / "out"
    with claim_shards(plan, out, Part(1, 4)):
        assert rendered(plan, out, "0/4").shards == 1
        assert rendered(plan, out, "0/2").shards == 2
        for part in ("1/4", "1/2", "0/1", "2/3"):
            with pytest.raises(VidaugError, match=f"is being written by process {os.getpid()}, since"):
                rendered(plan, out, part)
    assert rendered(plan, out).shards == 4


def test_overwrite_beside_a_running_part_is_refused(video_folder: Path, tmp_path: Path) -> None:
    plan, other, out = plan_of(video_folder), plan_of(video_folder, recipe="mixup"), tmp_path / "out"
    rendered(plan, out, "0/4")
    kept = files(out)
    with claim_shards(plan, out, Part(1, 4)):
        for part in ("0/4", "0/1", "2/4"):
            with pytest.raises(VidaugError, match="is being written by process"):
                rendered(other, out, part, overwrite=True)
        assert rendered(plan, out, "0/4", overwrite=True).rendered == 0  # the same plan: nothing to overwrite
    assert files(out) == kept
    assert rendered(other, out, overwrite=True).shards == 4


def test_parts_that_all_overwrite_another_plan_at_once(video_folder: Path, tmp_path: Path) -> None:
    """The first to come removes it; those that come while it works find their own plan, or are refused."""
    old, new, out = plan_of(video_folder, recipe="mixup"), plan_of(video_folder), tmp_path / "out"
    rendered(old, out)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda index: rendered(new, out, f"{index}/4", overwrite=True), range(4)))
    rendered(new, tmp_path / "alone")
    assert files(out) == files(tmp_path / "alone")


def test_temporary_files_go_only_when_their_writer_is_surely_gone(video_folder: Path, tmp_path: Path) -> None:
    plan, out = plan_of(video_folder), tmp_path / "out"
    rendered(plan, out, "0/4")
    ours, theirs = (out / f"000/.shard-0000{n}.h5.node7-12-abcd.tmp" for n in (0, 1))
    alive = temporary_beside(out / "plan.json")
    dead, away = (out / f".plan.json.{host}-{NOBODY}-abcd.tmp" for host in (HOST, "node7"))
    for path in (ours, theirs, alive, dead, away):
        path.touch()
    assert abandoned(out) == [dead]
    assert set(leftovers(out)) == {alive, dead, away}
    rendered(plan, out, "0/4")
    assert [path.exists() for path in (ours, theirs, alive, dead, away)] == [False, True, True, False, True]


def test_a_folder_without_a_plan_is_ours_only_if_it_holds_what_comes_before_one(
    video_folder: Path, tmp_path: Path
) -> None:
    plan, out = plan_of(video_folder, copies=1), tmp_path / "out"
    out.mkdir()
    for name in ("manifest.jsonl", f".plan.json.{HOST}-1-ab.tmp", ".folder.lock.gone", ".shard-00012.lock"):
        (out / name).touch()
    assert output.check_place(plan, out, overwrite=False) == []
    (out / ".shard-x.lock").touch()
    with pytest.raises(OccupiedError, match="is not empty and was not written by vidaug"):
        rendered(plan, out)


def test_parts_are_plain_numbers() -> None:
    assert Part.parse("3/12") == Part(3, 12)
    for text in (
        "²/4",
        "1/²",
        "٣/٤",
        "4/4",
        "1",
        "/",
        "-1/4",
        "1_0/20",
        " 1/2",
        "1/2 ",
        "9" * 5000 + "/2",
        "1/1" + "0" * 30,
    ):
        with pytest.raises(VidaugError, match="should be I/N, with I from 0 to N - 1; such as --part 0/4") as error:
            Part.parse(text)
        assert len(str(error.value)) < 200


# What failed, tried again


def failed(out: Path, shards: int = 1) -> list[Failure]:
    return [failure for index in range(shards) for failure in read_done(done_path(shard_path(out, index))).failures]


def test_a_missing_video_that_is_back_is_taken_when_asked(videos: Path, tmp_path: Path) -> None:
    plan, out, lost = plan_of(videos, copies=2), tmp_path / "out", videos / "class_1/video_04.avi"
    rendered(plan, tmp_path / "whole")
    away = lost.rename(tmp_path / "away.avi")
    first = rendered(plan, out)
    assert {failure.path for failure in first.failures} == {"class_1/video_04.avi"}
    assert (first.unfinished, first.clips, len(first.failures)) == ((), 70, 2)
    before = {path: path.stat().st_mtime_ns for path in out.glob("[0-9]*/*")}
    still = rendered(plan, out, retry_failed=True)
    assert (still.rendered, len(still.failures), still.clips) == (0, 2, 70)
    assert {path: path.stat().st_mtime_ns for path in out.glob("[0-9]*/*")} == before  # no byte is written
    away.rename(lost)
    assert rendered(plan, out).rendered == 0
    again = rendered(plan, out, workers=2, retry_failed=True)
    assert (again.rendered, again.failures, again.clips) == (72, (), 72)
    assert files(out) == files(tmp_path / "whole")
    assert listed(out) == []
    assert rendered(plan, out, retry_failed=True).rendered == 0


def test_a_data_set_that_is_not_there_is_no_reason_to_leave_videos_out(videos: Path, tmp_path: Path) -> None:
    """A disk that is not mounted: its folder is empty or gone."""
    plan, out, away = plan_of(videos, copies=1), tmp_path / "out", tmp_path / "away"
    rendered(plan, tmp_path / "whole")
    videos.rename(away)
    for workers in (1, 2):
        report = rendered(plan, out, workers=workers)
        assert (report.clips, report.failures) == (0, ())
        assert [each.shard for each in report.unfinished] == [0]
        assert report.unfinished[0].reason.startswith("could not be read this time, at try 3 of 3: ")
        assert files(out) == {}
        videos.mkdir(exist_ok=True)
    videos.rmdir()
    away.rename(videos)
    assert rendered(plan, out).unfinished == ()
    assert files(out) == files(tmp_path / "whole")


def test_a_reason_that_changed_is_told(videos: Path, tmp_path: Path) -> None:
    plan, out, lost = plan_of(videos, copies=1), tmp_path / "out", videos / "class_1/video_04.avi"
    lost.rename(tmp_path / "away.avi")
    rendered(plan, out)
    lost.write_bytes(b"not a video any more")
    bytes_before = shard_path(out, 0).read_bytes()
    (failure,) = rendered(plan, out, retry_failed=True).failures
    assert failure.reason == "is another video than was scanned: its bytes have changed; scan it again"
    assert failed(out) == [failure]
    assert listed(out) == [asdict(failure)]
    assert shard_path(out, 0).read_bytes() == bytes_before
    assert verify(out, workers=1)[0] == []


def test_what_does_not_pass_is_tried_again_only_when_asked(videos: Path, tmp_path: Path) -> None:
    out, video = tmp_path / "out", videos / "class_1/video_04.avi"
    manifest, good = tmp_path / "m.jsonl", video.read_bytes()
    assert vidaug("scan", videos, "-o", manifest, "-q").code == 0
    words = ["augment", manifest, "-o", out, *WORDS]
    video.unlink()
    gone = vidaug(*words)
    assert gone.code == 3
    once = "\nthe same command leaves them out again; once they are mended, --retry-failed tries them\n"
    assert gone.err.endswith(once)
    video.write_bytes(good)
    same = vidaug(*words)
    assert (same.code, len(failed(out))) == (3, 1)
    asked = vidaug(*words, "--retry-failed")
    assert (asked.code, failed(out)) == (0, [])
    assert "36 clips rendered" in asked.err


def test_on_error_fail_holds_for_what_failed_before(videos: Path, tmp_path: Path) -> None:
    plan, out = plan_of(videos, copies=1), tmp_path / "out"
    (videos / "class_1/video_04.avi").unlink()
    rendered(plan, out)
    with pytest.raises(VideoError, match=r"class_1/video_04.avi: cannot be read.*--on-error skip leaves it out"):
        rendered(plan, out, on_error="fail", retry_failed=True)
    assert len(failed(out)) == 1


def test_a_decoder_killed_once_is_as_if_it_had_not_been(
    video_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out, calls = plan_of(video_folder, copies=1), tmp_path / "out", []
    read = Guard.read_clips

    def killed_once(self: Guard, *args: Any, **how: Any) -> object:
        calls.append(1)
        if len(calls) == 9:
            self._process.kill()
            self._process.wait()
        return read(self, *args, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Guard, "read_clips", killed_once)
        report = rendered(plan, out)
    assert (report.failures, report.unfinished, report.clips) == ((), (), 36)
    rendered(plan, tmp_path / "whole")
    assert files(out) == files(tmp_path / "whole")


def test_a_shard_made_anew_is_never_beside_the_record_of_the_old_one(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two: a file of the same length with another's hash would count as finished."""
    plan, out, lost = plan_of(videos, copies=1), tmp_path / "out", videos / "class_1/video_04.avi"
    rendered(plan, tmp_path / "whole")
    away = lost.rename(tmp_path / "away.avi")
    rendered(plan, out)
    away.rename(lost)

    def killed(self: DoneRecord, path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DoneRecord, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            rendered(plan, out, retry_failed=True)
    assert not done_path(shard_path(out, 0)).exists()
    rendered(plan, out)
    assert files(out) == files(tmp_path / "whole")


# What a part weighs


def test_the_disk_has_to_hold_what_this_part_still_makes(
    video_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = plan_of(video_folder), tmp_path / "out"
    per_shard = plan.bytes // 4
    rendered(plan, out, "0/4")
    rendered(plan, out, "1/4")
    monkeypatch.setattr(output, "free_bytes", lambda out: output.RESERVE + per_shard - 10)
    with pytest.raises(VidaugError, match=r"needs about 1\.\d MB and 268 MB to spare"):
        rendered(plan, out, "2/4")  # what other parts wrote makes its own shard no smaller
    assert rendered(plan, out, "0/4").shards == 1  # nothing to do needs no room
    monkeypatch.setattr(output, "free_bytes", lambda out: output.RESERVE + per_shard)
    assert rendered(plan, out, "2/4").shards == 1
    other = plan_of(video_folder, recipe="mixup")  # four shards, in place of three
    monkeypatch.setattr(output, "free_bytes", lambda out: output.RESERVE + 2 * per_shard)
    assert rendered(other, out, overwrite=True).shards == 4


def test_a_dry_run_of_a_part_counts_that_part(
    video_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = ["augment", video_folder, "-o", out, *WORDS, "--copies", "5", "--dry-run", "--json", "-q"]
    whole, part, none = (vidaug(*words, "--part", part).made for part in ("0/1", "0/4", "7/8"))
    assert (whole["clips"], whole["shards"]) == (180, 5)
    assert (part["clips"], part["shards"]) == (72, 2)
    assert part["bytes"] == pytest.approx(whole["bytes"] * 72 / 180, abs=1)
    assert (none["clips"], none["shards"], none["bytes"], none["seconds"]) == (0, 0, 0, 0)
    monkeypatch.setattr(output, "free_bytes", lambda out: output.RESERVE + whole["bytes"] // 2)
    assert vidaug(*words, "--part", "0/4").code == 0
    done = vidaug(*words)
    assert (done.code, done.made["clips"]) == (1, 180)
    assert done.err.startswith(f"vidaug: error: {out}: needs about ")
    assert vidaug(*words, "--force").code == 0
    assert not out.exists()


def test_the_bar_of_a_part_counts_that_part(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = plan_of(videos, copies=6), tmp_path / "out"
    monkeypatch.setattr("vidaug_cli.workers.EVERY", 0)

    def said() -> list[int]:
        """Clips that are done, line by line; the bar also moves within a shard."""
        rendered(plan, out, "0/2", progress=True)
        return [
            int(done) for done in re.findall(r"^augment: (\d+) of 108 clips", capsys.readouterr().err, re.MULTILINE)
        ]

    counts = said()
    assert counts == sorted(counts)
    assert {36, 72, 108} <= {*counts} <= {*range(109)}
    for index in (2, 4):
        shard_path(out, index).unlink()
    counts = said()
    assert {72, 108} <= {*counts} <= {*range(36, 109)}


def test_threads_render_beside_each_other(video_folder: Path, tmp_path: Path) -> None:
    """Each has pixels and a decoder of its own."""
    plans = [plan_of(video_folder, copies=3, recipe=name) for name in ("fademixup", "cutmix", "mixup")]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda index: rendered(plans[index], tmp_path / f"{index}"), range(3)))
    for index, plan in enumerate(plans):
        rendered(plan, tmp_path / f"alone{index}")
        assert files(tmp_path / f"{index}") == files(tmp_path / f"alone{index}")


def test_all_of_one_class_is_said(video_folder: Path, tmp_path: Path) -> None:
    words = ["-o", tmp_path / "out", *WORDS, "--dry-run"]
    assert "of one class" not in vidaug("augment", video_folder, *words).err
    folder = tmp_path / "videos"
    shutil.copytree(video_folder / "class_1", folder / "class_1")
    one = vidaug("augment", folder, "--layout", "folders", *words)
    assert one.code == 0
    assert "all videos are of one class, 'class_1': there is nothing to tell apart; " in one.err
    assert vidaug("augment", folder, "--layout", "folders", *words, "-q").err == ""
