"""`vidaug train`: from shards to a trained SlowFast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from vidaug_cli.commands import names
from vidaug_cli.commands.options import DEVICE, InputOptions, RecipeOptions, parse_stride
from vidaug_cli.commands.output import Output, fitted, without_dry_run
from vidaug_cli.commands.signature import argument, as_command, given_options, option, out_option, typed_line

if TYPE_CHECKING:
    from vidaug_cli.data.manifest import Row


@dataclass(frozen=True)
class SettingOptions:
    """Settings of the training in place of the preset's; None where one is not given."""

    network: str | None = option(
        "Architecture, such as r18-small, r50-4x16, r101-8x8-original.",
        metavar="NAME",
        shell_complete=names.NETWORKS,
    )
    input: Literal["rgb", "diff", "rgb+diff", "slow-rgb-fast-diff"] | None = option(
        "What the network sees: frames, differences of frames, both.  [default: rgb, or as the weights of --init]",
        metavar="rgb|diff|rgb+diff|slow-rgb-fast-diff",
    )
    clips_seen: int | None = option("Clips to train on in all, over as many passes as that takes.", metavar="N")
    epochs: int | None = option("Passes over the shards, in place of --clips-seen.")
    batch_size: int | None = option("Clips in a step, over all processes.")
    accumulate: int | None = option("Parts to work a batch off in, to save memory.")
    optimizer: Literal["sgd", "adam", "adamw"] | None = option("Optimizer; sgd has Nesterov's momentum.")
    lr: float | None = option("Learning rate at its highest: after the warm-up, before the cosine.")
    weight_decay: float | None = option("Weight decay, of all weights; with adamw apart from the gradient.")
    momentum: float | None = option("Momentum (SGD only).")
    warmup: float | None = option("Epochs in which the rate rises.  [default: a tenth of them]")
    dropout: float | None = option("Dropout before the last layer.")
    smoothing: float | None = option("Label smoothing: share of a label that is spread over all classes.")
    clip_norm: float | None = option("Cut gradients that are longer than this.")
    ema: float | None = option("Decay of an average of the weights, which is then tested and kept.")
    frames: int | None = option("Cut clips to this many frames, at a random place.")
    stride: float | tuple[float, float] | None = option(
        "Take every N-th frame of a clip for these --frames. Of a range, a number is drawn for each clip.",
        type=parse_stride,
        metavar="N|LOW-HIGH",
    )
    size: int | None = option("Cut clips to this many pixels, at a random place.")
    flip: float | None = option("Chance of a left-right flip, on top of those in the shards.")
    sync_bn: bool | None = option("Normalise over the clips of all processes.", default=None)
    amp: Literal["auto", "bf16", "off"] | None = option(
        "Precision: bfloat16 where it is faster (auto) or always (bf16), or float32 (off)."
    )


