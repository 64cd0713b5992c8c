"""What is in an output folder or a shard: clips, classes, ops, the recipe. Loads no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vidaug_cli.augment.output import add_failures, shard_files
from vidaug_cli.augment.plan import read_header
from vidaug_cli.data.kinds import parts_of
from vidaug_cli.data.manifest import Row, hash_rows
from vidaug_cli.data.rows import StoredRows, among
from vidaug_cli.data.shard.extremes import Extremes
from vidaug_cli.data.shard.format import ShardHeader, done_path, read_done
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import ShardError, UnlikeError, VidaugError
from vidaug_cli.words import count, human_bytes, printable

BINS = 10  # of the histogram of own weights
BARS = " ▁▂▃▄▅▆▇█"  # of no clip, of few ... of as many as any has
WIDEST = 40  # letters of a class name that columns are lined up by


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is in an output folder or a shard."""

    source: str
    plans: int  # that the shards are of: of the folder, and of its parts
    shards: int  # that are finished
    planned_shards: int | None  # of an output folder; None: a plan cannot be read, or it is one shard by itself
    clips: int
    originals: int
    mixed: int
    bytes: int
    frames: int
    size: int
    codecs: list[str]
    devices: dict[str, int]  # how many shards each kind of device rendered
    seeds: list[int]
    extremes: Extremes | None  # clips that are near black or near white; None: not counted
    recipes: list[str]  # TOML texts: one, where all parts were made by the same
    label_mass: dict[str, float]  # per class: the sum of its label weights over all clips
    # By the class of the own video; empty where no manifest lies beside the shards.
    clips_by_class: dict[str, int] = field(default_factory=dict)
    own_weight: list[int]  # histogram over [0, 1] of the own video's label weight, of the mixed clips
    ops: dict[str, int]  # how often each op was drawn

    @property
    def recipe(self) -> str:
        """The recipe by which all clips were made. Raises ShardError where there are several."""
        if len(self.recipes) > 1:
            what = f"has parts that were made by {len(self.recipes)} recipes"
            raise UnlikeError(what, where=self.source, hint="name the folder of one of them, such as part-001 in it")
        return self.recipes[0]

    @property
    def text(self) -> str:
        """The summary for people, of several lines."""
        shards = count(self.planned_shards or self.shards, "shard")
        if self.planned_shards not in (None, self.shards):
            shards = f"{self.shards} of {shards}"
        plans = f" of {self.plans} plans" if self.plans > 1 else ""
        seeds = f"seed{'s' * (len(self.seeds) > 1)} {' and '.join(map(str, self.seeds))}"
        each = [f"{name} ({count(number, 'shard')})" for name, number in self.devices.items()]
        devices = " and ".join(each if len(each) > 1 else self.devices)
        mass = sorted(((printable(name), mass) for name, mass in self.label_mass.items()), key=lambda item: -item[1])
        own = {printable(name): clips for name, clips in self.clips_by_class.items()}
        width = min(WIDEST, max(len(name) for name in [*dict(mass), *self.ops, "own weight"]))
        lines = [
            f"{self.source}: {count(self.clips, 'clip')} in {shards}{plans}, {human_bytes(self.bytes)}",
            f"clips: {self.frames} x {self.size} x {self.size}, {' and '.join(self.codecs)}, {self.mixed} mixed, "
            f"{count(self.originals, 'clean original')}; {seeds}, rendered on {devices}",
            *([f"levels: {told}"] if self.extremes and (told := self.extremes.text(self.clips)) else []),
            "",
            f"clips per class (soft) of {count(len(mass), 'class')}"
            + (", and clips whose own video is of it" if own else ""),
            *(
                f"  {name:{width}} {amount:8.1f}  {amount / max(1, self.clips):6.1%}"
                + (f"  {own.get(name, 0):6}" if own else "")
                for name, amount in mass
            ),
        ]
        if self.mixed:
            lines += [
                "",
                "own video's share of the label, mixed clips",
                f"  {'':{width}} {_histogram(self.own_weight)}",
            ]
        if self.ops:
            lines += ["", "ops drawn", *(f"  {name:{width}} {count:6}" for name, count in self.ops.items())]
        for recipe in self.recipes:
            lines += ["", "recipe", *(f"  {printable(line)}".rstrip() for line in recipe.splitlines())]
        return "\n".join(lines)


