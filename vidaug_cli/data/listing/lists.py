"""A plain list of videos: `path label` a line with any of the usual separators, or a table with a header."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

from vidaug_cli.data.listing.candidates import Listing, match, with_numbers
from vidaug_cli.data.listing.columns import Line
from vidaug_cli.data.listing.entries import read_entries
from vidaug_cli.data.listing.folders import by_folder
from vidaug_cli.data.listing.lookup import FolderLookup
from vidaug_cli.data.listing.source import Source
from vidaug_cli.data.listing.tree import IMAGES, VIDEOS
from vidaug_cli.data.textfiles import read_lines, split_lines
from vidaug_cli.errors import KindError, ListingError, UnclearError
from vidaug_cli.words import count

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
    listing.notes.extend([*notes, *places.notes])
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
    folders = [video for video in listing.candidates if video.label is None and (root / video.path).is_dir()]
    bare = {video for video in folders if not _holds_images(root / video.path)}
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
        raise KindError("is a video", where=path, hint=_INPUT)
    lines = list(read_lines(path) if source.content is None else split_lines(source.content, path))
    if not lines:
        raise ListingError("is empty", where=path, hint="a list has a line 'path label' for each video")
    if lines[0][1].lstrip().startswith("{"):
        raise KindError("looks like a manifest already", where=path, hint=_INPUT)
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
    for place, video in enumerate(listing.candidates):
        folder = named[video.path]
        listing.candidates[place] = folder._replace(split=video.split or folder.split, start=video.start, end=video.end)
    return listing


def _at_common_root(listing: Listing) -> Listing:
    paths = [video.path for video in listing.candidates]
    if not paths or not all(map(os.path.isabs, paths)):
        return listing
    root = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120 (once for each video)
    moved = [video._replace(path=os.path.relpath(video.path, root)) for video in listing.candidates]
    return Listing(moved, listing.quarantined, listing.notes, listing.passed_over, Path(root))
