"""Frames in, a small video file out."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vidaug_cli.errors import UnwritableError

VideoCodec = Literal["h264", "mpeg4"]

OPTIONS: dict[VideoCodec, dict[str, str]] = {
    "h264": {"preset": "veryfast", "crf": "24", "mbtree": "0"},  # x264's tree differs when two encoders run at once
    "mpeg4": {"qmin": "2", "qmax": "5", "b": "2M"},
}


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float, codec: VideoCodec = "h264") -> None:
    """Write `path`, in the container its suffix names.

    Args:
        frames: RGB, uint8 (H, W, 3) each, all of one even height and width; an array (T, H, W, 3) will do.
        fps: frames per second.
        codec: a key of `OPTIONS`.

    Raises VidaugError when the file cannot be written.
    """
    reformatter = VideoReformatter()  # one for the file: a frame's own would start threads anew each time
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=OPTIONS[codec])
            stream.pix_fmt = "yuv420p"
            stream.thread_count = 1  # the same bytes on every machine
            for number, picture in enumerate(frames):
                if number == 0:
                    stream.height, stream.width = picture.shape[:2]
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame = reformatter.reformat(frame, format="yuv420p", threads=1)
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except (OSError, av.FFmpegError) as error:
        raise UnwritableError(f"cannot be written: {error.strerror or error}", where=path) from error
