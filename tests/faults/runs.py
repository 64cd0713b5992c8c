"""Runs that are broken off, and what has to be true of them afterwards. VIDAUG_FAULTS=50 tries each fault 50 times."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import write_video
from console import vidaug

LONG = int(os.environ.get("VIDAUG_FAULTS", "0"))  # times that each fault is tried; 0: a few times
SMALL = ("-r", "fademixup", "--frames", "4", "--size", "16", "--clips-per-shard", "16", "--copies", "12")
MARK = "VIDAUG_TEST_RUN"  # a variable by which the processes of a run are known, whoever their parent is by then


def times(few: int) -> range:
    """How often a fault is tried."""
    return range(LONG or few)


class Whole(NamedTuple):
    """A run that nothing disturbed."""

    manifest: Path
    files: dict[str, bytes]
    seconds: float


def files(out: Path) -> dict[str, bytes]:
    """The shards and their records."""
    return {path.name: path.read_bytes() for path in sorted(out.glob("[0-9]*/*"))}


class Run:
    """`vidaug augment` in processes of its own."""

    def __init__(self, manifest: Path, out: Path, *words: object, **environment: str) -> None:
        self.out, self.said = out, out.with_suffix(".err")
        command = [
            sys.executable,
            "-m",
            "vidaug_cli",
            "augment",
            str(manifest),
            "-o",
            str(out),
            *SMALL,
            *map(str, words),
        ]
        self.mark = f"{MARK}={out}"
        with self.said.open("wb") as file:
            self.process = subprocess.Popen(command, stderr=file, env=os.environ | {MARK: str(out)} | environment)

    def pids(self) -> dict[int, str]:
        """Its processes that are alive, with their command lines."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self.mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def end(self) -> int:
        """Wait, and return the exit code; no process may be left then."""
        code = self.process.wait(120)
        deadline = time.monotonic() + 20
        while left := self.pids():
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
        return code

    @property
    def errors(self) -> str:
        """What it said."""
        return self.said.read_text(errors="replace")


def continued(whole: Whole, out: Path) -> None:
    """The same command ends with the bytes of a run that nothing disturbed, and leaves nothing else."""
    again = vidaug("augment", whole.manifest, "-o", out, *SMALL, "-j", 1, "-q")
    assert again.code == 0, again.err
    assert files(out) == whole.files
    assert not list(out.rglob(".*"))
    assert vidaug("verify", out, "-j", 1).code == 0


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """24 videos in three classes, and what one command makes of them."""
    folder = tmp_path_factory.mktemp("faults")
    for number in range(24):
        write_video(folder / f"videos/class_{number % 3}/{number:02d}.avi", frames=8)
    manifest = folder / "manifest.jsonl"
    assert vidaug("scan", folder / "videos", "-o", manifest, "--no-cache", "-q").code == 0
    began = time.monotonic()
    run = Run(manifest, folder / "out", "-j", 2, "-q")
    assert run.end() == 0, run.errors
    return Whole(manifest, files(folder / "out"), time.monotonic() - began)
