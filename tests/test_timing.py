"""Runs of even frames: what is found in time stamps, and when each frame is shown."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.data.timing import Clock, Runs, fit_runs

TEN_THEN_SIXTY: Runs = ((20, 0.1), (120, 1 / 60))


def rounded(rate: float, count: int, unit: float) -> list[float]:
    """Even frames as a container with time stamps in this unit has them."""
    return [round(number / rate / unit) * unit for number in range(count)]


@pytest.mark.parametrize("rate", [24000 / 1001, 25, 30000 / 1001, 30, 59.94, 60])
@pytest.mark.parametrize("unit", [1e-3, 1 / 90_000, 1 / 12_800])
def test_an_even_rate_is_one_run_however_time_stamps_are_rounded(rate: float, unit: float) -> None:
    ((count, seconds),) = fit_runs(rounded(rate, 300, unit), unit)
    assert count == 300
    assert seconds == pytest.approx(1 / rate, abs=1.1e-3 / 299)


@pytest.mark.parametrize("unit", [0.0, 1e-3, 0.04])
def test_runs_end_where_the_rate_changes(unit: float) -> None:
    times = [0.1 + 0.04 * number for number in range(30)]
    times += [times[-1] + 0.12 * number for number in range(1, 11)]
    assert fit_runs(times, unit) == ((29, 0.04), (11, 0.12))
    gap = [*(0.04 * number for number in range(10)), *(5 + 0.04 * number for number in range(10))]
    assert fit_runs(gap, unit) == ((9, 0.04), (1, 4.64), (10, 0.04))


@given(st.lists(st.floats(0.002, 3), min_size=1, max_size=60), st.sampled_from([0.0, 1e-3, 0.01]))
def test_runs_are_nowhere_far_from_the_stamps(durations: list[float], tick: float) -> None:
    times = list(accumulate(durations, initial=7.0))
    clock = Clock(fit_runs(times, tick), times[0])
    assert clock.frames == len(times)
    for frame, (time, following) in enumerate(pairwise(times)):
        assert clock.time_of(frame) == pytest.approx(time, abs=max(tick, 1e-3) + 1e-6)
        assert abs(clock.time_of(frame) - time) <= (following - time) / 4 + 1e-6


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0.004, 2)), min_size=1, max_size=8), st.floats(0, 100))
def test_a_frame_is_seen_from_its_time_until_the_next(runs: list[tuple[int, float]], begin: float) -> None:
    clock = Clock(tuple(runs), begin)
    assert clock.frame_at(begin - 1) == 0
    assert clock.frame_at(clock.end + 1) == clock.frames - 1
    for frame in range(clock.frames):
        assert clock.frame_at(clock.time_of(frame)) == frame
        assert clock.frame_at(clock.time_of(frame + 1) - 1e-3) == frame


@given(
    st.lists(st.tuples(st.integers(1, 20), st.floats(0.004, 2)), min_size=1, max_size=5),
    st.floats(0, 50),
    st.floats(0.01, 50),
)
def test_neighbouring_segments_share_no_frame_and_lose_none(
    runs: list[tuple[int, float]], start: float, length: float
) -> None:
    clock = Clock(tuple(runs))
    found = clock.between(start, start + length)
    assert [*clock.between(None, start), *found, *clock.between(start + length, None)] == list(range(clock.frames))
    assert [frame for frame in range(clock.frames) if start <= clock.time_of(frame) < start + length] in (
        list(found), list(found)[1:], [*found, found.stop], [*found, found.stop][1:]
    )  # fmt: skip
    assert Clock(clock.cut(found)).frames == len(found) or not found
    assert sum(count * seconds for count, seconds in clock.cut(range(clock.frames))) == pytest.approx(clock.seconds)


@pytest.mark.parametrize("rate", [25, 29.97, 30])
def test_a_segment_begins_with_the_frame_of_that_second(rate: float) -> None:
    """Time stamps of whole milliseconds, as in Matroska: frame 30 of 30 a second comes at 1.000 or 0.9999."""
    for count in range(60, 90):
        clock = Clock(fit_runs(rounded(rate, count, 1e-3), 1e-3))
        first = -(-rate // 1) if rate % 1 == 0 else 30
        assert clock.between(1.0, None).start == first


@pytest.mark.parametrize(
    ("runs", "varies"),
    [
        (((300, 0.04),), False),
        (TEN_THEN_SIXTY, True),
        (((60, 0.04), (1, 0.08), (239, 0.04)), True),  # a frame is missing
        (tuple((1, 0.04 + 0.01 * (-1) ** number) for number in range(300)), False),  # jitter around an even rate
        (tuple((1, seconds) for _ in range(50) for seconds in (0.033, 0.033, 0.034)), False),
    ],
)
def test_what_counts_as_a_rate_that_varies(runs: Runs, varies: bool) -> None:
    assert Clock(runs).varies is varies


def test_billions_of_frames_take_no_memory() -> None:
    clock = Clock(((2**30, 0.04), (2**30 - 1, 0.02)))
    assert clock.frame_at(clock.end) == clock.frames - 1 == 2**31 - 2
    assert clock.frame_at(2**30 * 0.04 + 0.05) == 2**30 + 2
    assert clock.cut(range(2**30 - 2, 2**30 + 3)) == ((2, 0.04), (3, 0.02))
