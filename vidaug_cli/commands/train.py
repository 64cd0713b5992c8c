"""`vidaug train`: from shards to a trained SlowFast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import click

from vidaug_cli.commands.options import DEVICE, InputOptions, RecipeOptions, ReportOptions
from vidaug_cli.commands.signature import argument, as_command, option, out_option


@dataclass(frozen=True)
class SettingOptions:
    """Settings of the training in place of the preset's; None where one is not given."""

    network: str | None = option("Such as r18-small, r50-4x16, r101-8x8-original.", metavar="NAME")
    input: Literal["rgb", "diff", "rgb+diff", "slow-rgb-fast-diff"] | None = option(
        "What the network sees: frames, differences of frames, both.  [default: rgb, or as the weights of --init]",
        metavar="rgb|diff|rgb+diff|slow-rgb-fast-diff",
    )
    epochs: int | None = option("Passes over the shards.")
    batch_size: int | None = option("Clips in a step, over all processes.")
    accumulate: int | None = option("Parts to work a batch off in, to save memory.")
    optimizer: Literal["sgd", "adam", "adamw"] | None = option("SGD is with Nesterov's momentum.")
    lr: float | None = option("Learning rate at its highest: after the warm-up, before the cosine.")
    weight_decay: float | None = option("Of all weights; with AdamW apart from the gradient.")
    momentum: float | None = option("Of SGD.")
    warmup: float | None = option("Epochs in which the rate rises.")
    dropout: float | None = option("Before the last layer.")
    smoothing: float | None = option("Share of a label spread over all classes.")
    clip_norm: float | None = option("Cut gradients that are longer.")
    ema: float | None = option("Decay of an average of the weights, which is then tested and kept.")
    frames: int | None = option("Cut clips to this many frames, at a random place.")
    size: int | None = option("Cut clips to this many pixels, at a random place.")
    flip: float | None = option("Chance of a left-right flip, on top of those in the shards.")
    sync_bn: bool | None = option("Normalise over the clips of all processes.", default=None)
    amp: Literal["auto", "bf16", "off"] | None = option("bfloat16 where it is faster, or as told.")


@as_command
def command(
    shards: tuple[Path, ...] = argument("SHARDS..."),
    *,
    val: str | None = option("Clips or videos to test every epoch on.", metavar="SHARDS|VIDEOS"),
    out: Path = out_option("Folder of the run: checkpoints, metrics, curves.", example="run"),
    preset: str = option("Where settings start.", default="small", metavar="small|tiny|vipriors2020"),
    chosen: SettingOptions,
    recipe: RecipeOptions,
    init: Path | None = option("Weights to start from: a checkpoint, or a release."),
    seed: int | None = option("Of weights, order and draws.  [default: 0]", type=click.IntRange(0, 2**32 - 1)),
    choice: InputOptions,
    workers: int = option(
        "Processes that read clips.  [default: 1 on the CPU, up to 8 with a GPU]",
        "-j",
        type=click.IntRange(0),
        default=0,
    ),
    threads: int | None = option(
        "Threads that compute.  [default: one per core that a container or an affinity leaves; or as the run began]",
        type=click.IntRange(1, 4096),
    ),
    device: str = DEVICE,
    compile: bool = option("Compile the network first."),  # noqa: A002
    tensorboard: bool = option("Write metrics for TensorBoard, too."),
    overwrite: bool = option("Replace another run in the folder."),
    report: ReportOptions,
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
    from vidaug_cli.train.cores import CpuMonitor

    monitor = CpuMonitor()  # while torch is loaded

    from vidaug_cli.data.kinds import is_shards
    from vidaug_cli.device import explain_torch_errors, resolve_device
    from vidaug_cli.train.build import build, check_run
    from vidaug_cli.train.distributed import join_world
    from vidaug_cli.train.history import MetricsLog
    from vidaug_cli.train.loop import train
    from vidaug_cli.train.run import ShardFolders, TrainingRun, prepare_folder, render_validation
    from vidaug_cli.train.settings import preset_settings

    given = {name: value for name, value in {**vars(chosen), "seed": seed}.items() if value is not None}
    settings = preset_settings(preset, given)
    if recipe.set and not recipe.recipe:
        raise click.UsageError("--set changes a recipe: give one with --recipe.")
    videos = val is not None and not is_shards(Path(val))
    if not videos and choice.given:
        raise click.UsageError(f"input options such as {choice.given[0]} are for the videos of --val.")
    applied = recipe.load() if recipe.recipe else None
    with join_world(resolve_device(device)) as world, explain_torch_errors(out):
        report = replace(report, quiet=report.quiet or not world.is_first)
        if chosen.warmup is None and settings.warmup != (usual := preset_settings(preset, {}).warmup):
            what = f"--warmup {usual:g} of the preset {preset} would leave nothing of the run"
            report.note(f"{what}: {settings.warmup:g} is taken")
        run = TrainingRun(folder=out, settings=settings, shards=ShardFolders(shards), recipe=applied, init=init)
        log = MetricsLog(out, settings.epochs, tensorboard=tensorboard, say=report.note) if world.is_first else None
        if world.is_first:
            prepare_folder(out)
            new = overwrite or not run.last.exists()
            if new and threads is None and world.device == "cpu" and (advice := monitor.advice(world.default_threads)):
                report.note(advice)
            if val is not None and videos:
                check_run(run, world, overwrite=overwrite, validation_follows=True)
                rows, _ = choice.videos([val], report, seed=0, workers=0)
                done = render_validation(run, rows, where=val, overwrite=overwrite, progress=not report.quiet)
                report.note(done.text)
        world.barrier()
        if val is not None:
            run = replace(run, validation=ShardFolders([run.validation_folder if videos else Path(val)]))
        parts = build(
            run, world, workers=workers or world.default_workers, threads=threads, compiled=compile, overwrite=overwrite
        )
        history = train(parts, log=log, progress=not report.quiet)
        if world.is_first:
            report.print({"run": str(out), "epochs": len(history), **history[-1]})
