"""Which classes there are, as a file of the user's says: names with numbers, or a map (TOML) that makes others of them.

others = "keep"                     # or "drop": what becomes of classes that are not named here
drop = ["idle"]

[classes]
walk = ["walking", "slow walk"]     # one class of two
jump = "jumping"                    # another name
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from vidaug_cli.data.listing.names import first_few, nfc
from vidaug_cli.data.manifest import Row, renumber
from vidaug_cli.data.textfiles import Numbers, read_classes
from vidaug_cli.errors import ClassesError, cannot_read
from vidaug_cli.schema import parse
from vidaug_cli.words import count, nearest

HINT = "a map has a table [classes] with lines such as walk = ['walking', 'slow walk'], and may have drop = ['idle']"


class Choice(Protocol):
    """What a file makes of classes."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names in label order, where the file says which there are whether they have videos or not."""

    def fit(self, rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
        """Return the rows with their classes, and a line on each thing to say. Raises VidaugError."""


@dataclass(frozen=True)
class Numbered:
    """Names and numbers of the classes; without any, they are those of the rows."""

    numbers: Numbers
    where: Path | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names in label order."""
        return tuple(self.numbers)

    def fit(self, rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
        """Return the rows with these names and numbers. Raises VidaugError on another class."""
        return renumber(rows, self.numbers, self.where) if self.numbers else list(rows), []


@dataclass(frozen=True, kw_only=True)
class MapFile:
    """What a map says. Raises VidaugError where a class of the data set comes twice."""

    classes: dict[str, str | tuple[str, ...]] = field(default_factory=dict)  # names that each is made of
    drop: tuple[str, ...] = ()  # their videos are left out
    others: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        old = [name for name, _ in self.pairs]
        if twice := [name for name, times in Counter(old).items() if times > 1]:
            raise ClassesError(f"class {twice[0]!r} is named twice", hint="each goes to one class, or is dropped")
        if not all([*self.classes, *old]):
            raise ClassesError("a class has an empty name", hint=HINT)

    @property
    def pairs(self) -> list[tuple[str, str | None]]:
        """Old and new name of each class that is named; None for one that is dropped."""
        merged = ((new, [old] if isinstance(old, str) else old) for new, old in self.classes.items())
        return [(nfc(name), nfc(new)) for new, old in merged for name in old] + [
            (nfc(name), None) for name in self.drop
        ]


@dataclass(frozen=True)
class ClassMap:
    """Names of classes by those that the data set has: merged, renamed, dropped."""

    file: MapFile
    where: Path

    @property
    def names(self) -> tuple[str, ...]:
        """No names: there are those of the rows, in their order."""
        return ()

    def fit(self, rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
        """Return the rows that stay with their new classes, each with the name that the data set gives its class.

        Where they have new names already the map counts for the old ones. Numbers of the data set count no more: two
        classes that become one have two. Raises VidaugError on a class that no row has, and where no row stays.
        """
        new = dict(self.file.pairs)
        found = Counter(nfc(row.source_label or row.label) for row in rows if row.label is not None)
        if strange := [name for name in new if name not in found]:
            more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
            what = f"names a class {strange[0]!r}{more} that no video is of{nearest(strange[0], found)}"
            raise ClassesError(what, where=self.where, hint=f"there are {first_few(found)}")
        new |= {name: name if self.file.others == "keep" else None for name in found if name not in new}
        kept = [fitted for row in rows if (fitted := _renamed(row, new))]
        if not kept and rows:
            raise ClassesError("drops all classes", where=self.where, hint="keep one at least")
        gone = [name for name in found if new[name] is None]
        said = f"{self.where}: {count(len(found), 'class')} became {len({row.label for row in kept} - {None})}"
        dropped = f", {count(len(rows) - len(kept), 'video')} of {first_few(gone)} left out"
        return kept, [said + (dropped if gone else "")]


def _renamed(row: Row, new: dict[str, str | None]) -> Row | None:
    """Return a row with its new class; None if that is dropped."""
    if row.label is None:
        return row
    old = nfc(row.source_label or row.label)
    name = new[old]
    if name is None:
        return None
    return replace(row, label=name, class_id=None, source_label=old if name != old else None)


def read_choice(path: Path | None) -> Choice:
    """Return what a file says about classes; without one, they are those of the rows.

    Raises VidaugError where it cannot be read, or says something else.
    """
    if path is None or path.suffix.lower() != ".toml":
        return Numbered(read_classes(path) if path else {}, path)
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise cannot_read(error, path) from error
    except ValueError as error:
        raise ClassesError(f"is not TOML: {error}", where=path, hint=HINT) from error
    return ClassMap(parse(MapFile, content, where=path, hint=HINT), path)
