"""How well accuracy holds when videos are disturbed while they play; held and ramped disturbances beside each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from vidaug_cli.errors import TruthError
from vidaug_cli.ops.disturbances import DISTURBANCES, VERSION, Course
from vidaug_cli.scores.file import Scores
from vidaug_cli.scores.statistics import LEVEL, Interval, bootstrap_ratio
from vidaug_cli.words import count

COURSES: tuple[Course, Course] = "held", "ramped"


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Top-1 accuracy as videos are, and as they are disturbed. Failed videos count as wrong under all of them.

    The share kept is the accuracy under a disturbance over that without. Means over held and over ramped disturbances
    count the kinds and severities that are there in both courses, each once.
    """

    clean: float
    accuracy: dict[str, float]  # under each disturbance, by its name
    kept: dict[str, float]  # accuracy / clean; empty where no video is right undisturbed
    held: Interval | None  # mean share kept; None where there is none in both courses, or nothing is kept of
    ramped: Interval | None
    gap: Interval | None  # held - ramped, of the same resamples

    def means(self) -> dict[tuple[str, str | None], float]:
        """Return the accuracy of each kind and course, a mean over the severities that are there."""
        rates: defaultdict[tuple[str, str | None], list[float]] = defaultdict(list)
        for name, rate in self.accuracy.items():
            rates[DISTURBANCES[name].kind, DISTURBANCES[name].course].append(rate)
        return {key: float(np.mean(each)) for key, each in rates.items()}

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        intervals = {name: getattr(self, name) for name in (*COURSES, "gap")}
        return {
            "table": VERSION,
            "clean_top1": self.clean,
            "top1": self.accuracy,
            "kept": self.kept,
            "mean_top1": {"-".join(filter(None, key)): rate for key, rate in self.means().items()},
            "mean_kept": intervals,
        }

    def lines(self) -> Iterator[str]:
        """Yield a table for a person: kinds below each other, held beside ramped, and the means."""
        yield f"{'disturbed':18}  {VERSION}: {count(len(self.accuracy), 'disturbance')}; top-1, mean over severities"
        yield f"{'':18}  {'held':>8} {'ramped':>8}   undisturbed {100 * self.clean:.2f} %"
        means = self.means()
        for kind in dict.fromkeys(kind for kind, _ in means):
            if (alone := means.get((kind, None))) is not None:
                yield f"  {kind:16}  {_cell(alone):>8}"
                continue
            cells = " ".join(f"{_cell(means.get((kind, course))):>8}" for course in COURSES)
            yield f"  {kind:16}  {cells}"
        for name, text in (("held", "kept, held"), ("ramped", "kept, ramped"), ("gap", "held - ramped")):
            if (each := getattr(self, name)) is not None:
                value, low, high = (100 * part for part in each)
                of = f"share of the undisturbed top-1, {LEVEL:.0%} over videos"
                yield f"{text:18}  {value:6.2f} %, {low:.2f} to {high:.2f} ({of})"


def _cell(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.2f} %"


def robustness(scores: Scores) -> Robustness | None:
    """Compare scores of disturbed videos with those of the same videos undisturbed; None where there are none.

    Raises VidaugError when no video has a label.
    """
    if scores.disturbed is None:
        return None
    known = scores.all_labels >= 0
    if not known.any():
        raise TruthError("no video has a label", hint="--truth MANIFEST says which class each is")
    right = right_under(scores)[:, known]
    clean, *disturbed = right.mean(1).tolist()
    accuracy = dict(zip(scores.disturbances, disturbed, strict=True))
    kept = {name: rate / clean for name, rate in accuracy.items()} if clean else {}
    held = ramped = gap = None
    if clean and (shares := by_course(scores, scores.disturbances)):
        first, second = (shares[course][known] for course in COURSES)
        held, ramped, gap = (bootstrap_ratio(each, right[0].astype(float)) for each in (first, second, first - second))
    return Robustness(clean=clean, accuracy=accuracy, kept=kept, held=held, ramped=ramped, gap=gap)


def right_under(scores: Scores) -> Bool[np.ndarray, "tests m"]:
    """Return which of `all_videos` have their class as the first choice: as they are, then under each disturbance.

    Those that failed have none.
    """
    trials = [scores.scores, *([] if scores.disturbed is None else scores.disturbed)]
    right = np.stack([trial.argmax(1) == scores.labels for trial in trials])  # of equal scores the first, as `ranking`
    return np.pad(right, [(0, 0), (0, len(scores.failures))])


def by_course(scores: Scores, names: Sequence[str]) -> dict[Course, Float64[np.ndarray, " m"]]:
    """Return for each of `all_videos` the share of the held disturbances, and of the ramped ones, that leave it right.

    Of the disturbances `names`, those count whose kind and severity are there in both courses; nothing is returned
    where there are none.
    """
    pairs = matched(names)
    tests = dict(zip(scores.disturbances, right_under(scores)[1:], strict=True))
    return {
        course: np.mean([tests[pair[place]] for pair in pairs], axis=0)
        for place, course in enumerate(COURSES if pairs else ())
    }


def matched(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return held disturbances with the ramped ones of their kind and severity, where both are there."""
    pairs = [
        (name, DISTURBANCES[name]._replace(course="ramped").name)
        for name in names
        if DISTURBANCES[name].course == "held"
    ]
    return [(held, ramped) for held, ramped in pairs if ramped in names]
