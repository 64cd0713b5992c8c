"""Contact sheets: a row of frames for each clip, with its weights over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from vidaug_cli.draw.colours import FAINT, INK, OWN, PAPER, PARTNER
from vidaug_cli.draw.strip import CAPTION, GAP, LEGEND, MARGIN, TEXT, Legend, Strip, draw_bar, draw_frame, draw_key
from vidaug_cli.draw.text import write

TITLE = 16  # font size
HEADING = 46  # pixels above the frames of a row: title, and sources side by side


def contact_sheet(strips: Sequence[Strip], columns: int = 8, thumb: int = 128, legend: Legend = LEGEND) -> Image.Image:
    """Return a row for each clip: frames spread evenly from first to last, and the weights of all frames under them.

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


def _legend(legend: Legend, width: int) -> Image.Image:
    picture = Image.new("RGB", (width, TEXT + 4), PAPER)
    draw = ImageDraw.Draw(picture)
    left = draw_key(draw, 0, 0, legend.own, OWN, width)
    left = draw_key(draw, left, 0, legend.partner, PARTNER, width)
    write(draw, (left, 0), legend.text, size=TEXT, colour=FAINT, width=width - left)
    return picture


def _row(strip: Strip, columns: int, thumb: int, width: int) -> Image.Image:
    last = len(strip.video) - 1
    shown = np.linspace(0, last, min(columns, last + 1)).round().astype(int).tolist()
    frames = [draw_frame(strip, frame, thumb) for frame in shown]
    below = HEADING + frames[0].height + GAP
    row = Image.new("RGB", (width, below + strip.bar + CAPTION), PAPER)
    draw = ImageDraw.Draw(row)

    end = write(draw, (0, 0), strip.title, size=TITLE, colour=INK, width=width) + MARGIN
    write(draw, (end, 3), strip.note, size=TEXT, colour=FAINT, width=width - end)
    left = 0.0
    for name, colour in strip.sources:
        left = draw_key(draw, left, 23, name, colour, width / 2)

    pitch = thumb + GAP
    bin_width = (len(shown) - 1) * pitch / last if last else thumb  # a shown frame's bin lies under its middle
    row.paste(draw_bar(strip, round(bin_width * (last + 1))), (round((thumb - bin_width) / 2), below))
    for column, (frame, picture) in enumerate(zip(shown, frames, strict=True)):
        row.paste(picture, (column * pitch, HEADING))
        middle = thumb / 2 + frame * bin_width
        draw.line((middle, below + strip.bar, middle, below + strip.bar + 3), INK)
        caption = strip.caption(frame) if thumb >= 64 else str(frame)
        write(draw, (middle, below + strip.bar + 5), caption, size=TEXT, colour=INK, width=pitch, anchor="ma")
    return row
