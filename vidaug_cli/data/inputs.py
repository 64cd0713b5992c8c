"""What INPUT means: videos of folders, lists, manifests, single files and stdin, and which of them are taken."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vidaug_cli.data.class_choice import read_choice
from vidaug_cli.data.kinds import Kind, is_manifest, kind_of, starts_manifest
from vidaug_cli.data.listing.exclusion import Exclusion
from vidaug_cli.data.listing.source import Piped, piped_in
from vidaug_cli.data.listing.tree import Quarantined
from vidaug_cli.data.manifest import Row, classes_of, read_rows, relocate
from vidaug_cli.data.scan import scan
from vidaug_cli.errors import NoVideosError, RepeatedError, SettingError
from vidaug_cli.words import count

WHAT = "INPUT is a folder, a list, a manifest, a video or - for stdin"


@dataclass(frozen=True)
class Input:
    """The videos to work on, and those that cannot be used."""

    rows: Sequence[Row]
    quarantined: Sequence[Quarantined] = ()
    notes: Sequence[str] = ()
    fixed: tuple[str, ...] = ()  # class names in label order, where a file says which there are

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order. Raises VidaugError where the rows contradict each other."""
        return self.fixed or tuple(classes_of(self.rows))


def read_input(
    *sources: str, root: Path | None = None, classes: Path | None = None, exclude: Sequence[str] = (), **how: Any
) -> Input:
    """Read the videos of folders, lists and single files (scanned together), and of manifests; `-` is stdin.

    Args:
        sources: what the user gave; on stdin comes a manifest, or a list of paths relative to the working folder.
        root: what paths in a list are relative to, or where the videos of a manifest lie now.
        classes: a file that fixes names and numbers of the classes, whichever of them occur; or a map of names, .toml.
        exclude: patterns of videos that are left out, relative to the root of an input, as in a `.gitignore`.
        how: `layout`, `split`, `lists` and `follow_links` as in `scan`, and its `workers`, `progress`, `limits` and
            `cache`.

    Raises VidaugError when there is no video, when one is given twice, or has a class that `classes` does not name.
    """
    chosen, exclusion = read_choice(classes), Exclusion(exclude)
    if twice := [source for source in sources if sources.count(source) > 1]:
        raise RepeatedError("is given twice", where=twice[0], hint="give each video once")
    parts: dict[str, list[Row]] = {}
    scanned: dict[str, Path | Piped] = {}
    quarantined: list[Quarantined] = []
    notes: list[str] = []
    for source in sources:
        piped = piped_in(Path(source))
        name = piped.name if piped else source
        if piped and (starts_manifest(piped.content) or not piped.content.strip()):
            parts[name] = _manifest(piped.content.splitlines(), name, root, exclusion, how)
        elif not piped and _holds_rows(source):
            with Path(source).open("rb") as lines:
                parts[name] = _manifest(lines, name, root, exclusion, how)
        else:
            scanned[name] = piped or Path(source)
    if scanned:
        result = scan(*scanned.values(), root=root, exclude=exclusion, **how)
        rows = result.rows if parts else result.usable()  # one input without a good video does not cost the others
        parts[" and ".join(scanned)] = rows
        quarantined, notes = result.quarantined, result.notes
    if len(parts) > 1:
        _check_once(parts)
    rows, said = chosen.fit([row for part in parts.values() for row in part])
    return Input(rows, quarantined, [*notes, *exclusion.notes, *said], chosen.names)


def _holds_rows(source: str) -> bool:
    """Return whether this is a manifest, by its first byte. Raises VidaugError where it surely holds no video."""
    kind = kind_of(Path(source))
    if kind not in _USABLE:
        raise kind.error(kind.finding, where=source, hint=WHAT)
    return is_manifest(Path(source))


# Kinds that may hold videos to work on: of them, `scan` says what is wrong.
_USABLE = {Kind.MANIFEST, Kind.VIDEOS, Kind.VIDEO, Kind.TEXT, Kind.EMPTY, Kind.FOLDER, Kind.OTHER, Kind.UNCLEAR}


def _manifest(
    lines: Iterable[bytes], name: str, root: Path | None, exclusion: Exclusion, how: dict[str, Any]
) -> list[Row]:
    for option in ("layout", "split", "lists", "follow_links"):
        if how.get(option):
            hint = "give it to 'vidaug scan'; --subset takes one split of a manifest"
            what = f"--{option.replace('_', '-')} goes with a folder, and this was scanned already"
            raise SettingError(what, where=name, hint=hint)
    rows = relocate(read_rows(lines, name), root)
    if not (kept := [row for row in rows if not exclusion.leaves_out(Path(row.root), row.path)]):
        what = f"--exclude leaves out all of the {count(len(rows), 'video')}"
        raise NoVideosError(what, where=name, hint="give patterns that fit fewer")
    return kept


def _check_once(parts: Mapping[str, Sequence[Row]]) -> None:
    """Raise VidaugError on a video that is in two sources: it could be mixed with itself, and would count twice."""
    first: dict[tuple[str, float | None, float | None], str] = {}
    for name, rows in parts.items():
        for row in rows:
            key = (os.path.realpath(f"{row.root}/{row.path}"), row.start, row.end)
            if (other := first.setdefault(key, name)) != name:
                raise RepeatedError(f"{row.name} is in {other} too", where=name, hint="give each video once")
