"""Which folder of a path is the class, which the split: read from how all videos lie, one level after the other.

A level is a split if all its folders are named for splits; it is looked through if it is one folder, or numbered
groups, around others; else it is the class. Where two levels could be the class, the user is asked for a pattern.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath

from vidaug_cli.data.listing.candidates import Candidate, Listing, with_numbers, with_tree
from vidaug_cli.data.listing.names import are_splits, first_few, is_media, is_series, nfc, numbered, split_in, words
from vidaug_cli.data.listing.source import Source
from vidaug_cli.data.listing.tree import IMAGES, VIDEOS
from vidaug_cli.errors import UnclearError
from vidaug_cli.words import count

CLASS, SPLIT, THROUGH = "CLASS", "SPLIT", "*"
Pattern = tuple[str, ...]  # the role of each level of folders, from the top down to the last that says something

_FOR_CLASSES = frozenset(["action", "activity", "category", "class", "cls", "label"])  # `class1` is no group
NO_CLASS = "in no class folder: label null"


def list_folders(source: Source) -> Listing:
    """List videos in class folders: `CLASS/**/video.avi`, `train/CLASS/**/video.avi`, `NAME/CLASS/video.avi` ..."""
    listing = by_folder(source.tree.videos, source.pattern)
    if source.tree.clips:
        # Pictures beside videos are mostly thumbnails, but a set with both should not lose half without a word.
        pictures = sum(clip.total() for clip in source.tree.clips.values())
        listing.notes.append(f"{pictures} images were passed over: --layout frames reads folders of images instead")
    return with_tree(listing, source.tree, VIDEOS)


def list_frames(source: Source) -> Listing:
    """List folders of frame images: `CLASS/CLIP/*.jpg`, or `train/CLASS/CLIP/*.jpg` and so on."""
    clips = source.tree.clips
    listing = with_tree(by_folder(source.tree.frames, source.pattern), source.tree, IMAGES)
    for path in clips.keys() - source.tree.frames:
        listing.passed_over.update(clips[path])
    return listing


def parse_pattern(text: str) -> Pattern | None:
    """Return the roles in `SPLIT/CLASS` or `*/CLASS` as a user writes it; None where that is not a pattern."""
    roles = tuple(text.strip("/").split("/"))
    known = set(roles) <= {CLASS, SPLIT, THROUGH}
    return roles if known and roles.count(CLASS) == 1 and roles.count(SPLIT) <= 1 else None


def by_folder(paths: Collection[str], pattern: Pattern | None = None) -> Listing:
    """List each video with class and split from the folders it lies in, as `pattern` has them, or else by looking.

    Class names are folder names, in Unicode's normal form C.

    Raises UnclearError with what was seen and the patterns that could be meant.
    """
    inner = all(map(_in_media, paths))
    videos = {path: _folders(path, inner) for path in paths}
    roles = find_pattern(videos.values()) if pattern is None else pattern
    at = {role: place for place, role in enumerate(roles)}
    listing = Listing()
    for path, folders in videos.items():
        named = {role: folders[place] for role, place in at.items() if len(folders) > place}
        label = named.get(CLASS)
        split = split_in(named[SPLIT]) or named[SPLIT] if SPLIT in named else None
        listing.candidates.append(Candidate(path, None if label is None or is_media(label) else label, None, split))
    listing.notes.extend(_notes(videos, roles, listing))
    return with_numbers(listing)


def _in_media(path: str) -> bool:
    """Return whether frames lie in `CLIP/img/`, a folder that only says what they are."""
    return is_media(PurePosixPath(path).name) and PurePosixPath(path).suffix.lower() not in VIDEOS


def _folders(path: str, inner: bool) -> tuple[str, ...]:
    """Return the folders around a video; with `inner`, those around the clip that it is the frames of."""
    parts = [nfc(part) for part in path.split("/")]
    while inner and len(parts) > 1 and is_media(parts[-1]):
        parts.pop()
    return tuple(parts[:-1])


def _notes(videos: dict[str, tuple[str, ...]], roles: Pattern, listing: Listing) -> Iterable[str]:
    if bare := sum(candidate.label is None for candidate in listing.candidates):
        yield f"{count(bare, 'video')} {NO_CLASS}"
    if CLASS not in roles:
        return
    depth = roles.index(CLASS)
    if THROUGH in roles[:depth]:
        around = {"/".join(folders[:depth]) + "/" for folders in videos.values() if len(folders) > depth}
        yield f"classes are the folders in {first_few(around)}"
    tops = {folders[depth] for folders in videos.values() if len(folders) > depth}
    if as_classes := {name for name in tops if are_splits([name])}:
        others = sorted(tops - as_classes) or ["--layout"]
        yield f"{', '.join(sorted(as_classes))} taken for classes, not splits: {others[0]} lies beside them"
    if deeper := sorted({"/".join(folders[: depth + 2]) for folders in videos.values() if len(folders) > len(roles)}):
        yield f"class folders hold folders, whose videos are of the class: {first_few(deeper, 2)}"
    stored = [(folders[depth], path.split("/")[depth]) for path, folders in videos.items() if len(folders) > depth]
    if twice := _with_several(stored):
        yield f"folders whose names differ only in how accents are stored are one class: {first_few(twice)}"
    for names in _with_several((re.sub(r"[\s_-]+", "", name).casefold(), name) for name in tops).values():
        yield f"classes that are called almost the same: {first_few(names)}"


def _with_several(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return the values of each key that has more than one."""
    values: dict[str, set[str]] = defaultdict(set)
    for key, value in pairs:
        values[key].add(value)
    return {key: each for key, each in values.items() if len(each) > 1}


