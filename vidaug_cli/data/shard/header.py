"""What a shard says about itself: the attributes of the file, and one clip with everything known of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np

from vidaug_cli.errors import ShardError
from vidaug_cli.rng import MAX_SEED
from vidaug_cli.schema import check

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32, UInt8

FORMAT = "vidaug"
VERSION = 1
MAX_CLIP_BYTES = 2**32 - 64  # one clip is one HDF5 chunk with its checksum, and a chunk ends at 4 GiB

Codec = Literal["raw", "jpeg"]
Device = Literal["cpu", "cuda"]
T = TypeVar("T")


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
    codec: Codec = "raw"
    quality: int = 95  # of JPEG, 1 to 100; means nothing for raw
    device: Device = "cpu"  # kind of device that rendered it: only the same kind gives the same bytes again

    def __post_init__(self) -> None:
        rules = {
            "classes": (
                bool(self.classes) and len(set(self.classes)) == len(self.classes),
                "distinct names, at least one",
            ),
            "seed": (0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}"),
            "shard": (self.shard >= 0, "0 or more"),
            "plan_sha256": (bool(re.fullmatch("[0-9a-f]{64}", self.plan_sha256)), "64 hexadecimal digits"),
            "frames": (1 <= self.frames <= 4096, "1 to 4096"),
            "size": (8 <= self.size <= 2048, "8 to 2048"),
            "codec": (self.codec in get_args(Codec), " or ".join(get_args(Codec))),
            "quality": (1 <= self.quality <= 100, "1 to 100"),
            "device": (self.device in get_args(Device), " or ".join(get_args(Device))),
        }
        check(self, rules, error=ShardError)
        if self.clip_bytes > MAX_CLIP_BYTES:
            raise ShardError(
                f"a clip of {self.clip_bytes:,} bytes is too large", hint="use fewer frames or a smaller size"
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 3) of one clip."""
        return self.frames, self.size, self.size, 3

    @property
    def clip_bytes(self) -> int:
        """Bytes of one decoded clip."""
        return self.frames * self.size * self.size * 3

    def as_attributes(self) -> dict[str, str | int]:
        own: dict[str, str | int] = {"format": FORMAT, "version": VERSION}
        return own | asdict(self) | {"classes": json.dumps(self.classes, ensure_ascii=False)}

    @classmethod
    def from_attributes(cls, found: Mapping[str, str | int]) -> ShardHeader:
        """The header, or ShardError when it is another format, a later version or not ours."""
        if found.get("format") != FORMAT:
            raise ShardError("is HDF5, but not a shard of vidaug")
        if found.get("version") != VERSION:
            raise ShardError(
                f"is version {found.get('version')}, and this vidaug reads {VERSION}", hint="update vidaug-cli"
            )
        types = {field.name: int if field.type == "int" else str for field in fields(cls)}
        if found.keys() - {"format", "version"} != types.keys():
            raise ShardError(f"should have the attributes {', '.join(types)}")
        for name, kind in types.items():
            if not isinstance(found[name], kind):
                raise ShardError(f"attribute {name!r} should be {kind.__name__}")
        classes = parse_json(str(found["classes"]), list, "attribute 'classes'")
        if not all(isinstance(name, str) for name in classes):
            raise ShardError("attribute 'classes' should be a list of names")
        values: dict[str, Any] = {name: found[name] for name in types}
        return cls(**values | {"classes": tuple(classes)})


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


def parse_json(text: str | bytes, kind: type[T], what: str) -> T:
    """Strict JSON (no NaN) whose outermost value is a `kind`; ShardError otherwise."""
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ShardError(f"{what} is not JSON") from error
    if not isinstance(found, kind):
        raise ShardError(f"{what} should be a JSON {'object' if kind is dict else kind.__name__}")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
