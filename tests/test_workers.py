"""Processes where there can be some, and one process with a word where there can be none."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from console import vidaug

from vidaug_cli import workers
from vidaug_cli.workers import in_processes, why_alone

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
    return {path.name: path.read_bytes() for path in sorted((out / "shards").iterdir())}


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
            [SCRIPT, *words, "-j", "2", *more],
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
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda kind: type("", (), {"Lock": refuse}))
    assert why_alone().startswith("the system gives no semaphores ([Errno 38] Function not implemented)")


def test_one_worker_or_none_to_spare_needs_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLIB_MULTIPROCESSING", "0")
    started = time.monotonic()
    assert doubled(4, 1) == [0, 2, 4, 6]
    assert doubled(1, 8) == [0]
    assert time.monotonic() - started < 1
