"""What a shard is: its attributes, its datasets, and one clip with everything known of it; and its done record.

A shard is finished when that record is there, and whole when it has the bytes and hash in it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from xxhash import xxh3_128

from vidaug_cli.data.hdf5 import Attributes, Column, Format, text
from vidaug_cli.data.shard.extremes import Extremes
from vidaug_cli.errors import ShardError, cannot_read
from vidaug_cli.files import write_text_atomically
from vidaug_cli.rng import MAX_SEED
from vidaug_cli.schema import check, parse, parse_json

if TYPE_CHECKING:
    from jaxtyping import Float32, Float64, Int32, Int64, UInt8

FORMAT = "vidaug"
VERSION = 1
MAX_CLIP_BYTES = 2**32 - 64  # a raw clip is one HDF5 chunk, and a chunk has less than 4 GiB
_TOO_LARGE = "a clip is too large, use fewer frames or a smaller size"
DATA_CHUNK = 2**20  # bytes of `data` in a chunk, and no more than a raw clip has: a small shard stays small

Codec = Literal["raw", "jpeg", "video"]  # from large to small
DeviceKind = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class ShardHeader:
    """The attributes of a shard. Raises ShardError on values that no shard can have."""

    classes: tuple[str, ...]  # names in label order
    recipe: str  # TOML text
    seed: int
    shard: int  # number in the plan, from 0
    plan_sha256: str
    frames: int  # T, frames of a clip
    size: int  # pixels, height and width
    codec: Codec
    quality: int  # of JPEG and video, 1 to 100; means nothing for raw
    device: DeviceKind  # kind of device that rendered it: only the same kind gives the same bytes again

    def __post_init__(self) -> None:
        rules = {
            "classes": (0 < len(self.classes) == len(set(self.classes)), "distinct names, at least one"),
            "seed": (0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}"),
            "shard": (self.shard >= 0, "0 or more"),
            "plan_sha256": (bool(re.fullmatch("[0-9a-f]{64}", self.plan_sha256)), "64 hexadecimal digits"),
            "frames": (1 <= self.frames <= 4096, "1 to 4096"),
            "size": (8 <= self.size <= 2048, "8 to 2048"),
            "quality": (1 <= self.quality <= 100, "1 to 100"),
            "clip_bytes": (self.clip_bytes <= MAX_CLIP_BYTES, f"{MAX_CLIP_BYTES} at most: {_TOO_LARGE}"),
        }
        check(self, rules, error=ShardError)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 3) of one clip."""
        return self.frames, self.size, self.size, 3

    @property
    def clip_bytes(self) -> int:
        """Bytes of one decoded clip."""
        return prod(self.shape)

    def columns(self) -> dict[str, Column]:
        """Return the datasets of a shard: first the pixels, of which new clips come at the end, then what is small."""
        pixels = {"clips": Column("clip", np.dtype("u1"), self.shape, checksum=False)}
        if self.codec != "raw":
            pixels = {
                "data": Column("byte", np.dtype("u1"), chunk=min(DATA_CHUNK, self.clip_bytes), checksum=False),
                "offsets": Column("clip", np.dtype("<i8"), (self.frames + 1,)),
            }
        return pixels | {
            "crc32": Column("clip", np.dtype("<u4")),
            "labels": Column("clip", np.dtype("<f4"), (len(self.classes),)),
            "weights": Column("clip", np.dtype("<f4"), (self.frames,)),
            "sources": Column("clip", np.dtype("<i8"), (2,)),
            "frames": Column("clip", np.dtype("<i4"), (2, self.frames)),
            "params": Column("clip", text()),
            "copy": Column("clip", np.dtype("<i4")),
            "clip": Column("clip", np.dtype("<i8")),
        }

    def as_attributes(self) -> Attributes:
        """Return the attributes of the file, but for `format` and `version`."""
        return asdict(self) | {"classes": json.dumps(self.classes, ensure_ascii=False)}

    @classmethod
    def from_attributes(cls, attributes: Attributes) -> ShardHeader:
        """Return the header that `as_attributes` wrote. Raises ShardError on any other attributes."""
        names: object = attributes.get("classes")
        if isinstance(names, str):
            names = parse_json(names, list, "attribute 'classes'", error=ShardError)
        return parse(cls, {**attributes, "classes": names}, error=ShardError)


