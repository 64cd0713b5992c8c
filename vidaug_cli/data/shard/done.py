"""Done records: a shard is finished when its record is there, and whole when it has the bytes and hash in it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vidaug_cli.data.shard.header import FORMAT, VERSION, parse_json
from vidaug_cli.errors import ShardError
from vidaug_cli.files import write_text_atomically


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
    """What `shard-00000.json` says about `shard-00000.h5`."""

    shard: int
    bytes: int
    sha256: str
    clips: int
    failures: tuple[Failure, ...] = ()

    def write(self, path: Path) -> None:
        """Atomically; a record is only written once its shard has its final name."""
        text = json.dumps({"format": FORMAT, "version": VERSION} | asdict(self), ensure_ascii=False, indent=1)
        write_text_atomically(path, text + "\n")


def shard_path(out: Path, shard: int) -> Path:
    """Where shard number `shard` of the output folder `out` lies."""
    return out / "shards" / f"shard-{shard:05d}.h5"


def done_path(shard: Path) -> Path:
    """Where the done record of a shard file lies."""
    return shard.with_suffix(".json")


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_done(path: Path) -> DoneRecord:
    """A done record. Raises ShardError when it is missing, damaged or of another version."""
    try:
        found = parse_json(path.read_bytes(), dict, "the done record")
        if (found.get("format"), found.get("version")) != (FORMAT, VERSION):
            raise ShardError(f"should be of format {FORMAT!r}, version {VERSION}")
        found = _typed(DoneRecord, found)
        failures = [_typed(Failure, failure) for failure in found.pop("failures")]
        done = DoneRecord(**found, failures=tuple(Failure(**failure) for failure in failures))
        if min(done.shard, done.bytes, done.clips) < 0 or not re.fullmatch("[0-9a-f]{64}", done.sha256):
            raise ShardError("numbers should be 0 or more, and sha256 64 hexadecimal digits")
    except OSError as error:
        raise ShardError(f"cannot be read: {error.strerror}", where=path) from error
    except ShardError as error:
        hint = "remove it, and run 'vidaug augment' again"
        raise ShardError(f"is not a done record: {error.what}", where=path, hint=hint) from error
    return done


_TYPES = {"int": int, "str": str, "bool": bool, "tuple[Failure, ...]": list}


def _typed(kind: type[DoneRecord] | type[Failure], found: Any) -> dict[str, Any]:
    """The fields of `kind` out of parsed JSON, each of its type."""
    values = {}
    for field in fields(kind):
        values[field.name] = value = found.get(field.name, field.default) if isinstance(found, dict) else None
        wanted = _TYPES[str(field.type)]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise ShardError(f"{field.name!r} is missing or of the wrong type")
    return values
