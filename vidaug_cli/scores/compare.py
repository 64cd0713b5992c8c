"""Which runs are better, and whether that is more than chance: rows of runs against a baseline, on the same videos.

    runs = [Run(row="plain", videos=names, classes=labels, correct=right, seed=0, split="1"), ...]
    comparison = compare(runs, baseline="plain")
    comparison.rows[1].difference  # value, low, high, p ...

`correct` is bool (N,) in the order of `videos`; `classes` names the true class of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidaug_cli.errors import MismatchError, SettingError, UnknownNameError
from vidaug_cli.scores.statistics import DRAWS, LEVEL, Block, Interval, Split, bootstrap, sign_flip
from vidaug_cli.words import count, nearest

TOP1 = "top-1"  # the name of the accuracy among the measures
TEST = (
    "exact test over videos, about these runs and no others: McNemar's; for several runs, its form in which the sign of"
    " each video's sum over runs is up to chance"
)


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
            raise MismatchError("a run needs one value for each video, and each video once", where=self.row)

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
    better: int | None  # videos that more of its runs have right than of the baseline's
    worse: int | None
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
    measures: dict[str, Interval]  # the accuracy, `top-1`, and what else there is by video
    numbers: dict[str, float]  # mean over the runs
    differences: dict[str, Difference] = field(default_factory=dict)  # by measure; none for the baseline
    classes: tuple[ClassDifference, ...] = ()
    pairs: str = ""  # how its runs were paired with the baseline's, in words

    @property
    def top1(self) -> Interval:
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
    notes: tuple[str, ...]  # what to know before believing it

    def as_json(self) -> dict[str, Any]:
        """Return all of it, with what the tests and the intervals are; `schema.plain` makes JSON of it."""
        how = {"interval": f"{LEVEL:.0%}, bootstrap over videos and runs", "test": TEST}
        return {"baseline": self.baseline} | how | {"rows": self.rows, "notes": self.notes}


def compare(runs: Sequence[Run], baseline: str | None = None, *, draws: int = DRAWS) -> Comparison:
    """Return the rows of the runs in their order, each against `baseline`, the name of one (None: the first).

    Where a row and the baseline have runs of the same seed on a split, these are paired, and the others do not go into
    the difference; where they have none, all runs of the one are held against all of the other. Videos are always
    paired, and those that only one of the two has do not go in.

    Raises VidaugError where there is no such row, where a row has a seed twice for a split, where two runs differ in
    the class of a video, or where a row and the baseline have no video in common.
    """
    rows: dict[str, _Splits] = {}
    for run in runs:
        rows.setdefault(run.row, {}).setdefault(run.split, []).append(run)
    if not rows:
        raise SettingError("there is nothing to compare", hint="give one run or more")
    first = next(iter(rows)) if baseline is None else baseline
    if first not in rows:
        what = f"no row {first!r} to compare with{nearest(first, rows)}"
        raise UnknownNameError(what, hint=f"the rows are {', '.join(rows)}")
    _check(runs)
    notes: list[str] = []
    compared = [
        _row(name, splits, None if name == first else rows[first], draws, notes) for name, splits in rows.items()
    ]
    return Comparison(baseline=first, rows=tuple(compared), notes=tuple(notes))


_Splits = dict[str, list[Run]]  # the runs of a row


def _check(runs: Sequence[Run]) -> None:
    """Raise VidaugError where runs contradict each other."""
    classes: dict[str, str] = {}
    seen: set[tuple[str, str, int]] = set()
    for run in runs:
        if run.seed is not None and (run.row, run.split, run.seed) in seen:
            what = f"has two runs with seed {run.seed} on the same videos"
            raise MismatchError(
                what, where=run.row, hint="where they differ in something else, NAME=PATH makes each a row of its own"
            )
        seen |= set() if run.seed is None else {(run.row, run.split, run.seed)}
        for video, name in zip(run.videos, run.classes, strict=True):
            if classes.setdefault(video, name) != name:
                what = f"{video!r} is {name!r} here, and {classes[video]!r} in another run"
                raise MismatchError(what, where=run.row, hint="score all runs with the labels of one manifest")


def _row(name: str, splits: _Splits, base: _Splits | None, draws: int, notes: list[str]) -> ComparedRow:
    """Return a row, its differences too where there is a baseline; what is left out goes to `notes`."""
    runs = [run for split in splits.values() for run in split]
    videos = {split: _common(own) for split, own in splits.items()}
    if not all(videos.values()):
        raise MismatchError("has runs of one split without a video in common", where=name)
    if shorter := [split for split, own in splits.items() if any(len(run.videos) > len(videos[split]) for run in own)]:
        notes.append(f"{name}: its runs are of different videos{_of(shorter[0])}; only those that all have count")
    measures = {
        measure: bootstrap(
            [[Block(_matrix(own, measure, videos[split]))] for split, own in splits.items()], draws=draws
        )
        for measure in _shared(runs, "values")
    }
    accuracies = [float(run.correct.mean()) for run in runs]
    row = ComparedRow(
        name=name,
        runs=len(runs),
        seeds=max(len(own) for own in splits.values()),
        splits=len(splits),
        videos=sum(map(len, videos.values())),
        lowest=min(accuracies),
        highest=max(accuracies),
        measures=measures,
        numbers={each: float(np.mean([run.numbers[each] for run in runs])) for each in _shared(runs, "numbers")},
    )
    if base is None:
        return row
    pairs = _paired(name, splits, base, notes)
    shared = _shared([run for pair in pairs for run in (*pair.own, *pair.base)], "values")
    sums = np.concatenate([pair.sums for pair in pairs])
    better, worse = int((sums > 0).sum()), int((sums < 0).sum())
    differences = {}
    for measure in shared:
        estimate = bootstrap([pair.blocks(measure) for pair in pairs], draws=draws)
        p, more, less = (sign_flip(sums), better, worse) if measure == TOP1 else (None, None, None)
        differences[measure] = Difference(*estimate, p, more, less, len(sums))
    return replace(row, differences=differences, classes=_classes(pairs), pairs=_words(pairs))


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """The runs of a row and of the baseline on the videos of a split that all of them have."""

    own: list[Run]
    base: list[Run]
    videos: list[str]
    by_seed: bool  # runs stand beside those of the same seed

    def blocks(self, measure: str) -> Split:
        """Return the difference for the bootstrap."""
        own, base = (_matrix(runs, measure, self.videos) for runs in (self.own, self.base))
        return [Block(own - base)] if self.by_seed else [Block(own), Block(base, -1.0)]

    @property
    def shares(self) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """For each video the share of the row's runs that have it right, and of the baseline's."""
        own, base = (_matrix(runs, TOP1, self.videos).mean(0) for runs in (self.own, self.base))
        return own, base

    @property
    def sums(self) -> Int64[np.ndarray, " n"]:
        """For each video how many more of the row's runs have it right, in whole numbers."""
        own, base = self.shares
        scale = len(self.own) if self.by_seed else len(self.own) * len(self.base)
        return np.asarray(((own - base) * scale).round(), np.int64)

    @property
    def names(self) -> list[str]:
        """The class of each video."""
        known = dict(zip(self.own[0].videos, self.own[0].classes, strict=True))
        return [known[video] for video in self.videos]


