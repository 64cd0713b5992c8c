"""Which variable of the environment a wrong value came from."""

from __future__ import annotations

import os
import re

import click
from click.core import ParameterSource


def name_variable(error: click.BadParameter) -> None:
    """Make click's error about a value from the environment name the variable beside the option."""
    if (context := error.ctx) and (option := error.param) and _from_environment(context, option):
        error.param_hint = f"{_variable(context, option)} ({option.get_error_hint(context)})"


def variables(context: click.Context, message: str) -> str:
    """Return ` (from VIDAUG_AUGMENT_RECIPE)` where a message is about a value from the environment; else nothing."""
    found = []
    for option in context.command.params:
        if _from_environment(context, option):
            words = os.environ[_variable(context, option)].split()
            about = [*option.opts, f"{option.name} =", *(word for word in words if re.search(r"[^\W\d]", word))]
            if any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", message) for word in about):
                found.append(_variable(context, option))
    return f" (from {', '.join(found)})" if found else ""


def _from_environment(context: click.Context, option: click.Parameter) -> bool:
    return context.get_parameter_source(option.name or "") is ParameterSource.ENVIRONMENT


def _variable(context: click.Context, option: click.Parameter) -> str:
    return f"{context.auto_envvar_prefix}_{option.name}".upper()
