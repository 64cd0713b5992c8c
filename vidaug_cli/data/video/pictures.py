"""From a decoded frame to a picture of a clip: cropped, scaled, upright, RGB, in one filter graph for a whole video."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidaug_cli.data.sampling import Crop
from vidaug_cli.errors import VideoError

# The last two cost nothing that can be measured and make the bytes the same on every machine.
SCALING = "bilinear+accurate_rnd+bitexact"


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

    def __init__(self, path: Path, crop: Crop | None, size: int, flip: bool) -> None:
        self.path, self.crop, self.size, self.flip = path, crop, size, flip
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
        graph = Graph()
        if hasattr(graph, "threads"):  # not in PyAV 17.0
            graph.threads = 1
        try:
            graph.link_nodes(*(graph.add(name, given) for name, given in steps if given is not None))
            graph.configure()
        except av.FFmpegError as error:
            raise VideoError(f"has pixels that cannot be turned to RGB ({pixels})", where=self.path) from error
        return graph

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
