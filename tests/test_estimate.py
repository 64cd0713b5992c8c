"""The simulation of large jobs, held against what can be worked out by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from estimate import Measured, Site, simulate

SHARDS = [64] * 1000
NEVER = 1e12  # hours


def site(**changes: float) -> Site:
    base = {"nodes": 2, "cores": 5, "disk": 1e18, "between_failures": NEVER, "repair": 1.0}
    return Site(**(base | changes))  # type: ignore[arg-type]


def test_equal_shards_are_divided_among_the_cores() -> None:
    hours, lost = simulate(SHARDS, Measured([0.5], 1e6), site())
    assert hours == pytest.approx(1000 * 64 * 0.5 / 10 / 3600)
    assert lost == 0


def test_a_disk_that_takes_half_of_what_is_written_doubles_the_time() -> None:
    half = 10 * 1e6 / 0.5 / 2
    assert simulate(SHARDS, Measured([0.5], 1e6), site(disk=half))[0] == pytest.approx(2 * 1000 * 64 * 0.5 / 10 / 3600)


def test_spread_evens_out_over_many_shards() -> None:
    hours, _ = simulate(SHARDS, Measured([0.1, 0.9], 1e6), site())
    assert hours == pytest.approx(1000 * 64 * 0.5 / 10 / 3600, rel=0.1)


def test_failing_nodes_lose_what_they_were_making_and_nothing_more() -> None:
    """A node is away for a tenth of its time, so the work takes a ninth longer; each failure costs its five shards."""
    shards = [64] * 100_000
    alone = simulate(shards, Measured([0.5], 1e6), site())[0]
    hours, lost = simulate(shards, Measured([0.5], 1e6), site(between_failures=9.0, repair=1.0))
    failures = 2 * hours / 10
    assert lost == pytest.approx(5 * failures, rel=0.5)
    assert hours == pytest.approx(alone * 10 / 9, rel=0.15)
