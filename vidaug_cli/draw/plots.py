"""Plots as PNG, PDF or SVG. Only here: matplotlib (extra `plots`), by its objects alone, so that no state is shared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from vidaug_cli.errors import PictureError, missing_package
from vidaug_cli.files import atomically
from vidaug_cli.words import count, either, printable, stand_ins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")
NUMBERED = 30  # classes that are all named, with a number in each cell; of more, the worst are
WORST = 24  # classes that are named, of many
NAMED = 40  # ... by their bars, of many
ASIDE = 0.12  # of the matrix's width, from it to those names
LETTERS = 28  # of a name
TITLE, TEXT, SMALL = 12, 9, 8  # font sizes in points
# Blue and orange of Okabe and Ito's palette, as in pictures of clips.
BLUE, ORANGE, GREY = "#0072b2", "#b35900", "0.4"
# What the letters are drawn with: of a script that the first one lacks, by the others, where they are at hand.
FAMILIES = ("DejaVu Sans", "Noto Sans CJK JP", "PingFang SC", "Microsoft YaHei", "WenQuanYi Micro Hei", "IPAGothic")
REACH = 1.5  # ranges of the middle nine tenths, from its middle, within which a curve is drawn in full


def confusion(matrix: Int64[np.ndarray, "k k"], classes: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix, rows = truth, as shares of each row, in white to blue.

    Up to 30 classes keep their order and all have their names and numbers; more are sorted, the worst on top, and those
    are named, with what they are most often taken for. Raises VidaugError without matplotlib.
    """
    videos = matrix.sum(1)
    shares = 100 * matrix / np.maximum(videos, 1)[:, None]
    right, many = np.diag(shares), len(classes) > NUMBERED
    order = np.lexsort((-videos, right, videos == 0)) if many else np.arange(len(classes))
    side = 6.0 if many else max(1.2, 0.36 * len(classes))  # inches
    with _figure(path, width=side + (7.5 if many else 4.5), height=side + (1 if many else 2)) as figure:
        axes = figure.add_subplot()
        image = axes.imshow(shares[np.ix_(order, order)], cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
        bar = figure.colorbar(image, shrink=0.8, pad=0.02)
        bar.set_label("% of the true class's videos", fontsize=TEXT)
        bar.ax.tick_params(labelsize=SMALL)
        accuracy = f"{100 * np.diag(matrix).sum() / max(1, matrix.sum()):.1f} %"
        axes.set_title(f"Top-1 {accuracy} of {count(int(matrix.sum()), 'video')}", fontsize=TITLE, loc="left")
        axes.set_xlabel("predicted", fontsize=TEXT)
        if many:
            _name_worst(axes, shares, [_cut(name) for name in classes], order[videos[order] > 0][:WORST])
        else:
            names = [_cut(name) for name in classes]
            axes.set_ylabel("true", fontsize=TEXT)
            axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=TEXT)
            axes.set_yticks(range(len(names)), names, fontsize=TEXT)
            for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
                label.set_parse_math(False)
            for (row, column), share in np.ndenumerate(shares):
                if matrix[row, column]:
                    colour = "white" if share > 60 else "black"
                    axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=SMALL, color=colour)


