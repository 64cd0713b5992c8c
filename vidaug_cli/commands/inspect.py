"""`vidaug inspect`: what is in an output folder, or what a run is."""

from __future__ import annotations

from pathlib import Path

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.output import Output, fitted
from vidaug_cli.commands.signature import OutPath, argument, as_command, option
from vidaug_cli.errors import SettingError
from vidaug_cli.words import printable


@as_command
def command(
    folder: Path = argument("OUT|RUN"),
    *,
    among: Path | None = options.AMONG,
    recipe: bool = option("Print the recipe that made the clips, and nothing else."),
    out: Path | None = option(
        "Draw the clips of each class, by their labels: FILE.png, .pdf or .svg.",
        "-o",
        type=OutPath("classes.png"),
        metavar="FILE",
    ),
    output: Output,
) -> None:
    """Say what is in OUT: clips of each class, sizes, recipe.

    OUT is a folder of shards, or one shard. Of RUN, a folder of 'vidaug train', it says how far it has come, its best
    epoch, its settings, and the commands that made it.
    """
    from vidaug_cli.augment.inspect import summarise
    from vidaug_cli.data.kinds import Kind, kind_of
    from vidaug_cli.data.manifest import read_manifest
    from vidaug_cli.draw.plots import check_suffix, class_balance
    from vidaug_cli.train.record import summarise_run
    from vidaug_cli.words import count

    run = kind_of(folder) is Kind.RUN
    if run and (among or out):
        given = "--among" if among else "--out"
        raise click.UsageError(f"{printable(str(folder))} is a run: {given} goes with a folder of shards.")
    if recipe and output.json:
        raise click.UsageError("--recipe prints TOML, and --json has it among the rest: give one of them.")
    if out:
        check_suffix(out)
    videos = read_manifest(among) if among else None
    shards = None if run else summarise(folder, videos)
    summary = shards or summarise_run(folder)
    if shards and out:
        title = f"{folder.absolute().name}: {count(shards.clips, 'clip')} of {count(len(shards.label_mass), 'class')}"
        class_balance(shards.label_mass, title, out)
        output.note(f"wrote {out}")
    if recipe:
        if summary.recipe is None:
            raise SettingError("applies no recipe: its shards say by which they were made", where=folder)
        click.echo(summary.recipe, nl=False)
        return
    of_run = ("predict", folder, "VIDEOS", "-o", folder / "scores.h5")
    of_shards = ("train", folder, "--hold-out", 0.2, "-o", "run")
    lines = summary.text.splitlines()  # of which tables and TOML are indented, and stay as they are
    told = (part for line in lines for part in ([line] if line[:1] == " " else fitted([line])))
    output.print(summary, *told, next=of_run if run else of_shards)
