"""Clips playing side by side: GIF, WebP or MP4."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from vidaug_cli.data.video.encode import write_video
from vidaug_cli.draw.clips import (
    BAR,
    GAP,
    HEADING,
    LINE,
    MARGIN,
    OWN,
    PAPER,
    PARTNER,
    Strip,
    draw_bar,
    draw_frame,
    draw_line,
)
from vidaug_cli.draw.text import FAINT, INK, TEXT, TITLE, Colour, Word, write
from vidaug_cli.files import atomically

LONGEST = 20_000  # pictures of an animation; clips whose rates differ by far more skip frames
HUNDREDTHS = 2  # of a second that a picture of a GIF lasts at least: browsers show shorter ones for 10
TICK, CAPTION = 4, 18  # pixels under a bar: the marker's foot, and a line of text


def animate(
    strips: Sequence[Strip],
    path: Path,
    columns: int | None = None,
    thumb: int = 192,
    *,
    heads: Sequence[str] = (),
) -> None:
    """Write the clips playing side by side, each at its own rate: a GIF or WebP that loops, or MP4, as `path` ends.

    They share a clock that ticks with the frames of the fastest. Clips that end before the longest wait on their last
    frame. A picture of a GIF lasts whole hundredths of a second: the nearest, so that the speed holds.

    Args:
        strips: the clips; they may differ in length, size and rate.
        path: ends in .gif, .webp or .mp4.
        columns: clips beside each other; None: up to three, or what makes a square, 4 at most.
        thumb: width of a clip in pixels.
        heads: what stands above each column.

    Raises VidaugError when the file cannot be written.
    """
    columns = columns or (len(strips) if len(strips) <= 3 else min(4, math.ceil(math.sqrt(len(strips)))))
    told = [_told(strip, noted=not heads) for strip in strips]
    above = LINE * max(map(len, told)) + GAP  # pixels above the frames
    cells = [_still(strip, lines, thumb, above) for strip, lines in zip(strips, told, strict=True)]
    pitch = thumb + MARGIN, max(cell.height for cell in cells) + MARGIN
    top = MARGIN + (HEADING + GAP if heads else 0)
    size = columns * pitch[0] + MARGIN, math.ceil(len(strips) / columns) * pitch[1] + top
    grid = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), PAPER)  # H.264 takes even sizes only
    for place, head in enumerate(heads):
        left = MARGIN + place * pitch[0]
        write(ImageDraw.Draw(grid), (left, MARGIN), head, size=TITLE, colour=INK, width=thumb)
    places = [(MARGIN + n % columns * pitch[0], top + n // columns * pitch[1]) for n in range(len(strips))]

    def picture(seconds: float) -> Image.Image:
        for strip, cell, place in zip(strips, cells, places, strict=True):
            frame = math.floor(seconds * strip.rate + 1e-6)
            grid.paste(_cell(cell, strip, min(frame, len(strip.video) - 1), above), place)
        return grid.copy()

    seconds = max(len(strip.video) / strip.rate for strip in strips)
    fps = min(max(strip.rate for strip in strips), LONGEST / seconds)
    ticks = max(1, math.ceil(seconds * fps - 1e-6))
    if path.suffix.lower() == ".mp4":
        write_video(path, (np.asarray(picture(tick / fps)) for tick in range(ticks)), fps)
    else:
        _write_loop(path, picture, fps, ticks, seconds)


def _told(strip: Strip, noted: bool) -> list[tuple[Sequence[Word], Colour | None]]:
    """Return the lines above a clip, and the colours of their swatches."""
    note = [([Word(strip.note, colour=FAINT)], None)] if noted and strip.note else []
    return [(strip.heading, None), *note, *(([Word(source.name)], colour) for source, colour in strip.sources)]


def _still(strip: Strip, lines: Sequence[tuple[Sequence[Word], Colour | None]], thumb: int, above: int) -> Image.Image:
    """Return what stays the same while a clip plays: the lines above it, and its bar."""
    below = above + draw_frame(strip.video, 0, thumb).height + GAP
    cell = Image.new("RGB", (thumb, below + (strip.bar or BAR) + TICK + CAPTION), PAPER)
    draw = ImageDraw.Draw(cell)
    for line, (words, colour) in enumerate(lines):
        draw_line(draw, (0, line * LINE), words, colour, thumb)
    frames = len(strip.video)
    cell.paste(draw_bar(strip, (np.arange(thumb) + 0.5) * frames / thumb - 0.5), (0, below))
    return cell


def _cell(still: Image.Image, strip: Strip, frame: int, above: int) -> Image.Image:
    cell = still.copy()
    cell.paste(draw_frame(strip.video, frame, cell.width), (0, above))
    draw = ImageDraw.Draw(cell)
    now = (frame + 0.5) * cell.width / len(strip.video)
    bottom = cell.height - CAPTION - TICK
    draw.line((now, bottom - (strip.bar or BAR), now, bottom + TICK - 1), INK, 5)
    draw.line((now, bottom - (strip.bar or BAR), now, bottom + TICK - 3), PAPER, 3)
    middle = cell.width / 2, bottom + TICK - 1
    write(draw, middle, strip.caption(frame), size=TEXT, colour=INK, width=cell.width, anchor="ma")
    return cell


def _write_loop(path: Path, picture: Callable[[float], Image.Image], fps: float, ticks: int, seconds: float) -> None:
    """Write a picture a tick, but none too soon. `picture` returns what is seen after so many seconds."""
    shown = [(0, 0)]  # the ticks that get a picture, and when it comes, in hundredths of a second
    for tick in range(1, ticks):
        if (start := round(100 * tick / fps)) >= shown[-1][1] + HUNDREDTHS:
            shown.append((tick, start))
    starts = np.array([start for _, start in shown])
    end = max(starts[-1] + HUNDREDTHS, round(100 * seconds))
    durations = (10 * np.diff(starts, append=end)).tolist()
    frames = [picture(tick / fps) for tick, _ in shown]
    kind: dict[str, Any] = {"format": "WEBP", "quality": 80, "method": 4}
    if path.suffix.lower() == ".gif":
        frames, kind = list(_one_palette(frames)), {"format": "GIF"}
    with atomically(path) as temporary:
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=durations, loop=0, **kind)


def _one_palette(frames: Sequence[Image.Image]) -> Iterator[Image.Image]:
    """Yield the pictures with one palette for all, so that what stands still does not flicker."""
    few = frames[:: math.ceil(len(frames) / 8)]
    palette = Image.fromarray(np.concatenate([np.asarray(frame) for frame in few])).quantize(252)
    palette.putpalette([*OWN, *PARTNER, *INK, *PAPER, *(palette.getpalette() or [])])
    return (frame.quantize(palette=palette) for frame in frames)
