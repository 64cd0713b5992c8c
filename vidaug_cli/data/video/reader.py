"""What a video holds, and the pictures of a clip from it. A video is a file, or a folder of JPEG or PNG frames.

Runs in a child process that can be killed (see `guard`), so neither this nor what it imports may import torch.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidaug_cli.data.manifest import Probe, ProbeMode, Row
from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.timing import Runs, fit_runs
from vidaug_cli.data.video import keyframes
from vidaug_cli.data.video.content import HashKind, check_content, content_hash
from vidaug_cli.data.video.decoder import AstrayError, OpenVideo, open_video, readable
from vidaug_cli.data.video.keyframes import Seen, can_start_inside, find_keys, frames_by_keys, seen
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.errors import VideoError

if TYPE_CHECKING:
    from jaxtyping import Int32, UInt8


def probe(path: Path, how: ProbeMode = "full", limits: Limits = LIMITS) -> Probe:
    """Return what the video at `path` holds: `look`, and then `find_keys`."""
    found, frames = look(path, how, limits)
    return replace(found, keys=find_keys(path, frames, limits)) if frames else found


def look(
    path: Path, how: ProbeMode = "full", limits: Limits = LIMITS, hashing: HashKind = "samples"
) -> tuple[Probe, list[Seen]]:
    """Return what the video at `path` holds, and all its frames where it may have key frames worth noting.

    Args:
        path: a file, or a folder of frame images.
        how: "full" decodes every frame once, and only then `frames` and `corrupt` are true. "packets" counts packets
            instead, "header" believes the header; both decode the first frame, for its size and rotation.
        limits: caps on pixels and frames.
        hashing: as for `content_hash`.

    Raises:
        VideoError: it cannot be used, and why.
    """
    with open_video(path, limits) as video:
        frames = video.frames()
        first = next(frames)
        rotation, turn = orientation(first)
        if how == "header" and not video.announced:
            how = "packets"
        stamps: list[float | None] = []
        shown: list[Seen] = []
        if how == "full":
            long = video.announced >= keyframes.LONG and not video.images
            for frame in chain([first], frames):
                stamps.append(frame.time)
                if long:
                    shown.append(seen(frame))
        elif how == "packets":
            deque(video.packets(), maxlen=0)
            ticks = sorted(video.stamps, key=lambda stamp: stamp or 0)  # packets come in coding order
            stamps = [None if stamp is None else stamp * video.tick for stamp in ticks]
        times = [stamp for stamp in stamps if stamp is not None]
        count, rate = len(stamps) or video.announced, _mean_rate(times, video.rate)
        if how == "full" and video.marked == count:
            raise VideoError("is damaged: not one frame is whole", where=path)
        begin, runs = _timing(video, times) if len(times) == len(stamps) else (0.0, None)
        found = Probe(
            frames=count,
            fps=rate if count > 1 else 0.0,
            width=first.height if turn.swap else first.width,
            height=first.width if turn.swap else first.height,
            codec=video.decoder.codec.canonical_name,
            rotation=rotation,
            corrupt=video.marked + video.lost,
            bytes=video.bytes,
            probe=how,
            begin=begin,
            runs=runs,
            hash=content_hash(path, hashing),
        )
        return found, [] if found.corrupt or found.frames < keyframes.LONG else shown


def _mean_rate(times: list[float], rate: float) -> float:
    """Return frames per second by the time stamps, which jump about but span the right time; `rate` if that is near.

    Headers can be far off: 1000 for 30 where the unit is a millisecond.
    """
    span = max(times, default=0.0) - min(times, default=0.0)
    measured = (len(times) - 1) / span if span else rate
    return rate if abs(measured - rate) < 0.05 * rate else round(measured, 3)


def _timing(video: OpenVideo, times: list[float]) -> tuple[float, Runs | None]:
    """Return the seconds of the first frame, and the runs of all, where each comes later than the one before."""
    if len(times) < 2 or any(late <= early for early, late in pairwise(times)):
        return 0.0, None
    origin = times[0] if video.origin is None else video.origin
    return round(times[0] - origin, 9), fit_runs(times, video.tick)


class ClipRequest(NamedTuple):
    """One clip of a video that is to be read."""

    frames: Int32[np.ndarray, " frames"]  # decoded frame numbers from 0, in any order; they may repeat
    crop: Crop | None = None  # a square of the upright picture; None takes the whole and does not keep its aspect
    flip: bool = False  # mirror left-right, after the crop


def read_clips(
    path: Path,
    requests: Sequence[ClipRequest],
    size: int,
    *,
    row: Row | None = None,
    limits: Limits = LIMITS,
    out: Sequence[UInt8[np.ndarray, "frames size size 3"]] | None = None,
) -> tuple[list[UInt8[np.ndarray, "frames size size 3"]], list[Int32[np.ndarray, " frames"]]]:
    """Return several clips of a video, cropped, scaled, upright and in RGB, from one pass of the decoder.

    Every frame up to the last one wanted is decoded at most once, and converted once for all clips of the same crop and
    flip. Colours follow the matrix and range that the file names (BT.601 where it names none); HDR is not tone-mapped.

    Args:
        path: a file, or a folder of frame images.
        requests: the clips, at least one.
        row: what a scan found: the video has to have its bytes. Then decoding starts at its key frames where that saves
            work, and all over from the first frame where one is not what was scanned.
        size: pixels, height and width of the result.
        limits: caps on pixels and frames.
        out: for each clip uint8 (T, size, size, 3) to write into, instead of new arrays.

    Returns:
        For each clip uint8 (T, size, size, 3), and int32 (T,): the frame numbers taken. They differ from those wanted
        where the video ends early: there its last frame is taken.

    Raises:
        VideoError: it cannot be used, and why.
    """
    clips = [np.empty((len(each.frames), size, size, 3), np.uint8) for each in requests] if out is None else list(out)
    if row is not None and row.hash:
        with readable(path):
            check_content(path, row.hash)
    if row is not None and can_start_inside(row, path):
        with suppress(AstrayError):
            return clips, _fill(path, requests, size, limits, clips, row)
    return clips, _fill(path, requests, size, limits, clips)


def _fill(
    path: Path,
    requests: Sequence[ClipRequest],
    size: int,
    limits: Limits,
    clips: Sequence[NDArray[np.uint8]],
    row: Row | None = None,
) -> list[NDArray[np.int32]]:
    """Put the pixels into `clips` and return the frame numbers taken. With a row, start at its key frames.

    Raises AstrayError where the video is not as the row says.
    """
    takers = [_Taker(request, clip) for request, clip in zip(requests, clips, strict=True)]
    picture_of = {taker.cut: Pictures(path, *taker.cut, size) for taker in takers}

    def take(frame: VideoFrame, number: int, reached: int) -> None:
        """Give a frame to all clips that still want one up to `reached`."""
        shown: dict[tuple[Crop | None, bool], NDArray[np.uint8]] = {}
        for taker in takers:
            if len(places := taker.reach(reached)):
                if taker.cut not in shown:
                    shown[taker.cut] = picture_of[taker.cut](frame)
                for place in places:
                    taker.clip[place] = shown[taker.cut]
                taker.taken[places] = number

    wanted = np.unique(np.concatenate([request.frames for request in requests])).tolist() or [0]
    with open_video(path, limits) as video:
        for number, frame in frames_by_keys(video, wanted, row) if row else enumerate(video.frames()):
            take(frame, number, number)
            if number >= wanted[-1]:
                break
        else:
            take(frame, number, wanted[-1])
    return [taker.taken for taker in takers]


def read_clip(
    path: Path,
    wanted: Int32[np.ndarray, " frames"],
    crop: Crop | None,
    size: int,
    *,
    flip: bool = False,
    limits: Limits = LIMITS,
    out: UInt8[np.ndarray, "frames size size 3"] | None = None,
) -> tuple[UInt8[np.ndarray, "frames size size 3"], Int32[np.ndarray, " frames"]]:
    """Return what `read_clips` does, of a single clip."""
    request = ClipRequest(wanted, crop, flip)
    (clip,), (taken,) = read_clips(path, [request], size, limits=limits, out=None if out is None else [out])
    return clip, taken


class _Taker:
    """A clip while the frames it wants come by."""

    def __init__(self, request: ClipRequest, clip: NDArray[np.uint8]) -> None:
        self.cut = request.crop, request.flip
        self.clip, self.taken = clip, np.empty(len(clip), np.int32)
        self._order = np.argsort(request.frames, kind="stable")  # places in the clip, as the video reaches them
        self._ascending = request.frames[self._order].tolist()
        self._done = 0

    def reach(self, number: int) -> NDArray[np.intp]:
        """Return the places, not returned before, of frames up to `number`."""
        done = self._done
        self._done = bisect_right(self._ascending, number, done)
        return self._order[done : self._done]


# The last two cost nothing that can be measured and make the bytes the same on every machine.
SCALING = "bilinear+accurate_rnd+bitexact"


def linked(*filters: tuple[str, str]) -> Graph:
    """Return a chain of FFmpeg's filters with their options, in one thread: kept, it makes its converters once."""
    graph = Graph()
    graph.threads = 1
    graph.link_nodes(*(graph.add(name, given) for name, given in filters))
    graph.configure()
    return graph


