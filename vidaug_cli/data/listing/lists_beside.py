"""Lists that lie beside the videos they name: those of UCF101, HMDB51, VIPriors and Kinetics, and any others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from vidaug_cli.data.listing.candidates import Candidate, Entry, Listing, match_tree, with_numbers
from vidaug_cli.data.listing.columns import ROLES, cells_of, column, header_of
from vidaug_cli.data.listing.entries import read_entries
from vidaug_cli.data.listing.folders import by_folder, list_folders, list_frames
from vidaug_cli.data.listing.lookup import Lookup
from vidaug_cli.data.listing.names import first_few, nfc, split_in
from vidaug_cli.data.listing.source import Source
from vidaug_cli.data.listing.tree import Tree, stem_of
from vidaug_cli.data.textfiles import Numbers, is_number, read_classes, read_lines
from vidaug_cli.errors import ListingError, MissingPathError, UnclearError, VidaugError
from vidaug_cli.words import count, cut


def list_ucf101(source: Source, files: list[Path]) -> Listing:
    """List UCF101: class folders, `classInd.txt`, `trainlist0N.txt` of `CLASS/FILE NUMBER` and `testlist0N.txt`.

    Without a split every video is taken, as in any class folders, with the class numbers of classInd.
    """
    index = files[0].parent / "classInd.txt"
    classes = read_classes(index, numbered=True) if index.exists() else {}
    numbers = {name.casefold(): number for name, number in classes.items()}
    if source.split is None:
        listing = _unsplit(source, files)
        videos = [video._replace(class_id=numbers.get((video.label or "").casefold())) for video in listing.candidates]
        listing.candidates[:] = videos
        return listing
    chosen = _of_split(source, files, r"(?P<part>train|test)list0*(?P<split>\d+)")
    entries = []
    for path in sorted(chosen, key=lambda path: chosen[path] == "test"):  # only train lines carry a number
        for where, line in read_lines(path):
            name, _, last = line.strip().rpartition(" ")
            number = int(last) if name and is_number(last) else None
            name = name if number is not None else line.strip()
            label = name.rpartition("/")[0]
            folder = label.casefold()
            if number is not None and numbers.setdefault(folder, number) != number:
                what = f"says class {number}, but {folder!r} was {numbers[folder]} before"
                raise ListingError(what, where=where, hint="give each class one number")
            entries.append(Entry(name, where, label, numbers.get(folder), chosen[path]))
    return _in_class_folders(entries, source.tree)


def list_hmdb51(source: Source, files: list[Path]) -> Listing:
    """List HMDB51: class folders with a `CLASS_test_splitN.txt` each of `FILE 1` (train), `2` (test), `0` (unused)."""
    if source.split is None:
        return _unsplit(source, files)
    chosen = _of_split(source, files, r"(?P<part>.+)_test_split(?P<split>\d)")
    flags: dict[str, list[Entry]] = {"0": [], "1": [], "2": []}
    for path, label in chosen.items():
        for where, line in read_lines(path):
            name, _, flag = line.strip().rpartition(" ")
            if flag not in flags:
                what = f"{cut(line.strip())!r} should be a file name and 0, 1 or 2"
                raise ListingError(what, where=where, hint="0 is unused, 1 train, 2 test")
            split = {"1": "train", "2": "test"}.get(flag)
            flags[flag].append(Entry(f"{label}/{name.strip()}", where, label, None, split))
    listing = _in_class_folders(flags["1"] + flags["2"], source.tree, flags["0"])
    if flags["0"]:
        listing.notes.append(f"{count(len(flags['0']), 'video')} marked as unused in split {source.split}: left out")
    return listing


def list_vipriors2020(source: Source, files: list[Path]) -> Listing:
    """List mod-UCF101 of VIPriors 2020: lines `NAME.avi CLASS`, of the test split names only; classes in classInd."""
    lists = {path.stem.removeprefix("mod-ucf101-"): path for path in files}
    if "classInd" not in lists:
        classes = files[0].parent / "mod-ucf101-classInd.txt"
        raise MissingPathError("does not exist", where=classes, hint="put it there: it names the classes")
    names = {number: name for name, number in read_classes(lists["classInd"], numbered=True).items()}
    entries = []
    for split in ("train", "validation", "test"):
        for where, line in read_lines(lists[split]) if split in lists else ():
            name, _, number = line.strip().partition(" ")
            class_id = int(number) if is_number(number) else None
            if number and class_id not in names:
                what = f"class {cut(number)} is not in {lists['classInd'].name}"
                raise ListingError(what, where=where, hint="add it there, or correct this line")
            entries.append(Entry(name, where, names[class_id] if class_id is not None else None, class_id, split))
    return match_tree(entries, source.tree)


def _unsplit(source: Source, files: list[Path]) -> Listing:
    """List all videos by their folders, and note that there are split lists."""
    listing = (list_frames if source.tree.of_frames else list_folders)(source)
    folder = files[0].parent
    shown = folder.relative_to(source.root) if folder.is_relative_to(source.root) else folder
    listing.notes.append(f"split lists found in {shown}/ and not used: --split 1 would use them")
    return listing


def _of_split(source: Source, files: list[Path], pattern: str) -> dict[Path, str]:
    """Return the lists of the wanted split, each with the `part` in its name: a split or a class."""
    named = {path: parts for path in files if (parts := re.fullmatch(pattern, path.stem))}
    chosen = {path: parts["part"] for path, parts in named.items() if int(parts["split"]) == source.split}
    if not chosen:
        known = ", ".join(map(str, sorted({int(parts["split"]) for parts in named.values()})))
        hint = known and f"there are {known}"
        raise MissingPathError(f"no lists for split {source.split}", where=files[0].parent, hint=hint)
    return chosen


def _in_class_folders(entries: list[Entry], tree: Tree, aside: Sequence[Entry] = ()) -> Listing:
    """Match `CLASS/NAME`, or only `NAME` where it lies elsewhere and is the only one.

    Class names are as the folders on disk spell them, whatever case the lists use.
    """
    find = tree.index.find

    def look(entry: Entry) -> list[str]:
        elsewhere = find(entry.name.rpartition("/")[2])
        return find(entry.name) or (elsewhere if len(elsewhere) == 1 else [])

    def spelled(video: Candidate) -> str | None:
        folder = nfc(PurePosixPath(video.path).parent.name)
        return folder if video.label and folder.casefold() == nfc(video.label).casefold() else video.label

    listing = match_tree(entries, tree, look, aside)
    listing.candidates[:] = [video._replace(label=spelled(video)) for video in listing.candidates]
    return listing


def tables_with(source: Source, *columns: str) -> list[Path]:
    """Return the tables of a source, or the list that it is, with one of these columns."""

    def fits(path: Path) -> bool:
        header = header_of(_first_line(path))
        return header is not None and not set(columns).isdisjoint(header[1])

    if source.is_list:
        return [source.input] if source.input.is_file() and fits(source.input) else []
    return source.list_files("*", fits)


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
        what, hint = "lists of videos not used", "--layout list reads them"
    elif lists := source.list_files("*", lambda path: _mentions_videos(source, path)):
        what, hint = "not used, though most lines name a video", "a header 'path,label' makes it a list"
    if lists:
        listing.notes.append(f"{what}: {first_few([path.name for path in lists])}; {hint}")
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
    named = sum(any(tree.find_stem(stem_of(word).casefold()) for word in re.split(r"[,;\t]", line)) for line in lines)
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
            whole = videos and stem_of(videos[0]).casefold() == stem_of(entry.name).casefold()
            if entry.start is not None and not whole:
                if not videos and entry.end is not None:
                    entry = entry._replace(name=_trimmed(entry)[0])
                entry = entry._replace(start=None, end=None)
            entries.append(entry._replace(class_id=numbers.get(entry.label or "", entry.class_id)))
    listing = match_tree(entries, source.tree, lambda entry: paths[entry.where])
    if segments := sum(video.start is not None or video.end is not None for video in listing.candidates):
        listing.notes.append(f"{count(segments, 'listed video')} taken as segments of whole videos, by their times")
    return with_numbers(listing)


def find_listed(entry: Entry, tree: Tree) -> list[str]:
    """Return the videos that a row may mean: named by its path or its id, alone or with its times."""
    paths: list[str] = []
    for name in _trimmed(entry) if entry.start is not None else []:
        paths = paths or tree.index.find_stem(name)
    is_id = stem_of(entry.name) == nfc(entry.name)  # and its case counts
    paths = paths or (tree.index.find_stem if is_id else tree.index.find)(entry.name)
    # One clip may lie below train/ and val/ of different editions: its own split and label come first.
    own = {(entry.label or "").replace("_", " "), entry.split}

    def fits(path: str) -> int:
        return len(own & {split_in(part) or part.replace("_", " ") for part in path.split("/")[:-1]})

    return sorted(paths, key=fits, reverse=True)


def _trimmed(entry: Entry) -> list[str]:
    """Return the names of files with the segment alone: `ID_000010_000020`, and what tools make of it."""
    start, end = round(entry.start or 0), None if entry.end is None else round(entry.end)
    pairs = [f"{start:06}_{end:06}", f"{start}_{end}"] if end is not None else []
    return [f"{entry.name}_{times}" for times in [*pairs, f"{start:06}", f"{start}"]]


def _class_numbers(folder: Path) -> Numbers:
    """Return the numbers of classes in a table that has nothing else: `clsIdx.csv`."""
    for path in sorted(folder.glob("*.csv")):
        if sorted(ROLES.get(column(cell), "") for cell in cells_of(_first_line(path), ",")) == ["label", "number"]:
            return read_classes(path, numbered=True)
    return {}
