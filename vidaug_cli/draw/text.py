"""Any text, a file name in any script too, drawn legibly within a given width."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from PIL import ImageDraw, ImageFont

from vidaug_cli.words import stand_ins

Colour = tuple[int, int, int]
Point = tuple[float, float]
Font = ImageFont.FreeTypeFont

INK: Colour = (20, 20, 20)
FAINT: Colour = (96, 96, 96)
TITLE, TEXT = 15, 13  # sizes in pixels: there are no others
ASCENT = 1.07  # height of a line above its letters' feet, for their size: that of our font
BETWEEN = 8  # pixels from a word of a line to the next

# Noto Sans as tools/make_font.py cuts it down to the letters of Latin, Greek and Cyrillic: the same on every machine.
OURS = Path(__file__).with_name("NotoSans.ttf")
# What Linux, macOS and Windows have for other scripts, asked for only where a text has such letters.
WIDER_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJK.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "DroidSansFallbackFull.ttf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "ipag.ttf",
    "Arial Unicode.ttf",
    "DejaVuSans.ttf",
)


class Word(NamedTuple):
    """A part of a line: what may be shortened in its middle, and what then stays, such as a percentage."""

    text: str
    end: str = ""
    colour: Colour = INK


def write(
    draw: ImageDraw.ImageDraw, place: Point, text: str, *, size: int, colour: Colour, width: float, anchor: str = "la"
) -> int:
    """Draw one line of text, shortened in the middle to `width` pixels; return the pixels it takes.

    `anchor` is Pillow's: which point of the text lies at `place`. A character that no font at hand has is drawn as its
    plain letter, or as Python escapes it.
    """
    font, text = _legible(text, size)
    line = shorten(text, font, width)
    if anchor[1] == "a":
        place, anchor = _on_line(place, size), f"{anchor[0]}s"
    draw.text(place, line, fill=colour, font=font, anchor=anchor)
    return round(font.getlength(line))


def write_words(draw: ImageDraw.ImageDraw, place: Point, words: Sequence[Word], *, size: int, width: float) -> int:
    """Draw words one after the other; return the pixels they take, `width` at most.

    Where there is no room for all, the longest are shortened, to one length, in the middle and not in their ends. Empty
    words take no room.
    """
    words = [word for word in words if word.text or word.end]
    fonts = [(_legible(word.text, size), _legible(word.end, size)) for word in words]
    kept = [at_end.getlength(end) for _, (at_end, end) in fonts]
    spare = width - BETWEEN * (len(words) - 1) - sum(kept)
    rooms = _shares([font.getlength(text) for (font, text), _ in fonts], spare)
    left = taken = 0.0
    for word, ((font, text), (at_end, end)), room in zip(words, fonts, rooms, strict=True):
        text, end = shorten(text, font, room), shorten(end, at_end, width - left)
        for part, with_font in ((text, font), (end, at_end)):
            draw.text(_on_line((place[0] + left, place[1]), size), part, fill=word.colour, font=with_font, anchor="ls")
            left += with_font.getlength(part)
            taken = left if part else taken
        left += BETWEEN
    return round(taken)


def shorten(text: str, font: Font, width: float) -> str:
    """Return `text`, or as much of its two ends as fits into `width` pixels with an ellipsis between them."""
    shorter = (f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}" for kept in range(len(text) - 1, 0, -1))
    return next((line for line in chain([text], shorter) if font.getlength(line) <= width), "")


def _on_line(place: Point, size: int) -> Point:
    """Return where the letters of a line stand whose top is at `place`: the same for fonts of all heights."""
    return place[0], place[1] + round(ASCENT * size)


def _shares(wanted: Sequence[float], width: float) -> list[float]:
    """Return how many pixels each gets of `width`: what it wants, or as much as every other that wants more."""
    shares, left = [0.0] * len(wanted), max(0.0, width)
    for done, number in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[number] = min(wanted[number], left / (len(wanted) - done))
        left -= shares[number]
    return shares


def _legible(text: str, size: int) -> tuple[Font, str]:
    """Return the first font that has the most of a text's letters, and the text with a stand-in for the others."""

    def lacks(font: Font) -> int:
        return sum(not _has(font, character) for character in text)

    fonts = filter(None, (_font(name, size) for name in (str(OURS), *WIDER_FONTS)))
    font = next(fonts)
    if lacks(font):
        font = min(chain([font], fonts), key=lacks)
    return font, stand_ins(text, partial(_has, font))


@cache
def _font(name: str, size: int) -> Font | None:
    with suppress(OSError):  # not on this machine
        return ImageFont.truetype(name, size)
    return None


@cache
def _has(font: Font, character: str) -> bool:
    """Return whether the font has a glyph of its own for it, other than the "missing" one that U+10FFFF gets."""
    plain = _unshaped(font)
    return character.isprintable() and bytes(plain.getmask(character)) != bytes(plain.getmask("\U0010ffff"))


@cache
def _unshaped(font: Font) -> Font:
    """Return the font without a layout that puts a dotted circle under a mark, be the mark missing or not."""
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)