class Turn(NamedTuple):
    """What makes a stored picture upright: its axes swapped first, then left-right and top-bottom mirrored."""

    swap: bool
    mirror_x: bool
    mirror_y: bool


TURNS = {  # by degrees counter-clockwise, and whether the picture is turned upside down before
    (0, False): Turn(False, False, False),
    (90, False): Turn(True, False, True),
    (180, False): Turn(False, True, True),
    (270, False): Turn(True, True, False),
    (0, True): Turn(False, False, True),
    (90, True): Turn(True, True, True),
    (180, True): Turn(False, True, False),
    (270, True): Turn(True, False, False),
}


def orientation(frame: VideoFrame) -> tuple[int, Turn]:
    """Return the degrees counter-clockwise that turn the stored picture upright, and the turn with mirroring.

    All eight cases of a display matrix are told apart; another angle counts as the nearest quarter turn.
    """
    rotation = round(frame.rotation / 90) * 90 % 360
    try:
        matrix = frame.side_data[Type.DISPLAYMATRIX]  # type: ignore[typeddict-item]  # a Mapping, typed as a TypedDict
    except (KeyError, ValueError):  # ValueError: PyAV does not know every kind of side data
        return rotation, TURNS[rotation, False]
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()
    return rotation, TURNS[rotation, a * d < b * c]


