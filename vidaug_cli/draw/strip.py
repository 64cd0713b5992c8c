"""A clip to be drawn, and the pieces that sheets and animations are made of.

Under a clip lies a bar with one bin per frame: the own video's colour from below, as high as its share in that frame,
and the partner's above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from vidaug_cli.draw.colours import FAINT, INK, OWN, PAPER, PARTNER, Colour
from vidaug_cli.draw.text import write

MARGIN, GAP, BAR = 16, 4, 24  # pixels
TEXT = 13  # font size
CURVE = 2  # pixels: width of a curve's line, and on either side of it of what sets it off
CAPTION = 22  # pixels under a bar: a tick and a line of text

SLOWEST, FASTEST = 0.1, 240.0  # frames per second that are played; what a manifest says may be anything
FPS = 30.0  # of a clip whose rate is unknown, such as of frame images


@dataclass(frozen=True, eq=False)
class Strip:
    """One clip and what is written beside it."""

    video: UInt8[np.ndarray, "t h w 3"]
    weights: Float[np.ndarray, " t"]  # share of the own video in each frame
    title: str  # "left 62 % + turn 38 %"
    own: str  # name of the video
    partner: str | None = None  # name of the one that is mixed in
    note: str = ""  # the ops drawn, for instance
    curve: Float[np.ndarray, " t"] | None = None  # 0 to 1, a line over the bar, which is then a higher one
    fps: float = 0.0  # frames per second at which it is as fast as its video; 0: unknown

    @property
    def rate(self) -> float:
        """Frames per second at which it is played."""
        return min(max(self.fps or FPS, SLOWEST), FASTEST)

    @property
    def bar(self) -> int:
        """Height of the bar in pixels."""
        return BAR if self.curve is None else 3 * BAR

    @property
    def sources(self) -> list[tuple[str, Colour]]:
        """Names of the videos, and their colours in the bar."""
        return [(self.own, OWN)] + ([(self.partner, PARTNER)] if self.partner is not None else [])

    def caption(self, frame: int) -> str:
        """Return what stands under a frame: its number, and the own video's share in a mixed one."""
        return str(frame) if self.partner is None else f"{frame}: {100 * self.weights[frame]:.0f} %"


class Legend(NamedTuple):
    """What the top line of a sheet says."""

    own: str = "own video"
    partner: str = "partner"
    text: str = (
        "bar: share of each in every frame; below it: number of the frame shown, and the own video's share in it"
    )


LEGEND = Legend()


def draw_frame(strip: Strip, frame: int, width: int) -> Image.Image:
    """Return a frame, `width` pixels wide; its height keeps the clip's proportions."""
    picture = Image.fromarray(strip.video[frame])
    return picture.resize((width, max(1, round(width * picture.height / picture.width))), Image.Resampling.LANCZOS)


def weight_bar(shares: Float[np.ndarray, " t"], width: int, height: int) -> Image.Image:
    """Return the weights over time: the t-th of T equal parts of the width is frame t's."""
    frame = np.arange(width) * len(shares) // width
    own = np.arange(height)[::-1, None] < np.round(shares[frame] * height)
    return Image.fromarray(np.where(own[..., None], OWN, PARTNER).astype(np.uint8))


def draw_bar(strip: Strip, width: int) -> Image.Image:
    """Return the weights of a clip over time, and its curve over them."""
    bar = weight_bar(strip.weights, width, strip.bar)
    if strip.curve is not None:
        middles = (np.arange(len(strip.curve)) + 0.5) * width / len(strip.curve)
        heights = CURVE + (1 - strip.curve) * (strip.bar - 1 - 2 * CURVE)  # all of the line lies in the bar
        line = list(zip(middles.tolist(), heights.tolist(), strict=True))
        for colour, breadth in ((PAPER, 2 * CURVE + 1), (INK, CURVE)):
            ImageDraw.Draw(bar).line(line, colour, breadth, joint="curve")
    return bar


def draw_key(draw: ImageDraw.ImageDraw, left: float, top: float, name: str, colour: Colour, width: float) -> float:
    """Draw a swatch and what it stands for, in `width` pixels; return where the next one may begin."""
    draw.rectangle((left, top + 2, left + 11, top + 13), colour)
    taken = write(draw, (left + 16, top), name, size=TEXT, colour=FAINT, width=width - 16 - MARGIN)
    return left + 16 + taken + MARGIN
