"""Plots: what they say and where, read from the figure before it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from console import vidaug
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vidaug_cli.draw import plots
from vidaug_cli.errors import VidaugError


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are written."""
    seen: list[Figure] = []
    write = Figure.savefig

    def note(figure: Figure, *args: Any, **how: Any) -> None:
        seen.append(figure)
        write(figure, *args, **how)

    monkeypatch.setattr(Figure, "savefig", note)
    return seen


COUNTS = np.array([[8, 2, 0], [1, 3, 0], [5, 0, 5]])


def test_confusion_of_few_classes_has_a_number_in_each_cell(figures: list[Figure], tmp_path: Path) -> None:
    plots.confusion(COUNTS, ["walk", "run", "$jump_{"], tmp_path / "c.png")
    axes = figures[0].axes[0]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "80", (1, 0): "20", (0, 1): "25", (1, 1): "75", (0, 2): "50", (2, 2): "50"}
    assert axes.get_title(loc="left") == "Top-1 66.7 % of 24 videos"  # 16 of them
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["walk", "run", "$jump_{"]
    assert not any(label.get_parse_math() for label in axes.get_yticklabels())
    image = np.asarray(axes.images[0].get_array())
    assert image == pytest.approx(np.array([[80, 20, 0], [25, 75, 0], [50, 0, 50]]))


def test_confusion_of_many_classes_is_sorted_and_names_the_worst(figures: list[Figure], tmp_path: Path) -> None:
    """Class c of 101 has c of 100 videos right, and the others taken for the class before."""
    counts = np.diag(np.arange(101))
    counts[np.arange(101), np.arange(101) - 1] += 100 - np.arange(101)
    shuffled = np.random.default_rng(1).permutation(101)
    names = [f"class {label}" for label in shuffled]
    plots.confusion(counts[np.ix_(shuffled, shuffled)], names, tmp_path / "c.png")
    axes = figures[0].axes[0]
    assert np.asarray(axes.images[0].get_array()).diagonal().tolist() == list(range(101))
    told = [text.get_text() for text in axes.texts]
    assert told[:3] == [
        "class 0 0 %, taken for class 100",
        "class 1 1 %, taken for class 0",
        "class 2 2 %, taken for class 1",
    ]
    assert told[plots.WORST - 1 :] == ["class 23 23 %, taken for class 22", f"true, the worst {plots.WORST} of 101"]
    height = axes.get_window_extent().height  # in pixels; each name has its part of it, and none overlaps
    assert height / plots.WORST > plots.SMALL * 100 / 72 * 1.2


def test_a_class_without_videos_is_not_among_the_worst(figures: list[Figure], tmp_path: Path) -> None:
    counts = np.diag(np.full(40, 5))
    counts[7] = 0
    plots.confusion(counts, [f"c{label}" for label in range(40)], tmp_path / "c.png")
    assert not any("c7 " in text.get_text() for text in figures[0].axes[0].texts)


@pytest.mark.parametrize("name", ["c.png", "c.PDF", "c.svg"])
def test_each_kind_of_file_is_what_it_says_and_the_same_each_time(tmp_path: Path, name: str) -> None:
    written = []
    for _ in range(2):
        plots.confusion(COUNTS, ["walk", "走る", "ελλη"], tmp_path / name)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    if name == "c.svg":
        assert ElementTree.fromstring(written[0]).tag == "{http://www.w3.org/2000/svg}svg"
    else:
        assert written[0].startswith({"c.png": b"\x89PNG", "c.PDF": b"%PDF"}[name])
    with pytest.raises(VidaugError, match=r"a\.jpg: is not a plot .* end it in \.png, \.pdf or \.svg"):
        plots.confusion(COUNTS, "abc", tmp_path / "a.jpg")


