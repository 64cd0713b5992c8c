"""What a file, or a folder of frame images, decodes to: frames in the order in which a player shows them.

Nothing here seeks or sorts by time stamps: those of real AVI files jump about, and their headers miscount. A frame's
number is its place in the decoder's output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vidaug_cli.data.listing.tree import natural
from vidaug_cli.data.manifest import resolve_inside
from vidaug_cli.errors import VideoError

# Formats that hold their frames themselves. Playlists, ffconcat, DASH, image patterns and devices, which would have the
# decoder read other files, are not among them.
FORMATS = "asf,avi,dv,flv,gif,h264,hevc,m4v,matroska,mov,mpeg,mpegts,mpegvideo,ogg,yuv4mpegpipe"
IMAGES = {".jpg": "mjpeg", ".jpeg": "mjpeg", ".png": "png"}
# PyAV 19 takes metadata that are not UTF-8 by itself, and no longer knows the argument.
METADATA: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
COVER_ART = Disposition.attached_pic | Disposition.timed_thumbnails

REASONS = {  # why a file that begins like this cannot be opened
    "is a damaged or cut AVI file": rb"RIFF",
    "is a damaged or cut MP4 or MOV file": rb".{4}(ftyp|moov|mdat|free|skip|wide)",
    "is a damaged or cut Matroska or WebM file": rb"\x1aE\xdf\xa3",
    "is a damaged or cut FLV file": rb"FLV\x01",
    "is a damaged or cut Ogg file": rb"OggS",
    "is a damaged or cut GIF file": rb"GIF8",
    "is a damaged or cut ASF or WMV file": rb"\x30\x26\xb2\x75",
    "is a damaged or cut MPEG file": rb"\x00\x00\x01[\xb3\xba]|G.{187}G",
    "is a list of other files, not a video": rb"\s*(ffconcat|#EXTM3U|\[playlist\]|<\?xml|<MPD|v=0\r?\n)",
    "is not a video of a known container": rb"",
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one video may cost; a file of a few kB can decode to many GB."""

    pixels: int = 8192 * 4320  # of one frame: 8K phones make 7680 x 4320
    frames: int = 200_000  # decoded: an hour at 50 fps
    seconds: float = 120.0  # of wall time: kept by `guard.Guard`


@dataclass
class Video:
    """Packets in stored order, the decoder they go to, and what was met on the way."""

    path: Path
    limits: Limits
    source: Iterator[Packet[Any]]
    decoder: VideoCodecContext
    bytes: int
    rate: float = 0.0  # frames per second, as the header has it
    announced: int = 0  # frames, as the header has it
    encrypted: bool = False
    read: int = 0  # packets that should each make a frame
    marked: int = 0  # frames that the decoder calls damaged
    lost: int = 0  # packets that it could not decode

    def frames(self) -> Iterator[VideoFrame]:
        """Every frame, at least one; what cannot be decoded is passed over, as players do, and counted.

        Raises VideoError on none at all, too many, too large ones, and when their size changes.
        """
        self.decoder.thread_count = 1
        self.decoder.options = {"max_pixels": str(_allocated(self.limits))}
        self._check_size(self.decoder)
        shown = None
        number = 0
        for packet in self.packets():
            for frame in self._decode(packet, shown):
                self._check_size(frame, shown)
                if number == self.limits.frames:
                    raise VideoError(f"holds more than {number} frames", where=self.path, hint="cut it into clips")
                number += 1
                self.marked += frame.is_corrupt
                shown = frame
                yield frame
        if shown is None:
            what = f"holds no frame that can be decoded, or of no more than {self.limits.pixels} pixels"
            raise VideoError("is encrypted" if self.encrypted else what, where=self.path)

    def packets(self) -> Iterator[Packet[Any]]:
        """Packets not yet read. One without bytes and time stands at the end and empties the decoder."""
        try:
            for packet in self.source:
                self.read += bool(packet.size or packet.dts is not None) and not packet.is_discard
                yield packet
        except av.FFmpegError:  # the rest of the file cannot be read
            self.lost += 1
            yield Packet()

    def _decode(self, packet: Packet[Any], shown: VideoFrame | None) -> list[VideoFrame]:
        if not packet.size and packet.dts is not None:  # Theora's way to show the last frame again
            return [shown] if shown else []
        try:
            return self.decoder.decode(packet)
        except av.FFmpegError:
            self.lost += 1
            return []

    def _check_size(self, frame: VideoFrame | VideoCodecContext, shown: VideoFrame | None = None) -> None:
        size = f"{frame.width} x {frame.height}"
        if frame.width * frame.height > self.limits.pixels:
            what = f"has frames of {size}, above the limit of {self.limits.pixels} pixels"
            raise VideoError(what, where=self.path, hint="scale it down")
        if shown and (frame.width, frame.height) != (shown.width, shown.height):
            what = f"changes its frame size from {shown.width} x {shown.height} to {size}"
            raise VideoError(what, where=self.path, hint="scale it to one size")


