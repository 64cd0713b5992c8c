"""A clip as one H.264 stream, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.shard.format import ShardHeader
from vidaug_cli.data.video.h264 import decode_clip, encode_clip
from vidaug_cli.errors import ShardError, VideoError


def encode_frames(video: NDArray[np.uint8], quality: int) -> list[bytes]:
    """Return the frames of a clip, uint8 (T, H, W, 3), as T packets of one stream."""
    return encode_clip(video, quality)


def decode_frames(packets: Sequence[bytes], header: ShardHeader) -> NDArray[np.uint8]:
    """Return T packets as a clip, uint8 (T, H, W, 3). Raises ShardError on any that are not T whole frames."""
    try:
        return decode_clip(packets, header.size)
    except VideoError as error:
        raise ShardError(f"is not an H.264 stream of {header.frames} frames: {error.what}") from error
