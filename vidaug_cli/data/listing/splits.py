"""Split lists of published data sets, matched with the files that are there. Nothing listed is silently dropped."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vidaug_cli.data.classes import read_classes
from vidaug_cli.data.listing.candidates import SPLITS, Candidate, Listing, Source, count, list_folders, with_tree
from vidaug_cli.data.listing.tree import VIDEOS, Quarantined, spell
from vidaug_cli.data.text import is_number, read_lines
from vidaug_cli.errors import VidaugError

UCF101_LISTS = "t*list[0-9][0-9].txt"
HMDB51_LISTS = "*_test_split[0-9].txt"
VIPRIORS_LISTS = "mod-ucf101-*.txt"


class Entry(NamedTuple):
    """One line of a split list."""

    name: str  # the video as the list spells it
    where: str  # the list and its line, as `trainlist01.txt:17`
    label: str | None = None
    class_id: int | None = None
    split: str | None = None


def match(
    entries: Iterable[Entry], find: Callable[[Entry], list[str]], *, aside: Iterable[Entry] = ()
) -> tuple[Listing, set[str]]:
    """Candidates for the listed videos that `find` finds, and all paths that are spoken for.

    A listed video that is not there is quarantined; of two lines for one video the first counts.
    `aside` are entries that the lists themselves leave out.
    """
    listing = Listing()
    taken: dict[str, Entry] = {}
    again: list[str] = []
    several: list[str] = []
    for entry in entries:
        paths = find(entry)
        if not paths:
            listing.quarantined.append(Quarantined(spell(entry.name), f"listed in {entry.where} but not found"))
            continue
        path = paths[0]
        if len(paths) > 1:
            several.append(f"{entry.where} took {path}, not {paths[1]}")
        if path in taken:
            first = taken[path]
            differs = (first.label, first.class_id, first.split) != (entry.label, entry.class_id, entry.split)
            again.append(f"{entry.where} repeats {first.where}" + (" with another class or split" if differs else ""))
            continue
        taken[path] = entry
        listing.candidates.append(Candidate(path, entry.label, entry.class_id, entry.split))
    for found, what in ((again, "listed again, the first line counts"), (several, "listed names fit several files")):
        if found:
            listing.notes.append(f"{len(found)} {what}: {found[0]}" + (" ..." if len(found) > 1 else ""))
    return listing, set(taken).union(*map(find, aside))


def match_tree(
    entries: Iterable[Entry],
    source: Source,
    find: Callable[[Entry], list[str]] | None = None,
    *,
    aside: Iterable[Entry] = (),
) -> Listing:
    """`match` among the videos below the root; those in no list are left out, and counted."""
    tree = source.tree
    listing, taken = match(entries, find or (lambda entry: tree.find(entry.name)), aside=aside)
    if left := sum(path not in taken for path in tree.videos):
        listing.notes.append(f"{count(left, 'video')} in no list: left out")
    return with_tree(listing, tree, VIDEOS)


def list_ucf101(source: Source) -> Listing:
    """UCF101: class folders, `classInd.txt`, `trainlist0N.txt` of `CLASS/FILE NUMBER` and `testlist0N.txt`.

    Without a split every video is taken, as in any class folders, with the class numbers of classInd.
    """
    files = source.list_files(UCF101_LISTS)
    index = files[0].parent / "classInd.txt"
    classes = read_classes(index, numbered=True) if index.exists() else {}
    numbers = {name.casefold(): number for name, number in classes.items()}
    if source.split is None:
        listing = _unsplit(source, files)
        listing.candidates[:] = [
            found._replace(class_id=numbers.get((found.label or "").casefold())) for found in listing.candidates
        ]
        return listing
    chosen = _of_split(source, files, r"(?P<kind>train|test)list0*(?P<split>\d+)")
    return _by_their_folders(match_tree(list(_ucf101_entries(chosen, numbers)), source))


def _ucf101_entries(chosen: dict[Path, str], numbers: dict[str, int]) -> Iterator[Entry]:
    for path in sorted(chosen, key=lambda path: chosen[path] == "test"):  # only train lines carry a number
        for where, line in read_lines(path):
            name, _, last = line.strip().rpartition(" ")
            number = int(last) if name and is_number(last) else None
            name = name if number is not None else line.strip()
            folder = name.rpartition("/")[0].casefold()
            if number is not None and numbers.setdefault(folder, number) != number:
                raise VidaugError(f"says class {number}, but {folder!r} was {numbers[folder]} before", where=where)
            yield Entry(name, where, folder, numbers.get(folder), chosen[path])


def list_hmdb51(source: Source) -> Listing:
    """HMDB51: class folders, and a `CLASS_test_splitN.txt` for each with `FILE 1` (train), `2` (test), `0` (unused)."""
    files = source.list_files(HMDB51_LISTS)
    if source.split is None:
        return _unsplit(source, files)
    chosen = _of_split(source, files, r"(?P<kind>.+)_test_split(?P<split>\d)")
    flags: dict[str, list[Entry]] = {"0": [], "1": [], "2": []}
    for path, label in chosen.items():
        for where, line in read_lines(path):
            name, _, flag = line.strip().rpartition(" ")
            if flag not in flags:
                raise VidaugError(f"{line.strip()!r} should be a file name and 0, 1 or 2", where=where)
            split = {"1": "train", "2": "test"}.get(flag)
            flags[flag].append(Entry(f"{label}/{name.strip()}", where, label, None, split))
    listing = _by_their_folders(match_tree(flags["1"] + flags["2"], source, aside=flags["0"]))
    if flags["0"]:
        listing.notes.append(f"{count(len(flags['0']), 'video')} marked as unused in split {source.split}: left out")
    return listing


def list_vipriors2020(source: Source) -> Listing:
    """mod-UCF101 of the VIPriors 2020 challenge: `NAME.avi CLASS`, test lines names only; classes in classInd."""
    files = {path.stem.removeprefix("mod-ucf101-"): path for path in source.list_files(VIPRIORS_LISTS)}
    if "classInd" not in files:
        folder = next(iter(files.values())).parent
        raise VidaugError("not found", where=folder / "mod-ucf101-classInd.txt", hint="it names the classes")
    names = {number: name for name, number in read_classes(files["classInd"], numbered=True).items()}
    entries = []
    for split in ("train", "validation", "test"):
        for where, line in read_lines(files[split]) if split in files else ():
            name, _, number = line.strip().partition(" ")
            class_id = int(number) if is_number(number) else None
            if number and class_id not in names:
                raise VidaugError(f"class {number} is not in {files['classInd'].name}", where=where)
            entries.append(Entry(name, where, names[class_id] if class_id is not None else None, class_id, split))
    return match_tree(entries, source)


def kinetics_lists(source: Source) -> list[Path]:
    """The csv files of a Kinetics data set: those with a column youtube_id."""
    files = [source.input] if source.input.is_file() else source.list_files("*.csv")
    return [path for path in files if "youtube_id" in _header(path)]


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return [cell.strip() for cell in file.readline(10_000).split(",")]


def list_kinetics(source: Source) -> Listing:
    """Kinetics: a csv of label, youtube_id, time_start, time_end, split; videos `ID_000010_000020.mp4` or `ID.mp4`."""
    entries = [entry for path in kinetics_lists(source) for entry in _kinetics_entries(path)]

    def find(entry: Entry) -> list[str]:
        paths = source.tree.find_stem(entry.name)
        if not paths and re.search(r"_\d{6}_\d{6}$", entry.name):
            paths = source.tree.find_stem(entry.name[:-14])
        # One clip may lie below train/ and val/ of different editions: its own split and label come first.
        own = {(entry.label or "").replace("_", " "), entry.split}
        return sorted(paths, key=lambda path: -len(own & _folders(path)))

    return match_tree(entries, source, find)


def _kinetics_entries(path: Path) -> Iterator[Entry]:
    reader = csv.DictReader((line for _, line in read_lines(path)), skipinitialspace=True)
    for row in reader:
        cells = {name: (row.get(name) or "").strip() for name in ("youtube_id", "label", "split")}
        where, name, split = f"{path.name}:{reader.line_num}", cells["youtube_id"], cells["split"]
        if row.get("time_start") and row.get("time_end"):
            try:
                start, end = float(row["time_start"]), float(row["time_end"])
            except ValueError as error:
                raise VidaugError("time_start and time_end should be seconds", where=where) from error
            name += f"_{start:06.0f}_{end:06.0f}"
        yield Entry(name, where, cells["label"] or None, None, SPLITS.get(split, split) or None)


def _folders(path: str) -> set[str | None]:
    return {SPLITS.get(part, part.replace("_", " ")) for part in path.split("/")[:-1]}


def _unsplit(source: Source, files: list[Path]) -> Listing:
    listing = list_folders(source)
    folder = files[0].parent
    shown = folder.relative_to(source.root) if folder.is_relative_to(source.root) else folder
    listing.notes.append(f"split lists found in {shown}/ and not used: --split 1 would use them")
    return listing


def _of_split(source: Source, files: list[Path], pattern: str) -> dict[Path, str]:
    """The lists of the wanted split, each with the `kind` in its name."""
    named = {path: found for path in files if (found := re.fullmatch(pattern, path.stem))}
    chosen = {path: found["kind"] for path, found in named.items() if int(found["split"]) == source.split}
    if not chosen:
        known = sorted({int(found["split"]) for found in named.values()})
        raise VidaugError(
            f"no lists for split {source.split}", where=files[0].parent, hint=f"there are {', '.join(map(str, known))}"
        )
    return chosen


def _by_their_folders(listing: Listing) -> Listing:
    """Class names as the folders on disk spell them, whatever case the lists use."""
    listing.candidates[:] = [
        found._replace(label=PurePosixPath(found.path).parent.name or None) for found in listing.candidates
    ]
    return listing
