"""Click options made from a command's signature, so that mypy sees every option a command uses; where values came from.

A parameter is an argument when its value is `argument(...)`, and a parameter or a field of a dataclass is an option
when it is `option(...)`. A parameter whose type is a dataclass is a group of options: the command gets one instance.

    @as_command
    def command(
        folder: Path = argument("OUT"), *, clip: ClipOptions, copies: int = option("Clips of each video.", default=1)
    ) -> None:
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache, partial, wraps
from inspect import signature
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from vidaug_cli.errors import VidaugError, explain_memory

_hints = cache(get_type_hints)  # of a group once for all its commands
JSON = "vidaug.json"  # key of a context's `meta`: whether the result is printed as JSON
STDOUT = Path("/dev/stdout")  # what `-` becomes where it is accepted; Path("-") would be the file ./- as well


class OutPath(click.Path):
    """A file or folder to write. `-` is stdout, and an error where that cannot take it: no file gets this name."""

    def __init__(self, example: str, *, stdout: bool = False, dir_okay: bool = True) -> None:
        """Take `example`, a name to suggest, and `stdout`, whether `-` is accepted (as `STDOUT`)."""
        super().__init__(path_type=Path, dir_okay=dir_okay)
        self.example, self.stdout = example, stdout

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path. Raises click.BadParameter."""
        if str(value) != "-":
            return super().convert(value, param, ctx)
        if not self.stdout:
            name = f"{self.example} (or ./- for one called -)"
            self.fail(f"this cannot go to stdout; give a name, such as {name}.", param)
        return STDOUT


def argument(metavar: str, **settings: Any) -> Any:
    """Return the value that makes a parameter an argument, one or more where its type is `tuple[T, ...]`.

    Args:
        metavar: what the help calls it.
        settings: of `click.argument`. Where there is no `type`, the annotation is it.
    """
    return click.argument, (), {"metavar": metavar, **settings}


def option(help: str, *flags: str, **settings: Any) -> Any:  # noqa: A002
    """Return the value that makes a parameter or field an option, `--NAME` after it.

    Args:
        help: one sentence; says `[default: ...]` itself where the default is not shown as it is.
        flags: short forms, such as `-o`.
        settings: of `click.option`. Where there is no `type`, the annotation is it: a Literal is a choice, a bool a
            flag, `tuple[T, ...]` an option that may be repeated, `tuple[T, T]` one of two values.
    """
    shown = {"show_default": True} if "default" in settings and "[default:" not in help else {}
    return click.option, flags, {"help": help, **shown, **settings}


def out_option(help: str, *, example: str, stdout: bool = False, required: bool = True) -> Any:  # noqa: A002
    """Return the option for what is written; with `stdout`, `-` is `STDOUT` and the command prints it."""
    return option(help, "-o", type=OutPath(example, stdout=stdout), required=required)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments and options of its signature, in that order in `--help`."""
    groups: dict[str, Any] = {}
    single: dict[str, tuple[Any, Any]] = {}  # type and value of each argument and option
    hints = _hints(command)
    parameters = signature(command).parameters
    for name, parameter in parameters.items():
        if is_dataclass(hints[name]):
            groups[name] = group = hints[name]
            single |= {each.name: (_hints(group)[each.name], each.default) for each in fields(group)}
        else:
            single[name] = hints[name], parameter.default

    @wraps(command)
    def call(**values: Any) -> None:
        made = {name: kind(**{each.name: values[each.name] for each in fields(kind)}) for name, kind in groups.items()}
        context = click.get_current_context()
        context.meta[JSON] = bool(values.get("json"))
        if values.get("json") and STDOUT in values.values():
            raise click.UsageError("--json prints on stdout, and so does -: give the name of a file.")
        try:
            with explain_memory(partial(spare_memory, context)):
                command(**{name: (values | made)[name] for name in parameters})
        except VidaugError as error:
            error.add_note(variables(context, str(error)))
            raise

    for name, (hint, (make, flags, settings)) in reversed(single.items()):
        if make is click.argument:
            words, repeated = [name], {"nargs": -1, "required": True}
        else:
            words, repeated = [*flags, f"--{name.replace('_', '-')}"], {"multiple": True}
        call = make(*words, **_type_of(hint, repeated) | settings)(call)
    return call


def as_command(function: Callable[..., None]) -> click.Command:
    """Return the command that a function is, by its signature and its docstring."""
    return click.command()(with_options(function))


def _type_of(hint: Any, repeated: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of click that an annotation stands for; `repeated` are those of `tuple[T, ...]`."""
    args = get_args(hint)
    if get_origin(hint) in (Union, UnionType):  # an option without a default may be None
        return _type_of(next(arg for arg in args if arg is not NoneType), repeated)
    if get_origin(hint) is Literal:
        return {"type": click.Choice(args)}
    if get_origin(hint) is tuple:
        return (repeated if args[-1] is Ellipsis else {"nargs": len(args)}) | _type_of(args[0], repeated)
    return {"is_flag": True} if hint is bool else {"type": click.Path(path_type=Path) if hint is Path else hint}


def given_options(context: click.Context) -> dict[str, str]:
    """Return the options that were given on the command line, by the names of their parameters: `--clips-seen`."""
    options = {str(param.name): param.opts for param in context.command.params if isinstance(param, click.Option)}
    given = (name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE)
    return {name: max(options[name], key=len) for name in given}


_SPARING = {  # what to do with an option, so that a device needs less memory
    "batch_size": "lower",
    "accumulate": "raise",
    "frames": "lower",
    "size": "lower",
}


def spare_memory(context: click.Context, device: str) -> str:
    """Return what to try where a device has not enough memory for a command: its options that help."""
    given = context.params
    advice = [
        f"{how} --{name.replace('_', '-')}{f' (now {given[name]})' if given[name] else ''}"
        for name, how in _SPARING.items()
        if name in given and not (name == "batch_size" and given[name] == 1)
    ]
    advice += ["try --device cpu"] if "device" in given and device != "cpu" else []
    return ", ".join([*advice[:-2], ", or ".join(advice[-2:])]) or "close other programs"


def name_variable(error: click.BadParameter) -> None:
    """Make click's error about a value from the environment name the variable beside the option."""
    if (context := error.ctx) and (param := error.param) and (variable := _variable(context, param)):
        error.param_hint = f"{variable} ({param.get_error_hint(context)})"


def variables(context: click.Context, message: str) -> str:
    """Return ` (from VIDAUG_AUGMENT_RECIPE)` where a message is about a value from the environment; else nothing."""
    named = []
    for param in context.command.params:
        if variable := _variable(context, param):
            words = re.findall(r"\S*[^\W\d]\S*", os.environ[variable])
            about = "|".join(map(re.escape, [*param.opts, f"{param.name} =", *words]))
            if re.search(rf"(?<![\w-])({about})(?![\w-])", message):
                named.append(variable)
    return f" (from {', '.join(named)})" if named else ""


def _variable(context: click.Context, param: click.Parameter) -> str:
    """Return the variable of the environment that gave a value; empty where something else did."""
    from_environment = context.get_parameter_source(param.name or "") is ParameterSource.ENVIRONMENT
    return f"{context.auto_envvar_prefix}_{param.name}".upper() if from_environment else ""
