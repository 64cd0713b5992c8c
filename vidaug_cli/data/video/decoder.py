"""What a file, or a folder of frame images, decodes to: frames in the order in which a player shows them.

Nothing here sorts by time stamps: those of real AVI files jump about, and their headers miscount. A frame's number is
its place in the decoder's output. What seeks goes to key frames whose numbers a scan found so (see `keyframes`).
"""

from __future__ import annotations

import errno
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import dropwhile
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidaug_cli.data.listing.frames import frame_files
from vidaug_cli.data.listing.tree import natural
from vidaug_cli.data.manifest import resolve_inside
from vidaug_cli.data.video.limits import Limits
from vidaug_cli.data.video.memory import is_short
from vidaug_cli.errors import VideoError, passes

# Formats that hold their frames themselves. Playlists, ffconcat, DASH, image patterns and devices, which would have the
# decoder read other files, are not among them.
FORMATS = "asf,avi,dv,flv,gif,h264,hevc,m4v,matroska,mov,mpeg,mpegts,mpegvideo,ogg,yuv4mpegpipe"
IMAGES = {".jpg": "mjpeg", ".jpeg": "mjpeg", ".png": "png"}
# PyAV 19 takes metadata that are not UTF-8 by itself, and no longer knows the argument.
METADATA: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
COVER_ART = Disposition.attached_pic | Disposition.timed_thumbnails
BY_TIME = {"mpeg", "mpegts"}  # formats in which a seek ends at any packet, by when it is decoded and not when shown
EARLIER = 1.0  # seconds by which a seek in these aims before a key frame
DROPPED = 256  # frames, at most, from where a seek ended to the key frame
LOOK = 64  # pictures of one stream, by which a still beside it is known

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

# What FFmpeg says of damaged files, too; of other errors of the machine it takes the system's word.
AMBIGUOUS = {errno.EIO, errno.EAGAIN, errno.ENOMEM, errno.ENOENT, errno.EPERM, errno.EBUSY, errno.ENODEV, errno.ENXIO}


class AstrayError(Exception):
    """Where a seek ended, there is not what a scan found there."""


@dataclass
class OpenVideo:
    """Packets in stored order, the decoder they go to, and what was met on the way."""

    path: Path
    limits: Limits
    source: Iterator[Packet[Any]]
    decoder: VideoCodecContext
    bytes: int
    seek: Callable[[int], Iterator[Packet[Any]]]  # packets from a key frame on or some before it, by its time stamp
    rate: float = 0.0  # frames per second, as the header has it
    tick: float = 0.0  # seconds: the unit of its time stamps
    origin: float | None = None  # seconds, the time stamp at which players begin, if the header says it
    announced: int = 0  # frames, as the header has it
    encrypted: bool = False
    images: bool = False  # each packet is an image; its place is its time stamp where it is sought
    stamps: list[int | None] = field(default_factory=list)  # ticks: of each packet that should make a frame
    marked: int = 0  # frames that the decoder calls damaged
    lost: int = 0  # packets that it could not decode

    def frames(self, key: tuple[int, int] | None = None) -> Iterator[VideoFrame]:
        """Yield every frame, at least one; what cannot be decoded is passed over, as players do, and counted.

        With `key`, the number and the time stamp of a key frame, those from it on; what was counted is forgotten.

        Raises VideoError on no frame, too many, too large ones, and when their size changes; AstrayError where a seek
        to `key` does not lead there.
        """
        if not self.decoder.is_open:
            self.decoder.thread_count = 1
            self.decoder.options = {"max_pixels": str(_allocated(self.limits))}
        self._check_size(self.decoder)
        shown = None
        number, awaited = key or (0, None)
        dropped = 0
        if awaited is not None:
            self._go_to(awaited)
        for packet in self.packets():
            for frame in self._decode(packet, shown):
                if awaited is not None:
                    dropped += 1
                    if frame.pts is None or frame.pts > awaited or dropped > DROPPED:
                        raise AstrayError
                    if frame.pts < awaited:
                        continue
                    awaited, self.lost = None, 0
                self._check_size(frame, shown)
                if number == self.limits.frames:
                    what, hint = f"holds more than {number} frames", "cut it into clips or raise --max-frames"
                    raise VideoError(what, where=self.path, hint=hint)
                number += 1
                self.marked += frame.is_corrupt
                shown = frame
                yield frame
        if shown is None and key is not None:
            raise AstrayError
        if shown is None:
            what = f"holds no frame that can be decoded, or of no more than {self.limits.pixels} pixels"
            raise VideoError("is encrypted" if self.encrypted else what, where=self.path)

    def _go_to(self, stamp: int) -> None:
        self.marked = self.lost = 0
        try:
            self.source = self.seek(stamp)
        except av.FFmpegError as error:
            _blame(self.path, error)
            raise AstrayError from error

    def packets(self) -> Iterator[Packet[Any]]:
        """Yield packets not yet read. One without bytes and time stands at the end and empties the decoder."""
        try:
            for packet in self.source:
                if (packet.size or packet.dts is not None) and not packet.is_discard:
                    self.stamps.append(packet.pts)
                yield packet
        except av.FFmpegError as error:  # the rest of the file cannot be read
            _blame(self.path, error)
            self.lost += 1
            yield Packet()

    def _decode(self, packet: Packet[Any], shown: VideoFrame | None) -> list[VideoFrame]:
        if not packet.size and packet.dts is not None:  # Theora's way to show the last frame again
            return [shown] if shown else []
        try:
            return self.decoder.decode(packet)
        except av.FFmpegError as error:
            _blame_memory(self.path, error)
            self.lost += 1
            return []

    def _check_size(self, frame: VideoFrame | VideoCodecContext, shown: VideoFrame | None = None) -> None:
        size = f"{frame.width} x {frame.height}"
        if frame.width * frame.height > self.limits.pixels:
            what = f"has frames of {size}, above the limit of {self.limits.pixels} pixels"
            raise VideoError(what, where=self.path, hint="scale it down or raise --max-pixels")
        if shown and (frame.width, frame.height) != (shown.width, shown.height):
            what = f"changes its frame size from {shown.width} x {shown.height} to {size}"
            raise VideoError(what, where=self.path, hint="scale it to one size")


