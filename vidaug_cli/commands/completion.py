"""`vidaug completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

from typing import Literal

import click
from click.shell_completion import get_completion_class

from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command


@as_command
def command(shell: Literal["bash", "zsh", "fish"] = argument("bash|zsh|fish"), *, output: Output) -> None:
    """Print the script with which a shell completes words.

    It completes commands, options, and names of recipes, networks, presets and layouts.

    \b
    eval "$(vidaug completion bash)"                             in ~/.bashrc
    eval "$(vidaug completion zsh)"                              in ~/.zshrc
    vidaug completion fish > ~/.config/fish/completions/vidaug.fish
    """
    root = click.get_current_context().find_root()
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(root.command, {}, "vidaug", "_VIDAUG_COMPLETE").source()
    output.print({"shell": shell, "script": script}, script)
