"""Tasks in processes, and how many: the only place that knows joblib."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from threading import Thread
from typing import Any, TypeVar

from vidaug_cli.errors import VidaugError

Result = TypeVar("Result")


def worker_count(asked: int) -> int:
    """What `-j` asked for; 0 is one worker per core this process may use, with the limits of a container counted."""
    from joblib import cpu_count

    return asked or int(cpu_count())


def in_processes(call: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], workers: int) -> Iterator[Result]:
    """`call(*task)` for each task, results as they come, in no order; one worker works in this very process.

    Whatever ends the iteration early (an error, Ctrl-C, `close`) ends the workers too.

    Args:
        call: a function of a module, so that it can be pickled.
        tasks: its arguments, small: paths and numbers, never frames.
        workers: processes, as for `worker_count`.

    Raises VidaugError when a worker is killed from outside.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    workers = min(worker_count(workers), len(tasks))
    if workers <= 1:
        yield from (call(*task) for task in tasks)
        return
    jobs: Iterable[Any] = (delayed(_work)(os.getpid(), call, task) for task in tasks)
    try:
        yield from Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
    except TerminatedWorkerError as error:
        raise VidaugError(
            "a worker process was killed, perhaps for want of memory",
            hint="take fewer with -j; the same command continues",
        ) from error
    finally:
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _work(parent: int, call: Callable[..., Result], task: tuple[Any, ...]) -> Result:
    _become_worker(parent)
    return call(*task)


@cache
def _become_worker(parent: int) -> None:
    """Once in each worker process: it leaves Ctrl-C to the main process, and ends when that is gone.

    A worker of a main process that was killed would sit idle for minutes, with the terminal and its memory held.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
