"""`vidaug explain`: what a recipe does, and what the code of an error means."""

from __future__ import annotations

import shlex
from json import dumps
from textwrap import fill

import click

from vidaug_cli.commands import names
from vidaug_cli.commands.output import Output, fitted
from vidaug_cli.commands.signature import argument, as_command, option


@as_command
def command(
    what: str = argument(
        "RECIPE|CODE|json",
        shell_complete=names.RECIPES,
    ),
    *,
    set: tuple[str, ...] = option("Change a key: augment.0.m=7, fademixup.beta=0.4.", metavar="KEY=VALUE"),  # noqa: A002
    output: Output,
) -> None:
    """Explain a recipe, the code of an error, or what --json prints.

    \b
    vidaug explain fademixup             or a file of your own
    vidaug explain VA012                 why it happens, and what to do
    vidaug explain json > schema.json    a JSON Schema of what each command prints
    """
    from vidaug_cli.explanations import code_in, explanations

    if what == "json":
        from vidaug_cli.commands.printed import schema

        output.print({"schema": schema()}, dumps(schema(), indent=1))
        return
    if known := explanations().get(code_in(what)):
        if set:
            raise click.UsageError("--set changes a recipe, and this is the code of an error: leave it out.")
        output.print(known.as_json(), known.text)
        return
    if code_in(what) and not what.isdecimal():
        from vidaug_cli.errors import UnknownNameError

        codes = explanations()
        raise UnknownNameError(f"no error has the code {what!r:.40}", hint=f"codes are {min(codes)} to {max(codes)}")
    from vidaug_cli.recipe.loading import load_recipe
    from vidaug_cli.recipe.prose import in_words

    recipe = load_recipe(what, overrides=set)
    drawn = shlex.join(["vidaug", "preview", "VIDEOS", "-r", what, *(word for key in set for word in ("--set", key))])
    drawn += " -o preview.png"
    words = in_words(recipe)
    found = {"recipe": recipe.name, "summary": recipe.summary, "words": words, "preview": drawn}
    lines = (
        fill(part, 79, subsequent_indent="  " * part.startswith("- "), break_long_words=False, break_on_hyphens=False)
        for part in words
    )
    output.print(found, *fitted([f"{recipe.name}: {recipe.summary}"]), "", *lines, "", "See it:", f"  {drawn}")
