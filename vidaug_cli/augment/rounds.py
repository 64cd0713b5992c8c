"""Which clips are made together, and which a shard holds: computed from a few counts, nothing is listed.

The copies are made in rounds of a few, so that each video is decoded once for all copies of a round; the clean
originals are a round of their own, the last one. The videos of a round are cut into groups, whose clips are mixed
among each other, and a shard holds whole groups of one round. Where classes get different numbers of copies, each copy
is a round, of the videos that `shares` says.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

GROUP = 16  # videos of a group at most, and the least clips that a shard holds
MOST_AT_ONCE = 16  # copies of a round: a process holds all clips of a group


class Round(NamedTuple):
    """Copies that are made together."""

    copies: range  # originals are counted as the copy after the last
    videos: int
    clip: int  # number of its first clip
    shard: int  # ... and of its first shard

    @property
    def groups(self) -> int:
        """How many groups its videos are cut into."""
        return -(-self.videos // GROUP)

    def start(self, group: int) -> int:
        """Return the place of a group's first video in the round: groups differ in size by one at most."""
        return self.videos * group // max(1, self.groups)


class Part(NamedTuple):
    """What a shard holds."""

    round: Round
    groups: range


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How the clips of a plan are divided."""

    videos: int
    copies: int
    copies_per_round: int
    originals: bool
    clips_per_shard: int
    sizes: tuple[int, ...] = ()  # videos of each copy, where they differ; none: each copy is of all videos

    @property
    def at_once(self) -> int:
        """How many copies a full round has. A shard has to hold a group of them."""
        return max(1, min(self.copies_per_round, self.copies, self.clips_per_shard // GROUP))

    @property
    def shard_count(self) -> int:
        """How many shards there are."""
        return self._all[-1].shard

    @property
    def total(self) -> int:
        """How many clips there are."""
        return self._all[-1].clip

    def part(self, shard: int) -> Part:
        """Return what shard number `shard` holds. Raises IndexError when there are not so many."""
        if not 0 <= shard < self.shard_count:
            raise IndexError(f"there is no shard {shard}")
        this = self._all[bisect_right(self._all, shard, key=attrgetter("shard")) - 1]
        step = self._groups_of(this)
        first = (shard - this.shard) * step
        return Part(this, range(first, min(first + step, this.groups)))

    def clips(self, shard: int) -> int:
        """Return how many clips a shard holds."""
        this, groups = self.part(shard)
        return len(this.copies) * (this.start(groups.stop) - this.start(groups.start))

    @cached_property
    def _all(self) -> list[Round]:
        """The rounds in order, and at the end one of nothing that begins where the last one ends."""
        starts = range(0, self.copies, self.at_once)
        spans = [range(start, min(start + self.at_once, self.copies)) for start in starts]
        spans += [range(self.copies, self.copies + self.originals)]
        made, clip, shard = [], 0, 0
        for copies in spans:
            videos = self.sizes[copies.start] if self.sizes and copies.start < self.copies else self.videos
            if copies and videos:
                made.append(this := Round(copies, videos, clip, shard))
                clip, shard = clip + len(copies) * videos, shard - (-this.groups // self._groups_of(this))
        return [*made, Round(range(0), 0, clip, shard)]

    def _groups_of(self, this: Round) -> int:
        """Return how many groups of a round a full shard holds."""
        return max(1, self.clips_per_shard // (GROUP * len(this.copies)))
