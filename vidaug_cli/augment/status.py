"""How far an output folder is, who is at work in it, and what makes the rest. Loads no torch, and no shard.

A hundred thousand done records take seconds: each is opened once, and held against the length of its shard.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from vidaug_cli.augment.claims import holders, part_of
from vidaug_cli.augment.command import ranges, read_command
from vidaug_cli.augment.lock import Holder
from vidaug_cli.augment.output import add_failures
from vidaug_cli.augment.plan import read_header
from vidaug_cli.data.manifest import Row, video_of
from vidaug_cli.data.rows import StoredRows
from vidaug_cli.data.shard.format import read_done, shard_folders
from vidaug_cli.words import count, duration, human_bytes, listed, printable

AT_ONCE = 16  # folders that are read side by side: a network disk answers each question late
LATELY = 600.0  # seconds of which shards tell the rate


class Done(NamedTuple):
    """What is known of a finished shard."""

    shard: int
    seconds: float  # when it was finished, by the clock of the file system
    bytes: int
    clips: int
    left_out: list[tuple[str, str]]  # path and reason, for each clip


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A video that was left out."""

    path: str
    reason: str
    clips: int


@dataclass(frozen=True, kw_only=True)
class AtWork:
    """A process that is at work, with the shards it has locked."""

    host: str
    pid: int
    since: str  # when it locked the first of them, by its own clock
    silent: float  # seconds since it last renewed them
    part: str  # `I/N`
    shards: str  # such as `0,2-5`


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far an output folder is."""

    source: str
    done: int  # shards
    running: int  # ... that are locked
    waiting: int  # ... that a process at work will come to
    missing: int  # ... that nobody will
    shards: int  # in all
    missing_shards: str  # such as `0,2-5`
    clips: int  # that are done
    planned_clips: int
    bytes: int
    rate: float | None  # clips a second, lately; None where too few shards tell it, or nobody is at work
    seconds_left: float | None
    at_work: tuple[AtWork, ...]
    left_out: tuple[LeftOut, ...]
    gone: tuple[str, ...] | None  # videos that are not among those asked about, or were others then; None: not asked
    commands: tuple[str, ...]  # lines for a shell that make what is missing

    @property
    def text(self) -> str:
        """The status for people, of several lines."""
        numbers = {"being made": self.running, "wait for their turn": self.waiting, "missing": self.missing}
        rest = "".join(f", {number} {what}" for what, number in numbers.items() if number)
        lines = [
            f"{self.source}: {self.done} of {count(self.shards, 'shard')} done{rest}; "
            f"{self.clips} of {count(self.planned_clips, 'clip')}, {human_bytes(self.bytes)}"
        ]
        if self.rate:
            left = f", about {duration(self.seconds_left)} left" if self.seconds_left else ""
            lines.append(f"{self.rate:.1f} clips/s{left}")
        for each in self.at_work:
            where = f"at work: process {each.pid} of {printable(each.host)}, part {each.part}, since {each.since}"
            lines.append(f"{where}: shards {each.shards}; last sign of life {duration(each.silent)} ago")
        if self.left_out:
            clips = sum(each.clips for each in self.left_out)
            lines.append(f"left out: {count(len(self.left_out), 'video')}, {count(clips, 'clip')}")
            lines += listed(f"{printable(each.path)}: {each.reason}" for each in self.left_out)
        if self.gone:
            lines.append(f"gone, or another by now: {count(len(self.gone), 'video')}")
            lines += listed(map(printable, self.gone))
        if self.commands:
            lines += ["this makes what is missing:", *listed(self.commands)]
        elif self.missing:
            lines.append("the command that began it makes what is missing")
        return "\n".join(lines)


def status(out: Path, videos: Sequence[Row] | None = None) -> Status:
    """Return how far the output folder `out` is; with `videos`, the data set as it is now, also which of its are gone.

    Raises VidaugError where it is no such folder, or its plan is damaged.
    """
    header = read_header(out)
    rows = StoredRows(out, header.classes)
    rounds = header.rounds_of(len(rows), header.shares_of(rows.labels, header.classes))
    folders = shard_folders(out)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = {each.shard: each for each in chain.from_iterable(pool.map(_finished, folders))}
    running = {shard: holder for shard, holder in holders(out).items() if shard not in done}
    to_come = {part_of(holder) for holder in running.values()}
    left = [shard for shard in range(rounds.shard_count) if shard not in done and shard not in running]
    missing = [shard for shard in left if not any(shard % part.count == part.index for part in to_come)]
    clips = sum(each.clips for each in done.values())
    every = sum(each.clips + len(each.left_out) for each in done.values())
    planned = rounds.total
    rate = _rate([*done.values()], len(running)) if running else None
    command = read_command(out)
    if len(done) == rounds.shard_count:
        add_failures(out, rounds.shard_count)
    left_out = Counter(chain.from_iterable(each.left_out for _, each in sorted(done.items())))
    return Status(
        source=str(out),
        done=len(done),
        running=len(running),
        waiting=len(left) - len(missing),
        missing=len(missing),
        shards=rounds.shard_count,
        missing_shards=ranges(missing),
        clips=clips,
        planned_clips=planned,
        bytes=sum(each.bytes for each in done.values()),
        rate=rate,
        seconds_left=(planned - every) / rate if rate else None,
        at_work=tuple(_at_work(running)),
        left_out=tuple(LeftOut(path=path, reason=reason, clips=clips) for (path, reason), clips in left_out.items()),
        gone=None if videos is None else tuple(_gone(rows, videos)),
        commands=tuple(command.lines({shard % command.parts for shard in missing})) if command else (),
    )


def _gone(rows: Iterable[Row], videos: Iterable[Row]) -> Iterator[str]:
    """Yield the names of rows whose video is not among `videos`."""
    known = set(map(video_of, videos))
    return (row.name for row in rows if video_of(row) not in known)


def _finished(folder: Path) -> list[Done]:
    """Return the shards in a folder that are there in full length. Raises ShardError for a damaged record."""
    found = []
    for path in folder.glob("shard-*.json"):
        with suppress(FileNotFoundError):
            size = path.with_suffix(".h5").stat().st_size
            with path.open("rb", buffering=0) as file:
                text, seconds = file.read(), os.fstat(file.fileno()).st_mtime
            try:
                record = json.loads(text)
                left_out = [(each["path"], each["reason"]) for each in record["failures"]]
                done = Done(record["shard"], seconds, record["bytes"], record["clips"], left_out)
            except (ValueError, LookupError, TypeError):
                read_done(path)  # says what is wrong
                raise
            if done.bytes == size and path.stem == f"shard-{done.shard:05d}":
                found.append(done)
    return found


def _rate(done: Sequence[Done], running: int) -> float | None:
    """Return the clips a second of the shards that were finished lately, or last, where they take longer than that.

    What counts is the time between them, which the file system gives: so no clock of a machine does.
    """
    latest = sorted(done, key=lambda each: -each.seconds)
    several = 2 * running + 1
    counted = [
        each for place, each in enumerate(latest) if place < several or latest[0].seconds - each.seconds < LATELY
    ]
    if len(counted) < 2 or (span := counted[0].seconds - counted[-1].seconds) <= 0:
        return None
    return sum(each.clips + len(each.left_out) for each in counted[:-1]) / span


def _at_work(running: dict[int, Holder]) -> Iterator[AtWork]:
    """Yield the processes that have locked these shards."""
    shards: dict[tuple[str, str, int, str], list[int]] = {}
    for shard, each in running.items():
        shards.setdefault((each.machine, each.host, each.pid, each.part), []).append(shard)
    for (_, host, pid, part), numbers in shards.items():
        own = [running[number] for number in numbers]
        yield AtWork(
            host=host,
            pid=pid,
            since=min(each.since for each in own),
            silent=min(each.silent for each in own),
            part=part,
            shards=ranges(sorted(numbers)),
        )
