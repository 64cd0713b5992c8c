"""Read lists without a header: the part of a line that names a file is the path, the rest is label and split."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath
from typing import NamedTuple

from vidaug_cli.data.listing.candidates import Entry, number_of
from vidaug_cli.data.listing.columns import DELIMITERS, Line, cells_of
from vidaug_cli.data.listing.lookup import Lookup
from vidaug_cli.data.listing.names import SPLITS, split_in, split_of
from vidaug_cli.data.listing.tree import IMAGES, VIDEOS
from vidaug_cli.errors import VidaugError
from vidaug_cli.words import cut

_KINDS = "|".join(kind[1:] for kind in sorted(VIDEOS))
ENDS = re.compile(rf"\.({_KINDS})(?=[\s,;]|$)", re.IGNORECASE)  # of a file's name in a line
_ODD = re.compile(rf"(.*?\.({_KINDS}))\s*(-+>|[^\w\s.,;/\\\"'()\[\]-]+)", re.IGNORECASE)


class Parts(NamedTuple):
    """A line without header, taken apart."""

    name: str
    rest: list[str]  # what stands behind the path
    delimiter: str  # between them; empty where nothing is


def read_headerless(lines: list[Line], list_name: str, places: Lookup) -> tuple[list[Entry], list[str]]:
    """Return the entries of a list, and notes on how it was read.

    Raises VidaugError with a line that can be read in two ways.
    """
    parts = [split_line(line, places) for _, line in lines]
    found = [bool(places.find(part.name)) for part in parts]
    if not any(found):
        parts = _behind(lines, places) or parts
    places.drop_missing_folders([part.name for part in parts])
    if places.dropped:
        parts = [split_line(line, places) for _, line in lines]
    if all(len(part.rest) > 1 and re.fullmatch(r"[^\w\s]+", part.rest[0]) for part in parts) or not any(
        places.find(part.name) for part in parts
    ):
        _check_separator(lines)
    common = Counter(part.delimiter for part, there in zip(parts, found, strict=True) if there and part.rest)
    if common:
        usual = common.most_common(1)[0][0]
        parts = [
            part if there else _split_at(line, usual)
            for part, there, (_, line) in zip(parts, found, lines, strict=True)
        ]
    rows = list(zip(lines, parts, strict=True))
    splits = _take_splits(rows)
    labels, notes = _labels(rows)
    by_name = split_in(list_name)
    entries = [
        Entry(part.name, where, label, None, split_of(split) if split else by_name)
        for ((where, _), part), label, split in zip(rows, labels, splits, strict=True)
    ]
    return entries, notes


def split_line(line: str, places: Lookup) -> Parts:
    """Return the line with as much for the path as names a file; where nothing does, by what files are called."""
    line = line.strip(" \r\n")
    if quoted := re.fullmatch(r'\s*"([^"]+)"\s*[,;\t]?\s*(.*?)\s*', line):
        return _parts(quoted[1], quoted[2], "," if "," in line[quoted.end(1) :][:3] else " ")
    ends = [*(found.start() for found in re.finditer(r"[\t,; ]", line)), len(line)]
    for find in (places.exists, lambda name: bool(places.find(name))) if len(ends) < 100 else ():
        for end in reversed(ends):
            if find(line[:end].strip()):
                return _parts(line[:end], line[end + 1 :], line[end : end + 1])
    if "\t" in line:
        return _split_at(line, "\t")
    if kind := ENDS.search(line):
        return _parts(line[: kind.end()], line[kind.end() + 1 :], line[kind.end() : kind.end() + 1])
    delimiter = next((sign for sign in ",;" if len(cells_of(line, sign)) > 1), " ")
    if delimiter == " ":  # the last word is the label
        name, _, label = line.rpartition(" ")
        return _parts(name, label, " ") if name else _parts(line, "", "")
    return _split_at(line, delimiter)


def _split_at(line: str, delimiter: str) -> Parts:
    line = line.strip(" \r\n")
    if delimiter == " " and (end := ENDS.search(line)):
        return _parts(line[: end.end()], line[end.end() + 1 :], " ")
    name, _, rest = line.partition(delimiter) if delimiter else (line, "", "")
    return _parts(name, rest, delimiter)


def _parts(name: str, rest: str, delimiter: str) -> Parts:
    if delimiter in (" ", ""):
        inner = next((sign for sign in "\t,;" if sign in rest), "")
        if not inner:
            return Parts(name.strip(), rest.split(), " " if rest.strip() else "")
        delimiter = inner
        rest = rest.strip().removeprefix(inner)
    cells = [cell for cell in cells_of(rest, delimiter) if cell] if rest.strip() else []
    return Parts(name.strip().strip('"'), cells, delimiter if cells else "")


def _behind(lines: list[Line], places: Lookup) -> list[Parts] | None:
    """Return the lines with the path last: `label path`."""
    for delimiter in DELIMITERS:
        rows = [cells_of(line, delimiter) for _, line in lines]
        named = sum(bool(places.find(cells[-1])) for cells in rows if len(cells) > 1)
        if all(len(cells) > 1 for cells in rows) and named * 2 > len(rows):
            return [Parts(cells[-1], cells[:-1], delimiter) for cells in rows]
    return None


def _take_splits(rows: list[tuple[Line, Parts]]) -> list[str]:
    """Return the last word of each line, taken off, if all are splits; in words apart by blanks they must differ."""
    last = [part.rest[-1] if len(part.rest) > 1 else "" for _, part in rows]
    if not all(cell.casefold() in SPLITS for cell in last):
        return [""] * len(rows)
    words = all(part.delimiter == " " for _, part in rows)
    if words and len({split_of(word) for word in last}) == 1 and any(number_of(p.rest[0]) is None for _, p in rows):
        (where, line), part = rows[0]
        raise VidaugError(
            f"{cut(line.strip())!r} reads two ways: class {' '.join(part.rest)!r}, or {part.rest[0]!r} in {last[0]}",
            where=where,
            hint="separate path, label and split by tabs or commas",
        )
    for _, part in rows:
        part.rest.pop()
    return last


def _labels(rows: list[tuple[Line, Parts]]) -> tuple[list[str | None], list[str]]:
    """Return the label of each line, and a note where the lines have more than that."""
    if max(len(part.rest) for _, part in rows) > 1:
        if all(number_of(word) is not None for _, part in rows for word in part.rest):
            return _frames_and_label(rows)
        (where, line), part = next(row for row in rows if len(row[1].rest) > 1)
        if any(p.delimiter != " " for _, p in rows if len(p.rest) > 1) or all(
            number_of(p.rest[-1]) is not None for _, p in rows if p.rest
        ):
            seen = f"{cut(line.strip())!r} has {len(part.rest)} values behind the path: {cut(', '.join(part.rest))}"
            raise VidaugError(seen, where=where, hint="keep 'path label', or say with a header what the columns are")
    return [" ".join(part.rest) or None for _, part in rows], []


def _frames_and_label(rows: list[tuple[Line, Parts]]) -> tuple[list[str | None], list[str]]:
    """Read `path frames label`, as lists of frame folders have it; several labels are refused."""
    for (where, line), part in rows:
        bare = PurePosixPath(part.name).suffix.lower() not in VIDEOS | IMAGES
        if len(part.rest) != 2 or not bare or (number_of(part.rest[0]) or 0) < 2:
            if len(part.rest) == 1 and bare:
                continue
            raise VidaugError(
                f"{cut(line.strip())!r} has several numbers behind the path: {cut(' '.join(part.rest))}",
                where=where,
                hint="a video has one label here; 'path frames label' is read where the path has no extension,"
                " and other columns with a header",
            )
    note = "lines are read as path, number of frames (not used), label"
    return [part.rest[-1] for _, part in rows], [note]


def _check_separator(lines: list[Line]) -> None:
    """Refuse a list whose lines have another separator than those that are read."""
    where, line = lines[0]
    odd = _ODD.match(line.strip())
    if odd and all(_ODD.match(line.strip()) for _, line in lines):
        what = f"{cut(line.strip())!r}: path and label seem to be separated by {odd[3]!r}"
        raise VidaugError(what, where=where, hint="separate them by a tab, comma, semicolon or blank")
