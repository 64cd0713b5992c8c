"""Which runs are better, and whether that is more than chance: rows of runs against a baseline, on the same videos.

    runs = [Run(row="plain", videos=names, classes=labels, correct=right, seed=0, split="1"), ...]
    comparison = compare(runs, baseline="plain")
    comparison.rows[1].difference  # value, low, high, p ...

`correct` is bool (N,) in the order of `videos`; `classes` names the true class of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidaug_cli.errors import VidaugError
from vidaug_cli.scores.statistics import DRAWS, Block, Estimate, Split, bootstrap, sign_flip
from vidaug_cli.words import count, nearest

TOP1 = "top-1"  # the name of the accuracy among the measures


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What one run made of N videos. Runs with the same `row` belong together, and differ by seed and split only.

    Raises VidaugError where arrays have other lengths, or a video comes twice.
    """

    row: str
    videos: tuple[str, ...]
    classes: tuple[str, ...]  # the name of each video's class
    correct: Bool[np.ndarray, " n"]  # a video that could not be read counts as wrong
    seed: int | None = None  # None: unknown; such a run has no partner of the same seed
    split: str = ""  # which list of test videos it is
    measures: Mapping[str, Float64[np.ndarray, " n"]] = field(default_factory=dict)  # others by video, such as "held"
    numbers: Mapping[str, float] = field(default_factory=dict)  # others of the run as a whole, such as "localised"

    def __post_init__(self) -> None:
        lengths = {len(self.classes), *(value.shape[0] for value in self.values.values()), len(set(self.videos))}
        if lengths != {len(self.videos)} or not self.videos:
            raise VidaugError("a run needs one value for each video, and each video once", where=self.row)

    @property
    def values(self) -> dict[str, Float64[np.ndarray, " n"]]:
        """All measures by name, the accuracy first."""
        return {TOP1: self.correct.astype(np.float64), **self.measures}


@dataclass(frozen=True)
class Difference:
    """What a row has more than the baseline, in mean accuracy."""

    value: float
    low: float
    high: float
    p: float | None  # of the exact test over videos; None for measures that it does not fit
    better: int  # videos that more runs have right than the baseline's do
    worse: int
    videos: int


@dataclass(frozen=True)
class ClassDifference:
    """The accuracy of a row on the videos of one class, the baseline's, and how sure their difference is."""

    name: str
    videos: int
    accuracy: float
    baseline: float
    p: float  # of the exact test over the class's videos; among many classes some are small by chance

    @property
    def value(self) -> float:
        """What the row has more."""
        return self.accuracy - self.baseline


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One row of a comparison. Accuracies are shares; those of runs and classes are means over splits and seeds."""

    name: str
    runs: int
    seeds: int  # most in a split
    splits: int
    videos: int  # over all splits
    lowest: float  # run
    highest: float
    measures: dict[str, Estimate]  # the accuracy, `top-1`, and what else there is by video
    numbers: dict[str, float]  # mean over the runs
    differences: dict[str, Difference] = field(default_factory=dict)  # by measure; none for the baseline
    classes: tuple[ClassDifference, ...] = ()
    pairs: str = ""  # how its runs were paired with the baseline's, in words

    @property
    def top1(self) -> Estimate:
        """Accuracy."""
        return self.measures[TOP1]

    @property
    def difference(self) -> Difference | None:
        """Accuracy more than the baseline; None for the baseline itself."""
        return self.differences.get(TOP1)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rows of runs beside a baseline, which is one of them."""

    baseline: str
    rows: tuple[ComparedRow, ...]
    notes: tuple[str, ...] = ()
    draws: int = DRAWS

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        raise NotImplementedError


def compare(runs: Sequence[Run], baseline: str | None = None, *, draws: int = DRAWS) -> Comparison:
    """Return the rows of the runs, each against `baseline`, the name of a row (None: the first).

    Raises VidaugError where there is no such row, where a row has a seed twice for a split, where two runs differ in the
    class of a video, or where a row and the baseline have no video in common.
    """
    raise NotImplementedError
