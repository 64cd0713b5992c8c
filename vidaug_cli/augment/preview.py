"""Clips made ready for drawing: from shards, or rendered on the spot from a plan that is never written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidaug_cli.augment.inspect import op_names
from vidaug_cli.augment.output import find_clips
from vidaug_cli.augment.plan import Plan, read_plan
from vidaug_cli.augment.render import Engine, render_group
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.shard.done import Failure
from vidaug_cli.data.shard.header import Record
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.draw.animation import animate
from vidaug_cli.draw.sheet import FPS, LEGEND, Legend, Strip, contact_sheet
from vidaug_cli.errors import VidaugError

SUFFIXES = (".png", ".gif", ".mp4")


def stored_strips(out: Path, wanted: Sequence[int] | int) -> list[Strip]:
    """Return clips of an output folder: by number, or so many evenly spread. Raises ShardError when one is missing."""
    plan = read_plan(out)
    strips = []
    for path, index in find_clips(out, wanted):
        with Shard(path) as shard:
            strips.append(_strip(plan, shard.record(index)))
    return strips


def rendered_strips(plan: Plan, engine: Engine, count: int) -> list[Strip]:
    """Return the first clips the plan would make. Raises VidaugError when no video can be read."""
    failures: list[Failure] = []
    group = plan.shards[0][0][: count + 1]  # one more than is shown, as the partner of the last
    records = list(render_group(plan, engine, group, failures))[:count]
    if not records:
        raise VidaugError(failures[0].reason, where=failures[0].path)
    return [_strip(plan, record) for record in records]


def check_suffixes(paths: Sequence[Path]) -> None:
    """Raise VidaugError, before anything is rendered, for a name that no picture can have."""
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise VidaugError(
                "is not a picture that can be drawn", where=path, hint=f"end it in {' or '.join(SUFFIXES)}"
            )


def draw_pictures(
    strips: Sequence[Strip], paths: Sequence[Path], *, columns: int, thumb: int, legend: Legend = LEGEND
) -> Iterator[Path]:
    """Write a contact sheet to each .png and an animation to each other path, and yield what was written."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".png":
            contact_sheet(strips, columns=columns, thumb=thumb, legend=legend).save(path)
        else:
            animate(strips, path)
        yield path


def _strip(plan: Plan, record: Record) -> Strip:
    own, partner = (plan.rows[row] if row >= 0 else None for row in record.sources)
    shares = sorted(zip(record.label.tolist(), plan.classes, strict=True), reverse=True)
    return Strip(
        video=record.video,
        weights=record.weights if partner else None,
        title=f"{record.clip}: " + " + ".join(f"{name} {share:.0%}" for share, name in shares if share > 0),
        own=own.name if own else "",
        partner=partner.name if partner else None,
        note=", ".join(op_names(record.params)) or "crop and flip only",
        fps=clip_fps(own, record.params) if own else FPS,
    )


def clip_fps(video: Row, params: dict[str, Any]) -> float:
    """Return the frames per second at which a clip is as fast as its video, from the numbers drawn for the clip."""
    step = params["own"]["sample"]["step"]  # frames of the video from one frame of the clip to the next
    return video.fps / step if video.fps and step else FPS
