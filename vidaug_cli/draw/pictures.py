"""Pictures of clips as files, by the suffix of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vidaug_cli.draw import animation
from vidaug_cli.draw.sheet import contact_sheet
from vidaug_cli.draw.strip import LEGEND, Legend, Strip
from vidaug_cli.errors import VidaugError
from vidaug_cli.files import atomically

SUFFIXES = (".png", *animation.FORMATS)


def check_suffixes(paths: Sequence[Path]) -> None:
    """Raise VidaugError, before anything is rendered, when the suffix of a path is not one of `SUFFIXES`."""
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            hint = f"end it in {' or '.join(SUFFIXES)}"
            raise VidaugError("is not a picture that can be drawn", where=path, hint=hint)


def draw_pictures(
    strips: Sequence[Strip], paths: Sequence[Path], *, columns: int, thumb: int, legend: Legend = LEGEND
) -> Iterator[Path]:
    """Write a contact sheet to each .png and an animation to each other path; yield what was written.

    Raises VidaugError when a file cannot be written.
    """
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in animation.FORMATS:
            animation.animate(strips, path)
        else:
            with atomically(path) as temporary:
                contact_sheet(strips, columns, thumb, legend).save(temporary, "PNG")
        yield path
