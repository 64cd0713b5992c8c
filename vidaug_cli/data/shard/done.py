"""Done records: a shard is finished when its record is there, and whole when it has the bytes and hash in it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from vidaug_cli.data.shard.header import FORMAT, VERSION
from vidaug_cli.errors import ShardError
from vidaug_cli.files import write_text_atomically
from vidaug_cli.schema import check, parse, parse_json


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A clip that was left out, with the reason."""

    clip: int
    copy: int
    path: str  # of the video, as the manifest has it
    reason: str
    passing: bool = False  # whether the reason may be gone at another try: the same command tries again


@dataclass(frozen=True, kw_only=True)
class DoneRecord:
    """What `shard-00000.json` says about `shard-00000.h5`. Raises ShardError on values that no record can have."""

    shard: int
    bytes: int
    sha256: str
    clips: int
    failures: tuple[Failure, ...]

    def __post_init__(self) -> None:
        rules = {name: (getattr(self, name) >= 0, "0 or more") for name in ("shard", "bytes", "clips")}
        rules["sha256"] = (bool(re.fullmatch("[0-9a-f]{64}", self.sha256)), "64 hexadecimal digits")
        check(self, rules, error=ShardError)

    def write(self, path: Path) -> None:
        """Write the record atomically; call this only once its shard has its final name."""
        text = json.dumps({"format": FORMAT, "version": VERSION} | asdict(self), ensure_ascii=False, indent=1)
        write_text_atomically(path, text + "\n")


def shard_path(out: Path, shard: int) -> Path:
    """Return where shard number `shard` of the output folder `out` lies."""
    return out / "shards" / f"shard-{shard:05d}.h5"


def done_path(shard: Path) -> Path:
    """Return where the done record of a shard file lies."""
    return shard.with_suffix(".json")


def finished_shards(out: Path) -> dict[int, Path]:
    """Return the shards of an output folder that have their done record, by their numbers and in this order."""
    numbers = {path: re.fullmatch(r"shard-([0-9]{5,})\.h5", path.name) for path in (out / "shards").glob("shard-*.h5")}
    shards = {int(number[1]): path for path, number in numbers.items() if number and done_path(path).is_file()}
    return dict(sorted(shards.items()))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_done(path: Path) -> DoneRecord:
    """Return a done record. Raises ShardError when it is missing, damaged or of another version."""
    try:
        content = parse_json(path.read_bytes(), dict, "the done record", error=ShardError)
        if (content.get("format"), content.get("version")) != (FORMAT, VERSION):
            raise ShardError(f"should be of format {FORMAT!r}, version {VERSION}")
        return parse(DoneRecord, content, error=ShardError, extra=True)
    except OSError as error:
        raise ShardError(f"cannot be read: {error.strerror}", where=path) from error
    except ShardError as error:
        hint = "remove it, and run 'vidaug augment' again"
        raise ShardError(f"is not a done record: {error.what}", where=path, hint=hint) from error