def _paired(name: str, splits: _Splits, base: _Splits, notes: list[str]) -> list[_Pair]:
    """Return the runs of a row beside those of the baseline. Raises VidaugError where they share no video."""
    pairs, alone = [], 0  # runs
    for split, own in splits.items():
        other = base.get(split, [])
        if not other:
            continue
        videos = _common([*own, *other])
        if seeds := sorted({run.seed for run in own if run.seed is not None} & {run.seed for run in other}):
            alone += len(own) + len(other) - 2 * len(seeds)
            own, other = ([run for seed in seeds for run in runs if run.seed == seed] for runs in (own, other))
        if videos:
            pairs.append(_Pair(own=own, base=other, videos=videos, by_seed=bool(seeds)))
        left = max(len(run.videos) for run in (*own, *other)) - len(videos)
        if videos and left:
            shared = f"{name}: compared on the {len(videos)} videos{_of(split)} that both have"
            notes.append(f"{shared}; {left} of one alone {'is' if left == 1 else 'are'} left out")
    if not pairs:
        hint = "score both on the same videos with 'vidaug predict'"
        raise MismatchError("has no video in common with the baseline", where=name, hint=hint)
    if single := sorted(splits.keys() ^ base.keys()):
        notes.append(f"{name}: {count(len(single), 'split')} that only one of the two has: not in the difference")
    if alone:
        notes.append(f"{name}: {count(alone, 'run')} without a partner of the same seed: not in the difference")
    return sorted(pairs, key=lambda pair: pair.own[0].split)


def _classes(pairs: Sequence[_Pair]) -> tuple[ClassDifference, ...]:
    """Return the differences of classes, over the videos of all splits."""
    names = np.array([name for pair in pairs for name in pair.names])
    own, base = (np.concatenate(shares) for shares in zip(*(pair.shares for pair in pairs), strict=True))
    sums = np.concatenate([pair.sums for pair in pairs])
    return tuple(
        ClassDifference(name, int(of.sum()), float(own[of].mean()), float(base[of].mean()), sign_flip(sums[of]))
        for name in dict.fromkeys(names.tolist())
        for of in [names == name]
    )


def _words(pairs: Sequence[_Pair]) -> str:
    """Return how runs are paired, for a person."""
    seeded = sum(len(pair.own) for pair in pairs if pair.by_seed)
    others = [f"{len(pair.own)} and {len(pair.base)}" for pair in pairs if not pair.by_seed]
    said = [f"{count(seeded, 'pair')} of runs of the same seed and split"] if seeded else []
    return "; ".join([*said, *(f"{runs} runs, whose seeds say nothing of each other" for runs in others)])


def _common(runs: Sequence[Run]) -> list[str]:
    """Return the videos that all runs have, in the order of the first."""
    shared = set(runs[0].videos).intersection(*(run.videos for run in runs[1:]))
    return [video for video in runs[0].videos if video in shared]


def _matrix(runs: Sequence[Run], measure: str, videos: Sequence[str]) -> Float64[np.ndarray, "r n"]:
    """Return a measure of the videos, a row for each run."""
    rows = []
    for run in runs:
        place = {video: number for number, video in enumerate(run.videos)}
        rows.append(run.values[measure][[place[video] for video in videos]])
    return np.stack(rows)


def _shared(runs: Sequence[Run], what: str) -> list[str]:
    """Return the names that the measures or the numbers of all runs have."""
    return [name for name in getattr(runs[0], what) if all(name in getattr(run, what) for run in runs)]


def _of(split: str) -> str:
    return f" of split {split}" if split else ""
