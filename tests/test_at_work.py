"""Processes that want the same shards: the second stops, waits or joins in, and each shard is made by one at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from console import vidaug
from test_locks import AWAY, left
from test_parts import WORDS, files, plan_of

from vidaug_cli.augment import finish
from vidaug_cli.augment.claims import Claims, claim_shards, holders, lock_path
from vidaug_cli.augment.lock import LOST
from vidaug_cli.augment.part import WHOLE, Part
from vidaug_cli.augment.pipeline import Unfinished
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import run
from vidaug_cli.data.shard.format import DoneRecord, finished_shards, shard_path
from vidaug_cli.errors import VidaugError

COPIES = 12


@pytest.fixture(scope="module")
def alone(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run makes that nobody disturbs: twelve shards."""
    out = tmp_path_factory.mktemp("alone") / "out"
    run(plan_of(video_folder, copies=COPIES), out, Engine())
    return files(out)


@contextmanager
def started(*words: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "vidaug_cli", *map(str, words)], stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def unexpected(record: DoneRecord) -> None:
    raise AssertionError(record)


def words_of(video_folder: Path, out: Path) -> list[object]:
    return ["augment", video_folder, "-o", out, *WORDS, "--copies", COPIES]


def test_those_who_join_share_the_shards(
    video_folder: Path, tmp_path: Path, alone: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three at once; none makes what another makes or has made, and none ends before all are there."""
    plan, out, start = plan_of(video_folder, copies=COPIES), tmp_path / "out", Barrier(3)
    made: Counter[int] = Counter()
    finish_shard = finish.finish_shard

    def noted(*task: Any) -> Generator[float, None, DoneRecord | Unfinished]:
        made[task[4]] += 1
        assert lock_path(out, task[4]).exists()
        return finish_shard(*task)

    monkeypatch.setattr(finish, "finish_shard", noted)

    def one(_: int) -> tuple[int, int]:
        start.wait()
        report = run(plan, out, Engine(), when_busy="join")
        return report.rendered, len(finished_shards(out))

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(one, range(3)))
    assert made == Counter(range(COPIES))
    assert sum(rendered for rendered, _ in reports) == COPIES * 36
    assert {there for _, there in reports} == {COPIES}
    assert sum(rendered > 0 for rendered, _ in reports) > 1
    assert files(out) == alone
    assert not list(out.glob(".*"))


def test_processes_that_join_and_one_is_killed(video_folder: Path, tmp_path: Path, alone: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    words = words_of(video_folder, out)
    with started(*words, "-q") as first:
        until(lambda: len(finished_shards(out)) > 2)
        first.send_signal(signal.SIGSTOP)
        with started(*words, "--join") as second:
            until(lambda: len({holder.pid for holder in holders(out).values()}) > 1)
            first.kill()
            first.wait()
            assert second.wait(60) == 0
    assert files(out) == alone
    assert not list(out.glob(".*"))


def test_who_waits_does_what_is_left(video_folder: Path, tmp_path: Path, alone: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    words = words_of(video_folder, out)
    with started(*words, "-q") as first:
        until(lambda: len(finished_shards(out)) > 2)
        first.send_signal(signal.SIGSTOP)
        before = set(finished_shards(out))
        with started(*words, "--wait") as second:
            assert second.stderr is not None
            line = next(line for line in second.stderr if "written by" in line)
            start = f"{out}: is being written by process {first.pid}, since "
            assert line.startswith(start)
            assert line.endswith("; waits until that has ended\n")
            time.sleep(1)
            assert set(finished_shards(out)) == before
            assert {holder.pid for holder in holders(out).values()} == {first.pid}
            first.kill()
            first.wait()
            _, err = second.communicate(timeout=60)
            assert second.returncode == 0
            assert f"{(COPIES - len(before)) * 36} clips rendered" in err
    assert files(out) == alone
    assert not list(out.glob(".*"))


def test_a_lost_machine_is_taken_over(video_folder: Path, tmp_path: Path, alone: dict[str, bytes]) -> None:
    plan, out = plan_of(video_folder, copies=COPIES), tmp_path / "out"
    out.mkdir()
    path = left(lock_path(out, 3), AWAY)
    with pytest.raises(VidaugError, match="is being written by process 7 of node7, since 2026-01-02"):
        run(plan, out, Engine())
    assert set(holders(out)) == {3}
    left(path, AWAY, LOST * 2)
    assert holders(out) == {}
    run(plan, out, Engine())
    assert files(out) == alone
    assert not list(out.glob(".*"))


def test_who_joins_a_machine_that_is_lost_then_makes_its_shard(
    video_folder: Path, tmp_path: Path, alone: dict[str, bytes]
) -> None:
    plan, out, all_others = plan_of(video_folder, copies=COPIES), tmp_path / "out", Event()
    out.mkdir()
    path = left(lock_path(out, 3), AWAY)

    def lose() -> None:
        until(lambda: len(finished_shards(out)) == COPIES - 1)
        time.sleep(0.5)
        assert not shard_path(out, 3).exists()
        all_others.set()
        left(path, AWAY, LOST * 2)

    with ThreadPoolExecutor() as pool:
        losing = pool.submit(lose)
        assert run(plan, out, Engine(), when_busy="join").shards == COPIES
        losing.result()
    assert all_others.is_set()
    assert files(out) == alone


def test_another_plan_is_not_overwritten_while_anybody_is_at_work(video_folder: Path, tmp_path: Path) -> None:
    plan, other, out = plan_of(video_folder), plan_of(video_folder, recipe="mixup"), tmp_path / "out"
    run(plan, out, Engine(), part=Part(0, 4))
    kept = files(out)
    with claim_shards(plan, out, Part(1, 4)) as claims:
        assert holders(out).keys() == {1}
        for how in ("stop", "join"):
            with pytest.raises(VidaugError, match="is being written by process"):
                run(other, out, Engine(), part=Part(2, 4), overwrite=True, when_busy=how)
        assert files(out) == kept
        said: list[str] = []
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(run, other, out, Engine(), overwrite=True, when_busy="wait", say=said.append)
            until(lambda: said)
            assert files(out) == kept
            for path in out.glob(".shard-*.lock"):
                claims._locks.release(path)
            assert waiting.result().shards == 4
    assert len(said) == 1


def test_one_holds_a_shard_from_its_start_to_its_end(video_folder: Path, tmp_path: Path) -> None:
    """So whoever comes sees it: between two shards, too."""
    plan, out = plan_of(video_folder), tmp_path / "out"
    record = DoneRecord(shard=0, bytes=1, xxh3="0" * 32, clips=1, failures=())
    with claim_shards(plan, out, WHOLE) as claims:
        seen = [set(holders(out))]
        for index, _ in claims.tasks(unexpected):
            seen.append(set(holders(out)))
            claims.finish(DoneRecord(**vars(record) | {"shard": index}))
            seen.append(set(holders(out)))
        assert seen == [{0}, {0}, {0}, {0, 1}, {1}, {1, 2}, {2}, {2, 3}, {3}]
    assert holders(out) == {}


def test_shards_that_others_made_meanwhile_are_found(video_folder: Path, tmp_path: Path) -> None:
    plan, out = plan_of(video_folder), tmp_path / "out"
    found: list[DoneRecord] = []
    with claim_shards(plan, out, WHOLE, when_busy="join") as slow:
        tasks = slow.tasks(found.append)
        assert next(tasks)[0] == 0
        with claim_shards(plan, out, WHOLE, when_busy="join") as fast:
            others = fast.tasks(found.append)
            assert next(others)[0] == 1
            run(plan, out, Engine(), part=Part(2, 4), when_busy="join")
            assert [index for index, _ in tasks] == [3]
            assert [record.shard for record in found] == [2]
            assert (slow.todo, set(slow.others)) == ([1], {1})
            assert next(others, None) is None
            assert fast.todo == [0, 3]
            assert [record.shard for record in found] == [2, 2]


def test_what_a_killed_process_left_of_a_shard_goes_and_what_another_is_writing_stays(
    video_folder: Path, tmp_path: Path
) -> None:
    plan, out = plan_of(video_folder), tmp_path / "out"
    run(plan, out, Engine(), part=Part(3, 4))
    left(lock_path(out, 1), AWAY)
    temporary = [shard_path(out, index).with_name(f".shard-{index:05d}.h5.node7-12-ab.tmp") for index in range(3)]
    for path in temporary:
        path.touch()
    with claim_shards(plan, out, WHOLE, when_busy="join"):
        assert [path.exists() for path in temporary] == [False, True, False]
        assert set(holders(out)) == {0, 1}


def test_an_error_lets_all_go(video_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, out = plan_of(video_folder), tmp_path / "out"

    def broken(self: Claims, record: DoneRecord) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Claims, "finish", broken)
    with pytest.raises(KeyboardInterrupt):
        run(plan, out, Engine(), workers=2)
    assert not list(out.glob(".*"))
    assert len(finished_shards(out)) < 4


def test_either_waits_or_joins(video_folder: Path, tmp_path: Path) -> None:
    done = vidaug(*words_of(video_folder, tmp_path / "out"), "--wait", "--join")
    assert done.code == 2
    assert "give one" in done.err


def test_a_lock_says_which_part(video_folder: Path, tmp_path: Path) -> None:
    plan, out = plan_of(video_folder), tmp_path / "out"
    with claim_shards(plan, out, Part(1, 2)):
        (holder,) = holders(out).values()
        assert (holder.part, holder.pid, json.loads(lock_path(out, 1).read_text())["part"]) == (
            "1/2",
            os.getpid(),
            "1/2",
        )
        run(plan, out, Engine(), part=Part(0, 2))
        left(lock_path(out, 3), json.dumps(vars(AWAY) | {"part": "?"}).encode())
        with pytest.raises(VidaugError, match="written by process"):
            run(plan, out, Engine(), part=Part(0, 2))
