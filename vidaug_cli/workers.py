"""Tasks in processes, and how many: the only place that knows joblib, whose loky starts them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from threading import Thread
from typing import Any, TypeVar

from vidaug_cli.errors import VidaugError

Result = TypeVar("Result")

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)  # workers share the cores


def worker_count(asked: int) -> int:
    """What `-j` asked for; 0 is one worker per core this process may use, with the limits of a container counted."""
    with warnings.catch_warnings():  # where there are no semaphores, joblib says so when it is imported
        warnings.simplefilter("ignore")
        from joblib.externals.loky import cpu_count
    return asked or int(cpu_count())


def why_alone() -> str:
    """Why this process can have no worker processes; empty if it can."""
    if multiprocessing.current_process().daemon:
        return "it is itself a worker of multiprocessing, which may have none"
    if os.environ.get("JOBLIB_MULTIPROCESSING") == "0":
        return "JOBLIB_MULTIPROCESSING is 0"
    try:
        multiprocessing.get_context("fork").Lock()
    except (ImportError, OSError) as error:  # as in sandboxes, and containers without /dev/shm
        return f"the system gives no semaphores ({error}), for which it needs a /dev/shm that can be written"
    return ""


def in_processes(call: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], workers: int) -> Iterator[Result]:
    """`call(*task)` for each task, results as they come, in no order; one worker works in this very process.

    Whatever ends the iteration early (an error, Ctrl-C, `close`) ends the workers too. Where there can be none, this
    process works alone, with a warning.

    Args:
        call: a function of a module, so that it can be pickled.
        tasks: its arguments, small: paths and numbers, never frames.
        workers: processes, as for `worker_count`.

    Raises VidaugError when a worker is killed from outside.
    """
    workers = min(worker_count(workers), len(tasks))
    if workers > 1 and (reason := why_alone()):
        warnings.warn(f"works in one process: {reason}", RuntimeWarning, stacklevel=2)
        workers = 1
    if workers <= 1:
        yield from (call(*task) for task in tasks)
        return
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    # A pool of its own: joblib's is shared, so that ending it would end other threads' workers.
    pool = ProcessPoolExecutor(workers, initializer=_become_worker, initargs=(os.getpid(),), env=ONE_THREAD)
    try:
        waiting = iter(tasks)
        running: set[Future[Result]] = set()
        while True:
            running |= {pool.submit(call, *task) for task in islice(waiting, 2 * workers - len(running))}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except TerminatedWorkerError as error:
        raise VidaugError(
            "a worker process was killed, perhaps for want of memory",
            hint="take fewer with -j; the same command continues",
        ) from error
    finally:
        pool.shutdown(wait=True, kill_workers=True)


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
