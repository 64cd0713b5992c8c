"""`vidaug config`: options from a file, and which value comes from where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

import click
from click.types import FuncParamType

from vidaug_cli.commands import names
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, default, key, origin, table, with_options, yielded
from vidaug_cli.errors import UnknownNameError
from vidaug_cli.words import nearest, printable, shown

COMMAND = argument("[COMMAND]", required=False, shell_complete=names.commands)
OPEN = "..."  # in place of a value that is not set


class Setting(NamedTuple):
    """An option of a command, and its value when nothing is typed."""

    param: click.Option
    value: Any  # as TOML has it; None: not set
    origin: str  # a variable or a key of the file; empty: the default

    @property
    def line(self) -> str:
        """It in TOML; a comment where there is no value."""
        return f"#{key(self.param)} = {OPEN}" if self.value is None else f"{key(self.param)} = {_toml(self.value)}"

    @property
    def source(self) -> str:
        """Where the value is from."""
        return self.origin or ("required" if self.param.required else "default")


@click.group(invoke_without_command=True)
@with_options
def command(output: Output) -> None:
    """Give options in a file, and see which value is from where.

    FILE is TOML with a table for each command; its keys are the options as they are typed, without the --, and flags
    are true or false. What is typed wins over the environment, that over FILE, and FILE over the defaults. No file is
    read unless --config or the variable VIDAUG_CONFIG names it.

    \b
    vidaug config template augment > vidaug.toml       then edit it
    vidaug --config vidaug.toml augment videos
    vidaug --config vidaug.toml config                 what is no default
    vidaug --config vidaug.toml config show augment    all options of one
    """
    if click.get_current_context().invoked_subcommand is None:
        _print(None, output)


@command.command()
@with_options
def show(name: str | None = COMMAND, *, output: Output) -> None:
    """Print all options of COMMAND, and where each is from.

    Without COMMAND those of all commands that are not at their defaults. It is TOML, and can be a file for --config.
    """
    _print(name, output)


def _print(name: str | None, output: Output) -> None:
    rows = []
    lines: list[str] = []
    for context in _contexts(name):
        if settings := [each for each in _settings(context) if each.origin or name]:
            of, width = table(context), max(len(each.line) for each in settings)
            lines += [*[""] * bool(lines), f"[{of}]"]
            for each in settings:
                where = each.source.removesuffix(f": [{of}] {key(each.param)}")
                lines.append(f"{each.line:{width}}  # {printable(where)}")
                rows.append({"command": of, "option": key(each.param), "value": each.value, "origin": each.source})
    if not rows:
        output.note("every option is at its default: no variable of the environment and no file says otherwise")
    output.print({"options": rows}, *lines)


@command.command()
@with_options
def template(name: str | None = COMMAND, *, output: Output) -> None:
    """Print a file for --config, to edit.

    It has the options of COMMAND, or of all commands, with their defaults, which do nothing until the # is taken away.
    """
    lines = [
        "# Options for 'vidaug --config FILE', or the variable VIDAUG_CONFIG. A line that begins with # does nothing."
    ]
    for context in _contexts(name):
        lines += ["", f"[{table(context)}]"]
        for param in _options(context.command):
            choices = ", ".join(map(str, getattr(param.type, "choices", ())))
            about = f"{param.help} One of: {choices}." if choices else f"{param.help}"
            line = Setting(param, _plain(default(param)), "").line
            lines += ["", *wrap(about, 98, initial_indent="# ", subsequent_indent="# "), f"#{line.removeprefix('#')}"]
    output.print({"toml": "\n".join(lines)}, *lines)


def _contexts(name: str | None) -> Iterator[click.Context]:
    """Return a context of each command that has options, or of the one of that name. Raises VidaugError."""
    found = {table(context): context for context in _below(click.get_current_context().find_root())}
    if name is not None and name not in found:
        hint = "'vidaug config template' shows all"
        raise UnknownNameError(f"no command {shown(name)} with options{nearest(name, found)}", hint=hint)
    return iter([found[name]] if name else found.values())


def _below(context: click.Context) -> Iterator[click.Context]:
    group = context.command
    for name, inner in group.commands.items() if isinstance(group, click.Group) else ():
        below = click.Context(inner, info_name=name, parent=context)
        if _options(inner):
            yield below
        yield from _below(below)


def _options(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option)]


def _settings(context: click.Context) -> Iterator[Setting]:
    """Yield the options of a command, as if nothing was typed. Raises click.BadParameter where a value cannot be."""
    found = {}
    for param in _options(context.command):
        with suppress(click.MissingParameter):
            found[param], _ = param.handle_parse_result(context, {}, [])
        if isinstance(param.type, FuncParamType):  # such as Copies, which TOML does not know
            found[param], _ = param.consume_value(context, {})
    yielded(context)
    for param in _options(context.command):
        where = origin(context, param)
        yield Setting(param, _plain(found[param] if where else default(param)), where)


def _plain(value: Any) -> Any:
    """Return a value as TOML and JSON have it."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _toml(value: Any) -> str:
    """Return a value in one line of TOML."""
    import tomli_w

    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return tomli_w.dumps({"": value}).partition(" = ")[2].rstrip("\n")