def test_what_no_font_has_is_escaped_and_long_names_keep_both_ends(
    figures: list[Figure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not drawn as empty boxes, in any plot. DejaVu Sans has Arabic, and neither Chinese nor Hindi."""
    monkeypatch.setattr(plots, "_families", lambda: ("DejaVu Sans",))
    monkeypatch.setattr(plots, "_letters", plots._letters.__wrapped__)
    names = ["走る", "مشي", "हि", "begin" + "x" * 90 + "end"]
    shown = ["\\u8d70\\u308b", "مشي", "\\u0939\\u093f", "beginxxxxxxxxx…xxxxxxxxxxend"]
    plots.confusion(np.eye(4, dtype=int), names, tmp_path / "p.png")
    plots.class_balance(dict(zip(names, (4.0, 3.0, 2.0, 1.0), strict=True)), "走", tmp_path / "p.png")
    plots.intervals({"走": [plots.Bar(name, 5, 4, 6) for name in names]}, tmp_path / "p.png")
    for figure in figures:
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == shown
    assert figures[1].get_suptitle() == figures[2].axes[0].get_xlabel() == "\\u8d70"


def test_of_many_classes_the_greatest_and_the_least_are_named(figures: list[Figure], tmp_path: Path) -> None:
    plots.class_balance({f"c{number}": float(number) for number in range(101)}, "many", tmp_path / "b.png")
    named = [label.get_text() for label in figures[0].axes[0].get_yticklabels()]
    assert (named[0], named[-1], len(named)) == ("c100", "c0", plots.NAMED)


def history(epochs: int = 30, **odd: dict[int, float]) -> list[dict[str, float]]:
    """Losses from 3 down to 1, accuracies up to 0.6."""
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "loss": 3 - 2 * epoch / epochs, "top1": 0.6 * epoch / epochs}
        row |= {"val_loss": row["loss"] + 0.5, "val_top1": row["top1"] / 2}
        rows.append(row | {name: values[epoch] for name, values in odd.items() if epoch in values})
    return rows


def test_curves_tell_the_best_epoch(figures: list[Figure], tmp_path: Path) -> None:
    plots.curves(history(), tmp_path / "k.png", name="run", best=28)
    figure = figures[0]
    assert figure.get_suptitle() == "run: best epoch 28 of 30, validation top-1 28.0 %"
    loss, top1 = figure.axes
    for axes in (loss, top1):
        lines = {line.get_label(): line.get_xdata() for line in axes.lines}
        assert np.asarray(lines["best epoch"]).tolist() == [28, 28]
    assert top1.get_ylabel() == "top-1, %"
    assert np.asarray(top1.lines[0].get_ydata())[-1] == pytest.approx(60)
    assert top1.get_ylim()[1] < 70


def test_outliers_do_not_squash_a_curve(figures: list[Figure], tmp_path: Path) -> None:
    rows = history(loss={2: 900.0}, val_loss={5: -70.0, 6: float("nan")})
    plots.curves(rows, tmp_path / "k.png")
    axes = figures[0].axes[0]
    low, high = axes.get_ylim()
    assert 0.5 < low < 1
    assert 3.4 < high < 4
    marks = [
        (line.get_marker(), np.asarray(line.get_xdata()).tolist())
        for line in axes.lines
        if line.get_marker() in ("^", "v")
    ]
    assert marks == [("^", [2]), ("v", [5])]
    plots.curves(history(), tmp_path / "k.png")
    low, high = figures[1].axes[0].get_ylim()
    assert low < 1 and high > 3.4  # noqa: PT018 (nothing is left out where nothing is far)


@pytest.mark.parametrize("epochs", [1, 2])
def test_curves_of_hardly_any_epochs(figures: list[Figure], tmp_path: Path, epochs: int) -> None:
    plots.curves(history(epochs, loss={1: float("nan"), 2: float("inf")}), tmp_path / "k.png", best=1)
    assert figures[0].axes[0].get_xlim() == (0.5, epochs + 0.5)
    inside = [tick for tick in figures[0].axes[0].get_xticks() if 0.5 <= tick <= epochs + 0.5]
    assert inside == list(range(1, epochs + 1))  # an epoch is a whole number


def test_class_balance_draws_the_label_mass(figures: list[Figure], video_folder: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "out", ["-r", "mixup", "--frames", 8, "--size", 32, "-j", 1, "-q"]
    assert vidaug("augment", video_folder, "-o", out, *words).code == 0
    done = vidaug("inspect", out, "-o", tmp_path / "classes.svg")
    assert (done.code, done.err) == (0, f"wrote {tmp_path / 'classes.svg'}\n")
    assert done.out == vidaug("inspect", out).out
    assert ElementTree.parse(tmp_path / "classes.svg").getroot().tag.endswith("svg")
    plots.class_balance({"a": 1.5, "b": 6.0, "c": 0.0}, "title", tmp_path / "b.png")
    axes = figures[-1].axes[0]
    assert [patch.get_bbox().width for patch in axes.patches if isinstance(patch, Rectangle)] == [6, 1.5, 0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a", "c"]
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == [2.5, 2.5]
    told = [text.get_text() for text in axes.texts]
    assert told == ["even: 2.5", "6  (80.0 %)", "1.5  (20.0 %)", "0  (0.0 %)"]
    odd = vidaug("inspect", out, "-o", tmp_path / "classes.jpg")
    assert (odd.code, odd.out, "is not a plot that can be drawn" in odd.err) == (1, "", True)
