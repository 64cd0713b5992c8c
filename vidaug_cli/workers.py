"""Long jobs: their tasks in processes, how many at a time, and how far they are. Only here: joblib and tqdm.

The processes are those of `concurrent.futures`: joblib's public interface has one pool for all, so that to end the
workers of one call would end those of every other thread, and of the caller's own.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import KW_ONLY, dataclass
from itertools import islice
from multiprocessing.connection import Connection
from operator import length_hint
from pathlib import Path
from threading import Event, Lock, Thread, current_thread, main_thread
from typing import Any, Self, TypeAlias, TypeVar

from vidaug_cli.errors import WorkerError
from vidaug_cli.words import duration

Item = TypeVar("Item")
Result = TypeVar("Result")
# Yields between steps which share of the work is done, 0 to 1, and returns the result.
Stepwise: TypeAlias = Callable[..., Generator[float, None, Result]]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # what ends the program in good order
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
EVERY = 30.0  # seconds from one line of progress to the next at most
LOOK = 0.5  # seconds between two looks at how far worker processes are
APART = 5.0  # ... and at least; a job that takes no longer, or has only one step, says nothing


def worker_count(asked: int) -> int:
    """Return `asked`; for 0, the number of cores this process may use, with the limits of a container counted."""
    with warnings.catch_warnings():  # where there are no semaphores, joblib says so when it is imported
        warnings.simplefilter("ignore")
        from joblib import cpu_count
    return asked or int(cpu_count())


def free_memory() -> float:
    """Return how many bytes of memory are free, or a container may have, if those are fewer; inf where unknown."""
    left = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        left.append(1024 * float(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))))
    with suppress(OSError, ValueError):  # no limit is the word "max"
        left.append(float(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(left, default=math.inf)


def why_alone() -> str:
    """Return why this process can have no worker processes; empty if it can."""
    if multiprocessing.current_process().daemon:
        return "it is itself a worker of multiprocessing, which may have none"
    if multiprocessing.get_start_method(allow_none=True) not in (None, *multiprocessing.get_all_start_methods()):
        return "it is itself a worker of joblib, which starts processes in a way of its own"
    if os.environ.get("JOBLIB_MULTIPROCESSING") == "0":
        return "JOBLIB_MULTIPROCESSING is 0"
    try:
        multiprocessing.get_context("fork").Lock()
    except (ImportError, OSError) as error:  # as in sandboxes, and containers without /dev/shm
        return f"the system gives no semaphores ({error}), for which it needs a /dev/shm that can be written"
    return ""


def in_processes(
    call: Callable[..., Result],
    tasks: Iterable[tuple[Any, ...]],
    workers: int,
    *,
    most: int | None = None,
    beside: Stepwise[Result] | None = None,
    watch: Callable[[float], object] | None = None,
) -> Generator[Result, None, None]:
    """Yield `call(*task)` for each task, as the results come, in no order; a single worker is this very process.

    Whatever ends the iteration early (an error, Ctrl-C, `close`) ends the workers too. Where there can be none, this
    process works alone, with a warning. Workers import the main module again, so a script that calls this needs
    `if __name__ == "__main__":`.

    Args:
        call: a function of a module, so that it can be pickled.
        tasks: its arguments, small: paths and numbers, never frames. Each is asked for when a worker is free soon.
        workers: processes, as for `worker_count`.
        most: tasks at most; where `tasks` has a length, that.
        beside: `call` in steps, with which this process is one of the workers: it is at work while the others still
            start. Between the steps it takes results of the others, or ends; so they should be short.
        watch: is told now and then how many tasks the shares come to that are done of those at work. Workers send them
            where `call` works by `at_once`, and none waits for that.

    Raises VidaugError when a worker is killed from outside.
    """
    left = length_hint(tasks) if most is None else most
    workers = min(worker_count(workers), left)
    if workers > 1 and (reason := why_alone()):
        warnings.warn(f"works in one process: {reason}", RuntimeWarning, stacklevel=2)
        workers = 1
    if workers <= 1:
        yield from (_watched(beside(*task), watch) if beside and watch else call(*task) for task in tasks)
        return
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor

    context, others = multiprocessing.get_context("spawn"), workers - bool(beside)
    ending, end = context.Pipe(duplex=False)
    shares, telling = context.Pipe(duplex=False)
    with ProcessPoolExecutor(others, context, _become_worker, (ending, telling)) as pool, ending, end, shares, telling:
        waiting = iter(tasks)
        running: set[Future[Result]] = set()
        own: Generator[float, None, Result] | None = None
        own_share, at_work = 0.0, _Shares(shares)
        try:
            while True:
                # A second one for each, so that none waits; but not of the last ones, which the first to be free takes.
                ahead = others if beside and left <= 2 * workers else 2 * others
                with _undisturbed():
                    new = {pool.submit(call, *task) for task in islice(waiting, max(0, ahead - len(running)))}
                running, left = running | new, left - len(new)
                if beside and own is None and (task := next(waiting, None)) is not None:
                    own, left = beside(*task), left - 1
                if own is None and not running:
                    return
                patience = 0 if own else LOOK if watch else None
                done, running = wait(running, timeout=patience, return_when=FIRST_COMPLETED)
                if watch:
                    watch(at_work.sum() + own_share)
                yield from (future.result() for future in done)
                if own:
                    try:
                        own_share = next(own)
                    except StopIteration as last:
                        own, own_share = None, 0.0
                        yield last.value
        except BrokenProcessPool as error:
            what = "a worker process was killed, perhaps because memory ran out"
            raise WorkerError(what, hint="take fewer with -j; the same command continues") from error
        finally:
            end.send_bytes(b"end")  # nobody takes it out, so that every worker sees it
            if own:
                own.close()


def at_once(steps: Stepwise[Result], *task: Any) -> Result:
    """Return the result of `steps(*task)`, done without a pause; a worker tells its parent how far it is."""
    return _watched(steps(*task), _tell)


def _watched(work: Generator[float, None, Result], watch: Callable[[float], object]) -> Result:
    """Return the result of work in steps; after each, `watch` is told which share is done, and at the end none is."""
    while True:
        try:
            watch(next(work))
        except StopIteration as last:
            watch(0)
            return last.value  # type: ignore[no-any-return]


_SHARE = struct.Struct("<if")  # what a worker sends: its process id, and the share of its task that is done
_to_parent: Connection | None = None


def _tell(share: float) -> None:
    """Send the share of this worker's task that is done; where nobody takes it out of the pipe, it is lost."""
    if _to_parent:
        with suppress(OSError):
            os.write(_to_parent.fileno(), _SHARE.pack(os.getpid(), share))


