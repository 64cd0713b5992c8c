"""Errors that a user can fix: one line that says what, where and what to try.

Any other error is a bug and keeps its traceback, except those of the operating system that a user can fix.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vidaug_cli.words import human_bytes, printable, readable


class VidaugError(Exception):
    """An error that the user can fix.

    The message reads `where: what; hint` with the parts that are given.
    """

    def __init__(self, what: str, where: object = "", hint: str = "") -> None:
        """Say what is wrong, with which file or option, and what to try."""
        # All three as arguments of Exception, from which pickle makes the error again in another process.
        super().__init__(what, str(where), hint)
        self.what, self.where, self.hint = what, str(where), hint

    def __str__(self) -> str:
        """Return the message."""
        return f"{self.where}: {self.reason}" if self.where else self.reason

    @property
    def reason(self) -> str:
        """The message without its place, for a list that names the place itself."""
        return f"{self.what}; {self.hint}" if self.hint else self.what


class VideoError(VidaugError):
    """A video that cannot be used, with the true reason: it is quarantined, never replaced by another.

    `passing`: it could only not be read this time (see `passes`), so this is remembered nowhere as a fault of the file.
    """

    def __init__(self, what: str, where: object = "", hint: str = "", *, passing: bool = False) -> None:
        """Say what is wrong, as for `VidaugError`, and whether another try may succeed."""
        super().__init__(what, where, hint)
        self.passing = passing


class RecipeError(VidaugError):
    """A recipe with faults: all of them at once, one on each line."""


class ShardError(VidaugError):
    """A shard or an output folder that is damaged, not ours, or of another plan."""


class ClipsError(VidaugError, ValueError):
    """A batch in memory whose tensors are not what an op takes; it is a ValueError, too."""


_LATER = "try the same command again later"
_PATH_HINTS = {  # what to try where the system's error is about a path
    errno.ENOENT: "is the name right?",
    errno.ENOTDIR: "a part of this path is a file: name another",
    errno.EISDIR: "name a file",
    errno.ENAMETOOLONG: "choose a shorter one",
    errno.ELOOP: "its links lead in a circle",
    errno.ETXTBSY: "a running program uses it",
    errno.EBUSY: "another program uses it",
    **dict.fromkeys((errno.EEXIST, errno.ENOTEMPTY), "choose another name"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "check its permissions"),
    **dict.fromkeys((errno.ENXIO, errno.ENODEV), "name a plain file"),
}
_MACHINE_HINTS = {  # ... and where it is about the machine, with a path or without
    errno.EFBIG: "write to a disk that takes large files",
    errno.EROFS: "write to another disk",
    errno.EIO: f"the disk or the network does not answer: {_LATER}",
    errno.ESTALE: f"the network disk was lost: {_LATER}",
    errno.EMFILE: "raise the limit with 'ulimit -n 4096', or take fewer with -j",
    errno.ENFILE: "too many files are open on this machine: close other programs",
    errno.ENOMEM: "close other programs, or take fewer with -j",
    errno.EAGAIN: "raise the limit with 'ulimit -u', or take fewer with -j",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space, or write to another disk"),
    **dict.fromkeys((errno.ETIMEDOUT, errno.EREMOTEIO, errno.EHOSTDOWN), f"the network does not answer: {_LATER}"),
}

THIS_TIME = "could not be read this time"
# Errors of the system that say nothing of what a file holds: the machine, its disks and the network, or where the file
# lies and who may read it. All others are faults of the file.
_PASSING = frozenset(
    {
        *_MACHINE_HINTS,
        *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EBUSY, errno.ENXIO, errno.ENODEV, errno.EINTR),
        *(errno.EUCLEAN, errno.EBADMSG, errno.ENOBUFS, errno.ENOLCK, errno.EKEYEXPIRED, errno.ENOKEY),
        *(errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.ESHUTDOWN, errno.ENOLINK),
        *(errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.ECOMM),
    }
)


def passes(error: BaseException) -> bool:
    """Return whether another try may succeed: the machine failed, and not the file that was read."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _PASSING)


def system_error(error: OSError) -> VidaugError | None:
    """Return an error of the operating system as one that a user can fix; None for one that only a bug causes."""
    number, path = error.errno or 0, error.filename
    hint = _MACHINE_HINTS.get(number) or (_PATH_HINTS.get(number) if path is not None else None)
    where = "" if path is None or isinstance(path, int) else os.fsdecode(path)
    return VidaugError(os.strerror(number), where=where, hint=hint) if hint else None


_NO_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED")  # torch of a GPU, of the machine; its libraries


@contextmanager
def explain_memory(advice: Callable[[str], str]) -> Iterator[None]:
    """Raise a VidaugError in place of torch's error about too little memory: where, how much was asked, what to try.

    Args:
        advice: returns the last of these for a device, such as `cuda:1`, `cpu`, or empty where torch does not name it.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not any(words in text for words in _NO_MEMORY):
            raise
        number = re.search(r"GPU (\d+)", text)
        device = f"cuda:{number[1]}" if number else "cpu" if "CPUAllocator" in text else "cuda" if "CU" in text else ""
        asked = re.search(r"tried to allocate ([\d.]+) (\w+)", text, re.IGNORECASE)
        amount = f"{asked[1]} {asked[2]}" if asked else ""
        if asked and asked[2] == "bytes":
            amount = human_bytes(int(asked[1]))
        what = f"not enough memory{amount and f': {amount} more were asked for'}"
        raise VidaugError(what, where=device, hint=advice(device)) from error


def terminal_text(error: VidaugError) -> str:
    """Return the message as a terminal can show it: a file may have any name, with line feeds in it."""
    message = str(VidaugError(error.what, printable(error.where), printable(error.hint)))
    return readable("".join([message, *getattr(error, "__notes__", ())]))
