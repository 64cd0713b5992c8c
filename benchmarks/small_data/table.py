"""The tables of docs/results.md out of results.jsonl: `python benchmarks/small_data/table.py`.

Rows are `vidaug_cli.scores.compare`'s, as `vidaug compare` prints them: means over splits and seeds, intervals by the
bootstrap over videos and runs, differences between runs of the same split and seed, on the same videos.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from vidaug_cli.ops.disturbances import DISTURBANCES
from vidaug_cli.scores.compare import Comparison, Run, compare
from vidaug_cli.scores.tables import Table, as_markdown, table

HERE = Path(__file__).parent
PURE = ("rotation", "shift", "brightness")
COURSES = ("held", "ramped")
INPUTS = ("rgb", "diff", "rgb+diff", "slow-rgb-fast-diff", "rgb and diff")
BUDGETS = ("2,100 clips seen", "4,200 clips seen", "plain", "16,800 clips seen")  # of the same training otherwise
OTHER_NETWORKS = ("r10-small", "r18-small", "label smoothing 0.1", "average of weights")
Row = dict[str, Any]


@cache
def results(path: Path = HERE / "results.jsonl") -> list[Row]:
    """Return the rows as they were written."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@cache
def videos(path: Path = HERE / "videos.json") -> dict[str, dict[str, str]]:
    """Return the class of each test video, by data set and split."""
    named: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
    return named


def bits(text: str) -> np.ndarray:
    """Return what stands as 0 and 1 as floats."""
    return np.array([*text], np.float64)


def as_run(name: str, row: Row, *, every: bool = False) -> Run:
    """Return a row of the results as a run to compare.

    It has accuracies under disturbances at their strongest: of turns, shifts and gains, or with `every` of all kinds.
    """
    named = videos()[f"{row['data']} {row['split']}"]
    measures = {}
    for course in COURSES if "disturbed" in row else ():
        chosen = {
            name: text
            for name, text in row["disturbed"].items()
            if DISTURBANCES[name].course == course and (every or DISTURBANCES[name].kind in PURE)
        }
        measures[course] = np.mean([bits(text) for text in chosen.values()], axis=0)
    localised = {f"localised: {name}": value for name, value in row.get("localised", {}).items() if value is not None}
    return Run(
        row=name,
        videos=tuple(named),
        classes=tuple(named.values()),
        correct=bits(row["correct"]) > 0,
        seed=row["seed"],
        split=str(row["split"]),
        measures=measures,
        numbers=localised,
    )


def compared(chosen: Iterable[tuple[str, Row]], baseline: str, *, every: bool = False) -> Comparison:
    """Return the named rows against the baseline, highest accuracy first and the baseline before all."""
    runs = [as_run(name, row, every=every) for name, row in chosen]
    accuracy = {run.row: np.mean([other.correct.mean() for other in runs if other.row == run.row]) for run in runs}
    ordered = sorted(runs, key=lambda run: (run.row != baseline, -accuracy[run.row]))
    return compare(ordered, baseline)


def inputs(data: str, arm: str = "plain") -> Comparison:
    """Return what each input reaches on a data set, against rgb."""
    return compared(
        ((row["input"], row) for row in results() if (row["data"], row["arm"]) == (data, arm)), baseline="rgb"
    )


def recipes(data: str, network_input: str, *, every: bool = False, but: Sequence[str] = ()) -> Comparison:
    """Return what each recipe reaches on a data set with one input, against crop and flip."""
    left_out = {*BUDGETS, *OTHER_NETWORKS, *but} - {"plain"}
    rows = (row for row in results() if (row["data"], row["input"]) == (data, network_input))
    return compared(((row["arm"], row) for row in rows if row["arm"] not in left_out), "plain", every=every)


def against_spatial(data: str, network_input: str) -> Comparison:
    """Return what magnitudes that change over time do against the same ones held still."""
    both = ("randaugment_small", "randaugment_t_small")
    rows = (row for row in results() if (row["data"], row["input"]) == (data, network_input) and row["arm"] in both)
    return compared(((row["arm"], row) for row in rows), both[0])


def trainings(data: str, network_input: str) -> Comparison:
    """Return what other budgets, networks and settings reach without a recipe."""
    wanted = (*BUDGETS, *OTHER_NETWORKS)
    rows = (row for row in results() if (row["data"], row["input"]) == (data, network_input) and row["arm"] in wanted)
    return compared(((row["arm"], row) for row in rows), "plain")


def budgets(data: str) -> Table:
    """Return what rgb and diff reach by the clips that were seen, and the difference."""
    cells = []
    for arm in BUDGETS:
        rows = [
            row for row in results() if (row["data"], row["arm"]) == (data, arm) and row["input"] in ("rgb", "diff")
        ]
        if {row["input"] for row in rows} != {"rgb", "diff"}:
            continue
        found = inputs(data, arm)
        made = table(found)
        columns = {name: made.header.index(name) for name in ("runs", "top-1", "more than rgb", "p")}
        by_name = {line[0]: line for line in made.rows}
        seen = "8,400 clips seen" if arm == "plain" else arm
        rgb, diff = by_name["rgb"], by_name["diff"]
        cells.append(
            [
                seen,
                rgb[1],
                rgb[columns["top-1"]],
                diff[columns["top-1"]],
                *(diff[columns[name]] for name in ("more than rgb", "p")),
            ]
        )
    return Table(["", "runs", "rgb", "diff", "diff more than rgb", "p"], cells)


def gain(comparison: Comparison, row: str, measure: str = "top-1") -> str:
    """Return what a row has more than the baseline, in points with its interval."""
    found = next(one for one in comparison.rows if one.name == row).differences[measure]
    return f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def accuracy(comparison: Comparison, row: str, measure: str = "top-1") -> str:
    """Return what a row has, in per cent with its interval."""
    found = next(one for one in comparison.rows if one.name == row).measures[measure]
    return f"{100 * found.value:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f})"


def markdown(made: Comparison | Table) -> str:
    """Return a table in Markdown."""
    return as_markdown(table(made) if isinstance(made, Comparison) else made)


def kinds(arms: Sequence[str], network_input: str, data: str = "ut-interaction") -> Table:
    """Return the accuracy under each kind of disturbance at its strongest, held and ramped, a mean over runs."""
    found: dict[str, dict[str, str]] = {}
    for arm in arms:
        rows = [r["disturbed"] for r in results() if (r["data"], r["arm"], r["input"]) == (data, arm, network_input)]
        for name in rows[0]:
            one = DISTURBANCES[name]
            share = np.mean([bits(row[name]).mean() for row in rows])
            cell = found.setdefault(one.kind, {})
            cell[arm] = f"{cell[arm]}, {100 * share:.0f}" if arm in cell else f"{100 * share:.0f}"
    return Table(["held, ramped", *arms], [[kind, *(cells[arm] for arm in arms)] for kind, cells in found.items()])


def main() -> None:
    """Print all tables."""
    print("budgets", markdown(budgets("ut-interaction")), sep="\n\n")
    for data in dict.fromkeys(row["data"] for row in results()):
        print(f"{data}: inputs", markdown(inputs(data)), sep="\n\n")
        for name in dict.fromkeys(row["input"] for row in results() if row["data"] == data):
            print(f"{data}: recipes, {name}", markdown(recipes(data, name)), sep="\n\n")
            print(f"{data}: trainings, {name}", markdown(trainings(data, name)), sep="\n\n")


if __name__ == "__main__":
    main()
