"""Files that say who is at work: one has it, the dead are taken over once, and no clock of a machine counts."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Barrier

import pytest

from vidaug_cli.augment import lock
from vidaug_cli.augment.lock import LOST, RENEWED, Holder, Locks, lock_file, lock_folder, look, machine
from vidaug_cli.errors import VidaugError
from vidaug_cli.files import HOST

NOBODY = 2**22 + 1  # a number that Linux gives to no process
HOLD = (
    "import sys, time; from pathlib import Path; from vidaug_cli.augment.lock import lock_file\n"
    "with lock_file(Path(sys.argv[1])): print('held', flush=True); time.sleep(100)"
)
AWAY = Holder(host="node7", pid=7, machine="node7 5f2a", born="12", since="2026-01-02 03:04:05")
DEAD = Holder(host=HOST, pid=NOBODY, machine=machine(), born="12", since="2026-01-02 03:04:05")


def left(path: Path, holder: Holder | bytes, age: float = 0) -> Path:
    """A file that a process has left, `age` seconds ago."""
    path.write_bytes(holder if isinstance(holder, bytes) else json.dumps(asdict(holder)).encode())
    os.utime(path, (time.time() - age,) * 2)
    return path


@contextmanager
def holding(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def free(path: Path) -> bool:
    """Whether a process that wants it has it."""
    with Locks() as locks:
        return locks.take(path) is None


def test_one_process_has_it_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with lock_file(path):
        assert not free(path)
        with pytest.raises(VidaugError, match=f"is being written by process {os.getpid()}, since"), lock_file(path):
            pass
    assert not path.exists()
    assert free(path)


def test_a_holder_that_was_killed_is_taken_over_even_before_its_parent_has_buried_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with holding(path) as process:
        with pytest.raises(VidaugError, match=f"is being written by process {process.pid}, since"), lock_file(path):
            pass
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays as a zombie
        with lock_file(path):
            assert json.loads(path.read_text())["pid"] == os.getpid()
    assert not path.exists()


def test_a_stopped_holder_of_this_machine_is_alive_however_long_it_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with holding(path):
        os.utime(path, (0, 0))
        assert not free(path)


def test_another_process_of_its_number_does_not_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    own = replace(DEAD, pid=os.getpid())
    assert free(left(path, own))
    assert not free(left(path, replace(own, born=lock._born(os.getpid()))))
    assert not free(left(path, replace(own, born="")))  # a system that does not say when
    assert free(left(path, DEAD))


@pytest.mark.parametrize(
    ("age", "gone"),
    [(0, False), (RENEWED * 2, False), (LOST * 2, True), (-RENEWED * 2, False), (-LOST * 2, True), (1e9, True)],
)
def test_a_holder_of_another_machine_is_believed_as_long_as_it_renews_the_file(
    tmp_path: Path, age: float, gone: bool
) -> None:
    """A time to come is one of before the clock was set back: since then nobody has renewed it."""
    path = left(tmp_path / "x.lock", AWAY, age)
    assert free(path) is gone


def test_a_name_that_two_machines_have_is_no_proof(tmp_path: Path) -> None:
    """Such as of two containers, where process 7 of one is not that of the other."""
    assert not free(left(tmp_path / "x.lock", replace(DEAD, machine=f"{HOST} another boot")))


def test_a_process_in_a_container_is_another_machine_s(tmp_path: Path) -> None:
    """It has the name of this one, and a number that means another process here, or none."""
    words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        subprocess.run([*words, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no namespaces here")
    path = tmp_path / "x.lock"
    with subprocess.Popen([*words, sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        holder = look(path)
        assert holder is not None
        assert (holder.host, holder.pid < 10, holder.gone) == (HOST, True, False)
        process.kill()
    assert not free(path)  # from here nothing tells that it is gone
    os.utime(path, (time.time() - 2 * LOST,) * 2)
    assert free(path)


def test_what_another_machine_says_is_told(tmp_path: Path) -> None:
    with pytest.raises(VidaugError) as error, lock_file(left(tmp_path / "x.lock", AWAY, 100)):
        pass
    who = f"{tmp_path}: is being written by process 7 of node7, since 2026-01-02 03:04:05; its last sign of life was "
    assert re.fullmatch(rf"{re.escape(who)}1 min [45]\d s ago; wait until it has ended, or end it", str(error.value))


@pytest.mark.parametrize("text", [b"", b"[]", b"no json", b"\xff", b'{"pid": -1}', b'{"host": "a"}'])
def test_a_file_that_names_nobody_is_one_that_is_being_written(tmp_path: Path, text: bytes) -> None:
    path = left(tmp_path / "x.lock", text)
    with pytest.raises(VidaugError, match="is being written by another process; wait"), lock_file(path):
        pass
    assert free(left(path, text, RENEWED + 5))


def test_no_clock_of_a_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = left(tmp_path / "x.lock", AWAY)
    for wrong in (-1e6, 1e6):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
        assert not free(path)


def test_the_holder_renews_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RENEWED", 0.05)
    path = tmp_path / "x.lock"
    with Locks() as locks:
        locks.take(path)
        os.utime(path, (0, 0))
        end = time.monotonic() + 20
        while path.stat().st_mtime == 0:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert not list(tmp_path.glob(".*"))


def test_who_was_taken_for_dead_touches_nothing_of_its_heir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a laptop has slept: neither renewed nor removed."""
    monkeypatch.setattr(lock, "RENEWED", 0.05)
    path = tmp_path / "x.lock"
    with Locks() as locks:
        locks.take(path)
        left(path, AWAY, 60)
        text, seen = path.read_bytes(), path.stat().st_mtime_ns
        time.sleep(0.3)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (text, seen)


