"""How good scores are: accuracies, the confusion matrix, the worst classes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64

from vidaug_cli.draw import plots
from vidaug_cli.errors import VidaugError
from vidaug_cli.files import write_text_atomically
from vidaug_cli.scores.file import Scores
from vidaug_cli.words import count, printable

RANKS = (1, 3, 5)  # the true class counts as found within these

Labels = Int64[np.ndarray, " m"]  # class numbers
Mask = Bool[np.ndarray, " m"]


class WorstClass(NamedTuple):
    """A class whose videos are often taken for another's."""

    name: str
    accuracy: float
    videos: int
    taken_for: str | None  # the most frequent wrong answer; None: there is none, its videos failed


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What came out for the M videos with a label. Those that failed are among them, and count as wrong."""

    classes: tuple[str, ...]
    labels: Int64[np.ndarray, " m"]  # those of failed videos last
    places: Int64[np.ndarray, " m"]  # of the true class in the ranking, from 0; K for a failed video
    confusion: Int64[np.ndarray, "k k"]  # videos by true class (row) and first choice (column), without the failed ones
    failed: int  # of the M
    unlabelled: int  # other videos, left out

    def rates(self) -> dict[str, float]:
        """Return top-k accuracies and their means over classes, by name."""
        return rates(self.places, self.labels, len(self.classes))

    def worst(self, most: int) -> list[WorstClass]:
        """Return classes with errors, the lowest accuracy first; of equally low ones that with more videos."""
        videos, right = np.bincount(self.labels, minlength=len(self.classes)), self.confusion.diagonal()
        accuracy = right / np.maximum(videos, 1)
        order = [c for c in np.lexsort((-videos, accuracy)).tolist() if right[c] < videos[c]]
        wrong = self.confusion - np.diag(right)
        names = {c: self.classes[wrong[c].argmax()] if wrong[c].any() else None for c in order[:most]}
        return [WorstClass(self.classes[c], float(accuracy[c]), int(videos[c]), names[c]) for c in names]

    def as_json(self, worst: int) -> dict[str, Any]:
        """Return all but the arrays, with so many of the worst classes."""
        counts = {"videos": len(self.labels), "failed": self.failed, "unlabelled": self.unlabelled}
        error = {"top1_standard_error": standard_error(self.places < 1)}
        return counts | self.rates() | error | {"worst": [one._asdict() for one in self.worst(worst)]}

    def lines(self, worst: int) -> Iterator[str]:
        """Yield lines for a person to read, with so many of the worst classes."""
        yield f"{'videos':18}  {count(len(self.labels), 'video')} with a label"
        if self.failed:
            yield f"{'':18}  {self.failed} of them failed and count as wrong"
        if self.unlabelled:
            yield f"{'':18}  {self.unlabelled} besides without a label, left out"
        error = f" +- {100 * standard_error(self.places < 1):.2f} (standard error)"
        for name, rate in self.rates().items():
            yield rate_line(name, rate) + (error if name == "top1" else "")
        for number, one in enumerate(self.worst(worst)):
            taken = f", most often taken for {printable(one.taken_for)}" if one.taken_for else ""
            share = f"{100 * one.accuracy:6.2f} % of {count(one.videos, 'video')}"
            yield f"{'' if number else 'worst classes':18}  {share} {printable(one.name)}{taken}"


def evaluate(scores: Scores) -> Evaluation:
    """Compare scores with their labels. Raises VidaugError when no video has one."""
    labels = scores.all_labels
    known, readable = labels >= 0, scores.labels >= 0
    if not known.any():
        raise VidaugError("no video has a label", hint="--truth MANIFEST says which class each is")
    ranked = ranking(scores.scores)
    places = np.full(len(labels), len(scores.classes))
    places[: len(ranked)] = (ranked == scores.labels[:, None]).argmax(1)
    confusion = np.zeros((len(scores.classes),) * 2, np.int64)
    np.add.at(confusion, (scores.labels[readable], ranked[readable, 0]), 1)
    return Evaluation(
        classes=scores.classes,
        labels=labels[known],
        places=places[known],
        confusion=confusion,
        failed=int(known.sum() - readable.sum()),
        unlabelled=int((~known).sum()),
    )


def write_confusion(evaluation: Evaluation, path: Path) -> None:
    """Write the confusion matrix as a picture, or as JSON with a row for each class, by the suffix of the name.

    Raises VidaugError for another suffix, without matplotlib, and when the file cannot be written.
    """
    match path.suffix.lower():
        case ".png":
            plots.confusion(evaluation.confusion, evaluation.classes, path)
        case ".json":
            content = {"classes": evaluation.classes, "rows": "truth", "matrix": evaluation.confusion.tolist()}
            write_text_atomically(path, json.dumps(content, ensure_ascii=False) + "\n")
        case _:
            raise VidaugError("a confusion matrix is written to a .json or a .png", where=path)


def ranking(scores: Float32[np.ndarray, "n k"]) -> Int64[np.ndarray, "n k"]:
    """Return class numbers, best first.

    Of equal scores the lower class number comes first, whatever is true: a network that says the same of every class
    gets what its first choice deserves, and no more.
    """
    return np.argsort(-scores, axis=1, kind="stable")


def rates(places: Labels, labels: Labels, depth: int) -> dict[str, float]:
    """Return top-k accuracies and their means over classes, by name: `top1`, `mean_class_top1` and so on.

    `places` are those of the true classes in the ranking, from 0; `depth` is how many classes there are to choose from.
    With fewer than five, the ranks end there, and are named so.
    """
    ranks = list(dict.fromkeys(min(rank, depth) for rank in RANKS))
    top = {f"top{rank}": float((places < rank).mean()) for rank in ranks}
    return top | {f"mean_class_top{rank}": mean_class(places < rank, labels) for rank in ranks}


def mean_class(right: Mask, labels: Labels) -> float:
    """Return the mean over the classes that occur of the share of their videos that are `right`."""
    classes = np.unique(labels, return_inverse=True)[1]  # numbers as a list of annotations gives them may be huge
    return float((np.bincount(classes, right) / np.bincount(classes)).mean())


def standard_error(right: Mask) -> float:
    """Return the standard error of the share that is right, binomial: 0 when all or none are."""
    share = right.mean()
    return math.sqrt(share * (1 - share) / len(right))


def rate_line(name: str, rate: float) -> str:
    """Return the line for a rate, such as `mean class top-1     71.23 %` for `mean_class_top1`."""
    return f"{name.replace('_', ' ').replace('top', 'top-'):18}  {100 * rate:6.2f} %"
