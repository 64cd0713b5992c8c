"""A clip as one H.264 stream, a packet a frame, and back.

The stream is in Annex B: the packets one behind the other are a file that players know. It begins with its parameter
sets, and with x264's note of its release and settings. Matrix and range are written into it: BT.601, and limited, as
swscale's way to the full range is off by half a level of chroma.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from vidaug_cli.data.video.reader import SCALING, Pictures, linked
from vidaug_cli.errors import VideoError

if TYPE_CHECKING:
    from jaxtyping import UInt8

OPTIONS = {
    "preset": "ultrafast",  # slower ones take 1.5 to 3 times as long, for hardly fewer bytes at the same PSNR
    # One quantiser (qp), not one rate factor (crf): 43.4 dB in 1/51.6 of raw; crf takes longer for 42.9 in 1/49.9.
    "bf": "0",  # packet t is frame t
    "sc_threshold": "0",  # one key frame, the first
    "x264-params": "cpu-independent=1:lookahead-threads=1:sliced-threads=0",  # the same bytes on every machine
}
ALIGNED = 64  # pixels: FFmpeg allocates rows in multiples of at most this


def qp_of(quality: int) -> int:
    """Return the quantiser of all frames for a quality from 1 to 100: 51, the coarsest there is, to 10."""
    return round(10 + (100 - quality) * 41 / 99)


def encode_clip(video: UInt8[np.ndarray, "frames height width 3"], quality: int) -> list[bytes]:
    """Return a clip in RGB as T packets; 4:2:0, or 4:4:4 where height or width is odd. One thread, the same bytes."""
    frames, height, width, _ = video.shape
    encoder = VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
    encoder.colorspace, encoder.color_range = Colorspace.ITU601, ColorRange.MPEG
    encoder.framerate, encoder.time_base = Fraction(25), Fraction(1, 25)
    encoder.gop_size, encoder.thread_count = frames, 1
    encoder.options = OPTIONS | {"qp": str(qp_of(quality))}
    graph = linked(  # a frame's own method would make a new converter each time
        ("buffer", f"video_size={width}x{height}:pix_fmt=rgb24:time_base=1/1:pixel_aspect=1/1"),
        ("scale", f"flags={SCALING}:out_color_matrix=bt601:out_range=tv"),
        ("format", encoder.pix_fmt),
        ("buffersink", ""),
    )
    packets = []
    for number, picture in enumerate(video):
        graph.vpush(VideoFrame.from_ndarray(picture, format="rgb24"))
        frame = graph.vpull()
        frame.pts = number
        packets += encoder.encode(frame)
    return [bytes(packet) for packet in (*packets, *encoder.encode())]


def decode_clip(packets: Sequence[bytes], size: int) -> UInt8[np.ndarray, "frames size size 3"]:
    """Return the clip of T packets, none of them empty, in RGB.

    Raises VideoError when they are not T whole frames of size x size. No larger picture is allocated.
    """
    video = np.empty((len(packets), size, size, 3), np.uint8)
    picture_of = Pictures(Path(), crop=None, flip=False, size=size)
    number = 0
    try:
        for frame in _decoded(packets, size):
            if number == len(packets):
                raise VideoError(f"holds more than {number} frames")
            if (frame.width, frame.height) != (size, size):
                raise VideoError(f"frame {number} is {frame.width} x {frame.height}, not {size} x {size}")
            if frame.is_corrupt:
                raise VideoError(f"frame {number} is damaged")
            video[number] = picture_of(frame)
            number += 1
    except av.FFmpegError as error:
        raise VideoError(f"frame {number} cannot be decoded: {error.strerror}") from error
    if number < len(packets):
        raise VideoError(f"holds {number} frames, not {len(packets)}")
    return video


def as_mp4(packets: Sequence[bytes], fps: float) -> bytes:
    """Return an MP4 file of the T packets of a clip as they are, each shown for 1 / `fps` seconds; the same bytes."""
    stream, file = io.BytesIO(b"".join(packets)), io.BytesIO()
    rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))
    with (
        av.open(stream, "r", format="h264") as source,
        av.open(file, "w", format="mp4", options={"fflags": "bitexact"}) as container,  # no release of FFmpeg in it
    ):
        track = container.add_stream_from_template(source.streams.video[0])
        track.time_base = 1 / rate
        for number, packet in enumerate(filter(lambda each: each.size, source.demux(video=0))):
            packet.stream, packet.time_base, packet.duration = track, 1 / rate, 1
            packet.pts = packet.dts = number
            container.mux(packet)
    return file.getvalue()


def _decoded(packets: Sequence[bytes], size: int) -> Iterator[VideoFrame]:
    decoder = VideoCodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str((-(-size // ALIGNED) * ALIGNED) ** 2), "err_detect": "explode"}
    for packet in packets:
        yield from decoder.decode(Packet(packet))
    yield from decoder.decode(None)
