"""What lies below a data set's folder: one walk that reads names only and follows no link that it was not told to."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from vidaug_cli.data.listing.exclusion import Exclusion
from vidaug_cli.data.listing.frames import frame_files, is_flow, series
from vidaug_cli.data.listing.names import is_hidden, is_media, nfc
from vidaug_cli.errors import THIS_TIME, VideoError, cannot_read, passes

# What av can open.
_VIDEOS = "3g2 3gp asf avi divx dv f4v flv gif m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts vob webm wmv y4m"
VIDEOS = frozenset(f".{suffix}" for suffix in _VIDEOS.split())
IMAGES = frozenset({".jpg", ".jpeg", ".png"})
TEXTS = frozenset({".csv", ".lst", ".tsv", ".txt"})
DEEPEST_LIST = 3  # folders around a list; below lie what goes with single videos
MOST_LISTS = 1000  # more are not lists, but go with single videos too
HIDDEN = "hidden"
LONGEST_PATH = 4096  # bytes


class Quarantined(NamedTuple):
    """A video or folder that cannot be used, and why."""

    path: str
    reason: str


class ThisTime(Quarantined):
    """One that could only not be read this time (see `errors.passes`)."""


@dataclass(frozen=True)
class Tree:
    """The files below a folder, as paths relative to it with forward slashes."""

    videos: list[str] = field(default_factory=list)  # files with a video's extension
    clips: dict[str, Counter[str]] = field(default_factory=dict)  # folders with images right in them, and how many
    texts: list[str] = field(default_factory=list)  # what may be a list of videos, the nearest to the root first
    seen: Counter[str] = field(default_factory=Counter)  # files of each extension; hidden files and folders
    left_out: Counter[str] = field(default_factory=Counter)  # images that are flow or the like, by what they are called
    linked: list[str] = field(default_factory=list)  # links to folders inside the root
    faults: list[Quarantined] = field(default_factory=list)
    excluded: set[str] = field(default_factory=set)  # videos and folders of frames that the user leaves out

    @cached_property
    def frames(self) -> list[str]:
        """The folders of images that are clips: those below another folder."""
        return sorted((path for path in self.clips if "/" in path), key=natural)

    @cached_property
    def index(self) -> VideoIndex:
        """What a list can name: the videos or the folders of frames, whichever are more, with those left out."""
        folders = sorted(filter(None, self.clips), key=natural)
        return VideoIndex([*(folders if self.of_frames else self.videos), *sorted(self.excluded)])

    @property
    def of_frames(self) -> bool:
        """Whether lists name folders of frames."""
        return sum(map(bool, self.clips)) > len(self.videos)


class VideoIndex:
    """Videos by their names, whatever a list made of them."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths
        self._near: dict[str, list[str]] = defaultdict(list)
        for path in sorted(paths, key=lambda path: (path.count("/"), path)):
            self._near[stem_of(path).casefold()].append(path)

    def find(self, name: str) -> list[str]:
        """Return videos whose path ends in `name`, nearest the root first, by the first of these that gives any.

        The name as it is spelled; in any case; with another extension or none, as in lists of files where the frames
        lie in folders.

        UCF101's lists say `HandstandPushups/v_HandStandPushups_g01_c01.avi`, and copies differ in what they made of it.
        """
        wanted = nfc(str(PurePosixPath(name)))
        near = self._near.get(stem_of(wanted).casefold(), [])
        for alike in (str, str.casefold, _without_suffix, lambda path: _without_suffix(path).casefold()):
            tail = alike("/" + wanted)
            if paths := [path for path in near if alike("/" + nfc(path)).endswith(tail)]:
                return paths
        return []

    def find_stem(self, stem: str) -> list[str]:
        """Return videos named `stem` but for the extension, nearest the root first."""
        return [path for path in self._near.get(nfc(stem).casefold(), []) if stem_of(path) == nfc(stem)]


def stem_of(path: str) -> str:
    """Return the name of a file or folder without a video's extension, in the normal form of labels."""
    return _without_suffix(nfc(path.rstrip("/").rpartition("/")[2]))


def _without_suffix(path: str) -> str:
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in VIDEOS else path


