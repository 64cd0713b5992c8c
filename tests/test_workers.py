"""Processes where there can be some, and one process with a word where there can be none."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from console import vidaug

from vidaug_cli import workers
from vidaug_cli.errors import VidaugError
from vidaug_cli.files import alive
from vidaug_cli.workers import at_once, in_processes, why_alone

SCRIPT = Path(sys.executable).with_name("vidaug")
FADE = ["--frames", "8", "--size", "32", "-r", "fademixup", "--copies", "2", "--clips-per-shard", "32"]
LIMIT = 120  # seconds: a hang is a failure, not a wait for ever


def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def doubled(count: int, number: int = 2) -> list[int]:
    return sorted(value for value, _ in in_processes(double, [(i,) for i in range(count)], number))


def pids(count: int, number: int = 2) -> set[int]:
    return {pid for _, pid in in_processes(double, [(i,) for i in range(count)], number)}


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("[0-9]*/*"))}


@pytest.fixture(scope="module")
def whole(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole") / "out"
    assert vidaug("augment", video_folder, "-o", out, *FADE, "-j", "1", "-q").code == 0
    return shards(out)


def test_workers_are_other_processes_and_are_gone_afterwards() -> None:
    found = pids(50)
    assert os.getpid() not in found
    for pid in found:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_an_error_of_a_worker_arrives() -> None:
    with pytest.raises(TypeError):
        list(in_processes(double, [("a", "b"), (1,)], 2))


def test_threads_have_workers_of_their_own() -> None:
    """Ending one thread's workers ends no other's: joblib's pool is shared by all."""
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(doubled, (8, 40, 80), timeout=LIMIT))
    assert found == [[2 * i for i in range(count)] for count in (8, 40, 80)]


def test_within_somebody_elses_worker() -> None:
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(doubled, 10).result(LIMIT) == [2 * i for i in range(10)]


