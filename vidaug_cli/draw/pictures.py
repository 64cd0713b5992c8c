"""Pictures of clips in files: which kinds there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vidaug_cli.draw.animation import animate
from vidaug_cli.draw.clips import LEGEND, Legend, Strip
from vidaug_cli.draw.sheet import contact_sheet
from vidaug_cli.errors import PictureError
from vidaug_cli.files import atomically
from vidaug_cli.words import either

SUFFIXES = (".png", ".gif", ".webp", ".mp4")  # of a contact sheet, and of animations


def check_suffixes(paths: Sequence[Path]) -> None:
    """Raise VidaugError, before anything is rendered, when the suffix of a path is not one of `SUFFIXES`."""
    if strange := [path for path in paths if path.suffix.lower() not in SUFFIXES]:
        hint = f"end it in {either(SUFFIXES)}"
        raise PictureError("is not a picture that can be drawn", where=strange[0], hint=hint)


def draw_pictures(
    strips: Sequence[Strip],
    paths: Sequence[Path],
    *,
    columns: int,
    thumb: int,
    legend: Legend = LEGEND,
    heads: Sequence[str] = (),
) -> Iterator[Path]:
    """Write a contact sheet to each .png and an animation to each other path; yield what was written.

    With `heads`, as many clips lie side by side, and these words stand above them. Raises VidaugError when a file
    cannot be written.
    """
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".png":
            sheet = contact_sheet(strips, columns, thumb, legend, across=len(heads) or 1, heads=heads)
            with atomically(path) as temporary:
                sheet.save(temporary, "PNG")
        else:
            animate(strips, path, len(heads) or None, heads=heads)
        yield path
