"""`vidaug inspect`: what is in an output folder."""

from __future__ import annotations

from pathlib import Path

import click

from vidaug_cli.commands.options import JsonOption
from vidaug_cli.commands.signature import argument, as_command, option


@as_command
def command(
    folder: Path = argument("OUT"),
    *,
    recipe: bool = option("Print the recipe that made the clips, and nothing else."),
    output: JsonOption,
) -> None:
    """Say what is in OUT: clips, classes, label mass, sizes, recipe.

    OUT is a folder of shards, or one shard.
    """
    from vidaug_cli.augment.inspect import summarise

    summary = summarise(folder)
    if recipe:
        click.echo(summary.recipe, nl=False)
    else:
        output.print(summary, summary.text)
