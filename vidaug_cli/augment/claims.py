"""Which shards a process makes, where others may be at work in the same folder: each locks those it is making."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Literal

from vidaug_cli.augment.command import Command
from vidaug_cli.augment.lock import POLL, Holder, Locks, file_system_time, lock_folder, look
from vidaug_cli.augment.output import check_place, finished, finished_record, remove, remove_written, to_do
from vidaug_cli.augment.part import WHOLE, Part
from vidaug_cli.augment.plan import Plan, write_plan
from vidaug_cli.data.shard.format import DoneRecord, shard_folders, shard_path
from vidaug_cli.errors import VidaugError
from vidaug_cli.files import abandoned, leftovers

WhenBusy = Literal["stop", "wait", "join"]
OTHERS = "--wait waits until it has ended, and --join makes other shards beside it"


class Claims:
    """The shards of a part that are left to do: each is locked before it is made, so that nobody else makes it then.

    Args:
        plan: what is made.
        out: where.
        part: which shards.
        locks: of this process.
        retry_failed: as for `to_do`.
    """

    def __init__(self, plan: Plan, out: Path, part: Part, locks: Locks, *, retry_failed: bool) -> None:
        self._out, self._locks = out, locks
        self.done = finished(plan, out, part)
        self.todo = to_do(plan, part, self.done, retry_failed=retry_failed)
        self.others: dict[int, Holder] = {}  # who makes the shards that this process could not have
        self._last: Path | None = None

    def reserve(self) -> None:
        """Lock the first shard that can be had: from now on others see that somebody is at work."""
        for index in self.todo:
            if not self._locks.take(lock_path(self._out, index)):
                return

    def tasks(self, found: Callable[[DoneRecord], None]) -> Iterator[tuple[int, DoneRecord | None]]:
        """Yield the number of each shard to be done and what is known of it, once it is this process's alone.

        A shard that another process has made meanwhile is `found`; one that another is making stays in `todo`.
        """
        todo, self.todo, self.others = self.todo, [], {}
        for index in todo:
            path, made = lock_path(self._out, index), self._made(index)
            if not made and (holder := self._locks.take(path)):
                self.others[index] = holder
                self.todo.append(index)
            elif made := made or self._made(index):  # just before the lock was ours
                self._locks.release(path)
                self.done[index] = made
                found(made)
            else:
                yield index, self.done.get(index)

    def finish(self, record: DoneRecord) -> None:
        """Take note of a shard that this process has made, and `leave` it."""
        self.done[record.shard] = record
        self.leave(record.shard)

    def leave(self, shard: int) -> None:
        """Let a shard go once the next one is left, so that others see all the time that somebody is at work."""
        self.let_go()
        self._last = lock_path(self._out, shard)

    def let_go(self) -> None:
        """Let go of the last shard that was left."""
        if self._last:
            self._locks.release(self._last)
        self._last = None

    def _made(self, index: int) -> DoneRecord | None:
        """Return the record of a shard that another process has made since this one looked."""
        record = finished_record(shard_path(self._out, index))
        return record if record != self.done.get(index) else None


@contextmanager
def claim_shards(
    plan: Plan,
    out: Path,
    part: Part,
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
    when_busy: WhenBusy = "stop",
    command: Command | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Iterator[Claims]:
    """Make `out` the folder of this plan, and let the block make shards of the part, as long as it lasts.

    Args:
        plan: what is made.
        out: where.
        part: which shards.
        overwrite: whether shards of another plan may go.
        retry_failed: as for `to_do`.
        when_busy: what to do where another process is at work on some of these shards: raise VidaugError, wait until it
            has ended, or take others.
        command: what the user typed, to be kept in the folder.
        say: is called with a line about who is waited for.

    Raises ShardError as `check_place`, and VidaugError when another process is at work on any shard where those of
    another plan have to go.
    """
    out.mkdir(parents=True, exist_ok=True)
    with Locks(str(part)) as locks:
        said = ""
        while isinstance(claims := _begin(plan, out, part, locks, overwrite, retry_failed, when_busy), Holder):
            if when_busy != "wait":
                raise claims.refusal(out, OTHERS)
            if said != claims.text:
                said = claims.text
                say(f"{out}: is being written by {said}; waits until that has ended")
            time.sleep(POLL)
        try:
            if command:
                command.write(out)
            yield claims
        finally:
            with suppress(OSError):  # the folder may have been removed
                _tidy(plan, out, part, locks)


def _begin(
    plan: Plan, out: Path, part: Part, locks: Locks, overwrite: bool, retry_failed: bool, when_busy: WhenBusy
) -> Claims | Holder:
    """Return the claims of this process, with a first shard if there is one to be had; or who is in its way."""
    with lock_folder(out):
        differing = check_place(plan, out, overwrite=overwrite)
        for holder in holders(out).values():
            if differing or (when_busy != "join" and part.overlaps(part_of(holder))):
                return holder
        if differing:
            remove_written(out)
        write_plan(plan, out)
        remove(abandoned(out))
        _tidy(plan, out, part, locks)
        claims = Claims(plan, out, part, locks, retry_failed=retry_failed)
        claims.reserve()
        return claims


def part_of(holder: Holder) -> Part:
    """Return the part that another process says it makes."""
    try:
        return Part.parse(holder.part)
    except VidaugError:
        return WHOLE


def _tidy(plan: Plan, out: Path, part: Part, locks: Locks) -> None:
    """Delete what killed processes left: their locks, and temporary files of this part's shards that nobody writes."""
    for path in chain.from_iterable(map(leftovers, shard_folders(out))):
        number = re.match(r"\.shard-([0-9]{5,})\.", path.name)
        if number and int(number[1]) in part.shards(plan) and not locks.take(lock_path(out, int(number[1]))):
            path.unlink(missing_ok=True)
    for path in out.glob(".*.lock*"):
        if not locks.take(path):
            locks.release(path)


def holders(out: Path) -> dict[int, Holder]:
    """Return which processes are at work in the folder, by the numbers of the shards that they make."""
    clock = cache(lambda: file_system_time(out))
    paths = {path: re.fullmatch(r"\.shard-([0-9]{5,})\.lock", path.name) for path in out.glob(".shard-*.lock")}
    found = {int(number[1]): look(path, clock) for path, number in sorted(paths.items()) if number}
    return {shard: holder for shard, holder in found.items() if holder and not holder.gone}


def lock_path(out: Path, shard: int) -> Path:
    """Return the file that says who makes shard number `shard`."""
    return out / f".shard-{shard:05d}.lock"
