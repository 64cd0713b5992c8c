"""Magnitudes over time: which ones a clip's first and last frame get, and what lies between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

Values = Annotated[NDArray[np.float64], "(N,), one per frame"]
Ends = tuple[float, float]  # magnitudes of the first and the last frame


def ramp(first: float, last: float, frames: int) -> Values:
    """Values that run evenly from `first` to `last` over `frames` frames; a single frame has `first`."""
    return np.linspace(first, last, frames)


def spatial(rng: np.random.Generator, m: float, width: float) -> Ends:
    """The same magnitude in every frame: RandAugment as it was for images."""
    return m, m


def temporal(rng: np.random.Generator, m: float, width: float) -> Ends:
    """From a drawn magnitude up to `m`."""
    return rng.uniform(min(0.1, m), m), m


def temporal_plus(rng: np.random.Generator, m: float, width: float) -> Ends:
    """From m - d to m + d or the other way round, d ~ U(0, 0.5 * width * m)."""
    swing = 0.5 * width * m * rng.uniform(-1, 1)  # its sign is the fair coin for the direction
    return m - swing, m + swing


Schedule = Callable[[np.random.Generator, float, float], Ends]

SCHEDULES: dict[str, Schedule] = {"spatial": spatial, "temporal": temporal, "temporal_plus": temporal_plus}