def _name_worst(
    axes: Axes, shares: Float[np.ndarray, "k k"], names: Sequence[str], worst: Int64[np.ndarray, " w"]
) -> None:
    """Name the first rows left of the matrix, one below the other, with a line to the row of each."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(f"predicted, {len(names)} classes in the same order", fontsize=TEXT)
    pitch = len(names) / WORST  # rows of the matrix that a line of text takes
    for place, label in enumerate(worst.tolist()):
        others = shares[label].copy()
        others[label] = 0
        taken = f", taken for {names[others.argmax()]}" if others.any() else ""
        axes.annotate(
            f"{names[label]} {shares[label, label]:.0f} %{taken}",
            xy=(-0.5, place),
            xytext=(-ASIDE * len(names), (place + 0.5) * pitch - 0.5),
            ha="right",
            va="center",
            fontsize=SMALL,
            parse_math=False,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 0, "relpos": (1, 0.5)
            },
        )  # fmt: skip
    axes.annotate(
        f"true, the worst {len(worst)} of {len(names)}", (-ASIDE * len(names), -0.04 * len(names)),
        ha="right", fontsize=TEXT, annotation_clip=False,
    )  # fmt: skip


def curves(rows: Sequence[Mapping[str, float]], path: Path, *, name: str = "", best: int | None = None) -> None:
    """Draw loss and top-1 over the epochs, in training and validation, with the best epoch marked.

    A few values far out of the way of the others do not squash the curve: a triangle at the edge stands for each.
    `name` is the run's. Raises VidaugError without matplotlib.
    """
    with _figure(path, width=10, height=4) as figure:
        chosen = next((row for row in rows if row["epoch"] == best), None)
        told = f"best epoch {best} of {len(rows)}" if chosen else f"{count(len(rows), 'epoch')}"
        if chosen and "val_top1" in chosen:
            told += f", validation top-1 {100 * chosen['val_top1']:.1f} %"
        figure.suptitle(f"{_cut(name)}: {told}" if name else told, fontsize=TITLE, x=0.01, ha="left", parse_math=False)
        for axes, measure, factor in zip(figure.subplots(1, 2), ("loss", "top1"), (1, 100), strict=True):
            lines = {
                label: np.array([(row["epoch"], factor * row[key]) for row in rows if key in row])
                for key, label in ((measure, "training"), (f"val_{measure}", "validation"))
            }
            lines = {label: line for label, line in lines.items() if len(line)}
            low, high = _robust([line[:, 1] for line in lines.values()])
            for (label, line), colour in zip(lines.items(), (GREY, BLUE), strict=False):
                axes.plot(*line.T, marker=".", color=colour, label=label)
                for edge, beyond, mark in ((high, line[:, 1] > high, "^"), (low, line[:, 1] < low, "v")):
                    if len(there := line[beyond, 0]):
                        axes.plot(there, np.full(len(there), edge), mark, color=colour, clip_on=False, markersize=7)
            if chosen:
                axes.axvline(chosen["epoch"], color=ORANGE, linewidth=1, linestyle="--", label="best epoch")
            axes.set_ylim(low, high)
            axes.set_xlim(0.5, len(rows) + 0.5)
            axes.set_xlabel("epoch", fontsize=TEXT)
            axes.set_ylabel({"loss": "loss", "top1": "top-1, %"}[measure], fontsize=TEXT)
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            axes.tick_params(labelsize=SMALL)
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(fontsize=SMALL, frameon=False)


def _robust(lines: Sequence[Float[np.ndarray, " n"]]) -> tuple[float, float]:
    """Return the limits of an axis: of all values, or where some lie far out, of those that do not."""
    values = np.concatenate(lines)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    few, many = np.percentile(values, (5, 95))
    middle, reach = (few + many) / 2, REACH * (many - few) or 1.0
    inside = values[abs(values - middle) <= reach]
    low, high = float(inside.min()), float(inside.max())
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return low - pad, high + pad


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
            axes.errorbar(values, places, xerr=np.maximum(ends, 0), fmt="o", capsize=3, color=BLUE)
            labels = [_cut(name) for name in names] if number % columns == 0 else [""] * len(names)
            axes.set_yticks(range(len(names)), labels, parse_math=False)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_xlabel(_legible(title), parse_math=False)
            axes.grid(axis="x", alpha=0.3)
            if min(bar.low for bar in bars) <= 0 <= max(bar.high for bar in bars):
                axes.axvline(0, color="0.5", linewidth=1)


def class_balance(mass: Mapping[str, float], title: str, path: Path) -> None:
    """Draw the clips of each class, by its shares of their labels, the greatest on top, beside even numbers.

    Of many classes, 40 are named, from the greatest to the least. Raises VidaugError without matplotlib.
    """
    ordered = sorted(mass.items(), key=lambda item: -item[1])
    values = np.array([value for _, value in ordered])
    total, even = values.sum(), values.mean()
    few = len(values) <= 60
    height = 1.6 + (0.24 if few else 0.05) * len(values)
    with _figure(path, width=8, height=min(30, height)) as figure:
        axes = figure.add_subplot()
        names = [_cut(name) for name, _ in ordered]
        axes.barh(range(len(names)), values, height=0.72 if few else 1.0, color=BLUE)
        axes.axvline(even, color=ORANGE, linewidth=1.2, linestyle="--")
        note = f"even: {even:.4g}"
        axes.annotate(
            note, (even, 1), xycoords=("data", "axes fraction"), xytext=(4, 3), textcoords="offset points",
            color=ORANGE, fontsize=SMALL,
        )  # fmt: skip
        shown = range(len(names)) if few else np.linspace(0, len(names) - 1, NAMED).round().astype(int).tolist()
        axes.set_yticks([*shown], [names[place] for place in shown], fontsize=TEXT if few else SMALL)
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        for place in shown if few else ():
            share = 100 * values[place] / (total or 1)
            axes.annotate(
                f"{values[place]:.4g}  ({share:.1f} %)", (values[place], place), xytext=(4, 0),
                textcoords="offset points", va="center", fontsize=SMALL, color="0.25",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, max(values.max(), even) * 1.18 or 1)
        axes.set_xlabel("clips per class (soft)", fontsize=TEXT)
        axes.tick_params(axis="x", labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(_legible(title), fontsize=TITLE, x=0.01, ha="left", parse_math=False)


def check_suffix(path: Path) -> None:
    """Raise VidaugError when the suffix of a plot is not one of `SUFFIXES`."""
    if path.suffix.lower() not in SUFFIXES:
        raise PictureError("is not a plot that can be drawn", where=path, hint=f"end it in {either(SUFFIXES)}")


def _legible(text: str) -> str:
    """Return a text in one line, with a stand-in for each letter that no font at hand has."""
    return stand_ins(printable(text), lambda letter: ord(letter) in _letters())


def _cut(name: str) -> str:
    """Return a name as it can be drawn, of a long one both its ends."""
    name = _legible(name)
    return name if len(name) <= LETTERS else f"{name[: LETTERS // 2]}…{name[1 - LETTERS // 2 :]}"


@cache
def _families() -> tuple[str, ...]:
    """Return those of the fonts that are at hand."""
    from matplotlib import font_manager

    there = set(font_manager.fontManager.get_font_names())
    return tuple(family for family in FAMILIES if family in there)


@cache
def _letters() -> frozenset[int]:
    """Return the letters that they have."""
    from matplotlib import font_manager

    return frozenset[int]().union(
        *(font_manager.get_font(font_manager.findfont(family)).get_charmap() for family in _families())
    )


@contextmanager
def _figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield an empty figure of so many inches, and write it, as its suffix says, once drawn. Raises VidaugError."""
    check_suffix(path)
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("a plot", "matplotlib", "plots") from error
    kind = path.suffix.lower()[1:]
    undated: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[kind]
    with rc_context({"font.family": [*_families()], "svg.hashsalt": "vidaug", "pdf.fonttype": 42}):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        with atomically(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=100, metadata=undated, bbox_inches="tight", pad_inches=0.15)
