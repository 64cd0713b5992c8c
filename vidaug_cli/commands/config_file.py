"""Options from a TOML file: a table for each command, whose keys are its options, as on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vidaug_cli.commands.signature import key
from vidaug_cli.errors import ConfigError, KindError, MissingPathError, cannot_read
from vidaug_cli.words import cut, nearest, printable, shown

MAX_BYTES = 1_000_000
EXAMPLE = "such as [augment]"


def read_config(path: Path, program: click.Group) -> dict[str, Any]:
    """Return the values in a file as a `default_map` of click, each as the command line would give it.

    Raises VidaugError where it cannot be read, or with every table, key and value that no command has, a line each.
    Whether an option takes a value is for the option to say.
    """
    found = _parse(path)
    faults: list[str] = []
    values = dict(_tables(program, found, "", faults))
    if faults:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
    return values


def _parse(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        hint = "'vidaug config template' prints one to edit"
        raise MissingPathError("does not exist", where=path, hint=hint) from error
    except IsADirectoryError as error:
        raise KindError("is a folder", where=path, hint="--config takes a TOML file") from error
    except OSError as error:
        raise cannot_read(error, path) from error
    if len(content) > MAX_BYTES:
        raise ConfigError("is too large for options", where=path)
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # ValueError: also of bytes that are no text, and of endless numbers
        raise ConfigError(f"is not TOML: {cut(str(error))}", where=path) from error


def _tables(group: click.Group, found: dict[str, Any], above: str, faults: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield name and values of each command in a table, and add what is wrong to `faults`."""
    for name, value in found.items():
        command, place = group.commands.get(name), f"[{above}{printable(name)}]"
        if isinstance(value, dict) and command is None:
            faults.append(f"{place}: no command{nearest(name, group.commands)}")
        elif command is None:
            faults.append(f"{printable(name)}: belongs into the table of a command, {EXAMPLE}")
        elif not isinstance(value, dict):
            faults.append(f"{place}: {shown(value)} should be a table")
        else:
            yield name, dict(_values(command, value, f"{above}{name}", faults))


def _values(command: click.Command, found: dict[str, Any], table: str, faults: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield names of parameters and values, those of commands within this one, too."""
    if isinstance(command, click.Group):
        inner = {name: value for name, value in found.items() if name in command.commands}
        found = {name: value for name, value in found.items() if name not in inner}
        yield from _tables(command, inner, f"{table}.", faults)
    params = {key(param): param for param in command.params}
    seen = set()
    for name, value in found.items():
        option, place = params.get(spelled := name.replace("_", "-")), f"[{table}] {printable(name)}"
        if option is None:
            known = [name for name, param in params.items() if isinstance(param, click.Option)]
            faults.append(f"{place}: no option of 'vidaug {table.replace('.', ' ')}'{nearest(spelled, known)}")
        elif not isinstance(option, click.Option):
            faults.append(f"{place}: {option.human_readable_name} goes on the command line: a file has options only")
        elif spelled in seen:
            faults.append(f"{place}: is there twice, with - and with _")
        elif fault := _fault(option, value):
            faults.append(f"{place}: {shown(value)} {fault}")
        elif value != []:  # a list of nothing says nothing
            yield str(option.name), _typed(option, value)
        seen.add(spelled)


def _fault(option: click.Option, value: Any) -> str:
    """Return why the command line could not say this; empty where it could."""
    if option.is_flag:
        return "" if isinstance(value, bool) else "should be true or false"
    if isinstance(value, bool):
        return "" if value and _goes_without_value(option) else "should be a text or a number"
    several = option.nargs > 1 or option.multiple
    parts = value if several and isinstance(value, list) else [value]
    if any(isinstance(part, bool) or not isinstance(part, str | int | float) for part in parts):
        return f"should be a text or a number{', or a list of them' if several else ''}"
    if option.nargs > 1 and len(parts) != option.nargs:
        return f"should be a list of {option.nargs}"
    if any(isinstance(part, int) and part.bit_length() > 1024 for part in parts):
        return "is too large"
    return "has a zero byte" if any("\0" in str(part) for part in parts) else ""


def _typed(option: click.Option, value: Any) -> Any:
    """Return a value as click has it from the command line."""
    if isinstance(value, bool):
        return value if option.is_flag else option.flag_value
    if option.nargs > 1 or option.multiple:
        return tuple(map(str, value if isinstance(value, list) else [value]))
    return str(value)


def _goes_without_value(option: click.Option) -> bool:
    """Return whether `--follow-links` is good by itself, as well as with a value."""
    return isinstance(option.flag_value, str)
