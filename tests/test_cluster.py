"""Shards made on a Dask cluster: a scheduler and two workers, processes of their own, of which some are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import write_video
from console import vidaug

from vidaug_cli import cluster
from vidaug_cli.augment.plan import read_header
from vidaug_cli.cluster import in_cluster
from vidaug_cli.errors import VidaugError, VideoError
from vidaug_cli.words import count

pytest.importorskip("distributed")

FREE = 4  # shards that no file stops
WORDS = ("-r", "fademixup", "--frames", 4, "--size", 16, "--clips-per-shard", 16, "--copies", 12, "-j", 1)


class Cluster(NamedTuple):
    """Its processes, and where it is."""

    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    address: str
    folder: Path  # of the files that stop shards: see `gated_worker`


def began(module: str, folder: Path, *words: object, lacking: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a scheduler or a worker; with `lacking`, where packages are, in an environment that has no other."""
    path = [str(lacking)] if lacking else [*sys.path, str(Path(__file__).parent)]
    environment = {
        "PYTHONPATH": os.pathsep.join(path),
        "DASK_DISTRIBUTED__LOGGING": "{}",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",  # of a task: 3 would need more workers to kill
        "VIDAUG_TEST_FOLDER": str(folder),
        "VIDAUG_TEST_FREE": str(FREE),
    }
    command = [sys.executable, *["-S"] * bool(lacking), "-m", f"distributed.cli.dask_{module}", "--no-dashboard"]
    words = (*words, "--host", "127.0.0.1")
    return subprocess.Popen(
        [*command, *map(str, words)], env=os.environ | environment, stderr=subprocess.DEVNULL, cwd=folder
    )


@contextmanager
def cluster_of(folder: Path, workers: int, *, lacking: Mapping[str, Path] | None = None) -> Iterator[Cluster]:
    """Workers of two threads each, without nannies, so that the process that is killed is the one that works."""
    file, without = folder / "scheduler.json", lacking or {}
    scheduler = began("scheduler", folder, "--port", 0, "--scheduler-file", file, lacking=without.get("scheduler"))
    while not file.exists() or not file.read_text():
        assert scheduler.poll() is None
        time.sleep(0.05)
    address = json.loads(file.read_text())["address"]
    how = ("--nthreads", 2, "--no-nanny")
    preload = () if "worker" in without else ("--preload", "gated_worker")
    at_work = [began("worker", folder, address, *how, *preload, lacking=without.get("worker")) for _ in range(workers)]
    try:
        yield Cluster(scheduler, at_work, address, folder)
    finally:
        for process in (*at_work, scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Cluster]:
    """Two workers."""
    with cluster_of(tmp_path, 2) as cluster:
        yield cluster


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


def begun(dask: Cluster, videos: Path, out: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """A run on the cluster whose first shards are there, and the others are not; and the file that has what it says."""
    (dask.folder / "closed").touch()
    words = ["augment", str(videos), "-o", str(out), *map(str, WORDS), "--scheduler", dask.address]
    said = out.with_suffix(".err")
    with said.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "vidaug_cli", *words], stderr=file)
    while len(list(out.glob("[0-9]*/*.json"))) < FREE:
        assert process.poll() is None, said.read_text()
        time.sleep(0.01)
    return process, said


def test_a_run_on_a_cluster_makes_the_same_bytes(
    dask: Cluster, videos: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    done = vidaug("augment", videos, "-o", tmp_path / "out", *WORDS, "--scheduler", dask.address, "--json")
    assert (done.code, done.made["rendered"]) == (3, 276)
    assert files(tmp_path / "out") == whole
    again = vidaug("augment", videos, "-o", tmp_path / "out", *WORDS, "--scheduler", dask.address, "--json")
    assert (again.code, again.made["rendered"]) == (3, 0)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "000", "README.md", "command.json", "croissant.json",
        "failures.jsonl", "manifest.index", "manifest.jsonl", "plan.json",
    }  # fmt: skip


