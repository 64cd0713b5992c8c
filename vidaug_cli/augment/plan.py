"""The plan: which clips, which partners, which shard. It follows from manifest, recipe, clip spec, seed and copies.

In a round (see `rounds`) the videos are shuffled once and cut into groups. Each copy of a group is a ring of its own:
its videos in random order, each mixed with the next and the last with the first. So for every single clip all other
videos of the data set are equally likely as partners; where classes get different numbers of copies (see `shares`), as
likely as they have clips.

Nothing here loads torch, so that a folder can be looked into quickly.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property, lru_cache
from importlib.metadata import version
from itertools import accumulate, repeat
from itertools import count as counting
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidaug_cli.augment.rounds import GROUP, MOST_AT_ONCE, Rounds
from vidaug_cli.augment.shares import Counts, Shares
from vidaug_cli.data.kinds import PLAN, parts_of
from vidaug_cli.data.listing.names import first_few
from vidaug_cli.data.manifest import Row, classes_of, hash_rows, row_hash
from vidaug_cli.data.rows import MANIFEST, Hashes, Labels, StoredRows, write_rows
from vidaug_cli.data.sampling import ClipSpec, check_rates
from vidaug_cli.data.shard.format import FORMAT, VERSION, Codec, DeviceKind, ShardHeader
from vidaug_cli.errors import (
    ClassesError,
    NotShardsError,
    PlanError,
    SettingError,
    ShardError,
    VersionError,
    VidaugError,
    cannot_read,
)
from vidaug_cli.files import write_text_atomically
from vidaug_cli.recipe.loading import StoredRecipe
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.rng import MAX_SEED, Step, generator
from vidaug_cli.schema import check, from_json, parse
from vidaug_cli.words import count, nearest, shown

ORIGINAL = -1  # the copy number of clean clips
MOST_COPIES = 100_000  # of a video
DRAWS = 2  # the format of draws: another number wherever a release makes other clips of the same plan
# Of the raw size, estimates that err high: at quality 95 real clips took 1/7 to 1/11 as JPEG, 1/14 to 1/28 as video.
CODEC_SHARE: dict[Codec, float] = {"raw": 1, "jpeg": 1 / 7, "video": 1 / 10}
AGAIN = "make the shards again, in another folder"


class Slot(NamedTuple):
    """One clip to be made."""

    clip: int  # position in the plan
    copy: int
    row: int  # of the manifest


Ring = tuple[Slot, ...]  # a copy of the videos of a group: each is mixed with the next, and the last with the first
Group = tuple[Ring, ...]  # the same videos in each


@dataclass(frozen=True, kw_only=True)
class PlanSettings:
    """The plain values of a plan. Raises VidaugError, a line for each that cannot be."""

    seed: int = 0
    copies: int = 1
    copies_of: dict[str, int] = field(default_factory=dict)  # by class, where it is another number than `copies`
    per_class: int = 0  # clips of each class that has videos, in place of numbers for each video; 0: those count
    copies_per_round: int = 4  # of a video that is decoded once for them
    keep_original: bool = False
    codec: Codec = "raw"
    quality: int = 95
    clips_per_shard: int = 64
    draws: int = DRAWS

    def __post_init__(self) -> None:
        whole_groups = self.clips_per_shard > 0 and self.clips_per_shard % GROUP == 0
        multiple = f"a multiple of {GROUP}, the number of videos that are mixed among each other"
        least = int(not self.keep_original and not any(self.copies_of.values()))
        together = "1, as classes get different numbers of copies" if self.unequal else f"1 to {MOST_AT_ONCE}"
        rules = {
            "seed": (0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}"),
            "copies": (
                least <= self.copies <= MOST_COPIES,
                f"at most {MOST_COPIES}" if self.copies > 0 else "at least 1",
            ),
            "copies_of": (all(0 <= number <= MOST_COPIES for number in self.copies_of.values()), f"0 to {MOST_COPIES}"),
            "per_class": (
                0 <= self.per_class < 2**31 and not (self.per_class and self.copies_of),
                "0 or more, and 0 beside copies_of",
            ),
            "copies_per_round": (1 <= self.copies_per_round <= (1 if self.unequal else MOST_AT_ONCE), together),
            "quality": (1 <= self.quality <= 100, "1 to 100"),
            "clips_per_shard": (whole_groups, multiple),
        }
        check(self, rules)

    @property
    def unequal(self) -> bool:
        """Whether videos of different classes may get different numbers of copies."""
        return bool(self.copies_of or self.per_class)

    def shares_of(self, labels: Labels, classes: Sequence[str]) -> Shares | None:
        """Return what each class gets, of videos with these class numbers; None where each video gets as much."""
        if not self.unequal:
            return None
        labels = np.maximum(labels, 0)  # -1 is the class of a row that was changed, and then so was the plan
        videos = np.bincount(labels, minlength=len(classes))
        each = np.array([self.copies_of.get(name, self.copies) for name in classes], np.int64)
        clips = np.where(videos > 0, self.per_class, 0) if self.per_class else videos * each
        return Shares(seed=self.seed, labels=labels, clips=clips)

    def rounds_of(self, videos: int, shares: Shares | None = None) -> Rounds:
        """Return how the clips of so many videos are divided, by the shares of their classes if there are any."""
        return Rounds(
            videos=videos,
            copies=shares.rounds if shares else self.copies,
            copies_per_round=self.copies_per_round,
            originals=self.keep_original,
            clips_per_shard=self.clips_per_shard,
            sizes=shares.sizes if shares else (),
        )


@dataclass(frozen=True, kw_only=True)
class PlanHeader(PlanSettings):
    """What `plan.json` holds: everything but the rows, which it names by their hash."""

    recipe: str  # TOML text
    clip: ClipSpec
    classes: tuple[str, ...]
    manifest_xxh3: str
    plan_sha256: str = ""
    tool_version: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the header as `plan.json` holds it: what most plans do not need is not there."""
        values = asdict(self)
        return {"format": FORMAT, "version": VERSION} | {
            name: value for name, value in values.items() if value or name not in UNEQUAL
        }

    @property
    def digest(self) -> str:
        """The hash of all that decides a byte: a release that draws the same clips goes on with another's folder."""
        content = {key: value for key, value in self.as_json().items() if key not in _UNHASHED}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def differences(self, other: PlanHeader) -> list[str]:
        """Return the keys that make `other` another plan than this one."""
        names = (field.name for field in fields(self) if field.name not in _UNHASHED)
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    @property
    def drawn_differently(self) -> str:
        """In words that this release would draw other clips for this plan; empty if it would not."""
        if self.draws == DRAWS:
            return ""
        now = f"vidaug-cli {version('vidaug-cli')} draws in format {DRAWS}"
        return f"was drawn by vidaug-cli {self.tool_version} in format {self.draws}, and {now}"


