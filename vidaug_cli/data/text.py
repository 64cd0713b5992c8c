"""Text files of others, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vidaug_cli.errors import VidaugError


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """`(place, line)` of each line that is not blank, whatever ends the lines.

    Bytes that are not UTF-8 come as the file system would spell them, so that they still match a file's name.
    """
    try:
        text = path.read_text("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise VidaugError(f"cannot be read: {error.strerror}", where=path) from error
    if "\0" in text:
        raise VidaugError("is not a text file", where=path, hint="give a folder of videos or a list of 'path label'")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{path.name}:{number}", line.strip("\r")


def is_number(word: str) -> bool:
    """A plain one: int() would take other scripts' digits and underscores, and refuse very long ones."""
    return word.isascii() and word.isdecimal() and len(word) < 10
