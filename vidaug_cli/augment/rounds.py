"""Which clips are made together, and which a shard holds: computed from a few counts, nothing is listed.

The copies are made in rounds of a few, so that each video is decoded once for all copies of a round; the clean
originals are a round of their own, the last one. The videos of a round are cut into groups, whose clips are mixed
among each other, and a shard holds whole groups of one round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

GROUP = 16  # videos of a group at most, and the least clips that a shard holds
MOST_AT_ONCE = 16  # copies of a round: a process holds all clips of a group


class Part(NamedTuple):
    """What a shard holds."""

    copies: range  # all of the round; originals are counted as the copy after the last
    groups: range


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How the clips of a plan are divided."""

    videos: int
    copies: int
    copies_per_round: int
    originals: bool
    clips_per_shard: int

    @property
    def at_once(self) -> int:
        """How many copies a full round has. A shard has to hold a group of them."""
        return max(1, min(self.copies_per_round, self.copies, self.clips_per_shard // GROUP))

    @property
    def shard_count(self) -> int:
        """How many shards there are."""
        return sum(rounds * len(self._starts(copies)) for rounds, copies in self._kinds)

    def part(self, shard: int) -> Part:
        """Return what shard number `shard` holds. Raises IndexError when there are not so many."""
        first, place = 0, shard
        for rounds, copies in self._kinds:
            starts = self._starts(copies)
            if place < rounds * len(starts):
                number, place = divmod(place, len(starts))
                first += number * copies
                end = min(starts[place] + starts.step, starts.stop)
                return Part(range(first, first + copies), range(starts[place], end))
            first, place = first + rounds * copies, place - rounds * len(starts)
        raise IndexError(f"there is no shard {shard}")

    def clips(self, shard: int) -> int:
        """Return how many clips a shard holds."""
        part = self.part(shard)
        return len(part.copies) * (self.start(part.groups.stop) - self.start(part.groups.start))

    def start(self, group: int) -> int:
        """Return the place of a group's first video in its round: groups differ in size by one at most."""
        return self.videos * group // max(1, self._groups)

    @property
    def _groups(self) -> int:
        return -(-self.videos // GROUP)

    @property
    def _kinds(self) -> tuple[tuple[int, int], ...]:
        """The rounds in order: how many, and how many copies each has."""
        full, rest = divmod(self.copies, self.at_once)
        return (full, self.at_once), (int(rest > 0), max(1, rest)), (int(self.originals), 1)

    def _starts(self, copies: int) -> range:
        """Return the first group of each shard of a round of so many copies."""
        return range(0, self._groups, max(1, self.clips_per_shard // (GROUP * copies)))
