"""What a report says of several runs beside each other: accuracies and differences, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidaug_cli.errors import VidaugError
from vidaug_cli.report.pieces import Intervals, Report, intervals
from vidaug_cli.scores.compare import Comparison, compare
from vidaug_cli.scores.runs import SCORES, find_runs, read_runs


@dataclass(frozen=True, kw_only=True)
class ComparisonReport(Report):
    """Everything that a page shows of several runs beside each other."""

    kind = "comparison"
    panels: dict[str, Intervals]


def compare_runs(sources: Sequence[Path]) -> ComparisonReport | None:
    """Return runs beside each other, those that have scores; None where fewer than two have.

    Scores that cannot be compared, as they are of other videos, are noted.
    """
    scored = [source for source in sources if (source / SCORES).is_file()]
    if len(scored) < 2:
        return None
    try:
        comparison = compare(read_runs(find_runs(list(map(str, scored)))))
    except VidaugError as error:
        return ComparisonReport(
            source="", name="Comparison", notes=(f"The runs cannot be compared: {error}.",), panels={}
        )
    notes = [*comparison.notes, *(f"{row.name}: {row.pairs}" for row in comparison.rows if row.pairs)]
    if lacking := [source.name for source in sources if source not in scored]:
        notes.append(f"Not in it, as they have no {SCORES}: {', '.join(lacking)}")
    return ComparisonReport(
        source=", ".join(map(str, scored)), name="Comparison", notes=tuple(notes), panels=panels(comparison)
    )


def panels(comparison: Comparison) -> dict[str, Intervals]:
    """Return each measure of the rows of runs, and what each row has more of it than the baseline."""
    found: dict[str, Intervals] = {}
    for measure in dict.fromkeys(name for row in comparison.rows for name in row.measures):
        own = [
            (row.name, row.measures[measure], (f"{row.runs}", f"{row.videos:,}"))
            for row in comparison.rows
            if measure in row.measures
        ]
        found[measure] = intervals(own, heads=("runs", "videos"))
        more = [
            (row.name, (each.value, each.low, each.high), ("" if each.p is None else f"{each.p:.2g}",))
            for row in comparison.rows
            if (each := row.differences.get(measure))
        ]
        if more:
            title = f"{measure}, points more than {comparison.baseline}"
            found[title] = intervals(more, heads=("p",) if any(cells[0] for *_, cells in more) else (), signed=True)
    return found
