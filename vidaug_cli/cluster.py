"""Tasks on a Dask cluster: what `workers.in_processes` does here, done by the processes of other machines."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from vidaug_cli.errors import ClusterError, missing_package
from vidaug_cli.words import count

if TYPE_CHECKING:
    from distributed import Client, as_completed

Result = TypeVar("Result")

ANSWER = 20.0  # seconds that a scheduler may take to answer
WORKERS = 60.0  # ... that it may be without workers, at the beginning and later
LOOK = 1.0  # seconds from one look whether there are any to the next
POLL = 0.02  # ... whether a result is there
SAME = "install the same release in the environments of the scheduler and its workers"
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

    Raises VidaugError when there is no scheduler or no worker, also later on, or one with another release, when the
    scheduler is lost, and where a task killed several workers; and what `call` raises.
    """
    with _client(scheduler) as client:
        from distributed import KilledWorker, as_completed
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError

        # With results: to ask for one later would wait for ever where its worker died with it, and no other is there.
        left, running = iter(tasks), as_completed(loop=client.loop, with_results=True)
        try:
            while True:
                threads = sum(worker["nthreads"] for worker in client.scheduler_info(-1)["workers"].values())
                for task in islice(left, max(0, 2 * max(1, threads) - running.count())):
                    running.add(client.submit(call, *task, pure=False))
                if running.is_empty():
                    return
                _wait(client, running, scheduler)
                done, result = next(running)  # raises what the call raised
                if isinstance(result, FutureCancelledError):
                    raise result
                yield result
                done.release()
        except (CommClosedError, FutureCancelledError) as error:
            raise ClusterError("the scheduler is gone", where=scheduler, hint=GONE) from error
        except KilledWorker as error:
            what = f"a task was given up after it had killed {count(error.allowed_failures + 1, 'worker')}"
            hint = "perhaps their memory ran out: give them more, or fewer threads; the same command continues"
            raise ClusterError(what, where=scheduler, hint=hint) from error
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise
            raise ClusterError("the cluster has no vidaug-cli", where=scheduler, hint=SAME) from error
        finally:
            with suppress(Exception):  # the scheduler may be what is gone
                client.cancel(list(running.futures), force=True)


@contextmanager
def _client(scheduler: str) -> Generator[Client, None, None]:
    """Connect to a scheduler that has workers, and say nothing of what goes on behind that."""
    try:
        from distributed import Client
    except ImportError as error:
        raise missing_package("--scheduler", "Dask", "dask") from error
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
            _wait_for_workers(client, scheduler)
            _check_releases(client, scheduler)
            yield client
        finally:
            with suppress(Exception):
                client.close(timeout=2)


def _wait_for_workers(client: Client, scheduler: str) -> None:
    """Return once there is a worker. Raises ClusterError where none comes."""
    try:
        client.wait_for_workers(1, timeout=WORKERS)
    except TimeoutError as error:
        hint = f"start them with: dask worker {scheduler}"
        raise ClusterError("the scheduler has no workers", where=scheduler, hint=hint) from error
    except OSError as error:
        raise ClusterError("the scheduler is gone", where=scheduler, hint=GONE) from error


def _check_releases(client: Client, scheduler: str) -> None:
    """Raise ClusterError where a worker has no vidaug-cli, which would end it without a word, or another release."""
    here = version("vidaug-cli")
    for worker, there in client.run(version, "vidaug-cli", on_error="return").items():
        if isinstance(there, PackageNotFoundError):
            raise ClusterError(f"worker {worker} has no vidaug-cli", where=scheduler, hint=SAME)
        if isinstance(there, str) and there != here:
            what = f"worker {worker} has vidaug-cli {there}, and this is {here}"
            raise ClusterError(what, where=scheduler, hint=SAME)


def _wait(client: Client, running: as_completed, scheduler: str) -> None:
    """Return once a result is there. Raises ClusterError where all workers are gone, and no other comes."""
    looked = time.monotonic()
    while not running.has_ready():
        if time.monotonic() > looked + LOOK:
            _wait_for_workers(client, scheduler)
            looked = time.monotonic()
        time.sleep(POLL)
