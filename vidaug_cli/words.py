"""Words for people: counts, sizes, times, quoted values, "did you mean", and text that can be shown."""

from __future__ import annotations

import difflib
import reprlib
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from textwrap import wrap
from typing import Any

LONGEST = 5000  # letters of a line that is shown: more than any path has
LINES = 200  # that are shown
SHOWN = 80  # letters of a value that a message quotes
SAID = 40  # letters of a value that is said beside another one
NARROWEST = 20  # letters of a line that hangs
MINUS = "\N{MINUS SIGN}"  # of a number in a picture


def printable(text: str) -> str:
    """Return the text in one line, with an escape for what moves a terminal's cursor or cannot be written."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def stand_ins(text: str, has: Callable[[str], bool]) -> str:
    """Return `text`, with the plain letter of each character that a font lacks, or what Python writes for it."""
    plain = ((each, unicodedata.normalize("NFKD", each)[0]) for each in text)
    return "".join(next(filter(has, letters), letters[0].encode("unicode_escape").decode()) for letters in plain)


def readable(text: str) -> str:
    """Return a message of any origin as a terminal can show it: few enough lines, each `printable` and not endless."""
    lines = text.split("\n")
    shown = [line if len(line) <= LONGEST else f"{line[: LONGEST - 500]} ... {line[-490:]}" for line in lines[:LINES]]
    more = [f"... and {len(lines) - LINES} lines more"] if len(lines) > LINES else []
    return "\n".join([*map(printable, shown), *more])


def listed(lines: Iterable[str], most: int = 20) -> list[str]:
    """Return the lines below a heading, each once; of many the first ones, and how many more there are."""
    items = [f"  {line}" for line in dict.fromkeys(lines)]
    return items[:most] + ([f"  ... and {len(items) - most} more"] if len(items) > most else [])


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """Return a text in lines of at most `width` letters, of which all but the first are indented; 0: in one line.

    Lines end between words: a longer word is left whole.
    """
    if not width:
        return [text]
    hanging, room = " " * indent, max(width, indent + NARROWEST)
    return wrap(text, room, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False) or [""]


def cut(text: str, most: int = SHOWN) -> str:
    """Return the text for a message; of a long one its beginning."""
    return text if len(text) <= most else f"{text[:most]}..."


def count(number: int, noun: str) -> str:
    """Return `1 video`, `2 videos`, `3 classes`."""
    return f"{number} {noun}{'' if number == 1 else 'es' if noun.endswith('s') else 's'}"


def either(names: Iterable[str]) -> str:
    """Return `a, b or c`."""
    return " or ".join(", ".join(names).rsplit(", ", 1))


def span(numbers: Collection[int]) -> str:
    """Return `3 to 7`, the least and the greatest; `3` where they are all the same."""
    least, most = min(numbers), max(numbers)
    return f"{least}" if least == most else f"{least} to {most}"


def percent(share: float, digits: int = 0) -> str:
    """Return `81 %`; what is neither nothing nor all is not told as such, but `<1 %` or `>99 %`."""
    share, least = round(share, 5), 10.0**-digits  # sums of float32 are off by less
    if 0 < 100 * share < least / 2:
        return f"<{least:g} %"
    return f">{100 - least:g} %" if 100 - least / 2 <= 100 * share < 100 else f"{100 * share:.{digits}f} %"


def human_bytes(size: float) -> str:
    """Return `1.3 GB`, in powers of 1000 as disks are sold."""
    unit = "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return `3 h 5 min`, `4 min 10 s` or `7 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def said(value: Any) -> str:
    """Return a setting's value for a person: `none`, `yes`, `0.6667`, `2 to 6`."""
    if isinstance(value, list | tuple):
        return " to ".join(map(said, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {said(each)}" for name, each in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    return {None: "none", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)


def change(name: str, there: Any, now: Any) -> str:
    """Return `seed (0 there, 1 now)`; only the name of what takes more words, or says nothing to a person."""
    words = [said(value) for value in (there, now) if not _long(value)]
    return f"{name} ({words[0]} there, {words[1]} now)" if len({*words}) == 2 else name


def _long(value: Any) -> bool:
    of_words = isinstance(value, list | tuple) and not all(isinstance(each, int | float) for each in value)
    return isinstance(value, Mapping) or of_words or len(said(value)) > SAID


def changes(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what two sets of values differ in, each as a `change`."""
    return [
        change(name, there.get(name), now.get(name))
        for name in dict.fromkeys([*now, *there])
        if there.get(name) != now.get(name)
    ]


def shown(value: Any) -> str:
    """Return a value as a message quotes it: short, however long, deep or large it is."""
    try:
        return _quoting.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


_quoting = reprlib.Repr()
_quoting.maxstring = _quoting.maxother = SHOWN


def same_but_for_spelling(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that is `name` but for case, hyphens, underscores and blanks, as in FadeMixUp."""
    return {_folded(other): other for other in names}.get(_folded(name))


def _folded(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def nearest(name: str, names: Iterable[Any]) -> str:
    """Return `; did you mean 'fademixup'?`, or nothing when no name is near."""
    known = {str(other).casefold(): str(other) for other in names}
    close = difflib.get_close_matches(name[:SHOWN].casefold(), known, 1, 0.5)
    return f"; did you mean {known[close[0]]!r}?" if close and known[close[0]] != name else ""
