"""What `vidaug scan` was pointed at: a folder, a list or a pipe, and the options that go with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from vidaug_cli.data.listing.exclusion import Exclusion
from vidaug_cli.data.listing.tree import Tree, walk
from vidaug_cli.errors import KindError, MissingPathError, SettingError


class Piped(NamedTuple):
    """A list that can be read but once."""

    name: str  # what errors call it
    content: bytes


def piped_in(path: Path) -> Piped | None:
    """Return what comes from stdin (`-`) or another pipe; None for a file or a folder, which is not read here."""
    if path == Path("-"):
        return Piped("stdin", sys.stdin.buffer.read())
    return Piped(str(path), path.read_bytes()) if path.exists() and not (path.is_file() or path.is_dir()) else None


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the user pointed at: a folder or a list, with the options that go with it."""

    input: Path
    content: bytes | None = None  # of a list that was piped in
    root: Path  # absolute folder that paths are relative to
    split: int | None = None  # which of the data set's numbered splits
    lists: Path | None = None  # where the split lists lie, if not with the videos
    pattern: tuple[str, ...] | None = None  # which folders are the classes, where the user names them; see `folders`
    within: Path | None = None  # where links may lead, besides the root
    rooted: bool = False  # the user named the root
    exclusion: Exclusion = field(default_factory=Exclusion)

    @property
    def is_list(self) -> bool:
        """Whether it is a list of videos, and not a folder."""
        return self.content is not None or not self.input.is_dir()

    @cached_property
    def tree(self) -> Tree:
        """What lies below the root."""
        return walk(self.root, self.within, self.exclusion)

    def list_files(self, pattern: str, fits: Callable[[Path], bool] = lambda path: True) -> list[Path]:
        """Return files named like `pattern` that fit: in `lists`, or else in the folder nearest the root with any."""
        if self.is_list:
            return []
        if self.lists:
            texts = sorted(path for path in self.lists.iterdir() if path.is_file())
        else:
            texts = [self.root / path for path in self.tree.texts]
        fitting = [path for path in texts if fnmatchcase(path.name, pattern) and fits(path)]
        return [path for path in fitting if path.parent == fitting[0].parent]


def source_of(
    given: Path | Piped,
    root: Path | None,
    split: int | None,
    lists: Path | None,
    follow_links: Path | bool = False,
    exclusion: Exclusion | None = None,
) -> Source:
    """Return the source that the user named, checked; `-` is a list on stdin.

    Raises VidaugError when a path is not what it should be.
    """
    piped, place = (given, Path(given.name)) if isinstance(given, Piped) else (piped_in(given), given)
    within = follow_links if isinstance(follow_links, Path) else None
    for path in (None if piped else place, root, lists, within):
        if path is not None and not path.exists():
            hint = "INPUT is a folder or a list" if path is place else "is the name right?"
            raise MissingPathError("does not exist", where=path, hint=hint)
    for path in (root, lists, within):
        if path is not None and not path.is_dir():
            raise KindError("is not a folder", where=path, hint="name a folder")
    if root is not None and place.is_dir():
        raise SettingError("--root goes with a list; a folder is its own root", where=root)
    folder = root or (Path() if piped else place if place.is_dir() else place.parent)
    return Source(
        input=Path(piped.name) if piped else place.resolve(),
        content=piped.content if piped else None,
        root=folder.resolve(),
        split=split,
        lists=lists,
        within=within.resolve() if within else folder.resolve() if follow_links else None,
        rooted=root is not None,
        exclusion=exclusion or Exclusion(),
    )
