"""Clips made ready for drawing: from shards, or rendered on the spot from a plan that is never written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import UInt8

from vidaug_cli.augment.output import StoredClip, find_clips
from vidaug_cli.augment.plan import Plan, read_plans
from vidaug_cli.data.sampling import clip_fps
from vidaug_cli.data.shard.extremes import Extremes
from vidaug_cli.data.shard.format import Failure, Record
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.draw.clips import Legend, Source, Strip, class_words
from vidaug_cli.errors import SettingError, VideoError
from vidaug_cli.ops.disturbances import KINDS, Disturbance, draw, strengths
from vidaug_cli.words import MINUS

if TYPE_CHECKING:
    from vidaug_cli.augment.render import Engine
    from vidaug_cli.data.video.limits import Limits

DISTURBED = Legend(text="line over the bar: strength of the disturbance")
TRIES = 64  # clips that are looked at for one whose videos have not been shown
LIGHT = 99.5  # per cent of a clip's levels that --gain auto keeps below white
GREATEST = 16.0  # gain that it takes: beyond, noise is all there is
WITHOUT_MAGNITUDE = ("identity", "autocontrast", "equalize", "invert")  # frame ops; their table loads torch

Gain = float | Literal["auto"]


def stored_strips(
    out: Path, wanted: Sequence[int] | int, *, originals: Limits | None = None, root: Path | None = None
) -> list[Strip]:
    """Return clips of an output folder: by number, or so many, evenly spread, of videos that do not repeat.

    With the limits of `originals`, what they were made of is decoded from the videos, which may lie in `root` now.
    Raises ShardError for a missing clip, VideoError for a missing video.
    """
    plans, strips = read_plans(out, root=root), []
    clips = _spread(find_clips(out, None), wanted) if isinstance(wanted, int) else find_clips(out, wanted)
    for folder, path, index in clips:
        with Shard(path) as shard:
            strips.append(_strip(plans[folder], shard.record(index), originals))
    return strips


def _spread(clips: Sequence[StoredClip], count: int) -> list[StoredClip]:
    """Return so many clips, evenly spread, each the first from there on whose videos have not been shown.

    Where there is none among the next `TRIES`, it may be any.
    """
    shown: set[tuple[Path, int]] = set()
    left, chosen = set(range(len(clips))), []
    for start in np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int).tolist():
        near = list(islice((place for place in chain(range(start, len(clips)), range(start)) if place in left), TRIES))
        chosen.append(next((place for place in near if not _videos(clips[place]) & shown), near[0]))
        left.remove(chosen[-1])
        shown |= _videos(clips[chosen[-1]])
    return [clips[place] for place in sorted(chosen)]


def _videos(clip: StoredClip) -> set[tuple[Path, int]]:
    """Return which rows of which folder a clip shows."""
    with Shard(clip.shard) as shard:
        return {(clip.folder, row) for row in shard.row("sources", clip.place).tolist() if row >= 0}


def rendered_strips(
    plan: Plan, engine: Engine, count: int, *, originals: bool = False, apart: bool | None = None
) -> list[Strip]:
    """Return clips that the plan would make: the first, and where they are mixed, every other one of these.

    So no video is seen twice, where there are enough. `apart` says whether to leave every other one out, as it is to be
    the same for several recipes. Raises VidaugError when no video can be read.
    """
    from vidaug_cli.augment.render import render_group  # here, as it loads torch

    step = 2 if (apart if apart is not None else bool(plan.recipe.mix)) else 1
    failures: list[Failure] = []
    records: list[Record] = []
    spare: list[Record] = []  # shown where there are too few others
    for group in (group for shard in range(plan.shard_count) for group in plan.groups(shard)):
        ring = group[0][: step * (count - len(records)) + 1]  # one clip more than is shown, as the last one's partner
        for place, record in enumerate(render_group(plan, engine, (ring,), failures)):
            into = spare if place % step else records
            if len(into) < count:
                into.append(replace(record, video=record.video.copy()))
        if len(records) == count:
            break
    if not records:
        raise VideoError(failures[0].reason, where=failures[0].path)
    records = sorted((records + spare)[:count], key=lambda record: record.clip)
    return [_strip(plan, record, engine.limits if originals else None) for record in records]


def brightened(strip: Strip, gain: Gain) -> Strip:
    """Return a clip, and what it was made of, with levels that are so many times as high; `auto` finds out how many."""
    if gain == "auto":
        gain = min(max(1.0, 255 / max(1.0, float(np.percentile(strip.video, LIGHT)))), GREATEST)

    levels = np.minimum(np.arange(256) * gain, 255).round().astype(np.uint8)

    def brighten(source: Source) -> Source:
        return source._replace(original=None if source.original is None else levels[source.original])

    return replace(
        strip,
        video=levels[strip.video],
        own=brighten(strip.own),
        partner=strip.partner and brighten(strip.partner),
        note=", ".join(filter(None, [strip.note, f"{gain:.2g} times as bright"])),
    )


def disturbed_strips(strips: Sequence[Strip], disturbances: Sequence[Disturbance]) -> Iterator[Strip]:
    """Yield each clip as it is and under each disturbance, whose strength over time is a line over the bar.

    A cut shows the next clip, and after the last the first. Raises VidaugError where there is no other clip.
    """
    from vidaug_cli.ops.disturb import ClipKey, disturb_clip  # here, as it loads torch

    if len(strips) < 2 and any(one.kind == "cut" for one in disturbances):
        raise SettingError(
            "a cut shows frames of another clip: two are needed", where="--perturb cut", hint="give --count 2"
        )
    for number, strip in enumerate(strips):
        yield strip
        other, key = strips[(number + 1) % len(strips)].video, ClipKey(strip.own.name)
        for one in disturbances:
            drawn = draw(one.kind, *key, len(strip.video))
            most = max(KINDS[one.kind].strongest, default=1)
            yield replace(
                strip,
                video=disturb_clip(strip.video, one, key, other),
                own=strip.own._replace(original=None),
                partner=strip.partner and strip.partner._replace(original=None),
                note=one.name,
                curve=abs(strengths(one, drawn)) / most if one.course else None,
                scale=(0, most),
            )


def _strip(plan: Plan, record: Record, originals: Limits | None = None) -> Strip:
    rows = [plan.rows[row] for row in record.sources if row >= 0]
    sides = [record.params["own"], record.params["partner"]]
    ops = [_ops(side) if side else "" for side in sides]
    mixed = record.params["mix"]
    notes = [mixed["op"]] if mixed else [] if any(ops) else ["crop and flip only"]
    if isinstance(plan.spec.stride, tuple):
        notes.append(f"stride {sides[0]['sample']['step']:.2f}")
    pixels: list[UInt8[np.ndarray, "t h w 3"] | None] = [None, None]
    if originals and (mixed or any(ops)):  # of others, the clip itself is what it was made of
        from vidaug_cli.augment.render import decode_sources  # here, as it loads torch

        pixels = [*decode_sources(plan, originals, record)[1]]
    sources = [Source(row.name, *each) for row, each in zip(rows, zip(ops, pixels, strict=True), strict=False)]
    labels = [str(row.label) for row in rows]
    return Strip(
        video=record.video,
        weights=record.weights,
        title=str(record.clip),
        classes=class_words(record.label, plan.classes, *labels),
        own=sources[0],
        partner=sources[1] if len(sources) > 1 else None,
        note=", ".join([*notes, *Extremes.of(record.video).words]),
        fps=clip_fps(plan.spec, rows[0]),
    )


def _ops(side: dict[str, Any]) -> str:
    """Return the ops that a video went through in words, with their magnitudes at both ends of the clip."""
    drawn = [{"op": step["op"]} | step["draw"] for step in side["augment"] if step["draw"] is not None]
    return ", ".join(_layer(layer) for each in drawn for layer in each.get("layers") or [each])


def _layer(drawn: dict[str, Any]) -> str:
    """Return `rotate 3.1 to 6.9`, `rotate 5` where both ends are the same, or `rotate −3.1 to −6.9` where a sign is."""
    name: str = drawn["op"]
    if "first" not in drawn or name in WITHOUT_MAGNITUDE:
        return name
    values = [drawn.get("sign", 1) * drawn[end] for end in ("first", "last")]
    ends = [f"{value:.1f}".removesuffix(".0").replace("-", MINUS) for value in values]
    return f"{name} {' to '.join(dict.fromkeys(ends))}"
