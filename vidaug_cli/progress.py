"""How far a long job is: a bar on a terminal, and now and then a line in a log. Both go to stderr; only here: tqdm."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self, TypeVar

Item = TypeVar("Item")

EVERY = 30.0  # seconds from one line to the next at most
APART = 5.0  # ... and at least; a job that takes no longer, or ends at its first word, says nothing


class Progress:
    """Counts what is done of `total`; with `show`, it says so.

    Args:
        total: how many there are.
        unit: what is counted: "clip".
        what: what is being done, in a word or two.
        done: how many were done before.
        show: whether to say anything.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        total: int,
        unit: str,
        what: str,
        *,
        done: int = 0,
        show: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.unit, self.what, self.show, self.done = total, unit, what, show, done
        self._bar: Any = None
        if show and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=what, initial=done, unit=unit, smoothing=0.05, dynamic_ncols=True)
        self._clock, self._before, self._postfix = clock, done, ""
        self._began = self._said = clock()
        self._tenth = self._tenths()
        self._ended, self._turn = Event(), Lock()

    def __enter__(self) -> Self:
        if self.show and self._bar is None:
            Thread(target=self._watch, name="progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._bar is not None:
            self._bar.close()

    def update(self, count: int = 1) -> None:
        """So many more are done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self.show:
            self._say_if_due()

    def set_postfix_str(self, text: str) -> None:
        """More to say, such as a loss."""
        self._postfix = text
        if self._bar is not None:
            self._bar.set_postfix_str(text)

    def aside(self) -> AbstractContextManager[None]:
        """While other lines are written: the bar is out of their way."""
        return nullcontext() if self._bar is None else self._bar.external_write_mode()

    def _watch(self) -> None:
        """Lines while nothing gets done, too: a shard may take minutes."""
        while not self._ended.wait(1):
            self._say_if_due()

    def _say_if_due(self) -> None:
        with self._turn:
            since, done = self._clock() - self._said, self.done >= self.total
            due = since >= EVERY or (since >= APART and self._tenths() > self._tenth)
            if due and not (done and self._said == self._began):
                self._say()

    def _tenths(self) -> int:
        return 10 * self.done // max(1, self.total)

    def _say(self) -> None:
        self._said, self._tenth = self._clock(), self._tenths()
        rate = (self.done - self._before) / max(1e-9, self._said - self._began)
        left = f", {duration((self.total - self.done) / rate)} left" if rate > 0 and self.done < self.total else ""
        of = f"{self.done:,} of {self.total:,} {self.unit}s ({self.done / max(1, self.total):.0%})"
        more = f", {self._postfix}" if self._postfix else ""
        print(f"{self.what}: {of}, {_spell_rate(rate, self.unit)}{left}{more}", file=sys.stderr, flush=True)


def track(items: Iterable[Item], total: int, unit: str, what: str, *, show: bool) -> Iterator[Item]:
    """The items, each counted once the next one is asked for."""
    with Progress(total, unit, what, show=show) as progress:
        for item in items:
            yield item
            progress.update()


def duration(seconds: float) -> str:
    """`3 h 5 min`, `4 min 10 s` or `7 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _spell_rate(rate: float, unit: str) -> str:
    """`12.3 clips/s`, or where they take long `4.1 s/clip`."""
    return f"{rate:.1f} {unit}s/s" if rate >= 1 or not rate else f"{1 / rate:.1f} s/{unit}"
