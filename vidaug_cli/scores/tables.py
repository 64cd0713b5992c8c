"""A comparison as a table: text, Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vidaug_cli.draw import plots
from vidaug_cli.scores.compare import TOP1, ComparedRow, Comparison, Difference
from vidaug_cli.scores.statistics import Interval
from vidaug_cli.words import printable

MORE, CHANCE = "more than ", "p"  # in the heads of columns that go with the measure before them
SMALLEST = 0.0001  # a p that is written as it is


class Table(NamedTuple):
    """Cells for people: per cent, with intervals in brackets."""

    header: list[str]
    rows: list[list[str]]


def table(comparison: Comparison) -> Table:
    """Return a row for each row of runs; columns that say nothing are left out."""
    rows, base = comparison.rows, printable(comparison.baseline)
    measures = _names(rows, "measures")
    numbers = _names(rows, "numbers")
    header = ["", "runs"]
    columns = [[printable(row.name) for row in rows], [str(row.runs) for row in rows]]
    for measure in measures:
        header += [measure, f"{MORE}{base}"]
        columns.append([_share(row.measures.get(measure)) for row in rows])
        columns.append([_points(row.differences.get(measure)) for row in rows])
        if measure == TOP1:
            header += [CHANCE]
            columns.append([_chance(row.difference.p if row.difference else None) for row in rows])
    for number in numbers:
        header.append(number)
        columns.append([f"{row.numbers[number]:.2f}" if number in row.numbers else "" for row in rows])
    kept = [place for place, column in enumerate(columns) if any(column)]
    cells = [[columns[place][line] for place in kept] for line in range(len(rows))]
    return Table([header[place] for place in kept], cells)


def class_table(comparison: Comparison) -> Table:
    """Return a row for each class: the baseline's accuracy, what each other row has more, and its p in brackets."""
    others = [row for row in comparison.rows if row.classes]
    names = {one.name: one for row in others for one in row.classes}
    cells = []
    for name, any_one in names.items():
        found = [next((one for one in row.classes if one.name == name), None) for row in others]
        baseline = next(one.baseline for one in found if one)
        more = [f"{100 * one.value:+.1f} (p {_chance(one.p)})" if one else "" for one in found]
        cells.append([printable(name), str(any_one.videos), f"{100 * baseline:.1f}", *more])
    return Table(["class", "videos", printable(comparison.baseline), *(printable(row.name) for row in others)], cells)


def as_text(made: Table, width: int = 0) -> Iterator[str]:
    """Yield lines with aligned columns, the first one to the left.

    Of more columns than have room in `width`, unless that is 0, those that are left stand below, beside the first one.
    """
    lines = [made.header, *made.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, columns in enumerate(_blocks(made.header, widths, width)):
        yield from [""] if number else []
        for line in lines:
            cells = (line[place].rjust(widths[place]) for place in columns)
            yield "  ".join([line[0].ljust(widths[0]), *cells]).rstrip()


def _blocks(header: Sequence[str], widths: Sequence[int], width: int) -> list[list[int]]:
    """Return which columns, of all but the first, have room beside it and each other; those of a measure stay one."""
    measures: list[list[int]] = []
    for place, name in enumerate(header[1:], 1):
        if measures and (name == CHANCE or name.startswith(MORE)):
            measures[-1].append(place)
        else:
            measures.append([place])
    blocks: list[list[int]] = [[]]
    for measure in measures:
        taken = widths[0] + sum(2 + widths[place] for place in [*blocks[-1], *measure])
        if width and blocks[-1] and taken > width:
            blocks.append([])
        blocks[-1] += measure
    return blocks


def as_markdown(made: Table) -> str:
    """Return a table of Markdown."""
    lines = [made.header, ["---", *["---:"] * (len(made.header) - 1)], *made.rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
_LATEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


def as_latex(made: Table) -> str:
    """Return a `tabular` with the rules of the package booktabs."""
    rows = [" & ".join(map(_latex, line)) + r" \\" for line in made.rows]
    head = " & ".join(map(_latex, made.header)) + r" \\"
    columns = "l" + "r" * (len(made.header) - 1)
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex(cell: str) -> str:
    plain = "".join(_LATEX.get(letter, letter) for letter in cell)
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", plain)  # a minus, and no hyphen, before a number


def as_csv(comparison: Comparison) -> str:
    """Return all numbers, shares from 0 to 1, a row for each row of runs."""
    measures, numbers = _names(comparison.rows, "measures"), _names(comparison.rows, "numbers")
    parts = ("value", "low", "high")
    header = ["row", "runs", "splits", "seeds", "videos", "lowest", "highest"]
    for measure in measures:
        header += [f"{measure} {part}" for part in parts] + [f"{measure} difference {part}" for part in parts]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, "p", "better", "worse", *numbers])
    for row in comparison.rows:
        cells: list[object] = [row.name, row.runs, row.splits, row.seeds, row.videos, row.lowest, row.highest]
        for measure in measures:
            found = row.measures.get(measure), row.differences.get(measure)
            cells += [getattr(one, part) if one else "" for one in found for part in parts]
        more = row.difference
        cells += [more.p, more.better, more.worse] if more else [""] * 3
        writer.writerow([*cells, *(row.numbers.get(number, "") for number in numbers)])
    return out.getvalue()


def panels(comparison: Comparison) -> dict[str, list[plots.Bar]]:
    """Return what `plots.intervals` draws: each measure, and what each row has more of it than the baseline."""
    drawn: dict[str, list[plots.Bar]] = {}
    for measure in _names(comparison.rows, "measures"):
        for row in comparison.rows:
            if (own := row.measures.get(measure)) is not None:
                drawn.setdefault(f"{measure}, %", []).append(plots.Bar(row.name, *(100 * part for part in own)))
            if (more := row.differences.get(measure)) is not None:
                ends = (100 * part for part in (more.value, more.low, more.high))
                title = f"{measure}, points more than {comparison.baseline}"
                drawn.setdefault(title, []).append(plots.Bar(row.name, *ends))
    return drawn


def _names(rows: Sequence[ComparedRow], what: str) -> list[str]:
    """Return the measures or the numbers that any row has, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in getattr(row, what)))


def _share(estimate: Interval | None) -> str:
    return "" if estimate is None else "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * part for part in estimate))


def _points(difference: Difference | None) -> str:
    if difference is None:
        return ""
    value, low, high = (100 * part for part in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _chance(p: float | None) -> str:
    return "" if p is None else f"< {SMALLEST}" if p < SMALLEST else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"
