"""Looking into an output folder: what is in it, whether it is whole, and whether its clips can be made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.kinds import Kind, kind_of
from vidaug_cli.data.listing.candidates import count
from vidaug_cli.data.manifest import relocate
from vidaug_cli.data.shard.check import TOLERANCE, check_shard
from vidaug_cli.data.shard.done import done_path, read_done, shard_path
from vidaug_cli.data.shard.file import Shard
from vidaug_cli.data.shard.header import Record
from vidaug_cli.data.shard.jpeg import decode_frames, encode_frames
from vidaug_cli.data.summary import printable
from vidaug_cli.errors import ShardError, VidaugError, VideoError
from vidaug_cli.output import human_bytes
from vidaug_cli.plan import Plan, drawn_otherwise, read_header, read_plan
from vidaug_cli.progress import track
from vidaug_cli.render import Engine, replay
from vidaug_cli.workers import in_processes

BINS = 10  # of the histogram of own weights
BARS = "▁▂▃▄▅▆▇█"
WIDEST = 40  # letters of a class name that columns are lined up by
BLOCK = 16  # pixels, height and width of what a JPEG with 4:2:0 codes at a time
JPEG_LEVELS = 12  # by which a block may differ on average where a level differed before: 2.5 at quality 95, 10 at 30


def shard_files(source: Path) -> list[Path]:
    """The finished shards of an output folder in order, or the one shard `source` is.

    Raises ShardError when there is none, with what `source` is instead.
    """
    if found := sorted(path for path in (source / "shards").glob("shard-*.h5") if done_path(path).exists()):
        return found
    kind, hint = kind_of(source), "name a folder written by 'vidaug augment', or a shard in it"
    if kind in (Kind.SHARD, Kind.UNCLEAR) and source.is_file():
        return [source]
    if kind is Kind.SHARDS:
        hint = "the same 'vidaug augment' command makes them"
        raise ShardError("holds no finished shard yet", where=source, hint=hint)
    what = "does not exist" if kind is Kind.MISSING else f"is {kind.words}, and not a folder of shards"
    raise ShardError(what, where=source, hint=kind.use or hint)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is in an output folder or a shard."""

    source: str
    shards: int  # that are finished
    planned_shards: int | None  # of an output folder; None: its plan cannot be read, or it is one shard by itself
    clips: int
    originals: int
    mixed: int
    bytes: int
    frames: int
    size: int
    codec: str
    devices: dict[str, int]  # how many shards each kind of device rendered
    seed: int
    recipe: str  # TOML text
    label_mass: dict[str, float]  # per class: the sum of its label weights over all clips
    own_weight: list[int]  # histogram over [0, 1] of the own video's label weight, of the mixed clips
    ops: dict[str, int]  # how often each op was drawn

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @property
    def _amount(self) -> str:
        shards = count(self.planned_shards or self.shards, "shard")
        return shards if self.planned_shards in (None, self.shards) else f"{self.shards} of {shards}"

    @property
    def _where(self) -> str:
        each = [f"{name} ({count(number, 'shard')})" for name, number in self.devices.items()]
        return " and ".join(each if len(each) > 1 else self.devices)

    @property
    def text(self) -> str:
        mass = sorted(
            ((printable(name), amount) for name, amount in self.label_mass.items()), key=lambda item: -item[1]
        )
        width = min(WIDEST, max(len(name) for name in [*(name for name, _ in mass), *self.ops, "own weight"]))
        tallest = max(1, *self.own_weight)
        bars = "".join(BARS[count * (len(BARS) - 1) // tallest] for count in self.own_weight)
        lines = [
            f"{self.source}: {count(self.clips, 'clip')} in {self._amount}, {human_bytes(self.bytes)}",
            f"clips: {self.frames} x {self.size} x {self.size}, {self.codec}, {self.mixed} mixed, "
            f"{count(self.originals, 'clean original')}; seed {self.seed}, rendered on {self._where}",
            "",
            f"label mass of {len(mass)} class{'' if len(mass) == 1 else 'es'}",
            *(f"  {name:{width}} {amount:8.1f}  {amount / max(1, self.clips):6.1%}" for name, amount in mass),
        ]
        if self.mixed:
            lines += ["", "own video's share of the label, mixed clips", f"  {'0 to 1':{width}} {bars}"]
        if self.ops:
            lines += ["", "ops drawn", *(f"  {name:{width}} {count:6}" for name, count in self.ops.items())]
        return "\n".join(
            [*lines, "", "recipe", *(f"  {printable(line)}".rstrip() for line in self.recipe.splitlines())]
        )


def summarise(source: Path) -> Summary:
    """Add up an output folder or one shard. Raises ShardError when it is damaged or foreign."""
    files = shard_files(source)
    mass: np.ndarray[Any, Any] | float = 0.0
    own_weights: list[float] = []
    ops: Counter[str] = Counter()
    devices: Counter[str] = Counter()
    plans: set[str] = set()
    clips = originals = 0
    for path in files:
        with Shard(path) as shard:
            header = shard.header
            devices[header.device] += 1
            plans.add(header.plan_sha256)
            if len(plans) > 1:
                hint = "each output folder holds the shards of one plan"
                raise ShardError(f"is of another plan than {files[0].name}", where=path, hint=hint)
            clips += len(shard)
            originals += int((shard.column("copy") < 0).sum())
            mass = mass + shard.column("labels").sum(0, dtype=np.float64)
            mixed = shard.column("sources")[:, 1] >= 0
            own_weights += shard.column("weights").mean(1)[mixed].tolist()
            for index in range(len(shard)):
                ops.update(op_names(shard.params(index)))
    return Summary(
        source=str(source),
        shards=len(files),
        planned_shards=_planned_shards(source),
        clips=clips,
        originals=originals,
        mixed=len(own_weights),
        bytes=sum(path.stat().st_size for path in files),
        frames=header.frames,
        size=header.size,
        codec=header.codec,
        devices=dict(sorted(devices.items())),
        seed=header.seed,
        recipe=header.recipe,
        label_mass=dict(zip(header.classes, np.atleast_1d(mass).tolist(), strict=True)),
        own_weight=np.histogram(own_weights, BINS, (0, 1))[0].tolist(),
        ops=dict(sorted(ops.items(), key=lambda item: -item[1])),
    )


def _planned_shards(source: Path) -> int | None:
    """How many shards the folder will have; None where it cannot be said."""
    try:
        return len(read_plan(source).shards) if source.is_dir() else None
    except VidaugError:  # whoever verifies the folder is told; what lies in the shards can be summed up all the same
        return None


def op_names(params: dict[str, Any]) -> list[str]:
    """Names of the ops a clip went through, as its stored numbers say: its own augment ops, then its mix."""
    names = []
    for step in params["own"]["augment"]:
        if step["draw"] is not None:
            layers = step["draw"].get("layers")
            names += [layer["op"] for layer in layers] if layers else [step["op"]]
    return names + ([params["mix"]["op"]] if params["mix"] else [])


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file of an output folder."""

    path: str
    what: str


def verify(out: Path, *, deep: bool = True, workers: int = 0, progress: bool = False) -> tuple[list[Fault], int]:
    """Every fault of an output folder, and how many shards were looked at.

    Raises ShardError when the plan itself cannot be read.
    """
    if other := drawn_otherwise(read_header(out)):
        raise ShardError(other, where=out, hint="verify it with that release")
    plan = read_plan(out)
    _plan.cache_clear()
    tasks = [(out, index, deep) for index in range(len(plan.shards))]
    faults: dict[int, list[str]] = {}
    checked = in_processes(_verify_shard, tasks, workers)
    for index, found in track(checked, len(tasks), "shard", "verify", show=progress):
        faults[index] = found
    known = {shard_path(out, index) for index in range(len(plan.shards))}
    strangers = sorted(set((out / "shards").glob("*.h5")) - known)
    return [
        *(Fault(str(shard_path(out, index)), what) for index in sorted(faults) for what in faults[index]),
        *(Fault(str(path), "is not a shard of this plan") for path in strangers),
    ], len(tasks)


def _verify_shard(out: Path, index: int, deep: bool) -> tuple[int, list[str]]:
    plan = _plan(out)
    path = shard_path(out, index)
    if not done_path(path).exists():
        return index, ["is not finished; the same 'vidaug augment' command continues"]
    try:
        done = read_done(done_path(path))
        faults = check_shard(path, done, deep=deep, row_labels=plan.labels)
        return index, faults or list(_against_plan(plan, index, path, {failure.clip for failure in done.failures}))
    except ShardError as error:
        return index, [str(error)]


@lru_cache(maxsize=1)
def _plan(out: Path) -> Plan:
    """The plan in `out`, read once in a process for all the shards it looks at."""
    return read_plan(out)


def _against_plan(plan: Plan, index: int, path: Path, left_out: set[int]) -> Iterator[str]:
    """Whether a shard that is whole in itself is the one the plan says."""
    wanted = [slot for group in plan.shards[index] for slot in group if slot.clip not in left_out]
    with Shard(path) as shard:
        header = shard.header
        for name, value in (
            ("plan_sha256", plan.sha256),
            ("recipe", plan.recipe.text),
            ("classes", plan.classes),
            ("seed", plan.seed),
            ("frames", plan.spec.frames),
            ("size", plan.spec.size),
            ("codec", plan.codec),
            ("quality", plan.quality),
            ("shard", index),
        ):
            if getattr(header, name) != value:
                yield f"{name} is not the plan's"
        stored = zip(*(shard.column(name).tolist() for name in ("clip", "copy")), shard.column("sources"), strict=True)
        if [(clip, copy, int(row)) for clip, copy, (row, _) in stored] != [tuple(slot) for slot in wanted]:
            yield "its clips are not the plan's"
        elif not _within_videos(plan, shard.column("sources"), shard.column("frames")):
            yield "it has frames that are not its videos'"


def _within_videos(plan: Plan, sources: NDArray[np.int64], frames: NDArray[np.int32]) -> bool:
    """Whether frame numbers (N, 2, T) lie in their videos, or in the segments of these; sources (N, 2), -1 for none."""
    first, count = np.array([(row.first, row.frames) for row in plan.rows]).T
    inside = (first[sources] <= frames.min(2)) & (frames.max(2) < (first + count)[sources])
    return bool((inside | (sources < 0)).all())


@dataclass(frozen=True)
class Replayed:
    """How a clip compares with itself rendered again."""

    clip: int
    equal: bool
    what: str


def replay_clips(
    out: Path, wanted: Sequence[int] | int | None, engine: Engine, *, root: Path | None = None, progress: bool = False
) -> Iterator[Replayed]:
    """Render clips again from their sources and stored numbers, and compare.

    Args:
        out: an output folder.
        wanted: numbers of clips, or how many spread evenly, or None for all.
        root: folder of the videos, if they were moved.

    Raises ShardError when a clip is not there, VidaugError when none of the videos is.
    """
    plan = read_plan(out)
    plan = replace(plan, rows=tuple(relocate(plan.rows, root)))
    found = find_clips(out, wanted)
    for path, index in track(found, len(found), "clip", "replay", show=progress):
        with Shard(path) as shard:
            yield _replay_one(plan, engine, shard, shard.record(index))


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


def _replay_one(plan: Plan, engine: Engine, shard: Shard, stored: Record) -> Replayed:
    """Bytes are equal on one kind of device; between two, pixels may differ by a level, and sums in the last place."""
    try:
        again = replay(plan, engine, stored)
    except VideoError as error:
        return Replayed(stored.clip, False, str(error))
    video = again.video
    if shard.header.codec == "jpeg":
        video = decode_frames(encode_frames(video, shard.header.quality), shard.header)
    off = np.abs(video.astype(np.int16) - stored.video)
    drift = max(float(np.abs(getattr(again, name) - getattr(stored, name)).max()) for name in ("label", "weights"))
    if drift == 0 and not off.any():
        return Replayed(stored.clip, True, "equal bytes")
    what = f"pixels differ by up to {off.max()} of 255" if off.any() else "label or weights differ"
    if shard.header.device == engine.kind:
        return Replayed(stored.clip, False, what)
    allowed = drift <= TOLERANCE and (
        _largest_mean(off) <= JPEG_LEVELS if shard.header.codec == "jpeg" else off.max() <= 1
    )
    devices = f"{shard.header.device}, which rendered it, and {engine.kind}"
    return Replayed(stored.clip, allowed, f"{what}, {'no more' if allowed else 'more'} than {devices} may")


def _largest_mean(off: NDArray[np.int16]) -> float:
    """The largest mean over the 16 x 16 blocks of the frames (T, H, W, 3): what JPEG codes is coded by the block."""
    rows, columns = (np.arange(0, length, BLOCK) for length in off.shape[1:3])
    sums = np.add.reduceat(np.add.reduceat(off.sum(3, dtype=np.int64), rows, 1), columns, 2)
    return float(sums.max()) / (3 * BLOCK**2)