class _Shares:
    """How much is done of the tasks that workers have, as they tell through a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._rest, self._of = pipe.fileno(), b"", dict[int, float]()
        os.set_blocking(self._pipe, False)

    def sum(self) -> float:
        """Return the sum of the shares by now."""
        with suppress(BlockingIOError):
            while told := os.read(self._pipe, 2**16):
                self._rest += told
        whole = len(self._rest) // _SHARE.size * _SHARE.size
        self._of |= dict(_SHARE.iter_unpack(self._rest[:whole]))
        self._rest = self._rest[whole:]
        return sum(self._of.values())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Start processes within the block: nothing breaks that off half way, and Ctrl-C never reaches them.

    They inherit the mask, and their parent decides. Python runs the handlers of signals in its main thread even where
    that one has a mask, as another thread takes them; so those wait until the block is left.
    """
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in ENDING if current_thread() is main_thread()}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for first in came[:1]:
            signal.raise_signal(first)


def _become_worker(ending: Connection, telling: Connection) -> None:
    """Prepare a worker process: one thread for each library, and an end as soon as the main process says so or is gone.

    How far its tasks are, it writes to `telling`.

    Libraries read these variables when they are loaded, which comes after this.
    """
    global _to_parent  # noqa: PLW0603 (a worker is one process, and has one parent)
    os.environ.update(ONE_THREAD)
    os.set_blocking(telling.fileno(), False)
    _to_parent = telling

    def watch() -> None:
        ending.poll(None)  # until there is something to read, or nobody is left who could write
        os._exit(1)

    Thread(target=watch, daemon=True).start()


