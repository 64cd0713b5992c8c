"""Several folders and lists as one data set: one root, classes matched by name, no file with two labels."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from vidaug_cli.data.listing.candidates import Candidate, Listing
from vidaug_cli.data.listing.folders import NO_CLASS
from vidaug_cli.data.listing.layouts import list_videos
from vidaug_cli.data.listing.lists import labelled_by_folder
from vidaug_cli.data.listing.source import Source
from vidaug_cli.data.listing.tree import Quarantined, link_reason, spell, text_link
from vidaug_cli.errors import ClassesError


def list_inputs(sources: Sequence[Source], layout: str | None = None) -> tuple[str, Path, Listing]:
    """Return what all sources list: the layouts' names, the folder that all paths are relative to, and the videos.

    A video is left out where a link leads out of its source's root and of the folder where links may lead, and where it
    is the same file as another that has another label.

    Raises VidaugError where two sources give one class two numbers.
    """
    listed = [(source, *list_videos(source, layout)) for source in sources]
    roots = [(listing.root or source.root).resolve() for source, _, listing in listed]
    root = Path(os.path.commonpath([*roots, *(source.within for source in sources if source.within)]))
    real = lru_cache(maxsize=4096)(Path.resolve)
    joined = Listing()
    files: dict[Candidate, Path] = {}
    for own, (source, _, listing) in zip(roots, listed, strict=True):
        joined.quarantined.extend(listing.quarantined)
        joined.notes.extend(listing.notes)
        joined.passed_over.update(listing.passed_over)
        allowed = [own, source.within] if source.within else [own]
        for video in listing.candidates:
            if source.exclusion.leaves_out(own, video.path):  # a list names it
                continue
            file = _resolve(own / video.path, real)
            target = text_link(file) if file else None
            file = target or file
            if file and not (any(map(file.is_relative_to, allowed)) and (source.within or not target)):
                linked = target and link_reason(target, own, "is a text in place of a link")
                reason = linked or _outside(own, video.path)
                joined.quarantined.append(Quarantined(spell(video.path), reason))
                continue
            # A text cannot be opened in place of what it stands for. And if links may lead to a place beside the root,
            # a video is called by where it lies, so that no link is left.
            beside = source.within and not own.is_relative_to(source.within)
            place = file if file and (target or beside) else own / video.path
            if own != root or place == file:
                video = video._replace(path=place.relative_to(root).as_posix())
            joined.candidates.append(video)
            if file:
                files[video] = file
    _settle(joined, lambda video: _identity(files[video]) if video in files else video.path)
    several_folders = len(sources) > 1 and not any(source.is_list for source in sources)
    if several_folders and all(video.label is None for video in joined.candidates):
        # `vidaug scan videos/*`: the inputs are the classes
        joined.notes[:] = [note for note in joined.notes if not note.endswith(NO_CLASS)]
        joined = labelled_by_folder(joined, sources[0])
    if len(sources) > 1:
        joined.candidates[:] = _with_one_number(joined.candidates)
    return ", ".join(dict.fromkeys(name for _, name, _ in listed)), root, joined


def _resolve(path: Path, real: Callable[[Path], Path]) -> Path | None:
    try:
        file = real(path.parent) / path.name
        return file.resolve() if file.is_symlink() or path.name == ".." else file
    except (OSError, RuntimeError, ValueError):  # links in a circle; who opens it will say so
        return None


def _identity(file: Path) -> object:
    """Return what two names of one file share: hard links, too."""
    try:
        about = file.stat()
    except OSError:
        return file
    return about.st_dev, about.st_ino


def _outside(root: Path, path: str) -> str:
    parts = Path(path).parts
    links = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    link = next((link for link in links if link.is_symlink() and not link.resolve().is_relative_to(root)), None)
    elsewhere = f"lies outside the data set's folder; --root names one around it and {root}"
    return link_reason(link.resolve(), root) if link else elsewhere


def _settle(listing: Listing, file_of: Callable[[Candidate], object]) -> None:
    """Leave out files that come with different labels, by links or in several inputs, and rows that come again."""
    same: dict[tuple[object, float | None, float | None], list[Candidate]] = defaultdict(list)  # by file and segment
    for video in listing.candidates:
        same[file_of(video), video.start, video.end].append(video)
    refused: set[Candidate] = set()
    for group in same.values():
        labels = {video.label: video.path for video in reversed(group) if video.label is not None}
        if len(labels) > 1:
            refused.update(group)
            which = " and ".join(f"{spell(label)} ({spell(path)})" for label, path in sorted(labels.items()))
            listing.quarantined.append(Quarantined(spell(group[0].path), f"is one file with several labels: {which}"))
    kept = {(video.path, video.start, video.end): video for video in reversed(listing.candidates)}
    if again := len(listing.candidates) - len(kept):
        listing.notes.append(f"{again} listed in several inputs: the first counts")
    listing.candidates[:] = [video for video in reversed(kept.values()) if video not in refused]


def _with_one_number(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates with the number that any of the inputs gives a class."""
    numbers: dict[str | None, Candidate] = {}
    for video in candidates:
        first = numbers.setdefault(video.label, video) if video.class_id is not None else video
        if first.class_id != video.class_id:
            numbers_at = f"number {first.class_id} at {first.path} and {video.class_id} at {video.path}"
            hint = "give the inputs one after the other, to manifests of their own"
            raise ClassesError(f"class {video.label!r} has {numbers_at}", hint=hint)
    return [video._replace(class_id=numbers.get(video.label, video).class_id) for video in candidates]
