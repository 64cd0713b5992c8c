"""Which rows of a manifest are used, where their videos lie now, and what their classes and videos are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from vidaug_cli.data.lines import is_number
from vidaug_cli.data.listing.names import SPLITS, split_of
from vidaug_cli.data.manifest import Row
from vidaug_cli.errors import VidaugError
from vidaug_cli.rng import Step, generator
from vidaug_cli.words import nearest


def select(rows: Sequence[Row], *, subset: str | None, limit: int | None, seed: int) -> list[Row]:
    """Return the rows of one split, by any of its names, or `limit` of them drawn by the seed, in their order.

    Raises VidaugError when nothing is left.
    """
    if subset is not None:
        splits = sorted({row.split for row in rows if row.split})
        rows = [row for row in rows if row.split and split_of(row.split) == split_of(subset)]
        if not rows:
            hint = f"there is {', '.join(splits)}"
            if not splits:
                hint = "none has any: 'vidaug scan --split 1' reads split lists"
            raise VidaugError(f"no video has split {subset!r}{_advice(subset, splits)}", hint=hint)
    if limit is not None and limit < len(rows):
        chosen = generator(seed, 0, 1, Step.SHUFFLE).choice(len(rows), limit, replace=False)
        rows = [rows[index] for index in sorted(chosen)]
    return list(rows)


def _advice(subset: str, splits: Sequence[str]) -> str:
    """Return the nearest of the splits, by any of its names."""
    words = [*splits, *(word for word in SPLITS if SPLITS[word] in map(split_of, splits))]
    return "" if split_of(subset) in SPLITS.values() else nearest(subset.lower(), words)


def relocate(rows: Sequence[Row], root: Path | None) -> list[Row]:
    """Return the rows, with the folder `root` in place of their own where one is given.

    Raises VidaugError when none of the videos lies there: otherwise a moved data set would look like broken videos.
    """
    if root is not None:
        rows = [replace(row, root=str(root.resolve())) for row in rows]
    if not any(os.path.exists(f"{row.root}/{row.path}") for row in rows):  # noqa: PTH110 (says no to any odd name)
        where, hint = rows[0].root, "--root says where the videos lie now"
        raise VidaugError(f"none of the manifest's {len(rows)} videos is there", where=where, hint=hint)
    return list(rows)


def distinct_names(rows: Sequence[Row]) -> list[str]:
    """Return a name for each video that no other has: its own, after as much of the path of `root` as tells it apart.

    Two videos of the same root and name keep the same name.
    """
    names = [row.name for row in rows]
    folders = [PurePosixPath(row.root).parts for row in rows]
    alike = _alike(names)
    for depth in range(1, max(map(len, folders), default=0) + 1):
        for place in alike:
            names[place] = "/".join([*folders[place][-depth:], rows[place].name]).removeprefix("//")
        alike = sorted(set(alike).intersection(_alike(names))) if alike else []
    return names


def _alike(names: Sequence[str]) -> list[int]:
    """Return the places of names that come more than once."""
    times = Counter(names)
    return [place for place, name in enumerate(names) if times[name] > 1]


def classes_of(rows: Iterable[Row]) -> list[str]:
    """Return class names in label order: by the data set's own number where it has one, else by name.

    Raises VidaugError where two rows give one class two numbers, or one number to two classes.
    """
    numbers: dict[str, int] = {}
    names: dict[int, str] = {}
    hint = "--classes FILE fixes names and numbers"
    for row in rows:
        if row.label is None:
            continue
        if row.class_id is None:
            numbers.setdefault(row.label, -1)
            continue
        if numbers.get(row.label, -1) not in (-1, row.class_id):
            what = f"class {row.label!r} has the number {numbers[row.label]}, and {row.class_id} at {row.name}"
            raise VidaugError(what, hint=hint)
        if names.setdefault(row.class_id, row.label) != row.label:
            what = f"class number {row.class_id} is {names[row.class_id]!r}, and {row.label!r} at {row.name}"
            raise VidaugError(what, hint=hint)
        numbers[row.label] = row.class_id
    return sorted(numbers, key=lambda name: (numbers[name], name))


def renumber(rows: Iterable[Row], classes: Mapping[str, int], where: object) -> list[Row]:
    """Return the rows with the names and numbers of `classes`; a label that is not a name may be one of the numbers.

    `where` is what an error calls the file of classes. Raises VidaugError on a label that is neither.
    """
    known = {str(number): name for name, number in classes.items()}
    known |= {normalize("NFC", name): name for name in classes}  # a name that looks like a number is a name first

    def fit(row: Row) -> Row:
        if row.label is None:
            return row
        label = normalize("NFC", row.label)
        if label not in known and is_number(label):
            label = str(int(label))
        if label not in known:
            pairs = list(classes.items())
            ends = " to ".join(f"{number} {name!r}" for name, number in (pairs[0], pairs[-1]))
            what = f"has no class {row.label!r}, and {row.name} is of it{nearest(row.label, classes)}"
            raise VidaugError(what, where=where, hint=f"it has {len(classes)}, from {ends}")
        return replace(row, label=known[label], class_id=classes[known[label]])

    return [fit(row) for row in rows]