class Level:
    """The folders at one depth, whatever lies above them, and what is in them."""

    def __init__(self, folders: Iterable[tuple[str, ...]], depth: int) -> None:
        """Look at the folders at `depth` of those that videos lie in."""
        self.with_videos = {names[depth] for names in folders if len(names) == depth + 1}  # right in them
        self.inner: dict[str, set[str]] = defaultdict(set)  # the folders in those of each name
        for names in folders:
            if len(names) > depth:
                self.inner[names[depth]].update(names[depth + 1 : depth + 2])
        self.names = set(self.inner)
        self.below = set[str]().union(*self.inner.values())
        self.deep = any(len(names) > depth + 2 for names in folders)  # there are folders in the inner folders
        self.loose = any(len(names) == depth for names in folders)  # there are videos beside the folders


def find_pattern(folders: Iterable[Sequence[str]], roles: Pattern = ()) -> Pattern:
    """Return the roles of the levels, from the folders that each video lies in, as names from the top.

    The first levels are known to have `roles`. Raises UnclearError with what was seen and the patterns that could be
    meant.
    """
    around = {tuple(names) for names in folders}
    while (level := Level(around, len(roles))).names:
        role = _role(level, roles)
        if role is None:
            raise _unclear(around, level, roles)
        roles = (*roles, role)
        if CLASS in roles and (SPLIT in roles or not _splits_inside(level)):
            break
    while roles and roles[-1] == THROUGH:  # there is no class below
        roles = roles[:-1]
    return roles


def _splits_inside(level: Level) -> bool:
    """Return whether each folder in the classes is a split without folders: `CLASS/train/video.avi`."""
    return len(level.below) > 1 and not level.deep and are_splits(level.below)


def _is_wrapper(level: Level) -> bool:
    """Return whether it is one folder that holds folders only."""
    return len(level.names) == 1 and not level.with_videos and not (level.loose and len(level.below) == 1)


def _are_classes(level: Level) -> bool:
    """Return whether videos lie right in the folders, or in folders in them that can hardly be classes."""
    if len(level.names) == 1 and not level.loose:
        return not level.below
    # Where some folders hold videos and others whole trees, such as a demo beside the data, it is not plain.
    even = not level.deep or all(level.inner.values())
    if even and (len(level.below) < 2 or all(map(is_media, level.below)) or _splits_inside(level)):
        return True
    # Or in folders of their own name, as archives unpack.
    unpacked = all(name in level.with_videos or inner == {name} for name, inner in level.inner.items())
    return unpacked or (numbered(level.below) and not numbered(level.names))


def _are_groups(level: Level) -> bool:
    """Return whether they are numbered, as `subject1`, around others that are neither numbered nor splits."""
    around = is_series(level.names) and not level.with_videos and not level.loose
    plain = not numbered(level.below) and not are_splits(level.below)
    return around and plain and not any(_FOR_CLASSES.intersection(words(name)) for name in level.names)


def _role(level: Level, roles: Pattern) -> str | None:
    """Return the role of a level below those of `roles`; None where it can be read in several ways."""
    if SPLIT not in roles and are_splits(level.names):
        return SPLIT
    if all(map(is_media, level.names)) or _is_wrapper(level):
        return THROUGH
    if _are_classes(level):
        return CLASS
    return THROUGH if _are_groups(level) else None


def _unclear(folders: Iterable[tuple[str, ...]], level: Level, roles: Pattern) -> UnclearError:
    inside = (SPLIT,) if SPLIT not in roles and are_splits(level.below) else ()
    around = SPLIT if SPLIT not in roles and any(are_splits([name]) for name in level.names) else THROUGH
    try:
        way = find_pattern(folders, (*roles, around))
    except UnclearError:
        way = (*roles, around, CLASS)
    place = way.index(CLASS) if CLASS in way else len(roles) + 1
    below = {names[place] for names in folders if len(names) > place}
    ways = {(*roles, CLASS, *inside): level.names, (*way[:place], CLASS, *way[place + 1 :]): below}
    seen = " or ".join(f"{first_few(names)} ({len(names)})" for names in ways.values())
    hint = "say " + " or ".join(f"--layout {shlex.quote('/'.join(pattern))}" for pattern in ways)
    return UnclearError(f"it is unclear which folders are the classes: {seen}", hint=hint)
