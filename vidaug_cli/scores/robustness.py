"""How well accuracy holds when videos are disturbed while they play; held and ramped disturbances beside each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.disturbances import DISTURBANCES, VERSION, Course, Disturbance
from vidaug_cli.scores.file import Scores
from vidaug_cli.words import count

RESAMPLES = 2000  # of the videos, for intervals
SEED = 0
LEVEL = 95  # per cent of the resamples lie within an interval
COURSES: tuple[Course, Course] = "held", "ramped"

Right = Bool[np.ndarray, "tests videos"]
Shares = Float64[np.ndarray, "resamples tests"]


class Interval(NamedTuple):
    """A number, and where 95 % of resamples of the videos have it."""

    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """In per cent, for a person."""
        return f"{100 * self.value:6.2f} %, {100 * self.low:.2f} to {100 * self.high:.2f}"


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
            "mean_kept": {name: each and each._asdict() for name, each in intervals.items()},
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
                yield f"{text:18}  {each.text} (share of the undisturbed top-1, {LEVEL} % over videos)"


def _cell(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.2f} %"


def robustness(scores: Scores) -> Robustness | None:
    """Compare scores of disturbed videos with those of the same videos undisturbed; None where there are none.

    Raises VidaugError when no video has a label.
    """
    if scores.disturbed is None:
        return None
    labels = scores.all_labels
    known = labels >= 0
    if not known.any():
        raise VidaugError("no video has a label", hint="--truth MANIFEST says which class each is")
    right = np.zeros((1 + len(scores.disturbances), len(labels)), bool)
    right[:, : len(scores.videos)] = [trial.argmax(1) == scores.labels for trial in (scores.scores, *scores.disturbed)]
    right = right[:, known]
    clean, *disturbed = right.mean(1).tolist()
    accuracy = dict(zip(scores.disturbances, disturbed, strict=True))
    kept = {name: rate / clean for name, rate in accuracy.items()} if clean else {}
    pairs = matched([DISTURBANCES[name] for name in scores.disturbances])
    held, ramped, gap = (
        _intervals(right, [1 + np.array(places) for places in pairs]) if pairs[0] and clean else [None] * 3
    )
    return Robustness(clean=clean, accuracy=accuracy, kept=kept, held=held, ramped=ramped, gap=gap)


def matched(disturbances: Sequence[Disturbance]) -> tuple[list[int], list[int]]:
    """Return the places of the held and of the ramped disturbances whose kind and severity are there in both."""
    places = {one: place for place, one in enumerate(disturbances)}
    pairs = [
        (place, places[ramped])
        for one, place in places.items()
        if one.course == "held" and (ramped := one._replace(course="ramped")) in places
    ]
    return [held for held, _ in pairs], [ramped for _, ramped in pairs]


def _intervals(right: Right, places: Sequence[np.ndarray]) -> list[Interval]:
    """Return the mean share kept of two sets of tests, and their difference; test 0 is the undisturbed one."""
    videos = right.shape[1]
    rng = np.random.default_rng(SEED)
    drawn = (np.bincount(rng.integers(0, videos, videos), minlength=videos) for _ in range(RESAMPLES))
    correct = right.T.astype(float)
    counts = np.stack([correct.sum(0), *(times @ correct for times in drawn)])  # first of the videos as they are
    first, second = (counts[:, each].mean(1) for each in places)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.stack([first, second, first - second]) / counts[:, 0]
    ends = np.nanpercentile(
        np.where(np.isfinite(shares), shares, np.nan)[:, 1:], [50 - LEVEL / 2, 50 + LEVEL / 2], axis=1
    )
    return [
        Interval(float(value), float(low), float(high)) for value, low, high in zip(shares[:, 0], *ends, strict=True)
    ]
