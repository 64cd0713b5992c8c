"""Any text, a file name in any script too, drawn legibly within a given width."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from functools import cache
from itertools import chain

from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Pillow's own font, always there, has little beyond ASCII. These are common on Linux, macOS and Windows.
WIDER_FONTS = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc")


def write(
    draw: ImageDraw.ImageDraw, place: Point, text: str, *, size: int, colour: Colour, width: float, anchor: str = "la"
) -> int:
    """Draw one line of text, shortened in the middle to `width` pixels; return the pixels it takes.

    `anchor` is Pillow's: which point of the text lies at `place`. A character that no font at hand has is drawn as its
    plain letter, or as Python escapes it.
    """
    font = min(_fonts(size), key=lambda font: sum(not _has(font, character) for character in text))
    line = shorten("".join(c if _has(font, c) else _plain(font, c) for c in text), font, width)
    draw.text(place, line, fill=colour, font=font, anchor=anchor)
    return round(font.getlength(line))


def shorten(text: str, font: Font, width: float) -> str:
    """Return `text`, or as much of its two ends as fits into `width` pixels with an ellipsis between them."""
    shorter = (f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}" for kept in range(len(text) - 1, 0, -1))
    return next((line for line in chain([text], shorter) if font.getlength(line) <= width), "")


@cache
def _fonts(size: int) -> list[Font]:
    fonts: list[Font] = [ImageFont.load_default(size)]
    for name in WIDER_FONTS:
        with suppress(OSError):  # not on this machine
            fonts.append(ImageFont.truetype(name, size))
    return fonts


@cache
def _has(font: Font, character: str) -> bool:
    """Return whether the font has a glyph of its own for it, other than the "missing" one that U+10FFFF gets."""
    return character.isprintable() and bytes(font.getmask(character)) != bytes(font.getmask("\U0010ffff"))


def _plain(font: Font, character: str) -> str:
    """Return the letter without its marks, or what Python writes for it."""
    letter = unicodedata.normalize("NFKD", character)[0]
    return letter if _has(font, letter) else character.encode("unicode_escape").decode()
