"""Text files of others, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vidaug_cli.errors import VidaugError
from vidaug_cli.words import cut

LONGEST = 100_000  # characters of a line


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield `(place, line)` of each line that is not blank, whatever ends the lines.

    Bytes that are not UTF-8 come as the file system would spell them, so that they still match a file's name.

    Raises VidaugError where it cannot be read, or is not UTF-8 text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VidaugError(f"cannot be read: {error.strerror}", where=path) from error
    yield from split_lines(content, path)


def split_lines(content: bytes, path: Path) -> Iterator[tuple[str, str]]:
    """Yield what `read_lines` does, of a text that was read already; `path` is what errors call it."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise VidaugError("is UTF-16 text", where=path, hint="save it as UTF-8")
    if content.endswith(b"\0") and b"\n" not in content:
        content = content.replace(b"\0", b"\n")  # as `find -print0` ends its paths
    text = content.decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise VidaugError("is not a text file", where=path, hint="give a folder of videos or a list of 'path label'")
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if len(line) > LONGEST:
            what = f"a line of {len(line)} characters, which begins {cut(ascii(line[:200]))}"
            raise VidaugError(what, where=f"{path.name}:{number}", hint="a list has a short line for each video")
        if line.strip():
            yield f"{path.name}:{number}", line


def is_number(word: str) -> bool:
    """Return whether `word` is a plain number: int() takes other scripts' digits, and fails on very long ones."""
    return word.isascii() and word.isdecimal() and len(word) < 10
