"""Tasks in processes: the only place that knows joblib."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from vidaug_cli.errors import VidaugError

Result = TypeVar("Result")


def in_processes(call: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], workers: int) -> Iterator[Result]:
    """`call(*task)` for each task, results as they come, in no order; one worker works in this very process.

    Whatever ends the iteration early (an error, Ctrl-C, `close`) ends the workers too.

    Args:
        call: a function of a module, so that it can be pickled.
        tasks: its arguments, small: paths and numbers, never frames.
        workers: processes; 0 takes one per core this process may use.

    Raises VidaugError when a worker is killed from outside.
    """
    from joblib import Parallel, cpu_count, delayed
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    workers = min(workers or cpu_count(), len(tasks))
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
    if os.getppid() != parent:  # the main process was killed: leave the rest to its rerun
        raise SystemExit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C goes to the main process, which ends its workers
    return call(*task)
