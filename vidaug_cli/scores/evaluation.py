"""How good scores are: accuracies, the confusion matrix, the worst classes; and accuracies without looking at a video.

A split on which those are high is leaky, or lopsided.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from vidaug_cli.data.manifest import Row, distinct_names
from vidaug_cli.draw import plots
from vidaug_cli.errors import ClassesError, PictureError, TruthError
from vidaug_cli.files import write_text_atomically
from vidaug_cli.scores.file import Labels, Scores
from vidaug_cli.words import count, either, printable

RANKS = (1, 3, 5)  # the true class counts as found within these

Mask = Bool[np.ndarray, " n"]


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
        return counts | self.rates() | error | {"worst": self.worst(worst)}

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
        raise TruthError("no video has a label", hint="--truth MANIFEST says which class each is")
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
    if path.suffix.lower() in plots.SUFFIXES:
        plots.confusion(evaluation.confusion, evaluation.classes, path)
    elif path.suffix.lower() == ".json":
        content = {"classes": evaluation.classes, "rows": "truth", "matrix": evaluation.confusion.tolist()}
        write_text_atomically(path, json.dumps(content, ensure_ascii=False) + "\n")
    else:
        hint = f"end it in {either(['.json', *plots.SUFFIXES])}"
        raise PictureError("is not a confusion matrix that can be written", where=path, hint=hint)


def ranking(scores: Float32[np.ndarray, "n k"]) -> Int64[np.ndarray, "n k"]:
    """Return class numbers, best first.

    Of equal scores the lower class number comes first, whatever is true: a network that says the same of every class
    gets what its first choice deserves, and no more.
    """
    return np.argsort(-scores, axis=1, kind="stable")


def rates(places: Int64[np.ndarray, " n"], labels: Labels, depth: int) -> dict[str, float]:
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


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """Rates `top1` and `mean_class_top1` of each baseline, on the videos that `evaluate` counts, failed ones wrong."""

    rows: int  # of the training manifest that were used
    shared: tuple[str, ...]  # scored videos that stand in the training manifest, whose rows were left out
    majority: str  # the most frequent class
    rates: dict[str, dict[str, float]]  # nearest is missing where the scores do not say how large the videos are
    right: dict[str, Mask]  # for each video that `evaluate` counts

    def as_json(self) -> dict[str, Any]:
        """Return all of it, with the number of shared videos."""
        return {"training_rows": self.rows, "shared": len(self.shared), "majority_class": self.majority} | self.rates

    def lines(self) -> Iterator[str]:
        """Yield lines for a person to compare the network's accuracy with."""
        names = {"majority": f"always {printable(self.majority)}", "nearest": "nearest by length and size"}
        for number, (name, rate) in enumerate(self.rates.items()):
            shares = f"{100 * rate['top1']:6.2f} %, mean class {100 * rate['mean_class_top1']:.2f} %"
            yield f"{'' if number else 'baselines':18}  {shares}: {names[name]}"

    def notes(self) -> Iterator[str]:
        """Yield what to know before believing them."""
        if self.shared:
            what = f"{count(len(self.shared), 'scored video')} in it, such as {self.shared[0]!r}"
            yield f"has {what}, left out here; trained on them, a network knows them by heart"
        if "nearest" not in self.rates:
            yield "the scores do not say how long and large each video is: no nearest neighbours"


def baselines(scores: Scores, training: Sequence[Row], where: str) -> Baselines:
    """Return the rates of two answers: the most frequent class, and that of the nearest training video.

    Training rows of scored videos are left out: they would be nearest to themselves. `where` is what an error calls the
    training manifest.

    Raises VidaugError when no row is left that has a class of the scores.
    """
    numbers = {name: number for number, name in enumerate(scores.classes)}
    names = [{row.name, name} for row, name in zip(training, distinct_names(training), strict=True)]
    shared = set(scores.all_videos) & set().union(*names)
    rows = [row for row, own in zip(training, names, strict=True) if row.label in numbers and shared.isdisjoint(own)]
    if not rows:
        what = f"none of its {len(training)} videos is of a class of the scores and not scored itself"
        raise ClassesError(what, where=where, hint=f"a training manifest has classes such as {scores.classes[0]!r}")
    classes = np.array([numbers[str(row.label)] for row in rows])
    majority = int(np.bincount(classes).argmax())
    answers = {"majority": np.full(len(scores.videos), majority)}
    if scores.shape.all():
        sizes = np.array([(row.frames, row.width, row.height) for row in rows])
        answers["nearest"] = classes[nearest_rows(sizes, scores.shape)]
    known = scores.all_labels >= 0  # a video without scores has no answer either
    failed = np.ones(len(scores.failures), np.int64)
    found = {name: np.append(answer != scores.labels, failed)[known] for name, answer in answers.items()}
    return Baselines(
        rows=len(rows),
        shared=tuple(sorted(shared)),
        majority=scores.classes[majority],
        rates={name: rates(places, scores.all_labels[known], 1) for name, places in found.items()},
        right={name: places < 1 for name, places in found.items()},
    )


def nearest_rows(training: Int64[np.ndarray, "r f"], videos: Int32[np.ndarray, "n f"]) -> Int64[np.ndarray, " n"]:
    """Return for each of `videos` the nearest row of `training`, of equally near ones the first.

    Each feature is divided by its standard deviation over `training`; a constant one does not count.
    """
    scale = training.std(0)
    used = scale > 0
    # Many videos are of one size: each is looked at once. The points stand as their first rows do.
    points, first = np.unique(training[:, used], axis=0, return_index=True)
    points, first = points[np.argsort(first)], np.sort(first)
    sizes, each = np.unique(videos[:, used], axis=0, return_inverse=True)
    distances = ((((points - size) / scale[used]) ** 2).sum(1) for size in sizes)
    nearest = np.array([distance.argmin() for distance in distances], np.int64)
    return np.asarray(first[nearest][each.reshape(-1)])
