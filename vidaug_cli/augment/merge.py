"""Folders of shards put into one, as its parts: by hard link where the disk takes one, else by copy.

No file of such a folder is ever changed where it lies, only replaced; so a link stays what it was, whatever happens to
the folder that it came from.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vidaug_cli.augment.lock import lock_file
from vidaug_cli.augment.output import RESERVE, finished, free_bytes, remove
from vidaug_cli.augment.plan import Plan, read_header, read_plan
from vidaug_cli.data.kinds import PLAN, Kind, expect, has_plan, parts_of
from vidaug_cli.data.rows import INDEX, MANIFEST
from vidaug_cli.data.shard.format import done_path, finished_shards
from vidaug_cli.errors import DiskSpaceError, OccupiedError, UnfinishedError, UnlikeError
from vidaug_cli.files import atomically, leftovers, take_place
from vidaug_cli.words import count, human_bytes
from vidaug_cli.workers import track


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a folder holds that others were merged into."""

    out: Path
    parts: int
    shards: int
    clips: int
    bytes: int  # of the shards
    linked: int  # files of this run
    copied: int

    @property
    def text(self) -> str:
        """One line for a person."""
        made = f"{count(self.linked, 'file')} linked, {self.copied} copied"
        shards, parts = count(self.shards, "shard"), count(self.parts, "part")
        return f"{self.out}: {count(self.clips, 'clip')} in {shards} of {parts}, {human_bytes(self.bytes)}; {made}"


def merge(folders: Sequence[Path], out: Path, *, copy: bool = False, progress: bool = False) -> Merged:
    """Put folders of shards, and the parts that they have, into `out` as its parts, in the order given.

    `out` is there whole or not at all. What a run that was broken off has done, a later one of the same folders does
    not do again. With `copy`, nothing is linked. Where `out` holds just these folders, nothing is done.

    Raises ShardError when folders do not fit each other, are not finished, or `out` holds something else; VidaugError
    when the disk is too small, or another process is at it.
    """
    parts = _parts(folders)
    hashes = [plan.sha256 for plan in parts.values()]
    place = out.with_name(f".{out.name}.merging")
    out.parent.mkdir(parents=True, exist_ok=True)
    with lock_file(out.with_name(f"{place.name}.lock")):
        linked = copied = 0
        if not _is_merged(out, hashes):
            files = list(_files(parts, place))
            _check_left(place, hashes)
            for folder, *_ in os.walk(place):  # of killed ones; whoever is at work has the lock
                remove(leftovers(Path(folder)))
            _check_disk(files, out, copy=copy)
            for source, target in track(files, len(files), "file", "merge", show=progress):
                done = _put(source, target, copy=copy)
                linked, copied = linked + (done is os.link), copied + (done is shutil.copy2)
            _check_whole(parts, place)
            take_place(place, out)
    records = [record for part in parts_of(out) for record in finished(read_plan(part), part).values()]
    return Merged(
        out=out,
        parts=len(parts),
        shards=len(records),
        clips=sum(record.clips for record in records),
        bytes=sum(record.bytes for record in records),
        linked=linked,
        copied=copied,
    )


def _parts(folders: Sequence[Path]) -> dict[Path, Plan]:
    """Return the plans of all parts in their order. Raises ShardError where they cannot be one data set."""
    plans: dict[Path, Plan] = {}
    by_hash: dict[str, Path] = {}
    classes: dict[Path, set[str]] = {}
    for folder in folders:
        expect(folder, Kind.SHARDS)
        for part in parts_of(folder):
            plan = plans[part] = read_plan(part)
            if twin := by_hash.get(plan.sha256):
                what = "is given twice" if twin == part else f"has the plan of {twin}"
                raise UnlikeError(what, where=part, hint="its clips would count twice")
            by_hash[plan.sha256] = part
            _check_finished(plan, part)
            classes.setdefault(folder, set()).update(plan.classes)
    (first, plan), *others = plans.items()
    for part, other in others:
        here, there = ((each.spec.frames, each.spec.size) for each in (other, plan))
        if here != there:
            what = f"has clips of {here[0]} frames of {here[1]} pixels, and {first} has {there[0]} of {there[1]}"
            raise UnlikeError(what, where=part, hint="train on each by itself")
    for folder, names in classes.items():
        if odd := sorted(names ^ classes[folders[0]]):
            has, lacks = (folder, folders[0]) if odd[0] in names else (folders[0], folder)
            what = f"has a class {odd[0]!r}, and {lacks} has not"
            raise UnlikeError(what, where=has, hint="'vidaug augment --classes FILE' gives all the same classes")
    return plans


