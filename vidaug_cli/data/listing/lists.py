"""A plain list of videos: `path label` a line, or a table with a column path."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vidaug_cli.data.listing.candidates import SPLITS, Candidate, Listing, Source
from vidaug_cli.data.listing.splits import Entry, match
from vidaug_cli.data.listing.tree import VIDEOS
from vidaug_cli.data.text import read_lines
from vidaug_cli.errors import VidaugError

_INPUT = "scan takes a folder of videos or a list of 'path label'"
COLUMNS = ("path", "label", "split")


def list_list(source: Source) -> Listing:
    """The videos a text file names, relative to the root; nothing else is looked at.

    A line is `path label`, where the label is the last word, or `"path with blanks" label`, or both with a tab between
    them; a line may do without label. A csv has a header with path and, if it likes, label (or class) and split.
    Labels that are all whole numbers are the class numbers too.
    """
    entries = list(_entries(source.input))
    labels = [entry.label for entry in entries if entry.label is not None]
    numbered = bool(labels) and all(label.isdecimal() for label in labels)
    listing, _ = match(entries, lambda entry: _find(source.root, entry.name))
    if numbered:
        listing.candidates[:] = [_numbered(found) for found in listing.candidates]
    if entries and not listing.candidates:
        listing.notes.append(f"paths in the list are taken relative to {source.root}: --root names another folder")
    return listing


def _numbered(found: Candidate) -> Candidate:
    return found._replace(class_id=int(found.label) if found.label is not None else None)


def _find(root: Path, name: str) -> list[str]:
    path = PurePosixPath(name)
    if path.is_absolute() and path.is_relative_to(root.as_posix()):
        path = path.relative_to(root.as_posix())
    return [str(path)] if os.path.lexists(root / path) else []


def _entries(path: Path) -> Iterator[Entry]:
    if path.suffix.lower() in VIDEOS:
        raise VidaugError("is a video", where=path, hint=_INPUT)
    lines = list(read_lines(path))
    if not lines:
        raise VidaugError("is empty", where=path, hint="a list has a line 'path label' for each video")
    first = lines[0][1]
    if first.lstrip().startswith("{"):
        raise VidaugError("looks like a manifest already", where=path, hint=_INPUT)
    header = [cell.strip().lower() for cell in next(csv.reader([first]))]
    if "path" in header:
        yield from _table(lines[1:], ["label" if name == "class" else name for name in header])
    elif path.suffix.lower() == ".csv" and len(header) > 1:
        yield from _table(lines, list(COLUMNS))
    else:
        yield from (_entry(where, line) for where, line in lines)


def _table(lines: list[tuple[str, str]], header: list[str]) -> Iterator[Entry]:
    for where, line in lines:
        cells = dict(zip(header, (cell.strip() for cell in next(csv.reader([line]))), strict=False))
        split = cells.get("split", "")
        yield Entry(cells.get("path", ""), where, cells.get("label") or None, None, SPLITS.get(split, split) or None)


def _entry(where: str, line: str) -> Entry:
    quoted = re.fullmatch(r'\s*"([^"]+)"\s*(.*?)\s*', line)
    if quoted:
        name, label = quoted.groups()
    elif "\t" in line:
        name, label = (part.strip() for part in line.split("\t", 1))
    else:
        name, _, label = line.strip().rpartition(" ")
        if not name or PurePosixPath(label).suffix.lower() in VIDEOS:  # a name, perhaps with blanks, and no label
            name, label = line.strip(), ""
    return Entry(name.strip(), where, label or None)
