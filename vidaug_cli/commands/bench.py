"""`vidaug bench`: what each stage costs on this machine, and which one limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import click

from vidaug_cli.commands import names, options
from vidaug_cli.commands.output import Output, terminal_width
from vidaug_cli.commands.signature import argument, as_command, option

PartName = Literal["read", "ops", "mix", "codec", "augment", "processes", "train"]
RECIPES = ("randaugment_t", "fademixup")
VIDEOS = 16  # as many as are made together
PER_CLASS = 3  # sample videos


@as_command
def command(
    inputs: tuple[str, ...] = argument("[INPUT...]", required=False),
    *,
    only: tuple[PartName, ...] = option("Measure only this part; may be repeated."),
    recipe: options.RecipeOptions,
    clip: options.ClipOptions,
    choice: options.InputOptions,
    seconds: float = option(
        "Seconds that each figure is measured for; 0.05 gives rough ones.",
        type=click.FloatRange(0.001, 3600),
        default=0.5,
    ),
    preset: str = option(
        "Settings of the training that is measured.",
        default="small",
        metavar="small|tiny|vipriors2020",
        shell_complete=names.PRESETS,
    ),
    workers: int = option(
        "Processes beside each other, and those that read for training.  [default: 2, or one per core with a GPU; as"
        " 'vidaug train']",
        "-j",
        type=click.IntRange(0),
        default=0,
    ),
    device: str = options.DEVICE,
    limits: options.LimitOptions,
    batch_size: int = option("Clips on the device at a time.", type=click.IntRange(1), default=4),
    disk: Path | None = option(
        "Write here, to measure this disk.  [default: the system's temporary folder]",
        type=options.FOLDER,
        metavar="DIR",
    ),
    output: Output,
) -> None:
    """Measure where the time goes on this machine.

    With the videos of INPUT, or with sample videos. Each stage is measured alone, after a warm-up and by turns with the
    others of its part: median, least and most, in milliseconds a clip, with CPU time beside the clock's. The last line
    says what limits, and which option changes it. Ctrl-C prints what is known by then. docs/performance.md explains the
    table.

    \b
    vidaug bench
    vidaug bench videos -r vipriors2020 --only read --only augment
    vidaug bench manifest.jsonl --device cuda --preset vipriors2020 -j 8 --json
    """
    from vidaug_cli.train.cores import CpuMonitor

    monitor = CpuMonitor()  # while torch is loaded

    import tempfile

    from vidaug_cli.augment.plan import Plan
    from vidaug_cli.bench.parts import PARTS
    from vidaug_cli.bench.result import Result
    from vidaug_cli.bench.setting import Setting, labelled
    from vidaug_cli.bench.verdict import CUTS
    from vidaug_cli.recipe.loading import load_recipe
    from vidaug_cli.train.settings import preset_settings
    from vidaug_cli.workers import Progress, worker_count

    engine = limits.engine(device, batch_size)
    chosen = recipe.load() if recipe.recipe else load_recipe(*RECIPES, overrides=recipe.set)
    plan = Plan(rows=(), recipe=chosen, spec=clip.spec(), copies=CUTS, copies_per_round=CUTS)
    preset_settings(preset, {})  # what is wrong is known before minutes of measuring
    with tempfile.TemporaryDirectory(dir=disk, prefix="vidaug-bench-") as temporary:
        folder = Path(temporary)
        choice = replace(choice, limit=choice.limit or VIDEOS)
        rows, _ = choice.videos(inputs or [_samples(folder / "videos", output)], output, seed=0, workers=0)
        setting = Setting(
            plan=replace(plan, rows=labelled(rows)),
            engine=engine,
            folder=folder,
            seconds=seconds,
            processes=workers or (2 if engine.kind == "cpu" else worker_count(0)),
            preset=preset,
            readers=workers,
        )
        free, parts = monitor.free_cores(), only or get_args(PartName)
        try:
            with Progress(len(parts), "part", "bench", show=not output.quiet) as bar:
                for part in parts:
                    bar.set_postfix_str(PARTS[part].what)
                    PARTS[part].measure(setting)
                    bar.update()
        finally:  # also what is known when it is interrupted, or a part cannot be measured
            if setting.figures:
                result = Result.of(setting, free)
                output.note(*result.notes)
                output.print(result.as_json(), *result.lines(terminal_width()))


def _samples(folder: Path, output: Output) -> str:
    """Return the folder with sample videos in it."""
    from vidaug_cli.data.synthetic import MOTIONS, write_synthetic
    from vidaug_cli.workers import track

    total = PER_CLASS * len(MOTIONS)
    for _ in track(write_synthetic(folder, PER_CLASS), total, "video", "sample", show=not output.quiet):
        pass
    return str(folder)
