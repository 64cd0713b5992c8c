"""Contact sheets: a row of frames for each clip, over the weights of all its frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from vidaug_cli.draw.clips import (
    GAP,
    HEADING,
    LEGEND,
    LINE,
    MARGIN,
    OWN,
    PAPER,
    PARTNER,
    Clip,
    Legend,
    Strip,
    draw_bar,
    draw_frame,
    draw_line,
)
from vidaug_cli.draw.text import FAINT, INK, TEXT, TITLE, Colour, Word, write, write_words
from vidaug_cli.words import MINUS

NARROWEST = 420  # pixels of a row at least: words need room, however small the frames are
GUTTER = 70  # pixels left of a row whose bar has an axis: −1.23e−05 has room there
TICK = 4  # pixels from a bar down to the number of a frame
CAPTION = 18  # pixels of such a number
LINED = 3  # pixels: height of the line under the frames of an original, in its colour


def contact_sheet(
    strips: Sequence[Strip],
    columns: int = 8,
    thumb: int = 128,
    legend: Legend = LEGEND,
    *,
    across: int = 1,
    heads: Sequence[str] = (),
) -> Image.Image:
    """Return a row for each clip: frames spread evenly from first to last, and the weights of all frames under them.

    Each shown frame stands over its own time in the bar. Between two of them the time runs evenly.

    Args:
        strips: the clips; they may differ in length and size.
        columns: frames of a clip to show; all of them where it has fewer.
        thumb: width of a shown frame in pixels; its height keeps the clip's proportions.
        legend: what the colours stand for.
        across: clips beside each other.
        heads: what stands above each of these columns of clips.
    """
    width = max(NARROWEST, columns * (thumb + GAP) - GAP)
    gutter = GUTTER if any(strip.curve is not None for strip in strips) else 0
    pitch = width + gutter + 2 * MARGIN
    whole = across * pitch - 2 * MARGIN
    lines = [[each] for each in (_legend(strips, legend, whole, gutter), _heads(heads, pitch, whole)) if each]
    for first in range(0, len(strips), across):
        row = strips[first : first + across]
        lines.append([_row(strip, columns, thumb, width, gutter, max(map(_lines, row))) for strip in row])
    heights = [max(cell.height for cell in line) for line in lines]
    sheet = Image.new("RGB", (whole + 2 * MARGIN, sum(heights) + MARGIN * (len(lines) + 1)), PAPER)
    top = MARGIN
    for line, height in zip(lines, heights, strict=True):
        for place, cell in enumerate(line):
            sheet.paste(cell, (MARGIN + place * pitch, top))
        top += height + MARGIN
    return sheet


def _lines(strip: Strip) -> int:
    """Return how many lines the videos of a clip take: one for both, unless their ops are told."""
    sources = [source for source, _ in strip.sources]
    return len(sources) if any(source.ops for source in sources) else 1


def _legend(strips: Sequence[Strip], legend: Legend, width: int, gutter: int) -> Image.Image | None:
    """Return the line that says what colours stand for; None where there are none."""
    if not any(strip.bar for strip in strips):
        return None
    picture = Image.new("RGB", (width, LINE), PAPER)
    draw = ImageDraw.Draw(picture)
    left = gutter
    for name, colour in ((legend.own, OWN), (legend.partner, PARTNER)):
        left += draw_line(draw, (left, 0), [Word(name)], colour, width - left) + MARGIN
    originals = any(source.original is not None for strip in strips for source, _ in strip.sources)
    text = legend.text + "; with a line below: before anything was done" * originals
    write(draw, (left, 0), text, size=TEXT, colour=FAINT, width=width - left)
    return picture


def _heads(heads: Sequence[str], pitch: int, width: int) -> Image.Image | None:
    if not heads:
        return None
    picture = Image.new("RGB", (width, HEADING), PAPER)
    draw = ImageDraw.Draw(picture)
    for place, head in enumerate(heads):
        write(draw, (place * pitch, 0), head, size=TITLE, colour=INK, width=pitch - MARGIN)
        draw.line((place * pitch, HEADING - 2, min(width, (place + 1) * pitch - 2 * MARGIN), HEADING - 2), FAINT)
    return picture


def _row(strip: Strip, columns: int, thumb: int, width: int, gutter: int, lines: int) -> Image.Image:
    """Return a clip, with what stands above and below it, `width` pixels wide beside its gutter.

    `lines` is how many there are for its videos.
    """
    last = len(strip.video) - 1
    shown = np.linspace(0, last, min(columns, last + 1)).round().astype(int).tolist()
    originals = [(source.original, colour) for source, colour in strip.sources if source.original is not None]
    height = draw_frame(strip.video, 0, thumb).height
    above = HEADING + LINE * lines
    below = above + len(originals) * (height + LINED + GAP) + height
    row = Image.new("RGB", (gutter + width, below + GAP + strip.bar + TICK * bool(strip.bar) + CAPTION), PAPER)
    draw = ImageDraw.Draw(row)

    words = [*strip.heading, Word(strip.note, colour=FAINT)]
    write_words(draw, (gutter, 0), words, size=TITLE, width=width)
    sources = list(strip.sources)
    beside = len(sources) // _lines(strip)
    for place, (source, colour) in enumerate(sources):
        line, column = divmod(place, beside)
        room = (width + MARGIN) / beside
        words = [Word(source.name), Word(source.ops, colour=FAINT)]
        draw_line(draw, (gutter + column * room, HEADING - 2 + line * LINE), words, colour, room - MARGIN)

    top = above
    for original, colour in originals:
        _frames(row, original, shown, thumb, (gutter, top), colour)
        top += height + LINED + GAP
    _frames(row, strip.video, shown, thumb, (gutter, top))

    pitch, bar_top = thumb + GAP, below + GAP
    if strip.bar:
        row.paste(draw_bar(strip, _times(shown, pitch, thumb)), (gutter, bar_top))
    if strip.curve is not None:
        for value, y, anchor in ((strip.scale[1], bar_top - 3, "ra"), (strip.scale[0], bar_top + strip.bar + 3, "rd")):
            write(draw, (gutter - 6, y), _number(value), size=TEXT, colour=FAINT, width=gutter - 6, anchor=anchor)
    for column, frame in enumerate(shown):
        middle, base = gutter + column * pitch + thumb / 2, bar_top + strip.bar
        if strip.bar:
            draw.line((middle, base, middle, base + TICK - 1), INK)
        caption = strip.caption(frame) if thumb >= 64 else str(frame)
        foot = base + TICK * bool(strip.bar) - 1
        write(draw, (middle, foot), caption, size=TEXT, colour=INK, width=pitch, anchor="ma")
    return row


def _frames(
    row: Image.Image, video: Clip, shown: Sequence[int], thumb: int, place: tuple[int, int], line: Colour | None = None
) -> None:
    """Put frames beside each other, with a line under them that says whose they are."""
    for column, frame in enumerate(shown):
        left = place[0] + column * (thumb + GAP)
        row.paste(picture := draw_frame(video, frame, thumb), (left, place[1]))
        if line:
            bottom = place[1] + picture.height
            row.paste(line, (left, bottom, left + thumb, bottom + LINED))


def _times(shown: Sequence[int], pitch: int, thumb: int) -> Float[np.ndarray, " w"]:
    """Return the time in frames of each column of pixels: that of a shown frame under its middle.

    The first and the last frame fill what is left to the edges of their pictures.
    """
    middles = np.arange(len(shown)) * pitch + (thumb - 1) / 2
    return np.interp(np.arange((len(shown) - 1) * pitch + thumb), middles, shown)


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", MINUS)
