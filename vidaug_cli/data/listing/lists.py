"""A plain list of videos: `path label` a line with any of the usual separators, or a table with a header."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vidaug_cli.data.listing.candidates import Listing, Source, number_of, with_numbers
from vidaug_cli.data.listing.entries import Entry, match
from vidaug_cli.data.listing.folders import UnclearError, by_folder
from vidaug_cli.data.listing.names import split_in, split_of
from vidaug_cli.data.listing.places import Finder, Places
from vidaug_cli.data.listing.tables import (
    DELIMITERS,
    Line,
    Table,
    cells_of,
    column,
    header_of,
    is_split_column,
    place_roles,
    read_table,
    table_entries,
)
from vidaug_cli.data.listing.tree import IMAGES, VIDEOS, spell
from vidaug_cli.data.text import cut, read_lines, split_lines
from vidaug_cli.errors import VidaugError

_INPUT = "scan takes a folder of videos or a list of 'path label'"
_KINDS = "|".join(kind[1:] for kind in sorted(VIDEOS))
_ENDS = re.compile(rf"\.({_KINDS})(?=[\s,;]|$)", re.IGNORECASE)  # of a file's name in a line
_ODD = re.compile(rf"(.*?\.({_KINDS}))\s*(-+>|[^\w\s.,;/\\\"'()\[\]-]+)", re.IGNORECASE)


def list_list(source: Source) -> Listing:
    """The videos a text file names, relative to the root; nothing else is looked at.

    Between path and label stands a tab, comma, semicolon or blank; the path is as much of the line as names a file, so
    that both may hold blanks. A table has a header. Labels that are whole numbers are class numbers too. In a list of
    paths alone the folders say the class.
    """
    lines = _lines(source)
    places = Places(source.root)
    entries, notes = read_entries(lines, source.input.name, places)
    listing, _ = match(entries, lambda entry: places.find(entry.name))
    listing.notes.extend([*notes, *places.notes()])
    if not source.rooted and entries and all(PurePosixPath(entry.name).is_absolute() for entry in entries):
        listing = _at_common_root(listing)
    if entries and not listing.candidates:
        listing.notes.append(f"paths in the list are taken relative to {source.root}: --root names another folder")
    if all(found.label is None for found in listing.candidates):
        return _labelled_by_folder(listing, source)
    return with_numbers(listing)


def _lines(source: Source) -> list[Line]:
    path = source.input
    if path.suffix.lower() in VIDEOS:
        raise VidaugError("is a video", where=path, hint=_INPUT)
    lines = list(read_lines(path) if source.content is None else split_lines(source.content, path))
    if not lines:
        raise VidaugError("is empty", where=path, hint="a list has a line 'path label' for each video")
    if lines[0][1].lstrip().startswith("{"):
        raise VidaugError("looks like a manifest already", where=path, hint=_INPUT)
    return lines


def _labelled_by_folder(listing: Listing, source: Source) -> Listing:
    """The listing with classes, and splits where the list has none, from the folders that its paths name."""
    known = {found.path: found for found in listing.candidates}
    try:
        by_names = by_folder(known, source.pattern)
    except UnclearError as error:
        listing.notes.append(f"no label is given, and {error.what}; {error.hint}")
        return listing
    if any(found.label is not None for found in by_names.candidates):
        listing.notes.append("the list names no classes: they are those of the folders")
    listing.notes.extend(by_names.notes)
    labels = {found.path: found for found in by_names.candidates}
    listing.candidates[:] = [
        found._replace(
            label=labels[found.path].label,
            class_id=labels[found.path].class_id,
            split=found.split or labels[found.path].split,
        )
        for found in listing.candidates
    ]
    return listing


def _at_common_root(listing: Listing) -> Listing:
    paths = [found.path for found in listing.candidates]
    if not paths or not all(map(os.path.isabs, paths)):
        return listing
    root = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120 (once for each video)
    moved = [found._replace(path=os.path.relpath(found.path, root)) for found in listing.candidates]
    return Listing(moved, listing.quarantined, listing.notes, listing.passed_over, Path(root))


def read_entries(lines: list[Line], list_name: str, places: Finder) -> tuple[list[Entry], list[str]]:
    """The entries of a list, and notes on how it was read.

    Raises VidaugError with the line where it can be read in two ways, or has what a list cannot say.
    """
    lines = [line for line in lines if not _is_comment(line[1], places)]
    if not lines:
        raise VidaugError("holds only comments", where=list_name, hint="a list has a line 'path label' for each video")
    table = _table(lines, places)
    if table is None:
        return _plain(lines, list_name, places)
    taken, notes = place_roles(table, list_name, lambda name: bool(places.find(name)))
    places.drop_what_is_not_there([cells[taken["path"]] for _, cells in table.rows])
    entries = list(table_entries(table, taken, list_name))
    _check_single([(entry.where, entry.label or "") for entry in entries])
    return entries, notes


def _is_comment(line: str, places: Finder) -> bool:
    """Whether a line begins with `#` and names nothing that is there, nor anything that could be a video."""
    return line.lstrip().startswith("#") and not _ENDS.search(line) and not places.find(_split(line, places).name)


def _table(lines: list[Line], places: Finder) -> Table | None:
    """The list as a table, if its first line is a header: by its words, or because only it names no file."""
    first, rest = lines[0][1], lines[1:]
    if places.find(first.strip()) or not rest:
        known = None if places.find(first.strip()) else header_of(first)
        return read_table(rest, *known) if known and not places.find(_split(first, places).name) else None
    if known := header_of(first):
        if known[0] != " ":
            return read_table(rest, *known)
        if known[1] == ["path", "label"] or len(known[1]) == 2:
            rows = [_split(line, places) for _, line in rest]
            cells = [[row.name, " ".join(row.rest)] for row in rows]
            order = 1 if known[1][0] != "label" else -1
            return Table(known[1], [(where, found[::order]) for (where, _), found in zip(rest, cells, strict=True)])
        return read_table(rest, *known)
    for delimiter in DELIMITERS:
        heads = cells_of(first, delimiter)
        sample = [cells_of(line, delimiter) for _, line in rest[:100]]
        if delimiter == " " or len(heads) < 2 or {len(cells) for cells in sample} != {len(heads)}:
            continue
        for place, head in enumerate(heads):
            hits = sum(bool(places.find(cells[place])) for cells in sample)
            if hits * 2 > len(sample) and not places.find(head) and not _ENDS.search(head):
                return read_table(rest, delimiter, [column(cell) for cell in heads])
    return None


class Parts(NamedTuple):
    """A line without header, taken apart."""

    name: str
    rest: list[str]  # what stands behind the path
    delimiter: str  # between them; empty where nothing is


def _plain(lines: list[Line], list_name: str, places: Finder) -> tuple[list[Entry], list[str]]:
    parts = [_split(line, places) for _, line in lines]
    found = [bool(places.find(part.name)) for part in parts]
    if not any(found):
        parts = _behind(lines, places) or parts
    places.drop_what_is_not_there([part.name for part in parts])
    if places.dropped:
        parts = [_split(line, places) for _, line in lines]
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
    _check_single([(where, label or "") for ((where, _), _), label in zip(rows, labels, strict=True)])
    by_name = split_in(list_name)
    entries = [
        Entry(part.name, where, label, None, split_of(split) if split else by_name)
        for ((where, _), part), label, split in zip(rows, labels, splits, strict=True)
    ]
    return entries, notes


def _split(line: str, places: Finder) -> Parts:
    """The line with as much for the path as names a file; where nothing does, by what files are called."""
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
    if kind := _ENDS.search(line):
        return _parts(line[: kind.end()], line[kind.end() + 1 :], line[kind.end() : kind.end() + 1])
    delimiter = next((sign for sign in ",;" if len(cells_of(line, sign)) > 1), " ")
    if delimiter == " ":  # the last word is the label
        name, _, label = line.rpartition(" ")
        return _parts(name, label, " ") if name else _parts(line, "", "")
    return _split_at(line, delimiter)


def _split_at(line: str, delimiter: str) -> Parts:
    line = line.strip(" \r\n")
    if delimiter == " " and (end := _ENDS.search(line)):
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


def _behind(lines: list[Line], places: Finder) -> list[Parts] | None:
    """The lines with the path last: `label path`."""
    for delimiter in DELIMITERS:
        rows = [cells_of(line, delimiter) for _, line in lines]
        if all(len(cells) > 1 for cells in rows) and sum(bool(places.find(cells[-1])) for cells in rows) * 2 > len(
            rows
        ):
            return [Parts(cells[-1], cells[:-1], delimiter) for cells in rows]
    return None


def _take_splits(rows: list[tuple[Line, Parts]]) -> list[str]:
    """The last word of each line, taken off, if all are splits; in words apart by blanks they must differ."""
    last = [part.rest[-1] if len(part.rest) > 1 else "" for _, part in rows]
    if not is_split_column(last):
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
    """The label of each line, and a note where the lines have more than that."""
    most = max(len(part.rest) for _, part in rows)
    if most > 1:
        numbers = [all(number_of(word) is not None for word in part.rest) for _, part in rows]
        if all(numbers):
            return _frames_and_label(rows)
        (where, line), part = next((row for row in rows if len(row[1].rest) > 1), rows[0])
        if any(p.delimiter != " " for _, p in rows if len(p.rest) > 1) or all(
            number_of(p.rest[-1]) is not None for _, p in rows if p.rest
        ):
            seen = f"{cut(line.strip())!r} has {len(part.rest)} values behind the path: {cut(', '.join(part.rest))}"
            raise VidaugError(seen, where=where, hint="keep 'path label', or say with a header what the columns are")
    return [" ".join(part.rest) or None for _, part in rows], []


def _frames_and_label(rows: list[tuple[Line, Parts]]) -> tuple[list[str | None], list[str]]:
    """`path frames label`, as lists of frame folders have it; several labels are refused."""
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


def _check_single(labels: Sequence[tuple[str, str]]) -> None:
    """Refuse several labels in one cell, and labels that are rather files."""
    several = [place for place, label in labels if re.fullmatch(r"-?\d+(?:\s*[ ,;|]\s*-?\d+)+", label)]
    if several:
        label = dict(labels)[several[0]]
        raise VidaugError(f"several labels: {cut(label)!r}", where=several[0], hint="a video has one label here")
    for where, label in labels:
        if _ENDS.search(label):
            what = f"the label {cut(spell(label))!r} looks like a file"
            raise VidaugError(what, where=where, hint='put paths that hold the separator in "quotes"')
