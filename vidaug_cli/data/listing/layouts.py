"""How data sets lie on disk: a table of what each layout is recognised by and how its videos are listed."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vidaug_cli.data.listing import catalogues, splits
from vidaug_cli.data.listing.candidates import Candidate, Listing, Piped, Source, piped_in
from vidaug_cli.data.listing.folders import UnclearError, list_frames, parse_pattern
from vidaug_cli.data.listing.lists import list_list
from vidaug_cli.data.listing.tree import VIDEOS
from vidaug_cli.errors import VidaugError
from vidaug_cli.words import count


@dataclass(frozen=True)
class Layout:
    """One way a data set lies on disk."""

    looks_for: str  # what it is recognised by, as an error message says it
    fits: Callable[[Source], bool]
    list: Callable[[Source], Listing]
    listed: bool = False  # has split lists, so --lists means something
    numbered: bool = False  # and several splits, so --split does
    by_looking: Callable[[Source], bool] = lambda source: True  # whether it is taken unasked where it fits


# In this order they are tried: what is recognised by the most special sign comes first.
LAYOUTS = {
    "kinetics": Layout(
        "a table with a column youtube_id",
        lambda source: bool(catalogues.kinetics_lists(source)),
        catalogues.list_tables(catalogues.kinetics_lists),
        listed=True,
    ),
    "vipriors2021": Layout(
        "tables with a column videoid",
        lambda source: bool(catalogues.vipriors2021_lists(source)),
        catalogues.list_tables(catalogues.vipriors2021_lists),
        listed=True,
    ),
    "vipriors2020": Layout(
        splits.VIPRIORS_LISTS,
        lambda source: bool(source.list_files(splits.VIPRIORS_LISTS)),
        splits.list_vipriors2020,
        listed=True,
    ),
    "hmdb51": Layout(
        splits.HMDB51_LISTS,
        lambda source: bool(source.list_files(splits.HMDB51_LISTS)),
        splits.list_hmdb51,
        listed=True,
        numbered=True,
    ),
    "ucf101": Layout(
        "trainlist01.txt, testlist01.txt ...",
        lambda source: bool(source.list_files(splits.UCF101_LISTS)),
        splits.list_ucf101,
        listed=True,
        numbered=True,
    ),
    "list": Layout(
        "a list of 'path label' as INPUT, or beside videos that are in no class folders",
        lambda source: source.is_list or bool(catalogues.other_lists(source)),
        lambda source: (list_list if source.is_list else catalogues.list_beside)(source),
        listed=True,
        by_looking=lambda source: source.is_list or catalogues.without_classes(source),
    ),
    "folders": Layout("class folders with videos", lambda source: bool(source.tree.videos), catalogues.list_unlisted),
    "frames": Layout("folders CLASS/CLIP with images", lambda source: bool(source.tree.frames), list_frames),
}


VIDEO = Layout(
    "a video file as INPUT",
    lambda source: source.input.suffix.lower() in VIDEOS and source.input.is_file(),
    lambda source: Listing([Candidate(source.input.name)], root=source.input.parent),
)


def list_videos(source: Source, name: str | None = None) -> tuple[str, Listing]:
    """The layout's name, by looking or as given, and what it lists. A pattern such as `SPLIT/CLASS` is a name too.

    Raises VidaugError when nothing fits, or a split or lists are named that the layout does not have.
    """
    if name is not None and (pattern := parse_pattern(name)):
        source = replace(source, pattern=pattern)
        name = "list" if source.is_list else "folders" if source.tree.videos else "frames"
    if name is None and VIDEO.fits(source):
        name = "video"
    elif name is None:
        fitting = (name for name, layout in LAYOUTS.items() if layout.fits(source) and layout.by_looking(source))
        name = next(fitting, None)
        if name is None:
            raise VidaugError(_nothing_fits(source), where=source.input, hint=_what_fits(source))
        if name == "folders":
            _check_kind(source)
    elif name not in LAYOUTS:
        near = difflib.get_close_matches(name, LAYOUTS, 1, 0)
        known = f"{', '.join(LAYOUTS)}, and patterns such as SPLIT/CLASS or '*/CLASS'"
        raise VidaugError(f"no layout {name!r}", hint=f"perhaps you meant {near[0]}; there are {known}")
    elif not LAYOUTS[name].fits(source):
        place = source.lists or source.input
        raise VidaugError(f"layout {name} needs {LAYOUTS[name].looks_for}", where=place, hint=_where_lists(name))
    layout = LAYOUTS.get(name, VIDEO)
    for given, meant, option in (
        (source.lists, layout.listed, "--lists"),
        (source.split, layout.numbered, "--split"),
    ):
        if given is not None and not meant:
            raise VidaugError(
                f"layout {name} takes no {option}",
                where=source.lists or source.input,
                hint=f"looked for {_looked_for(numbered=True)}; --lists DIR says where they lie",
            )
    try:
        return name, layout.list(source)
    except UnclearError as error:
        raise UnclearError(error.what, where=source.input, hint=error.hint) from error


def _looked_for(*, numbered: bool = False) -> str:
    return ", ".join(
        f"{layout.looks_for} ({name})" for name, layout in LAYOUTS.items() if layout.numbered or not numbered
    )


def _where_lists(name: str) -> str:
    return "--lists DIR says where they lie" if LAYOUTS[name].listed else ""


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


def source_of(
    input: Path | Piped,  # noqa: A002
    root: Path | None,
    split: int | None,
    lists: Path | None,
    follow_links: Path | bool = False,
) -> Source:
    """The user's words, checked; `-` is a list on stdin. Raises VidaugError when a path is not what it should be."""
    piped = input if isinstance(input, Piped) else piped_in(input)
    place = Path(input.name) if isinstance(input, Piped) else input
    within = follow_links if isinstance(follow_links, Path) else None
    for path in (None if piped else place, root, lists, within):
        if path is not None and not path.exists():
            raise VidaugError("not found", where=path, hint="INPUT is a folder or a list" if path is place else "")
    for path in (root, lists, within):
        if path is not None and not path.is_dir():
            raise VidaugError("is not a folder", where=path)
    if root is not None and place.is_dir():
        raise VidaugError("--root goes with a list; a folder is its own root", where=root)
    folder = root or (Path() if piped else place if place.is_dir() else place.parent)
    return Source(
        input=Path(piped.name) if piped else place.resolve(),
        content=piped.content if piped else None,
        root=folder.resolve(),
        split=split,
        lists=lists,
        within=within.resolve() if within else folder.resolve() if follow_links else None,
        rooted=root is not None,
    )
