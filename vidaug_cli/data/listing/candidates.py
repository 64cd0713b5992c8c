"""What `vidaug scan` was pointed at, and what a layout makes of it: the videos it will look into."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from vidaug_cli.data.listing.names import some
from vidaug_cli.data.listing.tree import Quarantined, Tree, walk
from vidaug_cli.words import count


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


class Piped(NamedTuple):
    """A list that can be read but once."""

    name: str  # what errors call it
    content: bytes


def piped_in(path: Path) -> Piped | None:
    """What comes from stdin (`-`) or another pipe; None for a file or a folder, which is not read here."""
    if path == Path("-"):
        return Piped("stdin", sys.stdin.buffer.read())
    return Piped(str(path), path.read_bytes()) if path.exists() and not (path.is_file() or path.is_dir()) else None


@dataclass(frozen=True, kw_only=True)
class Source:
    """The user's words: a folder or a list, and what else was said about it."""

    input: Path
    content: bytes | None = None  # of a list that was piped in
    root: Path  # absolute folder that paths are relative to
    split: int | None = None  # which of the data set's numbered splits
    lists: Path | None = None  # where the split lists lie, if not with the videos
    pattern: tuple[str, ...] | None = None  # which folders are the classes, if that was said; see `folders`
    within: Path | None = None  # where links may lead, besides the root
    rooted: bool = False  # the user named the root

    @property
    def is_list(self) -> bool:
        return self.content is not None or not self.input.is_dir()

    @cached_property
    def tree(self) -> Tree:
        return walk(self.root, self.within)

    def list_files(self, pattern: str, fits: Callable[[Path], bool] = lambda path: True) -> list[Path]:
        """Files named like `pattern`, if they fit, in `lists`, or else in the folder nearest the root that has any."""
        if self.is_list:
            return []
        if self.lists:
            found = sorted(path for path in self.lists.iterdir() if path.is_file())
        else:
            found = [self.root / path for path in self.tree.texts]
        fitting = [path for path in found if fnmatchcase(path.name, pattern) and fits(path)]
        return [path for path in fitting if path.parent == fitting[0].parent]


def with_tree(listing: Listing, tree: Tree, used: Iterable[str]) -> Listing:
    """`listing` with what the walk met besides files of the extensions that were `used`."""
    listing.passed_over.update({kind: number for kind, number in tree.seen.items() if kind not in used})
    if tree.left_out and ".jpg" in used:
        kinds = some(tree.left_out)
        listing.notes.append(f"{tree.left_out.total()} images beside the frames left out: {kinds}")
    if tree.linked:
        listing.notes.append(
            f"{count(len(tree.linked), 'link')} to folders inside the data set not followed: {tree.linked[0]}"
            + (" ..." if len(tree.linked) > 1 else "")
        )
    listing.quarantined.extend(tree.faults)
    return listing


_NUMBER = re.compile(r"(-?[0-9]{1,9})(\.0+)?")  # spreadsheets make 3.0 of 3


def number_of(label: str | None) -> int | None:
    """The class number that a label is, if it is one."""
    found = _NUMBER.fullmatch(label) if label is not None else None
    return int(found[1]) if found else None


def with_numbers(listing: Listing) -> Listing:
    """The listing with labels that are whole numbers as class numbers too, so that 2 comes before 10.

    Where other labels are words all stay names, which a note says.
    """
    labels = {found.label for found in listing.candidates if found.label is not None and found.class_id is None}
    numbers = {label: number for label in labels if (number := number_of(label)) is not None}
    if below := sorted(label for label, number in numbers.items() if number < 0):
        listing.notes.append(f"{below[0]} is a class like any other: leave it out of the list if it stands for none")
    if several := sorted(label for label in labels if "|" in label):
        listing.notes.append(f"{several[0]!r} is taken for one class: a video has one label")
    if numbers and len(numbers) == len(labels):
        listing.candidates[:] = [
            found._replace(label=found.label.partition(".")[0], class_id=numbers[found.label])
            if found.label in numbers and found.class_id is None
            else found
            for found in listing.candidates
        ]
    elif numbers:
        listing.notes.append(
            f"some classes are numbers, as {some(numbers, 2)}, and others words, as"
            f" {some(labels - numbers.keys(), 2)}: all are taken for names"
        )
    return listing
