"""Frames in, a small video file out."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from vidaug_cli.errors import UnwritableError

VideoCodec = Literal["h264", "mpeg4"]

OPTIONS: dict[VideoCodec, dict[str, str]] = {
    "h264": {"preset": "veryfast", "crf": "24", "mbtree": "0"},  # x264's tree differs when two encoders run at once
    "mpeg4": {"qmin": "2", "qmax": "5", "b": "2M"},
}
SMALL = {"preset": "slow", "mbtree": "0", "x264-params": "cpu-independent=1:lookahead-threads=1"}


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float, codec: VideoCodec = "h264") -> None:
    """Write `path`, in the container its suffix names.

    Args:
        frames: RGB, uint8 (H, W, 3) each, all of one even height and width; an array (T, H, W, 3) will do.
        fps: frames per second.
        codec: a key of `OPTIONS`.

    Raises VidaugError when the file cannot be written.
    """
    try:
        with av.open(str(path), "w") as container:
            _encode(container, frames, fps, codec, OPTIONS[codec])
    except (OSError, av.FFmpegError) as error:
        raise UnwritableError(f"cannot be written: {error.strerror or error}", where=path) from error


def small_mp4(frames: Iterable[NDArray[np.uint8]], fps: float, *, side: int, crf: int) -> bytes:
    """Return a square clip as the bytes of an MP4 file with H.264, as browsers play it: scaled, slow to make, small.

    Args:
        frames: RGB, uint8 (H, H, 3) each.
        fps: frames per second.
        side: height and width to bring it to, in pixels, even.
        crf: x264's rate factor, 0 to 51: 24 is good, 40 is coarse.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        _encode(container, frames, fps, "h264", SMALL | {"crf": str(crf)}, side)
    return file.getvalue()


def _encode(
    container: OutputContainer,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    codec: VideoCodec,
    options: dict[str, str],
    side: int | None = None,
) -> None:
    """Write frames into a container, brought to `side` x `side` pixels unless it is None."""
    reformatter = VideoReformatter()  # one for the file: a frame's own would start threads anew each time
    stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
    stream.pix_fmt = "yuv420p"
    stream.thread_count = 1  # the same bytes on every machine
    for number, picture in enumerate(frames):
        height, width = (side, side) if side else picture.shape[:2]
        if number == 0:
            stream.height, stream.width = height, width
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        scaling = Interpolation.AREA if side else None
        frame = reformatter.reformat(frame, width, height, "yuv420p", interpolation=scaling, threads=1)
        frame.pts = number
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