def walk(root: Path, within: Path | None = None, exclusion: Exclusion | None = None) -> Tree:
    """Return everything below `root`, however deep. Raises VidaugError when `root` itself cannot be read.

    A link to a folder is followed only if `within` is given, and then to places in `root` or `within`. Each folder is
    read once: first where it lies.
    """
    tree, exclusion = Tree(), exclusion or Exclusion()
    real = root.resolve()
    allowed = [real, within.resolve()] if within else []
    read: set[str] = set()
    waiting = [("", str(real))]
    links: list[tuple[str, str]] = []
    while waiting or links:
        here, folder = waiting.pop() if waiting else links.pop()
        if folder in read:
            tree.linked.append(here)
            continue
        read.add(folder)
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            if not here:
                raise cannot_read(error, root) from error
            # A folder that this user may not read, such as lost+found, stays so.
            passing = passes(error) and not isinstance(error, PermissionError)
            kind, what = (ThisTime, THIS_TIME) if passing else (Quarantined, "cannot be read")
            tree.faults.append(kind(here, f"{what}: {error.strerror}"))
            continue
        images = []
        for entry in entries:
            path = f"{here}/{entry.name}" if here else entry.name
            if is_hidden(entry.name):
                tree.seen[HIDDEN] += 1
            elif not is_utf8(entry.name):
                reason = "the name is not UTF-8, so no manifest can hold it; rename it"
                tree.faults.append(Quarantined(spell(path), reason))
            elif not _is_folder(entry):
                suffix = PurePosixPath(entry.name).suffix.lower()
                tree.seen[suffix] += 1
                if suffix in VIDEOS:
                    tree.excluded.add(path) if exclusion.leaves_out(root, path) else tree.videos.append(path)
                elif suffix in IMAGES:
                    images.append(entry.name)
                elif suffix in TEXTS and path.count("/") <= DEEPEST_LIST and len(tree.texts) < MOST_LISTS:
                    tree.texts.append(path)
            elif not entry.is_symlink():
                waiting.append((path, f"{folder}/{entry.name}"))
            elif any(map((target := Path(entry.path).resolve()).is_relative_to, allowed)):
                links.append((path, str(target)))
            elif target.is_relative_to(real):
                tree.linked.append(path)
            else:
                tree.faults.append(Quarantined(path, link_reason(target, real)))
        links.sort(reverse=True)
        if images and here and exclusion.leaves_out(root, f"{here}/"):
            tree.excluded.add(here)
        elif images:
            _add_clip(tree, here, images)
    for paths in (tree.videos, tree.linked):
        paths.sort(key=natural)
    tree.texts.sort(key=lambda path: (path.count("/"), path))
    _drop_flow(tree)
    return tree


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _add_clip(tree: Tree, folder: str, images: list[str]) -> None:
    """Note a folder of images, without those that are no frames, unless there is nothing else or it is unclear."""
    names = images
    try:
        names, left_out = frame_files(images)
        tree.left_out.update(left_out)
    except VideoError:  # the decoder will say it, unless all of it is flow
        if all(is_flow(series(name)) for name in images):
            tree.left_out.update(series(name) for name in images)
            return
    tree.clips[folder] = Counter(PurePosixPath(name).suffix.lower() for name in names)


def _drop_flow(tree: Tree) -> None:
    """Leave out folders of flow: `flow_x/`, or `u/` and `v/` beside `img/`."""
    beside: dict[str, set[str]] = defaultdict(set)
    for path in tree.clips:
        above, _, name = path.rpartition("/")
        beside[above].add(name.casefold())
    for path in list(tree.clips):
        above, _, name = path.rpartition("/")
        pair = next((pair for pair in ({"u", "v"}, {"x", "y"}) if name.casefold() in pair), {"?"})
        paired = pair <= beside[above] and any(map(is_media, beside[above]))
        if paired or any(map(is_flow, path.split("/"))):
            tree.left_out[name] += tree.clips.pop(path).total()


def link_reason(target: Path, root: Path, what: str = "is a link") -> str:
    """Return why a link is not followed, and how to have it followed."""
    both = Path(os.path.commonpath([target, root]))
    place = both if both != both.parent else target.parent
    where = "in" if target.is_relative_to(root) else "outside"
    return f"{what} to {target}, {where} the data set's folder; 'vidaug scan --follow-links={place}' follows it"


def text_link(file: Path) -> Path | None:
    """Return the file that a small text names: links become such texts on systems and in archives that have none."""
    try:
        if not (file.is_file() and 0 < file.stat().st_size <= LONGEST_PATH):
            return None
        text = file.read_text("utf-8")
        target = (file.parent / text.strip()).resolve()
        return target if text.count("\n") < 2 and target != file and target.is_file() else None
    except (OSError, ValueError, RuntimeError):  # not a path at all
        return None


def is_utf8(name: str) -> bool:
    """Return whether a file name can stand in JSON: the system hands other bytes over as lone surrogates."""
    return name.encode(errors="ignore").decode() == name


def spell(path: str) -> str:
    """Return `path` with bytes that are not UTF-8 written out as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def natural(path: str) -> tuple[Any, str]:
    """Return a sorting key that puts clip2 before clip10; rows stand in this order, and plans follow it."""
    return _natural_key()(path), path


@cache
def _natural_key() -> Callable[[str], Any]:
    from natsort import natsort_keygen  # only here: decoding processes import this module, and few of them sort

    return natsort_keygen()
