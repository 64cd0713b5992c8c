"""Read the lines of a list, with a header or without, in whatever way they are separated.

Without a header the part of a line that names a file is the path, and the rest is label and split.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from vidaug_cli.data.listing import columns
from vidaug_cli.data.listing.candidates import Entry, number_of
from vidaug_cli.data.listing.columns import Line, ListTable, cells_of
from vidaug_cli.data.listing.lookup import Lookup
from vidaug_cli.data.listing.names import SPLITS, split_of
from vidaug_cli.data.listing.tree import IMAGES, VIDEOS, spell
from vidaug_cli.errors import ListingError
from vidaug_cli.words import cut

_SUFFIXES = "|".join(suffix[1:] for suffix in sorted(VIDEOS))
ENDS = re.compile(rf"\.({_SUFFIXES})(?=[\s,;]|$)", re.IGNORECASE)  # of a file's name in a line
_ODD = re.compile(rf"(.*?\.({_SUFFIXES}))\s*(-+>|[^\w\s.,;/\\\"'()\[\]-]+)", re.IGNORECASE)


class Parts(NamedTuple):
    """A line without header, taken apart."""

    name: str
    rest: list[str]  # what stands behind the path
    delimiter: str  # between them; empty where nothing is


def read_entries(lines: list[Line], list_name: str, places: Lookup) -> tuple[list[Entry], list[str]]:
    """Return the entries of a list, and notes on how it was read.

    Raises VidaugError with the line where it can be read in two ways, or has what a list cannot say.
    """
    lines = [line for line in lines if not _is_comment(line[1], places)]
    if not lines:
        raise ListingError("holds only comments", where=list_name, hint="a list has a line 'path label' for each video")
    table = _table(lines, places)
    if table is None:
        table, notes = _headerless(lines, places)
        roles = {role: place for place, role in enumerate(table.columns)}
    else:
        roles, notes = columns.place_roles(table, list_name, places.find)
        places.drop_missing_folders([cells[roles["path"]] for _, cells in table.rows])
    entries = list(columns.table_entries(table, roles, list_name))
    _check_labels(entries)
    return entries, notes


def _is_comment(line: str, places: Lookup) -> bool:
    """Return whether a line begins with `#` and names nothing that is there, nor anything that could be a video."""
    return line.lstrip().startswith("#") and not ENDS.search(line) and not places.find(_split_line(line, places).name)


def _table(lines: list[Line], places: Lookup) -> ListTable | None:
    """Return the list as a table, if its first line is a header: by its words, or because only it names no file."""
    first, rest = lines[0][1], lines[1:]
    known = columns.header_of(first)
    if places.find(first.strip()) or (known and not rest and places.find(_split_line(first, places).name)):
        return None
    if known and known[0] == " " and len(known[1]) == 2:  # either may hold blanks
        order = 1 if known[1][0] != "label" else -1
        parts = [(where, _split_line(line, places)) for where, line in rest]
        return ListTable(known[1], [(where, [part.name, " ".join(part.rest)][::order]) for where, part in parts])
    if known:
        return columns.read_table(rest, *known)
    for delimiter in "\t,;|":
        heads = cells_of(first, delimiter)
        sample = [cells_of(line, delimiter) for _, line in rest[:100]]
        if len(heads) < 2 or {len(cells) for cells in sample} != {len(heads)}:
            continue
        for place, head in enumerate(heads):
            hits = sum(bool(places.find(cells[place])) for cells in sample)
            if hits * 2 > len(sample) and not places.find(head) and not ENDS.search(head):
                return columns.read_table(rest, delimiter, [columns.column(cell) for cell in heads])
    return None


def _check_labels(entries: Sequence[Entry]) -> None:
    """Refuse several labels in one cell, and labels that are rather files."""
    for entry in entries:
        label = entry.label or ""
        if re.fullmatch(r"-?\d+(?:\s*[ ,;|]\s*-?\d+)+", label):
            raise ListingError(f"several labels: {cut(label)!r}", where=entry.where, hint="a video has one label here")
        if ENDS.search(label):
            what = f"the label {cut(spell(label))!r} looks like a file"
            raise ListingError(what, where=entry.where, hint='put paths that hold the separator in "quotes"')


def _headerless(lines: list[Line], places: Lookup) -> tuple[ListTable, list[str]]:
    """Return a list without header as a table of path, label and perhaps split, and notes on how it was read.

    Raises VidaugError with a line that can be read in two ways.
    """
    parts = [_split_line(line, places) for _, line in lines]
    there = [bool(places.find(part.name)) for part in parts]
    if not any(there):
        parts = _behind(lines, places) or parts
    places.drop_missing_folders([part.name for part in parts])
    if places.dropped:
        parts = [_split_line(line, places) for _, line in lines]
    odd = all(len(part.rest) > 1 and re.fullmatch(r"[^\w\s]+", part.rest[0]) for part in parts)
    if odd or not any(places.find(part.name) for part in parts):
        _check_separator(lines)
    common = Counter(part.delimiter for part, hit in zip(parts, there, strict=True) if hit and part.rest)
    for usual, _ in common.most_common(1):
        each = zip(parts, there, lines, strict=True)
        parts = [part if hit else _split_at(line, usual) for part, hit, (_, line) in each]
    splits = _take_splits(lines, parts)
    labels, notes = _labels(lines, parts)
    cells_in = {"path": [part.name for part in parts], "label": labels} | ({"split": splits} if splits else {})
    rows = [(where, cells) for (where, _), *cells in zip(lines, *cells_in.values(), strict=True)]
    return ListTable(list(cells_in), rows), notes


def _split_line(line: str, places: Lookup) -> Parts:
    """Return the line with as much for the path as names a file; where nothing does, by what files are called."""
    line = line.strip(" \r\n")
    if quoted := re.fullmatch(r'\s*"([^"]+)"\s*[,;\t]?\s*(.*?)\s*', line):
        return _parts(quoted[1], quoted[2], "," if "," in line[quoted.end(1) :][:3] else " ")
    ends = [*(gap.start() for gap in re.finditer(r"[\t,; ]", line)), len(line)]
    for find in (places.exists, places.find) if len(ends) < 100 else ():
        for end in reversed(ends):
            if find(line[:end].strip()):
                return _parts(line[:end], line[end + 1 :], line[end : end + 1])
    if "\t" in line:
        return _split_at(line, "\t")
    if name := ENDS.search(line):
        return _parts(line[: name.end()], line[name.end() + 1 :], line[name.end() : name.end() + 1])
    for delimiter in ",;":
        if len(cells_of(line, delimiter)) > 1:
            return _split_at(line, delimiter)
    path, _, label = line.rpartition(" ")  # the last word is the label
    return _parts(path, label, " ") if path else _parts(line, "", "")


def _split_at(line: str, delimiter: str) -> Parts:
    line = line.strip(" \r\n")
    if delimiter == " " and (end := ENDS.search(line)):
        return _parts(line[: end.end()], line[end.end() + 1 :], " ")
    name, _, rest = line.partition(delimiter) if delimiter else (line, "", "")
    return _parts(name, rest, delimiter)


def _parts(name: str, rest: str, delimiter: str) -> Parts:
    if delimiter in (" ", ""):
        delimiter = next((sign for sign in "\t,;" if sign in rest), "")
        if not delimiter:
            return Parts(name.strip(), rest.split(), " " if rest.strip() else "")
        rest = rest.strip().removeprefix(delimiter)
    cells = [cell for cell in cells_of(rest, delimiter) if cell] if rest.strip() else []
    return Parts(name.strip().strip('"'), cells, delimiter if cells else "")


def _behind(lines: list[Line], places: Lookup) -> list[Parts] | None:
    """Return the lines with the path last: `label path`."""
    for delimiter in columns.DELIMITERS:
        rows = [cells_of(line, delimiter) for _, line in lines]
        named = sum(bool(places.find(cells[-1])) for cells in rows if len(cells) > 1)
        if all(len(cells) > 1 for cells in rows) and named * 2 > len(rows):
            return [Parts(cells[-1], cells[:-1], delimiter) for cells in rows]
    return None


def _take_splits(lines: list[Line], parts: list[Parts]) -> list[str]:
    """Return the last word of each line, taken off, if all are splits; in words apart by blanks they must differ."""
    last = [part.rest[-1] if len(part.rest) > 1 else "" for part in parts]
    if not all(cell.casefold() in SPLITS for cell in last):
        return []
    words = all(part.delimiter == " " for part in parts)
    if words and len(set(map(split_of, last))) == 1 and any(number_of(part.rest[0]) is None for part in parts):
        (where, line), rest = lines[0], parts[0].rest
        what = f"{cut(line.strip())!r} reads two ways: class {' '.join(rest)!r}, or {rest[0]!r} in {last[0]}"
        raise ListingError(what, where=where, hint="separate path, label and split by tabs or commas")
    for part in parts:
        part.rest.pop()
    return last


def _labels(lines: list[Line], parts: list[Parts]) -> tuple[list[str], list[str]]:
    """Return the label of each line, and a note where the lines have more than that."""
    longer = [(line, part) for line, part in zip(lines, parts, strict=True) if len(part.rest) > 1]
    if longer and all(number_of(word) is not None for part in parts for word in part.rest):
        return _labels_after_frames(lines, parts)
    numbers_last = all(number_of(part.rest[-1]) is not None for part in parts if part.rest)
    if longer and (numbers_last or any(part.delimiter != " " for _, part in longer)):
        (where, line), part = longer[0]
        what = f"{cut(line.strip())!r} has {len(part.rest)} values after the path: {cut(', '.join(part.rest))}"
        raise ListingError(what, where=where, hint="keep 'path label', or say with a header what the columns are")
    return [" ".join(part.rest) for part in parts], []


def _labels_after_frames(lines: list[Line], parts: list[Parts]) -> tuple[list[str], list[str]]:
    """Read `path frames label`, as lists of frame folders have it; several labels are refused."""
    for (where, line), part in zip(lines, parts, strict=True):
        bare = PurePosixPath(part.name).suffix.lower() not in VIDEOS | IMAGES
        with_frames = len(part.rest) == 2 and (number_of(part.rest[0]) or 0) >= 2
        if not bare or not (with_frames or len(part.rest) == 1):
            raise ListingError(
                f"{cut(line.strip())!r} has several numbers after the path: {cut(' '.join(part.rest))}",
                where=where,
                hint="a video has one label here; 'path frames label' is read where the path has no extension,"
                " and other columns with a header",
            )
    return [part.rest[-1] for part in parts], ["lines are read as path, number of frames (not used), label"]


def _check_separator(lines: list[Line]) -> None:
    """Refuse a list whose lines have another separator than those that are read."""
    where, line = lines[0]
    if (odd := _ODD.match(line.strip())) and all(_ODD.match(line.strip()) for _, line in lines):
        what = f"{cut(line.strip())!r}: path and label seem to be separated by {odd[3]!r}"
        raise ListingError(what, where=where, hint="separate them by a tab, comma, semicolon or blank")
