"""Which videos are held out of training: whole groups, such as all clips of one person, and some of every class.

Clips of one recording or one person look alike, so that a network tested on some and trained on the others is judged
by what it remembers. Groups are read from names and folders, by the first rule that tells any.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from vidaug_cli.data.listing.names import are_splits, is_media, nfc, split_in
from vidaug_cli.data.manifest import Row
from vidaug_cli.errors import SettingError
from vidaug_cli.words import count

FEWEST = 4  # groups: with fewer, what looks like groups is more likely two cameras, or a left and a right hand

_MARKS = "actor|group|person|rec|recording|scene|seq|sequence|session|speaker|subj|subject"


@dataclass(frozen=True)
class HoldOut:
    """Which part of the videos is held out."""

    share: float
    fold: int = 0


@dataclass(frozen=True)
class Groups:
    """The group of each video, by names that mean nothing else."""

    of: tuple[str, ...]
    rule: str  # in words what tells them; empty where nothing does, and each video is its own

    @property
    def text(self) -> str:
        """How many there are, and how that is known."""
        number = len(set(self.of))
        if self.rule:
            return f"{count(number, 'group')} of videos, by {self.rule}"
        return f"{count(number, 'video')}, each by itself, as no name tells groups"


def _by(pattern: str) -> Callable[[str, str], str | None]:
    """Return the rule that a group is the first part of a file's name that is in brackets in `pattern`."""
    expression = re.compile(pattern, re.IGNORECASE)

    def find(path: str, label: str) -> str | None:
        match = expression.search(_stem(path))
        return match[1] if match else None

    return find


def _marked(path: str, label: str) -> str | None:
    match = re.match(rf"(.*?(?<![a-z])(?:{_MARKS})[_-]?\d+)", _stem(path), re.IGNORECASE)
    return _called(label).sub("", match[1]) if match else None


def _before_class(path: str, label: str) -> str | None:
    found = _called(label).search(_stem(path))
    return _stem(path)[: found.start()].strip("_-. ") or None if found else None


def _after_class(path: str, label: str) -> str | None:
    found = _called(label).match(_stem(path))
    rest = re.fullmatch(r"[_-]?\d*[_-]([^\W\d_].*)", _stem(path)[found.end() :]) if found else None
    return rest[1] if rest else None


def _folder(path: str, label: str) -> str | None:
    parts = [nfc(part) for part in path.split("/")[:-1]]
    named = [part for part in parts if not (_called(label).fullmatch(part) or is_media(part) or split_in(part))]
    return "/".join(named) or None


def _numbered(path: str, label: str) -> str | None:
    match = re.fullmatch(r"(.*[^\W_].*?)[_\-. ]+[a-z]*\d+", _stem(path), re.IGNORECASE)
    if match is None or _called(label).fullmatch(match[1]) or is_media(match[1]) or are_splits([match[1]]):
        return None  # `walk_01`, `clip_01`, `val_01`
    return match[1]


def _stem(path: str) -> str:
    """Return the name of a video, without the suffix of a file."""
    name = nfc(PurePosixPath(path).name)
    return re.sub(r"\.[A-Za-z]\w{1,4}$", "", name)


@cache
def _called(label: str) -> re.Pattern[str]:
    """Return what finds a class in a name, as a word of its own: `Brush Hair` in `April_09_brush_hair_u_nm`."""
    words = r"[\W_]*".join(map(re.escape, re.findall(r"[^\W_]+", label)))
    return re.compile(rf"(?<![^\W_]){words or '(?!)'}(?![^\W\d_])", re.IGNORECASE)


# What tells groups, from the surest to the least sure: in words, and the group of a path and its label.
RULES: tuple[tuple[str, Callable[[str, str], str | None]], ...] = (
    ("names such as v_Biking_g07_c02", _by(r"^(.*_g\d+)_c\d+$")),  # UCF101: groups of one class
    ("persons of names such as S001C001P003R001A007", _by(r"S\d{3}C\d{3}(P\d{3})R\d{3}A\d{3}")),  # NTU RGB+D
    ("videos that names begin with, ID_000010_000020", _by(r"^([\w-]{11})_\d{6}_\d{6}$")),  # Kinetics
    ("names such as person01, seq2 or scene3", _marked),  # KTH, UT-Interaction
    ("what stands before the class in names", _before_class),  # HMDB51, Weizmann, MIRACL-VC1
    ("what stands after the class in names", _after_class),  # AVLetters
    ("folders beside those of the classes", _folder),
    ("names that only differ in their last number", _numbered),
)


