"""What reports of several kinds are made of: names with values, what is missing, values with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeVar

from vidaug_cli.errors import VidaugError
from vidaug_cli.report import charts

T = TypeVar("T")


class Setting(NamedTuple):
    """A name and a value."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a page shows of any source."""

    kind: ClassVar[str]  # the name of its template
    places: ClassVar[dict[str, tuple[str, str]]] = {}  # by the end of an id: words, and the field that has to be there
    source: str
    name: str
    stats: tuple[Setting, ...] = ()  # the numbers at the top
    notes: tuple[str, ...] = ()  # what to know of it
    commands: tuple[str, ...] = ()  # lines that make what is missing

    @property
    def anchors(self) -> list[tuple[str, str]]:
        """Places in it that the navigation names: ends of their ids, and words."""
        return [(place, words) for place, (words, field) in self.places.items() if getattr(self, field)]


class Missing(NamedTuple):
    """What a report lacks, and the command that makes it."""

    what: str
    command: str = ""


class Measured(NamedTuple):
    """A row of values with intervals; what else there is to say stands in `cells`."""

    name: str
    text: str
    whisker: charts.Whisker
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Values with intervals on one axis."""

    rows: tuple[Measured, ...]
    low: str  # where the axis begins and ends
    high: str
    zero: float | None = None  # where it is 0, in per cent of its width
    heads: tuple[str, ...] = ()  # of the cells


def intervals(
    rows: Sequence[tuple[str, tuple[float, float, float], tuple[str, ...]]],
    *,
    heads: tuple[str, ...] = (),
    signed: bool = False,
) -> Intervals:
    """Return rows of shares with their intervals on one axis; with `signed`, they are differences in points."""
    drawn, low, high = charts.whiskers([estimate for _, estimate, _ in rows])
    form = "{:+.1f}" if signed else "{:.1f}"

    def text(estimate: tuple[float, float, float]) -> str:
        value, first, last = (form.format(100 * each) for each in estimate)
        return f"{value} ({first} to {last})" if signed else f"{value} % ({first} to {last})"

    return Intervals(
        rows=tuple(
            Measured(name, text(estimate), whisker, cells)
            for (name, estimate, cells), whisker in zip(rows, drawn, strict=True)
        ),
        low=f"{100 * low:+g}" if signed else f"{100 * low:g} %",
        high=f"{100 * high:+g}" if signed else f"{100 * high:g} %",
        zero=-100 * low / ((high - low) or 1) if signed and low <= 0 <= high else None,
        heads=heads,
    )


def or_missing(missing: list[Missing], what: str, read: Callable[..., T], *args: object) -> T | None:
    """Return what can be read; where it cannot, note why."""
    try:
        return read(*args)
    except VidaugError as error:
        missing.append(Missing(f"{what} cannot be shown: {error}"))
        return None
