"""Faults of the machine: no room, no folder, too few files, little memory, odd clocks, another run."""

from __future__ import annotations

import importlib.util
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from console import vidaug

from faults.runs import Run, Whole, continued, files, times, wait_for

DAY = 86_400


class Mounts:
    """Mounts that only processes of a namespace see, which ends with this."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo; exec sleep infinity"], stdout=-1)
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            pytest.skip("mounting is not allowed here")
        enter = f'exec nsenter --mount=/proc/{self.process.pid}/ns/mnt sh -c \'cd "$0" && exec "$@"\' "$@"'
        self.within = ("sh", "-c", enter, "sh", str(Path.cwd()))

    def mount(self, *words: object) -> bool:
        """Run `mount`, and return whether it did what it should."""
        command = [*self.within, "mount", *map(str, words)]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0

    def seen(self, path: Path) -> Path:
        """Return the path by which we see what they see at a path."""
        return Path(f"/proc/{self.process.pid}/root{path}")

    def continued(self, whole: Whole, out: Path) -> None:
        """See `continued`, which looks from here."""
        run = Run(whole.manifest, out, "-j", 1, "-q", within=self.within)
        assert run.end() == 0, run.errors
        assert files(self.seen(out)) == whole.files
        assert not list(self.seen(out).rglob(".*"))


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    """A namespace; the test is skipped where there can be none."""
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("util-linux is not there")
    one = Mounts()
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


# No room


@pytest.mark.parametrize("number", times(1))
def test_files_may_not_be_so_large(whole: Whole, tmp_path: Path, number: int) -> None:
    room = random.Random(number).randrange(max(map(len, whole.files.values())))
    run = Run(whole.manifest, tmp_path / "out", "-j", 1 + number % 2, "-q", within=("prlimit", f"--fsize={room}:"))
    assert run.stopped()
    assert not list(run.out.rglob(".*"))
    continued(whole, run.out)


@pytest.mark.parametrize("number", times(1))
def test_the_disk_is_full(whole: Whole, tmp_path: Path, mounts: Mounts, number: int) -> None:
    out = tmp_path / "out"
    out.mkdir()
    pages = random.Random(number).randrange(1, sum(map(len, whole.files.values())) // 4096)
    assert mounts.mount("-t", "tmpfs", "-o", f"size={4 * pages}k", "none", out)
    run = Run(whole.manifest, out, "-j", 2, "-q", within=mounts.within)
    assert run.stopped()
    assert "are free; --codec jpeg or video takes far less" in run.errors
    run = Run(whole.manifest, out, "-j", 1 + number % 2, "-q", "--force", within=mounts.within)
    assert run.stopped()
    assert not list(mounts.seen(out).rglob(".*"))
    assert mounts.mount("-o", "remount,size=1g", out)
    mounts.continued(whole, out)


def test_the_folder_for_temporary_files_is_full(whole: Whole, tmp_path: Path, mounts: Mounts) -> None:
    """Nothing is written there."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    assert mounts.mount("-t", "tmpfs", "-o", "size=4k", "none", temporary)
    (mounts.seen(temporary) / "full").write_bytes(bytes(4096))
    run = Run(whole.manifest, tmp_path / "out", "-j", 2, "-q", within=mounts.within, TMPDIR=str(temporary))
    assert not run.stopped()
    assert files(run.out) == whole.files


# No right to write, no folder


@pytest.mark.parametrize("number", times(2))
def test_a_disk_that_may_only_be_read(whole: Whole, tmp_path: Path, mounts: Mounts, number: int) -> None:
    """From the beginning, or from some moment on: there, the system waits until no file is open for writing."""
    out = tmp_path / "out"
    out.mkdir()
    assert mounts.mount("--bind", out, out)
    if number % 2:
        assert mounts.mount("-o", "remount,bind,ro", out)
    run = Run(whole.manifest, out, "-j", 2, "-q", within=mounts.within)
    wait_for(random.Random(number).uniform(0.2, 0.9) * whole.seconds, run)
    while run.process.poll() is None and not mounts.mount("-o", "remount,bind,ro", out):
        time.sleep(0.002)
    if run.stopped():
        assert "Read-only file system" in run.errors
    assert mounts.mount("-o", "remount,bind,rw", out)
    mounts.continued(whole, out)


