"""A plain list of videos: `path label` a line with any of the usual separators, or a table with a header."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from vidaug_cli.data.lines import read_lines, split_lines
from vidaug_cli.data.listing.candidates import Entry, Listing, match, with_numbers
from vidaug_cli.data.listing.columns import (
    DELIMITERS,
    HeaderTable,
    Line,
    cells_of,
    column,
    header_of,
    place_roles,
    read_table,
    table_entries,
)
from vidaug_cli.data.listing.folders import UnclearError, by_folder
from vidaug_cli.data.listing.headerless import ENDS, read_headerless, split_line
from vidaug_cli.data.listing.lookup import FolderLookup, Lookup
from vidaug_cli.data.listing.source import Source
from vidaug_cli.data.listing.tree import IMAGES, VIDEOS, spell
from vidaug_cli.errors import VidaugError
from vidaug_cli.words import count, cut

_INPUT = "scan takes a folder of videos or a list of 'path label'"


def list_list(source: Source) -> Listing:
    """Return the videos a text file names, relative to the root; nothing else is looked at.

    Between path and label stands a tab, comma, semicolon or blank; the path is as much of the line as names a file, so
    that both may hold blanks. A table has a header. Labels that are whole numbers are class numbers too. In a list of
    paths alone the folders say the class.
    """
    lines = _lines(source)
    places = FolderLookup(source.root)
    entries, notes = read_entries(lines, source.input.name, places)
    listing, _ = match(entries, lambda entry: places.find(entry.name))
    listing.notes.extend([*notes, *places.notes()])
    _pass_over_folders(listing, source.root)
    if not source.rooted and entries and all(PurePosixPath(entry.name).is_absolute() for entry in entries):
        listing = _at_common_root(listing)
    if entries and not listing.candidates:
        listing.notes.append(f"paths in the list are taken relative to {source.root}: --root names another folder")
    if all(video.label is None for video in listing.candidates):
        return labelled_by_folder(listing, source)
    return with_numbers(listing)


def _pass_over_folders(listing: Listing, root: Path) -> None:
    """Drop what `find DIR` prints besides files: folders, if they are no clips of frames."""
    bare = {
        video
        for video in listing.candidates
        if video.label is None and (root / video.path).is_dir() and not _holds_images(root / video.path)
    }
    if bare and len(bare) < len(listing.candidates):
        listing.candidates[:] = [video for video in listing.candidates if video not in bare]
        listing.notes.append(f"{count(len(bare), 'folder')} in the list passed over: no frames lie in them")


def _holds_images(folder: Path) -> bool:
    with suppress(OSError), os.scandir(folder) as entries:
        return any(PurePosixPath(entry.name).suffix.lower() in IMAGES for entry in entries)
    return False


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


def labelled_by_folder(listing: Listing, source: Source) -> Listing:
    """Return the listing with classes, and splits where the list has none, from the folders that its paths name."""
    try:
        by_names = by_folder(dict.fromkeys(video.path for video in listing.candidates), source.pattern)
    except UnclearError as error:
        listing.notes.append(f"no label is given, and {error.what}; {error.hint}")
        return listing
    if any(video.label is not None for video in by_names.candidates):
        listing.notes.append("no classes are named: they are those of the folders")
    listing.notes.extend(by_names.notes)
    named = {video.path: video for video in by_names.candidates}
    listing.candidates[:] = [
        video._replace(label=folder.label, class_id=folder.class_id, split=video.split or folder.split)
        for video in listing.candidates
        for folder in [named[video.path]]
    ]
    return listing


def _at_common_root(listing: Listing) -> Listing:
    paths = [video.path for video in listing.candidates]
    if not paths or not all(map(os.path.isabs, paths)):
        return listing
    root = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120 (once for each video)
    moved = [video._replace(path=os.path.relpath(video.path, root)) for video in listing.candidates]
    return Listing(moved, listing.quarantined, listing.notes, listing.passed_over, Path(root))


def read_entries(lines: list[Line], list_name: str, places: Lookup) -> tuple[list[Entry], list[str]]:
    """Return the entries of a list, and notes on how it was read.

    Raises VidaugError with the line where it can be read in two ways, or has what a list cannot say.
    """
    lines = [line for line in lines if not _is_comment(line[1], places)]
    if not lines:
        raise VidaugError("holds only comments", where=list_name, hint="a list has a line 'path label' for each video")
    table = _table(lines, places)
    if table is None:
        entries, notes = read_headerless(lines, list_name, places)
    else:
        taken, notes = place_roles(table, list_name, lambda name: bool(places.find(name)))
        places.drop_missing_folders([cells[taken["path"]] for _, cells in table.rows])
        entries = list(table_entries(table, taken, list_name))
    _check_labels(entries)
    return entries, notes


def _is_comment(line: str, places: Lookup) -> bool:
    """Return whether a line begins with `#` and names nothing that is there, nor anything that could be a video."""
    return line.lstrip().startswith("#") and not ENDS.search(line) and not places.find(split_line(line, places).name)


def _table(lines: list[Line], places: Lookup) -> HeaderTable | None:
    """Return the list as a table, if its first line is a header: by its words, or because only it names no file."""
    first, rest = lines[0][1], lines[1:]
    if places.find(first.strip()) or not rest:
        known = None if places.find(first.strip()) else header_of(first)
        return read_table(rest, *known) if known and not places.find(split_line(first, places).name) else None
    if known := header_of(first):
        if known[0] != " ":
            return read_table(rest, *known)
        if len(known[1]) == 2:  # either may hold blanks
            rows = [split_line(line, places) for _, line in rest]
            cells = [[parts.name, " ".join(parts.rest)] for parts in rows]
            order = 1 if known[1][0] != "label" else -1
            return HeaderTable(known[1], [(where, row[::order]) for (where, _), row in zip(rest, cells, strict=True)])
        return read_table(rest, *known)
    for delimiter in DELIMITERS:
        heads = cells_of(first, delimiter)
        sample = [cells_of(line, delimiter) for _, line in rest[:100]]
        if delimiter == " " or len(heads) < 2 or {len(cells) for cells in sample} != {len(heads)}:
            continue
        for place, head in enumerate(heads):
            hits = sum(bool(places.find(cells[place])) for cells in sample)
            if hits * 2 > len(sample) and not places.find(head) and not ENDS.search(head):
                return read_table(rest, delimiter, [column(cell) for cell in heads])
    return None


def _check_labels(entries: Sequence[Entry]) -> None:
    """Refuse several labels in one cell, and labels that are rather files."""
    for entry in entries:
        label = entry.label or ""
        if re.fullmatch(r"-?\d+(?:\s*[ ,;|]\s*-?\d+)+", label):
            raise VidaugError(f"several labels: {cut(label)!r}", where=entry.where, hint="a video has one label here")
        if ENDS.search(label):
            what = f"the label {cut(spell(label))!r} looks like a file"
            raise VidaugError(what, where=entry.where, hint='put paths that hold the separator in "quotes"')
