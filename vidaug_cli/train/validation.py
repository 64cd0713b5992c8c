"""Validation videos as shards: one clean clip of each, rendered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import Report
from vidaug_cli.augment.run import run as augment
from vidaug_cli.data.manifest import Row
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.train.run import TrainingRun
from vidaug_cli.workers import worker_count


def render_validation(
    run: TrainingRun, rows: Sequence[Row], *, where: object, overwrite: bool, progress: bool
) -> Report:
    """Render the middle of each video in time and space into the run's folder; clips that are there already stay.

    The square is as large as the smallest of training, so that things have the size at which the network saw them
    largest (arXiv:2008.05721's released protocol tests like this).

    Raises VidaugError when the videos, which come from `where`, have classes that training has not, and ShardError when
    the folder holds other clips.
    """
    run.check_classes((row.label for row in rows if row.label is not None), where)  # rendering may take hours
    spec = replace(run.clip, crop=(run.clip.crop[0], run.clip.crop[0]), flip=0.0)
    plan = Plan(rows=tuple(rows), recipe=load_recipe("none"), spec=spec, copies=0, keep_original=True)
    workers = worker_count(0)
    return augment(plan, run.validation_folder, Engine(), workers=workers, overwrite=overwrite, progress=progress)
