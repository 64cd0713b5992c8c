"""The plan: which clips, which partners, which shard. It follows from manifest, recipe, clip spec, seed and copies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, get_args

from vidaug_cli.cookbook import parse_recipe
from vidaug_cli.data.files import write_text_atomically
from vidaug_cli.data.manifest import Row, classes_of, hash_rows, read_rows, rows_text
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.header import FORMAT, VERSION, Codec
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.recipe import Recipe
from vidaug_cli.rng import MAX_SEED, Step, generator
from vidaug_cli.schema import check

GROUP = 32  # clips that are mixed among each other, and the least a shard holds
ORIGINAL = -1  # the copy number of clean clips
JPEG_SHARE = 1 / 7  # of the raw size, an estimate that errs high: real clips took 1/7 to 1/11 at quality 95


class Slot(NamedTuple):
    """One clip to be made."""

    clip: int  # position in the plan
    copy: int
    row: int  # of the manifest


Group = tuple[Slot, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that decides the bytes of every shard.

    Raises VidaugError when the settings cannot make a data set.
    """

    rows: tuple[Row, ...]
    recipe: Recipe
    spec: ClipSpec
    seed: int = 0
    copies: int = 1
    keep_original: bool = False
    codec: Codec = "raw"
    quality: int = 95
    clips_per_shard: int = 64
    tool_version: str = field(default_factory=lambda: version("vidaug-cli"))

    def __post_init__(self) -> None:
        rules = {
            "seed": (0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}"),
            "copies": (int(not self.keep_original) <= self.copies <= 100_000, "at least 1"),
            "codec": (self.codec in get_args(Codec), " or ".join(get_args(Codec))),
            "quality": (1 <= self.quality <= 100, "1 to 100"),
            "clips_per_shard": (
                self.clips_per_shard > 0 and self.clips_per_shard % GROUP == 0,
                f"a multiple of {GROUP}, the number of clips that are mixed among each other",
            ),
        }
        check(self, rules)
        unlabelled = [row.path for row in self.rows if row.label is None]
        if unlabelled:
            raise VidaugError(
                f"{len(unlabelled)} of {len(self.rows)} videos have no label, such as {unlabelled[0]}",
                hint="folders named after classes or a list give labels; --subset train leaves a test split out",
            )
        if self.recipe.mix and len(self.rows) == 1 and self.copies:
            raise VidaugError(
                f"recipe {self.recipe.name} mixes two videos and there is only one", hint="use a recipe without [[mix]]"
            )

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(classes_of(self.rows))

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """The class number of each manifest row."""
        number = {name: index for index, name in enumerate(self.classes)}
        return tuple(number[str(row.label)] for row in self.rows)

    @property
    def clips(self) -> int:
        """How many clips the whole plan makes, if no video fails."""
        return len(self.rows) * (self.copies + self.keep_original)

    @property
    def bytes(self) -> int:
        """About what the shards will weigh."""
        pixels = self.spec.frames * self.spec.size**2 * 3
        overhead = 4096 + self.spec.frames * 12 + len(self.classes) * 4
        return int(self.clips * (pixels * (JPEG_SHARE if self.codec == "jpeg" else 1) + overhead))

    @cached_property
    def shards(self) -> tuple[tuple[Group, ...], ...]:
        """The groups of each shard. Clean originals come last, so that they move no other clip."""
        copies = [*range(self.copies), *([ORIGINAL] if self.keep_original else [])]
        groups = [group for number, copy in enumerate(copies) for group in self._groups(copy, number * len(self.rows))]
        per_shard = self.clips_per_shard // GROUP
        return tuple(tuple(groups[start : start + per_shard]) for start in range(0, len(groups), per_shard))

    def _groups(self, copy: int, first_clip: int) -> Iterator[Group]:
        """One copy's videos in random order, cut into groups; a short last group joins the one before."""
        order = list(range(len(self.rows)))
        if copy != ORIGINAL:
            generator(self.seed, copy, 0, Step.SHUFFLE).shuffle(order)
        slots = [Slot(first_clip + place, copy, row) for place, row in enumerate(order)]
        starts = range(0, max(1, len(slots) // GROUP) * GROUP, GROUP)
        for start in starts:
            yield tuple(slots[start : None if start == starts[-1] else start + GROUP])

    @cached_property
    def header(self) -> dict[str, Any]:
        """What `plan.json` holds: everything but the rows, which it names by their hash."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "tool_version": self.tool_version,
            "recipe": self.recipe.text,
            "seed": self.seed,
            "copies": self.copies,
            "keep_original": self.keep_original,
            "clip": self.spec.as_json(),
            "codec": self.codec,
            "quality": self.quality,
            "clips_per_shard": self.clips_per_shard,
            "classes": list(self.classes),
            "manifest_sha256": hash_rows(self.rows),
        }
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return content | {"plan_sha256": digest}

    @property
    def sha256(self) -> str:
        return str(self.header["plan_sha256"])


_SETTINGS = ("seed", "copies", "keep_original", "codec", "quality", "clips_per_shard", "tool_version")


def write_plan(plan: Plan, out: Path) -> None:
    """Write `plan.json` and `manifest.jsonl` into the folder `out`, the plan last: with it the folder is ours."""
    out.mkdir(parents=True, exist_ok=True)
    write_text_atomically(out / "manifest.jsonl", rows_text(plan.rows))
    write_text_atomically(out / "plan.json", json.dumps(plan.header, indent=2, ensure_ascii=False) + "\n")


def read_header(out: Path) -> dict[str, Any]:
    """`plan.json` of an output folder. Raises ShardError when it is missing or foreign."""
    path = out / "plan.json"
    try:
        header = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "holds no plan.json" if out.is_dir() else "is a file" if out.exists() else "does not exist"
        raise ShardError(what, where=out, hint="name a folder written by 'vidaug augment'") from error
    except OSError as error:
        raise ShardError(f"cannot be read: {error.strerror}", where=path) from error
    except (ValueError, RecursionError) as error:
        raise ShardError("is not JSON", where=path, hint="make the shards again, in another folder") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ShardError("is not a plan of vidaug", where=path, hint="name another folder")
    if header.get("version") != VERSION:
        hint = "use the vidaug that wrote it, or make the shards again"
        raise ShardError(f"has version {header.get('version')}, this tool reads {VERSION}", where=path, hint=hint)
    return header


def read_plan(out: Path) -> Plan:
    """The plan of an output folder. Raises ShardError when it is not whole."""
    header = read_header(out)
    manifest = out / "manifest.jsonl"
    try:
        with manifest.open("rb") as lines:
            rows = read_rows(lines, str(manifest))
        clip = header["clip"]
        plan = Plan(
            rows=tuple(rows),
            recipe=parse_recipe(str(header["recipe"]), str(out / "plan.json")),
            spec=ClipSpec(**clip | {"crop": tuple(clip["crop"])}),
            **{key: header[key] for key in _SETTINGS},
        )
    except OSError as error:
        hint = "the same 'vidaug augment' command writes it again"
        raise ShardError(f"cannot be read: {error.strerror}", where=manifest, hint=hint) from error
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        hint = "make the shards again, in another folder"
        raise ShardError(f"is damaged ({error})", where=out / "plan.json", hint=hint) from error
    if plan.sha256 != header.get("plan_sha256"):
        changed = ", ".join(plan_differences(plan, header)) or "plan_sha256"
        raise ShardError(
            f"was changed since it was made ({changed})", where=out, hint="make the shards again, in another folder"
        )
    return plan


def plan_differences(plan: Plan, header: dict[str, Any]) -> list[str]:
    """The keys in which a folder's `plan.json` is another plan than this one."""
    return [key for key, value in plan.header.items() if key != "plan_sha256" and header.get(key) != value]


def select(rows: Sequence[Row], *, subset: str | None, limit: int | None, seed: int) -> list[Row]:
    """The rows to use: those of one split, and of these `limit` drawn by the seed, in their old order.

    Raises VidaugError when nothing is left.
    """
    if subset is not None:
        splits = sorted({row.split for row in rows if row.split})
        rows = [row for row in rows if row.split == subset]
        if not rows:
            hint = (
                f"there is {', '.join(splits)}" if splits else "none has any: 'vidaug scan --split 1' reads split lists"
            )
            raise VidaugError(f"no video has split {subset!r}", hint=hint)
    if limit is not None and limit < len(rows):
        chosen = generator(seed, 0, 1, Step.SHUFFLE).choice(len(rows), limit, replace=False)
        rows = [rows[index] for index in sorted(chosen)]
    return list(rows)
