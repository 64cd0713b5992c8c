"""Errors a user can mend: one line that says what, where and what to try.

Anything that is not a `VidaugError` is a bug and keeps its traceback, but for what the operating system says that a
user can mend.
"""

from __future__ import annotations

import errno
import os

from vidaug_cli.words import printable, readable


class VidaugError(Exception):
    """Something the user can mend.

    The message reads `where: what; hint` with the parts that are given.
    """

    def __init__(self, what: str, *, where: object = "", hint: str = "") -> None:
        # All three as positional arguments, so that the error survives pickling between processes.
        super().__init__(what, str(where), hint)
        self.what, self.where, self.hint = what, str(where), hint

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" if self.where else self.reason

    @property
    def reason(self) -> str:
        """The message without its place, for a list that names the place itself."""
        return f"{self.what}; {self.hint}" if self.hint else self.what

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.hint), vars(self)


def _rebuild(kind: type[VidaugError], what: str, where: str, hint: str) -> VidaugError:
    return kind(what, where=where, hint=hint)


class VideoError(VidaugError):
    """A video that cannot be used, with the true reason: it is quarantined, never swapped for another.

    `passing`: the reason may be gone at another try (a limit that can be raised, a killed decoder, a disk that does not
    answer), so nothing remembers it as a fault of the file.
    """

    def __init__(self, what: str, *, where: object = "", hint: str = "", passing: bool = False) -> None:
        super().__init__(what, where=where, hint=hint)
        self.passing = passing


class RecipeError(VidaugError):
    """A recipe with faults, all of them at once, a line each."""


class ShardError(VidaugError):
    """A shard or an output folder that is damaged, foreign or belongs to another plan."""


class ClipsError(VidaugError, ValueError):
    """A batch in memory whose tensors are not what an op can take; programs know it as a ValueError."""


_OF_PATHS = {  # what the system says of a path, and what to try
    errno.ENOENT: "is the name right?",
    errno.ENOTDIR: "a part of this path is a file: name another",
    errno.EISDIR: "name a file",
    errno.EEXIST: "name another",
    errno.ENOTEMPTY: "name another",
    errno.ENAMETOOLONG: "name a shorter one",
    errno.ELOOP: "its links lead in a circle",
    errno.EACCES: "may you read and write there?",
    errno.EPERM: "may you read and write there?",
    errno.ETXTBSY: "a program that runs uses it",
    errno.EBUSY: "another program uses it",
    errno.ENXIO: "name a plain file",
    errno.ENODEV: "name a plain file",
}
_OF_THE_MACHINE = {  # ... and of the machine, with or without one
    errno.ENOSPC: "free some room, or write to another disk",
    errno.EDQUOT: "free some room, or write to another disk",
    errno.EFBIG: "write to a disk that takes large files",
    errno.EROFS: "write to another disk",
    errno.EIO: "the disk or the network does not answer: the same command may do later",
    errno.ESTALE: "the network disk was lost: the same command may do later",
    errno.ETIMEDOUT: "the network does not answer: the same command may do later",
    errno.EREMOTEIO: "the network does not answer: the same command may do later",
    errno.EHOSTDOWN: "the network does not answer: the same command may do later",
    errno.EMFILE: "raise the limit with 'ulimit -n 4096', or take fewer with -j",
    errno.ENFILE: "too many files are open on this machine: close other programs",
    errno.ENOMEM: "close other programs, or take fewer with -j",
    errno.EAGAIN: "raise the limit with 'ulimit -u', or take fewer with -j",
}


def of_the_system(error: OSError) -> VidaugError | None:
    """What the system says that a user can mend, with what to try; None for an error that a bug of ours makes."""
    hint = _OF_THE_MACHINE.get(error.errno or 0) or (error.filename is not None and _OF_PATHS.get(error.errno or 0))
    if hint:
        place = error.filename if error.filename is not None and not isinstance(error.filename, int) else ""
        return VidaugError(os.strerror(error.errno or 0), where=os.fsdecode(place) if place else "", hint=hint)
    return None


def told(error: VidaugError) -> str:
    """The message as a terminal can show it; a file may have any name, with line feeds in it."""
    place, advice = f"{printable(error.where)}: " * bool(error.where), f"; {printable(error.hint)}" * bool(error.hint)
    return readable(f"{place}{error.what}{advice}")
