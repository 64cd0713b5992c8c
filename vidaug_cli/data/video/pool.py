"""Videos decoded by threads, each with a decoding process of its own that can be killed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.limits import Limits

Task = TypeVar("Task")
Result = TypeVar("Result")


def decode_each(
    call: Callable[[Guard, Task], Result], tasks: Iterable[Task], workers: int, limits: Limits, *, ordered: bool
) -> Generator[Result, None, None]:
    """Yield `call(guard, task)` for each task, where `guard` is used by no other thread meanwhile.

    At most `workers` + 1 tasks are begun whose results are not yet taken. Whatever ends the iteration early (an error
    of `call`, Ctrl-C, `close`) ends the decoding processes too.

    Args:
        call: what to do; it runs in a thread.
        tasks: taken from the iterable one by one, when there is room.
        workers: threads, and decoding processes, at least 1.
        limits: what one video may cost.
        ordered: results in the order of the tasks, and not as they come.
    """
    guards: SimpleQueue[Guard] = SimpleQueue()

    def run(task: Task) -> Result:
        guard = guards.get()
        try:
            return call(guard, task)
        finally:
            guards.put(guard)

    with ExitStack() as stack:
        for _ in range(workers):
            guards.put(stack.enter_context(Guard(limits)))
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # what still runs ends with its guard's process
        waiting = iter(tasks)
        running: list[Future[Result]] = []
        while True:
            running += [pool.submit(run, task) for task in islice(waiting, workers + 1 - len(running))]
            if not running:
                return
            done = running[:1] if ordered else wait(running, return_when=FIRST_COMPLETED).done
            running = [future for future in running if future not in done]
            for future in done:
                yield future.result()
