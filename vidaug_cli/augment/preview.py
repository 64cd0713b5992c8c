"""Clips made ready for drawing: from shards, or rendered on the spot from a plan that is never written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from vidaug_cli.augment.inspect import op_names
from vidaug_cli.augment.output import find_clips
from vidaug_cli.augment.plan import Plan, read_plans
from vidaug_cli.augment.render import Engine, render_group
from vidaug_cli.data.sampling import clip_fps
from vidaug_cli.data.shard.extremes import Extremes
from vidaug_cli.data.shard.format import Failure, Record
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.draw.clips import Legend, Strip
from vidaug_cli.errors import SettingError, VideoError
from vidaug_cli.ops.disturb import ClipKey, disturb_clip
from vidaug_cli.ops.disturbances import KINDS, Disturbance, draw, strengths

DISTURBED = Legend(text="line over the bar: strength of the disturbance, of the greatest in its row of the table")


def stored_strips(out: Path, wanted: Sequence[int] | int) -> list[Strip]:
    """Return clips of an output folder: by number, or so many evenly spread. Raises ShardError for a missing one."""
    plans, strips = read_plans(out), []
    for folder, path, index in find_clips(out, wanted):
        with Shard(path) as shard:
            strips.append(_strip(plans[folder], shard.record(index)))
    return strips


def rendered_strips(plan: Plan, engine: Engine, count: int) -> list[Strip]:
    """Return the first clips that the plan would make. Raises VidaugError when no video can be read."""
    failures: list[Failure] = []
    strips: list[Strip] = []
    for group in (group for shard in range(plan.shard_count) for group in plan.groups(shard)):
        ring = group[0][: count - len(strips) + 1]  # one clip more than is shown, as the partner of the last
        records = islice(render_group(plan, engine, (ring,), failures), count - len(strips))
        strips += [_strip(plan, replace(record, video=record.video.copy())) for record in records]
        if len(strips) == count:
            break
    if not strips:
        raise VideoError(failures[0].reason, where=failures[0].path)
    return strips


def disturbed_strips(strips: Sequence[Strip], disturbances: Sequence[Disturbance]) -> Iterator[Strip]:
    """Yield each clip as it is and under each disturbance, whose strength over time is a line over the bar.

    A cut shows the next clip, and after the last the first. Raises VidaugError where there is no other clip.
    """
    if len(strips) < 2 and any(one.kind == "cut" for one in disturbances):
        raise SettingError(
            "a cut shows frames of another clip: two are needed", where="--perturb cut", hint="--count 2"
        )
    for number, strip in enumerate(strips):
        yield strip
        other, key = strips[(number + 1) % len(strips)].video, ClipKey(strip.own)
        for one in disturbances:
            drawn = draw(one.kind, *key, len(strip.video))
            most = max(KINDS[one.kind].strongest, default=1)
            yield replace(
                strip,
                video=disturb_clip(strip.video, one, key, other),
                note=one.name,
                curve=abs(strengths(one, drawn)) / most if one.course else None,
            )


def _strip(plan: Plan, record: Record) -> Strip:
    own, partner = (plan.rows[row].name if row >= 0 else None for row in record.sources)
    notes = op_names(record.params)
    if isinstance(plan.spec.stride, tuple):
        notes.append(f"stride {record.params['own']['sample']['step']:.2f}")
    shares = sorted(zip(record.label.tolist(), plan.classes, strict=True), reverse=True)
    return Strip(
        video=record.video,
        weights=record.weights,
        title=f"{record.clip}: " + " + ".join(f"{name} {share:.0%}" for share, name in shares if share > 0),
        own=own or "",
        partner=partner,
        note=", ".join([*(notes or ["crop and flip only"]), *Extremes.of(record.video).words]),
        fps=clip_fps(plan.spec, plan.rows[record.sources[0]]),
    )
