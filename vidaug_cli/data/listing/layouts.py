"""How data sets lie on disk: a table of what each layout is recognised by and how its videos are listed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidaug_cli.data.listing.annotation_tables import (
    list_beside,
    list_tables,
    list_unlisted,
    lists_beside,
    tables_with,
    without_classes,
)
from vidaug_cli.data.listing.candidates import Candidate, Listing
from vidaug_cli.data.listing.folders import UnclearError, list_frames, parse_pattern
from vidaug_cli.data.listing.lists import list_list
from vidaug_cli.data.listing.official_splits import list_hmdb51, list_ucf101, list_vipriors2020
from vidaug_cli.data.listing.source import Source
from vidaug_cli.data.listing.tree import VIDEOS
from vidaug_cli.errors import VidaugError
from vidaug_cli.words import count


@dataclass(frozen=True)
class Layout:
    """One way a data set lies on disk."""

    looks_for: str  # what it is recognised by, as an error message says it
    find: Callable[[Source], Sequence[Any]]  # what it is recognised by, such as its lists; empty where it does not fit
    list: Callable[[Source, Any], Listing]  # of a source, with what `find` gave
    has_lists: bool = False  # has split lists, so --lists means something
    has_splits: bool = False  # and several splits, so --split does
    by_looking: Callable[[Source], bool] = lambda source: True  # whether it is taken unasked where it fits


def _files(pattern: str) -> Callable[[Source], list[Path]]:
    return lambda source: source.list_files(pattern)


# In this order they are tried: what is recognised by the most special sign comes first.
LAYOUTS = {
    "kinetics": Layout(
        "a table with a column youtube_id", tables_with("youtube_id", "yt_id", "ytid"), list_tables, has_lists=True
    ),
    "vipriors2021": Layout("tables with a column videoid", tables_with("videoid"), list_tables, has_lists=True),
    "vipriors2020": Layout("mod-ucf101-*.txt", _files("mod-ucf101-*.txt"), list_vipriors2020, has_lists=True),
    "hmdb51": Layout(
        "*_test_split[0-9].txt", _files("*_test_split[0-9].txt"), list_hmdb51, has_lists=True, has_splits=True
    ),
    "ucf101": Layout(
        "trainlist01.txt, testlist01.txt ...",
        _files("t*list[0-9][0-9].txt"),
        list_ucf101,
        has_lists=True,
        has_splits=True,
    ),
    "list": Layout(
        "a list of 'path label' as INPUT, or beside videos that are in no class folders",
        lambda source: [source.input] if source.is_list else lists_beside(source),
        lambda source, files: list_list(source) if source.is_list else list_beside(source, files),
        has_lists=True,
        by_looking=lambda source: source.is_list or without_classes(source),
    ),
    "folders": Layout(
        "class folders with videos", lambda source: source.tree.videos, lambda source, videos: list_unlisted(source)
    ),
    "frames": Layout(
        "folders CLASS/CLIP with images", lambda source: source.tree.frames, lambda source, clips: list_frames(source)
    ),
}


VIDEO = Layout(
    "a video file as INPUT",
    lambda source: [source.input] if source.input.suffix.lower() in VIDEOS and source.input.is_file() else [],
    lambda source, files: Listing([Candidate(source.input.name)], root=source.input.parent),
)


def list_videos(source: Source, name: str | None = None) -> tuple[str, Listing]:
    """Return the layout's name, by looking or as given, and what it lists. A pattern `SPLIT/CLASS` is a name, too.

    Raises VidaugError when nothing fits, or a split or lists are named that the layout does not have.
    """
    if name is not None and (pattern := parse_pattern(name)):
        source = replace(source, pattern=pattern)
        name = "list" if source.is_list else "folders" if source.tree.videos else "frames"
    name, layout, signs = _recognise(source) if name is None else _named(source, name)
    for given, meant, option in (
        (source.lists, layout.has_lists, "--lists"),
        (source.split, layout.has_splits, "--split"),
    ):
        if given is not None and not meant:
            raise VidaugError(
                f"layout {name} takes no {option}",
                where=source.lists or source.input,
                hint=f"looked for {_looked_for(with_splits=True)}; --lists DIR says where they lie",
            )
    try:
        return name, layout.list(source, signs)
    except UnclearError as error:
        raise UnclearError(error.what, where=source.input, hint=error.hint) from error


def _recognise(source: Source) -> tuple[str, Layout, Sequence[Any]]:
    for name, layout in {"video": VIDEO, **LAYOUTS}.items():
        if (signs := layout.find(source)) and layout.by_looking(source):
            if name == "folders":
                _check_kind(source)
            return name, layout, signs
    raise VidaugError(_nothing_fits(source), where=source.input, hint=_what_fits(source))


def _named(source: Source, name: str) -> tuple[str, Layout, Sequence[Any]]:
    if name not in LAYOUTS:
        near = difflib.get_close_matches(name, LAYOUTS, 1, 0)
        known = f"{', '.join(LAYOUTS)}, and patterns such as SPLIT/CLASS or '*/CLASS'"
        raise VidaugError(f"no layout {name!r}", hint=f"perhaps you meant {near[0]}; there are {known}")
    layout = LAYOUTS[name]
    if not (signs := layout.find(source)):
        hint = "--lists DIR says where they lie" if layout.has_lists else ""
        raise VidaugError(f"layout {name} needs {layout.looks_for}", where=source.lists or source.input, hint=hint)
    return name, layout, signs


def _looked_for(*, with_splits: bool = False) -> str:
    chosen = {name: layout for name, layout in LAYOUTS.items() if layout.has_splits or not with_splits}
    return ", ".join(f"{layout.looks_for} ({name})" for name, layout in chosen.items())


def _check_kind(source: Source) -> None:
    """Refuse a folder with some videos and more clips of frames: either could be the data set."""
    videos, clips = source.tree.videos, [path for path, n in source.tree.clips.items() if "/" in path and n.total() > 1]
    if videos and len(clips) > len(videos):
        what = f"holds {count(len(videos), 'video')}, as {videos[0]}, and {count(len(clips), 'folder')} of images"
        raise VidaugError(f"{what}, as {clips[0]}", where=source.input, hint="say --layout folders or --layout frames")


def _what_fits(source: Source) -> str:
    if source.tree.faults:  # such as links that lead elsewhere: what it would be without them is unknown
        path, reason = source.tree.faults[0]
        return f"{path} {reason}"
    if source.tree.clips:  # all of them right below the root, or in it
        return "a clip is a folder of images in the folder of its class: name the folder around those"
    return f"looked for {_looked_for()}"


def _nothing_fits(source: Source) -> str:
    seen = source.tree.seen.most_common(4)
    return "holds no video" + (f", only {', '.join(f'{number} {kind}' for kind, number in seen)}" if seen else "")
