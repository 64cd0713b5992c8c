"""Small videos of known pixels for tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

QUADRANTS = np.array([[(200, 40, 40), (40, 180, 60)], [(50, 60, 200), (230, 220, 70)]], np.uint8)
FIRST = np.zeros(1, np.int32)  # the numbers of the frames to read: only the first


def paint(width: int, height: int, colours: NDArray[np.uint8] = QUADRANTS) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): red, green over blue, yellow."""
    return colours[np.arange(height) * 2 // height][:, np.arange(width) * 2 // width]


def write(
    path: Path,
    pictures: list[NDArray[np.uint8]],
    codec: str,
    pix_fmt: str,
    *,
    source: str = "rgb24",
    options: dict[str, str] | None = None,
    **tags: int,
) -> Path:
    """Encode pictures given as `source`; `tags` are colour properties of the frames and the stream."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        first = av.VideoFrame.from_ndarray(pictures[0], format=source)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, pix_fmt
        stream.bit_rate = 8_000_000
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format=source)
            frame = frame if source == pix_fmt else frame.reformat(format=pix_fmt)
            for name, value in tags.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_at(path: Path, times: list[float], *, codec: str = "libx264", size: tuple[int, int] = (64, 48)) -> Path:
    """A video whose frames are shown at these seconds, up to 10, and tell them: frame t is flat, its luma 16 + 20 t."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1000, options={"bf": "2", "crf": "4"} if codec == "libx264" else {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.full((size[1] * 3 // 2, size[0]), 128, np.uint8), format="yuv420p")
            luma = np.full((size[1], frame.planes[0].line_size), round(16 + 20 * time), np.uint8)
            frame.planes[0].update(luma.tobytes())
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def seconds_of(clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(T,), in seconds: the time that frames of `write_at` tell, from their RGB."""
    return np.asarray(clip.mean(axis=(1, 2, 3)) * 219 / 255 / 20, np.float64)


def corners(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (2, 2, 3): the middle of each quadrant, far from the edges that scaling blurs."""
    quarter = len(picture) // 4
    return picture[quarter :: 2 * quarter, quarter :: 2 * quarter][:2, :2]


def assert_colours(found: NDArray[np.uint8], expected: NDArray[np.uint8], within: int) -> None:
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= within, (found.tolist(), expected.tolist())


def write_sound(path: Path, cover: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        picture = container.add_stream("mjpeg", rate=1) if cover else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            container.mux(picture.encode(av.VideoFrame.from_ndarray(paint(64, 48)).reformat(format="yuvj420p")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path
