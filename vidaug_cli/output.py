"""The output folder: whose it is, what is done in it, what is left to do, and what it will weigh."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from vidaug_cli.data.files import leftovers, write_text_atomically
from vidaug_cli.data.shard.done import DoneRecord, Failure, done_path, read_done, shard_path
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.plan import Plan, plan_differences, read_header, write_plan

PLAN_FILES = ("plan.json", "manifest.jsonl", "failures.jsonl")
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


def check_place(plan: Plan, out: Path, *, overwrite: bool) -> list[str]:
    """In what `out` is the folder of another plan, which is to be overwritten.

    Raises ShardError when it is and should not be overwritten, or when it is somebody else's.
    """
    if out.exists() and not out.is_dir():
        raise ShardError("is a file", where=out, hint="name a folder with -o")
    if not (out / "plan.json").exists():
        if out.exists() and any(out.iterdir()) and not _unfinished(out):
            raise ShardError("is not empty and was not written by vidaug", where=out, hint="choose another folder")
        return []
    differing = plan_differences(plan, read_header(out))
    if differing and not overwrite:
        raise ShardError(
            f"holds the shards of another plan, which differs in {', '.join(differing)}",
            where=out,
            hint="choose another folder, or --overwrite",
        )
    return differing


def prepare(plan: Plan, out: Path, *, overwrite: bool) -> None:
    """Make `out` the folder of this plan. Raises ShardError as `check_place` does."""
    if check_place(plan, out, overwrite=overwrite):
        remove_written(out)
    write_plan(plan, out)  # of the same plan too: its rows say where the videos lie now
    (out / "shards").mkdir(exist_ok=True)


def _unfinished(out: Path) -> bool:
    """Whether a killed run left no more than its manifest, which is written before the plan."""
    return {path.name for path in out.iterdir()} <= {"manifest.jsonl", *(path.name for path in leftovers(out))}


def remove_written(out: Path) -> None:
    """Delete what `vidaug augment` wrote into `out`, and nothing else; the plan first, with it the folder is ours."""
    shards = out / "shards"
    for path in [
        *(out / name for name in PLAN_FILES),
        *shards.glob("shard-[0-9]*.json"),
        *shards.glob("shard-[0-9]*.h5"),
    ]:
        path.unlink(missing_ok=True)
    remove_leftovers(out)
    if shards.is_dir() and not any(shards.iterdir()):
        shards.rmdir()


def remove_leftovers(out: Path) -> None:
    """Delete the temporary files of writers that were killed; call it when no other writer is at work."""
    for path in leftovers(out) + leftovers(out / "shards"):
        path.unlink(missing_ok=True)


def finished(plan: Plan, out: Path) -> dict[int, DoneRecord]:
    """The done records of shards that are there in full length, by shard number."""
    found = {}
    for index in range(len(plan.shards)):
        shard = shard_path(out, index)
        record = done_path(shard)
        if record.exists() and shard.exists():
            done = read_done(record)
            if shard.stat().st_size == done.bytes:
                found[index] = done
    return found


def write_failures(out: Path, records: dict[int, DoneRecord]) -> tuple[Failure, ...]:
    """Write the clips that were left out to `failures.jsonl`, in plan order; returns them."""
    failures = tuple(failure for index in sorted(records) for failure in records[index].failures)
    lines = "".join(json.dumps(asdict(failure), ensure_ascii=False) + "\n" for failure in failures)
    write_text_atomically(out / "failures.jsonl", lines)
    return failures


def shard_bytes(out: Path) -> int:
    """Bytes of the shards that lie in `out` already."""
    return sum(path.stat().st_size for path in (out / "shards").glob("shard-*.h5"))


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


def human_bytes(count: float) -> str:
    """`1.3 GB`, in powers of 1000 as disks are sold."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    power = 0
    while count >= 1000 and power < len(units) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.0f} {units[power]}" if power == 0 or count >= 100 else f"{count:.1f} {units[power]}"
