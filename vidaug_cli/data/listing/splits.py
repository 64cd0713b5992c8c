"""Split lists of published data sets: UCF101, HMDB51 and mod-UCF101, matched with the files that are there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from vidaug_cli.data.classes import read_classes
from vidaug_cli.data.lines import is_number, read_lines
from vidaug_cli.data.listing.candidates import Candidate, Listing, Source
from vidaug_cli.data.listing.entries import Entry, match_tree
from vidaug_cli.data.listing.folders import list_folders, list_frames
from vidaug_cli.data.listing.names import nfc
from vidaug_cli.errors import VidaugError
from vidaug_cli.words import count

UCF101_LISTS = "t*list[0-9][0-9].txt"
HMDB51_LISTS = "*_test_split[0-9].txt"
VIPRIORS_LISTS = "mod-ucf101-*.txt"


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
    return _by_their_folders(match_tree(list(_ucf101_entries(chosen, numbers)), source, _find_in_class(source)))


def _ucf101_entries(chosen: dict[Path, str], numbers: dict[str, int]) -> Iterator[Entry]:
    for path in sorted(chosen, key=lambda path: chosen[path] == "test"):  # only train lines carry a number
        for where, line in read_lines(path):
            name, _, last = line.strip().rpartition(" ")
            number = int(last) if name and is_number(last) else None
            name = name if number is not None else line.strip()
            label = name.rpartition("/")[0]
            folder = label.casefold()
            if number is not None and numbers.setdefault(folder, number) != number:
                raise VidaugError(f"says class {number}, but {folder!r} was {numbers[folder]} before", where=where)
            yield Entry(name, where, label, numbers.get(folder), chosen[path])


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
    listing = _by_their_folders(match_tree(flags["1"] + flags["2"], source, _find_in_class(source), aside=flags["0"]))
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


def _unsplit(source: Source, files: list[Path]) -> Listing:
    listing = (list_frames if source.tree.of_frames else list_folders)(source)
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


def _find_in_class(source: Source) -> Callable[[Entry], list[str]]:
    """Find `CLASS/NAME`, or only `NAME` where it lies elsewhere and is the only one."""
    find = source.tree.found.find

    def look(entry: Entry) -> list[str]:
        if found := find(entry.name):
            return found
        found = find(entry.name.rpartition("/")[2])
        return found if len(found) == 1 else []

    return look


def _by_their_folders(listing: Listing) -> Listing:
    """Class names as the folders on disk spell them, whatever case the lists use."""

    def spelled(found: Candidate) -> str | None:
        folder = nfc(PurePosixPath(found.path).parent.name)
        return folder if found.label and folder.casefold() == nfc(found.label).casefold() else found.label

    listing.candidates[:] = [found._replace(label=spelled(found)) for found in listing.candidates]
    return listing
