"""The codecs that store a clip as a piece of bytes for each frame, in one table; raw clips need none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.shard.format import Codec, ShardHeader


class Coder(Protocol):
    """What the module of a codec has."""

    def encode_frames(self, video: NDArray[np.uint8], quality: int, /) -> list[bytes]:
        """Return the frames of a clip, uint8 (T, H, W, 3), as T pieces; the same clip gives the same bytes."""

    def decode_frames(self, pieces: Sequence[bytes], header: ShardHeader, /) -> NDArray[np.uint8]:
        """Return T pieces as a clip, uint8 (T, H, W, 3). Raises ShardError where they are no such clip."""


class Pieces(NamedTuple):
    """How a codec stores clips."""

    called: str  # for errors
    pixels_per_byte: int  # a piece with more is a bomb
    coder: Callable[[], Coder]


def _jpeg() -> Coder:
    from vidaug_cli.data.shard import jpeg  # loads Pillow

    return jpeg


def _video() -> Coder:
    from vidaug_cli.data.shard import video  # loads PyAV

    return video


PIECES: dict[Codec, Pieces] = {
    "jpeg": Pieces("JPEGs", 256, _jpeg),  # a flat baseline JPEG has 64
    "video": Pieces("frames of video", 2**20, _video),  # a frame like the one before takes ten bytes at any size
}
