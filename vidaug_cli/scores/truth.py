"""The true classes of videos: from a manifest, an output folder or a file of annotations; and scores with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from vidaug_cli.data.kinds import Kind, expect, kind_of
from vidaug_cli.data.manifest import Row, distinct_names, manifest_file, read_manifest, renumber, select
from vidaug_cli.data.textfiles import Numbers, is_number, read_classes, read_lines
from vidaug_cli.errors import ClassesError, KindError, MismatchError, TruthError
from vidaug_cli.scores.file import Scores
from vidaug_cli.words import count, cut, nearest

Truth = Sequence[tuple[str, str | None]]  # names of videos, and of their classes where they are known

_HINT = "--classes classInd.txt says which number is which class"


def read_truth(path: Path, classes: Sequence[str], numbers: Path | None = None) -> Truth:
    """Return the class of each video, from a manifest, an output folder or a file of annotations.

    Annotations give class numbers. These are those of the file `numbers`, or without it what `classes`, the names to
    choose from, are called.

    Raises VidaugError when it is none of these, and on a number that is not known.
    """
    known = None if numbers is None else read_classes(numbers)
    if (rows := _rows(path, known, numbers)) is not None:
        pairs = zip(rows, distinct_names(rows), strict=True)
        return [(name, row.label) for row, distinct in pairs for name in (row.name, distinct)]
    if known is None:
        known = {name: int(name) for name in classes if is_number(name)}
    called = {number: name for name, number in known.items()}
    annotations = read_annotations(path)
    for video, number in annotations.items():
        if number not in called:
            what = f"{video!r} is of class {number}, a number that no class of {numbers or 'the scores'} has"
            raise TruthError(what, where=path, hint="" if numbers else _HINT)
    return [(video, called[number]) for video, number in annotations.items()]


def read_numbers(path: Path, classes: Numbers | None, subset: str | None) -> Numbers:
    """Return the class number of each video by its file name, from annotations or a manifest (or a split of it).

    A manifest's numbers are those that `classes` gives its labels, or else its own.

    Raises VidaugError when it is neither, or a video has no number.
    """
    if (rows := _rows(path, classes, "--classes", subset)) is None:
        return read_annotations(path)
    numbers: Numbers = {}
    for row in (row for row in rows if row.label is not None):
        name = PurePosixPath(row.name).name
        if row.class_id is None:
            raise TruthError(f"{row.name} is of class {row.label!r}, without a number", where=path, hint=_HINT)
        if name in numbers:
            what = f"has two videos called {name!r}, which a submission cannot tell apart"
            raise TruthError(what, where=path, hint="rename one of them")
        numbers[name] = row.class_id
    if not numbers:
        raise TruthError("has no video with a label", where=path, hint="scan the videos with their classes")
    return numbers


def _rows(path: Path, classes: Numbers | None, where: object, subset: str | None = None) -> list[Row] | None:
    """Return the rows of a manifest, or of a split of it, with the numbers of `classes`; None for annotations.

    `where` is what an error calls the file of classes. Raises VidaugError when the path is neither.
    """
    text, what = (Kind.TEXT, Kind.EMPTY), "a file of annotations, a manifest or a folder of shards"
    expect(manifest_file(path), *text, Kind.MANIFEST, Kind.SHARDS, called=what)
    if kind_of(path) not in text:
        rows = select(read_manifest(path), subset=subset, limit=None, seed=0)
        return rows if classes is None else renumber(rows, classes, where)
    if subset is not None:
        raise KindError("has no splits", where=path, hint="--subset goes with a manifest")
    return None


def read_annotations(path: Path) -> Numbers:
    """Return the class number of each video, from lines `NAME.avi 100`. Raises VidaugError on anything else."""
    numbers: Numbers = {}
    for where, line in read_lines(path):
        name, _, number = line.strip().rpartition(" ")
        name = name.strip()
        if not name or not is_number(number):
            hint = "a test list has no classes, and cannot be scored"
            raise TruthError(f"{cut(line, 60)!r} should be a file name and a class number", where=where, hint=hint)
        if name in numbers:
            raise TruthError(f"{cut(name)!r} was there before", where=where, hint="give each video one line")
        numbers[name] = int(number)
    if not numbers:
        raise TruthError("names no video", where=path, hint="a line is 'NAME.avi 100'")
    return numbers


def with_truth(scores: Scores, truth: Truth, where: str) -> tuple[Scores, int]:
    """Return the scores with the true labels, and how many of those were known by file name alone.

    A video is looked up by its path; failing that by its file name, where no other scored video has it and all of
    `truth` with it agrees. Videos that are not there keep the label they have.

    `where` is what an error calls the truth.

    Raises VidaugError when no video is there, a class is none of the scores', or a video had another label already.
    """
    videos, labels = scores.all_videos, scores.all_labels
    files = {video: PurePosixPath(video).name for video in videos}
    times = Counter(files.values())
    paths, names = _agreed(truth), _agreed((PurePosixPath(video).name, label) for video, label in truth)
    by_path = {video: paths[video] for video in videos if video in paths}
    alone = {video: file for video, file in files.items() if times[file] == 1 and video not in paths}
    by_name = {video: names[file] for video, file in alone.items() if file in names}
    if not by_path and not by_name:
        hint = f"its videos should be called like {videos[0]!r}" if videos else ""
        raise TruthError(f"has no label for any of the {count(len(videos), 'scored video')}", where=where, hint=hint)
    places = {video: place for place, video in enumerate(videos)}
    numbers = {name: number for number, name in enumerate(scores.classes)}
    for video, label in (by_path | by_name).items():
        if label not in numbers:
            what = f"class {label!r} of {video!r} is none of the scores' classes{nearest(label, numbers)}"
            raise ClassesError(what, where=where)
        if labels[places[video]] not in (-1, numbers[label]):
            what = f"{video!r} is {label!r} here, and {scores.classes[labels[places[video]]]!r} in the scores"
            raise MismatchError(what, where=where)
        labels[places[video]] = numbers[label]
    return scores.relabelled(labels), len(by_name)


def _agreed(truth: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Return the label of each name, where all with it agree."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for name, label in truth:
        if label is not None:
            labels[name].add(label)
    return {name: agreed.pop() for name, agreed in labels.items() if len(agreed) == 1}