@dataclass
class Progress:
    """What is done of `total`, counted; with `show`, a bar on a terminal says so, and elsewhere lines."""

    total: int
    unit: str  # what is counted: "clip"
    what: str  # what is being done, in a word or two
    _: KW_ONLY
    done: int = 0  # before this began, and then so far
    show: bool = True
    clock: Callable[[], float] = time.monotonic  # seconds

    def __post_init__(self) -> None:
        self._bar: Any = None
        if self.show and self.total and sys.stderr.isatty():
            from tqdm import tqdm

            bar = {"desc": self.what, "initial": self.done, "unit": self.unit}
            self._bar = tqdm(total=self.total, **bar, smoothing=0.05, dynamic_ncols=True)
        self._before = self._shown = self.done
        self._tenth, self._postfix = self._tenths(), ""
        self._began = self._said = self.clock()
        self._ended, self._turn = Event(), Lock()

    def __enter__(self) -> Self:
        if self.show and self._bar is None:
            Thread(target=self._watch, name="progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._bar is not None:
            self._bar.update(self.done - self._bar.n)
            self._bar.close()

    def update(self, count: int = 1) -> None:
        """Count so many more as done."""
        self.done += count
        self.begun(0)

    def begun(self, count: float) -> None:
        """Show so many more as done, of what is at work: they are not counted, as they may yet fail."""
        self._shown = max(self._shown, self.done, min(self.total, self.done + int(count)))  # never goes back
        if self._bar is not None:
            self._bar.update(self._shown - self._bar.n)
        elif self.show:
            self._say_if_due()

    def set_postfix_str(self, text: str) -> None:
        """Say more, such as a loss."""
        self._postfix = text
        if self._bar is not None:
            self._bar.set_postfix_str(text)

    def aside(self) -> AbstractContextManager[None]:
        """Return a context in which other lines can be written: the bar is out of their way."""
        return nullcontext() if self._bar is None else self._bar.external_write_mode()

    def _watch(self) -> None:
        """Write lines while nothing gets done, too: a shard may take minutes."""
        while not self._ended.wait(1):
            self._say_if_due()

    def _tenths(self) -> int:
        return 10 * self._shown // max(1, self.total)

    def _say_if_due(self) -> None:
        with self._turn:
            now, done = self.clock(), self._shown
            whole = self.done >= self.total
            since = now - self._said
            due = since >= EVERY or (since >= APART and self._tenths() > self._tenth)
            if not due or (whole and self._said == self._began):
                return
            self._said, self._tenth = now, self._tenths()
            rate, unit = (done - self._before) / max(1e-9, now - self._began), self.unit
            parts = [
                f"{self.what}: {done:,} of {self.total:,} {unit}s ({done / max(1, self.total):.0%})",
                f"{rate:.1f} {unit}s/s" if rate >= 1 or not rate else f"{1 / rate:.1f} s/{unit}",
                f"{duration((self.total - done) / rate)} left" if rate > 0 and not whole else "",
                self._postfix,
            ]
            print(*filter(None, parts), sep=", ", file=sys.stderr, flush=True)


def track(items: Iterable[Item], total: int, unit: str, what: str, *, show: bool) -> Iterator[Item]:
    """Yield the items, each counted once the next one is asked for."""
    with Progress(total, unit, what, show=show) as progress:
        for item in items:
            yield item
            progress.update()
