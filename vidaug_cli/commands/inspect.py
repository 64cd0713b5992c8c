"""`vidaug inspect`: what is in an output folder."""

from __future__ import annotations

from json import dumps
from pathlib import Path

import click

from vidaug_cli.commands.options import json_option


@click.command()
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--recipe", is_flag=True, help="Print the recipe that made the clips, and nothing else.")
@json_option
def command(folder: Path, recipe: bool, json: bool) -> None:
    """Say what is in OUT: clips, classes, label mass, sizes, recipe.

    OUT is a folder of shards, or one shard.
    """
    from vidaug_cli.augment.inspect import summarise

    found = summarise(folder)
    if recipe:
        click.echo(found.recipe, nl=False)
    elif json:
        click.echo(dumps(found.as_json(), ensure_ascii=False))
    else:
        click.echo(found.text)
