"""Heat maps over the frames of a clip."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

LEVELS = (0.0, 0.4, 0.7, 1.0)  # of heat, and the colours there: from dark to light, for any eye and in grey
COLOURS = ((0, 0, 0), (120, 0, 60), (220, 60, 0), (255, 230, 60))
COVER = 0.7  # how much of a picture the greatest heat hides


def draw_heat(video: UInt8[np.ndarray, "t h w 3"], heat: Float[np.ndarray, "t h w"]) -> UInt8[np.ndarray, "t h w 3"]:
    """Return the frames under the colours of a heat from 0 to 1: 0 leaves a pixel as it is."""
    colours = np.stack([np.interp(heat, LEVELS, channel) for channel in zip(*COLOURS, strict=True)], -1)
    cover = COVER * heat[..., None]
    return np.asarray(((1 - cover) * video + cover * colours).round(), np.uint8)
