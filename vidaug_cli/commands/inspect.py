"""`vidaug inspect`: what is in an output folder."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidaug_cli.commands.options import json_option


@click.command()
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--recipe", "show_recipe", is_flag=True, help="Print the recipe that made the clips, and nothing else.")
@json_option
def command(folder: Path, show_recipe: bool, as_json: bool) -> None:
    """Say what is in OUT, a folder of shards or one shard: clips, classes, label mass, sizes, weights."""
    from vidaug_cli.inspection import summarise

    found = summarise(folder)
    if show_recipe:
        click.echo(found.recipe, nl=False)
    elif as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        click.echo(found.text)
