"""Files that say who is at work: made only where there is none, so that one process has it, on network disks too.

Whoever finds one knows by it that its holder is alive: on the machine of the holder by the process, elsewhere by the
time of the file, which the holder renews. That time is compared with the time of another file of the same file system,
so that no clock of any machine counts. What a dead process left is taken over.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import Self

from vidaug_cli.errors import LockedError, VidaugError
from vidaug_cli.files import HOST, alive, temporary_beside
from vidaug_cli.schema import check, parse, parse_json
from vidaug_cli.words import duration

RENEWED = 30.0  # seconds from one sign of life of a holder to the next
LOST = 6 * RENEWED  # ... without one before it counts as gone
POLL = 0.5  # seconds from one look at others to the next
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV)  # of a file system without hard links
FOLDER_LOCK = ".folder.lock"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that holds a file, as that says. Raises VidaugError on values that none can have."""

    host: str
    pid: int
    machine: str  # a boot of a machine or of a container in it, where numbers of processes mean something
    born: str  # when the process began, which tells it from a later one of the same number; empty: not known
    since: str
    part: str = ""  # of a plan: `1/4`
    silent: float = 0.0  # seconds since its last sign of life
    gone: bool = False

    def __post_init__(self) -> None:
        check(self, {"pid": (self.pid > 0, "1 or more")})

    @property
    def text(self) -> str:
        """Who it is, for people."""
        if not self.host:
            return "another process"
        away = "" if self.machine == machine() else f" of {self.host}"
        return f"process {self.pid}{away}, since {self.since}"

    def refusal(self, folder: Path, hint: str = "wait until it has ended, or end it") -> VidaugError:
        """Return the error that says so."""
        quiet = f"; its last sign of life was {duration(self.silent)} ago" if self.silent > 2 * RENEWED else ""
        return LockedError(f"is being written by {self.text}{quiet}", where=folder, hint=hint)


class Locks:
    """The files that this process holds, as long as the block lasts."""

    def __init__(self, part: str = "") -> None:
        """Say in each file which `part` of a plan is worked on."""
        self._part = part
        self._held: dict[Path, bytes] = {}
        self._ended = Event()

    def __enter__(self) -> Self:
        self._spare = os.open(os.devnull, os.O_RDONLY)  # in its place a file can be opened at the end, come what may
        Thread(target=self._renew, name="locks", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        os.close(self._spare)
        for path in [*self._held]:
            self.release(path)

    def take(self, path: Path) -> Holder | None:
        """Hold the file at `path`, and return None; or, where that cannot be, who does.

        Raises OSError where the folder does not take it.
        """
        while path not in self._held:
            if text := _create(path, self._part):
                self._held[path] = text
                return None
            holder = look(path)
            if holder and holder.gone:
                holder = self._take_over(path)
            if holder:
                return holder
        return None

    def release(self, path: Path) -> None:
        """Remove the file, if it is ours."""
        text = self._held.pop(path, None)
        with suppress(OSError):
            if text and path.read_bytes() == text:
                path.unlink()

    def _take_over(self, path: Path) -> Holder | None:
        """Remove what a dead process left; return another process that is about to.

        Only who holds a second file may, and looks again then: else, of two that saw the dead one, the slower would
        remove what the faster has made in its place.
        """
        second = path.with_name(f"{path.name}.gone")
        if other := self.take(second):
            return other
        try:
            if (holder := look(path)) and holder.gone:
                path.unlink(missing_ok=True)
        finally:
            self.release(second)
        return None

    def _renew(self) -> None:
        """Give the files a new time again and again, by the clock of their file system."""
        while not self._ended.wait(RENEWED):
            for path, text in [*self._held.items()]:
                with suppress(OSError):  # the network is away, or another process took us for dead
                    if path.read_bytes() == text:
                        os.utime(path)


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold the file at `path` until the block ends. Raises VidaugError when another process does."""
    with Locks() as locks:
        if holder := locks.take(path):
            raise holder.refusal(path.parent)
        yield


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Let one process at a time into the block, which is short; all where the folder takes no file."""
    with Locks() as locks:
        with suppress(OSError):
            while locks.take(folder / FOLDER_LOCK):
                time.sleep(POLL / 20)
        yield


def look(path: Path, clock: Callable[[], float] | None = None) -> Holder | None:
    """Return who holds, or held, the file at `path`; None where there is none.

    `clock` gives the time of the file system, where others have asked for it already. Without it, nothing is said of
    when a holder on this machine last gave a sign of life, as its process says more.
    """
    try:
        with path.open("rb") as file:  # opened, as network file systems may answer from memory otherwise
            text, seen = file.read(1000), os.fstat(file.fileno()).st_mtime
        holder = _parse(text)
        near = holder is not None and holder.machine == machine()
        now = clock() if clock else seen if near else file_system_time(path.parent)
    except FileNotFoundError:
        return None
    # It is written at once: one that was not is of a process that was killed in between.
    unwritten = Holder(host="", pid=1, machine="", born="", since="")
    silent = abs(now - seen)  # the clock of the file system, too, may have been set back
    gone = not _runs(holder) if holder and near else silent > (LOST if holder else RENEWED)
    return replace(holder or unwritten, silent=silent, gone=gone)


def file_system_time(folder: Path) -> float:
    """Return the time that a file made in the folder now has, in seconds; where none can be made, our own time."""
    path = temporary_beside(folder / "clock")
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except OSError:
        return time.time()
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _create(path: Path, part: str) -> bytes | None:
    """Make the file, and return what is in it; None where there is one.

    Where the file system has hard links, it takes its name with what is in it: a process that is killed in between
    leaves no file that names nobody.
    """
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    own = Holder(host=HOST, pid=os.getpid(), machine=machine(), born=_born(os.getpid()), since=since, part=part)
    text = json.dumps({key: value for key, value in asdict(own).items() if key not in ("silent", "gone")}).encode()
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(text)
        os.link(temporary, path)
        return text
    except FileExistsError:
        return None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
    finally:
        temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return None
    try:
        os.write(descriptor, text)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return text


def _parse(text: bytes) -> Holder | None:
    """Return the holder that a file names; None where it names none."""
    try:
        return parse(Holder, parse_json(text, dict, "a lock"))
    except VidaugError:
        return None


@cache
def machine() -> str:
    """Return what tells this boot of this machine, and its container, from others: names of hosts may be the same."""
    parts = [HOST]
    with suppress(OSError):
        parts += [
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return " ".join(parts)


def _runs(holder: Holder) -> bool:
    """Return whether the holder, a process of this machine, still runs."""
    try:
        state, born = _status(holder.pid)
    except OSError:  # no such process, or none that we may look at
        return alive(holder.pid)
    return state not in "ZX" and born == (holder.born or born)


def _born(pid: int) -> str:
    """Return when a process of this machine began, in ticks since the machine did; empty where nothing says so."""
    try:
        return _status(pid)[1]
    except OSError:
        return ""


def _status(pid: int) -> tuple[str, str]:
    """Return the state of a process, and when it began. Raises OSError where nothing says so."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return fields[0].decode(), fields[19].decode()
