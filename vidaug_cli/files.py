"""Files that are either whole or not there: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import os
import re
import resource
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidaug_cli.errors import KindError, OccupiedError, cannot_write

MANY = 2**20  # files that a process may open where there is no limit


def temporary_beside(path: Path) -> Path:
    """Return a hidden name that no other process uses, in the folder of `path`: only there is a rename atomic."""
    return path.with_name(f".{path.name}.{HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` to write to; when the block ends well, what is there takes the name of `path`.

    Readers see the old file or the new one, never a part, and neither a crash nor a power cut takes the new one back.
    Raises VidaugError when the folder or the disk does not take it.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # root could put a file in the place of /dev/null
        raise KindError("is a pipe or a device", where=path, hint="name a plain file")
    temporary = temporary_beside(path)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as fault:
        hint = "is the folder there and writable, and the disk not full?"
        raise cannot_write(fault, path, hint) from fault
    finally:
        with suppress(OSError):  # a disk that cannot be written says so here too
            temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with the newlines it has. Raises VidaugError as `atomically`."""
    with atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def check_is_folder(out: Path) -> None:
    """Raise OccupiedError where something else is in the place of a folder that is to be written."""
    if out.exists() and not out.is_dir():
        raise OccupiedError("is a file", where=out, hint="name a folder with -o")


def take_place(folder: Path, out: Path) -> None:
    """Give a folder whose files are on the disk the name `out`, at once. Raises VidaugError where that is taken."""
    try:
        for each in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            sync(each)
        folder.rename(out)  # takes the place of an empty folder
        sync(out.parent)
    except OSError as fault:
        raise cannot_write(fault, out) from fault


def leftovers(folder: Path) -> list[Path]:
    """Return what killed writers left in `folder`; files of writers still at work look the same."""
    return sorted(folder.glob(".*.*-*.tmp"))


def abandoned(folder: Path) -> list[Path]:
    """Return those of `leftovers` whose writer is surely gone: it ran on this machine, and no longer does."""
    ours = re.compile(rf".*\.{re.escape(HOST)}-(\d+)-[0-9a-f]+\.tmp", re.ASCII)
    return [path for path in leftovers(folder) if (match := ours.fullmatch(path.name)) and not alive(int(match[1]))]


def sync(path: Path) -> None:
    """Have a file on the disk, or the names in a folder, before anything that follows."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def nameless_file() -> int:
    """Return the descriptor of a file without a name, for memory that processes share: it goes with its last user."""
    if sys.platform == "linux":
        return os.memfd_create("vidaug")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def open_files() -> int:
    """Return how many files this process may have open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MANY if limit == resource.RLIM_INFINITY else limit


HOST = socket.gethostname()


def alive(pid: int) -> bool:
    """Return whether this machine runs a process of that number."""
    try:
        os.kill(pid, 0)
    except PermissionError:  # somebody else's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
