"""Shards made on a Dask cluster: a scheduler and two workers, processes of their own, of which some are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import write_video
from console import vidaug

from vidaug_cli import cluster
from vidaug_cli.augment.plan import read_header
from vidaug_cli.cluster import in_cluster
from vidaug_cli.errors import VidaugError, VideoError

pytest.importorskip("distributed")

WORDS = ("-r", "fademixup", "--frames", 4, "--size", 16, "--clips-per-shard", 16, "--copies", 12, "-j", 1)


class Cluster(NamedTuple):
    """Its processes, and where it is."""

    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    address: str


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Cluster]:
    """Two workers of two threads each, without nannies, so that the process that is killed is the one that works."""
    tests = Path(__file__).parent
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([*sys.path, str(tests)]),
        "DASK_DISTRIBUTED__LOGGING": "{}",
    }
    file = tmp_path / "scheduler.json"

    def start(module: str, *words: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{module}", "--no-dashboard", *map(str, words)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd=tmp_path)

    where = ("--host", "127.0.0.1")
    scheduler = start("scheduler", "--port", 0, "--scheduler-file", file, *where)
    while not file.exists() or not file.read_text():
        assert scheduler.poll() is None
        time.sleep(0.05)
    address = json.loads(file.read_text())["address"]
    workers = [start("worker", address, "--nthreads", 2, "--no-nanny", *where) for _ in range(2)]
    try:
        yield Cluster(scheduler, workers, address)
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 videos in three classes, one of them broken."""
    folder = tmp_path_factory.mktemp("cluster")
    for number in range(24):
        write_video(folder / f"videos/class_{number % 3}/{number:02d}.avi", frames=8)
    manifest = vidaug("scan", folder / "videos").out
    (folder / "manifest.jsonl").write_text(manifest)
    (folder / "videos/class_0/03.avi").write_bytes(b"no")
    return folder / "manifest.jsonl"


@pytest.fixture(scope="module")
def whole(videos: Path) -> dict[str, bytes]:
    """What one process makes."""
    assert vidaug("augment", videos, "-o", videos.parent / "whole", *WORDS).code == 3
    return files(videos.parent / "whole")


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted([*out.glob("[0-9]*/*"), out / "failures.jsonl"])}


def begun(videos: Path, out: Path, address: str) -> tuple[subprocess.Popen[bytes], Path]:
    """A run on the cluster, of which the first shards are there, and the file that has what it says."""
    words = ["augment", str(videos), "-o", str(out), *map(str, WORDS), "--scheduler", address]
    said = out.with_suffix(".err")
    with said.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "vidaug_cli", *words], stderr=file)
    while len(list(out.glob("[0-9]*/*.json"))) < 2:
        assert process.poll() is None, said.read_text()
        time.sleep(0.01)
    return process, said


def test_a_run_on_a_cluster_makes_the_same_bytes(
    dask: Cluster, videos: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    done = vidaug("augment", videos, "-o", tmp_path / "out", *WORDS, "--scheduler", dask.address, "--json")
    assert (done.code, json.loads(done.out)["rendered"]) == (3, 276)
    assert files(tmp_path / "out") == whole
    again = vidaug("augment", videos, "-o", tmp_path / "out", *WORDS, "--scheduler", dask.address, "--json")
    assert (again.code, json.loads(again.out)["rendered"]) == (3, 0)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "000", "command.json", "failures.jsonl", "manifest.index", "manifest.jsonl", "plan.json",
    }  # fmt: skip


