"""The output folder: whose it is, what is done in it, what is left to do, and what it will weigh."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from math import gcd
from pathlib import Path

import numpy as np

from vidaug_cli.augment.lock import held, in_turn
from vidaug_cli.augment.plan import Plan, drawn_otherwise, plan_differences, read_header, write_plan
from vidaug_cli.data.kinds import Kind, kind_of
from vidaug_cli.data.shard.done import DoneRecord, Failure, done_path, finished_shards, read_done, shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.files import abandoned, leftovers, write_text_atomically
from vidaug_cli.words import human_bytes

WRITTEN = ("shards/shard-[0-9]*.json", "shards/shard-[0-9]*.h5", "failures.jsonl", "manifest.jsonl", "plan.json")
LOCK = re.compile(r"\.part-([0-9]{1,9})-of-([0-9]{1,9})\.lock")
BEFORE_THE_PLAN = re.compile(rf"manifest\.jsonl|\..*-.*\.tmp|{LOCK.pattern}")  # what a run writes before its plan
RESERVE = 1 << 28  # bytes to leave free on the disk


@dataclass(frozen=True)
class Part:
    """One of several processes that share a plan, such as a job array's."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Part:
        """`I/N` with I from 0. Raises VidaugError."""
        found = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
        if found is None or int(found[1]) >= int(found[2]):
            what = f"--part {text:.40} should be I/N, with I from 0 to N - 1"
            raise VidaugError(what, hint="such as --part 0/4")
        return cls(int(found[1]), int(found[2]))

    def shards(self, plan: Plan) -> range:
        """The shard numbers that are this part's."""
        return range(self.index, len(plan.shards), self.count)

    def clips(self, plan: Plan) -> int:
        """How many clips this part makes, if no video fails."""
        return clips_in(plan, self.shards(plan))

    def overlaps(self, other: Part) -> bool:
        """Whether some shard, of a plan with enough of them, is both parts'."""
        return (self.index - other.index) % gcd(self.count, other.count) == 0


WHOLE = Part()


def clips_in(plan: Plan, shards: Iterable[int]) -> int:
    """How many clips these shards of the plan hold, if no video fails."""
    return sum(len(group) for index in shards for group in plan.shards[index])


def check_place(plan: Plan, out: Path, *, overwrite: bool) -> list[str]:
    """In what `out` is the folder of another plan, which is to be overwritten.

    Raises ShardError when it is and should not be overwritten, or when it is somebody else's.
    """
    if out.exists() and not out.is_dir():
        raise ShardError("is a file", where=out, hint="name a folder with -o")
    strange = [path for path in (out.iterdir() if out.exists() else ()) if not BEFORE_THE_PLAN.fullmatch(path.name)]
    if not (out / "plan.json").exists():  # looked for after the others: of what is ours, it comes before them
        if strange:
            raise ShardError("is not empty and was not written by vidaug", where=out, hint="choose another folder")
        return []
    header = read_header(out)
    differing = plan_differences(plan, header)
    if differing and not overwrite:
        hint = "choose another folder, or --overwrite"
        if elsewise := drawn_otherwise(header):
            raise ShardError(elsewise, where=out, hint=f"go on with that release, {hint}")
        what = f"holds the shards of another plan, which differs in {', '.join(differing)}"
        raise ShardError(what, where=out, hint=hint)
    return differing


