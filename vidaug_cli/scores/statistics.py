"""What chance leaves of a mean over videos and runs: intervals by the bootstrap, and an exact test of a difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

DRAWS = 10_000  # resamples: the ends of an interval then move by some 0.02 of a standard error
LEVEL = 0.95
AT_ONCE = 500  # resamples: of 20,000 videos that differ they take 80 MB


class Interval(NamedTuple):
    """A mean and the interval in which it lies but for chance."""

    value: float
    low: float
    high: float


class Block(NamedTuple):
    """What R runs say of the same N videos; `sign` is -1 for what is taken away."""

    values: Float64[np.ndarray, "r n"]
    sign: float = 1.0


Split = Sequence[Block]  # blocks about the same videos; their sum is what the split says


def bootstrap(splits: Sequence[Split], *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0) -> Interval:
    """Return the mean over splits of the mean over runs and videos, with its percentile interval.

    Videos are drawn anew within each split, the same ones for all blocks of it, and so are the runs within each block:
    the pigeonhole bootstrap (doi:10.1214/07-AOAS122), which errs on the wide side where there are many runs. With one
    run in each split, it is the usual bootstrap over videos. Splits stay as they are.
    """
    rng = np.random.default_rng(seed)
    value = float(np.mean([sum(block.sign * block.values.mean() for block in split) for split in splits]))
    means = np.zeros(draws)
    for split in splits:
        owners = np.repeat(np.arange(len(split)), [len(block.values) for block in split])  # the block of each row
        first = 0
        for found in _resampled(np.concatenate([block.values for block in split]), draws, rng):
            some = slice(first, first := first + len(found))
            for place, block in enumerate(split):
                runs = len(block.values)
                shares = rng.multinomial(runs, np.full(runs, 1 / runs), len(found)) / runs
                means[some] += block.sign * (found[:, owners == place] * shares).sum(1) / len(splits)
    return Interval(value, *_ends(means, level))


def bootstrap_ratio(
    top: Float64[np.ndarray, " n"], under: Float64[np.ndarray, " n"], *, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Return the mean of one value of N videos over that of another, with its percentile interval.

    Both are of the same videos, which are drawn anew. Resamples in which the lower mean is 0 have no ratio, and are
    left out. Raises ZeroDivisionError where it is 0 over all videos.
    """
    found = np.concatenate(list(_resampled(np.stack([top, under]), draws, np.random.default_rng(seed))))
    found = found[found[:, 1] != 0]
    return Interval(float(top.mean()) / float(under.mean()), *_ends(found[:, 0] / found[:, 1], LEVEL))


def _resampled(
    values: Float64[np.ndarray, "m n"], draws: int, rng: np.random.Generator
) -> Iterator[Float64[np.ndarray, "some m"]]:
    """Yield the means of M values over N videos that are drawn anew, for some resamples at a time."""
    # Videos whose values are all the same are drawn together: the same law, and far fewer numbers to draw.
    columns, times = np.unique(values, axis=1, return_counts=True)
    for first in range(0, draws, AT_ONCE):
        some = min(AT_ONCE, draws - first)
        yield rng.multinomial(times.sum(), times / times.sum(), some) / times.sum() @ columns.T


def _ends(values: Float64[np.ndarray, " draws"], level: float) -> tuple[float, float]:
    """Return where the middle `level` of resampled values begins and ends."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def sign_flip(differences: Int64[np.ndarray, " n"]) -> float:
    """Return the two-sided p of a sum of differences, one a video, where the sign of each were up to chance.

    Exact. With differences of -1, 0 and 1, of one run each, it is McNemar's exact test; with sums over several runs,
    its general form: a video's runs stand or fall together, as their mistakes are alike.
    """
    sizes, times = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    law = np.ones(1)  # of the sum, from its lowest value on
    for size, count in zip(sizes.tolist(), times.tolist(), strict=True):
        chances = _halves(count)
        wider = np.zeros(len(law) + 2 * size * count)
        for ups in np.flatnonzero(chances > 1e-20 * chances.max()).tolist():  # what is less adds nothing to a double
            wider[2 * size * ups :][: len(law)] += chances[ups] * law
        law = wider
    total = abs(int(differences.sum()))
    sums = np.arange(len(law)) - len(law) // 2
    return float(min(1.0, law[np.abs(sums) >= total].sum()))


def _halves(count: int) -> Float64[np.ndarray, " c"]:
    """Return the chances of 0 to `count` heads among so many coins."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])  # of factorials
    return np.asarray(np.exp(logs[-1] - logs - logs[::-1] - count * np.log(2)))
