"""Read lists with a header: which column names the video, which the class, the split and the segment."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import NamedTuple

from vidaug_cli.data.listing.candidates import Entry, number_of
from vidaug_cli.data.listing.names import split_in, split_of
from vidaug_cli.errors import ListingError
from vidaug_cli.words import cut

Line = tuple[str, str]  # the place, as `list.csv:7`, and what stands there

DELIMITERS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "blank"}

# What columns are called, the plainest names first; all in small letters, with `_` between words.
_ROLES = {
    "path": "path filepath file_path relative_path rel_path video_path clip_path full_path file filename file_name"
    " video_file video video_name videoname clip clip_name clipname name youtube_id yt_id ytid video_id videoid vid"
    " clip_id id",
    "label": "label labels class classname class_name label_name category category_name action action_name action_label"
    " activity activity_name target gesture event",
    "number": "class_id classid class_idx class_index class_number label_id label_idx label_index idx index action_id"
    " category_id",
    "split": "split subset set partition usage",
    "start": "start start_time time_start t_start start_sec start_seconds start_s begin onset",
    "end": "end end_time time_end t_end end_sec end_seconds end_s stop offset",
    "duration": "duration duration_sec duration_seconds",
    "frame": "start_frame frame_start first_frame begin_frame end_frame frame_end last_frame stop_frame start_ms end_ms"
    " start_idx end_idx",
}
ROLES = {name: role for role, names in _ROLES.items() for name in names.split()}
_RANKS = {name: rank for rank, name in enumerate(ROLES)}


class ListTable(NamedTuple):
    """A list as a table."""

    columns: list[str]  # as `column` spells them
    rows: list[tuple[str, list[str]]]  # the place, and a cell for each column


def column(cell: str) -> str:
    """Return a header's cell in small letters with `_` between words: `time_start` for `Time Start`, `timeStart`."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cell.strip())
    return re.sub(r"[\W_]+", "_", apart).strip("_").casefold()


def cells_of(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line, without the blanks and quotes around them."""
    line = line.strip() if delimiter == " " else line
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def header_of(line: str) -> tuple[str, list[str]] | None:
    """Return delimiter and columns of a first line that names its columns; None where none of them is a video's."""
    for delimiter in DELIMITERS:
        columns = [column(cell) for cell in cells_of(line, delimiter)]
        roles = [ROLES.get(name) for name in columns]
        if "path" in roles and (delimiter != " " or None not in roles):
            return delimiter, columns
    return None


def read_table(lines: Sequence[Line], delimiter: str, columns: list[str]) -> ListTable:
    """Return the rows below a header. Raises VidaugError where one has more cells than the header."""
    rows = []
    for where, line in lines:
        cells = cells_of(line, delimiter)
        if len(cells) > len(columns):
            what = f"{cut(line)!r} has {len(cells)} cells, separated by {DELIMITERS[delimiter]}s, of {len(columns)}"
            raise ListingError(f"{what} columns", where=where, hint='put names that hold the separator in "quotes"')
        rows.append((where, cells + [""] * (len(columns) - len(cells))))
    return ListTable(columns, rows)


def place_roles(table: ListTable, where: str, find: Callable[[str], list[str]]) -> tuple[dict[str, int], list[str]]:
    """Return the place of the column for each role, and a note where a column's meaning was not plain from its name.

    Of several columns that could name the video, the one that names most files that are there counts; then the one with
    the plainest name. Raises VidaugError where the class or a segment is in none or in several.
    """
    notes: list[str] = []
    roles = [ROLES.get(name) for name in table.columns]
    ranked = sorted(range(len(roles)), key=lambda place: _RANKS.get(table.columns[place], len(_RANKS)))
    taken = {role: place for place in reversed(ranked) if (role := roles[place]) and role != "path"}
    free = [place for place in ranked if roles[place] in (None, "path")]
    sample = table.rows[:: max(len(table.rows) // 100, 1)]
    hits = {place: sum(bool(find(cells[place])) for _, cells in sample if cells[place]) for place in free}
    best = max(free, key=lambda place: hits[place], default=None)  # of equals the first, which is the plainest
    if best is None or not (roles[best] or hits[best]):
        raise ListingError(f"no column names files that are there: {_spell(table.columns)}", where=where, hint=_WANTED)
    taken["path"] = best
    classes = [place for place in ranked if roles[place] == "label"]
    if len(classes) > 1:
        taken |= _of_two(table, classes[:2], where)
    rest = [place for place in free if place != taken["path"] and roles[place] is None]
    if "label" not in taken and "number" not in taken and rest:
        if len(rest) > 1:
            raise ListingError(f"which column is the class: {_spell(table.columns)}?", where=where, hint=_WANTED)
        taken["label"] = rest.pop()
        notes.append(f"{where}: the class is taken from the column {cut(table.columns[taken['label']])!r}")
    if "frame" in taken and not {"start", "end"} & taken.keys():
        what = f"the column {table.columns[taken['frame']]!r} counts frames, and segments are in seconds"
        raise ListingError(what, where=where, hint="call the columns start and end, in seconds")
    if unused := [table.columns[place] for place in rest]:
        notes.append(f"{where}: columns not used: {_spell(unused)}")
    return taken, notes


def _of_two(table: ListTable, classes: list[int], where: str) -> dict[str, int]:
    """Return which of two columns is the class: where one has a number for each name of the other, the names are."""
    first, second = classes
    pairs = {(cells[first], cells[second]) for _, cells in table.rows}
    if not len(pairs) == len({name for name, _ in pairs}) == len({name for _, name in pairs}):
        columns = f"{table.columns[first]} or {table.columns[second]}"
        raise ListingError(f"which column is the class: {columns}?", where=where, hint="remove or rename the other")
    if all(number_of(name) is not None for name, _ in pairs):
        first, second = second, first
    numbers = all(number_of(cells[second]) is not None for _, cells in table.rows)
    return {"label": first, "number": second} if numbers else {"label": first}


_WANTED = "call the columns path, label, and where there are any split, start, end (seconds)"


def _spell(columns: list[str]) -> str:
    return ", ".join(cut(name, 30) or "(no name)" for name in columns[:8]) + (" ..." if len(columns) > 8 else "")


def table_entries(table: ListTable, places: dict[str, int], list_name: str) -> Iterator[Entry]:
    """Yield an entry for each row. Without a column for it the split is that in the list's name: `train.csv`."""
    by_name = split_in(list_name)
    for where, cells in table.rows:
        row = {role: cells[place] for role, place in places.items()}
        start, end = (_seconds(row.get(role, ""), where) for role in ("start", "end"))
        if end is None and start is not None and (lasts := _seconds(row.get("duration", ""), where)) is not None:
            end = start + lasts
        if start is not None and end is not None and not start < end:
            what = f"the segment from {start:g} to {end:g} s has no length"
            raise ListingError(what, where=where, hint="end it after its start")
        split = split_of(row["split"]) if "split" in row else by_name
        label = row.get("label") or row.get("number") or None
        yield Entry(row["path"], where, label, number_of(row.get("number")), split or None, start, end)


def _seconds(cell: str, where: str) -> float | None:
    if not cell:
        return None
    try:
        seconds = reduce(lambda total, part: 60 * total + float(part), cell.split(":"), 0.0)  # 00:01:10.5
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise ListingError(f"{cut(cell)!r} should be a time", where=where, hint="such as 70.5 (seconds) or 0:01:10.5")
    return seconds
