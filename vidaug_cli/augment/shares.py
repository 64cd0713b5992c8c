"""Classes that get different numbers of copies: how many clips each has, and which of its videos are in a round.

The videos of a class stand in a circle, in an order that the seed gives, and take turns until the class has its clips:
so those of one video are as many as those of another of its class, or one more. A round goes on in each circle where
the one before stopped, by an equal share of the class's clips. So every round has each class in the same proportion,
and partners come from all classes, in the last rounds as in the first. No video is twice in a round.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.rng import Step, generator

Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """What each class gets.

    Args:
        seed: of the order of turns.
        labels: (videos,), the class number of each.
        clips: (classes,), of each class; 0 where it has no video.
    """

    seed: int
    labels: NDArray[np.int32]
    clips: Counts

    @cached_property
    def videos(self) -> Counts:
        """How many videos each class has, (classes,)."""
        return np.bincount(self.labels, minlength=len(self.clips))

    @cached_property
    def most(self) -> Counts:
        """The most clips of one video of each class, (classes,)."""
        return -(-self.clips // np.maximum(1, self.videos))

    @property
    def rounds(self) -> int:
        """How many rounds there are: the most clips of one video."""
        return int(self.most.max(initial=0))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many clips each round has."""
        edges, ends = np.arange(self.rounds + 1), np.zeros(self.rounds + 1, np.int64)
        for clips, phase in zip(self.clips.tolist(), self._phases.tolist(), strict=True):
            ends += (clips * edges + phase) // max(1, self.rounds)
        return tuple(np.diff(ends).tolist())

    def members(self, number: int) -> tuple[Counts, Counts]:
        """Return the rows that are in a round, and which copy of its video each clip is."""
        start, stop = ((self.clips * edge + self._phases) // max(1, self.rounds) for edge in (number, number + 1))
        label = np.repeat(np.arange(len(self.clips)), stop - start)
        first = np.cumsum(stop - start) - (stop - start)
        turn = np.arange(len(label)) - first[label] + start[label]
        copy, place = np.divmod(turn, self.videos[label])
        return self._circles[(np.cumsum(self.videos) - self.videos)[label] + place], copy

    @cached_property
    def _phases(self) -> Counts:
        """By how much the shares of each class come earlier: the clips of many small classes are spread evenly."""
        return (np.cumsum(self.clips) - self.clips) % max(1, self.rounds)

    @cached_property
    def _circles(self) -> Counts:
        """The rows of each class in the order of their turns, one class after the other."""
        order = generator(self.seed, 0, 0, Step.TURN).permutation(len(self.labels))
        return order[np.argsort(self.labels[order], kind="stable")]