def test_a_worker_that_dies_is_done_without(
    dask: Cluster, videos: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    run, _ = begun(dask, videos, tmp_path / "out")
    dask.workers[0].kill()
    (dask.folder / "closed").unlink()
    assert run.wait(120) == 3
    assert files(tmp_path / "out") == whole
    assert not list((tmp_path / "out").rglob(".*"))


def test_without_its_scheduler_a_run_ends_with_a_line_and_is_continued(
    dask: Cluster, videos: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    run, file = begun(dask, videos, tmp_path / "out")
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
    run, said = begun(dask, videos, tmp_path / "out")
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 130
    assert "Traceback" not in said.read_text()
    assert len(list((tmp_path / "out").glob("[0-9]*/*.json"))) == FREE
    (dask.folder / "closed").unlink()
    time.sleep(3)  # only what was being made then may still come
    assert len(list((tmp_path / "out").glob("[0-9]*/*.json"))) <= FREE + 4 < len(whole) // 2
    assert vidaug("augment", videos, "-o", tmp_path / "out", *WORDS, "--scheduler", dask.address).code == 3
    assert files(tmp_path / "out") == whole


def test_a_shard_that_kills_its_workers_ends_the_run_with_a_line(
    dask: Cluster, videos: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    (dask.folder / "deadly").touch()
    done = vidaug("augment", videos, "-o", tmp_path / "out", *WORDS, "--scheduler", dask.address)
    assert (done.code, done.error) == (1, "VA023")
    assert done.err.splitlines()[-1] == (
        f"vidaug: error: {dask.address}: a task was given up after it had killed 2 workers; "
        "perhaps their memory ran out: give them more, or fewer threads; the same command continues"
    )
    assert [worker.wait(20) for worker in dask.workers] == [1, 1]
    assert vidaug("augment", videos, "-o", tmp_path / "out", *WORDS).code == 3
    assert files(tmp_path / "out") == whole
    assert not list((tmp_path / "out").rglob(".*"))


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
    def end(worker: subprocess.Popen[bytes]) -> None:
        worker.kill()
        worker.wait()

    def seconds() -> Iterator[tuple[float]]:
        yield (60.0,)
        end(dask.workers[0])  # once the only task is sent

    while len({*in_cluster(os.getpid, [()] * 8, dask.address)}) < 2:  # until both are there
        pass
    end(dask.workers[1])
    monkeypatch.setattr(cluster, "WORKERS", 1.5)
    for tasks in (seconds(), [(60.0,)]):  # the last one is lost, and then there is none from the beginning
        with pytest.raises(VidaugError, match="the scheduler has no workers; start them with: dask worker tcp://"):
            list(in_cluster(time.sleep, tasks, dask.address))
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    end(dask.scheduler)
    with pytest.raises(VidaugError, match="no Dask scheduler answers; start one with 'dask scheduler'"):
        list(in_cluster(double, [(1,)], dask.address))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(VidaugError, match=r"pip install 'vidaug-cli\[dask\]'"):
        list(in_cluster(double, [(1,)], dask.address))


@pytest.mark.parametrize(
    ("who", "release", "what"),
    [
        ("worker", "", r"worker tcp://[0-9.:]+ has no vidaug-cli"),
        ("worker", "0.0.7", rf"worker tcp://[0-9.:]+ has vidaug-cli 0\.0\.7, and this is {version('vidaug-cli')}"),
        ("scheduler", "", "the cluster has no vidaug-cli"),
    ],
)
def test_a_cluster_that_lacks_vidaug(tmp_path: Path, who: str, release: str, what: str) -> None:
    """An environment with all packages of this one but ours, or with another release of that."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "vidaug" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    if release:
        about = packages / f"vidaug_cli-{release}.dist-info/METADATA"
        about.parent.mkdir()
        about.write_text(f"Metadata-Version: 2.1\nName: vidaug-cli\nVersion: {release}\n")
    hint = "install the same release in the environments of the scheduler and its workers"
    with (
        cluster_of(tmp_path, 1, lacking={who: packages}) as lacking,
        pytest.raises(VidaugError, match=f"^{lacking.address}: {what}; {hint}$"),
    ):
        list(in_cluster(count, [(2, "clip")], lacking.address))