_UNHASHED = ("plan_sha256", "tool_version")  # keys of a header that follow from the others, or decide nothing
UNEQUAL = ("copies_of", "per_class")  # keys that are there only where classes get different numbers of copies


@dataclass(frozen=True, kw_only=True)
class Plan(PlanSettings):
    """All that decides the bytes of every shard.

    Raises VidaugError when the settings cannot make a data set.
    """

    rows: Sequence[Row]
    classes: tuple[str, ...] = ()  # names in label order, of rows that are not there too; without any, those of `rows`
    recipe: Recipe
    spec: ClipSpec

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, {"classes": (len(set(self.classes)) == len(self.classes), "distinct names")})
        if not isinstance(self.rows, StoredRows):  # which were checked before they were written
            self._check_rows()

    def _check_rows(self) -> None:
        check_rates(self.spec, self.rows)
        if unlabelled := [row.name for row in self.rows if row.label is None]:
            what = (
                f"no label is known of {len(unlabelled)} of {count(len(self.rows), 'video')}, such as {unlabelled[0]}"
            )
            hint = "folders named after classes or a list give labels; --subset train leaves a test split out"
            raise ClassesError(what, hint=hint)
        if self.recipe.mix and len(self.rows) == 1 and self.copies:
            what = f"recipe {self.recipe.name} mixes two videos and there is only one"
            raise SettingError(what, hint="use a recipe without [[mix]]")
        if not self.classes:
            object.__setattr__(self, "classes", tuple(classes_of(self.rows)))
        known = set(self.classes)
        if strange := next((row for row in self.rows if row.label not in known), None):
            what = f"{strange.name} is of class {strange.label!r}, which is none of the {len(known)} classes"
            raise ClassesError(what + nearest(str(strange.label), known))
        if self.rows and self.shares:
            self._check_shares(self.shares)

    def _check_shares(self, shares: Shares) -> None:
        if strange := [name for name in self.copies_of if name not in self.classes]:
            what = f"there is no class {strange[0]!r} to make {self.copies_of[strange[0]]} copies of"
            raise ClassesError(what + nearest(strange[0], self.classes), hint=f"there are {first_few(self.classes)}")
        label = int(shares.most.argmax())
        clips, name, videos = shares.clips[label], self.classes[label], count(int(shares.videos[label]), "video")
        if shares.rounds > MOST_COPIES:
            what = f"{clips} clips of class {name!r} are {shares.rounds} copies of each of its {videos}"
            raise SettingError(what, hint=f"{MOST_COPIES} are the most")
        if self.recipe.mix and min(shares.sizes, default=2) < 2:
            what = f"recipe {self.recipe.name} mixes two videos, and {clips} of {sum(shares.sizes)} clips are of"
            hint = "ask for fewer clips of that class, or for more of others"
            raise SettingError(f"{what} class {name!r}, which has {videos}: there are not enough partners", hint=hint)

    @cached_property
    def labels(self) -> Labels:
        """The class number of each manifest row."""
        if isinstance(self.rows, StoredRows):
            return self.rows.labels
        number = {name: index for index, name in enumerate(self.classes)}
        return np.fromiter((number[str(row.label)] for row in self.rows), np.int32, len(self.rows))

    @cached_property
    def hashes(self) -> Hashes:
        """The hash of each manifest row."""
        if isinstance(self.rows, StoredRows):
            return self.rows.hashes
        return np.fromiter(map(row_hash, self.rows), np.uint64, len(self.rows))

    @cached_property
    def present(self) -> tuple[int, ...]:
        """The numbers of the classes that have videos."""
        return tuple(np.unique(self.labels).tolist())

    @property
    def clips(self) -> int:
        """How many clips the whole plan makes, if no video fails."""
        return self.rounds.total

    @property
    def bytes(self) -> int:
        """About what the shards will weigh."""
        pixels = self.spec.frames * self.spec.size**2 * 3
        overhead = 4096 + self.spec.frames * 12 + len(self.classes) * 4
        return int(self.clips * (pixels * CODEC_SHARE[self.codec] + overhead))

    @property
    def without_clip(self) -> int:
        """How many videos get no clip, as their class is to have fewer than it has videos."""
        if self.shares is None or self.keep_original:
            return 0
        return int(np.maximum(0, self.shares.videos - self.shares.clips).sum())

    @cached_property
    def rounds(self) -> Rounds:
        """How the clips are divided."""
        return self.rounds_of(len(self.rows), self.shares)

    @cached_property
    def shares(self) -> Shares | None:
        """What each class gets; None where each video gets as much."""
        return self.shares_of(self.labels, self.classes)

    @property
    def copies_by_class(self) -> Counts:
        """How many clips besides originals show a video of each class as their own, (classes,)."""
        return self.shares.clips if self.shares else self.copies * self._videos_by_class

    @property
    def clips_by_class(self) -> dict[str, int]:
        """How many clips show a video of each class as their own, of the classes that have videos."""
        clips = self.copies_by_class + self.keep_original * self._videos_by_class
        return {self.classes[label]: int(clips[label]) for label in self.present}

    @property
    def _videos_by_class(self) -> Counts:
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def shard_count(self) -> int:
        """How many shards there are."""
        return self.rounds.shard_count

    def groups(self, shard: int) -> tuple[Group, ...]:
        """Return the groups of shard number `shard`; its clips are numbered ring by ring."""
        this, numbers = self.rounds.part(shard)
        rows, made = _order(self.seed, self._copy(this.copies[0]), len(self.rows), self.shares)
        clip = this.clip + this.start(numbers.start) * len(this.copies)
        groups = []
        for number in numbers:
            videos, rings = np.arange(this.start(number), this.start(number + 1)), []
            for copy in map(self._copy, this.copies):
                rng = None if copy == ORIGINAL else generator(self.seed, copy, number, Step.RING)
                places = rng.permutation(videos) if rng else videos
                which = repeat(copy) if made is None else made[places].tolist()
                rings.append(tuple(map(Slot, counting(clip), which, rows[places].tolist())))
                clip += len(places)
            groups.append(tuple(rings))
        return tuple(groups)

    def _copy(self, number: int) -> int:
        """Return the copy that a round's `copies` count."""
        return number if number < self.rounds.copies else ORIGINAL

    def slots(self, shard: int) -> list[Slot]:
        """Return the clips of shard number `shard` in their order."""
        return [slot for group in self.groups(shard) for ring in group for slot in ring]

    @cached_property
    def header(self) -> PlanHeader:
        """What `plan.json` holds of this plan."""
        header = PlanHeader(
            **_settings_of(self),
            recipe=self.recipe.text,
            clip=self.spec,
            classes=self.classes,
            manifest_xxh3=hash_rows(self.hashes),
        )
        return replace(header, plan_sha256=header.digest, tool_version=version("vidaug-cli"))

    def shard_header(self, shard: int, device: DeviceKind) -> ShardHeader:
        """Return what shard number `shard` says about itself when it is rendered on such a device."""
        return ShardHeader(
            classes=self.classes,
            recipe=self.recipe.text,
            seed=self.seed,
            shard=shard,
            plan_sha256=self.sha256,
            frames=self.spec.frames,
            size=self.spec.size,
            codec=self.codec,
            quality=self.quality,
            device=device,
        )

    @property
    def sha256(self) -> str:
        """The hash of all that decides a byte, in hexadecimal."""
        return self.header.plan_sha256


