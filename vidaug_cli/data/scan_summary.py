"""A scan in a few lines: as plain data for programs, and as text for the person who waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from shutil import get_terminal_size
from statistics import median
from textwrap import wrap
from typing import TypedDict

from vidaug_cli.data.listing.names import SPLITS
from vidaug_cli.data.manifest import classes_of
from vidaug_cli.data.scan import Scan
from vidaug_cli.words import count, cut, printable, span

SHOWN = 20  # quarantined videos listed one by one


class Frames(TypedDict):
    """Frames of the videos."""

    min: int
    median: float
    max: int
    sum: int


class Sizes(TypedDict):
    """Sizes of the videos as they are shown."""

    count: int  # how many different ones
    smallest: tuple[int, int]  # width and height
    largest: tuple[int, int]


class ScanSummary(TypedDict):
    """The counts of a scan."""

    root: str
    layout: str
    videos: int  # that can be used
    classes: dict[str, int]  # videos of each, in the order of the classes
    unlabelled: int
    splits: dict[str, int]  # videos of each
    frames: Frames | None
    estimated: int  # videos whose frames were not decoded to count them
    sizes: Sizes | None
    rotated: int  # videos that are shown turned
    corrupt: int  # videos with frames that the decoder marked as damaged
    cached: int  # videos that an earlier scan looked into
    excluded: dict[str, int]  # videos that fit a pattern of --exclude, by pattern
    passed_over: dict[str, int]  # files that are no videos, by extension
    quarantined: int  # videos that cannot be used
    notes: Sequence[str]


def summarise(scan: Scan) -> ScanSummary:
    """Return the counts of a scan."""
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
        "frames": {"min": min(frames), "median": median(frames), "max": max(frames), "sum": sum(frames)}
        if rows
        else None,
        "estimated": sum(row.probe != "full" for row in rows),
        "sizes": {"count": len(sizes), "smallest": sizes[0], "largest": sizes[-1]} if rows else None,
        "rotated": sum(row.rotation != 0 for row in rows),
        "corrupt": sum(row.corrupt > 0 for row in rows),
        "cached": scan.cached,
        "excluded": scan.excluded,
        "passed_over": dict(scan.passed_over.most_common()),
        "quarantined": len(scan.quarantined),
        "notes": scan.notes,
    }


def describe(scan: Scan, verbose: bool = False) -> Iterator[str]:
    """Yield lines for the person: the counts, the notes, and each quarantined video with its reason."""
    facts = summarise(scan)
    yield f"{facts['root']} (layout {facts['layout']})"
    yield from (f"  {title:<12}{text}" for title, text in _titled(facts, verbose) if text)
    if not scan.quarantined:
        return
    yield f"quarantined {len(scan.quarantined)}:"
    shown = scan.quarantined if verbose else scan.quarantined[:SHOWN]
    for path, reason in shown:
        yield f"  {cut(printable(path), 200)}: {cut(printable(reason), 600)}"
    if more := len(scan.quarantined) - len(shown):
        yield f"  ... and {more} more: --quarantine FILE writes them all"


def _titled(facts: ScanSummary, verbose: bool) -> Iterator[tuple[str, str]]:
    """Yield what is said of the counts, each with its title; empty where there is nothing to say."""
    classes, frames, sizes = facts["classes"], facts["frames"], facts["sizes"]
    each = f", {span(classes.values())} each" if classes else ""
    unlabelled = f"; {facts['unlabelled']} without label" if facts["unlabelled"] else ""
    yield "videos", f"{facts['videos']} in {len(classes)} class{'' if len(classes) == 1 else 'es'}{each}{unlabelled}"
    yield "splits", ", ".join(f"{name} {number}" for name, number in facts["splits"].items())
    if frames and sizes:
        estimated = f"; estimated for {facts['estimated']}" if facts["estimated"] else ""
        middle = f"median {frames['median']:g}, {frames['sum']:,} in all"
        yield "frames", f"{span([frames['min'], frames['max']])}, {middle}{estimated}"
        ends = " to ".join("{}x{}".format(*size) for size in (sizes["smallest"], sizes["largest"])[: sizes["count"]])
        yield "sizes", f"{sizes['count']} different, {ends}" if sizes["count"] > 1 else ends
    yield "rotated", count(facts["rotated"], "video") if facts["rotated"] else ""
    damaged = "with frames that the decoder marked as damaged"
    yield "corrupt", f"{count(facts['corrupt'], 'video')} {damaged}" if facts["corrupt"] else ""
    passed_over = (f"{number} {kind or 'without extension'}" for kind, number in facts["passed_over"].items())
    yield "passed over", ", ".join(passed_over)
    # The blanks of a name are no place to break the line: until then they are what `printable` leaves nowhere.
    words = (f"{cut(printable(name))}: {number}".replace(" ", "\xa0") for name, number in classes.items())
    width = max(get_terminal_size((100, 0)).columns - 14, 40)
    for number, line in enumerate(wrap(", ".join(words), width, break_long_words=False, break_on_hyphens=False)):
        yield "" if number else "classes", line.replace("\xa0", " ")
    if len(classes) == 1:
        yield "note", f"all videos are of one class, {cut(printable(*classes))!r}: is it the one you mean?"
    yield "cache", f"{facts['cached']} not opened again" if verbose else ""
    for note in facts["notes"]:
        yield "note", cut(printable(note), 600)
