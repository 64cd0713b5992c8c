"""The output folder: whose it is, what is done in it, what is left to do, and what it will weigh."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidaug_cli.augment.command import NAME as COMMAND
from vidaug_cli.augment.difference import difference
from vidaug_cli.augment.lock import lock_folder
from vidaug_cli.augment.part import WHOLE, Part
from vidaug_cli.augment.plan import CODEC_SHARE, Plan, read_header
from vidaug_cli.data.kinds import PLAN, Kind, has_plan, is_shards, kind_of, parts_of
from vidaug_cli.data.rows import INDEX, MANIFEST
from vidaug_cli.data.shard.format import DoneRecord, done_path, finished_shards, read_done, shard_folders
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import (
    DiskSpaceError,
    MissingPathError,
    NoClipError,
    NotShardsError,
    OccupiedError,
    PlanError,
    ShardError,
    UnfinishedError,
    VidaugError,
)
from vidaug_cli.files import check_is_folder, leftovers, write_text_atomically
from vidaug_cli.words import human_bytes

WRITTEN = ("[0-9]*/shard-[0-9]*.json", "[0-9]*/shard-[0-9]*.h5", "failures.jsonl", COMMAND, MANIFEST, INDEX, PLAN)
BEFORE_THE_PLAN = re.compile(
    rf"{re.escape(MANIFEST)}|{re.escape(INDEX)}|README\.md|croissant\.json"
    r"|\..*-.*\.tmp|\.(folder|shard-[0-9]{5,})\.lock(\.gone)*"
)  # what a run writes before its plan; and the card, which may be a person's own
RESERVE = 1 << 28  # bytes to leave free on the disk


def clips_in(plan: Plan, shards: Iterable[int]) -> int:
    """Return how many clips these shards of the plan hold, if no video fails."""
    return sum(map(plan.rounds.clips, shards))


def check_place(plan: Plan, out: Path, *, overwrite: bool) -> list[str]:
    """Return in which keys the plan in `out` is another one, which is to be overwritten; none where there is no plan.

    Raises ShardError when it is another plan and should not be overwritten, and when `out` is somebody else's.
    """
    check_is_folder(out)
    strange = [path for path in (out.iterdir() if out.exists() else ()) if not BEFORE_THE_PLAN.fullmatch(path.name)]
    if not has_plan(out):  # looked for after the others: of what is ours, it comes before them
        if is_shards(out):
            raise OccupiedError(
                "has parts, and no plan of its own", where=out, hint="choose another folder, or --extend"
            )
        if strange:
            raise OccupiedError("is not empty and was not written by vidaug", where=out, hint="choose another folder")
        return []
    header = read_header(out)
    differing = plan.header.differences(header)
    if differing and not overwrite:
        hint = "choose another folder, or --overwrite"
        if header.drawn_differently:
            raise PlanError(header.drawn_differently, where=out, hint=f"go on with that release, {hint}")
        raise PlanError(f"holds the shards of another plan, {difference(plan, out, header)}", where=out, hint=hint)
    return differing


def check_start(
    plan: Plan, out: Path, part: Part, *, overwrite: bool = False, retry_failed: bool = False, force: bool = False
) -> None:
    """Raise as `check_place`, before anything is written; unless `force`, VidaugError when the disk is too small."""
    with lock_folder(out):
        differing = check_place(plan, out, overwrite=overwrite)
        if force:
            return
        done = {} if differing else finished(plan, out, part)
        freed = sum(path.stat().st_size for path in out.glob("[0-9]*/shard-[0-9]*.h5")) if differing else 0
        todo = to_do(plan, part, done, retry_failed=retry_failed)
    needed, free = plan.bytes * clips_in(plan, todo) // plan.clips - freed, free_bytes(out)
    if todo and needed + RESERVE > free:
        about, spare, left = map(human_bytes, (needed, RESERVE, free))
        hint = "--codec jpeg or video takes far less, so do fewer --copies; --force tries anyway"
        raise DiskSpaceError(f"needs about {about} and {spare} to spare, and {left} are free", where=out, hint=hint)


def fit_codec(plan: Plan, out: Path, *, overwrite: bool = False) -> tuple[Plan, str]:
    """Return the plan with the first codec whose shards the disk of `out` takes, or else the smallest; and why.

    Where `out` has this plan already, its codec stays. Raises ShardError when what is there cannot be read.
    """
    if has_plan(out):
        again = replace(plan, codec=read_header(out).codec)
        if not overwrite or not again.header.differences(read_header(out)):
            return again, f"--codec auto: {again.codec}, with which the folder was begun"
    old = sum(path.stat().st_size for path in out.glob("[0-9]*/shard-[0-9]*.h5"))
    free = free_bytes(out) + old - RESERVE
    plans = [replace(plan, codec=codec) for codec in CODEC_SHARE]
    fits = next((each for each in plans if each.bytes <= free), plans[-1])
    larger = [f"{each.codec} needs about {human_bytes(each.bytes)}" for each in plans[: plans.index(fits)]]
    why = f", as {' and '.join(larger)}" if larger else f", about {human_bytes(fits.bytes)}"
    return fits, f"--codec auto: {fits.codec}{why}, and {human_bytes(max(0, free))} are free to use"


def remove_written(out: Path) -> None:
    """Delete what `vidaug augment` wrote into `out`, and nothing else; the plan last, with it the folder is ours.

    Parts go first: beside the shards of another plan they would be read as if they belonged to it.
    """
    for part in parts_of(out):
        if part != out:
            remove_written(part)
            with suppress(OSError):
                part.rmdir()
    for pattern in WRITTEN:
        remove(out.glob(pattern))
    for folder in shard_folders(out):
        remove(leftovers(folder))
        with suppress(OSError):  # something of somebody else's is in it
            folder.rmdir()


def remove(paths: Iterable[Path]) -> None:
    """Delete files; one that is gone already is none the less."""
    for path in paths:
        path.unlink(missing_ok=True)


def finished(plan: Plan, out: Path, part: Part = WHOLE) -> dict[int, DoneRecord]:
    """Return the done records of a part's shards that are there in full length, by shard number.

    Raises ShardError for a damaged record.
    """
    mine = {index: path for index, path in finished_shards(out).items() if index in part.shards(plan)}
    return {index: record for index, path in mine.items() if (record := finished_record(path))}


def finished_record(shard: Path) -> DoneRecord | None:
    """Return the done record of a shard that is there in full length. Raises ShardError for a damaged one."""
    try:
        record = read_done(done_path(shard))
        return record if record.bytes == shard.stat().st_size else None
    except FileNotFoundError:
        return None
    except ShardError as error:
        if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise
    return None


def to_do(plan: Plan, part: Part, done: Mapping[int, DoneRecord], *, retry_failed: bool = False) -> list[int]:
    """Return the shards of a part that are not finished, or with `retry_failed` lack clips."""
    return [index for index in part.shards(plan) if index not in done or (retry_failed and done[index].failures)]


def write_failures(out: Path, shard_count: int) -> bool:
    """Write the clips that were left out to `failures.jsonl`, in plan order, and return whether all shards are there.

    Before that nothing is written. The file follows from the done records, so whoever finds them all writes it, whole.
    """
    shards = finished_shards(out)
    if len(shards) < shard_count:
        return False
    records = [record for path in shards.values() if (record := finished_record(path))]
    if len(records) < shard_count:
        return False
    failures = (asdict(failure) for record in records for failure in record.failures)
    lines = "".join(json.dumps(failure, ensure_ascii=False) + "\n" for failure in failures)
    with suppress(OSError):
        if (out / "failures.jsonl").read_text(encoding="utf-8") == lines:
            return True
    write_text_atomically(out / "failures.jsonl", lines)
    return True


def add_failures(out: Path, shard_count: int) -> None:
    """Write `failures.jsonl` where all shards are there and it is not: the last parts may not have seen each other.

    Nothing happens where this process may only read the folder.
    """
    if not (out / "failures.jsonl").exists():
        with suppress(VidaugError):
            write_failures(out, shard_count)


def free_bytes(out: Path) -> int:
    """Return the free bytes on the disk that `out` lies on, or will."""
    place = out.absolute()
    return shutil.disk_usage(next(folder for folder in (place, *place.parents) if folder.exists())).free


def shard_files(source: Path) -> list[Path]:
    """Return the finished shards of an output folder and its parts in order, or the one shard that `source` is.

    Raises ShardError when there is none, with what `source` is instead.
    """
    if shards := [shard for part in parts_of(source) for shard in finished_shards(part).values()]:
        return shards
    kind, hint = kind_of(source), "name a folder written by 'vidaug augment', or a shard in it"
    if kind in (Kind.SHARD, Kind.UNCLEAR) and source.is_file():
        return [source]
    if kind is Kind.SHARDS:
        hint = "the same 'vidaug augment' command makes them"
        raise UnfinishedError("holds no finished shard yet", where=source, hint=hint)
    if kind is Kind.MISSING:
        raise MissingPathError(kind.finding, where=source, hint=hint)
    what = f"{kind.finding}, and not a folder of shards"
    raise NotShardsError(what, where=source, hint=kind.use or hint)


class StoredClip(NamedTuple):
    """Where a clip lies."""

    folder: Path  # that has the plan
    shard: Path
    place: int  # of the clip in the shard


def find_clips(out: Path, wanted: Sequence[int] | int | None) -> list[StoredClip]:
    """Return the places of clips: by their numbers in the plan, so many spread evenly over all parts, or None: all.

    Raises ShardError when one is not there, or there in several parts.
    """
    places: dict[tuple[Path, int], StoredClip] = {}
    for path in shard_files(out):
        with Shard(path) as shard:
            folder, clips = path.parent.parent, shard.column("clip").tolist()
            places |= {(folder, clip): StoredClip(folder, path, place) for place, clip in enumerate(clips)}
    folders = list(dict.fromkeys(place.folder for place in places.values()))
    known = sorted(places, key=lambda key: (folders.index(key[0]), key[1]))
    if not known:
        raise NoClipError("holds no clip: every video was left out", where=out, hint="failures.jsonl says why")
    if wanted is None:
        return [places[key] for key in known]
    if isinstance(wanted, int):
        spread = np.linspace(0, len(known) - 1, min(wanted, len(known))).round().astype(int)
        return [places[known[place]] for place in spread]
    found = []
    for clip in wanted:
        there = [folder for folder in folders if (folder, clip) in places]
        if not there:
            numbers = sorted(number for _, number in known)
            hint = f"it has {len(known)}, from {numbers[0]} to {numbers[-1]}"
            raise NoClipError(f"has no clip {clip}", where=out, hint=hint)
        if len(there) > 1:
            names = " and ".join(str(folder.relative_to(out)) for folder in there)
            what = f"has a clip {clip} in {names}"
            raise NoClipError(what, where=out, hint=f"give the folder of the one that is meant, such as {there[-1]}")
        found.append(places[there[0], clip])
    return found