@lru_cache(maxsize=2)  # shards of one round mostly come one after the other
def _order(seed: int, copy: int, videos: int, shares: Shares | None) -> tuple[Counts, Counts | None]:
    """Return the rows in the order of the round that begins with `copy`, and which copy of its video each clip is.

    None in place of the copies: they are those of the round.
    """
    if copy == ORIGINAL:
        return np.arange(videos), None
    rows, made = shares.members(copy) if shares else (np.arange(videos), None)
    order = generator(seed, copy, 0, Step.SHUFFLE).permutation(len(rows))
    return rows[order], made if made is None else made[order]


def _settings_of(source: PlanSettings) -> dict[str, Any]:
    return {field.name: getattr(source, field.name) for field in fields(PlanSettings)}


def write_plan(plan: Plan, out: Path) -> None:
    """Write manifest, index and `plan.json` into the folder `out`, the plan last: with it the folder is ours.

    A file that says the same already is left as it is: other parts of the plan may be at work with it.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_rows(plan.rows, plan.labels, plan.hashes, out)
    if not (out / PLAN).exists() or replace(read_header(out), tool_version=plan.header.tool_version) != plan.header:
        write_text_atomically(out / PLAN, json.dumps(plan.header.as_json(), indent=2, ensure_ascii=False) + "\n")


def read_header(out: Path) -> PlanHeader:
    """Return `plan.json` of an output folder. Raises ShardError when it is missing, foreign or damaged."""
    path = out / PLAN
    try:
        content = from_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "holds no plan.json" if out.is_dir() else "is a file" if out.exists() else "does not exist"
        raise NotShardsError(what, where=out, hint="name a folder written by 'vidaug augment'") from error
    except ValueError as error:
        raise ShardError("is not JSON", where=path, hint=AGAIN) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise NotShardsError("is not a plan of vidaug", where=path, hint="name another folder")
    if content.get("version") != VERSION:
        hint = "use the vidaug that wrote it, or make the shards again"
        what = f"is version {shown(content.get('version'))}, and this vidaug reads {VERSION}"
        raise VersionError(what, where=path, hint=hint)
    return parse(PlanHeader, content, where=path, hint=AGAIN, error=ShardError, extra=True)


def read_plan(out: Path, root: Path | None = None) -> Plan:
    """Return the plan of an output folder, with its videos in `root` if they were moved.

    Raises ShardError when it is not whole.
    """
    header = read_header(out)
    recipe = StoredRecipe(header.recipe, str(out / PLAN))
    rows = StoredRows(out, header.classes, root)
    try:
        plan = Plan(**_settings_of(header), rows=rows, classes=header.classes, recipe=recipe, spec=header.clip)
        if plan.sha256 != header.plan_sha256:
            raise PlanError(PLAN if plan.header.manifest_xxh3 == header.manifest_xxh3 else MANIFEST)
    except VidaugError as error:
        if error.where:
            raise
        raise ShardError(f"was changed since it was made ({error.what})", where=out, hint=AGAIN) from error
    return plan


def read_plans(*folders: Path, root: Path | None = None) -> dict[Path, Plan]:
    """Return the plans of output folders and of their parts by the folders they lie in. Raises as `read_plan`."""
    return {part: read_plan(part, root) for folder in folders for part in parts_of(folder)}


def first_rows(plans: Mapping[Path, Plan]) -> dict[Path, int]:
    """Return the number that the first row of each plan has where the rows of all are counted on."""
    return dict(zip(plans, accumulate((len(plan.rows) for plan in plans.values()), initial=0), strict=False))


def shared_plan(out: Path, sha256: str) -> Plan:
    """Return the plan in `out`, read once in a process for all shards it works on, and again where the videos moved.

    Raises ShardError when there is another plan by now, or none.
    """
    try:
        about = (out / MANIFEST).stat()
    except OSError as error:
        raise cannot_read(error, out / MANIFEST, kind=ShardError) from error
    return _read_once(out, sha256, (about.st_ino, about.st_mtime_ns))


@lru_cache(maxsize=1)
def _read_once(out: Path, sha256: str, manifest: tuple[int, int]) -> Plan:
    plan = read_plan(out)
    if plan.sha256 != sha256:
        hint = "let one command write there at a time"
        raise PlanError("got another plan while it was being worked on", where=out, hint=hint)
    return plan
