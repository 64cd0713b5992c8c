"""What is seen of the work of other programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidaug_cli.train import cores
from vidaug_cli.train.cores import CpuMonitor, CpuTimes

CORES = len(os.sched_getaffinity(0))


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> CpuMonitor:
    """After ten seconds in which other programs had half of the ticks and this process had one core's time."""
    times = iter([CpuTimes(100.0, 500, 1000, 3.0), CpuTimes(110.0, 500 + 300, 1000 + 1000, 13.0)])
    monkeypatch.setattr(cores, "_read_times", lambda: next(times))
    return CpuMonitor()


def test_what_others_leave_is_what_is_idle_and_what_this_process_has(monitor: CpuMonitor) -> None:
    assert monitor.free_cores() == pytest.approx(0.3 * CORES + 1)


def test_fewer_threads_are_advised_where_others_are_at_work(
    monitor: CpuMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    what = "other programs leave 3.4 cores for 8 threads; --threads 3 may be faster"
    assert monitor.advice(8) == what


@pytest.mark.parametrize(("threads", "said"), [(1, False), (3, False), (4, True)])
def test_nothing_is_advised_where_there_is_enough(
    threads: int, said: bool, monitor: CpuMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    assert bool(monitor.advice(threads)) == said


def test_nothing_is_said_without_knowledge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CpuMonitor().free_cores() is None  # too short
    (tmp_path / "odd").write_text("cpu x\nprocesses 3\n")
    for path in (tmp_path / "none", tmp_path / "odd"):
        assert cores._read_times(path) is None
    still = CpuTimes(0.0, 7, 9, 1.0)
    times = iter([still, still._replace(clock=9.0)] * 2 + [None, still, still, None])
    monkeypatch.setattr(cores, "_read_times", lambda: next(times))
    assert CpuMonitor().advice(64) == ""  # a system that counts nothing
    assert [CpuMonitor().free_cores() for _ in range(3)] == [None] * 3


def test_this_machine_is_read() -> None:
    found = cores._read_times()
    assert found is not None
    assert 0 < found.idle < found.all
    assert found.own > 0
