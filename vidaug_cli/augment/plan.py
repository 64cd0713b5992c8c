"""The plan: which clips, which partners, which shard. It follows from manifest, recipe, clip spec, seed and copies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, get_args

from vidaug_cli.data.manifest import Row, hash_rows, read_rows, rows_text
from vidaug_cli.data.sampling import ClipSpec, check_rates
from vidaug_cli.data.selection import classes_of
from vidaug_cli.data.shard.header import FORMAT, VERSION, Codec
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.files import write_text_atomically
from vidaug_cli.recipe.loading import parse_recipe
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.rng import MAX_SEED, Step, generator
from vidaug_cli.schema import check
from vidaug_cli.words import nearest

GROUP = 32  # clips that are mixed among each other, and the least a shard holds
ORIGINAL = -1  # the copy number of clean clips
DRAWS = 1  # the format of draws: another number wherever a release makes other clips of the same plan
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
    classes: tuple[str, ...] = ()  # names in label order, of rows that are not there too; without any, those of `rows`
    recipe: Recipe
    spec: ClipSpec
    seed: int = 0
    copies: int = 1
    keep_original: bool = False
    codec: Codec = "raw"
    quality: int = 95
    clips_per_shard: int = 64
    draws: int = DRAWS

    def __post_init__(self) -> None:
        rules = {
            "classes": (len(set(self.classes)) == len(self.classes), "names, no two alike"),
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
        check_rates(self.spec, self.rows)
        unlabelled = [row.name for row in self.rows if row.label is None]
        if unlabelled:
            raise VidaugError(
                f"{len(unlabelled)} of {len(self.rows)} videos have no label, such as {unlabelled[0]}",
                hint="folders named after classes or a list give labels; --subset train leaves a test split out",
            )
        if self.recipe.mix and len(self.rows) == 1 and self.copies:
            raise VidaugError(
                f"recipe {self.recipe.name} mixes two videos and there is only one", hint="use a recipe without [[mix]]"
            )
        if not self.classes:
            object.__setattr__(self, "classes", tuple(classes_of(self.rows)))
        known = set(self.classes)
        if strange := next((row for row in self.rows if row.label not in known), None):
            what = f"{strange.name} is of class {strange.label!r}, which is none of the {len(known)} classes"
            raise VidaugError(what + nearest(str(strange.label), known))

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
        """What `plan.json` holds: everything but the rows, which it names by their hash.

        The hash is of all that decides a byte, so a release that draws the same clips goes on with another's folder.
        """
        content = {
            "format": FORMAT,
            "version": VERSION,
            "draws": self.draws,
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
        return content | {"plan_sha256": digest, "tool_version": version("vidaug-cli")}

    @property
    def sha256(self) -> str:
        return str(self.header["plan_sha256"])


_SETTINGS = ("seed", "copies", "keep_original", "codec", "quality", "clips_per_shard", "draws")
_TOLD = ("plan_sha256", "tool_version")  # keys of a header that follow from the others, or decide nothing


def write_plan(plan: Plan, out: Path) -> None:
    """Write `manifest.jsonl` and `plan.json` into the folder `out`, the plan last: with it the folder is ours.

    A file that says the same already is left as it is: other parts of the plan may be at work with it.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest, rows = out / "manifest.jsonl", rows_text(plan.rows)
    if not _holds(manifest, rows):  # of the same plan too: its rows say where the videos lie now
        write_text_atomically(manifest, rows)
    written = read_header(out) if (out / "plan.json").exists() else {}
    if written | {"tool_version": plan.header["tool_version"]} != plan.header:
        write_text_atomically(out / "plan.json", json.dumps(plan.header, indent=2, ensure_ascii=False) + "\n")


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode()
    except FileNotFoundError:
        return False


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
            classes=tuple(header["classes"]),
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
    except VidaugError as error:
        if error.where:
            raise
        what = f"was changed since it was made ({error.what})"
        raise ShardError(what, where=out, hint="make the shards again") from error
    if plan.sha256 != header.get("plan_sha256"):
        changed = ", ".join(plan_differences(plan, header)) or "plan_sha256"
        raise ShardError(
            f"was changed since it was made ({changed})", where=out, hint="make the shards again, in another folder"
        )
    return plan


def plan_differences(plan: Plan, header: dict[str, Any]) -> list[str]:
    """The keys in which a folder's `plan.json` is another plan than this one."""
    return [key for key, value in plan.header.items() if key not in _TOLD and header.get(key) != value]


def drawn_otherwise(header: dict[str, Any]) -> str:
    """In words that this release would draw other clips for the plan of this header; empty if it would not."""
    if header.get("draws") == DRAWS:
        return ""
    return (
        f"was drawn by vidaug-cli {header.get('tool_version')} in format {header.get('draws')}, "
        f"and vidaug-cli {version('vidaug-cli')} draws in format {DRAWS}"
    )
