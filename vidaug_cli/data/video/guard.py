"""Processes only for decoding: broken and hostile files hang and crash decoders, and that must not end the job.

The child is a bare Python with av and numpy, not a copy of the caller's `__main__`: it starts in a quarter of a second,
needs no `if __name__ == "__main__"` and works inside any worker. Pixels come back in memory that both map. POSIX only.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, islice
from math import prod
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.manifest import Probe, ProbeMode, Row
from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.video import reader
from vidaug_cli.data.video.content import HashKind
from vidaug_cli.data.video.keyframes import find_keys
from vidaug_cli.data.video.limits import LIMITS, PAUSES, Limits
from vidaug_cli.data.video.memory import Memory
from vidaug_cli.data.video.reader import ClipRequest
from vidaug_cli.data.video.tries import settle
from vidaug_cli.errors import CrashError, VidaugError, VideoError, WorkerError, passes
from vidaug_cli.words import count

T = TypeVar("T")
Task = TypeVar("Task")

_CHILD = "import sys; from vidaug_cli.data.video.guard import serve; serve(int(sys.argv[1]), *map(float, sys.argv[2:]))"

_SLOW = "--time-limit gives it longer"
_ENDED = "the decoder was ended by somebody (signal {number})"
_DEATHS: dict[int, tuple[str, str]] = {  # by a signal that comes from outside: what happened, and what to try
    signal.SIGPROF: ("took more than {seconds:g} s of CPU time and was stopped", _SLOW),
    signal.SIGALRM: ("did not answer for {patience:g} s and was stopped", f"is its disk there? {_SLOW}"),
    signal.SIGKILL: ("the decoder was killed (signal 9)", "if memory was short, take fewer with -j"),
    **dict.fromkeys((signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT), (_ENDED, "try again")),
}


class Guard(AbstractContextManager["Guard"]):
    """`reader.probe` and `reader.read_clips`, run in one child process that is ended when it takes too long.

    What counts is the child's own CPU time, which says the same on a busy machine; the clock only ends one that waits
    for ever, for a network that is gone.

    Args:
        limits: what one video may cost.
        memory: clips that are wanted in arrays of it are put there by the child itself, without a copy; guards may
            share it.

    The child starts with the first call, and again after one that killed it. It ends with `close`, with the `with`
    block, or with this process, however that dies. Serves one thread at a time.

    A fault counts once it was found twice, and what may pass is tried again with more time: see `settle`.
    """

    def __init__(self, limits: Limits = LIMITS, memory: Memory | None = None) -> None:
        self.limits, self.memory = limits, memory
        self._end: Callable[[], object] | None = None
        self._closed = threading.Event()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child and further tries of a call in another thread; another call would start another."""
        self._closed.set()
        self._stop()

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
            self._end = None

    def probe(self, path: Path, how: ProbeMode = "full", hashing: HashKind = "samples") -> Probe:
        """Return what `reader.probe` does. Raises VideoError too when the decoder crashes or takes too long."""
        self._closed.clear()
        found, frames = settle(
            lambda more: self._call(reader.look, path, how, self.limits, hashing, times=more),
            self._closed.wait,
            lambda answer: answer[0].frames if answer[0].corrupt else None,
        )
        if not frames:
            return found
        try:
            keys = settle(lambda more: self._call(find_keys, path, frames, self.limits, times=more), self._closed.wait)
        except VideoError as error:
            if error.passing:
                raise
            return found  # it can be used, if only from its first frame on
        return replace(found, keys=keys)

    def read_clips(
        self,
        video: Path | Row,
        requests: Sequence[ClipRequest],
        size: int,
        *,
        out: Sequence[NDArray[np.uint8]] | None = None,
    ) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.int32]]]:
        """Return what `reader.read_clips` does. Each clip may take the CPU time that `limits` allows one.

        Raises VideoError too when the decoder crashes or takes longer, and where the video of a manifest ends before
        frames that a full probe found, or before its segment begins: all the clips or none.
        """
        self._closed.clear()
        return settle(lambda more: self._try_clips(video, requests, size, out, more), self._closed.wait)

    def _try_clips(
        self,
        video: Path | Row,
        requests: Sequence[ClipRequest],
        size: int,
        out: Sequence[NDArray[np.uint8]] | None,
        more: int,
    ) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.int32]]]:
        """Do what `read_clips` says, in one try that may take `more` times as long."""
        if self._end is None:
            self._start()
        path = video.file if isinstance(video, Row) else video
        shapes = [(len(request.frames), size, size, 3) for request in requests]
        memory, clips = self.memory, list(out or ())
        starts = [memory.start(clip) for clip in clips] if memory else []
        if copied := memory is None or -1 in starts or [clip.shape for clip in clips] != shapes:
            memory, starts = self._pixels, [0, *accumulate(map(prod, shapes[:-1]))]
            clips = [memory.array(shape, start) for shape, start in zip(shapes, starts, strict=True)]
        row = video if isinstance(video, Row) else None
        job = path, requests, size, row, self.limits, memory.file, starts
        try:
            taken = self._call(_read_clips, *job, times=more * len(requests))
        except VideoError as error:
            if isinstance(video, Row) and _is_gone(video):
                raise VideoError(error.what, where=error.where, hint=error.hint) from error
            raise
        if isinstance(video, Row):
            for request, numbers in zip(requests, taken, strict=True):
                short = video.probe == "full" and not np.array_equal(numbers, request.frames)
                if short or numbers.min() < video.first:
                    what = (
                        f"has {count(numbers.max() + 1, 'frame')}, and the manifest says {video.first + video.frames}"
                    )
                    raise VideoError(what, where=video.name, hint="scan it again")
        if not copied:
            return clips, taken
        results = [np.empty_like(clip) for clip in clips] if out is None else list(out)
        for result, clip in zip(results, clips, strict=True):
            result[...] = clip
        return results, taken

    def read_clip(
        self,
        video: Path | Row,
        wanted: NDArray[np.int32],
        crop: Crop | None,
        size: int,
        *,
        flip: bool = False,
        out: NDArray[np.uint8] | None = None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Return what `read_clips` does, of a single clip."""
        request = ClipRequest(wanted, crop, flip)
        (clip,), (taken,) = self.read_clips(video, [request], size, out=None if out is None else [out])
        return clip, taken

    def _call(self, function: Callable[..., T], *args: Any, times: int = 1) -> T:
        """Return `function(*args)` of the child, which may take so many times the limit; errors name `args[0]`."""
        if self._end is None:
            self._start()
        try:
            self._link.send((function, args, times))
            if not self._link.poll(times * self.limits.patience):
                what = f"did not answer for {times * self.limits.patience:g} s and was stopped"
                raise VideoError(what, where=args[0], hint=f"is its disk there? {_SLOW}", passing=True)
            error, value = self._link.recv()
        except (EOFError, ConnectionError) as gone:
            status = self._process.wait()
            self._stop()
            raise self._death(status, args[0], times) from gone
        except BaseException:  # an answer that comes now must not be taken for the next one
            self._stop()
            raise
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]

    def _death(self, status: int, where: object, times: int) -> VideoError:
        """Return why the child is gone."""
        if -status not in _DEATHS:
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            return CrashError(f"the decoder crashed ({how})", where=where)
        what, hint = _DEATHS[-status]
        seconds, patience = times * self.limits.seconds, times * self.limits.patience
        what = what.format(seconds=seconds, patience=patience, number=-status)
        return VideoError(what, where=where, hint=hint, passing=True)

    def _start(self) -> None:
        """Start the child; where there is no room for it this time, a little later."""
        for seconds in (*PAUSES, None):
            try:
                self._spawn()
                break
            except OSError as error:
                if seconds is None or not passes(error):
                    what = f"a process that decodes cannot be started: {error.strerror}"
                    hint = "take fewer with -j, or raise the system's limits (ulimit -a)"
                    raise WorkerError(what, hint=hint) from error
                self._closed.wait(seconds)

    def _spawn(self) -> None:
        limits = str(self.limits.seconds), str(self.limits.patience)
        ours, theirs = Pipe()
        self._link, self._pixels = ours, Memory()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CHILD, str(theirs.fileno()), *limits],
                pass_fds=(
                    theirs.fileno(),
                    *(memory.file for memory in (self._pixels, self.memory) if memory),
                ),  # under the same numbers
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is the parent's to answer
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
            )
        self._end = weakref.finalize(self, _end, self._process, ours, self._pixels)
        try:
            ours.recv()
        except EOFError as error:
            status = self._process.wait()
            self._stop()
            if -status in _DEATHS:  # somebody killed it, as he may at any other moment
                raise self._death(status, "", 1) from error
            raise WorkerError("a process that decodes did not start", hint="its own message stands above") from error


class Decoders(AbstractContextManager["Decoders"]):
    """Threads that decode, each with a guard of its own; at the end of the block all that still runs is ended.

    Args:
        workers: threads, and decoding processes, at least 1.
        limits: what one video may cost.
        memory: as for `Guard`, of all together.
    """

    def __init__(self, workers: int, limits: Limits, memory: Memory | None = None) -> None:
        self.workers = workers
        self._pool = ThreadPoolExecutor(workers)
        self._guards: SimpleQueue[Guard] = SimpleQueue()
        self._stack = ExitStack()
        guards = [Guard(limits, memory) for _ in range(workers)]
        for guard in guards:
            self._guards.put(self._stack.enter_context(guard))  # again, if a thread started it meanwhile
        self._stack.callback(self._pool.shutdown)
        for guard in guards:
            self._stack.callback(guard.close)  # what still runs ends with its guard's process
        self._stack.callback(self._pool.shutdown, wait=False, cancel_futures=True)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def submit(self, call: Callable[[Guard, Task], T], task: Task) -> Future[T]:
        """Have a thread call `call(guard, task)`."""
        return self._pool.submit(self._run, call, task)

    def _run(self, call: Callable[[Guard, Task], T], task: Task) -> T:
        guard = self._guards.get()
        try:
            return call(guard, task)
        finally:
            self._guards.put(guard)


def decode_each(
    call: Callable[[Guard, Task], T], tasks: Iterable[Task], workers: int, limits: Limits, *, ordered: bool
) -> Generator[tuple[Task, T | VideoError], None, None]:
    """Yield each task with what `call(guard, task)` returns, or with the VideoError that it raises.

    At most `workers` + 1 tasks are begun whose results are not yet taken. Whatever ends the iteration early (another
    error of `call`, Ctrl-C, `close`) ends the decoding processes too.

    Args:
        call: what to do; it runs in a thread.
        tasks: taken from the iterable one by one, when there is room.
        workers: as for `Decoders`.
        limits: what one video may cost.
        ordered: results in the order of the tasks, and not as they come.
    """

    def run(guard: Guard, task: Task) -> tuple[Task, T | VideoError]:
        try:
            return task, call(guard, task)
        except VideoError as error:
            return task, error

    with Decoders(workers, limits) as decoders:
        waiting = iter(tasks)
        running: list[Future[tuple[Task, T | VideoError]]] = []
        while True:
            running += [decoders.submit(run, task) for task in islice(waiting, workers + 1 - len(running))]
            if not running:
                return
            done = running[:1] if ordered else wait(running, return_when=FIRST_COMPLETED).done
            running = [future for future in running if future not in done]
            for future in done:
                yield future.result()


def _is_gone(row: Row) -> bool:
    """Return whether a video is not there, while the folder of its data set is: no disk that was not mounted."""
    with suppress(OSError), os.scandir(row.root) as entries:
        if any(entries):
            try:
                Path(row.root, row.path).lstat()
            except (FileNotFoundError, NotADirectoryError):
                return True
    return False


def _end(process: subprocess.Popen[bytes], link: Connection[Any, Any], pixels: Memory) -> None:
    link.close()
    pixels.close()
    process.kill()
    process.wait()


def serve(link: int, seconds: float, patience: float) -> None:
    """Answer calls in the child until the parent is gone; an alarm ends it when one takes too long.

    Args:
        link: number of the file by which calls come.
        seconds: of CPU time for one call, or for each of several clips in a call.
        patience: seconds on the clock, likewise.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for alarm in (signal.SIGPROF, signal.SIGALRM):  # whatever the parent made of them
        signal.signal(alarm, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF, signal.SIGALRM})
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    calls: Connection[Any, Any] = Connection(link)
    with suppress(EOFError, ConnectionError):
        calls.send("ready")
        while True:
            function, args, times = calls.recv()
            signal.setitimer(signal.ITIMER_PROF, times * seconds)
            signal.setitimer(signal.ITIMER_REAL, times * patience + 1)  # the parent's own clock is first
            answer = _answer(function, *args)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            gc.collect(1)  # a frame and the side data that it was asked for are a cycle: megabytes that nothing counts
            calls.send(answer)


def _end_with(parent: int) -> None:
    """End this process with its parent: a fork of the parent may still hold the link open."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _answer(function: Callable[..., T], *args: Any) -> tuple[Exception | None, T | None]:
    try:
        return None, function(*args)
    except MemoryError:
        return VideoError("there is not enough memory to decode it", where=args[0], passing=True), None
    except Exception as error:
        if not isinstance(error, VidaugError):  # a bug, whose traceback would end here
            error.add_note(traceback.format_exc())
        return error, None


_child_memory = lru_cache(maxsize=2)(Memory)


def _read_clips(
    path: Path,
    requests: Sequence[ClipRequest],
    size: int,
    row: Row | None,
    limits: Limits,
    file: int,
    starts: Sequence[int],
) -> list[NDArray[np.int32]]:
    """Do in the child what `Guard.read_clips` asks for, and return the frame numbers taken."""
    memory = _child_memory(file)
    shapes = [(len(request.frames), size, size, 3) for request in requests]
    out = [memory.array(shape, start) for shape, start in zip(shapes, starts, strict=True)]
    return reader.read_clips(path, requests, size, row=row, limits=limits, out=out)[1]
