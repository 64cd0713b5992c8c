"""The videos that a layout lists: found in folders, or named in lists and matched with the files that are there.

Nothing that a list names is silently dropped.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vidaug_cli.data.listing.names import first_few
from vidaug_cli.data.listing.tree import IMAGES, VIDEOS, Quarantined, Tree, spell
from vidaug_cli.words import count, cut


class Candidate(NamedTuple):
    """A video that was found or listed, not yet opened."""

    path: str  # relative to the root; a file, or a folder of frame images
    label: str | None = None
    class_id: int | None = None
    split: str | None = None
    start: float | None = None  # seconds: the segment of the file that is the clip's source; None: from the beginning
    end: float | None = None  # ... and None: to the end


@dataclass(frozen=True)
class Listing:
    """What a layout makes of a data set."""

    candidates: list[Candidate] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # a line each, for the user
    passed_over: Counter[str] = field(default_factory=Counter)  # files of no use to this layout, by extension
    root: Path | None = None  # what the paths are relative to, if not to the source's root


class Entry(NamedTuple):
    """One line of a list."""

    name: str  # the video as the list spells it
    where: str  # the list and its line, as `trainlist01.txt:17`
    label: str | None = None
    class_id: int | None = None
    split: str | None = None
    start: float | None = None  # seconds
    end: float | None = None


Find = Callable[[Entry], list[str]]  # the paths of the files that a line may mean, the likeliest first


def match(entries: Iterable[Entry], find: Find, aside: Iterable[Entry] = ()) -> tuple[Listing, set[str]]:
    """Return candidates for the listed videos that `find` finds, and the paths of all that are listed.

    A listed video that is not there is quarantined, and so is one with two labels; of two lines that agree on the label
    the first counts. Segments of one file are videos of their own. `aside` are entries that the lists themselves leave
    out.
    """
    listing = Listing()
    lines: dict[tuple[str, float | None, float | None], list[Entry]] = defaultdict(list)
    several: list[str] = []
    for entry in entries:
        if paths := find(entry):
            lines[paths[0], entry.start, entry.end].append(entry)
        else:
            reason = f"listed in {entry.where} but not found"
            listing.quarantined.append(Quarantined(spell(cut(entry.name, 400)), reason))
        if len(paths) > 1:
            several.append(f"{entry.where} took {paths[0]}, not {paths[1]}")
    again: list[str] = []
    for (path, start, end), (first, *others) in lines.items():
        labels = {entry.label: entry.where for entry in reversed([first, *others]) if entry.label is not None}
        if len(labels) > 1:
            which = " and ".join(f"{spell(cut(label))} ({where})" for label, where in sorted(labels.items()))
            listing.quarantined.append(Quarantined(spell(path), f"has more than one label: {which}"))
            continue
        for entry in others:
            differs = (first.label, first.class_id, first.split) != (entry.label, entry.class_id, entry.split)
            again.append(f"{entry.where} repeats {first.where}" + (" with another class or split" if differs else ""))
        listing.candidates.append(Candidate(path, first.label, first.class_id, first.split, start, end))
    for notes, what in ((again, "listed again, the first line counts"), (several, "listed names fit several files")):
        if notes:
            listing.notes.append(f"{len(notes)} {what}: {_example(notes)}")
    return listing, {path for path, _, _ in lines}.union(*map(find, aside))


def match_tree(entries: Iterable[Entry], tree: Tree, find: Find | None = None, aside: Iterable[Entry] = ()) -> Listing:
    """Return what `match` finds among the videos, or else the folders of frames, below the root, and count the rest."""
    listing, taken = match(entries, find or (lambda entry: tree.index.find(entry.name)), aside)
    if left := len({*tree.index.paths} - taken - tree.excluded):
        listing.notes.append(f"{count(left, 'video')} in no list: left out")
    return with_tree(listing, tree, IMAGES if tree.of_frames else VIDEOS)


def with_tree(listing: Listing, tree: Tree, used: Iterable[str]) -> Listing:
    """Return `listing` with what the walk met besides files of the extensions that were `used`."""
    listing.passed_over.update({suffix: n for suffix, n in tree.seen.items() if suffix not in used})
    if tree.left_out and ".jpg" in used:
        listing.notes.append(f"{tree.left_out.total()} images beside the frames left out: {first_few(tree.left_out)}")
    if tree.linked:
        links = count(len(tree.linked), "link")
        listing.notes.append(f"{links} to folders inside the data set not followed: {_example(tree.linked)}")
    listing.quarantined.extend(tree.faults)
    return listing


def _example(lines: list[str]) -> str:
    return lines[0] + " ..." * (len(lines) > 1)


_NUMBER = re.compile(r"(-?[0-9]{1,9})(\.0+)?")  # spreadsheets make 3.0 of 3


def number_of(label: str | None) -> int | None:
    """Return the class number that a label is, if it is one."""
    number = _NUMBER.fullmatch(label or "")
    return int(number[1]) if number else None


def with_numbers(listing: Listing) -> Listing:
    """Return the listing with labels that are whole numbers as class numbers too, so that 2 comes before 10.

    Where other labels are words all stay names, which a note says.
    """
    labels = {video.label for video in listing.candidates if video.label is not None and video.class_id is None}
    numbers = {label: number for label in labels if (number := number_of(label)) is not None}
    if below := sorted(label for label, number in numbers.items() if number < 0):
        listing.notes.append(f"{below[0]} is a class like any other: leave it out of the list if it stands for none")
    if several := sorted(label for label in labels if "|" in label):
        listing.notes.append(f"{several[0]!r} is taken for one class: a video has one label")
    if words := labels - numbers.keys():
        if numbers:
            both = f"numbers, as {first_few(numbers, 2)}, and others words, as {first_few(words, 2)}"
            listing.notes.append(f"some classes are {both}: all are taken for names")
        return listing
    for place, video in enumerate(listing.candidates):
        if video.label is not None and video.class_id is None:
            name = video.label.partition(".")[0]
            listing.candidates[place] = video._replace(label=name, class_id=numbers[video.label])
    return listing
