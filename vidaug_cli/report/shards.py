"""What a report says of a folder of shards: what was made, how it is spread, clips that move. Loads no torch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidaug_cli.augment.inspect import Summary, summarise
from vidaug_cli.augment.plan import PlanHeader, read_header
from vidaug_cli.augment.status import LeftOut, Status, status
from vidaug_cli.data.kinds import parts_of
from vidaug_cli.data.rows import StoredRows
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import VidaugError
from vidaug_cli.report import charts
from vidaug_cli.report.clips import Clip, moving
from vidaug_cli.report.pieces import Report, Setting
from vidaug_cli.report.stored import CLEAN, Facts, choose, read_facts, recipe_name
from vidaug_cli.words import count, human_bytes, percent, said
from vidaug_cli.workers import track

MAGNITUDES = (5.0, 10.0, 15.0, 20.0, 30.0, 60.0)  # ends of an axis; recipes go up to 30, and swing around that


class ClassRow(NamedTuple):
    """A class: its videos, and the sum of its label weights over all clips."""

    name: str
    videos: int
    mass: float
    share: float  # of the mass of all
    bar: float  # per cent of the largest


@dataclass(frozen=True, kw_only=True)
class ShardsReport(Report):
    """Everything that a page shows of a folder of shards."""

    kind = "shards"
    places = {  # noqa: RUF012 (a constant)
        "clips": ("Clips", "clips"),
        "classes": ("Classes", "classes"),
        "mixing": ("Mixing", "shares"),
        "magnitudes": ("Magnitudes", "magnitudes"),
        "failures": ("Left out", "source"),
        "made": ("How it was made", "settings"),
    }
    classes: tuple[ClassRow, ...] = ()
    shares: tuple[charts.Histogram, ...] = ()  # lambda and boxes
    mixes: tuple[charts.Lines, ...] = ()  # weights over time
    magnitudes: tuple[charts.Lines, ...] = ()
    clips: tuple[Clip, ...] = ()
    table: tuple[dict[str, Any], ...] = ()  # numbers of clips
    filters: dict[str, dict[str, int]] = field(default_factory=dict)  # how many clips of the table each value has
    failures: tuple[LeftOut, ...] = ()
    recipes: dict[str, str] = field(default_factory=dict)  # TOML by name
    settings: tuple[Setting, ...] = ()


def report_shards(source: Path, most: int, *, progress: bool = False) -> ShardsReport:
    """Return what a page shows of the folder `source`, with so many moving clips.

    Raises VidaugError when it is none, or its plan is damaged.
    """
    parts = {part: read_header(part) for part in parts_of(source)}
    states = [status(part) for part in parts]
    rows = {part: StoredRows(part, header.classes) for part, header in parts.items()}
    done = sum(state.done for state in states)
    summary = summarise(source) if done else None
    notes = []
    facts = list(read_facts(source, parts, rows, progress=progress)) if summary and summary.clips else []
    if summary and len(facts) < summary.clips:
        notes.append(f"The plots and the table below are of {len(facts):,} of the {summary.clips:,} clips.")
    if summary and summary.extremes and (told := summary.extremes.text(summary.clips)):
        notes.append(f"Levels: {told}.")
    planned = sum(state.shards for state in states)
    if done < planned:
        notes.append(f"Not finished: {done} of {count(planned, 'shard')} done.")
    chosen = choose(facts, most)
    recipes = {recipe_name(header.recipe): header.recipe for header in parts.values()}
    return ShardsReport(
        source=str(source),
        name=source.absolute().name,
        stats=_stats(summary, states, rows),
        notes=tuple(notes),
        commands=tuple(line for state in states for line in state.commands),
        classes=_classes(summary, rows),
        shares=tuple(_histograms(facts)),
        mixes=tuple(_mixes(facts)),
        magnitudes=tuple(_magnitudes(facts)),
        clips=tuple(_moving(each) for each in track(chosen, len(chosen), "clip", "encode", show=progress)),
        table=tuple(each.row for each in facts),
        filters=_filters(facts),
        failures=tuple(each for state in states for each in state.left_out),
        recipes=recipes,
        settings=_settings(parts, summary),
    )


def _moving(one: Facts) -> Clip:
    """Return a clip as a page shows it; one that cannot be read says why."""
    video, fault = "", ""
    try:
        with Shard(one.place.shard) as shard:
            video = moving(shard.video(one.place.place), one.fps)
    except VidaugError as error:
        fault = error.what
    return Clip(
        number=one.clip,
        title=" + ".join(f"{name} {percent(share)}" for name, share in one.shares),
        shares=one.shares,
        own=one.own,
        partner=one.partner,
        weights=one.weights,
        notes=one.ops or (CLEAN,),
        command=one.command,
        keys=one.keys,
        fps=one.fps,
        video=video,
        fault=fault,
    )


def _stats(summary: Summary | None, states: Sequence[Status], rows: dict[Path, StoredRows]) -> tuple[Setting, ...]:
    """Return the numbers at the top."""
    clips, planned = sum(state.clips for state in states), sum(state.planned_clips for state in states)
    videos = len({row.name for each in rows.values() for row in each})
    numbers = [
        Setting("clips", f"{clips:,}" if clips == planned else f"{clips:,} of {planned:,}"),
        Setting("videos", f"{videos:,}"),
    ]
    if summary and summary.clips:
        numbers += [
            Setting("classes", f"{len(summary.label_mass):,}"),
            Setting("mixed", percent(summary.mixed / summary.clips)),
            Setting("frames, pixels", f"{summary.frames} \N{MULTIPLICATION SIGN} {summary.size}²"),
            Setting("on disk", human_bytes(summary.bytes)),
        ]
    return tuple(numbers)


def _classes(summary: Summary | None, rows: dict[Path, StoredRows]) -> tuple[ClassRow, ...]:
    """Return a row for each class, that with the largest mass first."""
    videos = Counter(label for label, _ in {(str(row.label), row.name) for each in rows.values() for row in each})
    mass = summary.label_mass if summary else dict.fromkeys(videos, 0.0)
    total, largest = sum(mass.values()) or 1, max(mass.values(), default=0) or 1
    ranked = sorted(mass.items(), key=lambda one: -one[1])
    return tuple(ClassRow(name, videos[name], own, own / total, 100 * own / largest) for name, own in ranked)


class _Box(NamedTuple):
    """A box of a clip, as shares of it."""

    area: float
    length: float


def _boxes(one: Facts, size: int) -> Iterator[_Box]:
    """Yield the boxes of a clip's mix and of its cutouts."""
    steps = [step.get("draw") or {} for step in one.params.get("own", {}).get("augment", ())]
    for drawn in [one.params.get("mix") or {}, *steps]:
        with suppress(LookupError, TypeError, AttributeError, ValueError):
            t, y, x = (drawn["box"][axis][1] - drawn["box"][axis][0] for axis in "tyx")
            if t * y * x > 0:
                yield _Box(y * x / size**2, t / len(one.weights))


