"""How data sets lie on disk: a table of what each layout is recognised by and how its videos are listed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidaug_cli.data.listing import lists_beside as beside
from vidaug_cli.data.listing.candidates import Candidate, Listing
from vidaug_cli.data.listing.folders import list_frames, parse_pattern
from vidaug_cli.data.listing.lists import list_list
from vidaug_cli.data.listing.source import Source
from vidaug_cli.data.listing.tree import VIDEOS
from vidaug_cli.errors import NoVideosError, SettingError, UnclearError, UnknownNameError
from vidaug_cli.words import count, either


@dataclass(frozen=True)
class Layout:
    """One way a data set lies on disk."""

    looks_for: str  # what it is recognised by, as an error message says it
    find: Callable[[Source], Sequence[Any]]  # what it is recognised by, such as its lists; empty where it does not fit
    list: Callable[[Source, Any], Listing]  # of a source, with what `find` gave
    options: tuple[str, ...] = ()  # of `lists` and `split`: those that mean something here
    by_looking: Callable[[Source], bool] = lambda source: True  # whether it is taken unasked where it fits


def _files(pattern: str) -> Callable[[Source], list[Path]]:
    return lambda source: source.list_files(pattern)


def _tables(*columns: str) -> Callable[[Source], list[Path]]:
    return lambda source: beside.tables_with(source, *columns)


_LISTS, _SPLITS = ("lists",), ("lists", "split")
# In this order they are tried: what is recognised by the most special sign comes first.
LAYOUTS = {
    "kinetics": Layout(
        "a table with a column youtube_id", _tables("youtube_id", "yt_id", "ytid"), beside.list_tables, _LISTS
    ),
    "vipriors2021": Layout("tables with a column videoid", _tables("videoid"), beside.list_tables, _LISTS),
    "vipriors2020": Layout("mod-ucf101-*.txt", _files("mod-ucf101-*.txt"), beside.list_vipriors2020, _LISTS),
    "hmdb51": Layout("*_test_split[0-9].txt", _files("*_test_split[0-9].txt"), beside.list_hmdb51, _SPLITS),
    "ucf101": Layout(
        "trainlist01.txt, testlist01.txt ...", _files("t*list[0-9][0-9].txt"), beside.list_ucf101, _SPLITS
    ),
    "list": Layout(
        "a list of 'path label' as INPUT, or beside videos that are in no class folders",
        lambda source: [source.input] if source.is_list else beside.lists_beside(source),
        lambda source, files: list_list(source) if source.is_list else beside.list_beside(source, files),
        _LISTS,
        by_looking=lambda source: source.is_list or beside.without_classes(source),
    ),
    "folders": Layout(
        "class folders with videos", lambda source: source.tree.videos, lambda source, _: beside.list_unlisted(source)
    ),
    "frames": Layout(
        "folders CLASS/CLIP with images", lambda source: source.tree.frames, lambda source, _: list_frames(source)
    ),
}
VIDEO = Layout(
    "a video file as INPUT",
    lambda source: [source.input] if source.input.suffix.lower() in VIDEOS and source.input.is_file() else [],
    lambda source, _: Listing([Candidate(source.input.name)], root=source.input.parent),
)


def list_videos(source: Source, name: str | None = None) -> tuple[str, Listing]:
    """Return the layout's name, by looking or as given, and what it lists. A pattern `SPLIT/CLASS` is a name, too.

    Raises VidaugError when nothing fits, or a split or lists are named that the layout does not have.
    """
    if name is not None and (pattern := parse_pattern(name)):
        source = replace(source, pattern=pattern)
        name = "list" if source.is_list else "folders" if source.tree.videos else "frames"
    name, layout, signs = _recognise(source) if name is None else _named(source, name)
    for option in ("lists", "split"):
        if getattr(source, option) is not None and option not in layout.options:
            hint = f"looked for {_lists_with(option)}; --lists DIR says where they lie"
            raise SettingError(f"layout {name} takes no --{option}", where=source.lists or source.input, hint=hint)
    try:
        return name, layout.list(source, signs)
    except UnclearError as error:
        raise UnclearError(error.what, where=source.input, hint=error.hint) from error


def _recognise(source: Source) -> tuple[str, Layout, Sequence[Any]]:
    for name, layout in {"video": VIDEO, **LAYOUTS}.items():
        if (signs := layout.find(source)) and layout.by_looking(source):
            if name == "folders":
                _refuse_both(source)
            return name, layout, signs
    seen = ", ".join(f"{number} {suffix}" for suffix, number in source.tree.seen.most_common(4))
    what = "holds no video" + (f", only {seen}" if seen else "")
    raise NoVideosError(what, where=source.input, hint=_what_fits(source))


def _named(source: Source, name: str) -> tuple[str, Layout, Sequence[Any]]:
    if name not in LAYOUTS:
        near = difflib.get_close_matches(name, LAYOUTS, 1, 0)
        known = f"{', '.join(LAYOUTS)}, and patterns such as SPLIT/CLASS or '*/CLASS'"
        raise UnknownNameError(f"no layout {name!r}", hint=f"perhaps you meant {near[0]}; there are {known}")
    layout = LAYOUTS[name]
    if not (signs := layout.find(source)):
        hint = "--lists DIR says where they lie" if layout.options else ""
        raise SettingError(f"layout {name} needs {layout.looks_for}", where=source.lists or source.input, hint=hint)
    return name, layout, signs


def _lists_with(option: str) -> str:
    """Return what layouts with this option are recognised by."""
    return ", ".join(f"{each.looks_for} ({name})" for name, each in LAYOUTS.items() if option in each.options)


def _refuse_both(source: Source) -> None:
    """Refuse a folder with some videos and more clips of frames: either could be the data set."""
    videos, clips = source.tree.videos, [path for path, n in source.tree.clips.items() if "/" in path and n.total() > 1]
    if videos and len(clips) > len(videos):
        what = f"holds {count(len(videos), 'video')}, such as {videos[0]}, and {count(len(clips), 'folder')} of images"
        hint = "say --layout folders or --layout frames"
        raise UnclearError(f"{what}, such as {clips[0]}", where=source.input, hint=hint)


def _what_fits(source: Source) -> str:
    if source.tree.faults:  # such as links that lead elsewhere: what it would be without them is unknown
        path, reason = source.tree.faults[0]
        return f"{path} {reason}"
    if source.tree.excluded:
        return f"--exclude leaves out {count(len(source.tree.excluded), 'video')}"
    if source.tree.clips:  # all of them right below the root, or in it
        return "a clip is a folder of images in the folder of its class: name the folder around those"
    lists = either(name for name, layout in LAYOUTS.items() if layout.options and name != "list")
    return f"looked for class folders of videos, CLASS/CLIP/ of images, a list of 'path label', lists of {lists}"
