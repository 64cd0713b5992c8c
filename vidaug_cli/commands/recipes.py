"""`vidaug recipes`: list, show, check."""

from __future__ import annotations

import click

from vidaug_cli.commands.options import JsonOption, note
from vidaug_cli.commands.signature import with_options


@click.group(invoke_without_command=True)
@with_options
def command(output: JsonOption) -> None:
    """List the recipes that ship, with their summary and reference.

    \b
    vidaug recipes show fademixup > mine.toml      then edit it
    vidaug recipes check mine.toml
    vidaug augment videos -o shards --recipe mine.toml
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    import tomllib

    from vidaug_cli.recipe.loading import read_recipe, shipped_recipes

    tables = {name: tomllib.loads(read_recipe(name)) for name in shipped_recipes()}
    keys, width = ("summary", "reference"), max(map(len, tables))
    rows = [{"name": name, **{key: table.get(key, "") for key in keys}} for name, table in tables.items()]
    lines = [f"{row['name']:{width}}  {row['summary']}  [{row['reference']}]".removesuffix("  []") for row in rows]
    output.print(rows, *lines, indent=2)


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a recipe's TOML, to copy and edit."""
    from vidaug_cli.recipe.loading import read_recipe

    click.echo(read_recipe(name), nl=False)


@command.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE|NAME...")
def check(files: tuple[str, ...]) -> None:
    """Report every fault of recipes; exit 1 if there is one."""
    from vidaug_cli.errors import RecipeError
    from vidaug_cli.recipe.loading import load_recipe

    faulty = 0
    for name in files:
        try:
            load_recipe(name)
        except RecipeError as error:
            click.echo(str(error))
            faulty += 1
        else:
            note(f"{name}: good")
    if faulty:
        raise SystemExit(1)
