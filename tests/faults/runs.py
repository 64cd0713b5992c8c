"""Runs that are broken off, and what has to be true of them afterwards. VIDAUG_FAULTS=50 tries each fault 50 times."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import write_video
from console import vidaug

from vidaug_cli.commands.options import UNFINISHED

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
    """`vidaug augment` in processes of its own.

    Args:
        manifest: its input.
        out: where to.
        words: more of the command.
        within: a command that runs it.
        environment: variables.
    """

    def __init__(
        self,
        manifest: Path,
        out: Path,
        *words: object,
        within: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self.out, self.said = out, out.with_suffix(f".{time.monotonic_ns()}.err")
        vidaug = [sys.executable, "-m", "vidaug_cli", "augment", str(manifest), "-o", str(out), *SMALL]
        self.mark = f"{MARK}={self.said}"

        with self.said.open("wb") as file:
            self.process = subprocess.Popen(
                [*within, *vidaug, *map(str, words)],
                stderr=file,
                env=os.environ | {MARK: str(self.said)} | environment,
            )

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

    def stopped(self) -> bool:
        """Wait as `end` for a run with -q, and return whether it did not get through, which one line has to say."""
        code, said = self.end(), self.errors
        if code == UNFINISHED:
            assert said == ""  # the report has it
        else:
            assert code in (0, 1), said
            assert said.count("\n") == code, said
            assert said == "" or said.startswith("vidaug: error: "), said
        return code != 0

    @property
    def errors(self) -> str:
        """What it said."""
        return self.said.read_text(errors="replace")


def wait_for(seconds: float, run: Run) -> None:
    """Wait, but not longer than the run takes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and run.process.poll() is None:
        time.sleep(0.005)


def mutated(good: bytes, draw: np.random.Generator) -> bytes:
    """Bytes flipped, zeroed, left out, doubled or cut off."""
    bad = bytearray(good)
    for _ in range(int(draw.integers(1, 5))):
        start, length = int(draw.integers(len(bad))), int(draw.integers(1, 64))
        match int(draw.integers(5)):
            case 0:
                bad[start] ^= 1 << int(draw.integers(8))
            case 1:
                bad[start : start + length] = bytes(len(bad[start : start + length]))
            case 2:
                del bad[start : start + length]
            case 3:
                bad[start:start] = bad[start : start + length]
            case 4:
                del bad[max(1, start) :]
    return bytes(bad)


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