def test_many_at_once_take_over_a_dead_one_and_one_has_it(tmp_path: Path) -> None:
    """Sixteen, two hundred times; who has it finds it untouched by the others some time later."""
    path, at_once = tmp_path / "x.lock", 16

    def one(number: int, start: Barrier, delay: float) -> bool | None:
        with Locks(f"{number}/{at_once}") as locks:
            start.wait()
            time.sleep(delay)
            if locks.take(path):
                return None
            time.sleep(0.002)
            return path.read_bytes() == locks._held[path]

    with ThreadPoolExecutor(at_once) as pool:
        for trial in range(200):
            left(path, DEAD if trial % 2 else AWAY, LOST * 2)
            start, rng = Barrier(at_once), random.Random(trial)
            at_work = [pool.submit(one, number, start, rng.uniform(0, 0.002)) for number in range(at_once)]
            had = {each.result() for each in at_work} - {None}
            assert had == {True}
            assert not list(tmp_path.iterdir())


COUNT = """
import os, random, sys, time
from pathlib import Path
from vidaug_cli.augment.lock import Locks
folder, turns = Path(sys.argv[1]), int(sys.argv[2])
path, inside = folder / "x.lock", folder / "inside"
for _ in range(turns):
    while True:
        with Locks() as locks:
            if locks.take(path) is None:
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails where another is in here
                number = int((folder / "count").read_text())
                if random.random() < 0.3:
                    inside.unlink()
                    os._exit(1)  # as if killed
                (folder / "count").write_text(str(number + 1))
                inside.unlink()
                break
"""


def test_processes_that_are_killed_and_others_that_take_over_are_never_in_it_together(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    words = [sys.executable, "-c", COUNT, str(tmp_path), "8"]
    ends: Counter[int] = Counter()
    for _ in range(3):
        at_work = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(6)]
        for process in at_work:
            _, err = process.communicate(timeout=120)
            assert err == ""
            ends[process.returncode] += 1
    assert ends[1] > 0
    assert int((tmp_path / "count").read_text()) >= 8 * ends[0]
    assert not (tmp_path / "inside").exists()
    assert free(tmp_path / "x.lock")
    assert sorted(path.name for path in tmp_path.iterdir()) in (["count"], ["count", "x.lock.gone"])


def test_who_saw_a_dead_one_that_is_gone_by_now_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower of two: it wakes up once the faster one has the file."""
    path = left(tmp_path / "x.lock", DEAD)
    with Locks() as slow, Locks() as fast:
        seen: list[Holder | None] = []

        def look_slowly(at: Path) -> Holder | None:
            holder = look(at)
            if not seen:
                seen.append(holder)
                monkeypatch.undo()
                assert fast.take(path) is None
            return holder

        monkeypatch.setattr(lock, "look", look_slowly)
        other = slow.take(path)
        assert seen[0]
        assert seen[0].gone
        assert other is not None
        assert other.pid == os.getpid()
        assert path.read_bytes() == fast._held[path]
    assert not list(tmp_path.iterdir())


def test_a_taker_killed_in_the_middle_is_taken_over_too(tmp_path: Path) -> None:
    path = left(tmp_path / "x.lock", DEAD)
    left(tmp_path / "x.lock.gone", DEAD)
    left(tmp_path / "x.lock.gone.gone", AWAY, LOST * 2)
    assert free(path)
    assert not list(tmp_path.iterdir())
    left(path, DEAD)
    left(tmp_path / "x.lock.gone", AWAY)
    assert not free(path)


def test_a_folder_is_for_one_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []

    def one(_: int) -> int:
        with lock_folder(tmp_path):
            inside.append(1)
            most = len(inside)
            time.sleep(0.002)
            inside.pop()
        return most

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(40))) == {1}
    with lock_folder(tmp_path / "not there"):
        pass
    assert not list(tmp_path.iterdir())


def test_locks_are_left_where_no_more_files_can_be_open(tmp_path: Path) -> None:
    path, limits = tmp_path / "x.lock", resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        with lock_file(path):
            largest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
            resource.setrlimit(resource.RLIMIT_NOFILE, (largest + 3, limits[1]))
            with suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not path.exists()
