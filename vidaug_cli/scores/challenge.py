"""Submissions: files that hand scores in, and what the VIPriors 2020 action challenge makes of one.

Its format is a line `NAME.avi c1 c2 c3 c4 c5` for each video, class numbers as in classInd, the best first.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vidaug_cli.data.textfiles import Numbers, is_number, read_classes
from vidaug_cli.errors import ClassesError, SubmissionError
from vidaug_cli.scores.evaluation import ranking, rates
from vidaug_cli.scores.file import Scores
from vidaug_cli.scores.truth import read_numbers
from vidaug_cli.words import count, cut, nearest

CHOICES = 5  # classes that a line names


def class_numbers(classes: Sequence[str], file: Path | None) -> tuple[list[int], str]:
    """Return the challenge's number of each class, and in words where they are from.

    Names that are numbers are taken as they are. Other names are looked up in `file`, lines `100 ApplyEyeMakeup`.
    Without one, classes are counted from 1 in the order they have, which is that of the data set's own numbers where
    it gives any. Classes in alphabetical order most likely have none, and are refused.

    Raises VidaugError then, and when the file does not name a class.
    """
    if all(map(is_number, classes)):
        numbers, origin = [int(name) for name in classes], "as the classes are called"
    elif file is not None:
        known = read_classes(file, numbered=True)
        if unknown := [name for name in classes if name not in known]:
            what = f"does not name the class {unknown[0]!r}{nearest(unknown[0], known)}"
            raise ClassesError(what, where=file, hint="it has to name every class of the scores")
        numbers, origin = [known[name] for name in classes], f"from {file}"
    elif list(classes) in (sorted(classes), sorted(classes, key=str.casefold)):
        what = "the scores' classes are in alphabetical order, which says nothing of the challenge's numbers"
        raise ClassesError(what, hint="give --classes classInd.txt")
    else:
        numbers = list(range(1, len(classes) + 1))
        origin = f"by the order of the scores' classes: 1 is {classes[0]!r}, {len(classes)} is {classes[-1]!r}"
    if len(set(numbers)) < len(numbers):
        raise ClassesError("two of the scores' classes have the same number", hint="give --classes classInd.txt")
    return numbers, origin


def vipriors2020(scores: Scores, numbers: Sequence[int]) -> str:
    """Return scores in the challenge's format; `numbers` (K,) are those of the classes.

    Raises VidaugError with what the format has no place for.
    """
    if len(scores.classes) < CHOICES:
        what = f"a line names {CHOICES} classes, and there are {len(scores.classes)}"
        raise SubmissionError(what, hint="--format csv or json takes any number")
    names: dict[str, str] = {}
    for video in scores.videos:
        name = PurePosixPath(video).name
        if re.search(r"\s", name):
            what = f"{video!r} has a blank in its name, which the format has no place for"
            raise SubmissionError(what, hint="rename it, or take --format csv or json")
        if name in names:
            what = f"{names[name]!r} and {video!r} would have the same line"
            raise SubmissionError(what, hint="rename one of them")
        names[name] = video
    best = np.asarray(numbers)[ranking(scores.scores)[:, :CHOICES]].tolist()
    return "".join(" ".join([name, *map(str, row)]) + "\n" for name, row in zip(names, best, strict=True))


def as_csv(scores: Scores) -> str:
    """Return a table of the best five classes of each video, by name, and their scores."""
    best = ranking(scores.scores)[:, :CHOICES]
    ranks = range(1, best.shape[1] + 1)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["video", *(f"rank{rank}" for rank in ranks), *(f"score{rank}" for rank in ranks)])
    for video, row, values in zip(scores.videos, best, np.take_along_axis(scores.scores, best, 1), strict=True):
        writer.writerow([video, *(scores.classes[c] for c in row), *(f"{value:.6f}" for value in values)])
    return table.getvalue()


def as_json(scores: Scores) -> str:
    """Return a list with all scores of each video, by class name; a video a line."""
    lines = []
    for video, row in zip(scores.videos, scores.scores.tolist(), strict=True):
        shares = {name: round(share, 7) for name, share in zip(scores.classes, row, strict=True)}
        lines.append(json.dumps({"video": video, "scores": shares}, ensure_ascii=False))
    return "[\n" + ",\n".join(lines) + "\n]\n"


_LINE = re.compile(r"(\S+) ((?:0|[1-9][0-9]{0,8})(?: (?:0|[1-9][0-9]{0,8})){4})")


def read_submission(path: Path, videos: Numbers, numbers: Container[int]) -> dict[str, list[int]]:
    """Return the five class numbers given for each video, the best first.

    Raises VidaugError with the line number on a line that is not exactly in the format, on a video that is not one of
    `videos` or comes twice, and on a class that is not one of `numbers` or comes twice in a line.
    """
    choices: dict[str, list[int]] = {}
    *lines, rest = path.read_bytes().split(b"\n")
    for place, data in enumerate(lines, 1):
        line, where = data.decode(errors="replace"), f"{path}:{place}"
        if not (fields := _LINE.fullmatch(line)):
            what = f"{cut(line, 60)!r} should be 'NAME c1 c2 c3 c4 c5', with single blanks and nothing else"
            raise SubmissionError(what, where=where)
        name, given = fields[1], [int(number) for number in fields[2].split()]
        if name not in videos:
            what = f"{cut(name, 60)!r} is not one of the {count(len(videos), 'annotated video')}"
            raise SubmissionError(what, where=where)
        if name in choices:
            raise SubmissionError(f"{cut(name, 60)!r} has a line already", where=where, hint="give each video one")
        if odd := [number for number in given if number not in numbers]:
            raise SubmissionError(f"there is no class {odd[0]}", where=where, hint="--classes says which there are")
        if len(set(given)) < CHOICES:
            raise SubmissionError("names a class twice", where=where, hint="name five different classes")
        choices[name] = given
    if rest:
        what, hint = "the line has no end: was the file cut off?", "end it with a line feed"
        raise SubmissionError(what, where=f"{path}:{len(lines) + 1}", hint=hint)
    return choices


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a submission is worth. A missing video is wrong."""

    videos: int
    missing: tuple[str, ...]  # annotated videos without a line
    rates: dict[str, float]  # as in `evaluation.rates`

    def as_json(self) -> dict[str, Any]:
        """Return all of it, with the number of missing videos."""
        return {"videos": self.videos, "missing": len(self.missing)} | self.rates


