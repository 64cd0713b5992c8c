"""Plots as PNG. Only here: matplotlib (extra `plots`), by its objects alone, so that no state is shared."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int64

from vidaug_cli.errors import MissingPackageError
from vidaug_cli.files import atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 150  # classes that are named beside a matrix; more would not be legible


def confusion(matrix: Int64[np.ndarray, "k k"], classes: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix, rows = truth, as shares of each row. Raises VidaugError without matplotlib."""
    with _figure(path, width=min(30, 4 + 0.16 * len(classes)), height=min(28, 3 + 0.16 * len(classes))) as figure:
        axes = figure.add_subplot()
        shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        image = axes.imshow(shares, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        figure.colorbar(image, label="share of the class's videos", shrink=0.7)
        axes.set(xlabel="first choice", ylabel="class")
        if len(classes) <= NAMED:
            ticks, names = range(len(classes)), [name[:40] for name in classes]
            axes.set_xticks(ticks, names, rotation=90, fontsize=7, parse_math=False)
            axes.set_yticks(ticks, names, fontsize=7, parse_math=False)


def curves(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and top-1 over the epochs, in training and validation. Raises VidaugError without matplotlib."""
    with _figure(path, width=10, height=4) as figure:
        for axes, name in zip(figure.subplots(1, 2), ("loss", "top1"), strict=True):
            for key, label in ((name, "training"), (f"val_{name}", "validation")):
                if seen := [row for row in rows if key in row]:
                    axes.plot([row["epoch"] for row in seen], [row[key] for row in seen], marker=".", label=label)
            axes.set(xlabel="epoch", ylabel={"loss": "loss", "top1": "top-1"}[name])
            axes.grid(alpha=0.3)
            axes.legend()


class Bar(NamedTuple):
    """A row of a plot of intervals, in per cent."""

    name: str
    value: float
    low: float
    high: float


def intervals(panels: Mapping[str, Sequence[Bar]], path: Path) -> None:
    """Draw values with their error bars: two panels side by side, in each a line for each row, the first on top.

    Raises VidaugError without matplotlib.
    """
    names = list(dict.fromkeys(bar.name for bars in panels.values() for bar in bars))
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    with _figure(path, width=2 + 4 * columns, height=min(100, lines * (1 + 0.32 * len(names)))) as figure:
        for number, (title, bars) in enumerate(panels.items()):
            axes = figure.add_subplot(lines, columns, number + 1)
            places, values = [names.index(bar.name) for bar in bars], [bar.value for bar in bars]
            ends = [[bar.value - bar.low for bar in bars], [bar.high - bar.value for bar in bars]]
            axes.errorbar(values, places, xerr=np.maximum(ends, 0), fmt="o", capsize=3)
            labels = [name[:40] for name in names] if number % columns == 0 else [""] * len(names)
            axes.set_yticks(range(len(names)), labels, parse_math=False)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_xlabel(title, parse_math=False)
            axes.grid(axis="x", alpha=0.3)
            if min(bar.low for bar in bars) <= 0 <= max(bar.high for bar in bars):
                axes.axvline(0, color="0.5", linewidth=1)


@contextmanager
def _figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield an empty figure of so many inches, and write it as PNG once it is drawn. Raises VidaugError."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError("plots need matplotlib", hint="pip install 'vidaug-cli[plots]'") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    yield figure
    with atomically(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name in a script that the font lacks
        figure.savefig(temporary, format="png", dpi=100)