@as_command
def command(
    shards: tuple[Path, ...] = argument("[SHARDS...]", required=False),
    *,
    resume: Path | None = option(
        "Go on with a run as its run.toml has it, with more --epochs or --clips-seen if those are given.", metavar="RUN"
    ),
    hold_out: float | None = option(
        "Test every epoch on this part of the videos in SHARDS, in whole groups, and train without them: 0.2.",
        metavar="SHARE",
    ),
    fold: int | None = option("Which part is held out.  [default: 0]", type=click.IntRange(0), metavar="K"),
    val: str | None = option("Test every epoch on these clips or videos instead.", metavar="SHARDS|VIDEOS"),
    out: Path | None = out_option(
        "Folder of the run: checkpoints, metrics, curves.  [required without --resume]", example="run", required=False
    ),
    preset: str = option(
        "Settings to start from.",
        default="small",
        metavar="small|tiny|vipriors2020",
        shell_complete=names.PRESETS,
    ),
    chosen: SettingOptions,
    recipe: RecipeOptions,
    init: Path | None = option("Weights to start from: a checkpoint, or a release of PySlowFast or MMAction2."),
    seed: int | None = option(
        "Random seed of weights, order and draws.  [default: 0]", type=click.IntRange(0, 2**32 - 1)
    ),
    choice: InputOptions,
    workers: int = option(
        "Processes that read clips.  [default: 1 on the CPU, up to 8 with a GPU]",
        "-j",
        type=click.IntRange(0),
        default=0,
    ),
    threads: int | None = option(
        "Threads that compute.  [default: one per core that this process may use; or as the run began]",
        type=click.IntRange(1, 4096),
    ),
    device: str = DEVICE,
    compile: bool = option("Compile the network first: a slow start, and faster steps."),  # noqa: A002
    tensorboard: bool = option("Write metrics for TensorBoard, too."),
    overwrite: bool = option("Replace another run in the folder."),
    dry_run: bool = option("Take a few steps, say how long all take and in how much memory, and write nothing."),
    output: Output,
) -> None:
    """Fit SlowFast to the clips in SHARDS.

    SHARDS are folders written by 'vidaug augment', and RUN gets the checkpoints best.safetensors and last.safetensors,
    and the metrics. The same command again continues where it stopped, and so does --resume RUN. Settings that are not
    given are the preset's: 'small' is for a few hundred videos on any machine, 'tiny' for trials with clips of 48
    pixels, 'vipriors2020' the protocol of arXiv:2008.05721. Where classes are movements, --input diff is worth a trial
    first. A --recipe is applied to each batch on the device, usually to clips made with the recipe none.

    The best epoch is the one that does best on the videos of --hold-out or --val. Do not give --val those that you will
    test on: the accuracy there would be that of a network chosen on them. Input options are those of --val VIDEOS;
    --root also says where the videos of --hold-out lie now.

    \b
    vidaug train shards --hold-out 0.2 -o run
    vidaug train --resume run --clips-seen 33600
    vidaug train clean -r randaugment_t -r fademixup -o run
    torchrun --nproc-per-node 4 -m vidaug_cli train shards -o run
    """
    from vidaug_cli.train.cores import CpuMonitor

    monitor = CpuMonitor()  # while torch is loaded

    from vidaug_cli.data.holdout import HoldOut
    from vidaug_cli.data.kinds import is_shards
    from vidaug_cli.device import explain_torch_errors, resolve_device
    from vidaug_cli.train.distributed import join_world
    from vidaug_cli.train.estimate import estimate_run
    from vidaug_cli.train.job import recorded_run, train_run
    from vidaug_cli.train.run import ShardFolders, TrainingRun, held_videos
    from vidaug_cli.train.settings import LENGTH, preset_settings

    context = click.get_current_context()
    given = {name: value for name, value in {**vars(chosen), "seed": seed}.items() if value is not None}
    videos = val is not None and not is_shards(Path(val))
    _check_usage(context, None if videos else choice)
    folder = resume or out or Path()
    if resume:  # what a variable or a file says is for new runs
        given = {name: given[name] for name in LENGTH if name in given_options(context)}
        overwrite, preset, recipe, val = False, "small", RecipeOptions((), ()), None
    settings = preset_settings(preset, given)
    applied = recipe.load() if recipe.recipe else None
    with join_world(resolve_device(device)) as world, explain_torch_errors(folder):
        output = replace(output, quiet=output.quiet or not world.is_first)
        find = None  # the videos to test on, which are yet to be rendered
        if resume:
            run, record = recorded_run(resume, shards, given)
            preset = record.preset
        else:
            clips = ShardFolders(shards, None if hold_out is None else HoldOut(hold_out, fold or 0))
            run = TrainingRun(folder=folder, settings=settings, shards=clips, recipe=applied, init=init)
            if hold_out is not None:
                find = partial(held_videos, run, choice.root)
            elif val is not None and videos:
                find = partial(_videos, choice, val, output, cache=not dry_run)
            elif val is not None:
                run = replace(run, validation=ShardFolders([Path(val)]))
        new = overwrite or not run.last.exists()
        if new and threads is None and world.device == "cpu" and (advice := monitor.advice(world.default_threads)):
            output.note(advice)
        how: Any = {
            "preset": preset,
            "videos": find,
            "where": val,
            "workers": workers or None,
            "threads": threads,
            "compiled": compile,
            "overwrite": overwrite,
            "extend": resume is not None,
            "say": output.note,
        }
        if dry_run:
            expected = estimate_run(run, world, **how)
            output.print(expected, *fitted(expected.lines), next=without_dry_run())
            return
        history = train_run(
            run, world, command=typed_line(context), tensorboard=tensorboard, progress=not output.quiet, **how
        )
        if world.is_first:
            following = ("predict", folder, "VIDEOS", "-o", folder / "scores.h5")
            result = {"run": folder, "epochs": len(history), "metrics": history[-1]}
            output.print(result, next=following)


# Options that go with --resume: how long the run is, and what changes no weight.
_RESUMED = (
    *("resume", "epochs", "clips_seen"),
    *("workers", "threads", "device", "compile", "tensorboard", "dry_run", "json", "quiet"),
)


def _check_usage(context: click.Context, choice: InputOptions | None) -> None:
    """Raise click.UsageError where options do not go together; `choice` is that of videos, where none are asked for."""
    values = {name: value for name, value in context.params.items() if value not in (None, ())}
    if "resume" in values:
        typed = given_options(context)
        if other := [flag for name, flag in typed.items() if name not in _RESUMED]:
            raise click.UsageError(f"{other[0]} does not go with --resume, which takes it from the run: leave it out.")
        values = {name: value for name, value in values.items() if name in typed}
    else:
        for name, what in (("shards", "argument 'SHARDS...'"), ("out", "option '-o' / '--out'")):
            if name not in values:
                raise click.UsageError(f"Missing {what}.")
    for one, two, what in (("epochs", "clips_seen", "how long to train"), ("hold_out", "val", "what to test on")):
        if one in values and two in values:
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in (one, two))
            raise click.UsageError(f"{flags} both say {what}: give one of them.")
    if "fold" in values and "hold_out" not in values:
        raise click.UsageError("--fold is a part that --hold-out leaves out: give that too.")
    if "set" in values and "recipe" not in values:
        raise click.UsageError("--set changes a recipe: give one with --recipe.")
    strange = [name for name in choice.given if name != "--root" or "hold_out" not in values] if choice else []
    if strange:
        raise click.UsageError(f"{strange[0]} is for the videos of --val: give --val VIDEOS, or leave it out.")


def _videos(choice: InputOptions, val: str, output: Output, *, cache: bool) -> list[Row]:
    return choice.videos([val], output, seed=0, workers=0, cache=cache)[0]
