"""Names that a shell completes: of recipes, networks, presets, layouts and commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completing(names: Callable[[], Iterable[str]], *, files: bool = False) -> Complete:
    """Return what completes a word by these names; with `files`, by files where no name begins like it."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in names() if name.startswith(incomplete)]
        return found or ([CompletionItem(incomplete, type="file")] if files else [])

    return complete


def _recipes() -> Iterable[str]:
    from vidaug_cli.recipe.loading import shipped_recipes

    return shipped_recipes()


def _networks() -> Iterable[str]:
    from vidaug_cli.train.slowfast import ARCHITECTURES

    return ARCHITECTURES


def _presets() -> Iterable[str]:
    from vidaug_cli.train.settings import PRESETS

    return PRESETS


def _layouts() -> Iterable[str]:
    from vidaug_cli.data.listing.layouts import LAYOUTS

    return LAYOUTS


RECIPES = _completing(_recipes, files=True)
NETWORKS = _completing(_networks)
PRESETS = _completing(_presets)
LAYOUTS = _completing(_layouts)


def commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a word by the names of commands."""
    group = ctx.find_root().command
    return _completing(lambda: group.commands if isinstance(group, click.Group) else ())(ctx, param, incomplete)
