"""Files that say who is at work: one process holds such a file, and others see which one that is.

The kernel lets go of a lock when its process dies, however that happens, so what a dead process left is taken over.
Some network file systems know no locks, and others keep them from other machines: there the text in the file counts.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidaug_cli.errors import VidaugError
from vidaug_cli.files import HOST, alive


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold the file at `path` until the block ends, and remove it then.

    Raises VidaugError when another process holds it, or one of another machine may.
    """
    descriptor = _take(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before it is let go: who opened it meanwhile sees that and opens it again
        os.close(descriptor)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Let one process of this machine at a time into the block, which is short; all where the folder does not exist."""
    if not folder.is_dir():
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take(path: Path) -> int:
    """Open and lock the file, and write our name into it. Raises VidaugError."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _lock(descriptor)
            if locked and not _lies_at(descriptor, path):  # removed between our two calls
                os.close(descriptor)
                continue
            if refusal := _refusal(path, _read(descriptor), locked):
                raise refusal
            about = {"host": HOST, "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(about).encode() + b"\n", 0)
            return descriptor
        except BaseException:
            os.close(descriptor)
            raise


def _lock(descriptor: int) -> bool | None:
    """Return whether the kernel gives the lock; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _lies_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> dict[str, object]:
    """Return what the holder wrote; nothing where it has not written yet."""
    with suppress(ValueError):
        if isinstance(content := json.loads(os.pread(descriptor, 1000, 0)), dict):
            return content
    return {}


def _refusal(path: Path, holder: dict[str, object], locked: bool | None) -> VidaugError | None:
    """Return why the file cannot be had, if it cannot."""
    host, pid, since = (holder.get(key) for key in ("host", "pid", "since"))
    at_work = alive(pid) if locked is None and isinstance(pid, int) else locked is False
    away = host not in (None, HOST)
    if not (at_work or away):
        return None
    who = f"process {pid}{f' of {host}' if away else ''}, since {since}" if holder else "another process"
    gone = f"; if that is gone, remove {path}" if away else ""
    return VidaugError(
        f"is being written by {who}", where=path.parent, hint=f"wait until it has ended, or end it{gone}"
    )
