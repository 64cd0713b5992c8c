"""Data sets with official split lists: UCF101, HMDB51 and mod-UCF101 (VIPriors 2020)."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from vidaug_cli.data.classes import read_classes
from vidaug_cli.data.lines import is_number, read_lines
from vidaug_cli.data.listing.candidates import Candidate, Entry, Listing, match_tree
from vidaug_cli.data.listing.folders import list_folders, list_frames
from vidaug_cli.data.listing.names import nfc
from vidaug_cli.data.listing.source import Source
from vidaug_cli.errors import VidaugError
from vidaug_cli.words import count


def list_ucf101(source: Source, files: list[Path]) -> Listing:
    """List UCF101: class folders, `classInd.txt`, `trainlist0N.txt` of `CLASS/FILE NUMBER` and `testlist0N.txt`.

    Without a split every video is taken, as in any class folders, with the class numbers of classInd.
    """
    index = files[0].parent / "classInd.txt"
    classes = read_classes(index, numbered=True) if index.exists() else {}
    numbers = {name.casefold(): number for name, number in classes.items()}
    if source.split is None:
        listing = _unsplit(source, files)
        listing.candidates[:] = [
            video._replace(class_id=numbers.get((video.label or "").casefold())) for video in listing.candidates
        ]
        return listing
    chosen = _of_split(source, files, r"(?P<kind>train|test)list0*(?P<split>\d+)")
    entries = []
    for path in sorted(chosen, key=lambda path: chosen[path] == "test"):  # only train lines carry a number
        for where, line in read_lines(path):
            name, _, last = line.strip().rpartition(" ")
            number = int(last) if name and is_number(last) else None
            name = name if number is not None else line.strip()
            label = name.rpartition("/")[0]
            folder = label.casefold()
            if number is not None and numbers.setdefault(folder, number) != number:
                raise VidaugError(f"says class {number}, but {folder!r} was {numbers[folder]} before", where=where)
            entries.append(Entry(name, where, label, numbers.get(folder), chosen[path]))
    return _in_class_folders(entries, source)


def list_hmdb51(source: Source, files: list[Path]) -> Listing:
    """List HMDB51: class folders with a `CLASS_test_splitN.txt` each of `FILE 1` (train), `2` (test), `0` (unused)."""
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
    listing = _in_class_folders(flags["1"] + flags["2"], source, aside=flags["0"])
    if flags["0"]:
        listing.notes.append(f"{count(len(flags['0']), 'video')} marked as unused in split {source.split}: left out")
    return listing


def list_vipriors2020(source: Source, files: list[Path]) -> Listing:
    """List mod-UCF101 of VIPriors 2020: lines `NAME.avi CLASS`, of the test split names only; classes in classInd."""
    lists = {path.stem.removeprefix("mod-ucf101-"): path for path in files}
    if "classInd" not in lists:
        raise VidaugError("not found", where=files[0].parent / "mod-ucf101-classInd.txt", hint="it names the classes")
    names = {number: name for name, number in read_classes(lists["classInd"], numbered=True).items()}
    entries = []
    for split in ("train", "validation", "test"):
        for where, line in read_lines(lists[split]) if split in lists else ():
            name, _, number = line.strip().partition(" ")
            class_id = int(number) if is_number(number) else None
            if number and class_id not in names:
                raise VidaugError(f"class {number} is not in {lists['classInd'].name}", where=where)
            entries.append(Entry(name, where, names[class_id] if class_id is not None else None, class_id, split))
    return match_tree(entries, source)


def _unsplit(source: Source, files: list[Path]) -> Listing:
    """List all videos by their folders, and note that there are split lists."""
    listing = (list_frames if source.tree.of_frames else list_folders)(source)
    folder = files[0].parent
    shown = folder.relative_to(source.root) if folder.is_relative_to(source.root) else folder
    listing.notes.append(f"split lists found in {shown}/ and not used: --split 1 would use them")
    return listing


def _of_split(source: Source, files: list[Path], pattern: str) -> dict[Path, str]:
    """Return the lists of the wanted split, each with the `kind` in its name."""
    named = {path: parts for path in files if (parts := re.fullmatch(pattern, path.stem))}
    chosen = {path: parts["kind"] for path, parts in named.items() if int(parts["split"]) == source.split}
    if not chosen:
        known = ", ".join(map(str, sorted({int(parts["split"]) for parts in named.values()})))
        raise VidaugError(f"no lists for split {source.split}", where=files[0].parent, hint=f"there are {known}")
    return chosen


def _in_class_folders(entries: list[Entry], source: Source, aside: list[Entry] | None = None) -> Listing:
    """Match `CLASS/NAME`, or only `NAME` where it lies elsewhere and is the only one.

    Class names are as the folders on disk spell them, whatever case the lists use.
    """
    find = source.tree.index.find

    def look(entry: Entry) -> list[str]:
        if paths := find(entry.name):
            return paths
        paths = find(entry.name.rpartition("/")[2])
        return paths if len(paths) == 1 else []

    def spelled(video: Candidate) -> str | None:
        folder = nfc(PurePosixPath(video.path).parent.name)
        return folder if video.label and folder.casefold() == nfc(video.label).casefold() else video.label

    listing = match_tree(entries, source, look, aside=aside or [])
    listing.candidates[:] = [video._replace(label=spelled(video)) for video in listing.candidates]
    return listing