SHARD = Format(FORMAT, VERSION, "shard", ShardError, ShardHeader.from_attributes, ShardHeader.columns)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One clip as it is stored, with everything known of it."""

    video: UInt8[np.ndarray, "frames height width 3"]  # RGB
    label: Float32[np.ndarray, " classes"]  # soft, sums to 1
    weights: Float32[np.ndarray, " frames"]  # share of the clip's own video in each frame
    sources: tuple[int, int]  # manifest rows of own video and partner; -1: no partner
    frames: Int32[np.ndarray, "2 frames"]  # decoded frame numbers of own video and partner; -1 throughout: no partner
    params: dict[str, Any]  # every number drawn, as JSON holds it
    copy: int  # -1: the clean original of --keep-original
    clip: int  # position in the plan, unique in the output folder


def mixed_labels(
    pairs: Int64[np.ndarray, "clips 2"], share: Float64[np.ndarray, " clips"], classes: int
) -> Float64[np.ndarray, "clips {classes}"]:
    """Return the soft labels of clips: the mean weight of the frames for the own class, the rest for the partner's.

    Args:
        pairs: class of the own video and of the partner.
        share: mean of the weights of a clip's frames, or of those of a part of it.
        classes: how many there are.
    """
    labels, each = np.zeros((len(pairs), classes)), np.arange(len(pairs))
    labels[each, pairs[:, 0]] = share
    labels[each, pairs[:, 1]] += 1 - share
    return labels


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A clip that was left out for a reason that lasts."""

    clip: int
    copy: int
    path: str  # of the video, as the manifest has it
    reason: str


@dataclass(frozen=True, kw_only=True)
class DoneRecord:
    """What `shard-00000.json` says about `shard-00000.h5`. Raises ShardError on values that no record can have."""

    shard: int
    bytes: int
    xxh3: str  # XXH3-128 of the file
    clips: int
    failures: tuple[Failure, ...]
    extremes: Extremes | None = None  # clips that show next to nothing; None: not counted

    def __post_init__(self) -> None:
        rules = {name: (getattr(self, name) >= 0, "0 or more") for name in ("shard", "bytes", "clips")}
        rules["xxh3"] = (bool(re.fullmatch("[0-9a-f]{32}", self.xxh3)), "32 hexadecimal digits")
        check(self, rules, error=ShardError)

    def write(self, path: Path) -> None:
        """Write the record atomically; call this only once its shard has its final name."""
        content = {"format": FORMAT, "version": VERSION} | asdict(self)
        text = json.dumps(content | {"check": _content_xxh3(content)}, ensure_ascii=False, indent=1)
        write_text_atomically(path, text + "\n")


def shard_path(out: Path, shard: int) -> Path:
    """Return where shard number `shard` of the output folder `out` lies.

    A folder has the files of a thousand: one with hundreds of thousands takes network file systems minutes to list.
    """
    return out / f"{shard // 1000:03d}" / f"shard-{shard:05d}.h5"


def shard_folders(out: Path) -> list[Path]:
    """Return the folders in `out` that shards lie in, or did."""
    return sorted(path for path in out.glob("[0-9]*") if re.fullmatch("[0-9]{3,}", path.name) and path.is_dir())


def done_path(shard: Path) -> Path:
    """Return where the done record of a shard file lies."""
    return shard.with_suffix(".json")


def finished_shards(out: Path) -> dict[int, Path]:
    """Return the shards of an output folder that have their done record, by their numbers and in this order."""
    shards: dict[int, Path] = {}
    for folder in shard_folders(out):
        names = {path.name for path in folder.iterdir()}
        numbers = (re.fullmatch(r"shard-([0-9]{5,})\.h5", name) for name in names)
        places = {int(number[1]): folder / number[0] for number in numbers if number}
        shards |= {shard: path for shard, path in places.items() if done_path(path).name in names}
    return {shard: path for shard, path in sorted(shards.items()) if path == shard_path(out, shard)}


def file_xxh3(path: Path) -> str:
    """Return the XXH3-128 of a file, in hexadecimal digits: a twentieth of the time of SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxh3_128).hexdigest()


def _content_xxh3(content: dict[str, Any]) -> str:
    """Return the XXH3-128 of what a record says, in whatever order and form."""
    return xxh3_128(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_done(path: Path) -> DoneRecord:
    """Return a done record. Raises ShardError when it is missing, damaged or of another version.

    It may lack a `check`, as before there was one; then it has no keys of a later release either.
    """
    try:
        content = parse_json(path.read_bytes(), dict, "it", error=ShardError)
        if (content.get("format"), content.get("version")) != (FORMAT, VERSION):
            raise ShardError(f"should be of format {FORMAT!r}, version {VERSION}")
        said = content.pop("check", None)
        known = {key: value for key, value in content.items() if key not in ("format", "version")}
        record = parse(DoneRecord, known, error=ShardError, extra=said is not None)
        if said not in (None, _content_xxh3(content)):
            raise ShardError("its check does not fit: it was changed")
        return record
    except OSError as error:
        raise cannot_read(error, path, kind=ShardError) from error
    except ShardError as error:
        hint = "remove it, and run 'vidaug augment' again"
        raise ShardError(f"does not say that a shard is done: {error.what}", where=path, hint=hint) from error
