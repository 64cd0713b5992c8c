"""Tasks on a Dask cluster: what `workers.in_processes` does here, done by the processes of other machines."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from vidaug_cli.errors import ClusterError, MissingPackageError

if TYPE_CHECKING:
    from distributed import Client

Result = TypeVar("Result")

ANSWER = 20.0  # seconds that a scheduler may take to answer
WORKERS = 60.0  # ... and until its first worker is there
GONE = "the same command continues, once a scheduler is there again"


def in_cluster(
    call: Callable[..., Result], tasks: Iterable[tuple[Any, ...]], scheduler: str
) -> Generator[Result, None, None]:
    """Yield `call(*task)` for each task, as the results come, in no order.

    Only as many tasks are with the cluster as it has threads, twice; the rest is asked for as those are done. What a
    worker had when it died is done by another. Whatever ends the iteration early cancels what waits there; what is
    being done is ended by the workers.

    Args:
        call: a function of a module that the workers can import as well.
        tasks: its arguments, small: paths and numbers, never frames.
        scheduler: its address, such as `tcp://node1:8786`.

    Raises VidaugError when there is no scheduler or no worker, when the scheduler is lost, and where a task killed
    several workers; and what `call` raises.
    """
    with _client(scheduler) as client:
        from distributed import KilledWorker, as_completed
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError

        left, running = iter(tasks), as_completed(loop=client.loop)
        try:
            while True:
                threads = sum(worker["nthreads"] for worker in client.scheduler_info(-1)["workers"].values())
                for task in islice(left, max(0, 2 * max(1, threads) - running.count())):
                    running.add(client.submit(call, *task, pure=False))
                if running.is_empty():
                    return
                done = next(running)
                yield done.result()
                done.release()
        except (CommClosedError, FutureCancelledError) as error:
            raise ClusterError("the scheduler is gone", where=scheduler, hint=GONE) from error
        except KilledWorker as error:
            what = f"a task was given up after it had killed {error.allowed_failures + 1} workers"
            hint = "perhaps their memory ran out: give them more, or fewer threads; the same command continues"
            raise ClusterError(what, where=scheduler, hint=hint) from error
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise
            hint = "install the same release in the environments of the scheduler and its workers"
            raise ClusterError("the cluster has no vidaug-cli", where=scheduler, hint=hint) from error
        finally:
            with suppress(Exception):  # the scheduler may be what is gone
                client.cancel(list(running.futures), force=True)


@contextmanager
def _client(scheduler: str) -> Generator[Client, None, None]:
    """Connect to a scheduler that has workers, and say nothing of what goes on behind that."""
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingPackageError(
            "--scheduler needs Dask", hint="install it with: pip install 'vidaug-cli[dask]'"
        ) from error
    # Of lost connections, with tracebacks, also after the end; what matters is raised here.
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith(("asyncio", "distributed", "tornado")) and isinstance(logger, logging.Logger):
            logger.handlers[:] = [logging.NullHandler()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="distributed")
        try:
            client = Client(scheduler, timeout=ANSWER, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            hint = "start one with 'dask scheduler', and workers with 'dask worker ADDRESS'"
            raise ClusterError("no Dask scheduler answers", where=scheduler, hint=hint) from error
        try:
            try:
                client.wait_for_workers(1, timeout=WORKERS)
            except TimeoutError as error:
                hint = f"start them with: dask worker {scheduler}"
                raise ClusterError("the scheduler has no workers", where=scheduler, hint=hint) from error
            yield client
        finally:
            with suppress(Exception):
                client.close(timeout=2)
