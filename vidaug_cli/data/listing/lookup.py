"""Look up the files that a list names, whatever system wrote the list."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

from vidaug_cli.data.listing.names import nfc
from vidaug_cli.data.listing.tree import LONGEST_PATH, stem_of
from vidaug_cli.words import cut


class Lookup:
    """What the names in a list stand for."""

    dropped = 0  # folders at the beginning of each path that are not there

    def __init__(self, find: Callable[[str], list[str]]) -> None:
        """Look names up by `find`, which returns the paths of what a name may mean."""
        self.find = find

    def exists(self, name: str) -> bool:
        """Return whether there is a file of just this name."""
        return bool(self.find(name))

    def drop_missing_folders(self, names: Sequence[str]) -> None:
        """Do nothing: where `find` looks at the end of a path, its first folders do not count."""


class FolderLookup(Lookup):
    """The files below a root, by their paths."""

    def __init__(self, root: Path) -> None:
        super().__init__(self._look)
        self.root = root
        self.notes: list[str] = []  # what the user should know of how files were looked up
        self._known: dict[tuple[int, str], list[str]] = {}
        self._names = lru_cache(maxsize=256)(_names_in)

    def exists(self, name: str) -> bool:
        """Return whether there is a file of just this name below the root."""
        return self._exact(name) is not None

    def drop_missing_folders(self, names: Sequence[str]) -> None:
        """Allow for paths of another machine: pass over the folders at their beginning, if that finds files."""
        sample = [name.replace("\\", "/") for name in names[:: max(len(names) // 20, 1)]]
        deepest = max((name.count("/") for name in sample), default=0)
        for drop in range(deepest + 1):
            self.dropped = drop
            if any(self.find(name) for name in sample):
                if drop:
                    beginning = cut("/".join(sample[0].split("/")[:drop]) + "/")
                    what = f"{beginning} at the beginning of the list's paths is not there"
                    self.notes.append(f"{what}: {self.root} is taken for it")
                return
        self.dropped = 0

    def _look(self, name: str) -> list[str]:
        """Look by the very name; or else folder by folder in any Unicode form, and without the file's extension."""
        key = self.dropped, name
        if key not in self._known:
            path = self._exact(name) or self._loose(name)
            self._known[key] = [path] if path else []
        return self._known[key]

    def _exact(self, name: str) -> str | None:
        for form in dict.fromkeys([name, name.replace("\\", "/")]):
            path = PurePosixPath("/".join(form.split("/")[self.dropped :]))
            if path.is_absolute() and path.is_relative_to(self.root.as_posix()):
                path = path.relative_to(self.root.as_posix())
            if path.parts and _can_be(name) and os.path.lexists(self.root / path):
                return str(path)
        return None

    def _loose(self, name: str) -> str | None:
        parts = name.replace("\\", "/").split("/")[self.dropped :]
        here = Path("/") if len(parts) > 1 and not parts[0] else self.root
        parts = [part for part in parts if part not in ("", ".")]
        if not parts or not _can_be(name):
            return None
        for part in parts[:-1]:
            names, _ = self._names(str(here))
            here /= part if part == ".." else names.get(nfc(part), "\0")
            if "\0" in here.name:
                return None
        names, stems = self._names(str(here))
        last = names.get(nfc(parts[-1])) or stems.get(nfc(parts[-1]))
        if last is None:
            return None
        return (here / last).relative_to(self.root).as_posix() if here.is_relative_to(self.root) else str(here / last)


def _can_be(name: str) -> bool:
    """Return whether a system would take this for a path."""
    return 0 < len(name) <= LONGEST_PATH and "\0" not in name


def _names_in(folder: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return what lies in a folder, by name in normal form, and by name without a video's extension."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 (names, not paths)
    except OSError:
        return {}, {}
    return {nfc(name): name for name in names}, {stem_of(name): name for name in names}