def _check_finished(plan: Plan, part: Path) -> None:
    if (there := len(finished(plan, part))) < plan.shard_count:
        what = f"holds {there} of {plan.shard_count} shards"
        raise UnfinishedError(what, where=part, hint="the same 'vidaug augment' command makes the others")


def _is_merged(out: Path, hashes: Sequence[str]) -> bool:
    """Return whether `out` holds these plans as its parts. Raises ShardError where it holds anything else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if has_plan(out) or _hashes(out) != list(hashes):
        raise OccupiedError("holds something else than these folders", where=out, hint="choose another folder")
    return True


def _hashes(folder: Path) -> list[str]:
    return [read_header(part).plan_sha256 for part in parts_of(folder) if has_plan(part)]


def _files(parts: Iterable[Path], place: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each file of the parts and where it goes below `place`: of a part the plan comes first."""
    for number, part in enumerate(parts, 1):
        shards = finished_shards(part).values()
        files = [*(part / name for name in (PLAN, MANIFEST, INDEX, "failures.jsonl")), *shards, *map(done_path, shards)]
        for file in files:
            if file.exists():  # not all folders have an index, or a list of failures
                yield file, place / f"part-{number:03d}" / file.relative_to(part)


def _check_left(place: Path, hashes: Sequence[str]) -> None:
    """Raise ShardError where what an earlier merge left is not of these folders in this order."""
    left = _hashes(place)
    if left != list(hashes[: len(left)]):
        hint = "finish it with the command that began it, or remove this folder"
        raise OccupiedError("holds a merge of other folders, which was broken off", where=place, hint=hint)


def _check_disk(files: Sequence[tuple[Path, Path]], out: Path, *, copy: bool) -> None:
    device = next(folder for folder in out.absolute().parents if folder.exists()).stat().st_dev
    to_copy = [source for source, target in files if not _same(source, target, copy=copy)]
    needed = sum(file.stat().st_size for file in to_copy if copy or file.stat().st_dev != device)
    if needed and needed + RESERVE > (free := free_bytes(out)):
        about, spare, left = map(human_bytes, (needed, RESERVE, free))
        hint = "links take no room on the disk where the shards lie; 'vidaug train' takes several folders as they are"
        raise DiskSpaceError(f"needs {about} and {spare} to spare, and {left} are free", where=out, hint=hint)


def _same(source: Path, target: Path, *, copy: bool) -> bool:
    """Return whether an earlier run has linked or copied this file, as it is now."""
    try:
        one, other = source.stat(), target.stat()
    except FileNotFoundError:
        return False
    alike = (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
    return alike and not (copy and os.path.samestat(one, other))


def _put(source: Path, target: Path, *, copy: bool) -> object:
    """Link or copy a file, and return by which function; None where that was done before."""
    if _same(source, target, copy=copy):
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if not copy:
        with suppress(OSError):  # another disk, one without links, or too many of a file: so it is copied
            os.link(source.resolve(), target)
            return os.link
    with atomically(target) as temporary:
        shutil.copy2(source, temporary)
    return shutil.copy2


def _check_whole(parts: dict[Path, Plan], place: Path) -> None:
    """Raise ShardError where a folder was changed while it was merged."""
    for (part, plan), there in zip(parts.items(), parts_of(place), strict=True):
        if read_header(there).plan_sha256 != plan.sha256 or len(finished(plan, there)) < plan.shard_count:
            raise UnlikeError("was changed while it was merged", where=part, hint="the same command goes on")
