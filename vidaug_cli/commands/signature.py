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
import shlex
import sys
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
CONFIG = "vidaug.config"  # key of a context's `meta`: the file of --config
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
        context = click.get_current_context()
        context.meta[JSON] = bool(values.get("json"))
        if values.get("json") and STDOUT in values.values():
            raise click.UsageError("--json prints on stdout, and so does -: give the name of a file.")
        values |= yielded(context)
        made = {name: kind(**{each.name: values[each.name] for each in fields(kind)}) for name, kind in groups.items()}
        try:
            with explain_memory(partial(spare_memory, context)):
                command(**{name: (values | made)[name] for name in parameters})
        except VidaugError as error:
            error.add_note(origins(context, str(error)))
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


def typed_line(context: click.Context) -> str:
    """Return a command as a line for a shell, with the variables of the environment that its options came from."""
    given = {
        _variable(one, param)
        for one in (context.find_root(), context)
        for param in one.command.params
        if one.get_parameter_source(param.name or "") is ParameterSource.ENVIRONMENT
    }
    variables = [f"{name}={shlex.quote(os.environ[name])}" for name in sorted(given)]
    return " ".join([*variables, shlex.join(["vidaug", *sys.argv[1:]])])


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


_ALTERNATIVES = (  # options that say the same in two ways
    *(("stride", "fps"), ("copies", "per_class"), ("balance", "per_class")),
    *(("epochs", "clips_seen"), ("hold_out", "val"), ("fold", "val")),
    *(("wait", "join"), ("extend", "overwrite"), ("cache", "no_cache")),
)


def yielded(context: click.Context) -> dict[str, Any]:
    """Return the defaults of options that yield, as another is closer to the user: --stride to the file's `fps`.

    Closest is the command line, then the environment, then the file of --config. The context gets the defaults, too.
    """
    options = {param.name: param for param in context.command.params}
    order = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
    yielding = {}
    for pair in _ALTERNATIVES:
        sources = {name: source for name in pair if (source := context.get_parameter_source(name)) in order}
        if len(set(sources.values())) == 2:
            name = max(sources, key=lambda each: order.index(sources[each]))
            yielding[name] = options[name].type_cast_value(context, default(options[name]))
            context.set_parameter_source(name, ParameterSource.DEFAULT)
    context.params |= yielding
    return yielding


def default(param: click.Parameter) -> Any:
    """Return the default of an option; None where it has none, whatever the release of click has there."""
    value = param.to_info_dict()["default"]
    return () if value is None and getattr(param, "multiple", False) else value


def name_origin(error: click.BadParameter) -> None:
    """Make click's error about a value that was not typed name, beside the option, where it came from."""
    if (context := error.ctx) and (param := error.param) and (where := origin(context, param)):
        error.param_hint = f"{where} ({param.get_error_hint(context)})"


def origins(context: click.Context, message: str) -> str:
    """Return ` (from VIDAUG_AUGMENT_RECIPE)` where a message is about a value that was not typed; else nothing."""
    named = []
    for param in context.command.params:
        if where := origin(context, param):
            words = re.findall(r"\S*[^\W\d]\S*", _text(context, param))
            about = "|".join(map(re.escape, [*param.opts, f"{param.name} =", *words]))
            if re.search(rf"(?<![\w-])({about})(?![\w-])", message):
                named.append(where)
    return f" (from {', '.join(named)})" if named else ""


def origin(context: click.Context, param: click.Parameter) -> str:
    """Return what gave a value: a variable of the environment, or a key of the file of --config; empty: neither did."""
    source = context.get_parameter_source(param.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return _variable(context, param)
    if source is ParameterSource.DEFAULT_MAP:
        return f"{context.meta.get(CONFIG)}: [{table(context)}] {key(param)}"
    return ""


def key(param: click.Parameter) -> str:
    """Return an option's key in the file: `per-class`."""
    return str(param.name).replace("_", "-")


def table(context: click.Context) -> str:
    """Return the name of a command's table in the file: `augment`, `config.show`."""
    return ".".join(context.command_path.split()[1:])


def _text(context: click.Context, param: click.Parameter) -> str:
    """Return a value from the environment or the file of --config as it was given, several with blanks between them."""
    if text := os.environ.get(_variable(context, param)):
        return text
    value = (context.default_map or {})[str(param.name)]
    return value if isinstance(value, str) else " ".join(map(str, value)) if isinstance(value, tuple) else ""


def _variable(context: click.Context, param: click.Parameter) -> str:
    return f"{context.auto_envvar_prefix}_{param.name}".upper()
