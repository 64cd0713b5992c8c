"""Processes that are killed at random moments: nothing is lost, nothing is left, and no byte is another one."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from faults.runs import Run, Whole, continued, files, times, wait_for

VICTIMS = {"a worker": "spawn_main", "a decoder": "video.guard"}


@pytest.mark.parametrize("number", times(3))
def test_the_command_is_killed(whole: Whole, tmp_path: Path, number: int) -> None:
    run = Run(whole.manifest, tmp_path / "out", "-j", 2)
    wait_for(random.Random(number).uniform(0.0, whole.seconds), run)
    run.process.kill()
    assert run.end() in (-signal.SIGKILL, 0)
    continued(whole, run.out)


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("number", times(3))
def test_one_of_its_processes_is_killed(whole: Whole, tmp_path: Path, victim: str, number: int) -> None:
    """Without a worker the command ends with a line; a decoder is started again, and no clip is lost."""
    draw, run = random.Random(f"{victim} {number}"), Run(whole.manifest, tmp_path / "out", "-j", 2)
    wait_for(draw.uniform(0.3, 0.9) * whole.seconds, run)
    killed = False
    while run.process.poll() is None and not killed:
        found = sorted(pid for pid, command in run.pids().items() if VICTIMS[victim] in command)
        if found:
            os.kill(draw.choice(found), signal.SIGKILL)
            killed = True
    code = run.end()
    assert "Traceback" not in run.errors
    if victim == "a decoder" or not killed:
        assert code == 0, run.errors
        assert files(run.out) == whole.files
    elif code:
        assert code == 1
        assert run.errors.splitlines()[-1].startswith("vidaug: error: a worker process was killed")
    continued(whole, run.out)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("number", times(2))
def test_the_command_is_told_to_end(whole: Whole, tmp_path: Path, sent: signal.Signals, number: int) -> None:
    """From the moment on in which it is at work: Python itself takes a while to start."""
    run = Run(whole.manifest, tmp_path / "out", "-j", 2)
    while not run.out.exists() and run.process.poll() is None:
        wait_for(0.01, run)
    wait_for(random.Random(f"{sent} {number}").uniform(0.0, 0.7) * whole.seconds, run)
    run.process.send_signal(sent)
    code = run.end()
    if "clips rendered in" in run.errors:  # all was done: a Python that takes itself down has no handlers any more
        assert code in (128 + sent, -sent, 0), run.errors
    else:
        assert code == 128 + sent, run.errors
    assert "Traceback" not in run.errors
    assert not list(run.out.rglob(".*"))
    continued(whole, run.out)
