"""Comparisons of runs against brute force, closed forms and numbers of scipy."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidaug_cli.errors import VidaugError
from vidaug_cli.schema import plain
from vidaug_cli.scores.compare import TOP1, Comparison, Run, compare
from vidaug_cli.scores.statistics import Block, bootstrap, sign_flip
from vidaug_cli.scores.tables import as_csv, as_latex, as_markdown, as_text, class_table, panels, table


def run(row: str, right: list[int], *, names: str = "v", seed: int | None = 0, split: str = "", **more: Any) -> Run:
    """A run on as many videos, which are of class a and b by turns."""
    videos = tuple(f"{names}{number}" for number in range(len(right)))
    classes = tuple("ab"[number % 2] for number in range(len(right)))
    correct = np.array(right, bool)
    return Run(row=row, videos=videos, classes=classes, correct=correct, seed=seed, split=split, **more)


# scipy 1.17: binomtest(better, better + worse).pvalue, which is McNemar's exact test.
SCIPY = {
    (3, 9): 0.14599609375,
    (0, 6): 0.03125,
    (5, 5): 1.0,
    (30, 12): 0.007915897334896727,
    (1, 0): 1.0,
    (2, 17): 0.000728607177734375,
    (400, 300): 0.0001784763144856244,
}


@pytest.mark.parametrize("counts", SCIPY)
def test_a_single_run_has_mcnemars_exact_p(counts: tuple[int, int]) -> None:
    better, worse = counts
    differences = np.array([1] * better + [-1] * worse + [0] * 7)
    assert sign_flip(differences) == pytest.approx(SCIPY[counts], rel=1e-9)
    tail = sum(math.comb(better + worse, k) for k in range(min(counts) + 1)) / 2 ** (better + worse)
    assert sign_flip(-differences) == pytest.approx(min(1, 2 * tail), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_sign_flips_are_all_counted(values: list[int]) -> None:
    signs = itertools.product((1, -1), repeat=len(values))
    sums = [sum(sign * value for sign, value in zip(each, values, strict=True)) for each in signs]
    wanted = sum(abs(each) >= abs(sum(values)) for each in sums) / len(sums)
    assert sign_flip(np.array(values)) == pytest.approx(wanted, abs=1e-12)


def test_thousands_of_videos_are_no_matter() -> None:
    values = np.random.default_rng(0).integers(-3, 4, 4000)
    # The sum is nearly normal: erfc gives its tails, with the half step of a discrete one.
    deviation = math.sqrt(float((values**2).sum()))
    wanted = math.erfc((abs(int(values.sum())) - 0.5) / deviation / math.sqrt(2))
    assert sign_flip(values) == pytest.approx(wanted, rel=0.02)


def brute_force(splits: list[list[Block]], draws: int) -> tuple[float, float]:
    """The interval by drawing videos and runs one after the other."""
    rng = np.random.default_rng(7)
    means = []
    for _ in range(draws):
        total = 0.0
        for split in splits:
            videos = rng.integers(0, split[0].values.shape[1], split[0].values.shape[1])
            for block in split:
                runs = rng.integers(0, len(block.values), len(block.values))
                total += block.sign * block.values[np.ix_(runs, videos)].mean() / len(splits)
        means.append(total)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize("kind", ["one run", "seeds", "splits", "two blocks"])
def test_intervals_are_those_of_brute_force(kind: str) -> None:
    rng = np.random.default_rng(3)
    ease = rng.random((2, 40))  # some videos are easy for all runs

    def block(split: int, runs: int, sign: float = 1.0) -> Block:
        return Block((rng.random((runs, 40)) < 0.4 + 0.5 * ease[split]).astype(float), sign)

    splits = {
        "one run": [[block(0, 1)]],
        "seeds": [[block(0, 4)]],
        "splits": [[block(0, 2)], [block(1, 3)]],
        "two blocks": [[block(0, 3), block(0, 2, -1.0)], [block(1, 1), block(1, 1, -1.0)]],
    }[kind]
    found = bootstrap(splits)
    low, high = brute_force(splits, 4000)
    assert found.value == pytest.approx(np.mean([sum(b.sign * b.values.mean() for b in split) for split in splits]))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.012)


def test_widths_are_those_of_the_closed_form() -> None:
    rng = np.random.default_rng(5)
    values = (rng.random((5, 150)) < rng.random(150)).astype(float) + rng.normal(0, 0.2, (5, 1))
    runs, videos = values.shape
    first, second = ((np.full((n, n), (n - 1) / n) + np.eye(n)) / n**2 for n in (runs, videos))  # E of w w'
    variance = np.sum(first * (values @ second @ values.T)) - values.mean() ** 2
    found = bootstrap([[Block(values)]])
    assert (found.high - found.low) / (2 * 1.95996) == pytest.approx(math.sqrt(variance), rel=0.03)
    assert found == bootstrap([[Block(values)]])  # the same every time


def test_a_table_by_hand() -> None:
    plain = [run("plain", [1, 1, 0, 0], seed=seed) for seed in (0, 1)]
    other = [run("other", [1, 1, 1, 0], seed=1), run("other", [0, 1, 1, 0], seed=0)]
    found = compare([*plain, *other])
    first, second = found.rows
    assert (found.baseline, first.name, second.name, first.difference, found.notes) == (
        "plain",
        "plain",
        "other",
        None,
        (),
    )
    assert (first.top1.value, second.top1.value, second.lowest, second.highest) == (0.5, 0.625, 0.5, 0.75)
    assert (second.runs, second.seeds, second.splits, second.videos) == (2, 2, 1, 4)
    difference = second.difference
    assert difference is not None
    assert (difference.value, difference.better, difference.worse, difference.videos) == (0.125, 1, 1, 4)
    assert difference.p == 1  # sums of -1 and 2: no choice of signs gives less than 1
    assert [(one.name, one.videos, one.accuracy, one.baseline, one.p) for one in second.classes] == [
        ("a", 2, 0.75, 0.5, 1.0),
        ("b", 2, 0.5, 0.5, 1.0),
    ]
    assert second.pairs == "2 pairs of runs of the same seed and split"


def test_the_baseline_may_be_any_row_and_turns_the_sign() -> None:
    runs = [run("a", [1, 0, 1, 0, 1]), run("b", [1, 1, 1, 1, 1])]
    there, back = compare(runs).rows[1].difference, compare(runs, "b").rows[0].difference
    assert there
    assert back
    assert (there.value, there.p, there.better) == (-back.value, back.p, back.worse)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    with pytest.raises(VidaugError, match="no row 'c'"):
        compare(runs, "c")


def test_pairs_are_of_one_seed_and_split() -> None:
    """Every pair differs by the same videos, so an interval over runs that are well paired has no width from them."""
    rng = np.random.default_rng(0)
    runs = []
    for seed in range(3):
        right = (rng.random(30) < 0.2 + 0.3 * seed).astype(int)
        right[:5] = 0
        better = right.copy()
        better[:5] = 1
        runs += [run("plain", right.tolist(), seed=seed), run("better", better.tolist(), seed=seed)]
    found = compare(runs).rows[1].difference
    assert found
    only_videos = bootstrap([[Block(np.array([[1.0] * 5 + [0.0] * 25]))]])
    assert (found.value, found.low, found.high) == pytest.approx(only_videos)
    shuffled = compare([*runs[::2], *runs[5::-2]]).rows[1].difference
    assert shuffled == found
    seedless = compare([run(one.row, one.correct.astype(int).tolist(), seed=None) for one in runs]).rows[1]
    assert seedless.difference
    assert seedless.difference.value == pytest.approx(found.value)
    assert seedless.difference.high - seedless.difference.low > 1.5 * (found.high - found.low)
    assert seedless.pairs == "3 and 3 runs, whose seeds say nothing of each other"


def test_what_only_one_of_two_has_is_left_out_and_said() -> None:
    plain = [run("plain", [1, 0, 1, 0], names="x", split="1"), run("plain", [1, 1], names="y", split="2")]
    other = [run("other", [1, 1, 1], names="x", split="1"), run("other", [1, 1, 0], names="x", seed=4, split="1")]
    found = compare([*plain, *other])
    assert found.rows[1].difference
    assert found.rows[1].difference.value == pytest.approx(1 / 3)
    assert found.rows[1].difference.videos == 3
    assert list(found.notes) == [
        "other: compared on the 3 videos of split 1 that both have; 1 of one alone is left out",
        "other: 1 split that only one of the two has: not in the difference",
        "other: 1 run without a partner of the same seed: not in the difference",
    ]
    assert found.rows[1].top1.value == pytest.approx(5 / 6)  # of all its runs


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "nothing to compare"),
        ([run("a", [1]), run("b", [1], names="w")], "no video in common with the baseline"),
        ([run("a", [1]), run("a", [0])], "two runs with seed 0 on the same videos"),
        (
            [run("a", [1, 1, 1]), Run(row="b", videos=("v1",), classes=("a",), correct=np.array([True]))],
            "'v1' is 'a' here",
        ),
    ],
)
def test_what_cannot_be_compared(runs: list[Run], message: str) -> None:
    with pytest.raises(VidaugError, match=message):
        compare(runs)


@pytest.mark.parametrize("wrong", [{"classes": ("a",)}, {"videos": ("v", "v")}, {"measures": {"held": np.zeros(3)}}])
def test_a_run_has_one_value_for_each_video(wrong: dict[str, object]) -> None:
    good = {"row": "a", "videos": ("v", "w"), "classes": ("a", "b"), "correct": np.array([True, False])}
    with pytest.raises(VidaugError, match="one value for each video"):
        Run(**good | wrong)  # type: ignore[arg-type]


def several() -> Comparison:
    """Two rows and a third with other measures."""
    rng = np.random.default_rng(1)
    held = {"held": rng.random(30)}
    more: dict[str, Any] = {"measures": held, "numbers": {"localised": 0.25}}
    plain, odd = (rng.random(30) < 0.5).astype(int), (rng.random(30) < 0.9).astype(int)
    runs = [run("plain", plain.tolist(), **more), run("odd & <b>|", odd.tolist(), **more), run("x_1", odd.tolist())]
    return compare(runs)


def test_tables_say_the_same_in_all_forms() -> None:
    comparison = several()
    made = table(comparison)
    assert made.header == ["", "runs", "top-1", "more than plain", "p", "held", "more than plain", "localised"]
    text = list(as_text(made))
    assert len({len(line) for line in text[:3]}) == 1
    assert text[1].startswith("plain ")
    markdown = as_markdown(made).splitlines()
    assert markdown[1] == "| --- |" + " ---: |" * 7
    assert markdown[3].startswith("| odd & <b>\\| | 1 | ")
    latex = as_latex(made)
    assert r"odd \& $<$b$>$|" in latex
    assert r"x\_1 & 1" in latex
    assert [latex.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert latex.count(" & ") == 7 * 4
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert [row["row"] for row in rows] == ["plain", "odd & <b>|", "x_1"]
    difference = comparison.rows[1].difference
    assert difference
    assert float(rows[1]["top-1 difference low"]) == difference.low
    assert float(rows[1]["p"]) == difference.p
    assert rows[2]["held value"] == rows[0]["p"] == ""
    printed = json.loads(json.dumps(plain(comparison.as_json())))
    assert printed["rows"][1]["differences"]["top-1"]["p"] == difference.p
    assert printed["rows"][1]["classes"][0].keys() == {"name", "videos", "accuracy", "baseline", "p"}
    assert f"{100 * difference.value:+.1f} [" in text[2]
    classes = class_table(comparison)
    assert [line[0] for line in classes.rows] == ["a", "b"]
    drawn = panels(comparison)
    assert list(drawn) == ["top-1, %", "top-1, points more than plain", "held, %", "held, points more than plain"]
    assert [bar.name for bar in drawn["top-1, points more than plain"]] == ["odd & <b>|", "x_1"]
    assert drawn["top-1, %"][0][1:] == tuple(100 * part for part in comparison.rows[0].measures[TOP1])


def test_it_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from vidaug_cli.draw.plots import intervals

    intervals(panels(several()), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
