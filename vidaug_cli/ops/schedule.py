"""Magnitudes over time: those of a clip's first and last frame, and the ramp between. arXiv:2008.05721."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

Values = Float64[np.ndarray, "frames"]
Ends = tuple[float, float]  # magnitudes of the first and the last frame


def ramp(first: float, last: float, frames: int) -> Values:
    """Return values that run evenly from `first` to `last` over the frames; a single frame has `first`."""
    return np.linspace(first, last, frames)


def spatial(rng: np.random.Generator, m: float, width: float) -> Ends:
    """Return `m` for both ends: RandAugment as it was for images, arXiv:1909.13719."""
    return m, m


def temporal(rng: np.random.Generator, m: float, width: float) -> Ends:
    """Return a drawn magnitude and `m`, which is the higher one."""
    return rng.uniform(min(0.1, m), m), m


def temporal_plus(rng: np.random.Generator, m: float, width: float) -> Ends:
    """Return m - d and m + d or the other way round, d ~ U(0, 0.5 * width * m)."""
    swing = 0.5 * width * m * rng.uniform(-1, 1)  # its sign is the fair coin for the direction
    return m - swing, m + swing


Schedule = Callable[[np.random.Generator, float, float], Ends]

SCHEDULES: dict[str, Schedule] = {"spatial": spatial, "temporal": temporal, "temporal_plus": temporal_plus}
