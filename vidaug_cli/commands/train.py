"""`vidaug train`: from shards to a trained SlowFast."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import note, show_progress

if TYPE_CHECKING:
    from vidaug_cli.train.run import Job

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

    SHARDS are folders written by 'vidaug augment', and RUN gets the checkpoints best.safetensors and last.safetensors,
    and the metrics. The same command again continues where it stopped. Settings that are not given are the preset's:
    'small' is for a few hundred clips on any machine, 'vipriors2020' the protocol of arXiv:2008.05721. A --recipe is
    applied to each batch on the device, usually to clips made with the recipe none. Input options are those of --val
    VIDEOS.

    \b
    vidaug train shards --val videos --subset test -o run
    vidaug train clean -r randaugment_t -r fademixup -o run
    torchrun --nproc-per-node 4 -m vidaug_cli train shards -o run
    """
    from vidaug_cli.train.cores import Watch

    watch = Watch()  # while torch is loaded

    from vidaug_cli.device import advising, resolve_device
    from vidaug_cli.recipe.loading import load_recipe
    from vidaug_cli.train.checks import check
    from vidaug_cli.train.distributed import processes
    from vidaug_cli.train.history import Log
    from vidaug_cli.train.loop import train
    from vidaug_cli.train.run import Job, Shards, is_shards, prepare
    from vidaug_cli.train.settings import Settings, preset_settings

    given = {name: kwargs.pop(name) for name in Settings.__dataclass_fields__}
    settings = preset_settings(preset, {name: value for name, value in given.items() if value is not None})
    names, overrides = kwargs.pop("recipe"), kwargs.pop("set")
    if overrides and not names:
        raise click.UsageError("--set changes a recipe: give one with --recipe.")
    videos = val is not None and not is_shards(Path(val))
    if not videos and (astray := options.given_inputs(kwargs)):
        raise click.UsageError(f"input options such as {astray[0]} are for the videos of --val.")
    recipe = load_recipe(*names, overrides=overrides) if names else None
    with processes(resolve_device(kwargs.pop("device"))) as here, advising(out):
        quiet = quiet or not here.first
        say = partial(note, quiet=quiet)
        workers, threads = kwargs.pop("workers") or here.reading_workers, kwargs.pop("threads")
        if given["warmup"] is None and settings.warmup != (usual := preset_settings(preset, {}).warmup):
            what = f"--warmup {usual:g} of the preset {preset} would leave nothing of the run"
            say(f"{what}: {settings.warmup:g} is taken")
        job = Job(run=out, settings=settings, shards=Shards.open(shards), recipe=recipe, init=init)
        log = Log(out, settings.epochs, tensorboard=tensorboard, say=say) if here.first else None
        if here.first:
            prepare(out)
            new = overwrite or not job.last.exists()
            if new and threads is None and here.device == "cpu" and (advice := watch.advice(here.threads)):
                say(advice)
            if val is not None and videos:
                check(job, here, overwrite=overwrite)
                _render(job, val, kwargs, overwrite=overwrite, quiet=quiet)
        here.wait()
        if val is not None:
            job = replace(job, validation=Shards.open([job.held_out if videos else Path(val)]))
        progress = show_progress(quiet)
        history = train(
            job,
            here,
            workers=workers,
            threads=threads,
            compiled=kwargs.pop("compile"),
            overwrite=overwrite,
            log=log,
            progress=progress,
        )
        if json and here.first:
            click.echo(dumps({"run": str(out), "epochs": len(history), **history[-1]}))


def _render(job: Job, videos: str, chosen: dict[str, Any], *, overwrite: bool, quiet: bool) -> None:
    """Clean clips of validation videos, once."""
    from vidaug_cli.train.validation import render_held_out
    from vidaug_cli.workers import worker_count

    rows, _ = options.videos([videos], chosen, seed=0, quiet=quiet)
    job.check_classes((row.label for row in rows if row.label is not None), videos)  # rendering may take hours
    done = render_held_out(
        rows, job.clip, job.held_out, workers=worker_count(0), overwrite=overwrite, progress=show_progress(quiet)
    )
    note(done.text, quiet=quiet)
