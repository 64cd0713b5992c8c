"""What clips look like: a contact sheet of their frames, or a grid of them playing, with their weights over time.

Under a clip lies a bar with one bin per frame: the own video's colour from below, as high as its share in that frame,
and the partner's above. The two colours are blue and orange of Okabe and Ito's palette, which colour-blind readers
tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vidaug_cli.draw.text import write

Colour = tuple[int, int, int]

OWN: Colour = (0, 114, 178)
PARTNER: Colour = (230, 159, 0)
INK: Colour = (20, 20, 20)
FAINT: Colour = (100, 100, 100)
PAPER: Colour = (255, 255, 255)

MARGIN, GAP, BAR = 16, 4, 24  # pixels
TITLE, TEXT = 16, 13  # font sizes
HEADING = 46  # pixels above the frames of a row: title, and sources side by side
CELL_HEADING = 60  # the same while playing: sources one below the other
CURVE = 2  # pixels: width of a curve's line, and on either side of it of what sets it off
CAPTION = 22  # pixels under a bar: a tick and a line of text

SLOWEST, FASTEST = 0.1, 240.0  # frames per second that are played; what a manifest says may be anything
FPS = 30.0  # of a clip whose rate is unknown, such as of frame images


@dataclass(frozen=True, eq=False)
class Strip:
    """One clip and what is written beside it."""

    video: NDArray[np.uint8]  # (T, H, W, 3)
    weights: NDArray[np.floating] | None  # (T,), share of the own video in each frame; None: nothing is mixed in
    title: str  # "left 62 % + turn 38 %"
    own: str  # names of the two sources
    partner: str | None = None
    note: str = ""  # the ops drawn, for instance
    curve: NDArray[np.floating] | None = None  # (T,), 0 to 1, a line over the bar, which is then a higher one
    fps: float = FPS  # frames per second at which it is as fast as its video

    @property
    def shares(self) -> NDArray[np.floating]:
        return np.ones(len(self.video)) if self.weights is None else self.weights

    @property
    def rate(self) -> float:
        """Frames per second at which it is played."""
        return min(max(self.fps, SLOWEST), FASTEST)

    @property
    def bar(self) -> int:
        """Height of the bar in pixels."""
        return BAR if self.curve is None else 3 * BAR

    @property
    def sources(self) -> list[tuple[str, Colour]]:
        return [(self.own, OWN)] + ([(self.partner, PARTNER)] if self.partner is not None else [])

    def caption(self, frame: int) -> str:
        return str(frame) if self.weights is None else f"{frame}: {100 * self.weights[frame]:.0f} %"


class Legend(NamedTuple):
    """What the top line of a sheet says."""

    own: str = "own video"
    partner: str = "partner"
    text: str = (
        "bar: share of each in every frame; below it: number of the frame shown, and the own video's share in it"
    )


LEGEND = Legend()


def contact_sheet(strips: Sequence[Strip], columns: int = 8, thumb: int = 128, legend: Legend = LEGEND) -> Image.Image:
    """A row for each clip: frames evenly spread from the first to the last, and the weights of all frames under them.

    Args:
        strips: the clips; they may differ in length and size.
        columns: frames of a clip to show; all of them where it has fewer.
        thumb: width of a shown frame in pixels; its height keeps the clip's proportions.
        legend: what the colours stand for.
    """
    width = columns * (thumb + GAP) - GAP
    rows = [_legend(legend, width), *(_row(strip, columns, thumb, width) for strip in strips)]
    sheet = Image.new("RGB", (width + 2 * MARGIN, sum(row.height + MARGIN for row in rows) + MARGIN), PAPER)
    top = MARGIN
    for row in rows:
        sheet.paste(row, (MARGIN, top))
        top += row.height + MARGIN
    return sheet


def weight_bar(shares: NDArray[np.floating], width: int, height: int) -> Image.Image:
    """The weights over time: the t-th of T equal parts of the width is frame t's."""
    frame = np.arange(width) * len(shares) // width
    own = np.arange(height)[::-1, None] < np.round(shares[frame] * height)
    return Image.fromarray(np.where(own[..., None], OWN, PARTNER).astype(np.uint8))


def _bar(strip: Strip, width: int) -> Image.Image:
    """The weights, and the curve over them."""
    bar = weight_bar(strip.shares, width, strip.bar)
    if strip.curve is not None:
        middles = (np.arange(len(strip.curve)) + 0.5) * width / len(strip.curve)
        heights = CURVE + (1 - strip.curve) * (strip.bar - 1 - 2 * CURVE)  # all of the line lies in the bar
        draw = ImageDraw.Draw(bar)
        for colour, breadth in ((PAPER, 2 * CURVE + 1), (INK, CURVE)):
            draw.line(list(zip(middles.tolist(), heights.tolist(), strict=True)), colour, breadth, joint="curve")
    return bar


def _legend(legend: Legend, width: int) -> Image.Image:
    picture = Image.new("RGB", (width, TEXT + 4), PAPER)
    draw = ImageDraw.Draw(picture)
    left = _write_key(draw, 0, 0, legend.own, OWN, width)
    left = _write_key(draw, left, 0, legend.partner, PARTNER, width)
    write(draw, (left, 0), legend.text, size=TEXT, colour=FAINT, width=width - left)
    return picture


def _row(strip: Strip, columns: int, thumb: int, width: int) -> Image.Image:
    last = len(strip.video) - 1
    shown = np.linspace(0, last, min(columns, last + 1)).round().astype(int).tolist()
    thumbs = [_thumb(strip, frame, thumb) for frame in shown]
    below = HEADING + thumbs[0].height + GAP
    row = Image.new("RGB", (width, below + strip.bar + CAPTION), PAPER)
    draw = ImageDraw.Draw(row)

    end = write(draw, (0, 0), strip.title, size=TITLE, colour=INK, width=width) + MARGIN
    write(draw, (end, 3), strip.note, size=TEXT, colour=FAINT, width=width - end)
    left = 0.0
    for name, colour in strip.sources:
        left = _write_key(draw, left, 23, name, colour, width / 2)

    pitch = thumb + GAP
    bin_width = (len(shown) - 1) * pitch / last if last else thumb  # a shown frame's bin lies under its middle
    row.paste(_bar(strip, round(bin_width * (last + 1))), (round((thumb - bin_width) / 2), below))
    for column, (frame, picture) in enumerate(zip(shown, thumbs, strict=True)):
        row.paste(picture, (column * pitch, HEADING))
        middle = thumb / 2 + frame * bin_width
        draw.line((middle, below + strip.bar, middle, below + strip.bar + 3), INK)
        caption = strip.caption(frame) if thumb >= 64 else str(frame)
        write(draw, (middle, below + strip.bar + 5), caption, size=TEXT, colour=INK, width=pitch, anchor="ma")
    return row


def _write_key(draw: ImageDraw.ImageDraw, left: float, top: float, name: str, colour: Colour, width: float) -> float:
    """A swatch and what it stands for, in `width` pixels; returns where the next one may begin."""
    draw.rectangle((left, top + 2, left + 11, top + 13), colour)
    taken = write(draw, (left + 16, top), name, size=TEXT, colour=FAINT, width=width - 16 - MARGIN)
    return left + 16 + taken + MARGIN


def _thumb(strip: Strip, frame: int, width: int) -> Image.Image:
    picture = Image.fromarray(strip.video[frame])
    return picture.resize((width, max(1, round(width * picture.height / picture.width))), Image.Resampling.LANCZOS)
