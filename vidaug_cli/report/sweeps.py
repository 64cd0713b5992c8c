"""What a report says of a sweep: its table, the best configuration, and what is not done yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vidaug_cli.errors import SweepError
from vidaug_cli.report.pieces import Intervals, Missing, Report, Setting, intervals
from vidaug_cli.schema import parse, parse_json
from vidaug_cli.scores.runs import SCORES
from vidaug_cli.sweep.result import BEST
from vidaug_cli.sweep.state import STATE, State
from vidaug_cli.words import count

T = TypeVar("T")
TABLE = "table.json"  # as `sweep.result` writes it


@dataclass(frozen=True)
class _Estimate:
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class _Row:
    name: str
    runs: int
    videos: int
    measures: dict[str, Any]
    differences: dict[str, Any]


@dataclass(frozen=True)
class _Table:
    """What of the table is shown."""

    baseline: str
    rows: tuple[_Row, ...]
    failed: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SweepReport(Report):
    """Everything that a page shows of a sweep."""

    kind = "sweep"
    places = {  # noqa: RUF012 (a constant)
        "table": ("Table", "panels"),
        "failed": ("Failed", "failed"),
        "missing": ("Not here", "missing"),
        "made": ("What was tried", "source"),
    }
    panels: dict[str, Intervals]
    failed: tuple[Setting, ...]  # runs, with the reason
    grid: tuple[Setting, ...]  # keys and the values that were tried
    best: str  # recipe, TOML
    missing: tuple[Missing, ...]


def report_sweep(source: Path) -> SweepReport:
    """Return what a page shows of a sweep, finished or not. Raises SweepError where its files are damaged."""
    state = _read(State, source / STATE)
    done = len(list((source / "runs").glob(f"*/*/{SCORES}")))
    table = _read(_Table, source / TABLE) if (source / TABLE).is_file() else None
    missing = []
    if table is None:
        what = f"There is no table yet: {count(done, 'run')} done. The same 'vidaug sweep' command goes on."
        missing.append(Missing(what))
    tried = sum(int(rung.get("configurations", 0)) for rung in state.schedule[:1])
    grid = {str(key): values for key, values in dict(state.sweep.get("grid") or {}).items()}
    best = source / BEST
    return SweepReport(
        source=str(source),
        name=source.absolute().name,
        stats=(Setting("configurations", f"{tried:,}"), Setting("runs done", f"{done:,}")),
        notes=_notes(source, table),
        panels=_panels(table) if table else {},
        failed=tuple(Setting(name, reason) for name, reason in table.failed.items()) if table else (),
        grid=tuple(Setting(key, ", ".join(map(str, values))) for key, values in grid.items()),
        best=best.read_text(encoding="utf-8") if best.is_file() else "",
        missing=tuple(missing),
    )


def _read(kind: type[T], path: Path) -> T:
    """Return what a file of a sweep says. Raises SweepError where it is damaged."""
    try:
        return parse(kind, parse_json(path.read_bytes(), dict, "it", error=SweepError), error=SweepError, extra=True)
    except SweepError as error:
        raise SweepError(error.what, where=path, hint="the same 'vidaug sweep' command writes it again") from error


def _panels(table: _Table) -> dict[str, Intervals]:
    """Return the accuracies of all configurations, and what each has less or more than the best."""
    own = [(row.name, _estimate(row.measures), (f"{row.runs}", f"{row.videos:,}")) for row in table.rows]
    found = {"Top-1 of each configuration, the best first": intervals(own, heads=("runs", "videos"))}
    if more := [(row.name, _estimate(row.differences), ()) for row in table.rows if row.differences]:
        found[f"Points more than {table.baseline}"] = intervals(more, signed=True)
    return found


def _estimate(values: dict[str, Any]) -> tuple[float, float, float]:
    """Return the top-1 among measures or differences. Raises SweepError where it is not there."""
    one = parse(_Estimate, values.get("top-1"), where="top-1 in the table", error=SweepError, extra=True)
    return one.value, one.low, one.high


def _notes(source: Path, table: _Table | None) -> tuple[str, ...]:
    """Return what the sweep says of its table, as it stands under it in `table.txt`; else what the table says."""
    if table is None:
        return ()
    try:
        _, _, said = (source / "table.txt").read_text(encoding="utf-8").partition("\n\n")
    except OSError:
        said = ""
    return _lines(said) or table.notes


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line.strip())
