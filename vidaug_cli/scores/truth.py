"""The truth about videos: from a manifest as it lies on the disk, or from annotations; and scores with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

import numpy as np

from vidaug_cli.data.classes import Numbers, read_classes
from vidaug_cli.data.kinds import Kind, expect, kind_of
from vidaug_cli.data.lines import is_number, read_lines
from vidaug_cli.data.manifest import manifest_file, read_manifest
from vidaug_cli.data.selection import distinct_names, renumber, select
from vidaug_cli.errors import VidaugError
from vidaug_cli.scores.file import Failed, Scores
from vidaug_cli.words import nearest


class Labelled(Protocol):
    """A video that is called something and has a class, or none: a row of a manifest, or a line of annotations."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str | None: ...


class Annotation(NamedTuple):
    """A video and the name of its class."""

    name: str
    label: str | None


def read_truth(path: Path, classes: Sequence[str], numbers: Path | None = None) -> list[Annotation]:
    """The class of each video, from a manifest, an output folder or a file of annotations.

    Annotations give class numbers. These are those of the file `numbers`, or without it what `classes`, the names to
    choose from, are called.

    Raises VidaugError when it is none of these, and on a number that is not known.
    """
    expect(manifest_file(path), *_TRUTH, called="a file of annotations, a manifest or a folder of shards")
    if not _annotated(path):
        rows = read_manifest(path)
        if numbers is not None:
            rows = renumber(rows, read_classes(numbers), numbers)
        called = {*zip(distinct_names(rows), rows, strict=True), *((row.name, row) for row in rows)}
        return [Annotation(name, row.label) for name, row in called]
    names = {int(name): name for name in classes if is_number(name)}
    if numbers is not None:
        names = {number: name for name, number in read_classes(numbers).items()}
    found = read_annotations(path)
    if strange := next((video for video, number in found.items() if number not in names), None):
        what = f"{strange!r} is of class {found[strange]}, which is no number of {numbers or 'a class of the scores'}"
        hint = "" if numbers else "--classes classInd.txt says which number is which class"
        raise VidaugError(what, where=path, hint=hint)
    return [Annotation(video, names[number]) for video, number in found.items()]


def read_numbers(path: Path, classes: Numbers | None, subset: str | None) -> Numbers:
    """The class number of each video by its file name, from a file of annotations or a manifest (or a split of it).

    A manifest's numbers are those that `classes` gives its labels, or else its own.

    Raises VidaugError when it is neither, or a video has no number.
    """
    expect(manifest_file(path), *_TRUTH, called="a file of annotations, a manifest or a folder of shards")
    if _annotated(path):
        if subset is not None:
            raise VidaugError("has no splits", where=path, hint="--subset goes with a manifest")
        return read_annotations(path)
    rows = select(read_manifest(path), subset=subset, limit=None, seed=0)
    rows = [row for row in (rows if classes is None else renumber(rows, classes, "--classes")) if row.label is not None]
    if lost := next((row for row in rows if row.class_id is None), None):
        what = f"{lost.name} is of class {lost.label!r}, without a number"
        raise VidaugError(what, where=path, hint="--classes classInd.txt says which number is which class")
    found: Numbers = {}
    for row in rows:
        name = PurePosixPath(row.name).name
        if name in found:
            raise VidaugError(f"has two videos called {name!r}, which a submission cannot tell apart", where=path)
        found[name] = int(row.class_id or 0)
    if not found:
        raise VidaugError("has no video with a label", where=path)
    return found


_TRUTH = (Kind.TEXT, Kind.EMPTY, Kind.MANIFEST, Kind.SHARDS)


def _annotated(path: Path) -> bool:
    """Whether this is text, and so annotations, and not a manifest or what has one."""
    return kind_of(path) in (Kind.TEXT, Kind.EMPTY)


def read_annotations(path: Path) -> Numbers:
    """The class number of each video, from lines `NAME.avi 100`. Raises VidaugError on anything else."""
    found: Numbers = {}
    for where, line in read_lines(path):
        name, _, number = line.strip().rpartition(" ")
        name = name.strip()
        if not name or not is_number(number):
            hint = "a test list has no classes, and cannot be scored"
            raise VidaugError(f"{line[:60]!r} should be a file name and a class number", where=where, hint=hint)
        if name in found:
            raise VidaugError(f"{name!r} was there before", where=where)
        found[name] = int(number)
    if not found:
        raise VidaugError("holds no video", where=path)
    return found


def with_truth(scores: Scores, rows: Sequence[Labelled], where: str) -> tuple[Scores, int]:
    """The scores with the labels of a manifest or annotations, and how many of those were found by file name alone.

    `where` is what an error calls the manifest.

    A video is looked up by its path; failing that by its file name, where no other scored video has it and all rows
    with it agree. Videos that are not found keep the label they have.

    Raises VidaugError when none is found, a class is none of the scores', or a video had another label already.
    """
    videos = [*scores.videos, *(failed.video for failed in scores.failures)]
    by_path, by_name = _found(videos, rows)
    if not by_path and not by_name:
        hint = f"its videos should be called like {videos[0]!r}" if videos else ""
        raise VidaugError(f"has no label for any of the {len(videos)} scored videos", where=where, hint=hint)
    named, numbers = by_name | by_path, {name: number for number, name in enumerate(scores.classes)}
    labels = [*scores.labels.tolist(), *(failed.label for failed in scores.failures)]
    for i, name in ((i, named[video]) for i, video in enumerate(videos) if video in named):
        if name not in numbers:
            what = f"class {name!r} of {videos[i]!r} is none of the scores' classes"
            raise VidaugError(what + nearest(name, numbers), where=where)
        if labels[i] not in (-1, numbers[name]):
            what = f"{videos[i]!r} is {name!r} here, and {scores.classes[labels[i]]!r} in the scores"
            raise VidaugError(what, where=where)
        labels[i] = numbers[name]
    count = len(scores.videos)
    failures = map(Failed, videos[count:], labels[count:], (failed.reason for failed in scores.failures))
    return replace(scores, labels=np.array(labels[:count], np.int64), failures=tuple(failures)), len(by_name)


def _found(videos: Sequence[str], rows: Sequence[Labelled]) -> tuple[dict[str, str], dict[str, str]]:
    """The class names of videos found by their path, and of those found by their file name alone."""
    paths = _agreed((row.name, row.label) for row in rows)
    names = _agreed((PurePosixPath(row.name).name, row.label) for row in rows)
    times = Counter(PurePosixPath(video).name for video in videos)
    by_path = {video: paths[video] for video in videos if video in paths}
    rest = {video: PurePosixPath(video).name for video in videos if video not in paths}
    return by_path, {video: names[name] for video, name in rest.items() if name in names and times[name] == 1}


def _agreed(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """The label of each key, where all rows with it agree."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for key, label in pairs:
        if label is not None:
            labels[key].add(label)
    return {key: found.pop() for key, found in labels.items() if len(found) == 1}
