"""How far a folder is: counted from what lies there, by a reader that changes nothing and waits for nobody."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from console import vidaug
from test_at_work import started, until
from test_locks import AWAY, left
from test_parts import NOBODY, WORDS, files

from vidaug_cli.augment.claims import holders, lock_path
from vidaug_cli.augment.lock import LOST, machine
from vidaug_cli.augment.status import status
from vidaug_cli.data.shard.format import DoneRecord, done_path, finished_shards, shard_path
from vidaug_cli.errors import ShardError
from vidaug_cli.files import HOST

COPIES = 6


@pytest.fixture
def out(video_folder: Path, tmp_path: Path) -> Path:
    """A third of six shards of 36 clips."""
    assert vidaug(*words_of(video_folder, tmp_path / "out"), "--part", "1/3").code == 0
    return tmp_path / "out"


def words_of(videos: Path, out: Path) -> list[object]:
    return ["augment", videos, "-o", out, *WORDS, "--copies", COPIES]


def told(out: Path, shards: int = COPIES) -> dict[str, Any]:
    done = vidaug("status", out, "--json")
    assert (done.code, done.err) == (0, "")
    (found,) = done.result["folders"]
    assert found["done"] + found["running"] + found["waiting"] + found["missing"] == found["shards"] == shards
    return dict(found)


def test_a_part_is_done(out: Path, video_folder: Path) -> None:
    found = told(out)
    assert (found["done"], found["missing"], found["missing_shards"]) == (2, 4, "0,2-3,5")
    assert (found["clips"], found["planned_clips"]) == (72, COPIES * 36)
    assert found["bytes"] == sum(path.stat().st_size for path in finished_shards(out).values())
    assert (found["rate"], found["seconds_left"], found["at_work"], found["left_out"]) == (None, None, [], [])
    text = vidaug("status", out).out.splitlines()
    assert text[0].startswith(f"{out}: 2 of 6 shards done, 4 missing; 72 of 216 clips, ")
    assert text[1:] == ["this makes what is missing:", *(f"  {line}" for line in found["commands"])]
    typed = shlex.join(map(str, words_of(video_folder, out)[1:]))
    assert found["commands"] == [f"cd {Path.cwd()} && vidaug augment --part {part}/3 {typed}" for part in (0, 2)]


def test_the_lines_make_what_is_missing_and_nothing_else(out: Path, tmp_path: Path, video_folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished_shards(out).values()}
    vidaug(*words_of(video_folder, tmp_path / "alone"))
    environment = os.environ | {"PATH": f"{program(tmp_path)}:{os.environ['PATH']}"}
    for line in told(out)["commands"]:
        subprocess.run(["sh", "-ec", line], env=environment, check=True, capture_output=True, cwd="/")
    found = told(out)
    assert (found["done"], found["commands"]) == (COPIES, [])
    assert files(out) == files(tmp_path / "alone")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def program(folder: Path) -> Path:
    """A folder with a `vidaug` in it."""
    script = folder / "bin/vidaug"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(Path.cwd()))} exec {sys.executable} -m vidaug_cli "$@"\n'
    )
    script.chmod(0o755)
    return script.parent


def test_who_is_at_work(out: Path) -> None:
    """A live one of here, a dead one of here, one of another machine, and one that is lost."""
    here = replace(AWAY, host=HOST, machine=machine(), pid=os.getppid(), born="", part="0/3")
    left(lock_path(out, 0), here, 5)
    left(lock_path(out, 2), replace(here, pid=NOBODY, part="2/3"))
    left(lock_path(out, 5), replace(AWAY, part="2/3"), LOST * 2)
    found = told(out)
    assert (found["running"], found["waiting"], found["missing_shards"]) == (1, 1, "2,5")
    assert [(each["pid"], each["shards"], each["part"]) for each in found["at_work"]] == [(os.getppid(), "0", "0/3")]
    assert len(found["commands"]) == 1
    assert "--part 2/3" in found["commands"][0]
    left(lock_path(out, 5), replace(AWAY, part="2/3", since="2026-01-02 03:04:06"), 60)
    left(lock_path(out, 2), replace(AWAY, part="2/3"), 20)
    found = told(out)
    assert (found["running"], found["waiting"], found["missing"], found["commands"]) == (3, 1, 0, [])
    away = found["at_work"][1]
    assert (away["host"], away["pid"], away["since"], away["shards"]) == ("node7", 7, "2026-01-02 03:04:05", "2,5")
    assert 19.9 <= away["silent"] < 60  # the other lock says so; file times are a tick late
    text = vidaug("status", out).out
    assert "2 of 6 shards done, 3 being made, 1 wait for their turn; 72 of 216 clips" in text
    assert "at work: process 7 of node7, part 2/3, since 2026-01-02 03:04:05: shards 2,5; last sign of life " in text
    left(lock_path(out, 1), AWAY)  # of a shard that is done by now
    assert told(out)["running"] == 3


def test_a_whole_run_will_come_to_all(video_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with started(*words_of(video_folder, out), "-q") as run:
        until(lambda: len(holders(out)) > 0)
        run.send_signal(signal.SIGSTOP)
        found = status(out)
        assert (found.missing, found.commands) == (0, ())
        assert [each.part for each in found.at_work] == ["0/1"]


def test_the_rate_is_that_of_the_last_shards(out: Path) -> None:
    """They came 20 seconds apart, after a pause of a day; four are left of 36 clips each."""
    left(lock_path(out, 0), replace(AWAY, part="0/1"))
    for shard, seconds in ((1, 0), (4, 20)):
        os.utime(done_path(shard_path(out, shard)), (1e9 + seconds,) * 2)
    found = told(out)
    assert found["rate"] == pytest.approx(36 / 20)
    assert found["seconds_left"] == pytest.approx(4 * 20)
    assert "1.8 clips/s, about 1 min 20 s left\n" in vidaug("status", out).out
    os.utime(done_path(shard_path(out, 1)), (1e9 + 20,) * 2)
    assert told(out)["rate"] is None
    lock_path(out, 0).unlink()
    os.utime(done_path(shard_path(out, 1)), (1e9,) * 2)
    assert told(out)["rate"] is None  # nobody is at work


def test_what_was_left_out_is_told_with_its_reason(video_folder: Path, tmp_path: Path) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    shutil.copytree(video_folder, videos)
    vidaug("scan", videos, "-o", tmp_path / "m.jsonl", "-q")
    (videos / "class_1/video_04.avi").write_bytes(b"not a video any more")
    assert vidaug(*words_of(tmp_path / "m.jsonl", out)).code == 3
    (left_out,) = told(out)["left_out"]
    assert (left_out["path"], left_out["clips"]) == ("class_1/video_04.avi", COPIES)
    text = vidaug("status", out).out
    assert f"left out: 1 video, 6 clips\n  class_1/video_04.avi: {left_out['reason']}\n" in text
    listed = (out / "failures.jsonl").read_text()
    assert len(listed.splitlines()) == COPIES
    for command in ("status", "inspect", "verify"):  # whoever reads writes it, where it is not there
        (out / "failures.jsonl").unlink()
        assert vidaug(command, out).code == 0
        assert (out / "failures.jsonl").read_text() == listed


def test_a_shard_of_another_length_is_missing_and_a_damaged_record_is_told(out: Path) -> None:
    with shard_path(out, 1).open("ab") as file:
        file.write(b"x")
    assert told(out)["missing_shards"] == "0-3,5"
    for text in ("", "[]", "{}", '{"failures": 3}', '{"failures": [], "shard": 4, "bytes": 1}'):
        done_path(shard_path(out, 4)).write_text(text)
        with pytest.raises(ShardError, match="does not say that a shard is done"):
            status(out)
    shard_path(out, 1).unlink()
    done_path(shard_path(out, 4)).unlink()
    assert told(out)["done"] == 0


def test_each_part_of_a_folder_is_told(out: Path) -> None:
    shutil.copytree(out, out / "part-001")
    shard_path(out / "part-001", 1).unlink()
    found = vidaug("status", out, "--json").result["folders"]
    assert [(each["source"], each["done"]) for each in found] == [(str(out), 2), (str(out / "part-001"), 1)]
    assert f"\n{out / 'part-001'}: 1 of 6 shards done" in vidaug("status", out).out


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    done = vidaug("status", tmp_path)
    assert done.code == 1
    assert "holds no plan.json; name a folder written by 'vidaug augment'" in done.err


def test_without_a_command_it_says_what_to_do(out: Path) -> None:
    (out / "command.json").unlink()
    assert vidaug("status", out).out.endswith("the command that began it makes what is missing\n")


def test_it_changes_nothing_and_loads_no_torch(out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    left(lock_path(out, 2), replace(AWAY, part="2/3"), LOST * 2)
    told(out)
    lock_path(out, 2).unlink()
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    code = "import sys; from pathlib import Path; from vidaug_cli.augment.status import status\n"
    code += "print(status(Path(sys.argv[1])).done, {'torch', 'av'} & set(sys.modules))"
    words = [sys.executable, "-c", code, str(out)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "2 set()\n"


def test_a_hundred_thousand_shards_take_seconds(video_folder: Path, tmp_path: Path) -> None:
    """Measured against reading as many small files, which is the least that it can take; here a tenth of them."""
    out, shards = tmp_path / "out", 10_000
    words = ["augment", video_folder, "-o", out, *WORDS, "--copies", shards, "--part", f"0/{shards}", "-q"]
    assert vidaug(*words).code == 0
    record = DoneRecord(shard=0, bytes=3, xxh3="0" * 32, clips=36, failures=())
    for shard in range(1, shards):
        path = shard_path(out, shard)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"abc")
        text = json.dumps({"format": "vidaug", "version": 1} | asdict(replace(record, shard=shard)), indent=1)
        done_path(path).write_text(text)
    began = time.process_time()
    for path in out.glob("*/*.json"):
        path.read_bytes()
    least, began = time.process_time() - began, time.process_time()
    found = status(out)
    assert (found.done, found.clips) == (shards, shards * 36)
    assert time.process_time() - began < 12 * least
