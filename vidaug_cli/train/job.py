"""One job of training, from the first check to the last epoch: what `vidaug train` does once it knows its words."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vidaug_cli.data.manifest import Row
from vidaug_cli.errors import MissingPathError, VidaugError
from vidaug_cli.recipe.loading import parse_recipe
from vidaug_cli.schema import parse
from vidaug_cli.train.build import build, check_run
from vidaug_cli.train.distributed import World
from vidaug_cli.train.history import EpochMetrics, MetricsLog
from vidaug_cli.train.loop import train
from vidaug_cli.train.record import NAME, Clips, Length, RunRecord, Start, Weights, read_record, write_record
from vidaug_cli.train.run import ShardFolders, TrainingRun, held_videos, prepare_folder, render_validation
from vidaug_cli.train.settings import Settings, with_settings
from vidaug_cli.train.state import Parts

MANY_PASSES = 20  # twice as many as with what the preset small was chosen


def train_run(
    run: TrainingRun,
    world: World,
    *,
    preset: str = "",
    command: str = "",
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
        command: what the user typed, for `run.toml`.
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
    if videos is None and run.validation is None and run.shards.hold_out is not None:
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
    try:
        parts = build(
            run, world, workers=workers, threads=threads, compiled=compiled, overwrite=overwrite, extend=extend
        )
    except VidaugError:
        with suppress(OSError):  # it goes where it is empty, as of a run that never began
            run.folder.rmdir()
        raise
    if world.is_first and len(parts.history) < parts.budget.epochs:
        for line in first_lines(parts, preset, extend=extend):
            say(line)
        record = _record(parts, preset, command)
        goes_on = parts.history and (run.folder / NAME).exists()
        write_record(run.folder, record.after(read_record(run.folder)) if goes_on else record)
    return train(parts, log=log, progress=progress)


def first_lines(parts: Parts, preset: str, *, extend: bool) -> Iterator[str]:
    """Yield what is said of a run before its first step: what may hurt, and how often it sees how many clips."""
    if not parts.history:
        yield from parts.run.cautions
    if extend or not parts.history:
        yield parts.budget.text(len(parts.run.shards.dataset), preset)
        yield from filter(None, [_sameness(parts)])


def _sameness(parts: Parts) -> str:
    """Return a line where a run sees every clip many times, each time the same; else nothing."""
    run, settings = parts.run, parts.run.settings
    passes = parts.budget.passes(len(run.shards.dataset))
    varied = run.recipe is not None or settings.flip or run.clip.size < run.shards.spec.size or run.cuts_time
    if varied or passes < MANY_PASSES:
        return ""
    ways = "more --copies of 'vidaug augment', or -r none there and --recipe here"
    return f"every clip is seen {passes:.0f} times, each time the same: {ways} make others of the same videos"


def _record(parts: Parts, preset: str, command: str) -> RunRecord:
    """Return what `run.toml` says of a run that starts here."""
    run, budget, world = parts.run, parts.budget, parts.world
    clips = [
        Clips(path=str(folder.resolve()), plan_sha256=plan.sha256)
        for shards in (run.shards, run.validation)
        if shards is not None
        for folder, plan in zip(shards.folders, shards.plans, strict=True)
    ]
    shards, validation = clips[: len(run.shards.folders)], clips[len(run.shards.folders) :]
    if run.validation is not None:  # the folder itself, not one of its parts
        place, own = run.validation.given[0].resolve(), run.validation_folder
        validation = [replace(validation[0], path=own.name if place == own.resolve() else str(place))]  # it may move
    digest = run.identity["init"]
    names = ("vidaug-cli", "torch", "av", "h5py", "numpy", "safetensors")
    gpu = f" ({torch.cuda.get_device_name(world.device)})" if world.device.startswith("cuda") else ""
    return RunRecord(
        preset=preset,
        recipe=run.recipe.text if run.recipe else None,
        settings=asdict(run.settings),
        length=Length(
            clips=len(run.shards.dataset),
            batch=budget.batch,
            steps=budget.steps,
            epochs=budget.epochs,
            clips_seen=budget.clips_seen,
        ),
        hold_out=run.shards.hold_out,
        init=Weights(path=str(run.init and run.init.resolve()), sha256=digest) if digest else None,
        validation=validation[0] if validation else None,
        shards=tuple(shards),
        started=(
            Start(
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                command=command,
                epoch=len(parts.history),
                device=world.device + gpu,
                processes=world.size,
                threads=parts.threads,
                versions={"python": platform.python_version()} | {name: version(name) for name in names},
            ),
        ),
    )


def recorded_run(folder: Path, shards: Sequence[Path], given: Mapping[str, Any]) -> tuple[TrainingRun, RunRecord]:
    """Return the run in a folder as its `run.toml` has it, and what that says.

    Args:
        folder: of the run.
        shards: where its clips lie now; none: where they lay.
        given: settings in place of its own, such as more epochs.

    Raises VidaugError when the file or the clips are missing or damaged.
    """
    record, where = read_record(folder), folder / NAME
    settings = with_settings(parse(Settings, {"epochs": None} | record.settings, where=where), given)
    folders = [*shards] or [Path(clips.path) for clips in record.shards]
    if missing := next((each for each in folders if not each.exists()), None):
        hint = f"say where its clips lie now: vidaug train SHARDS --resume {folder}"
        raise MissingPathError("does not exist", where=missing, hint=hint)
    began = (folder / "last.safetensors").exists()  # then the weights to start from may be gone
    run = TrainingRun(
        folder=folder,
        settings=settings,
        shards=ShardFolders(folders, record.hold_out),
        validation=ShardFolders([folder / record.validation.path]) if record.validation else None,
        recipe=parse_recipe(record.recipe, str(where)) if record.recipe is not None else None,
        init=Path(record.init.path) if record.init and not began else None,
        init_sha256=record.init.sha256 if record.init else None,
    )
    return run, record
