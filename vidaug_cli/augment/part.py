"""Which shards of a plan one of several processes makes that share it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import gcd

from vidaug_cli.augment.plan import Plan
from vidaug_cli.errors import VidaugError


@dataclass(frozen=True)
class Part:
    """One of several processes that share a plan, such as a job array's."""

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        """Return `I/N`."""
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """Return the part that `I/N` means, with I from 0. Raises VidaugError."""
        numbers = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
        if numbers is None or int(numbers[1]) >= int(numbers[2]):
            raise VidaugError(f"--part {text:.40} should be I/N, with I from 0 to N - 1", hint="such as --part 0/4")
        return cls(int(numbers[1]), int(numbers[2]))

    def shards(self, plan: Plan) -> range:
        """Return the shard numbers that are this part's."""
        return range(self.index, plan.shard_count, self.count)

    def overlaps(self, other: Part) -> bool:
        """Return whether both parts have a shard in common, in a plan with enough of them."""
        return (self.index - other.index) % gcd(self.count, other.count) == 0


WHOLE = Part()
