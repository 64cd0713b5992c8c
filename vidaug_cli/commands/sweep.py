"""`vidaug sweep`: a grid of trainings, and which point of it is best."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from vidaug_cli.commands import names
from vidaug_cli.commands.options import DEVICE, InputOptions, RecipeOptions, processes
from vidaug_cli.commands.output import Output, terminal_width, without_dry_run
from vidaug_cli.commands.signature import argument, as_command, option, out_option, typed_line
from vidaug_cli.commands.train import SettingOptions


@as_command
def command(
    shards: tuple[str, ...] = argument("SHARDS..."),
    *,
    out: Path = out_option("Folder of the sweep: its runs, its table, the best recipe.", example="sweep"),
    grid: tuple[str, ...] = option(
        "A key and its values, from simple to strong: a key of the recipe, as --set takes it, or recipe, preset or a"
        " setting of the training; may be repeated.",
        metavar="KEY=VALUE,VALUE...",
    ),
    seeds: int = option("Runs of each configuration, each with another seed.", type=click.IntRange(1), default=1),
    splits: str | None = option("Splits to train on: each is put into SHARDS in place of {split}.", metavar="N,N..."),
    hold_out: float | None = option(
        "Share of the training videos to choose on, in whole groups.  [default: 0.25]", metavar="SHARE"
    ),
    folds: int = option("Hold out so many parts in turn.", type=click.IntRange(1), default=1),
    val: str = option("Choose on these clips or videos instead.", metavar="SHARDS|VIDEOS|none", default="none"),
    halving: bool = option("Successive halving: a small budget for all, more for the better ones."),
    eta: int = option("With --halving: 1/ETA go on, with ETA times the budget.", type=click.IntRange(2), default=2),
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
        "Random seed of the first run; --seeds count on from it.  [default: 0]", type=click.IntRange(0, 2**32 - 1)
    ),
    choice: InputOptions,
    workers: int = option(
        "Runs side by side.  [default: one per core on the CPU, 1 with a GPU]", "-j", type=click.IntRange(0), default=0
    ),
    threads: int | None = option(
        "Threads that compute, in each run.  [default: each its share of the cores; or as the sweep began]",
        type=click.IntRange(1, 4096),
    ),
    device: str = DEVICE,
    dry_run: bool = option("Only print the runs, and about how long they take."),
    overwrite: bool = option("Replace another sweep in the folder."),
    output: Output,
) -> None:
    """Train every point of a grid on SHARDS, and tell which is best.

    Each run is a folder as 'vidaug train' and 'predict' leave it, below SWEEP/runs. What is best is chosen on a part of
    the training videos, which the runs do not train on: never on test videos. The recipe is applied to each batch, so
    SHARDS are usually made with the recipe none. The same command again continues where it stopped. Writes table.txt,
    .csv and .json, and best.toml, a recipe for --recipe.

    \b
    vidaug sweep clean -r randaugment_t --grid randaugment_t.m=3,6,9 -o sweep
    vidaug sweep clean --grid recipe=none,mixup --grid lr=1e-3,3e-3 -o sweep
    vidaug sweep 'clips-{split}' --splits 1,2,3 --grid recipe=none,mixup -o sweep
    """
    from vidaug_cli.data.kinds import is_shards
    from vidaug_cli.device import resolve_device
    from vidaug_cli.sweep.estimate import estimate_seconds
    from vidaug_cli.sweep.grid import Base, parse_axis
    from vidaug_cli.sweep.plan import Sweep
    from vidaug_cli.sweep.result import result_of
    from vidaug_cli.sweep.run import render_clips, run_sweep, thread_share
    from vidaug_cli.sweep.state import begin, hold_folder
    from vidaug_cli.words import duration

    given = {name: value for name, value in {**vars(chosen), "seed": seed}.items() if value is not None}
    videos = val != "none" and not is_shards(Path(val))
    if val != "none" and hold_out is not None:
        raise click.UsageError("--hold-out and --val both say what to choose on: give one of them.")
    if not videos and (strange := [name for name in choice.given if name != "--root" or val != "none"]):
        raise click.UsageError(f"{strange[0]} is for the videos of --val: give --val VIDEOS, or leave it out.")
    rows = tuple(choice.videos([val], output, seed=0, workers=0)[0]) if videos else None
    sweep = Sweep(
        folder=out,
        shards=shards,
        axes=tuple(map(parse_axis, grid)),
        base=Base(preset, tuple(given.items()), recipe.recipe, recipe.set),
        seeds=seeds,
        splits=tuple(splits.split(",")) if splits else (),
        hold_out=0.25 if hold_out is None else hold_out,
        folds=folds,
        val=None if val == "none" or videos else Path(val),
        videos=rows,
        init=init,
        command=typed_line(click.get_current_context()),
        eta=eta if halving else None,
    )
    device = resolve_device(device)
    sweep.trainings  # noqa: B018 (what does not fit is known before hours of work)
    side_by_side = processes(workers or int(device != "cpu"), output)
    usual = thread_share(device, side_by_side)
    readers = min(8, usual) if device != "cpu" else 0  # on the CPU the networks need the cores
    if dry_run:
        seconds = estimate_seconds(
            sweep, workers=side_by_side, threads=threads or usual, device=device, readers=readers
        )
        names = [run.name for run in sweep.runs(0, sweep.configurations)]
        output.note(f"about {duration(seconds)} with {side_by_side} side by side, by a few steps on this machine")
        result = {"runs": names, "schedule": sweep.lines, "seconds": seconds}
        output.print(result, *names, *sweep.lines, next=without_dry_run())
        return
    with hold_folder(out, overwrite=overwrite):
        if sweep.val is None:
            for line in render_clips(sweep, root=choice.root, where=val, progress=not output.quiet):
                output.note(line)
        state = begin(sweep, threads, usual)
        output.note(*sweep.lines)
        standings = run_sweep(
            sweep,
            workers=side_by_side,
            threads=state.threads,
            device=device,
            readers=readers,
            say=output.note,
            progress=not output.quiet,
        )
        found = result_of(sweep, standings)
        found.write()
    output.note(*found.notes)
    next_words = shlex.split(found.next_command)[1:]
    output.print(found.as_json(), *found.lines(terminal_width()), str(out / "best.toml"), next=next_words)
