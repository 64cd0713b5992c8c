"""`vidaug recipes`: list, show, check."""

from __future__ import annotations

from typing import Any

import click

from vidaug_cli.commands.output import Output, fitted
from vidaug_cli.commands.signature import argument, with_options
from vidaug_cli.errors import RecipeError


class _Recipes(click.Group):
    """What is no name of a command is the name of a recipe."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or the one that says all of a recipe."""
        return super().get_command(ctx, cmd_name) or _about(cmd_name, ctx.default_map)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return a command, which is called NAME where it is about a recipe."""
        name, command, rest = super().resolve_command(ctx, args)
        return name if name in self.commands else "NAME", command, rest


@click.group(cls=_Recipes, invoke_without_command=True, subcommand_metavar="[NAME | COMMAND [ARGS]...]")
@with_options
def command(output: Output) -> None:
    """List the recipes that ship, with what was measured.

    With NAME, or a file of your own, all that is known of one.

    \b
    vidaug recipes randaugment_t                all that is known of it
    vidaug recipes show fademixup > mine.toml   then edit it
    vidaug recipes check mine.toml
    vidaug augment videos -o shards --recipe mine.toml
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from vidaug_cli.recipe.loading import shipped_recipes

    rows = [_row(name) for name in shipped_recipes()]
    width = max(len(row["name"]) for row in rows)
    lines = [f"{row['name']:{width}}  {_line(row)}{_in_brackets(_found(row))}" for row in rows]
    output.print({"recipes": rows}, *fitted(lines, width + 2), next=("explain", "fademixup"))


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


def _about(name: str, defaults: Any) -> click.Command:
    """Return the command that prints all that is known of one recipe, with the values that a file has for `recipes`."""
    settings = {"default_map": defaults}

    @click.command(
        name, context_settings=settings, help="Say on what a recipe was measured, when it hurts, and its ops."
    )
    @with_options
    def about(output: Output) -> None:
        from vidaug_cli.recipe.loading import load_recipe
        from vidaug_cli.recipe.notes import caution_notes

        recipe = load_recipe(name)
        row = _row(name) | {"recipe": recipe.text}
        lines = [f"{name}: {_line(row)}"]
        if measured := row["measured"]:
            lines.append(f"measured on {measured['on']}: {measured['found']}")
        lines += caution_notes(recipe.cautions, 0)
        output.print(row, *fitted(lines), "", recipe.text)

    return about


@command.command()
@with_options
def show(name: str = argument("NAME"), *, output: Output) -> None:
    """Print a recipe's TOML, to copy and edit."""
    from vidaug_cli.recipe.loading import read_recipe

    text = read_recipe(name)
    output.print({"name": name, "recipe": text}, text.removesuffix("\n"))


@command.command()
@with_options
def check(files: tuple[str, ...] = argument("FILE|NAME..."), *, output: Output) -> None:
    """Report every fault of recipes; exit 1 if there is one."""
    from vidaug_cli.recipe.loading import load_recipe

    good, faults = [], []
    for name in files:
        try:
            load_recipe(name)
        except RecipeError as error:
            output.lines(str(error))
            faults.append(str(error))
        else:
            output.note(f"{name}: good")
            good.append(name)
    output.print({"good": good, "faults": faults})
    if faults:
        raise SystemExit(1)
