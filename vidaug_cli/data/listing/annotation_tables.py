"""Tables and lists that lie beside the videos they name, by path or id: Kinetics, VIPriors 2021, and any others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from vidaug_cli.data.classes import Numbers, read_classes
from vidaug_cli.data.lines import read_lines
from vidaug_cli.data.listing.candidates import Entry, Listing, match_tree, with_numbers
from vidaug_cli.data.listing.columns import ROLES, cells_of, column, header_of
from vidaug_cli.data.listing.folders import UnclearError, by_folder, list_folders
from vidaug_cli.data.listing.lists import read_entries
from vidaug_cli.data.listing.lookup import Lookup
from vidaug_cli.data.listing.names import first_few, nfc, split_in
from vidaug_cli.data.listing.source import Source
from vidaug_cli.data.listing.tree import VIDEOS, Tree
from vidaug_cli.errors import VidaugError
from vidaug_cli.words import count


def tables_with(*columns: str) -> Callable[[Source], list[Path]]:
    """Return a function that finds the tables of a source with one of these columns."""

    def fits(path: Path) -> bool:
        header = header_of(_first_line(path))
        return header is not None and not set(columns).isdisjoint(header[1])

    def find(source: Source) -> list[Path]:
        if source.is_list:
            return [source.input] if source.input.is_file() and fits(source.input) else []
        return source.list_files("*", fits)

    return find


def lists_beside(source: Source) -> list[Path]:
    """Return tables and plain lists beside videos: most of their lines name a video that is there, and its class."""
    return source.list_files("*", lambda path: _names_videos(source, path))


def without_classes(source: Source) -> bool:
    """Return whether the folders of a data set name no classes, or not plainly."""
    try:
        videos = by_folder(source.tree.index.paths, source.pattern).candidates
    except UnclearError:
        return True
    return len({video.label for video in videos} - {None}) < 2


def list_beside(source: Source, files: list[Path]) -> Listing:
    """List the videos that the lists beside them name, and note which lists these are."""
    listing = list_tables(source, files)
    listing.notes.insert(0, f"classes are those in {first_few([path.name for path in files])}")
    return listing


def list_unlisted(source: Source) -> Listing:
    """List class folders of videos, and note which lists beside them are not used."""
    listing = list_folders(source)
    if lists := lists_beside(source):
        names = first_few([path.name for path in lists])
        listing.notes.append(f"lists of videos not used: {names}; --layout list reads them")
    elif lists := source.list_files("*", lambda path: _mentions_videos(source, path)):
        names = first_few([path.name for path in lists])
        hint = "a header 'path,label' makes it a list"
        listing.notes.append(f"not used, though most lines name a video: {names}; {hint}")
    return listing


def _names_videos(source: Source, path: Path) -> bool:
    """Return whether most lines of a list name a video that is there, and some a class."""
    try:
        lines = list(read_lines(path))
        sample = [*lines[:1], *lines[1 :: len(lines) // 100 + 1]]
        entries, _ = read_entries(sample, path.name, Lookup(source.tree.index.find)) if lines else ([], [])
    except VidaugError:
        return False
    named = sum(bool(find_listed(entry, source.tree)) for entry in entries)
    return named * 2 > len(entries) and any(entry.label for entry in entries)


def _mentions_videos(source: Source, path: Path) -> bool:
    """Return whether most lines of a table hold the name of a video, whatever its columns are called."""
    try:
        lines = [line for _, line in read_lines(path)][1:]
    except VidaugError:
        return False
    tree = source.tree.index
    named = sum(any(tree.find_stem(_stem(word)) for word in re.split(r"[,;\t]", line)) for line in lines)
    return named * 2 > len(lines) > 1


def _first_line(path: Path) -> str:
    """Return the first line of what may not be a text; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(10_000)
    except OSError:
        return ""
    return re.split(r"[\r\n]", start.decode("utf-8-sig", "replace"), maxsplit=1)[0]


def list_tables(source: Source, files: list[Path]) -> Listing:
    """List a data set whose `files` are tables that name videos: `label,youtube_id,time_start,time_end,split`.

    Classes have numbers where a table of `label,idx` lies beside. Where the file of a row is a whole video, `ID.mp4`
    and not `ID_000010_000020.mp4`, the row is a segment of it.
    """
    numbers = _class_numbers(files[0].parent) if files else {}
    paths: dict[str, list[str]] = {}
    entries = []
    for file in files:
        for entry in read_entries(list(read_lines(file)), file.name, Lookup(source.tree.index.find))[0]:
            videos = paths[entry.where] = find_listed(entry, source.tree)
            whole = videos and _stem(videos[0]) == _stem(entry.name)
            if entry.start is not None and not whole:
                if not videos and entry.end is not None:
                    entry = entry._replace(name=_trimmed(entry)[0])
                entry = entry._replace(start=None, end=None)
            entries.append(entry._replace(class_id=numbers.get(entry.label or "", entry.class_id)))
    listing = match_tree(entries, source, lambda entry: paths[entry.where])
    if segments := sum(video.start is not None or video.end is not None for video in listing.candidates):
        listing.notes.append(f"{count(segments, 'listed video')} taken as segments of whole videos, by their times")
    return with_numbers(listing)


def find_listed(entry: Entry, tree: Tree) -> list[str]:
    """Return the videos that a row may mean: named by its path or its id, alone or with its times."""
    paths: list[str] = []
    for name in _trimmed(entry) if entry.start is not None else []:
        paths = paths or tree.index.find_stem(name)
    by_path = "/" in entry.name or PurePosixPath(entry.name).suffix.lower() in VIDEOS
    paths = paths or (tree.index.find if by_path else tree.index.find_stem)(entry.name)  # an id's case counts
    # One clip may lie below train/ and val/ of different editions: its own split and label come first.
    own = {(entry.label or "").replace("_", " "), entry.split}
    return sorted(paths, key=lambda path: -len(own & _folders(path)))


def _trimmed(entry: Entry) -> list[str]:
    """Return the names of files with the segment alone: `ID_000010_000020`, and what tools make of it."""
    start, end = round(entry.start or 0), None if entry.end is None else round(entry.end)
    pairs = [f"{start:06}_{end:06}", f"{start}_{end}"] if end is not None else []
    return [f"{entry.name}_{times}" for times in [*pairs, f"{start:06}", f"{start}"]]


def _stem(path: str) -> str:
    name = PurePosixPath(path)
    return nfc(name.stem if name.suffix.lower() in VIDEOS else name.name).casefold()


def _class_numbers(folder: Path) -> Numbers:
    """Return the numbers of classes in a table that has nothing else: `clsIdx.csv`."""
    for path in sorted(folder.glob("*.csv")):
        if sorted(ROLES.get(column(cell), "") for cell in cells_of(_first_line(path), ",")) == ["label", "number"]:
            return read_classes(path, numbered=True)
    return {}


def _folders(path: str) -> set[str | None]:
    return {split_in(part) or part.replace("_", " ") for part in path.split("/")[:-1]}