@contextmanager
def open_video(path: Path, limits: Limits) -> Iterator[OpenVideo]:
    """Yield the video of a file or a folder of frame images, closed at the end.

    Raises VideoError on none, and as `readable`.
    """
    with readable(path):
        if path.is_dir():
            yield _images(path, limits)
            return
        if path.exists() and not path.is_file():  # opening a named pipe would wait for its other end
            raise VideoError("is not a plain file", where=path)
        with path.open("rb") as file:
            head = file.read(256)
        if not head:
            raise VideoError("is empty", where=path)
        with _opened(path, limits, head) as container:
            yield _film(path, limits, container)


def versions() -> dict[str, str]:
    """Return the versions of PyAV and of those of FFmpeg's libraries that decode."""
    libraries = {name: av.library_versions[name] for name in ("libavformat", "libavcodec")}
    return {"PyAV": av.__version__} | {name: ".".join(map(str, version)) for name, version in libraries.items()}


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise VideoError in place of errors of the system: most of those may pass (see `passes`)."""
    try:
        yield
    except OSError as error:
        where = path if isinstance(error, av.FFmpegError) else error.filename or path  # of a folder, its image
        raise VideoError(f"cannot be read: {error.strerror}", where=where, passing=passes(error)) from error


def _film(path: Path, limits: Limits, container: InputContainer) -> OpenVideo:
    stream = _best(path, limits, container)
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    earlier = round(EARLIER / (stream.time_base or 1)) if container.format.name in BY_TIME else 0

    def seek(stamp: int) -> Iterator[Packet[Any]]:
        container.seek(stamp - earlier, stream=stream)
        return dropwhile(lambda packet: not packet.is_keyframe, _packets(container, stream))

    return OpenVideo(
        path,
        limits,
        source=_packets(container, stream),
        decoder=stream.codec_context,
        bytes=path.stat().st_size,
        seek=seek,
        rate=rate,
        tick=float(stream.time_base or 0),
        origin=None if container.start_time is None else container.start_time / av.time_base,
        announced=stream.frames or round((container.duration or 0) / av.time_base * rate),
        encrypted="enc_key_id" in stream.metadata or stream.codec_context.codec_tag == "encv",
    )


def _packets(container: InputContainer, *streams: Any) -> Iterator[Packet[Any]]:
    """Yield the packets of these streams. Damage in MPEG-TS makes others up, at which PyAV stops: they are left out."""
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            continue


def _opened(path: Path, limits: Limits, head: bytes = b"") -> InputContainer:
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(_allocated(limits))}
    try:  # after "file:" a name is a name, whatever stands in it
        container: InputContainer = av.open(f"file:{path}", options=options, **METADATA)
    except av.FFmpegError as error:
        _blame(path, error)
        reason = next(reason for reason, start in REASONS.items() if re.match(start, head, re.DOTALL))
        raise VideoError(reason, where=path) from error
    return container


def _best(path: Path, limits: Limits, container: InputContainer) -> VideoStream:
    """Return the stream that players show: a film before a still, then the default, the largest, the longest one."""
    films = [stream for stream in container.streams.video if not stream.disposition & COVER_ART]
    usable = [stream for stream in films if stream.codec_context is not None]
    if not films:
        raise VideoError("holds no video stream", where=path)
    if not usable:
        raise VideoError("is coded in a way that is not known here", where=path, hint="convert it to H.264")
    if len(usable) == 1:
        return usable[0]
    pictures: Counter[int] = Counter()
    try:
        with _opened(path, limits) as again:  # what is read ahead in `container` would be lost
            for packet in _packets(again, *(again.streams[stream.index] for stream in usable)):
                pictures[packet.stream.index] += bool(packet.size)
                if pictures[packet.stream.index] == LOOK:
                    break
    except av.FFmpegError as error:
        _blame(path, error)

    def rank(stream: VideoStream) -> tuple[float, ...]:
        seconds = float((stream.duration or 0) * (stream.time_base or 0))
        marked = bool(stream.disposition & Disposition.default)
        return pictures[stream.index] > 1, marked, stream.width * stream.height, seconds

    return max(usable, key=rank)  # of equals the first


def _blame(path: Path, error: av.FFmpegError) -> None:
    """Raise the true error where the machine failed, not the file: FFmpeg gives both the same errors.

    An MP4 file whose index cannot be read, as its disk fails, is invalid data to FFmpeg.
    """
    _blame_memory(path, error)
    if passes(error) and error.errno not in AMBIGUOUS:
        raise error
    with path.open("rb") as file:
        while file.read(2**20):
            pass


def _blame_memory(path: Path, error: av.FFmpegError) -> None:
    if isinstance(error, MemoryError) and is_short():
        raise VideoError("there is not enough memory to decode it", where=path, passing=True) from error


def _images(folder: Path, limits: Limits) -> OpenVideo:
    """Return a folder of images as a video. They go to their decoder as they are: no demuxer looks at their names."""
    images = [file.name for file in folder.iterdir() if file.suffix.lower() in IMAGES and file.name[0] != "."]
    try:
        names, _ = frame_files(images)
    except VideoError as error:
        raise VideoError(error.what, where=folder, hint=error.hint) from error
    codecs = {IMAGES[Path(name).suffix.lower()] for name in names}
    if len(codecs) != 1:
        what, hint = "mixes JPEG and PNG images", "leave those of one kind in the folder"
        raise VideoError(what if codecs else "holds no JPEG or PNG images", where=folder, hint=hint if codecs else "")
    files = [resolve_inside(folder, name) for name in sorted(names, key=natural)]
    decoder = cast(VideoCodecContext, VideoCodecContext.create(codecs.pop(), "r"))

    def seek(number: int) -> Iterator[Packet[Any]]:
        if decoder.is_open:
            decoder.flush_buffers()
        return (_image_packet(files[place], place) for place in range(number, len(files)))

    return OpenVideo(
        folder,
        limits,
        source=map(_image_packet, files),
        decoder=decoder,
        bytes=sum(file.stat().st_size for file in files),
        seek=seek,
        announced=len(files),
        images=True,
    )


def _image_packet(file: Path, stamp: int | None = None) -> Packet[Any]:
    packet: Packet[Any] = Packet(file.read_bytes() or b"?")  # an empty one would mean the end
    packet.pts = stamp
    packet.is_keyframe = True  # otherwise the PNG decoder adds the picture to the one before
    return packet


def _allocated(limits: Limits) -> int:
    """Pixels a decoder may allocate for a frame: some put a border around it."""
    return 2 * limits.pixels + 2**16
