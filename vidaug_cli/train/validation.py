"""Validation videos as shards: one clean clip of each, rendered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import Report, run
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.recipe.loading import load_recipe


def render_held_out(
    rows: Sequence[Row], clip: ClipSpec, out: Path, *, workers: int, overwrite: bool, progress: bool
) -> Report:
    """The middle of each video in time and space, into the folder `out`; what is there already is left.

    `clip` is what a clip is in training; the square is as large as the smallest of training's, so that things have the
    size at which the network saw them largest (arXiv:2008.05721's released protocol tests like this).

    Raises ShardError when `out` holds other clips.
    """
    spec = replace(clip, crop=(clip.crop[0], clip.crop[0]), flip=0.0)
    plan = Plan(rows=tuple(rows), recipe=load_recipe("none"), spec=spec, copies=0, keep_original=True)
    return run(plan, out, Engine(), workers=workers, overwrite=overwrite, progress=progress)
