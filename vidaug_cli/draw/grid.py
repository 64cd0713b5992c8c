"""A sheet of single pictures with a few words under each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from vidaug_cli.draw.clips import GAP, MARGIN, PAPER
from vidaug_cli.draw.text import FAINT, INK, TEXT, Colour, write
from vidaug_cli.files import atomically

COLUMNS, THUMB = 6, 176  # pictures beside each other, and pixels that one is wide
LINE = TEXT + 5  # pixels from a line of text to the next
NARROWEST = 0.5  # width of a picture for its height: narrower ones get bars at their sides
EMPTY: Colour = (225, 225, 225)  # where a picture is missing
WRONG: Colour = (178, 60, 0)  # dark enough to read on paper


class Cell(NamedTuple):
    """One picture and its words."""

    picture: UInt8[np.ndarray, "h w 3"] | None  # None: there is none
    aspect: float  # width of the picture for its height, as it is to be seen
    title: str
    text: str
    name: str
    missing: str = ""  # why there is no picture


def picture_grid(cells: Sequence[Cell], columns: int = COLUMNS, thumb: int = THUMB) -> Image.Image:
    """Return the cells in rows from left to right, those of a row as high as its highest picture."""
    rows = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    heights = [max(_height(cell, thumb) for cell in row) for row in rows]
    pitch = thumb + MARGIN
    below = GAP + 3 * LINE + MARGIN
    width = min(columns, max(1, len(cells))) * pitch + MARGIN
    sheet = Image.new("RGB", (width, sum(height + below for height in heights) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for place, cell in enumerate(row):
            left = MARGIN + place * pitch
            draw.rectangle((left, top, left + thumb - 1, top + height - 1), EMPTY)
            if cell.picture is not None:
                seen = Image.fromarray(cell.picture).resize(_size(cell, thumb), Image.Resampling.LANCZOS)
                sheet.paste(seen, (left + (thumb - seen.width) // 2, top + (height - seen.height) // 2))
            else:
                write(draw, (left + GAP, top + GAP), cell.missing, size=TEXT, colour=INK, width=thumb - 2 * GAP)
            lines = ((cell.title, INK), (cell.text, WRONG), (cell.name, FAINT))
            for number, (line, colour) in enumerate(lines):
                write(draw, (left, top + height + GAP + number * LINE), line, size=TEXT, colour=colour, width=thumb)
        top += height + below
    return sheet


def write_grid(cells: Sequence[Cell], path: Path) -> None:
    """Write a sheet as PNG. Raises VidaugError when the file cannot be written."""
    with atomically(path) as temporary:
        picture_grid(cells).save(temporary, "PNG")


def _size(cell: Cell, thumb: int) -> tuple[int, int]:
    """Return width and height at which a picture is drawn: as wide as its cell, or as high as the narrowest."""
    height = thumb / NARROWEST if cell.aspect < NARROWEST else thumb / cell.aspect
    return max(1, round(min(thumb, height * cell.aspect))), max(1, round(height))


def _height(cell: Cell, thumb: int) -> int:
    return _size(cell, thumb)[1] if cell.picture is not None else thumb // 2
