"""What pictures of clips are put together from: frames, the bar of weights, headings, heat.

Blue is the own video and orange its partner, in every bar and every word. The bar has the own video's colour from
below, as high as its share in a frame, and the partner's above.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, UInt8
from PIL import Image, ImageDraw

from vidaug_cli.draw.text import FAINT, INK, TEXT, Colour, Word, write_words
from vidaug_cli.words import percent

Clip = UInt8[np.ndarray, "t h w 3"]

# Blue and orange of Okabe and Ito's palette, which colour-blind readers tell apart; words have darker ones, whose
# contrast with white is above 4.5 : 1.
OWN: Colour = (0, 114, 178)
PARTNER: Colour = (230, 159, 0)
OWN_WORD: Colour = (0, 104, 163)
PARTNER_WORD: Colour = (153, 92, 0)
PAPER: Colour = (255, 255, 255)
TRACK: Colour = (222, 222, 222)  # of a bar that has nothing to tell but the time

MARGIN, GAP, BAR = 16, 4, 14  # pixels
CURVED = 72  # pixels: height of a bar with a curve over it
CURVE = 2  # pixels: width of a curve's line, and on either side of it of what sets it off
HEADING, LINE = 23, 19  # pixels from the top of a line of text of the two sizes to what follows
SWATCH = 11  # pixels

SLOWEST, FASTEST = 0.1, 240.0  # frames per second that are played; what a manifest says may be anything
FPS = 30.0  # of a clip whose rate is unknown, such as of frame images

LEVELS = (0.0, 0.4, 0.7, 1.0)  # of heat, and the colours there: from dark to light, for any eye and in grey
COLOURS = ((0, 0, 0), (120, 0, 60), (220, 60, 0), (255, 230, 60))
COVER = 0.7  # how much of a picture the greatest heat hides


class Source(NamedTuple):
    """A video that a clip shows."""

    name: str
    ops: str = ""  # that it went through, in words
    original: Clip | None = None  # the same cut of it before anything was done to it; None: not to be drawn


@dataclass(frozen=True, eq=False)
class Strip:
    """One clip and what is written beside it."""

    video: Clip
    weights: Float[np.ndarray, " t"]  # share of the own video in each frame
    title: str  # the clip's number
    classes: Sequence[Word]  # of the soft label, in the colours of their videos
    own: Source
    partner: Source | None = None  # the one that is mixed in
    note: str = ""  # how they are mixed, for instance
    curve: Float[np.ndarray, " t"] | None = None  # 0 to 1, a line over the bar, which is then a higher one
    scale: tuple[float, float] = (0, 1)  # what 0 and 1 of the curve stand for
    fps: float = 0.0  # frames per second at which it is as fast as its video; 0: unknown

    @property
    def rate(self) -> float:
        """Frames per second at which it is played."""
        return min(max(self.fps or FPS, SLOWEST), FASTEST)

    @property
    def bar(self) -> int:
        """Height of the bar in pixels: 0 where it would say nothing."""
        return CURVED if self.curve is not None else BAR if self.partner else 0

    @property
    def sources(self) -> Iterator[tuple[Source, Colour]]:
        """The videos, and their colours in the bar."""
        yield self.own, OWN
        if self.partner:
            yield self.partner, PARTNER

    @property
    def heading(self) -> list[Word]:
        """The clip's number and classes, which stand above it."""
        return [Word("", self.title), *[word for each in self.classes for word in (Word("", "+", FAINT), each)][1:]]

    def caption(self, frame: int) -> str:
        """Return what stands under a frame: its number, and the own video's share in a mixed one."""
        return f"{frame}: {percent(float(self.weights[frame]))}" if self.partner else str(frame)


class Legend(NamedTuple):
    """What the top line of a picture says."""

    own: str = "own video"
    partner: str = "partner"
    text: str = "bar: share of each; below: number of the frame, and the own video's share in it"


LEGEND = Legend()


def class_words(
    label: Float[np.ndarray, " k"], names: Sequence[str], own: str, partner: str | None = None
) -> list[Word]:
    """Return the classes of a soft label, the greatest first, in the colours of the videos that are of them.

    `own` and `partner` are the videos' classes; where both are of one, it is of no colour.
    """
    colours = {own: INK} if own == partner else {own: OWN_WORD, partner: PARTNER_WORD}
    shares = sorted(zip(label.tolist(), names, strict=True), reverse=True)
    return [Word(name, f" {percent(share)}", colours.get(name, INK)) for share, name in shares if round(share, 5) > 0]


def draw_frame(video: Clip, frame: int, width: int) -> Image.Image:
    """Return a frame, `width` pixels wide; its height keeps the clip's proportions."""
    picture = Image.fromarray(video[frame])
    return picture.resize((width, max(1, round(width * picture.height / picture.width))), Image.Resampling.LANCZOS)


def weight_bar(shares: Float[np.ndarray, " w"], height: int) -> Image.Image:
    """Return a bar with a column of pixels for each of the own video's shares."""
    own = np.arange(height)[::-1, None] < np.round(shares * height)
    return Image.fromarray(np.where(own[..., None], OWN, PARTNER).astype(np.uint8))


def draw_bar(strip: Strip, times: Float[np.ndarray, " w"]) -> Image.Image:
    """Return the weights of a clip, and its curve over them.

    `times` is the place of each column of pixels in the clip, in frames; it shows the nearest frame.
    """
    frames: Int64[np.ndarray, " w"] = np.clip(np.round(times), 0, len(strip.weights) - 1).astype(np.int64)
    if not strip.partner and strip.curve is None:
        return Image.new("RGB", (len(times), BAR), TRACK)
    bar = weight_bar(strip.weights[frames], strip.bar)
    if strip.curve is not None:
        values = np.interp(times, np.arange(len(strip.curve)), strip.curve)
        heights = CURVE + (1 - values) * (strip.bar - 1 - 2 * CURVE)  # all of the line lies in the bar
        line = list(enumerate(heights.tolist()))
        for colour, breadth in ((PAPER, 2 * CURVE + 1), (INK, CURVE)):
            ImageDraw.Draw(bar).line(line, colour, breadth, joint="curve")
    return bar


def draw_line(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], words: Sequence[Word], colour: Colour | None, width: float
) -> int:
    """Draw a swatch, if it has a colour, and words, in `width` pixels; return those that they take."""
    left, top = place
    swatch = 0
    if colour:
        draw.rectangle((left, top + 4, left + SWATCH - 1, top + 3 + SWATCH), colour)
        swatch = SWATCH + 5
    return swatch + write_words(draw, (left + swatch, top), words, size=TEXT, width=width - swatch)


def draw_heat(video: Clip, heat: Float[np.ndarray, "t h w"]) -> Clip:
    """Return the frames under the colours of a heat from 0 to 1: 0 leaves a pixel as it is."""
    colours = np.stack([np.interp(heat, LEVELS, channel) for channel in zip(*COLOURS, strict=True)], -1)
    cover = COVER * heat[..., None]
    return np.asarray(((1 - cover) * video + cover * colours).round(), np.uint8)