def test_within_joblib_of_any_kind() -> None:
    from joblib import Parallel, delayed

    for backend in ("threading", "loky"):
        assert Parallel(2, backend=backend)(delayed(doubled)(4) for _ in range(2)) == [[0, 2, 4, 6]] * 2
    assert threading.active_count() < 50


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_within_a_pool_of_multiprocessing_it_works_in_one_process(
    video_folder: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        code, err = pool.apply_async(augmented, (video_folder, tmp_path / "out")).get(LIMIT)
    assert code == 0
    assert err.count("works in one process: it is itself a worker of multiprocessing, which may have none\n") == 1
    assert shards(tmp_path / "out") == whole


def augmented(folder: Path, out: Path) -> tuple[object, str]:
    done = vidaug("augment", folder, "-o", out, *FADE, "-j", "2")
    return done.code, done.err


@pytest.mark.parametrize("command", ["augment", "verify"])
def test_where_joblib_is_told_to(video_folder: Path, whole: dict[str, bytes], tmp_path: Path, command: str) -> None:
    out = tmp_path / "out"
    words = ["augment", video_folder, "-o", out, *FADE]
    if command == "verify":
        assert vidaug(*words, "-j", "1", "-q").code == 0
        words = ["verify", out]
    for more, said in ([], 1), (["-q"], 0):
        done = subprocess.run(
            [SCRIPT, *map(str, words), "-j", "2", *more],
            env=os.environ | {"JOBLIB_MULTIPROCESSING": "0"},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("works in one process: JOBLIB_MULTIPROCESSING is 0\n") == said
        assert "Warning" not in done.stderr
    assert shards(out) == whole


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can take /dev/shm away")
def test_without_dev_shm(video_folder: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """A mount that only this command sees: /dev/shm is there, and cannot be written."""
    line = 'mount -t tmpfs -o ro none /dev/shm && exec "$@"'
    probe = subprocess.run(["unshare", "-m", "sh", "-c", line, "sh", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no mount may be made here")
    command = [SCRIPT, "augment", video_folder, "-o", tmp_path / "out", *FADE, "-j", "2"]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", line, "sh", *map(str, command)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "works in one process: the system gives no semaphores (" in done.stderr
    assert "Warning" not in done.stderr
    assert shards(tmp_path / "out") == whole


def test_the_library_warns_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLIB_MULTIPROCESSING", "0")
    with pytest.warns(RuntimeWarning, match="works in one process: JOBLIB_MULTIPROCESSING is 0"):
        assert pids(4) == {os.getpid()}


def test_no_semaphores(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(38, "Function not implemented")

    assert why_alone() == ""
    monkeypatch.setattr("multiprocessing.get_context", lambda kind: type("", (), {"Lock": refuse}))
    assert why_alone().startswith("the system gives no semaphores ([Errno 38] Function not implemented)")


def test_one_worker_or_none_to_spare_needs_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLIB_MULTIPROCESSING", "0")
    started = time.monotonic()
    assert doubled(4, 1) == [0, 2, 4, 6]
    assert doubled(1, 8) == [0]
    assert time.monotonic() - started < 1


def slow(number: int, seconds: float) -> tuple[int, dict[str, str | None]]:
    time.sleep(seconds)
    return os.getpid(), {name: os.environ.get(name) for name in workers.ONE_THREAD}


def suicide() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def gone(pids: set[int]) -> bool:
    """Whether none of these processes is left, within some seconds."""
    for _ in range(100):
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def test_libraries_in_workers_have_one_thread_each() -> None:
    (found,) = {tuple(env.values()) for _, env in in_processes(slow, [(i, 0) for i in range(4)], 2)}
    assert found == ("1", "1", "1")


def test_closing_ends_workers_in_the_middle_of_their_work() -> None:
    results = in_processes(slow, [(i, 0 if i == 0 else 600) for i in range(4)], 2)
    pid, _ = next(results)
    started = time.monotonic()
    assert isinstance(results, Generator)
    results.close()
    assert time.monotonic() - started < 20
    assert gone({pid})


def test_an_error_ends_the_other_workers() -> None:
    with pytest.raises(TypeError):
        list(in_processes(slow, [(1, "x"), (2, 600), (3, 600)], 2))


def test_a_killed_worker_is_said_in_a_line() -> None:
    with pytest.raises(VidaugError, match="a worker process was killed, perhaps because memory ran out; take fewer"):
        list(in_processes(suicide, [(), ()], 2))


def in_steps(seconds: float, steps: int, fault: str = "") -> Generator[float, None, int]:
    """Take so long in so many steps, in whatever process this is; note if ended early."""
    try:
        for step in range(steps):
            time.sleep(seconds / steps)
            yield (step + 1) / steps
        if fault:
            raise ValueError(fault)
    except GeneratorExit:
        ENDED.append(os.getpid())
        raise
    return os.getpid()


def in_one(seconds: float, steps: int, fault: str = "") -> int:
    return at_once(in_steps, seconds, steps, fault)


ENDED: list[int] = []


def test_this_process_is_at_work_while_others_start() -> None:
    """It does the first tasks, and gets results of the others between the steps of its own."""
    found = list(in_processes(in_one, [(0.1, 10)] * 40, 2, beside=in_steps))
    assert found[0] == os.getpid()
    assert len(found) == 40
    others = set(found) - {os.getpid()}
    assert len(others) == 1
    assert gone(others)
    assert 10 <= found.count(os.getpid()) <= 35


@pytest.mark.parametrize("workers", [1, 3])
def test_one_can_watch_how_far_the_tasks_at_work_are(workers: int) -> None:
    """Those of other processes, too; what is finished is not among them."""
    told: list[float] = []
    found = list(in_processes(in_one, [(3.0, 30)] * workers, workers, beside=in_steps, watch=told.append))
    assert len(found) == workers
    assert (0.9 if workers == 1 else 1) < max(told) <= workers  # of several: more than one process does
    assert len(set(told)) > 20
    assert told[-1] <= max(told) - 0.5


def test_tasks_of_two_workers_with_this_process_are_each_done_once() -> None:
    for count in (1, 2, 3, 5):
        assert len(list(in_processes(in_one, [(0.0, 1)] * count, 3, beside=in_steps))) == count


@pytest.mark.parametrize("faulty", [("x", 1), (0.0, 1, "on purpose")])
def test_an_error_elsewhere_ends_the_task_of_this_process_soon(faulty: tuple[object, ...]) -> None:
    ENDED.clear()
    started = time.monotonic()
    with pytest.raises((TypeError, ValueError)):  # the first task is another process's, the second is ours
        list(in_processes(in_one, [faulty, (600.0, 60_000)], 2, beside=in_steps))
    assert [os.getpid()] == ENDED
    assert time.monotonic() - started < 30


def test_a_killed_worker_ends_the_task_of_this_process_soon() -> None:
    ENDED.clear()
    with pytest.raises(VidaugError, match="a worker process was killed"):
        list(in_processes(suicide_unless, [(os.getpid(),)] * 2, 2, beside=lambda _: in_steps(600, 60_000)))
    assert [os.getpid()] == ENDED


def suicide_unless(pid: int) -> int:
    if os.getpid() != pid:
        suicide()
    return pid


def test_an_error_of_this_process_ends_the_others() -> None:
    with pytest.raises(ValueError, match="on purpose"):
        list(in_processes(slow, [(1, 600), (2, 600)], 2, beside=lambda *_: in_steps(0, 1, "on purpose")))


JOB = """
import test_workers, sys
from vidaug_cli.workers import in_processes
if __name__ == "__main__":
    for pid, _ in in_processes(test_workers.slow, [(i, 0 if i == 0 else 600) for i in range(4)], 2):
        print(pid, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_main_process(tmp_path: Path, number: int) -> None:
    """Ctrl-C goes to all of a terminal's processes at once, and only the main one says something."""
    (tmp_path / "job.py").write_text(JOB)
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, str(tmp_path / "job.py")]
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=LIMIT)
    assert gone({pid})
    assert err.count("Traceback") == (number == signal.SIGINT)


def test_tasks_are_taken_as_they_are_needed() -> None:
    taken = []

    class Tasks(list[tuple[int]]):
        def __iter__(self) -> Iterator[tuple[int]]:
            for task in super().__iter__():
                taken.append(task)
                yield task

    results = in_processes(double, Tasks([(i,) for i in range(50)]), 2)
    next(results)
    assert len(taken) <= 8
    assert isinstance(results, Generator)
    results.close()


@pytest.mark.parametrize("number", workers.ENDING)
def test_nothing_breaks_off_the_start_of_a_process(number: int) -> None:
    """A worker that was sent half of what it needs shows a traceback. The signal may come to another thread."""
    order, ended, before = list[str](), threading.Event(), signal.getsignal(number)
    threading.Thread(target=ended.wait).start()
    signal.signal(number, lambda *_: order.append("told"))
    try:
        with workers._undisturbed():
            os.kill(os.getpid(), number)
            time.sleep(0.05)
            order.append("started")
        assert order == ["started", "told"]
    finally:
        ended.set()
        signal.signal(number, before)
