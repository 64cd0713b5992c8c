"""How data sets lie on disk: a table of what each layout is recognised by and how its videos are listed."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidaug_cli.data.listing import splits
from vidaug_cli.data.listing.candidates import Listing, Source, list_folders, list_frames
from vidaug_cli.data.listing.lists import list_list
from vidaug_cli.errors import VidaugError


@dataclass(frozen=True)
class Layout:
    """One way a data set lies on disk."""

    looks_for: str  # what it is recognised by, as an error message says it
    fits: Callable[[Source], bool]
    list: Callable[[Source], Listing]
    listed: bool = False  # has split lists, so --lists means something
    numbered: bool = False  # and several splits, so --split does


# In this order they are tried: what is recognised by the most special sign comes first.
LAYOUTS = {
    "kinetics": Layout(
        "a csv with a column youtube_id",
        lambda source: bool(splits.kinetics_lists(source)),
        splits.list_kinetics,
        listed=True,
    ),
    "list": Layout("a text file of 'path label' as INPUT", lambda source: source.input.is_file(), list_list),
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
    "folders": Layout(
        "class folders with videos", lambda source: source.input.is_dir() and bool(source.tree.videos), list_folders
    ),
    "frames": Layout(
        "folders CLASS/CLIP with images",
        lambda source: source.input.is_dir() and any("/" in clip for clip in source.tree.clips),
        list_frames,
    ),
}


def list_videos(source: Source, name: str | None = None) -> tuple[str, Listing]:
    """The layout's name, by looking or as given, and what it lists.

    Raises VidaugError when nothing fits, or a split or lists are named that the layout does not have.
    """
    if name is None:
        name = next((name for name, layout in LAYOUTS.items() if layout.fits(source)), None)
        if name is None:
            raise VidaugError(_nothing_fits(source), where=source.input, hint=f"looked for {_looked_for()}")
    elif name not in LAYOUTS:
        near = difflib.get_close_matches(name, LAYOUTS, 1, 0)
        raise VidaugError(f"no layout {name!r}", hint=f"perhaps you meant {near[0]}; there are {', '.join(LAYOUTS)}")
    elif not LAYOUTS[name].fits(source):
        place = source.lists or source.input
        raise VidaugError(f"layout {name} needs {LAYOUTS[name].looks_for}", where=place, hint=_where_lists(name))
    layout = LAYOUTS[name]
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
    return name, layout.list(source)


def _looked_for(*, numbered: bool = False) -> str:
    return ", ".join(
        f"{layout.looks_for} ({name})" for name, layout in LAYOUTS.items() if layout.numbered or not numbered
    )


def _where_lists(name: str) -> str:
    return "--lists DIR says where they lie" if LAYOUTS[name].listed else ""


def _nothing_fits(source: Source) -> str:
    seen = source.tree.seen.most_common(4)
    return "holds no video" + (f", only {', '.join(f'{number} {kind}' for kind, number in seen)}" if seen else "")


def source_of(input: Path, root: Path | None, split: int | None, lists: Path | None) -> Source:  # noqa: A002
    """The user's words, checked. Raises VidaugError when a path is not what it should be."""
    for path in (input, root, lists):
        if path is not None and not path.exists():
            raise VidaugError("not found", where=path, hint="INPUT is a folder or a list" if path is input else "")
    for path in (root, lists):
        if path is not None and not path.is_dir():
            raise VidaugError("is not a folder", where=path)
    if root is not None and input.is_dir():
        raise VidaugError("--root goes with a list; a folder is its own root", where=root)
    folder = root or (input if input.is_dir() else input.parent)
    return Source(input=input.resolve(), root=folder.resolve(), split=split, lists=lists)
