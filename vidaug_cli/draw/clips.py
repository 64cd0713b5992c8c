"""Pictures of clips: contact sheets, animations, heat maps.

Under a clip lies a bar with one bin per frame: the own video's colour from below, as high as its share in that frame,
and the partner's above.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from vidaug_cli.data.video.encode import write_video
from vidaug_cli.draw.text import Colour, write
from vidaug_cli.errors import PictureError
from vidaug_cli.files import atomically

SUFFIXES = (".png", ".gif", ".mp4")  # of a contact sheet, and of animations

# Blue and orange of Okabe and Ito's palette, which colour-blind readers tell apart.
OWN: Colour = (0, 114, 178)
PARTNER: Colour = (230, 159, 0)
INK: Colour = (20, 20, 20)
FAINT: Colour = (100, 100, 100)
PAPER: Colour = (255, 255, 255)

MARGIN, GAP, BAR = 16, 4, 24  # pixels
TEXT = 13  # font size
CURVE = 2  # pixels: width of a curve's line, and on either side of it of what sets it off
CAPTION = 22  # pixels under a bar: a tick and a line of text

SLOWEST, FASTEST = 0.1, 240.0  # frames per second that are played; what a manifest says may be anything
FPS = 30.0  # of a clip whose rate is unknown, such as of frame images
TITLE = 16  # font size
HEADING = 46  # pixels above the frames of a row: title, and sources side by side

LONGEST = 20_000  # pictures of an animation; clips whose rates differ by far more skip frames
HUNDREDTHS = 2  # of a second that a picture of a GIF lasts at least: browsers show shorter ones for 10
CELL_HEADING = 60  # pixels above a clip that plays: its title, and its sources one below the other

LEVELS = (0.0, 0.4, 0.7, 1.0)  # of heat, and the colours there: from dark to light, for any eye and in grey
COLOURS = ((0, 0, 0), (120, 0, 60), (220, 60, 0), (255, 230, 60))
COVER = 0.7  # how much of a picture the greatest heat hides


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


def check_suffixes(paths: Sequence[Path]) -> None:
    """Raise VidaugError, before anything is rendered, when the suffix of a path is not one of `SUFFIXES`."""
    if strange := [path for path in paths if path.suffix.lower() not in SUFFIXES]:
        hint = f"end it in {' or '.join(SUFFIXES)}"
        raise PictureError("is not a picture that can be drawn", where=strange[0], hint=hint)


def draw_pictures(
    strips: Sequence[Strip], paths: Sequence[Path], *, columns: int, thumb: int, legend: Legend = LEGEND
) -> Iterator[Path]:
    """Write a contact sheet to each .png and an animation to each other path; yield what was written.

    Raises VidaugError when a file cannot be written.
    """
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".png":
            with atomically(path) as temporary:
                contact_sheet(strips, columns, thumb, legend).save(temporary, "PNG")
        else:
            animate(strips, path)
        yield path


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


def animate(strips: Sequence[Strip], path: Path, columns: int | None = None, thumb: int = 192) -> None:
    """Write the clips playing side by side, each at its own rate: a GIF that loops or MP4, by the suffix of `path`.

    They share a clock that ticks with the frames of the fastest. Clips that end before the longest wait on their last
    frame. A picture of a GIF lasts whole hundredths of a second: the nearest, so that the speed holds.

    Args:
        strips: the clips; they may differ in length, size and rate.
        path: ends in .gif or .mp4.
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
    ticks = max(1, math.ceil(seconds * fps - 1e-6))
    if path.suffix.lower() == ".gif":
        _write_gif(path, picture, fps, ticks, seconds)
    else:
        write_video(path, (np.asarray(picture(tick / fps)) for tick in range(ticks)), fps)


def _still(strip: Strip, thumb: int) -> Image.Image:
    """Return what stays the same while a clip plays: its title, sources and bar."""
    below = CELL_HEADING + draw_frame(strip, 0, thumb).height + GAP
    cell = Image.new("RGB", (thumb, below + strip.bar + CAPTION), PAPER)
    draw = ImageDraw.Draw(cell)
    write(draw, (0, 0), strip.title, size=TEXT, colour=INK, width=thumb)
    for line, (name, colour) in enumerate(strip.sources, 1):
        draw_key(draw, 0, 2 + 18 * line, name, colour, thumb)
    cell.paste(draw_bar(strip, thumb), (0, below))
    return cell


def _cell(still: Image.Image, strip: Strip, frame: int) -> Image.Image:
    cell = still.copy()
    cell.paste(draw_frame(strip, frame, cell.width), (0, CELL_HEADING))
    draw = ImageDraw.Draw(cell)
    now = (frame + 0.5) * cell.width / len(strip.video)
    bottom = cell.height - CAPTION
    draw.line((now, bottom - strip.bar, now, bottom + 3), INK, 5)
    draw.line((now, bottom - strip.bar, now, bottom + 1), PAPER, 3)
    middle = cell.width / 2
    write(draw, (middle, bottom + 5), strip.caption(frame), size=TEXT, colour=INK, width=cell.width, anchor="ma")
    return cell


def _write_gif(path: Path, picture: Callable[[float], Image.Image], fps: float, ticks: int, seconds: float) -> None:
    """Write a picture a tick, but none too soon, with one palette so that what stands still does not flicker.

    `picture` returns what is seen after so many seconds.
    """
    shown = [(0, 0)]  # the ticks that get a picture, and when it comes, in hundredths of a second
    for tick in range(1, ticks):
        if (start := round(100 * tick / fps)) >= shown[-1][1] + HUNDREDTHS:
            shown.append((tick, start))
    frames = [picture(tick / fps) for tick, _ in shown]
    starts = np.array([start for _, start in shown])
    end = max(starts[-1] + HUNDREDTHS, round(100 * seconds))
    few = frames[:: math.ceil(len(frames) / 8)]
    palette = Image.fromarray(np.concatenate([np.asarray(frame) for frame in few])).quantize(252)
    palette.putpalette([*OWN, *PARTNER, *INK, *PAPER, *(palette.getpalette() or [])])
    first, *others = (frame.quantize(palette=palette) for frame in frames)
    durations = (10 * np.diff(starts, append=end)).tolist()
    with atomically(path) as temporary:
        first.save(temporary, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def draw_heat(video: UInt8[np.ndarray, "t h w 3"], heat: Float[np.ndarray, "t h w"]) -> UInt8[np.ndarray, "t h w 3"]:
    """Return the frames under the colours of a heat from 0 to 1: 0 leaves a pixel as it is."""
    colours = np.stack([np.interp(heat, LEVELS, channel) for channel in zip(*COLOURS, strict=True)], -1)
    cover = COVER * heat[..., None]
    return np.asarray(((1 - cover) * video + cover * colours).round(), np.uint8)
