"""A clip as one JPEG per frame, and back; frames that lie about their size are refused before they are decoded.

Pillow, not torchvision: 6.6 against 8.7 ms to encode a 64 x 160 x 160 clip, 10 against 7 ms to decode, equal bytes,
and it tells a picture's size before it allocates the picture. A release of libjpeg gives the same bytes every time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidaug_cli.data.shard.format import ShardHeader
from vidaug_cli.errors import ShardError


def encode_frames(video: NDArray[np.uint8], quality: int) -> list[bytes]:
    """Return the frames of a clip, uint8 (T, H, W, 3), as T baseline JPEGs, 4:2:0."""
    return [_encode(frame, quality) for frame in video]


def decode_frames(pictures: Sequence[bytes], header: ShardHeader) -> NDArray[np.uint8]:
    """Return T JPEGs as a clip, uint8 (T, H, W, 3). Raises ShardError on any that `encode_frames` would not make."""
    video = np.empty(header.shape, np.uint8)
    for number, picture in enumerate(pictures):
        try:
            video[number] = _decode(picture, header.size)
        # Pillow's parsers raise SyntaxError, struct.error and more on damaged files, none of them a bug of ours.
        except Exception as error:
            raise ShardError(f"frame {number} is not a JPEG that can be decoded: {error}") from error
    return video


def _encode(frame: NDArray[np.uint8], quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return stream.getvalue()


def _decode(picture: bytes, size: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(picture), formats=["JPEG"]) as image:
        if image.size != (size, size) or image.mode != "RGB":
            raise ValueError(f"it is {image.mode} of {image.width} x {image.height}, not RGB of {size} x {size}")
        # Decoding time of a progressive picture grows with its scans, which cost a few bytes each.
        if "progressive" in image.info:
            raise ValueError("it is progressive")
        return np.asarray(image)