def check_start(
    plan: Plan, out: Path, part: Part, *, overwrite: bool = False, retry_failed: bool = False, force: bool = False
) -> None:
    """Before anything is written: raises as `check_place`, and VidaugError when the disk is too small."""
    with in_turn(out):
        differing = check_place(plan, out, overwrite=overwrite)
        if force:
            return
        done = {} if differing else finished(plan, out, part)
        freed = sum(path.stat().st_size for path in out.glob("shards/shard-[0-9]*.h5")) if differing else 0
        if todo := to_do(plan, part, done, retry_failed=retry_failed):
            check_room(plan.bytes * clips_in(plan, todo) // plan.clips - freed, out)


@contextmanager
def held_for(plan: Plan, out: Path, part: Part, *, overwrite: bool) -> Iterator[None]:
    """Make `out` the folder of this plan, with the shards of one part for this process alone until the block ends.

    Raises ShardError as `check_place`, and VidaugError when another process is at work on some of these shards, or on
    any where those of another plan have to go.
    """
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with in_turn(out):
            differing = check_place(plan, out, overwrite=overwrite)
            for other, lock in _locks(out):
                if differing or part.overlaps(other):
                    with held(lock):
                        pass  # a dead process left it
            stack.enter_context(held(_lock(out, part)))
            if differing:
                remove_written(out)
            write_plan(plan, out)
            (out / "shards").mkdir(exist_ok=True)
            _remove(abandoned(out))
        try:
            _remove_leftovers(plan, out, part)
            yield
        finally:
            _remove_leftovers(plan, out, part)


def _lock(out: Path, part: Part) -> Path:
    return out / f".part-{part.index}-of-{part.count}.lock"


def _locks(out: Path) -> Iterator[tuple[Part, Path]]:
    """The parts that are at work in `out`, or were when they were killed."""
    for path in out.glob(".part-*.lock"):
        if found := LOCK.fullmatch(path.name):
            yield Part(int(found[1]), int(found[2])), path


def remove_written(out: Path) -> None:
    """Delete what `vidaug augment` wrote into `out`, and nothing else; the plan last, with it the folder is ours."""
    for pattern in WRITTEN:
        _remove(out.glob(pattern))
    _remove(leftovers(out / "shards"))
    with suppress(OSError):  # something of somebody else's is in it
        (out / "shards").rmdir()


def _remove_leftovers(plan: Plan, out: Path, part: Part) -> None:
    """Delete the temporary files of killed writers of this part's shards, which no other process writes now."""
    names = {shard_path(out, index).stem for index in part.shards(plan)}
    _remove(path for path in leftovers(out / "shards") if path.name[1:].partition(".")[0] in names)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def finished(plan: Plan, out: Path, part: Part = WHOLE) -> dict[int, DoneRecord]:
    """The done records of a part's shards that are there in full length, by shard number."""
    mine, done = part.shards(plan), {}
    for index, shard in finished_shards(out).items():
        if index not in mine:
            continue
        try:
            record = read_done(done_path(shard))
            if record.bytes == shard.stat().st_size:
                done[index] = record
        except FileNotFoundError:
            continue
        except ShardError as error:
            if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                raise
    return done


def to_do(plan: Plan, part: Part, done: Mapping[int, DoneRecord], *, retry_failed: bool = False) -> list[int]:
    """The shards of a part that are not finished, or lack clips that are to be tried again."""
    return [index for index in part.shards(plan) if index not in done or to_retry(done[index], retry_failed)]


def to_retry(done: DoneRecord, retry_failed: bool) -> tuple[Failure, ...]:
    """The clips that were left out of a shard for a reason that may pass, or for any."""
    return tuple(failure for failure in done.failures if failure.passing or retry_failed)


def write_failures(plan: Plan, out: Path) -> bool:
    """Write the clips that were left out to `failures.jsonl`, in plan order, once all shards are there.

    Its content follows from the done records, so whichever part is the last to finish writes it, whole. Returns whether
    all shards were there.
    """
    with in_turn(out):
        done = finished(plan, out)
        if len(done) < len(plan.shards):
            return False
        failures = (asdict(failure) for index in sorted(done) for failure in done[index].failures)
        lines = "".join(json.dumps(failure, ensure_ascii=False) + "\n" for failure in failures)
        write_text_atomically(out / "failures.jsonl", lines)
    return True


def free_bytes(out: Path) -> int:
    """Free bytes on the disk that `out` lies on, or will."""
    place = out.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def check_room(needed: int, out: Path) -> None:
    """Raises VidaugError when the disk cannot hold `needed` more bytes."""
    free = free_bytes(out)
    if needed + RESERVE > free:
        raise VidaugError(
            f"needs about {human_bytes(needed)} and {human_bytes(RESERVE)} to spare, and {human_bytes(free)} are free",
            where=out,
            hint="--codec jpeg takes far less, so do fewer --copies; --force tries anyway",
        )


def shard_files(source: Path) -> list[Path]:
    """The finished shards of an output folder in order, or the one shard `source` is.

    Raises ShardError when there is none, with what `source` is instead.
    """
    if shards := finished_shards(source):
        return list(shards.values())
    kind, hint = kind_of(source), "name a folder written by 'vidaug augment', or a shard in it"
    if kind in (Kind.SHARD, Kind.UNCLEAR) and source.is_file():
        return [source]
    if kind is Kind.SHARDS:
        hint = "the same 'vidaug augment' command makes them"
        raise ShardError("holds no finished shard yet", where=source, hint=hint)
    what = "does not exist" if kind is Kind.MISSING else f"is {kind.words}, and not a folder of shards"
    raise ShardError(what, where=source, hint=kind.use or hint)


def find_clips(out: Path, wanted: Sequence[int] | int | None) -> list[tuple[Path, int]]:
    """Shard and place in it of clips: by their number in the plan, or so many spread evenly, or None for all.

    Raises ShardError when one is not there.
    """
    places: dict[int, tuple[Path, int]] = {}
    for path in shard_files(out):
        with Shard(path) as shard:
            places |= {clip: (path, index) for index, clip in enumerate(shard.column("clip").tolist())}
    known = sorted(places)
    if wanted is None:
        wanted = known
    elif isinstance(wanted, int):
        wanted = [known[place] for place in np.linspace(0, len(known) - 1, min(wanted, len(known))).round().astype(int)]
    if not known:
        raise ShardError("holds no clip: every video was left out", where=out, hint="failures.jsonl says why")
    if missing := [clip for clip in wanted if clip not in places]:
        hint = f"it has {len(known)}, from {known[0]} to {known[-1]}"
        raise ShardError(f"has no clip {missing[0]}", where=out, hint=hint)
    return [places[clip] for clip in wanted]
