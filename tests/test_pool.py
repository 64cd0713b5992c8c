"""Threads that each own a decoding process: in order or as they come, few at a time, ended with the iteration."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from vidaug_cli.data.video.guard import Guard, decode_each
from vidaug_cli.data.video.limits import LIMITS
from vidaug_cli.errors import VidaugError, VideoError


class Watched(Guard):
    """Notes who uses it and how it ends; no process is started."""

    made: list[Watched]

    def __init__(self, *args: object) -> None:
        super().__init__()
        self.users, self.closed = 0, False
        Watched.made.append(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def guards(monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    Watched.made = []
    monkeypatch.setattr("vidaug_cli.data.video.guard.Guard", Watched)
    return Watched.made


@pytest.mark.parametrize("ordered", [True, False])
def test_every_task_is_done_once_and_no_guard_is_shared(ordered: bool, guards: list[Watched]) -> None:
    def call(guard: Watched, number: int) -> int:
        guard.users += 1
        assert guard.users == 1
        time.sleep(0.001 * (number % 3))
        guard.users -= 1
        return number

    results = list(decode_each(call, range(40), 3, LIMITS, ordered=ordered))  # type: ignore[arg-type]
    assert sorted(results) == [(number, number) for number in range(40)]
    assert results == sorted(results) or not ordered
    assert [guard.closed for guard in guards] == [True] * 3


def test_results_come_as_they_are_done_where_order_does_not_matter() -> None:
    late = threading.Event()

    def call(guard: Guard, number: int) -> int:
        if number == 0:
            assert late.wait(60)
        return number

    results = decode_each(call, range(5), 2, LIMITS, ordered=False)
    early = [next(results)[0] for _ in range(4)]
    late.set()
    assert (sorted(early), list(results)) == ([1, 2, 3, 4], [(0, 0)])


@pytest.mark.parametrize("ordered", [True, False])
def test_few_tasks_are_begun(ordered: bool, guards: list[Watched]) -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = decode_each(lambda _, number: number, tasks(), 2, LIMITS, ordered=ordered)
    assert (taken, guards) == ([], [])
    for count, _ in zip(range(1, 20), results, strict=False):
        assert len(taken) <= count + 2
    results.close()
    assert [guard.closed for guard in guards] == [True, True]


def test_a_video_that_cannot_be_used_is_a_result_and_ends_nothing() -> None:
    fault = VideoError("is damaged", where="3.mp4")

    def call(guard: Guard, number: int) -> int:
        if number == 3:
            raise fault
        return number

    results = list(decode_each(call, range(6), 2, LIMITS, ordered=True))
    assert results == [(number, fault if number == 3 else number) for number in range(6)]


@pytest.mark.parametrize("ordered", [True, False])
def test_an_error_ends_it(ordered: bool, guards: list[Watched]) -> None:
    def call(guard: Guard, number: int) -> int:
        if number == 3:
            raise VidaugError("no process can be started")
        return number

    with pytest.raises(VidaugError, match="no process"):
        list(decode_each(call, range(100), 2, LIMITS, ordered=ordered))
    assert [guard.closed for guard in guards] == [True, True]


def test_no_task_needs_no_result() -> None:
    assert list(decode_each(lambda _, number: number, [], 2, LIMITS, ordered=True)) == []
