"""`vidaug recipes`: list, show, check."""

from __future__ import annotations

from typing import Any

import click

from vidaug_cli.commands.options import JsonOption, note
from vidaug_cli.commands.signature import with_options
from vidaug_cli.errors import RecipeError


class _Recipes(click.Group):
    """What is no name of a command is the name of a recipe."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or the one that says all of a recipe."""
        return super().get_command(ctx, cmd_name) or _about(cmd_name)


@click.group(cls=_Recipes, invoke_without_command=True, subcommand_metavar="[NAME | COMMAND [ARGS]...]")
@with_options
def command(output: JsonOption) -> None:
    """List the recipes that ship, with what was measured.

    With NAME, or a file of your own, all that is known of one.

    \b
    vidaug recipes randaugment_t                   on what it was measured, when it hurts, its ops
    vidaug recipes show fademixup > mine.toml      then edit it
    vidaug recipes check mine.toml
    vidaug augment videos -o shards --recipe mine.toml
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from vidaug_cli.recipe.loading import shipped_recipes

    rows = [_row(name) for name in shipped_recipes()]
    width = max(len(row["name"]) for row in rows)
    lines = [f"{row['name']:{width}}  {_line(row)}{_in_brackets(_found(row))}" for row in rows]
    output.print(rows, *lines, indent=2)


def _row(name: str) -> dict[str, Any]:
    """Return what the texts of a recipe say."""
    import tomllib

    from vidaug_cli.recipe.loading import read_recipe

    table = tomllib.loads(read_recipe(name))
    texts = {"name": name, "summary": table.get("summary", ""), "reference": table.get("reference", "")}
    return texts | {key: table.get(key) for key in ("measured", "caution")}


def _line(row: dict[str, Any]) -> str:
    return str(row["summary"]) + _in_brackets(row["reference"])


def _found(row: dict[str, Any]) -> str:
    return f"measured: {row['measured']['found']}" if row["measured"] else ""


def _in_brackets(text: str) -> str:
    return f"  [{text}]" if text else ""


def _about(name: str) -> click.Command:
    """Return the command that prints all that is known of one recipe."""

    @click.command(name, help="Say on what a recipe was measured, when it hurts, and its ops.")
    @with_options
    def about(output: JsonOption) -> None:
        from vidaug_cli.recipe.loading import load_recipe
        from vidaug_cli.recipe.notes import caution_notes

        recipe = load_recipe(name)
        row = _row(name) | {"recipe": recipe.text}
        lines = [f"{name}: {_line(row)}"]
        if measured := row["measured"]:
            lines.append(f"measured on {measured['on']}: {measured['found']}")
        lines += [*caution_notes(recipe.cautions, 0), "", recipe.text]
        output.print(row, *lines, indent=2)

    return about


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