@contextmanager
def open_video(path: Path, limits: Limits) -> Iterator[Video]:
    """The video in a file or in a folder of frame images, closed at the end; raises VideoError when there is none."""
    try:
        folder, other = path.is_dir(), path.exists() and not path.is_file()
    except OSError as error:  # such as a name too long for the file system
        raise VideoError(f"cannot be read: {error.strerror}", where=path, passing=True) from error
    if folder:
        yield _images(path, limits)
        return
    if other:  # opening a named pipe would wait for its other end
        raise VideoError("is not a regular file", where=path)
    head = _read(path, 256)
    if not head:
        raise VideoError("is empty", where=path)
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(_allocated(limits))}
    try:  # after "file:" a name is a name, whatever stands in it
        container = av.open(f"file:{path}", options=options, **METADATA)
    except av.FFmpegError as error:
        reason = next(reason for reason, start in REASONS.items() if re.match(start, head, re.DOTALL))
        raise VideoError(reason, where=path) from error
    with container:
        stream = next((stream for stream in container.streams.video if not stream.disposition & COVER_ART), None)
        if stream is None:
            raise VideoError("holds no video stream", where=path)
        if stream.codec_context is None:
            raise VideoError("is coded in a way that is not known here", where=path, hint="convert it to H.264")
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        yield Video(
            path,
            limits,
            source=container.demux(stream),
            decoder=stream.codec_context,
            bytes=path.stat().st_size,
            rate=rate,
            announced=stream.frames or round((container.duration or 0) / av.time_base * rate),
            encrypted="enc_key_id" in stream.metadata or stream.codec_context.codec_tag == "encv",
        )


def _images(folder: Path, limits: Limits) -> Video:
    """Images go to their decoder as they are: no demuxer looks at their names."""
    names = [file.name for file in folder.iterdir() if file.suffix.lower() in IMAGES and file.name[0] != "."]
    codecs = {IMAGES[Path(name).suffix.lower()] for name in names}
    if len(codecs) != 1:
        raise VideoError("mixes JPEG and PNG images" if codecs else "holds no JPEG or PNG images", where=folder)
    files = [resolve_inside(folder, name) for name in sorted(names, key=natural)]
    return Video(
        folder,
        limits,
        source=map(_image_packet, files),
        decoder=cast(VideoCodecContext, VideoCodecContext.create(codecs.pop(), "r")),
        bytes=sum(file.stat().st_size for file in files),
        announced=len(files),
    )


def _image_packet(file: Path) -> Packet[Any]:
    packet: Packet[Any] = Packet(_read(file) or b"?")  # an empty one would mean the end
    packet.is_keyframe = True  # otherwise the PNG decoder adds the picture to the one before
    return packet


def _allocated(limits: Limits) -> int:
    """Pixels a decoder may allocate for a frame: some put a border around it."""
    return 2 * limits.pixels + 2**16


def _read(path: Path, count: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise VideoError(f"cannot be read: {error.strerror}", where=path, passing=True) from error
