"""`vidaug train`: from shards to a trained SlowFast."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from json import dumps
from pathlib import Path
from typing import Any

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import note, show_progress

setting_options = options.group(
    click.option("--network", metavar="NAME", help="Such as r18-small, r50-4x16, r101-8x8-original."),
    click.option("--epochs", type=int, help="Passes over the shards."),
    click.option("--batch-size", type=int, help="Clips in a step, over all processes."),
    click.option("--accumulate", type=int, help="Parts to work a batch off in, to save memory."),
    click.option("--optimizer", type=click.Choice(["sgd", "adam", "adamw"]), help="SGD is with Nesterov's momentum."),
    click.option("--lr", type=float, help="Learning rate at its highest: after the warm-up, before the cosine."),
    click.option("--weight-decay", type=float, help="Of all weights; with AdamW apart from the gradient."),
    click.option("--momentum", type=float, help="Of SGD."),
    click.option("--warmup", type=float, help="Epochs in which the rate rises."),
    click.option("--dropout", type=float, help="Before the last layer."),
    click.option("--smoothing", type=float, help="Share of a label spread over all classes."),
    click.option("--clip-norm", type=float, help="Cut gradients that are longer."),
    click.option("--ema", type=float, help="Decay of an average of the weights, which is then tested and kept."),
    click.option("--frames", type=int, help="Cut clips to this many frames, at a random place."),
    click.option("--size", type=int, help="Cut clips to this many pixels, at a random place."),
    click.option("--flip", type=float, help="Chance of a left-right flip, on top of those in the shards."),
    click.option("--sync-bn", is_flag=True, default=None, help="Normalise over the clips of all processes."),
    click.option("--amp", type=click.Choice(["auto", "bf16", "off"]), help="bfloat16 where it is faster, or as told."),
)


@click.command()
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--val", metavar="SHARDS|VIDEOS", help="Clips or videos to test every epoch on.")
@options.out_option("Folder of the run: checkpoints, metrics, curves.", example="run")
@click.option(
    "--preset", default="small", show_default=True, metavar="small|vipriors2020", help="Where settings start."
)
@setting_options
@options.recipe_option
@options.set_option
@click.option("--init", type=click.Path(path_type=Path), help="Weights to start from: a checkpoint, or a release.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of weights, order and draws.  [default: 0]")
@options.input_options
@click.option(
    "-j",
    "--workers",
    type=click.IntRange(0),
    default=0,
    help="Processes that read clips.  [default: 1 on the CPU, up to 8 with a GPU]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 4096),
    help="Threads that compute.  [default: one per core that a container or an affinity leaves; or as the run began]",
)
@options.device_option
@click.option("--compile", is_flag=True, help="Compile the network first.")
@click.option("--tensorboard", is_flag=True, help="Write metrics for TensorBoard, too.")
@click.option("--overwrite", is_flag=True, help="Replace another run in the folder.")
@options.json_option
@options.quiet_option
def command(
    shards: tuple[Path, ...],
    val: str | None,
    out: Path,
    preset: str,
    init: Path | None,
    tensorboard: bool,
    overwrite: bool,
    json: bool,
    quiet: bool,
    **kwargs: Any,
) -> None:
    """Fit SlowFast to the clips in SHARDS.

    SHARDS are folders written by 'vidaug augment', and RUN gets the checkpoints best.pt and last.pt, and the metrics.
    The same command again continues where it stopped. Settings that are not given are the preset's: 'small' is for a
    few hundred clips on any machine, 'vipriors2020' the protocol of arXiv:2008.05721. A --recipe is applied to each
    batch on the device, usually to clips made with the recipe none. Input options are those of --val VIDEOS.

    \b
    vidaug train shards --val videos --subset test -o run
    vidaug train clean -r randaugment_t -r fademixup -o run
    torchrun --nproc-per-node 4 -m vidaug_cli train shards -o run
    """
    from vidaug_cli.train.cores import CpuMonitor

    monitor = CpuMonitor()  # while torch is loaded

    from vidaug_cli.device import explain_torch_errors, resolve_device
    from vidaug_cli.recipe.loading import load_recipe
    from vidaug_cli.train.build import build
    from vidaug_cli.train.checks import check_run
    from vidaug_cli.train.distributed import join_world
    from vidaug_cli.train.history import MetricsLog
    from vidaug_cli.train.loop import train
    from vidaug_cli.train.run import ShardFolders, TrainingRun, is_shards, prepare_folder
    from vidaug_cli.train.settings import Settings, preset_settings
    from vidaug_cli.train.validation import render_validation

    given = {name: kwargs.pop(name) for name in Settings.__dataclass_fields__}
    settings = preset_settings(preset, {name: value for name, value in given.items() if value is not None})
    names, overrides = kwargs.pop("recipe"), kwargs.pop("set")
    if overrides and not names:
        raise click.UsageError("--set changes a recipe: give one with --recipe.")
    videos = val is not None and not is_shards(Path(val))
    if not videos and (astray := options.given_inputs(kwargs)):
        raise click.UsageError(f"input options such as {astray[0]} are for the videos of --val.")
    recipe = load_recipe(*names, overrides=overrides) if names else None
    with join_world(resolve_device(kwargs.pop("device"))) as world, explain_torch_errors(out):
        quiet = quiet or not world.is_first
        say, progress = partial(note, quiet=quiet), show_progress(quiet)
        workers, threads = kwargs.pop("workers") or world.default_workers, kwargs.pop("threads")
        if given["warmup"] is None and settings.warmup != (usual := preset_settings(preset, {}).warmup):
            what = f"--warmup {usual:g} of the preset {preset} would leave nothing of the run"
            say(f"{what}: {settings.warmup:g} is taken")
        run = TrainingRun(folder=out, settings=settings, shards=ShardFolders.open(shards), recipe=recipe, init=init)
        log = MetricsLog(out, settings.epochs, tensorboard=tensorboard, say=say) if world.is_first else None
        if world.is_first:
            prepare_folder(out)
            new = overwrite or not run.last.exists()
            if new and threads is None and world.device == "cpu" and (advice := monitor.advice(world.default_threads)):
                say(advice)
            if val is not None and videos:
                check_run(run, world, overwrite=overwrite, validation_follows=True)
                rows, _ = options.videos([val], kwargs, seed=0, quiet=quiet)
                say(render_validation(run, rows, where=val, overwrite=overwrite, progress=progress).text)
        world.barrier()
        if val is not None:
            folder = run.validation_folder if videos else Path(val)
            run = replace(run, validation=ShardFolders.open([folder]))
        parts = build(run, world, workers=workers, threads=threads, compiled=kwargs.pop("compile"), overwrite=overwrite)
        history = train(parts, log=log, progress=progress)
        if json and world.is_first:
            click.echo(dumps({"run": str(out), "epochs": len(history), **history[-1]}))