def groups_of(rows: Sequence[Row]) -> Groups:
    """Return the groups of the videos. Segments of one file, and equal paths below different roots, are of one group.

    A rule counts if it tells the groups of most files, at least four of them, with several files in some, and two or
    more in every class that has two files: a folder around whole classes is no group. Files that it does not fit are
    groups of their own.
    """
    files = {row.path: row.label or "" for row in rows}
    for rule, find in RULES:
        found = {path: find(path, label) for path, label in files.items()}
        groups = {path: found[path] or f"file {path}" for path in files}
        told = Counter(filter(None, found.values()))
        if told.total() * 2 > len(files) and FEWEST <= len(told) < told.total() and _in_each_class(files, groups):
            return Groups(tuple(groups[row.path] for row in rows), rule)
    segments = len({row.name for row in rows}) > len(files)  # rows alone may be more: of several folders of shards
    return Groups(tuple(row.path for row in rows), "the file that segments are of" if segments else "")


def _in_each_class(files: dict[str, str], groups: dict[str, str]) -> bool:
    """Return whether every class that has two files has two groups."""
    classes = defaultdict(list)
    for path, label in files.items():
        classes[label].append(groups[path])
    return all(len(set(each)) > 1 for each in classes.values() if len(each) > 1)


def hold_out(rows: Sequence[Row], share: float, fold: int = 0) -> list[bool]:
    """Return for each video whether it is held out: about `share` of each class, in whole groups.

    There are 1 / share folds, in round numbers, and each video is held out in exactly one of them. Which one follows
    from paths and labels alone, not from the order of the rows.

    Args:
        rows: the videos to part.
        share: above 0, 0.5 at most.
        fold: from 0.

    Raises VidaugError when there is no such share or fold, or fewer groups than folds.
    """
    if not 0 < share <= 0.5:
        raise SettingError(f"a share of {share:g} cannot be held out", hint="take one above 0, and 0.5 at most")
    folds = round(1 / share)
    if not 0 <= fold < folds:
        raise SettingError(f"there is no fold {fold}", hint=f"a share of {share:g} makes folds 0 to {folds - 1}")
    groups = groups_of(rows)
    if (number := len(set(groups.of))) < folds:
        what = f"{groups.text}: too few for {count(folds, 'part')}"
        raise SettingError(what, hint=f"hold out 1/{number} or more" if number > 1 else "one group cannot be parted")
    return [each == fold for each in _folds(rows, groups.of, folds)]


def _folds(rows: Sequence[Row], groups: Sequence[str], folds: int) -> list[int]:
    """Return the fold of each video.

    Groups go one by one, large ones first, to where the sum of squares of the classes' shares grows least; what is
    equally good goes where fewest videos are. As a fold without any is always best, none stays empty.
    """
    sizes = Counter(row.label for row in rows)
    content: dict[str, Counter[str | None]] = defaultdict(Counter)
    for row, group in zip(rows, groups, strict=True):
        content[group][row.label] += 1
    held: list[Counter[str | None]] = [Counter() for _ in range(folds)]
    chosen: dict[str, int] = {}
    for group in sorted(content, key=lambda name: (-content[name].total(), hashlib.sha256(name.encode()).digest())):
        classes = content[group]

        def cost(fold: int, classes: Counter[str | None] = classes) -> tuple[float, int]:
            growth = (
                number * (2 * held[fold][label] + number) / sizes[label] ** 2 for label, number in classes.items()
            )
            return math.fsum(growth), held[fold].total()

        chosen[group] = min(range(folds), key=cost)
        held[chosen[group]].update(classes)
    return [chosen[group] for group in groups]
