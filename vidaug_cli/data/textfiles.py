"""Text files of others, line by line; and the classes that one fixes: the same for every subset, folder and list."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidaug_cli.errors import ClassesError, KindError, TextFileError, cannot_read
from vidaug_cli.words import cut, printable

Numbers = dict[str, int]  # of classes by name, in the order of the numbers

LONGEST = 100_000  # characters of a line
HEADERS = frozenset({"class", "class_name", "classes", "classname", "label", "labels", "name", "names"})
_HINT = "give a line '7 Walk' for each class, a csv with name and number, or a list of names"


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield `(place, line)` of each line that is not blank, whatever ends the lines.

    Bytes that are not UTF-8 come as the file system would spell them, so that they still match a file's name.

    Raises VidaugError where it cannot be read, or is not UTF-8 text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise cannot_read(error, path) from error
    yield from split_lines(content, path)


def split_lines(content: bytes, path: Path) -> Iterator[tuple[str, str]]:
    """Yield what `read_lines` does, of a text that was read already; `path` is what errors call it."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TextFileError("is UTF-16 text", where=path, hint="save it as UTF-8")
    if content.endswith(b"\0") and b"\n" not in content:
        content = content.replace(b"\0", b"\n")  # as `find -print0` ends its paths
    text = content.decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise TextFileError("is not a text file", where=path, hint="give a folder of videos or a list of 'path label'")
    name = printable(path.name)  # for messages, in which it is not always the place
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if len(line) > LONGEST:
            what = f"a line of {len(line):,} characters, which begins {cut(ascii(line[:200]))}"
            raise TextFileError(what, where=f"{name}:{number}", hint="a list has a short line for each video")
        if line.strip():
            yield f"{name}:{number}", line


def is_number(word: str) -> bool:
    """Return whether `word` is a plain number: int() takes other scripts' digits, and fails on very long ones."""
    return word.isascii() and word.isdecimal() and len(word) < 10


def read_classes(path: Path, *, numbered: bool = False) -> Numbers:
    """Return the number of each class in a file of lines `100 ApplyEyeMakeup`, a csv or a list of names.

    A csv has `name,number` or `number,name`; names alone are counted from 0, and refused where they have to be
    `numbered`.

    Raises VidaugError on anything else, and on a number or name that comes twice.
    """
    if path.suffix.lower() == ".toml":
        hint = "'vidaug scan' and what else reads videos take it: a manifest then has the new classes"
        raise KindError("is a map of classes, which changes videos, not scores", where=path, hint=hint)
    lines = list(read_lines(path))
    if not lines:
        raise ClassesError("names no class", where=path, hint=_HINT)
    if lines[0][1].lstrip().startswith(("{", "[")):
        raise ClassesError("is JSON, not a file of classes", where=path, hint=_HINT)
    rows = _table(lines)
    if rows is None and (numbered or _pair(lines[0][1])):
        rows = [(where, *_numbered(where, line)) for where, line in lines]
    if rows is None:
        names = lines[lines[0][1].strip().lower() in HEADERS :]
        rows = [(where, name.strip(), number) for number, (where, name) in enumerate(names)]
    numbers: Numbers = {}
    taken: set[int] = set()
    text = dict(lines)
    for where, name, number in rows:
        if name in numbers or number in taken:
            what = f"{cut(text[where], 60)!r} has a number or name that was there before"
            raise ClassesError(what, where=where, hint="give each class one line")
        if not name or any("\ud800" <= letter <= "\udfff" for letter in name):  # bytes that are not UTF-8
            raise ClassesError(f"{cut(text[where], 60)!r} has no name that can be written", where=where, hint=_HINT)
        numbers[name] = number
        taken.add(number)
    return dict(sorted(numbers.items(), key=lambda pair: pair[1]))


def _pair(line: str) -> tuple[str, int] | None:
    """Return name and number of a line `100 ApplyEyeMakeup`."""
    number, _, name = line.strip().partition(" ")
    return (name.strip(), int(number)) if is_number(number) and name.strip() else None


def _numbered(where: str, line: str) -> tuple[str, int]:
    if not (pair := _pair(line)):
        what = f"{cut(line, 60)!r} should be a class number and a name"
        raise ClassesError(what, where=where, hint="such as '7 Walk'")
    return pair


def _table(lines: Sequence[tuple[str, str]]) -> list[tuple[str, str, int]] | None:
    """Return place, name and number of each row, where all lines have two cells and one column holds numbers."""
    for separator in "\t,;":
        try:
            cells = [next(csv.reader([line], delimiter=separator)) for _, line in lines]
        except csv.Error:  # a cell of more than 128 KB
            continue
        if any(len(row) != 2 for row in cells):
            continue
        named_first = cells[0][0].strip().lower() in HEADERS
        for column in (1, 0) if named_first else (0, 1):
            pairs = [(row[1 - column].strip(), row[column].strip()) for row in cells]
            rows = [(where, *pair) for (where, _), pair in zip(lines, pairs, strict=True)]
            rows = rows if is_number(pairs[0][1]) else rows[1:]  # after a header
            if rows and all(is_number(number) for *_, number in rows):
                return [(where, name, int(number)) for where, name, number in rows]
    return None