def score(
    submission: Path, annotations: Path, classes: Path | None = None, subset: str | None = None
) -> tuple[Score, str]:
    """Compare a submission with the truth: a file of annotations, or a manifest or a `subset` of one.

    Also return in words which class numbers were allowed. These are those of `classes`, a classInd; without it, all
    from the lowest to the highest in the annotations.

    Raises VidaugError when one of the files is not what it should be.
    """
    known = None if classes is None else read_classes(classes, numbered=True)
    truth = read_numbers(annotations, known, subset)
    lowest, highest = min(truth.values()), max(truth.values())
    numbers: Container[int] = range(lowest, highest + 1) if known is None else set(known.values())
    allowed = f"{lowest} to {highest}, as in {annotations}" if known is None else f"those of {classes}"
    for name, number in truth.items():
        if number not in numbers:
            what = f"{name!r} is of class {number}, which {classes} does not have"
            raise ClassesError(what, where=annotations, hint="give the --classes of these annotations")
    choices = read_submission(submission, truth, numbers)
    places = [[*choices.get(name, [-1] * CHOICES), number].index(number) for name, number in truth.items()]
    missing = tuple(name for name in truth if name not in choices)
    rated = rates(np.array(places), np.array(list(truth.values())), CHOICES)
    return Score(videos=len(truth), missing=missing, rates=rated), allowed
