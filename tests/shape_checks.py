"""What holds calls in the modules of `--jaxtyping-packages` (see pyproject) to the shapes in their signatures."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isclass
from typing import Any, get_args

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as it is to mypy


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, with its arguments and result checked if there is an array with a shape among them.

    `Clips` is left out: it checks for itself and says what to try, and so do settings, which hold no arrays.
    """
    own = function.__qualname__.startswith("Clips.")
    return function if own or not any(map(_has_shape, function.__annotations__.values())) else _checked(function)


def _has_shape(hint: object) -> bool:
    return (isclass(hint) and issubclass(hint, AbstractArray)) or any(map(_has_shape, get_args(hint)))