@pytest.mark.parametrize("how", ["removed", "renamed"])
@pytest.mark.parametrize("number", times(1))
def test_its_folder_goes_while_it_is_at_work(whole: Whole, tmp_path: Path, how: str, number: int) -> None:
    run, moved = Run(whole.manifest, tmp_path / "out", "-j", 2, "-q"), tmp_path / "moved"
    while not run.out.exists() and run.process.poll() is None:
        wait_for(0.01, run)
    wait_for(random.Random(f"{how} {number}").uniform(0, 0.8) * whole.seconds, run)
    if how == "renamed":
        run.out.rename(moved)
    while run.out.exists() and how == "removed":
        shutil.rmtree(run.out, ignore_errors=True)  # files may come while it is at it
    run.stopped()
    assert not run.out.exists()
    for out in (run.out, moved)[: 1 + moved.exists()]:
        continued(whole, out)


# Too few files, little memory


@pytest.mark.parametrize("number", times(2))
def test_few_files_may_be_open(whole: Whole, tmp_path: Path, number: int) -> None:
    few = random.Random(number).randrange(6, 40)
    run = Run(whole.manifest, tmp_path / "out", "-j", 1 + number % 2, "-q", within=("prlimit", f"--nofile={few}:"))
    if not run.stopped():
        assert files(run.out) == whole.files
    assert not list(run.out.rglob(".*"))
    continued(whole, run.out)


@pytest.mark.parametrize("number", times(2))
def test_little_memory_may_be_had(whole: Whole, tmp_path: Path, number: int) -> None:
    most = int(random.Random(number).uniform(0.5, 4) * 1e9)
    words, within = ("-j", 1 + number % 2, "-q"), ("prlimit", f"--as={most}:")
    run = Run(whole.manifest, tmp_path / "out", *words, within=within)
    if run.process.wait(120) == -signal.SIGSEGV:  # in the libraries that torch loads, which nobody can catch
        again = Run(whole.manifest, run.out, *words, within=within, PYTHONFAULTHANDLER="1")
        assert again.end() == -signal.SIGSEGV
        assert re.search(r"ctypes/__init__\.py.*\n.*torch/__init__\.py", again.errors)
    elif not run.stopped():
        assert files(run.out) == whole.files
    assert not list(run.out.rglob(".*"))
    continued(whole, run.out)


# Clocks


def test_files_that_are_from_the_future(whole: Whole, tmp_path: Path) -> None:
    """The clock of the disk was set back by a day after the run was killed."""
    run = Run(whole.manifest, tmp_path / "out", "-j", 2)
    while len(list(run.out.glob("[0-9]*/*.json"))) < 2:
        wait_for(0.01, run)
    run.process.kill()
    run.end()
    for path in run.out.rglob("*"):
        os.utime(path, (time.time() + DAY,) * 2)
    assert vidaug("status", run.out).code == 0
    continued(whole, run.out)


def test_a_clock_that_is_set_back_while_it_is_at_work(whole: Whole, tmp_path: Path) -> None:
    """By two days, in all processes of a run; beside another one, whose clock is right."""
    found = importlib.util.find_spec("libfaketime")
    if found is None or found.origin is None:
        pytest.skip("libfaketime is not installed")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    run = Run(whole.manifest, tmp_path / "out", "-j", 2, "-q", "--join", **faked)
    while len(list(run.out.glob("[0-9]*/*.json"))) < 2 and run.process.poll() is None:
        wait_for(0.01, run)
    clock.write_text("-2d")
    beside = Run(whole.manifest, run.out, "-j", 1, "-q", "--join")
    assert [each.stopped() for each in (run, beside)] == [False, False]
    assert files(run.out) == whole.files
    continued(whole, run.out)


# Another run


@pytest.mark.parametrize("words", [(), ("--wait",), ("--join",)])
@pytest.mark.parametrize("number", times(1))
def test_two_runs_at_once(whole: Whole, tmp_path: Path, words: tuple[str, ...], number: int) -> None:
    """They begin at nearly the same moment; one is killed later, every other time."""
    draw, out = random.Random(f"{words} {number}"), tmp_path / "out"
    runs = [Run(whole.manifest, out, "-j", 1, "-q", *words)]
    wait_for(draw.uniform(0, 0.5), runs[0])
    runs.append(Run(whole.manifest, out, "-j", 1, "-q", *words))
    if draw.random() < 0.5 and words:
        wait_for(draw.uniform(0.2, 1) * whole.seconds, runs[0])
        runs[0].process.kill()
        assert runs.pop(0).end() in (-signal.SIGKILL, 0)
    stopped = [run.stopped() for run in runs]
    assert all("is being written by process" in run.errors for run, was in zip(runs, stopped, strict=True) if was)
    assert sum(stopped) <= (not words)
    assert files(out) == whole.files
    continued(whole, out)
