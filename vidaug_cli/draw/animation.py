"""Clips playing side by side, as a GIF or MP4."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vidaug_cli.data.video.encode import write_video
from vidaug_cli.draw.colours import INK, OWN, PAPER, PARTNER
from vidaug_cli.draw.strip import CAPTION, GAP, MARGIN, TEXT, Strip, draw_bar, draw_frame, draw_key
from vidaug_cli.draw.text import write
from vidaug_cli.files import atomically

LONGEST = 20_000  # pictures of an animation; clips whose rates differ by far more skip frames
HUNDREDTHS = 2  # of a second that a picture of a GIF lasts at least: browsers show shorter ones for 10
HEADING = 60  # pixels above a clip: its title, and its sources one below the other

Picture = Callable[[float], Image.Image]  # what is seen after so many seconds


def animate(strips: Sequence[Strip], path: Path, columns: int | None = None, thumb: int = 192) -> None:
    """Write the clips playing side by side, each at its own rate: a GIF that loops or MP4, by the suffix of `path`.

    They share a clock that ticks with the frames of the fastest. Clips that end before the longest wait on their last
    frame. A picture of a GIF lasts whole hundredths of a second: the nearest, so that the speed holds.

    Args:
        strips: the clips; they may differ in length, size and rate.
        path: ends in one of `FORMATS`.
        columns: clips beside each other; None: what makes a square, 4 at most.
        thumb: width of a clip in pixels.

    Raises VidaugError when the file cannot be written.
    """
    columns = columns or min(4, math.ceil(math.sqrt(len(strips))))
    cells = [_still(strip, thumb) for strip in strips]
    pitch = thumb + MARGIN, max(cell.height for cell in cells) + MARGIN
    size = columns * pitch[0] + MARGIN, math.ceil(len(strips) / columns) * pitch[1] + MARGIN
    grid = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), PAPER)  # H.264 takes even sizes only
    places = [(MARGIN + n % columns * pitch[0], MARGIN + n // columns * pitch[1]) for n in range(len(strips))]

    def picture(seconds: float) -> Image.Image:
        for strip, cell, place in zip(strips, cells, places, strict=True):
            frame = math.floor(seconds * strip.rate + 1e-6)
            grid.paste(_cell(cell, strip, min(frame, len(strip.video) - 1)), place)
        return grid.copy()

    seconds = max(len(strip.video) / strip.rate for strip in strips)
    fps = min(max(strip.rate for strip in strips), LONGEST / seconds)
    FORMATS[path.suffix.lower()](path, picture, fps, max(1, math.ceil(seconds * fps - 1e-6)), seconds)


def _still(strip: Strip, thumb: int) -> Image.Image:
    """Return what stays the same while a clip plays: its title, sources and bar."""
    below = HEADING + draw_frame(strip, 0, thumb).height + GAP
    cell = Image.new("RGB", (thumb, below + strip.bar + CAPTION), PAPER)
    draw = ImageDraw.Draw(cell)
    write(draw, (0, 0), strip.title, size=TEXT, colour=INK, width=thumb)
    for line, (name, colour) in enumerate(strip.sources, 1):
        draw_key(draw, 0, 2 + 18 * line, name, colour, thumb)
    cell.paste(draw_bar(strip, thumb), (0, below))
    return cell


def _cell(still: Image.Image, strip: Strip, frame: int) -> Image.Image:
    cell = still.copy()
    cell.paste(draw_frame(strip, frame, cell.width), (0, HEADING))
    draw = ImageDraw.Draw(cell)
    now = (frame + 0.5) * cell.width / len(strip.video)
    bottom = cell.height - CAPTION
    draw.line((now, bottom - strip.bar, now, bottom + 3), INK, 5)
    draw.line((now, bottom - strip.bar, now, bottom + 1), PAPER, 3)
    middle = cell.width / 2
    write(draw, (middle, bottom + 5), strip.caption(frame), size=TEXT, colour=INK, width=cell.width, anchor="ma")
    return cell


def _write_gif(path: Path, picture: Picture, fps: float, ticks: int, seconds: float) -> None:
    """Write a picture a tick, but none too soon, with one palette so that what stands still does not flicker."""
    shown = [(0, 0)]  # the ticks that get a picture, and when it comes, in hundredths of a second
    for tick in range(1, ticks):
        if (start := round(100 * tick / fps)) >= shown[-1][1] + HUNDREDTHS:
            shown.append((tick, start))
    frames = [picture(tick / fps) for tick, _ in shown]
    starts = np.array([start for _, start in shown])
    end = max(starts[-1] + HUNDREDTHS, round(100 * seconds))
    few = frames[:: math.ceil(len(frames) / 8)]
    montage = Image.fromarray(np.concatenate([np.asarray(frame) for frame in few]))
    palette = montage.quantize(252)
    palette.putpalette([*OWN, *PARTNER, *INK, *PAPER, *(palette.getpalette() or [])])
    first, *others = (frame.quantize(palette=palette) for frame in frames)
    durations = (10 * np.diff(starts, append=end)).tolist()
    with atomically(path) as temporary:
        first.save(temporary, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def _write_mp4(path: Path, picture: Picture, fps: float, ticks: int, seconds: float) -> None:
    write_video(path, (np.asarray(picture(tick / fps)) for tick in range(ticks)), fps)


FORMATS: dict[str, Callable[[Path, Picture, float, int, float], None]] = {".gif": _write_gif, ".mp4": _write_mp4}
