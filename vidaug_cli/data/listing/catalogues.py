"""Tables and lists that lie beside the videos they name, by path or by id: Kinetics, VIPriors 2021, and others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from vidaug_cli.data.classes import Numbers, read_classes
from vidaug_cli.data.lines import read_lines
from vidaug_cli.data.listing.candidates import Listing, Source, with_numbers
from vidaug_cli.data.listing.entries import Entry, match_tree
from vidaug_cli.data.listing.folders import UnclearError, by_folder, list_folders
from vidaug_cli.data.listing.lists import read_entries
from vidaug_cli.data.listing.names import nfc, some, split_in
from vidaug_cli.data.listing.places import Finder
from vidaug_cli.data.listing.tables import ROLES, cells_of, column, header_of
from vidaug_cli.data.listing.tree import VIDEOS, Tree
from vidaug_cli.errors import VidaugError
from vidaug_cli.words import count


def kinetics_lists(source: Source) -> list[Path]:
    """The tables of a Kinetics data set: those with a column youtube_id."""
    return _tables(source, {"youtube_id", "yt_id", "ytid"})


def vipriors2021_lists(source: Source) -> list[Path]:
    """The tables of the VIPriors 2021 challenge: those with a column videoid."""
    return _tables(source, {"videoid"})


def other_lists(source: Source) -> list[Path]:
    """Tables and plain lists beside videos: those of which most lines name a video that is there, and its class."""
    return source.list_files("*", lambda path: _names_videos(source, path))


def without_classes(source: Source) -> bool:
    """Whether the folders of a data set say no classes, or not plainly."""
    try:
        return (
            len({found.label for found in by_folder(source.tree.found.paths, source.pattern).candidates} - {None}) < 2
        )
    except UnclearError:
        return True


def list_beside(source: Source) -> Listing:
    """The videos that `other_lists` name, and a note on which lists these are."""
    listing = list_tables(other_lists)(source)
    listing.notes.insert(0, f"classes are those in {some([path.name for path in other_lists(source)])}")
    return listing


def list_unlisted(source: Source) -> Listing:
    """Class folders of videos, and a note on lists beside them that are not used."""
    listing = list_folders(source)
    if lists := other_lists(source):
        names = some([path.name for path in lists])
        listing.notes.append(f"lists of videos not used: {names}; --layout list reads them")
    elif lists := source.list_files("*", lambda path: _mentions_videos(source, path)):
        names = some([path.name for path in lists])
        listing.notes.append(
            f"not used, though most lines name a video: {names}; a header 'path,label' makes it a list"
        )
    return listing


def _names_videos(source: Source, path: Path) -> bool:
    try:
        lines = list(read_lines(path))
        sample = [*lines[:1], *lines[1 :: len(lines) // 100 + 1]]
        entries, _ = read_entries(sample, path.name, Finder(source.tree.found.find)) if lines else ([], [])
    except VidaugError:
        return False
    named = sum(bool(find_listed(entry, source.tree)) for entry in entries)
    return named * 2 > len(entries) and any(entry.label for entry in entries)


def _mentions_videos(source: Source, path: Path) -> bool:
    """Whether most lines of a table hold the name of a video, whatever its columns are called."""
    try:
        lines = [line for _, line in read_lines(path)][1:]
    except VidaugError:
        return False
    tree = source.tree.found
    named = sum(any(tree.find_stem(_stem(word)) for word in re.split(r"[,;\t]", line)) for line in lines)
    return named * 2 > len(lines) > 1


def _tables(source: Source, names: set[str]) -> list[Path]:
    def fits(path: Path) -> bool:
        header = header_of(_first_line(path))
        return header is not None and not names.isdisjoint(header[1])

    if source.is_list:
        return [source.input] if source.input.is_file() and fits(source.input) else []
    return source.list_files("*", fits)


def _first_line(path: Path) -> str:
    """The first line of a text that may be none, or may not be read."""
    try:
        with path.open("rb") as file:
            start = file.read(10_000)
    except OSError:
        return ""
    return re.split(r"[\r\n]", start.decode("utf-8-sig", "replace"), maxsplit=1)[0]


def _read(path: Path, source: Source) -> list[Entry]:
    found = source.tree.found
    return read_entries(list(read_lines(path)), path.name, Finder(found.find))[0]


def list_tables(files: Callable[[Source], list[Path]]) -> Callable[[Source], Listing]:
    """The layout of data sets whose `files` are tables that name videos: `label,youtube_id,time_start,time_end,split`.

    Classes have numbers where a table of `label,idx` lies beside. Where the file of a row is a whole video, `ID.mp4`
    and not `ID_000010_000020.mp4`, the row is a segment of it.
    """

    def list_them(source: Source) -> Listing:
        lists = files(source)
        numbers = _class_numbers(lists[0].parent) if lists else {}
        paths: dict[str, list[str]] = {}
        entries = []
        for path in lists:
            for entry in _read(path, source):
                paths[entry.where] = found = find_listed(entry, source.tree)
                whole = not found or _stem(found[0]) == _stem(entry.name)
                if entry.start is not None and not (found and whole):
                    if not found and entry.end is not None:
                        entry = entry._replace(name=_trimmed(entry)[0])
                    entry = entry._replace(start=None, end=None)
                entries.append(entry._replace(class_id=numbers.get(entry.label or "", entry.class_id)))
        listing = match_tree(entries, source, lambda entry: paths[entry.where])
        segments = sum(found.start is not None or found.end is not None for found in listing.candidates)
        if segments:
            listing.notes.append(f"{count(segments, 'listed video')} taken as segments of whole videos, by their times")
        return with_numbers(listing)

    return list_them


def find_listed(entry: Entry, tree: Tree) -> list[str]:
    """The videos that a row may mean: named by its path or its id, alone or with its times."""
    paths: list[str] = []
    for name in _trimmed(entry) if entry.start is not None else []:
        paths = paths or tree.found.find_stem(name)
    by_path = "/" in entry.name or PurePosixPath(entry.name).suffix.lower() in VIDEOS
    paths = paths or (tree.found.find if by_path else tree.found.find_stem)(entry.name)  # an id's case counts
    # One clip may lie below train/ and val/ of different editions: its own split and label come first.
    own = {(entry.label or "").replace("_", " "), entry.split}
    return sorted(paths, key=lambda path: -len(own & _folders(path)))


def _trimmed(entry: Entry) -> list[str]:
    """How files with the clip alone are called: `ID_000010_000020`, and what tools make of it."""
    start, end = round(entry.start or 0), None if entry.end is None else round(entry.end)
    pairs = [f"{start:06}_{end:06}", f"{start}_{end}"] if end is not None else []
    return [f"{entry.name}_{times}" for times in [*pairs, f"{start:06}", f"{start}"]]


def _stem(path: str) -> str:
    name = PurePosixPath(path)
    return nfc(name.stem if name.suffix.lower() in VIDEOS else name.name).casefold()


def _class_numbers(folder: Path) -> Numbers:
    """The numbers of classes in a table that has nothing else: `clsIdx.csv`."""
    for path in sorted(folder.glob("*.csv")):
        if sorted(ROLES.get(column(cell), "") for cell in cells_of(_first_line(path), ",")) == ["label", "number"]:
            return read_classes(path, numbered=True)
    return {}


def _folders(path: str) -> set[str | None]:
    return {split_in(part) or part.replace("_", " ") for part in path.split("/")[:-1]}
