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
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vidaug_cli.errors import VidaugError
from vidaug_cli.files import HOST, alive
from vidaug_cli.schema import parse_json


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold the file at `path` until the block ends, and remove it then.

    Raises VidaugError when another process holds it, or one of another machine may.
    """
    while True:
        with path.open("a+b", 0) as file:  # closing it lets it go
            locked = _lock(file)
            if locked and not _lies_at(file, path):  # removed between our two calls
                continue
            if refusal := _refusal(file, path, locked):
                raise refusal
            about = {"host": HOST, "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
            file.truncate(0)
            file.write(json.dumps(about).encode() + b"\n")
            try:
                yield
            finally:
                path.unlink(missing_ok=True)  # while we hold it: who opened it meanwhile sees that and opens it again
            return


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Let one process of this machine at a time into the block, which is short; all where the folder does not exist."""
    with ExitStack() as stack:
        if folder.is_dir():
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _lock(file: BinaryIO) -> bool | None:
    """Return whether the kernel gives the lock; None where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _lies_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _refusal(file: BinaryIO, path: Path, locked: bool | None) -> VidaugError | None:
    """Return why the file cannot be had, if it cannot."""
    holder: dict[str, object] = {}
    with suppress(VidaugError):  # it has not written yet
        file.seek(0)
        holder = parse_json(file.read(1000), dict, "a lock")
    host, pid, since = map(holder.get, ("host", "pid", "since"))
    at_work = alive(pid) if locked is None and isinstance(pid, int) else locked is False
    away = host not in (None, HOST)
    if not (at_work or away):
        return None
    who = f"process {pid}{f' of {host}' if away else ''}, since {since}" if holder else "another process"
    hint = "wait until it has ended, or end it" + (f"; if that is gone, remove {path}" if away else "")
    return VidaugError(f"is being written by {who}", where=path.parent, hint=hint)