def _histogram(counts: Sequence[int]) -> str:
    """Return bars over the range from 0 to 1, with its ends, and what the tallest bar stands for."""
    tallest = max(counts)
    bars = "".join(BARS[-(-each * (len(BARS) - 1) // tallest)] for each in counts)
    low = counts.index(tallest) / len(counts)
    return f"0 {bars} 1  tallest: {count(tallest, 'clip')} of {low:g} to {low + 1 / len(counts):g}"


def summarise(source: Path, videos: Sequence[Row] | None = None) -> Summary:
    """Return the sums over an output folder and its parts, or one shard; with `videos`, of clips that show no others.

    Raises ShardError when it is damaged or foreign, or its parts have clips of different shapes.
    """
    files = shard_files(source)
    mass: Counter[str] = Counter()
    own_clips: Counter[str] = Counter()
    own_weights: list[float] = []
    ops: Counter[str] = Counter()
    headers: list[ShardHeader] = []
    begun: dict[Path, ShardHeader] = {}  # of the first shard of each folder
    clips = originals = 0
    for path in files:
        with Shard(path) as shard:
            headers.append(header := shard.header)
            first = begun.setdefault(path.parent.parent, header)
            if header.plan_sha256 != first.plan_sha256:
                hint = "each output folder holds the shards of one plan"
                raise UnlikeError(f"is of another plan than shard {first.shard}", where=path, hint=hint)
            if header.shape != headers[0].shape:
                what = f"has another shape of clip than {files[0]}"
                raise UnlikeError(what, where=path, hint="look at each by itself")
            sources = shard.column("sources")
            if first is header:
                rows = _rows(path, header)
                if videos is not None:
                    known = among(StoredRows(path.parent.parent, header.classes), videos)
            shown = np.arange(len(shard)) if videos is None else np.flatnonzero(known[sources].all(axis=1))
            clips += len(shown)
            originals += int((shard.column("copy")[shown] < 0).sum())
            if rows is not None:
                own_clips.update(header.classes[label] for label in rows.labels[sources[shown, 0]].tolist())
            labels = shard.column("labels")[shown].sum(0, dtype=np.float64)
            mass.update(dict(zip(header.classes, labels.tolist(), strict=True)))
            mixed = shown[sources[shown, 1] >= 0]
            own_weights += shard.column("weights")[mixed].mean(1).tolist()
            for index in shown.tolist():
                ops.update(op_names(shard.params(index)))
    planned = {part: _planned_shards(part) for part in parts_of(source)}
    for part, shards in planned.items():
        if shards:
            add_failures(part, shards)
    return Summary(
        source=str(source),
        plans=len(planned),
        shards=len(files),
        planned_shards=None if None in planned.values() else sum(filter(None, planned.values())),
        clips=clips,
        originals=originals,
        mixed=len(own_weights),
        bytes=sum(path.stat().st_size for path in files),
        frames=header.frames,
        size=header.size,
        codecs=list(dict.fromkeys(each.codec for each in headers)),
        devices=dict(sorted(Counter(each.device for each in headers).items())),
        seeds=list(dict.fromkeys(each.seed for each in headers)),
        extremes=Extremes.sum(map(_extremes, files)) if videos is None else None,
        recipes=list(dict.fromkeys(each.recipe for each in headers)),
        label_mass=dict(mass),
        clips_by_class={name: own_clips[name] for name in mass if own_clips[name]},
        own_weight=np.histogram(own_weights, BINS, (0, 1))[0].tolist(),
        ops=dict(ops.most_common()),
    )


def _rows(shard: Path, header: ShardHeader) -> StoredRows | None:
    """Return the rows of the folder that a shard lies in; None where that is not the folder of its plan."""
    folder = shard.parent.parent
    try:
        rows, plan = StoredRows(folder, header.classes), read_header(folder)
    except (VidaugError, OSError):
        return None
    return rows if (plan.plan_sha256, hash_rows(rows.hashes)) == (header.plan_sha256, plan.manifest_xxh3) else None


def _extremes(shard: Path) -> Extremes | None:
    """Return what the done record of a shard has counted; None where there is none."""
    try:
        return read_done(done_path(shard)).extremes
    except ShardError:  # 'vidaug verify' says why
        return None


def _planned_shards(source: Path) -> int | None:
    """Return how many shards the folder will have; None where its plan is damaged, or `source` is a shard."""
    try:
        header = read_header(source)
        rows = StoredRows(source, header.classes)
    except (VidaugError, OSError):  # 'vidaug verify' says why; what lies in the shards can be summed up all the same
        return None
    whole = (hash_rows(rows.hashes), header.digest) == (header.manifest_xxh3, header.plan_sha256)
    if not whole:
        return None
    return header.rounds_of(len(rows), header.shares_of(rows.labels, header.classes)).shard_count


def op_names(params: dict[str, Any]) -> list[str]:
    """Return the names of the ops a clip went through, as its stored numbers say: its augment ops, then its mix."""
    drawn = [step for step in params["own"]["augment"] if step["draw"] is not None]
    layers = [layer for step in drawn for layer in step["draw"].get("layers") or [step]]
    return [each["op"] for each in (*layers, params["mix"]) if each]
