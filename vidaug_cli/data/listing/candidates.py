"""What `vidaug scan` was pointed at, and the videos it will look into: from class folders, without opening any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from vidaug_cli.data.listing.tree import IMAGES, VIDEOS, Quarantined, Tree, walk

WRAPPERS = frozenset({"ucf-101", "ucf101", "hmdb51", "hmdb51_org", "videos", "video", "rawframes", "frames"})
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validate": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def split_of(word: str) -> str:
    """The split a word such as `Val` means; a word that means none stays as it is."""
    return SPLITS.get(word.strip().lower(), word.strip())


class Candidate(NamedTuple):
    """A video that was found or listed, not yet opened."""

    path: str  # relative to the root; a file, or a folder of frame images
    label: str | None = None
    class_id: int | None = None
    split: str | None = None
    start: float | None = None  # seconds: the segment of the file that is the clip's source; None: from the beginning
    end: float | None = None  # ... and None: to the end


@dataclass(frozen=True)
class Listing:
    """What a layout makes of a data set."""

    candidates: list[Candidate] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # a line each, for the user
    passed_over: Counter[str] = field(default_factory=Counter)  # files of no use to this layout, by extension


@dataclass(frozen=True, kw_only=True)
class Source:
    """The user's words: a folder or a list, and what else was said about it."""

    input: Path
    root: Path  # absolute folder that paths are relative to
    split: int | None = None  # which of the data set's numbered splits
    lists: Path | None = None  # where the split lists lie, if not with the videos

    @cached_property
    def tree(self) -> Tree:
        return walk(self.root)

    def list_files(self, pattern: str) -> list[Path]:
        """Files named like `pattern` in `lists`, or else in the first of: the root, the folders right below it."""
        if self.input.is_file():
            return []
        below = sorted(path for path in self.root.iterdir() if path.is_dir() and not path.is_symlink())
        folders = [self.lists] if self.lists else [self.root, *below]
        return next((found for folder in folders if (found := sorted(folder.glob(pattern)))), [])


def list_folders(source: Source) -> Listing:
    """Videos in class folders: `CLASS/**/video.avi`, or `train/CLASS/**/video.avi` and so on."""
    listing = _by_folder(source.tree.videos)
    if source.tree.clips:
        # Pictures beside videos are mostly thumbnails, but a set with both should not lose half without a word.
        pictures = sum(clip.total() for clip in source.tree.clips.values())
        listing.notes.append(f"{pictures} images were passed over: --layout frames reads folders of images instead")
    return with_tree(listing, source.tree, VIDEOS)


def list_frames(source: Source) -> Listing:
    """Folders of frame images: `CLASS/CLIP/*.jpg`, or `train/CLASS/CLIP/*.jpg` and so on."""
    clips = sorted(path for path in source.tree.clips if "/" in path)
    listing = with_tree(_by_folder(clips), source.tree, IMAGES)
    for path in source.tree.clips.keys() - clips:
        listing.passed_over.update(source.tree.clips[path])
    return listing


def with_tree(listing: Listing, tree: Tree, used: Iterable[str]) -> Listing:
    """`listing` with what the walk met besides files of the extensions that were `used`."""
    listing.passed_over.update({kind: number for kind, number in tree.seen.items() if kind not in used})
    if tree.linked:
        listing.notes.append(
            f"{count(len(tree.linked), 'link')} to folders inside the data set not followed: {tree.linked[0]}"
            + (" ..." if len(tree.linked) > 1 else "")
        )
    listing.quarantined.extend(tree.faults)
    return listing


def _by_folder(paths: Iterable[str]) -> Listing:
    """Class and split of each video from the folders it lies in. Class names are folder names, verbatim."""
    parts = {path: path.split("/") for path in paths}
    listing = Listing()
    below = 0
    while all(len(part) > below + 1 for part in parts.values()):
        folders = {part[below] for part in parts.values()}
        if len(folders) != 1 or not all(folder.lower() in WRAPPERS for folder in folders):
            break
        below += 1
        listing.notes.append(f"classes are the folders in {folders.pop()}/")
    tops = {part[below] for part in parts.values() if len(part) > below + 1}
    as_splits = {top for top in tops if top.lower() in SPLITS}
    splits = bool(tops) and as_splits == tops
    if as_splits and not splits:
        others = sorted(tops - as_splits)
        listing.notes.append(
            f"{', '.join(sorted(as_splits))} taken for classes, not splits: {others[0]} lies beside them"
        )
    for path, part in parts.items():
        split = SPLITS[part[below].lower()] if splits and len(part) > below + 1 else None
        rest = part[below + (split is not None) :]
        listing.candidates.append(Candidate(path, rest[0] if len(rest) > 1 else None, None, split))
    bare = sum(candidate.label is None for candidate in listing.candidates)
    if bare:
        listing.notes.append(f"{count(bare, 'video')} in no class folder: label null")
    return listing


def count(number: int, noun: str) -> str:
    """`1 video`, `2 videos`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