def _crops_anywhere(pixels: VideoFormat) -> bool:
    """Return whether FFmpeg's crop is right at odd columns: with columns of chroma halved, only for planes of bytes.

    In others, such as yuv420p10le or nv12, it would start in the middle of a sample.
    """
    return pixels.chroma_width(8) == 8 or re.fullmatch("yuv[aj]?4..p", pixels.name) is not None


class Pictures:
    """The picture of each frame it is called with; the filter graph has one thread.

    Scaling to planes and packing them then takes less time than scaling to packed RGB, and gives the exact colours:
    there, the scaler halves the chroma and makes white 253. Turning comes after scaling, when the picture is small;
    upside down comes before and costs nothing, as the scaler takes rows in any order.
    """

    def __init__(self, path: Path, crop: Crop | None, flip: bool, size: int) -> None:
        self.path, self.crop, self.flip, self.size = path, crop, flip, size
        self.coding: tuple[str, int, int] | None = None

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return uint8 (size, size, 3). Raises VideoError when the frame does not hold the crop or cannot be RGB."""
        coding = (frame.format.name, int(frame.colorspace), int(frame.color_range))
        if coding != self.coding:  # some streams change it on the way
            self.graph, self.coding = self._graph(frame, *coding), coding
        self.graph.vpush(frame)
        return np.asarray(self.graph.vpull().to_ndarray(), np.uint8)  # is rgb24 already: nothing is converted

    def _graph(self, frame: VideoFrame, pixels: str, matrix: int, levels: int) -> Graph:
        source = f"{frame.width}x{frame.height}:pix_fmt={pixels}:colorspace={matrix}:range={levels}"
        _, turn = orientation(frame)
        mirror_x = turn.mirror_x ^ self.flip
        steps = [
            ("buffer", f"video_size={source}:time_base=1/1:pixel_aspect=1/1"),
            ("format", None if self.crop is None or _crops_anywhere(frame.format) else "gbrp"),
            ("crop", self._crop(frame, turn)),
            ("vflip", None if turn.swap or not turn.mirror_y else ""),
            ("scale", f"{self.size}:{self.size}:flags={SCALING}"),
            ("format", "gbrp"),
            ("transpose", str(mirror_x + 2 * turn.mirror_y) if turn.swap else None),
            ("hflip", None if turn.swap or not mirror_x else ""),
            ("scale", f"flags={SCALING}"),
            ("format", "rgb24"),
            ("buffersink", ""),
        ]
        try:
            return linked(*((name, given) for name, given in steps if given is not None))
        except av.FFmpegError as error:
            what = f"has pixels that cannot be turned to RGB ({pixels})"
            raise VideoError(what, where=self.path, hint="convert it to H.264") from error

    def _crop(self, frame: VideoFrame, turn: Turn) -> str | None:
        """Return the crop filter's options for the square of the upright picture in the stored one."""
        if self.crop is None:
            return None
        x, y, side = self.crop.x, self.crop.y, self.crop.side
        width, height = (frame.height, frame.width) if turn.swap else (frame.width, frame.height)
        if min(x, y) < 0 or x + side > width or y + side > height:
            what = f"has frames of {width} x {height}, which do not hold the square of {side} at {x}, {y}"
            raise VideoError(what, where=self.path, hint="scan it again")
        x = width - side - x if turn.mirror_x else x
        y = height - side - y if turn.mirror_y else y
        x, y = (y, x) if turn.swap else (x, y)
        return f"{side}:{side}:{x}:{y}:exact=1"
