"""What lies below a data set's folder: one walk that reads names only and follows no link to a folder."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vidaug_cli.errors import VidaugError

_VIDEOS = (
    "3g2 3gp asf avi divx dv f4v flv gif m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts vob webm wmv y4m"  # what av can open
)
VIDEOS = frozenset(f".{kind}" for kind in _VIDEOS.split())
IMAGES = frozenset({".jpg", ".jpeg", ".png"})
HIDDEN = "hidden"


class Quarantined(NamedTuple):
    """Something that was found or listed and cannot be used, with the true reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Tree:
    """The files below a folder, as paths relative to it with forward slashes."""

    videos: list[str] = field(default_factory=list)  # files with a video's extension
    clips: dict[str, Counter[str]] = field(default_factory=dict)  # folders with images right in them, and how many
    seen: Counter[str] = field(default_factory=Counter)  # files of each extension; hidden files and folders
    linked: list[str] = field(default_factory=list)  # links to folders inside the root
    faults: list[Quarantined] = field(default_factory=list)

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        return _group((PurePosixPath(path).name.casefold(), path) for path in self.videos)

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        return _group((PurePosixPath(path).stem, path) for path in self.videos)

    def find(self, name: str) -> list[str]:
        """Videos whose path ends in `name`, nearest the root first; in any case only if none has its very spelling.

        UCF101's lists say `HandstandPushups/v_HandStandPushups_g01_c01.avi`, and copies differ in what they made of it.
        """
        near = self._named.get(PurePosixPath(name).name.casefold(), [])
        tail = "/" + str(PurePosixPath(name))
        exact = [path for path in near if f"/{path}".endswith(tail)]
        return exact or [path for path in near if f"/{path}".casefold().endswith(tail.casefold())]

    def find_stem(self, stem: str) -> list[str]:
        """Videos named `stem` but for the extension, nearest the root first."""
        return self._stems.get(stem, [])


def _group(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key, path in pairs:
        found[key].append(path)
    return {key: sorted(paths, key=lambda path: (path.count("/"), path)) for key, paths in found.items()}


def walk(root: Path) -> Tree:
    """Everything below `root`. Raises VidaugError when `root` itself cannot be read."""
    tree = Tree()

    def refuse(error: OSError) -> None:
        where = Path(error.filename)
        if where == root:
            raise VidaugError(f"cannot be read: {error.strerror}", where=root)
        tree.faults.append(Quarantined(where.relative_to(root).as_posix(), f"cannot be read: {error.strerror}"))

    for folder, folders, files in os.walk(root, onerror=refuse):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in sorted(folders) if _enters(tree, root, (here / name).as_posix())]
        for name in sorted(files):
            path, kind = (here / name).as_posix(), PurePosixPath(name).suffix.lower()
            if name.startswith("."):
                tree.seen[HIDDEN] += 1
            elif not is_utf8(name):
                tree.faults.append(_unspeakable(path))
            else:
                tree.seen[kind] += 1
                if kind in VIDEOS:
                    tree.videos.append(path)
                elif kind in IMAGES:
                    tree.clips.setdefault(here.as_posix(), Counter())[kind] += 1
    tree.videos.sort(key=natural)
    return tree


def _enters(tree: Tree, root: Path, path: str) -> bool:
    """Whether the walk goes into a folder; where it does not, the tree notes why."""
    if PurePosixPath(path).name.startswith("."):
        tree.seen[HIDDEN] += 1
    elif not is_utf8(path):
        tree.faults.append(_unspeakable(path))
    elif not (root / path).is_symlink():
        return True
    elif (root / path).resolve().is_relative_to(root.resolve()):
        tree.linked.append(path)
    else:
        tree.faults.append(Quarantined(path, "is a link to a folder outside the data set's; copy the folder there"))
    return False


def is_utf8(name: str) -> bool:
    """Whether a file name can stand in JSON: the system hands other bytes over as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unspeakable(path: str) -> Quarantined:
    return Quarantined(spell(path), "the name is not UTF-8, so no manifest can hold it; rename it")


def spell(path: str) -> str:
    """`path` with bytes that are not UTF-8 written out as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def natural(path: str) -> tuple[list[str | int], str]:
    """Sorting key that puts clip2 before clip10."""
    parts = re.split(r"([0-9]+)", path)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path