def _histograms(facts: Sequence[Facts]) -> Iterator[charts.Histogram]:
    """Yield the histograms of shares, and of boxes where there are some."""
    if mixed := [float(np.mean(one.weights)) for one in facts if one.partner is not None]:
        yield charts.histogram("λ: own video's share of a mixed clip", mixed)
    if not facts:
        return
    size = read_header(facts[0].place.folder).clip.size
    boxes = [box for one in facts for box in _boxes(one, size)]
    if boxes:
        yield charts.histogram("Boxes: share of the picture", [box.area for box in boxes])
        yield charts.histogram("Boxes: share of the frames", [box.length for box in boxes])


def _magnitudes(facts: Sequence[Facts]) -> Iterator[charts.Lines]:
    """Yield the magnitudes of each op over the frames of a clip, the op that was drawn most first."""
    drawn: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in facts:
        with suppress(LookupError, TypeError, AttributeError):
            for step in one.params["own"]["augment"]:
                for layer in (step["draw"] or {}).get("layers") or ():
                    drawn[layer["op"]].append((float(layer["first"]), float(layer["last"])))
    top = max((end for ends in drawn.values() for each in ends for end in each), default=0)
    scale = next(round_top for round_top in MAGNITUDES if top <= round_top)
    for name, ends in sorted(drawn.items(), key=lambda one: -len(one[1])):
        yield charts.over_time(f"{name}, {count(len(ends), 'draw')}", ends, top=scale)


def _mixes(facts: Sequence[Facts]) -> Iterator[charts.Lines]:
    """Yield the own video's share in each frame, for each op that mixes."""
    mixes: defaultdict[str, list[tuple[float, ...]]] = defaultdict(list)
    for one in facts:
        with suppress(LookupError, TypeError):
            mixes[one.params["mix"]["op"]].append(tuple(100 * weight for weight in one.weights))
    for name, shares in sorted(mixes.items(), key=lambda one: -len(one[1])):
        yield charts.over_time(f"{name}, {count(len(shares), 'clip')}: own share", shares, top=100, unit=" %")


def _filters(facts: Sequence[Facts]) -> dict[str, dict[str, int]]:
    """Return the values that a reader can choose, with how many clips have them; a single one is no choice."""
    found = {
        kind: dict(Counter(name for one in facts for name in one.keys[kind]).most_common())
        for kind in ("class", "op", "recipe")
    }
    return {kind: values for kind, values in found.items() if len(values) > 1}


def _settings(parts: dict[Path, PlanHeader], summary: Summary | None) -> tuple[Setting, ...]:
    """Return how it was made: the plan's values, a column of values where parts differ."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for header in parts.values():
        plain = {name: value for name, value in asdict(header).items() if name not in ("recipe", "classes", "clip")}
        for name, value in ({"recipe": recipe_name(header.recipe)} | asdict(header.clip) | plain).items():
            found[name][said(value)] = None
    rendered = summary.devices.items() if summary else ()
    devices = ", ".join(f"{name} ({count(number, 'shard')})" for name, number in rendered)
    return tuple(
        [*(Setting(name.replace("_", " "), "; ".join(values)) for name, values in found.items())]
        + ([Setting("rendered on", devices)] if devices else [])
    )
