"""One job of training, from the first check to the last epoch: what `vidaug train` does once it knows its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from vidaug_cli.data.manifest import Row
from vidaug_cli.train.build import build, check_run
from vidaug_cli.train.distributed import World
from vidaug_cli.train.history import EpochMetrics, MetricsLog
from vidaug_cli.train.loop import train
from vidaug_cli.train.run import ShardFolders, TrainingRun, held_videos, prepare_folder, render_validation


def train_run(
    run: TrainingRun,
    world: World,
    *,
    preset: str = "",
    videos: Callable[[], Sequence[Row]] | None = None,
    where: object = "",
    workers: int | None = None,
    threads: int | None = None,
    compiled: bool = False,
    overwrite: bool = False,
    extend: bool = False,
    tensorboard: bool = False,
    say: Callable[[str], None] = print,
    progress: bool = False,
) -> list[EpochMetrics]:
    """Train a run in its folder, new or from where an earlier one of the same identity stopped; return its history.

    Args:
        run: what to train.
        world: this process among those that train together; each of them calls this.
        preset: where its settings started, to say what budget that is meant for.
        videos: finds the videos to validate on, in place of the clips of `run.validation`. It is called when all else
            was checked, as it may take long. None where videos are held out: those.
        where: what an error calls their origin.
        workers: processes that read ahead; None: `World.default_workers`.
        threads: that compute, as `build` takes them.
        compiled: whether torch compiles the network first.
        overwrite: whether to begin anew where the folder holds a run.
        extend: whether a run in the folder may be of another length.
        tensorboard: whether metrics are also written for TensorBoard.
        say: takes a line for people; only the first process says anything.
        progress: whether to draw bars.

    Raises VidaugError as `check_run`, `render_validation`, `build` and `train` do.
    """
    if videos is None and run.shards.hold_out is not None:
        videos = partial(held_videos, run)
    log = MetricsLog(run.folder, tensorboard=tensorboard, say=say) if world.is_first else None
    if world.is_first:
        prepare_folder(run.folder)
        if videos is not None:
            check_run(run, world, overwrite=overwrite, validation_follows=True, extend=extend)
            for note in run.shards.notes:
                say(note)
            say(render_validation(run, videos(), where=where, overwrite=overwrite, progress=progress).text)
    world.barrier()
    if videos is not None:
        run = replace(run, validation=ShardFolders([run.validation_folder]))
    workers = world.default_workers if workers is None else workers
    parts = build(run, world, workers=workers, threads=threads, compiled=compiled, overwrite=overwrite, extend=extend)
    if world.is_first and len(parts.history) < parts.budget.epochs and (extend or not parts.history):
        say(parts.budget.text(len(run.shards.dataset), preset))
    return train(parts, log=log, progress=progress)
