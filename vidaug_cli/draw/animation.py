"""Clips playing side by side, as a GIF or MP4."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vidaug_cli.data.video.encode import write_video
from vidaug_cli.draw.sheet import (
    CAPTION,
    CELL_HEADING,
    GAP,
    INK,
    MARGIN,
    OWN,
    PAPER,
    PARTNER,
    TEXT,
    Strip,
    _bar,
    _thumb,
    _write_key,
)
from vidaug_cli.draw.text import write
from vidaug_cli.errors import VidaugError

LONGEST = 20_000  # pictures of an animation; clips whose rates differ by far more skip frames


HUNDREDTHS = 2  # of a second that a picture of a GIF lasts at least: browsers take less for 10


def animate(strips: Sequence[Strip], path: Path, columns: int | None = None, thumb: int = 192) -> None:
    """Write the clips playing side by side, each at its own rate: a GIF that loops or MP4, by the suffix of `path`.

    They share a clock that ticks with the frames of the fastest. Clips that end before the longest wait on their last
    frame. A picture of a GIF lasts whole hundredths of a second: the nearest, so that the speed holds.

    Args:
        strips: the clips; they may differ in length, size and rate.
        columns: clips beside each other; None: what makes a square, 4 at most.
        thumb: width of a clip in pixels.

    Raises VidaugError for another suffix, and when the file cannot be written.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise VidaugError("is neither .gif nor .mp4", where=path, hint="name a file with one of these suffixes")
    columns = columns or min(4, math.ceil(math.sqrt(len(strips))))
    cells = [_blank_cell(strip, thumb) for strip in strips]
    pitch = thumb + MARGIN, max(cell.height for cell in cells) + MARGIN
    size = columns * pitch[0] + MARGIN, math.ceil(len(strips) / columns) * pitch[1] + MARGIN
    grid = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), PAPER)  # H.264 takes even sizes only
    places = [(MARGIN + n % columns * pitch[0], MARGIN + n // columns * pitch[1]) for n in range(len(strips))]

    def picture(seconds: float) -> Image.Image:
        for strip, cell, place in zip(strips, cells, places, strict=True):
            frame = math.floor(seconds * strip.rate + 1e-6)
            grid.paste(_cell(cell, strip, min(frame, len(strip.video) - 1)), place)
        return grid.copy()

    lasts = max(len(strip.video) / strip.rate for strip in strips)
    writer(path, picture, min(max(strip.rate for strip in strips), LONGEST / lasts), lasts)


def _blank_cell(strip: Strip, thumb: int) -> Image.Image:
    """What stays the same while a clip plays: its title, sources and bar."""
    below = CELL_HEADING + _thumb(strip, 0, thumb).height + GAP
    cell = Image.new("RGB", (thumb, below + strip.bar + CAPTION), PAPER)
    draw = ImageDraw.Draw(cell)
    write(draw, (0, 0), strip.title, size=TEXT, colour=INK, width=thumb)
    for line, (name, colour) in enumerate(strip.sources, 1):
        _write_key(draw, 0, 2 + 18 * line, name, colour, thumb)
    cell.paste(_bar(strip, thumb), (0, below))
    return cell


def _cell(blank: Image.Image, strip: Strip, frame: int) -> Image.Image:
    cell = blank.copy()
    cell.paste(_thumb(strip, frame, cell.width), (0, CELL_HEADING))
    draw = ImageDraw.Draw(cell)
    now = (frame + 0.5) * cell.width / len(strip.video)
    bottom = cell.height - CAPTION
    draw.line((now, bottom - strip.bar, now, bottom + 3), INK, 5)
    draw.line((now, bottom - strip.bar, now, bottom + 1), PAPER, 3)
    middle = cell.width / 2
    write(draw, (middle, bottom + 5), strip.caption(frame), size=TEXT, colour=INK, width=cell.width, anchor="ma")
    return cell


Picture = Callable[[float], Image.Image]  # what is seen after so many seconds


def _write_gif(path: Path, picture: Picture, fps: float, seconds: float) -> None:
    """One palette for all frames, so that what stands still does not flicker: ours, and those found."""
    shown = [(0, 0)]  # the ticks that get a picture, and when it comes, in hundredths of a second
    for tick in range(1, _ticks(fps, seconds)):
        if (start := round(100 * tick / fps)) >= shown[-1][1] + HUNDREDTHS:
            shown.append((tick, start))
    frames = [picture(tick / fps) for tick, _ in shown]
    starts = [start for _, start in shown]
    ends = [*starts[1:], max(starts[-1] + HUNDREDTHS, round(100 * seconds))]
    lasting = [10 * (end - start) for start, end in zip(starts, ends, strict=True)]
    few = frames[:: math.ceil(len(frames) / 8)]
    montage = Image.new("RGB", (few[0].width, sum(frame.height for frame in few)))
    for number, frame in enumerate(few):
        montage.paste(frame, (0, number * frame.height))
    palette = montage.quantize(252)
    palette.putpalette([*OWN, *PARTNER, *INK, *PAPER, *(palette.getpalette() or [])])
    indexed = [frame.quantize(palette=palette) for frame in frames]
    try:
        indexed[0].save(path, save_all=True, append_images=indexed[1:], duration=lasting, loop=0)
    except OSError as error:
        raise VidaugError(f"cannot be written: {error.strerror or error}", where=path) from error


def _write_mp4(path: Path, picture: Picture, fps: float, seconds: float) -> None:
    write_video(path, (np.asarray(picture(tick / fps)) for tick in range(_ticks(fps, seconds))), fps)


def _ticks(fps: float, seconds: float) -> int:
    return max(1, math.ceil(seconds * fps - 1e-6))


_WRITERS: dict[str, Callable[[Path, Picture, float, float], None]] = {".gif": _write_gif, ".mp4": _write_mp4}
