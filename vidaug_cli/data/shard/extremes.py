"""Clips that show next to nothing, as they are nearly black or nearly white throughout: counted when they are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from vidaug_cli.schema import check
from vidaug_cli.words import count

if TYPE_CHECKING:
    from jaxtyping import UInt8

DARK, LIGHT = 16, 239  # levels below and above which little is to be seen: luma has black and white near there
NEARLY = 0.95  # share of a clip's levels, all colours of all frames
MANY = 0.05  # share of the clips from which on a person is told why


@dataclass(frozen=True, kw_only=True)
class Extremes:
    """How many clips are near black and near white: more than 95 % of their levels below 16, or above 239."""

    near_black: int = 0
    near_white: int = 0

    def __post_init__(self) -> None:
        check(self, {name: (number >= 0, "0 or more") for name, number in vars(self).items()})

    @classmethod
    def of(cls, video: UInt8[np.ndarray, "frames height width 3"]) -> Self:
        """Return the count of one clip. Looks at no more frames than it takes to be sure: mostly one in sixteen."""
        nearly = NEARLY * video.size
        black = white = video.size  # levels that may be so, each frame looked at taking away those that are not
        for frame in video:
            black -= frame.size - np.count_nonzero(frame < DARK)
            white -= frame.size - np.count_nonzero(frame > LIGHT)
            if max(black, white) <= nearly:
                break
        return cls(near_black=int(black > nearly), near_white=int(black <= nearly < white))

    @classmethod
    def sum(cls, counts: Iterable[Self | None]) -> Self | None:
        """Return the sum of several counts; None where one of them is not known."""
        known = list(counts)
        if None in known:
            return None
        return cls(**{name: sum(getattr(each, name) for each in known) for name in ("near_black", "near_white")})

    @property
    def words(self) -> list[str]:
        """What there is: `near black`, `near white`, or neither."""
        return [name.replace("_", " ") for name, number in vars(self).items() if number]

    def text(self, clips: int) -> str:
        """Return how many of so many clips they are, for people; nothing where there is none."""
        parts = [f"{vars(self)[word.replace(' ', '_')]} {word}" for word in self.words]
        share = (self.near_black + self.near_white) / max(1, clips)
        return f"{' and '.join(parts)} of {count(clips, 'clip')} ({share:.1%})" if parts else ""

    def advice(self, clips: int) -> str:
        """Return what to do about it where more than 5 % of so many clips are so; else nothing."""
        if self.near_black + self.near_white <= MANY * clips:
            return ""
        return (
            f"{self.text(clips)}: if the videos are not so themselves, the recipe's magnitudes are too strong to learn "
            'from; table = "monotone", as in randaugment_t_small, darkens less than the official one'
        )
