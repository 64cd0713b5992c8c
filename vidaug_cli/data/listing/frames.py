"""Which pictures of a folder are the frames of its clip: tools write flow, masks and covers beside them.

Pictures that are named alike but for their numbers are a series. Only names are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from vidaug_cli.errors import VideoError

_ASIDE_WORDS = (  # in the names of what is computed from the frames, or is there to look at
    "alpha cover depth diff disparity edge edges heatmap infrared ir label labels mask masks matte normal normals pose"
    " poster preview saliency seg segm segmentation skeleton thermal thumb thumbnail thumbs tn"
)
_ASIDE = frozenset(_ASIDE_WORDS.split())
_FLOW = r"(opt|optical)?flow(img|s)?[xyuv]?|of[xyuv]|tvl|brox|farneback"
_ALONG, _ACROSS = frozenset("xuh"), frozenset("yv")  # the two directions of flow: x and y, u and v, h and v


class Frames(NamedTuple):
    """What a folder of pictures holds."""

    names: list[str]  # of the clip's frames, in the order given
    left_out: dict[str, int]  # other series, such as `flow_x_#`, and the number of pictures in each


def frame_files(names: Iterable[str]) -> Frames:
    """Tell the frames of a clip from the other pictures in its folder.

    Flow (by its name, or a pair of series that differ by x and y or by u and v) is no picture, nor are masks, depth and
    the like, nor single pictures without a number beside a numbered series.

    Args:
        names: file names of the pictures in one folder.

    Raises:
        VideoError: nothing but flow is there, or several series, and the names do not say which one is meant.
    """
    names_of: dict[str, list[str]] = {}  # by series
    for name in names:
        names_of.setdefault(series(name), []).append(name)
    clips = [key for key in names_of if not (is_flow(key) or ("#" in key and _has_sibling(key, names_of)))]
    if names_of and not clips:
        raise VideoError(f"holds optical flow and no pictures: {_spell(names_of)}", hint="name a folder of its frames")
    numbered = [key for key in clips if "#" in key]
    chosen = [key for key in numbered if not _words(key) & _ASIDE] or numbered or clips
    if numbered and len(chosen) > 1:
        several = _spell({key: names_of[key] for key in chosen})
        hint = "leave one in the folder, and the frames of another clip in a folder of their own"
        raise VideoError(f"holds several series of pictures: {several}", hint=hint)
    left_out = {key: len(names) for key, names in names_of.items() if key not in chosen}
    return Frames([name for key in chosen for name in names_of[key]], left_out)


def series(name: str) -> str:
    """Return the name without suffix, in small letters, with `#` for each number: `flow_x_#` of `flow_x_00012.jpg`."""
    return re.sub(r"[0-9]+", "#", PurePosixPath(name).stem).casefold()


def is_flow(name: str) -> bool:
    """Return whether a folder or a series says that it holds optical flow."""
    return any(re.fullmatch(_FLOW, word) for word in _words(name))


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", name.casefold()))


def _has_sibling(key: str, keys: Iterable[str]) -> bool:
    """Return whether another series is the same in the other direction: `v_#` of `u_#`."""
    parts = re.split(r"(?<![^\W\d_])([xyuvh])(?![^\W\d_])", key)
    for place in range(1, len(parts), 2):
        others = _ACROSS if parts[place] in _ALONG else _ALONG
        if any("".join([*parts[:place], other, *parts[place + 1 :]]) in keys for other in others):
            return True
    return False


def _spell(names_of: dict[str, list[str]]) -> str:
    each = [f"{key} ({len(names)})" for key, names in names_of.items()]
    return ", ".join(each[:4]) + (f" and {len(each) - 4} more" if len(each) > 4 else "")
