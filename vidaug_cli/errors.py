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

    The message reads `where: what; hint` with the parts that are given. Each kind of error is a class with a `code`,
    so this one is caught and never raised.
    """

    code = "VA000"  # raised by nothing of ours: an op of another package may know no kind

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
        between = " " if self.what.endswith("?") else "; "
        return between.join(filter(None, (self.what, self.hint)))


# A kind of error has a class and a code, which is never used again for another kind. docs/errors.md has a section for
# each, with what to do; `vidaug explain CODE` shows it. The hundreds are: the command, its files and the machine (0),
# lists of videos (1), videos (2), recipes (3), shards (4), training (5), scores (6), pictures (7). The command line has
# two more for errors of click, `USAGE` and `VALUE`.
USAGE, VALUE = "VA001", "VA002"


class SettingError(VidaugError):
    """A setting that makes no sense, or settings that do not go together."""

    code = "VA003"


class UnknownNameError(VidaugError):
    """A name of something built in, such as a preset, that there is not."""

    code = "VA004"


class MissingPackageError(VidaugError):
    """An optional package that is not installed."""

    code = "VA005"


class ContentError(VidaugError):
    """A file with a key that is not known, or a value that cannot be; most callers say which kind of file."""

    code = "VA006"


class ConfigError(VidaugError):
    """A file of options with something that no command has."""

    code = "VA007"


class MissingPathError(VidaugError):
    """A file or folder that does not exist."""

    code = "VA010"


class KindError(VidaugError):
    """A path that is something else than what is wanted."""

    code = "VA011"


class OccupiedError(VidaugError):
    """A place to write to that holds something else."""

    code = "VA012"


class AccessError(VidaugError):
    """A path that the system does not let us read or use."""

    code = "VA013"


class UnwritableError(VidaugError):
    """A file that cannot be written."""

    code = "VA014"


class DiskSpaceError(VidaugError):
    """A disk that is full, or too small for what is asked."""

    code = "VA015"


class StorageError(VidaugError):
    """A disk or a network that does not answer."""

    code = "VA016"


class LimitError(VidaugError):
    """A limit of the system on open files or processes."""

    code = "VA017"


class LockedError(VidaugError):
    """A place where another process is at work."""

    code = "VA018"


class OutOfMemoryError(VidaugError):
    """Memory of the machine or of a GPU that is too small for what is asked."""

    code = "VA020"


class DeviceError(VidaugError):
    """A device that is not there, or cannot do what is asked."""

    code = "VA021"


class WorkerError(VidaugError):
    """A process of ours that was killed, or could not be started."""

    code = "VA022"


class ClusterError(VidaugError):
    """A Dask cluster that is gone, or cannot do the work."""

    code = "VA023"


class TasksError(VidaugError):
    """An environment that does not say which of several tasks this is."""

    code = "VA024"


class ListingError(VidaugError):
    """A list of videos with a line that cannot be read, or in two ways."""

    code = "VA100"


class UnclearError(VidaugError):
    """A folder whose classes can be read in more than one way."""

    code = "VA101"


class ManifestError(VidaugError):
    """A manifest with a row that cannot be."""

    code = "VA102"


class NoVideosError(VidaugError):
    """An input in which no video is left to work on."""

    code = "VA103"


class ClassesError(VidaugError):
    """Classes that contradict each other, or are not known where they have to be."""

    code = "VA104"


class RepeatedError(VidaugError):
    """A video that is given twice."""

    code = "VA105"


class TextFileError(VidaugError):
    """A file that should be text in UTF-8, line by line, and is not."""

    code = "VA106"


class VideoError(VidaugError):
    """A video that cannot be used, with the true reason: it is quarantined, never replaced by another.

    `passing`: it could only not be read this time (see `passes`), so this is remembered nowhere as a fault of the file.
    """

    code, code_of_passing = "VA200", "VA201"

    def __init__(self, what: str, where: object = "", hint: str = "", *, passing: bool = False) -> None:
        """Say what is wrong, as for `VidaugError`, and whether another try may succeed."""
        super().__init__(what, where, hint)
        self.passing = passing
        if passing:
            self.code = self.code_of_passing


class CrashError(VideoError):
    """The decoder ended itself: the file may be to blame, or what was decoded before, or memory that was short."""

    code = code_of_passing = "VA202"

    def __init__(self, what: str, where: object = "", hint: str = "") -> None:
        """Say what is wrong, as for `VideoError`."""
        super().__init__(what, where, hint, passing=True)


class RecipeError(VidaugError):
    """A recipe with faults: all of them at once, one on each line."""

    code = "VA300"


class UnknownRecipeError(RecipeError):
    """A recipe that is neither shipped nor a file."""

    code = "VA301"


class PluginError(RecipeError):
    """An op of another package that cannot be loaded."""

    code = "VA302"


class ClipsError(VidaugError, ValueError):
    """A batch in memory whose tensors are not what an op takes; it is a ValueError, too."""

    code = "VA303"


class ShardError(VidaugError):
    """A shard or an output folder that is damaged, not ours, or of another plan."""

    code = "VA400"


class PlanError(ShardError):
    """Clips that are there, and were made with other settings or of other videos."""

    code = "VA401"


class UnfinishedError(ShardError):
    """An output folder in which shards are yet to be made."""

    code = "VA402"


class NoClipError(ShardError):
    """A clip that is not in an output folder, or in several parts of it."""

    code = "VA403"


class UnlikeError(ShardError):
    """Shards or folders that do not fit each other."""

    code = "VA404"


class VersionError(ShardError):
    """A file that another release wrote, in a format that this one does not read."""

    code = "VA405"


class NotShardsError(ShardError):
    """A path that should be an output folder, or a shard, and is neither."""

    code = "VA406"


class CheckpointError(VidaugError):
    """A checkpoint that is damaged, or none."""

    code = "VA500"


class WeightsError(VidaugError):
    """A file of weights that is not read, or does not fit the network."""

    code = "VA501"


class RunError(VidaugError):
    """The folder of a training run that is damaged, or of another run."""

    code = "VA502"


class DivergedError(VidaugError):
    """A training whose loss or weights are not finite any more."""

    code = "VA503"


class UnfitError(VidaugError):
    """Clips that do not fit the training, the network or the test."""

    code = "VA504"


class SweepError(VidaugError):
    """A sweep of which nothing is left to compare, or whose folder is of another sweep."""

    code = "VA505"


class ScoresError(ShardError):
    """A file of scores that is damaged, or none."""

    code = "VA600"


class TruthError(VidaugError):
    """Labels to compare scores with that are not there, or cannot be read."""

    code = "VA601"


class MismatchError(VidaugError):
    """Scores that do not fit each other, or their labels."""

    code = "VA602"


class SubmissionError(VidaugError):
    """A submission that cannot be written, or breaks the format."""

    code = "VA603"


class PictureError(VidaugError):
    """A name to which no picture or table of this kind can be written."""

    code = "VA700"


_LATER = "try the same command again later"
_Known = tuple[type[VidaugError], str]
_OF_PATH: dict[int, _Known] = {  # of each error of the system that is about a path: its kind, and what to try
    errno.ENOENT: (MissingPathError, "is the name right?"),
    errno.ENOTDIR: (KindError, "a part of this path is a file: name another"),
    errno.EISDIR: (KindError, "name a file"),
    errno.ENAMETOOLONG: (AccessError, "choose a shorter one"),
    errno.ELOOP: (AccessError, "its links lead in a circle"),
    errno.ETXTBSY: (AccessError, "a running program uses it"),
    errno.EBUSY: (AccessError, "another program uses it"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTEMPTY), (OccupiedError, "choose another name")),
    **dict.fromkeys((errno.EACCES, errno.EPERM), (AccessError, "check its permissions")),
    **dict.fromkeys((errno.ENXIO, errno.ENODEV), (KindError, "name a plain file")),
}
_SILENT = (errno.ETIMEDOUT, errno.EREMOTEIO, errno.EHOSTDOWN)
_OF_MACHINE: dict[int, _Known] = {  # ... and of each that is about the machine, with a path or without
    errno.EFBIG: (UnwritableError, "write to a disk that takes large files"),
    errno.EROFS: (UnwritableError, "write to another disk"),
    errno.EIO: (StorageError, f"the disk or the network does not answer: {_LATER}"),
    errno.ESTALE: (StorageError, f"the network disk was lost: {_LATER}"),
    errno.EMFILE: (LimitError, "raise the limit with 'ulimit -n 4096', or take fewer with -j"),
    errno.ENFILE: (LimitError, "too many files are open on this machine: close other programs"),
    errno.ENOMEM: (OutOfMemoryError, "close other programs, or take fewer with -j"),
    errno.EAGAIN: (LimitError, "raise the limit with 'ulimit -u', or take fewer with -j"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), (DiskSpaceError, "free some space, or write to another disk")),
    **dict.fromkeys(_SILENT, (StorageError, f"the network does not answer: {_LATER}")),
}


def cannot_read(error: OSError, where: object, hint: str = "", *, kind: type[VidaugError] | None = None) -> VidaugError:
    """Return an error of the system that met us while we read a file, with a hint of its own where it has one.

    Args:
        kind: None: that of the error.
    """
    known, advice = (_OF_MACHINE | _OF_PATH).get(error.errno or 0, (AccessError, ""))
    return (kind or known)(f"cannot be read: {error.strerror or error}", where=where, hint=hint or advice)


def missing_package(what: str, package: str, extra: str) -> MissingPackageError:
    """Return the error that says so: `what` needs `package`, which an extra of ours brings."""
    return MissingPackageError(
        f"{what} needs {package}, which is not installed", hint=f"python -m pip install 'vidaug-cli[{extra}]'"
    )


THIS_TIME = "could not be read this time"
# Errors of the system that say nothing of what a file holds: the machine, its disks and the network, or where the file
# lies and who may read it. All others are faults of the file.
_PASSING = frozenset(
    {
        *_OF_MACHINE,
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
    known = _OF_MACHINE.get(number) or (_OF_PATH.get(number) if path is not None else None)
    if known is None:
        return None
    kind, hint = known
    return kind(
        os.strerror(number), where="" if path is None or isinstance(path, int) else os.fsdecode(path), hint=hint
    )


def cannot_write(error: OSError, where: object, hint: str = "") -> VidaugError:
    """Return an error of the system that met us while we wrote a file, with what to try about the machine."""
    kind, advice = _OF_MACHINE.get(error.errno or 0, (UnwritableError, ""))
    return kind(f"cannot be written: {error.strerror or error}", where=where, hint=hint or advice)


# Torch of a GPU, of the machine; its libraries; the loader of shared ones.
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "ALLOC_FAILED",
    "failed to map segment",
    "annot allocate memory",
)


def short_of_memory(error: Exception) -> bool:
    """Return whether an error of another library says that memory was short."""
    return any(words in str(error) for words in _NO_MEMORY)


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
        if not short_of_memory(error):
            raise
        number = re.search(r"GPU (\d+)", text)
        device = f"cuda:{number[1]}" if number else "cpu" if "CPUAllocator" in text else "cuda" if "CU" in text else ""
        asked = re.search(r"tried to allocate ([\d.]+) (\w+)", text, re.IGNORECASE)
        amount = f"{asked[1]} {asked[2]}" if asked else ""
        if asked and asked[2] == "bytes":
            amount = human_bytes(int(asked[1]))
        what = f"not enough memory{amount and f': {amount} more were asked for'}"
        raise OutOfMemoryError(what, where=device, hint=advice(device)) from error


def terminal_text(error: VidaugError) -> str:
    """Return the message as a terminal can show it, with its code: a file may have any name, with line feeds in it."""
    message = str(type(error)(error.what, printable(error.where), printable(error.hint)))
    return f"{readable(''.join([message, *getattr(error, '__notes__', ())]))} [{error.code}]"
