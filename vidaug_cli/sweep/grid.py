"""The grid: `--grid KEY=VALUE,VALUE...` in, configurations out. A key is one of a recipe, `recipe`, or a setting."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, get_type_hints

from vidaug_cli.data.sampling import read_stride
from vidaug_cli.errors import SettingError, VidaugError
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.schema import as_tuples, type_fault
from vidaug_cli.train.settings import Settings, preset_settings
from vidaug_cli.words import count, nearest

SETTINGS = {name: hint for name, hint in get_type_hints(Settings).items() if name != "seed"}
RECIPE, PRESET = "recipe", "preset"  # the keys that name a whole recipe or preset
MOST = 10_000  # configurations: more are a slip of the hand


_VALUE = r"""(?:^|,)((?:\[[^]]*\]|"[^"]*"|'[^']*'|[^,])*)"""  # up to a comma outside of brackets and quotes


@dataclass(frozen=True)
class Axis:
    """One key of the grid and its values, as they were written."""

    key: str
    values: tuple[str, ...]

    @property
    def is_of_recipe(self) -> bool:
        """Whether the key is one that `--set` takes."""
        return "." in self.key or self.key == "mix_p"


@dataclass(frozen=True)
class Base:
    """What all configurations of a grid have in common."""

    preset: str = "small"
    given: tuple[tuple[str, Any], ...] = ()  # settings in place of the preset's
    recipe: tuple[str, ...] = ()  # names or files
    set: tuple[str, ...] = ()  # keys of the recipe


@dataclass(frozen=True)
class Configuration:
    """One point of the grid."""

    number: int  # its place in the grid, from 0
    values: tuple[tuple[str, str], ...]  # of each key
    preset: str
    settings: Settings
    recipe: Recipe | None

    @property
    def name(self) -> str:
        """Its keys and values, for a person: `n=1 m=3`, without what stands before a dot where that is enough."""
        ends = [key.rpartition(".")[2] for key, _ in self.values]
        named = zip(ends, self.values, strict=True)
        return " ".join(f"{end if ends.count(end) == 1 else key}={value}" for end, (key, value) in named) or "as given"

    @property
    def simplicity(self) -> tuple[int, int]:
        """What a tie is decided by, the less the better: ops of the recipe, then the place in the grid."""
        ops = len(self.recipe.augment) + len(self.recipe.mix) if self.recipe else 0
        return ops, self.number


def parse_axis(text: str) -> Axis:
    """Return what one `--grid` says. Values are parted by commas outside of brackets and quotes.

    Raises VidaugError where it is not KEY=VALUE,..., where the key is neither one of a recipe nor a setting, and where
    a value is given twice.
    """
    match = re.fullmatch(r"\s*([\w.-]+)\s*=(.+)", text, re.ASCII | re.DOTALL)
    values = [part.strip() for part in re.findall(_VALUE, match[2])] if match else []
    if match is None or not all(values):
        raise SettingError(f"--grid {text}: should be KEY=VALUE,VALUE...", hint="such as randaugment_t.m=3,6,9")
    axis = Axis(match[1] if "." in match[1] else match[1].replace("-", "_"), tuple(values))
    known = (RECIPE, PRESET, *SETTINGS)
    if not axis.is_of_recipe and axis.key not in known:
        more = "'--seeds 3' takes several" if axis.key == "seed" else "it is a setting of 'vidaug train', or OP.KEY"
        raise SettingError(f"--grid {text}: no setting {match[1]!r}{nearest(match[1], known)}", hint=more)
    if len(set(values)) < len(values):
        raise SettingError(f"--grid {text}: has a value twice", hint="give each once")
    return axis


def configurations(axes: Sequence[Axis], base: Base) -> list[Configuration]:
    """Return the points of the grid, the values of the last key changing first.

    Raises VidaugError where a key comes twice, where a recipe is both fixed and in the grid, and where a point is none
    that could be trained.
    """
    keys = [axis.key for axis in axes]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise SettingError(f"--grid {twice} is given twice", hint=f"give all its values at once: {twice}=A,B,C")
    if RECIPE in keys and base.recipe:
        raise SettingError("--recipe is given, and --grid recipe as well", hint="give only one of them")
    of_recipe = [*base.set, *(axis.key for axis in axes if axis.is_of_recipe)]
    if of_recipe and not (base.recipe or RECIPE in keys):
        raise SettingError(f"{of_recipe[0]} changes a recipe, and there is none", hint="give it with --recipe")
    points = 1
    for axis in axes:
        points *= len(axis.values)
    if points > MOST:
        raise SettingError(
            f"the grid has {count(points, 'configuration')}, more than {MOST:,}", hint="take fewer values"
        )
    every = product(*(axis.values for axis in axes))
    return [_configuration(number, axes, values, base) for number, values in enumerate(every)]


def _configuration(number: int, axes: Sequence[Axis], values: Sequence[str], base: Base) -> Configuration:
    point = dict(zip((axis.key for axis in axes), values, strict=True))
    overrides = [*base.set, *(f"{axis.key}={point[axis.key]}" for axis in axes if axis.is_of_recipe)]
    names = tuple(point[RECIPE].split("+")) if RECIPE in point else base.recipe
    given = dict(base.given) | {key: _value(key, text) for key, text in point.items() if key in SETTINGS}
    preset = point.get(PRESET, base.preset)
    try:
        for key in point.keys() & SETTINGS:
            if fault := type_fault(given[key], SETTINGS[key]):
                raise SettingError(f"{key}: {fault}")
        settings = preset_settings(preset, {key: as_tuples(value) for key, value in given.items()})
        recipe = load_recipe(*names, overrides=overrides) if names else None
    except VidaugError as error:
        where = " ".join(f"{key}={value}" for key, value in point.items())
        raise type(error)(error.what, where=f"--grid {where}" if where else error.where, hint=error.hint) from error
    return Configuration(number, tuple(point.items()), preset, settings, recipe)


def _value(key: str, text: str) -> Any:
    """Return the value of a setting as TOML has it; a range of strides is written as after `--stride`."""
    stride = read_stride(text) if key == "stride" else None
    return list(stride) if isinstance(stride, tuple) else toml_value(text)


def toml_value(text: str) -> Any:
    """Return a value of TOML; what is none is a string."""
    try:
        (value,) = tomllib.loads(f"value={text}").values()
    except (ValueError, RecursionError):
        return text
    return value
