"""The table of disturbances by which robustness is measured, version 1: kinds, courses over time, severities, draws.

In the manner of ImageNet-C (Hendrycks and Dietterich, arXiv:1903.12261) and its followers for videos (Yi et al.,
arXiv:2110.06513): names and strengths are fixed, so that numbers of different people can be compared. A change to any
of them, or to a draw, is a new `VERSION`.

Without torch; `disturb` makes the pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any, Literal, NamedTuple, get_args
from zlib import crc32

import numpy as np
from jaxtyping import Float64

from vidaug_cli.errors import UnknownNameError
from vidaug_cli.rng import generator
from vidaug_cli.words import nearest

VERSION = "vidaug-c 1"
SEED = 1  # of every draw; that of version 1

Course = Literal["held", "ramped"]
Over = Float64[np.ndarray, " frames"]  # a number for each frame of one clip


class Kind(NamedTuple):
    """A row of `KINDS`: what is disturbed, and how strongly at the most."""

    strongest: tuple[float, ...]  # S at severity 1, 2 and 3; empty: a probe, which has no severity
    what: str  # for a person, with the unit of S
    signed: bool = False  # the sign of the strength is a coin for each clip
    courses: tuple[Course, ...] = get_args(Course)  # empty: the strength is S


KINDS: dict[str, Kind] = {
    "rotation": Kind((5, 10, 20), "degrees about the centre, either way", True),
    "shift": Kind((0.0625, 0.125, 0.25), "share of the side, left, right, up or down", True),
    "zoom": Kind((0.15, 0.3, 0.6), "octaves about the centre: 2^S times as large, or as small", True),
    "brightness": Kind((0.175, 0.35, 0.7), "gain 1 + S or 1 - S", True),
    "contrast": Kind((0.2, 0.4, 0.8), "distance from the frame's mean grey times 1 + S or 1 - S", True),
    "colour": Kind((0.25, 0.5, 1), "distance from each pixel's grey times 1 + S or 1 - S", True),
    "noise": Kind(
        (0.05, 0.1, 0.2), "standard deviation of Gaussian noise, in shares of 255, for each pixel and channel"
    ),
    "flicker": Kind((0.2, 0.4, 0.8), "gain of each frame, uniform from 1 - S to 1 + S"),
    "blur": Kind((0.01, 0.02, 0.04), "standard deviation of a Gaussian, in shares of the short side"),
    "frozen": Kind((0.2, 0.4, 0.8), "chance that a frame is replaced by the one shown before it"),
    "dropped": Kind((0.2, 0.4, 0.8), "chance that a frame is left out; later ones move up, the last stands to the end"),
    "cut": Kind(
        (0.125, 0.25, 0.5), "share of the frames that show a video of another class, in one stretch", courses=()
    ),
    "shuffled": Kind((), "the frames in a random order", courses=()),
    "reversed": Kind((), "the frames from the last to the first", courses=()),
}


class Disturbance(NamedTuple):
    """One test: a kind, its course over time and its severity, where it has them."""

    kind: str
    course: Course | None = None
    severity: int | None = None  # from 1

    @property
    def parts(self) -> tuple[str, ...]:
        """What the name is made of."""
        return tuple(str(part) for part in self if part is not None)

    @property
    def name(self) -> str:
        """Such as `rotation-ramped-2`, `cut-1`, `reversed`."""
        return "-".join(self.parts)


def _severities(kind: Kind) -> Iterable[int | None]:
    return range(1, len(kind.strongest) + 1) if kind.strongest else (None,)


DISTURBANCES: dict[str, Disturbance] = {
    one.name: one
    for name, kind in KINDS.items()
    for course in kind.courses or (None,)
    for severity in _severities(kind)
    for one in [Disturbance(name, course, severity)]
}


def choose(words: Iterable[str]) -> tuple[Disturbance, ...]:
    """Return the disturbances that words name, in the order of the table.

    A word is `all`; a kind, a course or both (`rotation`, `ramped`, `rotation-ramped`), by itself or with `=SEVERITY`;
    or the name of a disturbance (`rotation-ramped-2`). Several words may stand in one, with commas between them.

    Raises VidaugError on another word.
    """
    meant: dict[str, set[Disturbance]] = {"all": set(DISTURBANCES.values())}
    for one in DISTURBANCES.values():
        parts = one.parts
        for size in range(1, len(parts) + 1):
            for some in combinations(parts, size):
                meant.setdefault("-".join(some), set()).add(one)
    chosen: set[Disturbance] = set()
    for word in (word.strip() for given in words for word in given.split(",")):
        if (plain := word.replace("=", "-")) not in meant or plain.isdigit():
            names = [*KINDS, *get_args(Course), *DISTURBANCES]
            hint = f"there are 'all', {', '.join([*KINDS, *get_args(Course)])}, at a severity as rotation=1, =2 or =3"
            raise UnknownNameError(f"unknown disturbance {word!r}{nearest(plain, names)}", where="--perturb", hint=hint)
        chosen |= meant[plain]
    return tuple(one for one in DISTURBANCES.values() if one in chosen)


class ClipDraw(NamedTuple):
    """What chance decides for one clip and kind: the same at every severity, and for held and ramped."""

    sign: int  # 1 or -1
    across: bool  # of a shift: up and down instead of left and right
    rises: bool  # of a ramp: from 0 to S, instead of from S to 0
    level: float  # 0 to 1: held strength as a share of S; of a cut, where it lies
    chances: Over  # 0 to 1, of each frame
    seed: int  # of the noise


def draw(kind: str, video: str, view: int, frames: int) -> ClipDraw:
    """Return the draws for one clip. They depend on nothing else: not on other clips, their order, or the device.

    Args:
        kind: a row of `KINDS`.
        video: the name of the video, as in the manifest.
        view: which view of it the clip is, from 0.
        frames: of the clip.
    """
    rng = generator(SEED, view, key_of(video), key_of(kind))
    sign, across, rises = (bool(coin) for coin in rng.integers(0, 2, 3))
    level, seed = float(rng.random()), int(rng.integers(2**32))
    return ClipDraw(1 if sign else -1, across, rises, level, rng.random(frames), seed)


def key_of(name: str) -> int:
    """Return a number below 2^32 for a name: the CRC-32 of its UTF-8."""
    return crc32(name.encode(errors="surrogateescape"))


def _ramped(drawn: ClipDraw) -> Over:
    share = np.linspace(0, 1, len(drawn.chances))
    return share if drawn.rises else 1 - share


SHARES: dict[Course | None, Callable[[ClipDraw], Over]] = {  # of S, in each frame
    "held": lambda drawn: np.full(len(drawn.chances), drawn.level),
    "ramped": _ramped,
    None: lambda drawn: np.ones(len(drawn.chances)),
}


def strengths(disturbance: Disturbance, drawn: ClipDraw) -> Over:
    """Return the strength in each frame, 0 to S or 0 to -S, in the unit of the kind; 0 for a probe."""
    kind = KINDS[disturbance.kind]
    most = kind.strongest[disturbance.severity - 1] if disturbance.severity else 0.0
    return (drawn.sign if kind.signed else 1) * most * SHARES[disturbance.course](drawn)


def about(disturbances: Iterable[Disturbance]) -> dict[str, Any]:
    """Return what the scores' source says of them: the version of the table; nothing where there are none."""
    return {"disturbances": VERSION} if any(True for _ in disturbances) else {}
