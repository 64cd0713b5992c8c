"""The geometry of plots: numbers to shares of a plot's width and height. What they look like stands in the templates.

A mark is drawn in a box of 100 x 100 that the page stretches, while words stay outside of it: so text has its size on
every screen, and colours are those of the page, in light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWN = 60  # lines of a plot; of more, so many evenly spread


class Tick(NamedTuple):
    """A place on an axis, in per cent of it, and what stands there."""

    at: float
    text: str


class Bin(NamedTuple):
    """A bar of a histogram, in per cent of the width and height, and what it stands for."""

    left: float
    width: float
    height: float
    says: str


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How often values lie where."""

    title: str
    bins: tuple[Bin, ...]
    ticks: tuple[Tick, ...]
    most: int  # values in the highest bar
    says: str  # for who cannot see it


class Line(NamedTuple):
    """Points of a line, as SVG has them, and its kind, a class of the style sheet."""

    points: str
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Values over time."""

    title: str
    lines: tuple[Line, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    legend: tuple[tuple[str, str], ...] = ()  # kind and name
    mark: Tick | None = None  # a place on the x axis
    says: str = ""


class Whisker(NamedTuple):
    """A value and its interval, in per cent of the width."""

    at: float
    low: float
    high: float


def histogram(title: str, values: Sequence[float], *, bins: int = 20) -> Histogram:
    """Return a histogram of shares from 0 to 1."""
    counts, edges = np.histogram(values, bins, (0, 1))
    most = max(1, int(counts.max()))
    middle = f"median {100 * np.median(values):.0f} %" if len(values) else "none"
    return Histogram(
        title=title,
        bins=tuple(
            Bin(
                100 * left,
                100 / bins,
                100 * count / most,
                f"{100 * left:.0f} to {100 * (left + 1 / bins):.0f} %: {count}",
            )
            for left, count in zip(edges[:-1].tolist(), counts.tolist(), strict=True)
        ),
        ticks=tuple(Tick(100 * at, f"{100 * at:.0f} %") for at in (0, 0.25, 0.5, 0.75, 1)),
        most=most,
        says=f"{title}: {len(values)} values, {middle}",
    )


def over_time(title: str, clips: Sequence[Sequence[float]], *, top: float, unit: str = "") -> Lines:
    """Return values over the frames of clips, from 0 to `top`, and their mean: all of one length."""
    chosen = [clips[place] for place in np.linspace(0, len(clips) - 1, min(DRAWN, len(clips))).round().astype(int)]
    mean = np.mean(clips, axis=0).tolist()
    return Lines(
        title=title,
        lines=(*(Line(points(each, (0, top)), "faint") for each in chosen), Line(points(mean, (0, top)), "own")),
        x=(Tick(0, "first frame"), Tick(100, "last")),
        y=(Tick(0, "0"), Tick(100, f"{top:g}{unit}")),
        says=f"{title}; on average {mean[0]:.3g}{unit} in the first frame and {mean[-1]:.3g}{unit} in the last",
    )


def curves(title: str, series: Mapping[str, tuple[str, Sequence[tuple[float, float]]]], *, share: bool) -> Lines:
    """Return series of points (epoch, value), with their kinds by their names; with `share`, values are per cents."""
    every = [point for _, values in series.values() for point in values]
    first, last = min(x for x, _ in every), max(x for x, _ in every)
    top = 1.0 if share else max(y for _, y in every)
    y = ticks(0, top)
    high = y[-1]
    width = (last - first) or 1
    steps = sorted({round(each) for each in ticks(first, last) if first <= each <= last} | {int(first), int(last)})
    return Lines(
        title=title,
        lines=tuple(
            Line(" ".join(_point((x - first) / width, value / high) for x, value in values), kind)
            for kind, values in series.values()
        ),
        x=tuple(Tick(100 * (each - first) / width, str(each)) for each in _apart(steps, width)),
        y=tuple(Tick(100 * each / high, f"{100 * each:.0f} %" if share else f"{each:g}") for each in y),
        legend=tuple((kind, name) for name, (kind, _) in series.items()),
        says=f"{title} over {len({x for x, _ in every})} epochs; "
        + ", ".join(f"{name}: last {_say(values[-1][1], share)}" for name, (_, values) in series.items() if values),
    )


def _apart(steps: Sequence[int], width: float) -> list[int]:
    """Return steps of which none stands so near the last that their words would touch."""
    return [each for each in steps if each == steps[-1] or steps[-1] - each >= 0.12 * width]


def _say(value: float, share: bool) -> str:
    return f"{100 * value:.1f} %" if share else f"{value:.3f}"


def points(values: Sequence[float], ends: tuple[float, float] = (0, 1)) -> str:
    """Return values evenly over time as the points of a line, the first at the left edge and the last at the right."""
    low, high = ends
    last = max(1, len(values) - 1)
    return " ".join(_point(place / last, (value - low) / ((high - low) or 1)) for place, value in enumerate(values))


def frames(values: Sequence[float] | NDArray[np.floating]) -> str:
    """Return the outline of a bar for each frame, from 0 to 1, as the points of a polygon."""
    heights = [float(value) for value in values]
    width = 1 / len(heights)
    outline = [(place + side) * width for place in range(len(heights)) for side in (0, 1)]
    doubled = [height for height in heights for _ in (0, 1)]
    return " ".join(["0,100", *map(_point, outline, doubled), "100,100"])


def middles(values: Iterable[float]) -> str:
    """Return a line through the middle of each frame, values from 0 to 1."""
    heights = list(values)
    return " ".join(_point((place + 0.5) / len(heights), value) for place, value in enumerate(heights))


def _point(x: float, y: float) -> str:
    return f"{100 * x:.4g},{100 - 100 * y:.4g}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from `low` or below to `high` or above, at steps of 1, 2 or 5 times a power of ten."""
    span = (high - low) or 1.0
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * number, 12) for number in range(first, max(last, first + 1) + 1)]


def whiskers(estimates: Sequence[tuple[float, float, float]]) -> tuple[list[Whisker], float, float]:
    """Return values with their intervals on one axis, and where that begins and ends: at round numbers."""
    ends = ticks(min(low for _, low, _ in estimates), max(high for *_, high in estimates))
    low, high = ends[0], ends[-1]
    scale = 100 / ((high - low) or 1)
    return [Whisker(*(scale * (each - low) for each in one)) for one in estimates], low, high
