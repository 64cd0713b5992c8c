"""Accuracies without looking at a video: a split on which they are high is leaky, or lopsided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int32, Int64

from vidaug_cli.data.manifest import Row, distinct_names
from vidaug_cli.errors import VidaugError
from vidaug_cli.scores.evaluation import Labels, mean_class
from vidaug_cli.scores.file import Scores
from vidaug_cli.words import count, printable

BLOCK = 2**22  # distances at a time


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """Rates `top1` and `mean_class_top1` of each baseline, on the videos that `evaluate` counts, failed ones wrong."""

    rows: int  # of the training manifest that were used
    shared: tuple[str, ...]  # scored videos that stand in the training manifest, whose rows were left out
    majority: str  # the most frequent class
    rates: dict[str, dict[str, float]]  # nearest is missing where the scores do not say how large the videos are

    def as_json(self) -> dict[str, Any]:
        """Return all of it, with the number of shared videos."""
        return {"training_rows": self.rows, "shared": len(self.shared), "majority_class": self.majority} | self.rates

    def lines(self) -> Iterator[str]:
        """Yield lines for a person to compare the network's accuracy with."""
        names = {"majority": f"always {printable(self.majority)}", "nearest": "nearest by length and size"}
        for number, (name, rates) in enumerate(self.rates.items()):
            shares = f"{100 * rates['top1']:6.2f} %, mean class {100 * rates['mean_class_top1']:.2f} %"
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
        hint = f"a training manifest has classes such as {scores.classes[0]!r}"
        what = f"none of its {len(training)} videos is of a class of the scores and not scored itself"
        raise VidaugError(what, where=where, hint=hint)
    classes = np.array([numbers[str(row.label)] for row in rows])
    majority = int(np.bincount(classes).argmax())
    answers = {"majority": np.full(len(scores.videos), majority)}
    if scores.shape.all():
        sizes = np.array([(row.frames, row.width, row.height) for row in rows])
        answers["nearest"] = classes[nearest_rows(sizes, scores.shape)]
    return Baselines(
        rows=len(rows),
        shared=tuple(sorted(shared)),
        majority=scores.classes[majority],
        rates={name: _rates(scores, answer) for name, answer in answers.items()},
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
    blocks = np.array_split(sizes, len(sizes) * len(points) // BLOCK + 1)
    distances = ((block[:, None] - points) / scale[used] for block in blocks)
    nearest = np.concatenate([(distance**2).sum(-1).argmin(1) for distance in distances])
    return np.asarray(first[nearest][each.reshape(-1)])


def _rates(scores: Scores, answers: Labels) -> dict[str, float]:
    """Return the rates of class numbers for the scored videos. A video without scores has no answer either."""
    labels = scores.all_labels
    right = np.append(answers == scores.labels, np.zeros(len(scores.failures), bool))
    known = labels >= 0
    return {"top1": float(right[known].mean()), "mean_class_top1": mean_class(right[known], labels[known])}
