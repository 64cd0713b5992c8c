"""A scan in a few lines: as plain data for programs, and as text for the person who waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import zip_longest
from shutil import get_terminal_size
from statistics import median
from typing import Any

from vidaug_cli.data.listing.names import SPLITS
from vidaug_cli.data.scan import Scan
from vidaug_cli.data.selection import classes_of
from vidaug_cli.words import count, cut, printable

SHOWN = 20  # quarantined videos listed one by one

_FRAMES: dict[str, Callable[[list[int]], float]] = {"min": min, "median": median, "max": max, "sum": sum}


def summarise(scan: Scan) -> dict[str, Any]:
    """Return the counts of a scan, as JSON can hold them."""
    rows = scan.rows
    frames = [row.frames for row in rows]
    labels = Counter(row.label for row in rows)
    splits = Counter(row.split for row in rows if row.split is not None)
    sizes = sorted({(row.width, row.height) for row in rows}, key=lambda size: (size[0] * size[1], size))
    return {
        "root": str(scan.root),
        "layout": scan.layout,
        "videos": len(rows),
        "classes": {name: labels[name] for name in classes_of(rows)},
        "unlabelled": labels[None],
        "splits": {name: splits[name] for name in dict.fromkeys([*SPLITS.values(), *splits]) if name in splits},
        "frames": {name: of(frames) for name, of in _FRAMES.items()} if rows else {},
        "estimated": sum(row.probe != "full" for row in rows),
        "sizes": {"count": len(sizes), "smallest": sizes[0], "largest": sizes[-1]} if rows else {},
        "rotated": sum(row.rotation != 0 for row in rows),
        "corrupt": sum(row.corrupt > 0 for row in rows),
        "cached": scan.cached,
        "passed_over": dict(scan.passed_over.most_common()),
        "quarantined": len(scan.quarantined),
        "notes": scan.notes,
    }


def describe(scan: Scan, verbose: bool = False) -> Iterator[str]:
    """Yield lines for the person: the counts, the notes, and each quarantined video with its reason."""
    facts = summarise(scan)
    yield f"{facts['root']} (layout {facts['layout']})"
    for title, line in _lines(facts).items():
        if line:
            yield f"  {title:<12}{line}"
    yield from _classes(facts["classes"])
    if verbose:
        yield f"  cache       {facts['cached']} not opened again"
    for note in facts["notes"]:
        yield f"  note        {cut(printable(note), 600)}"
    if not scan.quarantined:
        return
    yield f"quarantined {len(scan.quarantined)}:"
    shown = scan.quarantined if verbose else scan.quarantined[:SHOWN]
    for path, reason in shown:
        yield f"  {cut(printable(path), 200)}: {cut(printable(reason), 600)}"
    if more := len(scan.quarantined) - len(shown):
        yield f"  ... and {more} more: --quarantine FILE writes them all"


def _classes(classes: dict[str, int]) -> Iterator[str]:
    """Yield every class with its videos, as many in a line as fit the terminal; of a single class what may be wrong."""
    words = [f"{cut(printable(name))}: {number}" for name, number in classes.items()]
    width = max(get_terminal_size((100, 0)).columns - 14, 40)
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 3 <= width:
            lines[-1] += f", {word}"
        else:
            lines[-1:] = [f"{lines[-1]},", word] if lines else [word]
    for title, line in zip_longest(["classes"][: len(lines)], lines, fillvalue=""):
        yield f"  {title:<12}{line}"
    if len(classes) == 1:
        yield f"  note        all videos are of one class, {words[0].rpartition(': ')[0]!r}: is it the one you mean?"


def _lines(facts: dict[str, Any]) -> dict[str, str]:
    """Return what is said of the counts, by its title; empty where there is nothing to say."""
    classes, frames, sizes = facts["classes"], facts["frames"], facts["sizes"]
    each = f", {_span(classes.values())} each" if classes else ""
    labels = f"; {facts['unlabelled']} without label" if facts["unlabelled"] else ""
    rest = f", median {frames['median']:g}, {frames['sum']:,} in all" if frames else ""
    estimated = f"; estimated for {facts['estimated']}" if facts["estimated"] else ""
    ends = [f"{width}x{height}" for width, height in (sizes["smallest"], sizes["largest"])] if sizes else []
    return {
        "videos": f"{facts['videos']} in {count(len(classes), 'class')}{each}{labels}",
        "splits": ", ".join(f"{name} {number}" for name, number in facts["splits"].items()),
        "frames": f"{_span([frames['min'], frames['max']])}{rest}{estimated}" if frames else "",
        "sizes": f"{sizes['count']} different, {' to '.join(ends)}" if len(set(ends)) > 1 else "".join(ends[:1]),
        "rotated": count(facts["rotated"], "video") if facts["rotated"] else "",
        "corrupt": f"{count(facts['corrupt'], 'video')} with frames that the decoder marked as damaged"
        if facts["corrupt"]
        else "",
        "passed over": ", ".join(
            f"{number} {kind or 'without extension'}" for kind, number in facts["passed_over"].items()
        ),
    }


def _span(numbers: Collection[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least}" if least == most else f"{least} to {most}"
