"""What a command says: its result on stdout, as lines or as JSON in one envelope, and all else on stderr."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from json import dumps

import click

from vidaug_cli.commands.signature import option
from vidaug_cli.schema import plain
from vidaug_cli.words import readable, wrapped


@dataclass(frozen=True)
class Output:
    """What is said, and how the result is printed."""

    quiet: bool = option("Print no progress and no notes, only an error.", "-q")
    json: bool = option("Print the result as one line of JSON; 'vidaug explain json' says what is in it.")

    def note(self, *messages: str) -> None:
        """Say something to a person, on stderr, each message on a line of its own."""
        for message in () if self.quiet else messages:
            click.echo(readable(message), err=True)

    def lines(self, *lines: str) -> None:
        """Print a part of the result for a person, as soon as it is known."""
        for line in () if self.json else lines:
            click.echo(line)

    def print(self, result: object, *lines: str, next: Sequence[object] = ()) -> None:  # noqa: A002
        """Print the result: with --json the envelope with it, without it these lines. Call it once.

        Args:
            result: a mapping, or a dataclass; `commands.printed` has its keys.
            lines: the result for a person, or the rest of it.
            next: words of a command that makes sense after this one, such as `("verify", out)`; a person reads it on
                stderr, but not that of a command which another one runs.
        """
        context = click.get_current_context()
        following = shlex.join(["vidaug", *map(str, next)]) if next else None
        if self.json:
            click.echo(envelope(context.command_path.partition(" ")[2], {"result": result, "next": following}))
        self.lines(*lines)
        if following and context.find_root() is context.parent:
            self.note(f"next: {following}")


def without_dry_run() -> list[str]:
    """Return the words of this command but for --dry-run: what makes sense after it."""
    return [word for word in sys.argv[1:] if word != "--dry-run"]


def terminal_width() -> int:
    """Return how wide the terminal on stdout is, or COLUMNS says; 0 for a pipe, where nothing says it."""
    from shutil import get_terminal_size  # slow

    return get_terminal_size((0, 0)).columns


def fitted(lines: Iterable[str], indent: int = 2) -> list[str]:
    """Return lines cut between words to what the terminal is wide, each with its rest indented below it."""
    width = terminal_width()
    return [part for line in lines for part in wrapped(line, width, indent)]


def envelope(command: str, parts: Mapping[str, object]) -> str:
    """Return what --json prints: this version, the command, and its `result` and what is `next`, or an `error`."""
    from importlib.metadata import version  # slow

    return dumps({"vidaug": version("vidaug-cli"), "command": command} | plain(parts), ensure_ascii=False)
