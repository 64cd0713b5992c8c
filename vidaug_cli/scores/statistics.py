"""What chance leaves of a mean over videos and runs: intervals by the bootstrap, and an exact test of a difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

DRAWS = 10_000  # resamples: the ends of an interval then move by some 0.02 of a standard error
LEVEL = 0.95
AT_ONCE = 500  # resamples: of 20,000 videos that differ they take 80 MB


class Estimate(NamedTuple):
    """A mean and the interval in which it lies but for chance."""

    value: float
    low: float
    high: float


class Block(NamedTuple):
    """What R runs say of the same N videos; `sign` is -1 for what is taken away."""

    values: Float64[np.ndarray, "r n"]
    sign: float = 1.0


Split = Sequence[Block]  # blocks about the same videos; their sum is what the split says


def bootstrap(splits: Sequence[Split], *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0) -> Estimate:
    """Return the mean over splits of the mean over runs and videos, with its percentile interval.

    Videos are drawn anew within each split, the same ones for all blocks of it, and so are the runs within each block:
    the pigeonhole bootstrap (doi:10.1214/07-AOAS122), which errs on the wide side where there are many runs. With one
    run in each split, it is the usual bootstrap over videos. Splits stay as they are.
    """
    rng = np.random.default_rng(seed)
    value = float(np.mean([sum(block.sign * block.values.mean() for block in split) for split in splits]))
    means = np.zeros(draws)
    for split in splits:
        # Videos of which all runs say the same are drawn together: the same law, and far fewer numbers to draw.
        columns, times = np.unique(np.concatenate([block.values for block in split]), axis=1, return_counts=True)
        owners = np.repeat(np.arange(len(split)), [len(block.values) for block in split])  # the block of each row
        for first in range(0, draws, AT_ONCE):
            some = slice(first, min(first + AT_ONCE, draws))
            count = some.stop - first
            videos = rng.multinomial(times.sum(), times / times.sum(), count) / times.sum()  # of each distinct column
            found = videos @ columns.T
            for place, block in enumerate(split):
                runs = len(block.values)
                shares = rng.multinomial(runs, np.full(runs, 1 / runs), count) / runs
                means[some] += block.sign * (found[:, owners == place] * shares).sum(1) / len(splits)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))


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
