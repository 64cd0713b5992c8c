"""Key frames from which decoding gives the very pictures of decoding from the first frame.

A file's own marks are no proof: seeks end elsewhere, and frames after a key frame may show what was before it. So a
scan starts at each key frame that it notes and compares every picture up to the next; where one differs, it notes none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from vidaug_cli.data.manifest import Keys, Row
from vidaug_cli.data.video.decoder import AstrayError, OpenVideo, open_video
from vidaug_cli.data.video.limits import Limits

LONG = 1000  # frames: of a shorter video nothing is noted
APART = 250  # frames, at least, from one noted key frame to the next
MOST = 64  # key frames noted of a video
GAP = 16  # frames that are rather decoded than left out by a seek


class Seen(NamedTuple):
    """What a frame is known by when it comes again."""

    stamp: int | None  # ticks
    key: bool
    picture: int  # hash, in any process: the one that saw it may have been killed


def seen(frame: VideoFrame) -> Seen:
    """Return what a frame is known by."""
    planes = b"".join(_rows(plane, frame, number).tobytes() for number, plane in enumerate(frame.planes))
    return Seen(frame.pts, bool(frame.key_frame), xxh3_64_intdigest(planes))


def _rows(plane: VideoPlane, frame: VideoFrame, number: int) -> NDArray[np.uint8]:
    """Return the pixels of a plane, uint8 (height, bytes), without what lies beside its rows."""
    width = plane.width * sum((part.bits + 7) // 8 for part in frame.format.components if part.plane == number)
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, :width]


def find_keys(path: Path, frames: Sequence[Seen], limits: Limits) -> Keys | None:
    """Return the key frames of a video from which its pictures are the same; None where any are not, or none helps.

    Args:
        path: the video.
        frames: all of its frames, as decoded from the first on.
        limits: caps on pixels and frames.

    Raises VideoError as decoding does.
    """
    stamps = [frame.stamp for frame in frames]
    if len(frames) < LONG or any(a is None or b is None or a >= b for a, b in pairwise(stamps)):
        return None
    apart, numbers = max(APART, -(-len(frames) // MOST)), [0]
    for number, frame in enumerate(frames):
        if frame.key and number >= numbers[-1] + apart:
            numbers.append(number)
    with open_video(path, limits) as video:
        for number, end in pairwise([*numbers[1:], len(frames)]):
            if not _same(video, frames[number:end], number):
                return None
    return tuple((number, stamp) for number in numbers[1:] if (stamp := stamps[number]) is not None) or None


def _same(video: OpenVideo, frames: Sequence[Seen], number: int) -> bool:
    """Return whether decoding from the first of these frames, a key frame, gives them all."""
    try:
        found = video.frames((number, frames[0].stamp or 0))
        return all(seen(next(found))[::2] == frame[::2] for frame in frames) and not (video.marked or video.lost)
    except (AstrayError, StopIteration):
        return False


def can_start_inside(row: Row, path: Path) -> bool:
    """Return whether frames of a video may be decoded without all those before them."""
    return row.probe == "full" and not row.corrupt and (row.keys is not None or path.is_dir())


def frames_by_keys(video: OpenVideo, wanted: Sequence[int], row: Row) -> Iterator[tuple[int, VideoFrame]]:
    """Yield the wanted frames with their numbers, decoding from key frames on.

    Args:
        video: just opened.
        wanted: numbers, ascending.
        row: what a scan found; of a folder of images every frame is a key frame.

    Raises AstrayError where the video is not what was scanned, and as soon as anything cannot be decoded.
    """
    if video.bytes != row.bytes or (video.images and video.announced != row.frames):
        raise AstrayError
    keys = row.keys or ()
    frames, number = video.frames(), 0
    for each in wanted:
        place = bisect_right(keys, each, key=lambda key: key[0]) - 1
        key = (each, each) if video.images else keys[place] if place >= 0 else (0, 0)
        if key[0] - number > (0 if video.images else GAP):
            frames, number = video.frames(key), key[0]
        for frame in islice(frames, each - number, each - number + 1):
            if video.marked or video.lost:
                raise AstrayError
            number = each + 1
            yield each, frame
        if number <= each:
            raise AstrayError