def test_a_worker_that_dies_is_done_without(
    dask: Cluster, videos: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    run, _ = begun(videos, tmp_path / "out", dask.address)
    dask.workers[0].kill()
    assert run.wait(120) == 3
    assert files(tmp_path / "out") == whole
    assert not list((tmp_path / "out").rglob(".*"))


def test_without_its_scheduler_a_run_ends_with_a_line_and_is_continued(
    dask: Cluster, videos: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    run, file = begun(videos, tmp_path / "out", dask.address)
    dask.scheduler.kill()
    assert run.wait(120) == 1
    said = file.read_text()
    assert said.splitlines()[-1] == (
        f"vidaug: error: {dask.address}: the scheduler is gone; "
        "the same command continues, once a scheduler is there again [VA023]"
    )
    assert "Traceback" not in said
    for worker in dask.workers:
        worker.kill()
        worker.wait()
    assert vidaug("augment", videos, "-o", tmp_path / "out", *WORDS).code == 3
    assert files(tmp_path / "out") == whole
    assert not list((tmp_path / "out").rglob(".*"))


def test_ctrl_c_takes_back_what_waits(dask: Cluster, videos: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    run, said = begun(videos, tmp_path / "out", dask.address)
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 130
    assert "Traceback" not in said.read_text()
    there = len(list((tmp_path / "out").glob("[0-9]*/*.json")))
    time.sleep(3)  # only what was being made then may still come
    assert len(list((tmp_path / "out").glob("[0-9]*/*.json"))) <= there + 4 < len(whole) // 2
    assert vidaug("augment", videos, "-o", tmp_path / "out", *WORDS, "--scheduler", dask.address).code == 3
    assert files(tmp_path / "out") == whole


def test_an_error_of_a_worker_is_the_line_of_a_local_run(dask: Cluster, videos: Path, tmp_path: Path) -> None:
    words = ("augment", videos, "-o", tmp_path / "out", *WORDS, "--on-error", "fail")
    there, here = vidaug(*words, "--scheduler", dask.address), vidaug(*words)
    assert there.code == here.code == 1
    assert there.err.splitlines()[-1] == here.err.splitlines()[-1]
    assert "03.avi: " in there.err


def test_workers_may_have_other_videos_than_the_run_before(
    dask: Cluster, videos: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """They keep the plan from run to run; where the videos lie now is in the manifest of the folder."""
    words = ("-o", tmp_path / "out", *WORDS, "--scheduler", dask.address)
    gone = tmp_path / "gone"
    (videos.parent / "videos").rename(gone)
    try:
        assert vidaug("augment", videos, *words, "--root", gone).code == 3
        (path,) = (tmp_path / "out").glob("*/shard-00001.json")
        path.unlink()
    finally:
        gone.rename(videos.parent / "videos")
    assert vidaug("augment", videos, *words).code == 3
    assert files(tmp_path / "out") == whole
    assert read_header(tmp_path / "out").copies == 12


def double(number: int) -> int:
    """Return twice the number, or fail as a video may."""
    if number < 0:
        raise VideoError("is broken", where="a.avi", hint="mend it", passing=True)
    return 2 * number


def test_tasks_are_asked_for_as_they_are_done(dask: Cluster) -> None:
    asked: list[int] = []

    def tasks() -> Iterator[tuple[int]]:
        for number in range(100):
            asked.append(number)
            yield (number,)

    results = in_cluster(double, tasks(), dask.address)
    assert next(results) % 2 == 0
    assert len(asked) <= 8  # two for each thread
    assert len([*results]) == 99
    with pytest.raises(VideoError, match=r"a\.avi: is broken; mend it") as error:
        list(in_cluster(double, [(-1,)], dask.address))
    assert error.value.passing


def test_a_cluster_that_cannot_be_used(dask: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    monkeypatch.setattr(cluster, "WORKERS", 0.5)
    for worker in dask.workers:
        worker.kill()
        worker.wait()
    with pytest.raises(VidaugError, match="the scheduler has no workers; start them with: dask worker tcp://"):
        list(in_cluster(double, [(1,)], dask.address))
    dask.scheduler.kill()
    dask.scheduler.wait()
    with pytest.raises(VidaugError, match="no Dask scheduler answers; start one with 'dask scheduler'"):
        list(in_cluster(double, [(1,)], dask.address))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(VidaugError, match=r"pip install 'vidaug-cli\[dask\]'"):
        list(in_cluster(double, [(1,)], dask.address))
