"""What lists name, matched with the files that are there. Nothing listed is silently dropped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from vidaug_cli.data.listing.candidates import Candidate, Listing, Source, with_tree
from vidaug_cli.data.listing.tree import IMAGES, VIDEOS, Quarantined, spell
from vidaug_cli.words import count, cut


class Entry(NamedTuple):
    """One line of a list."""

    name: str  # the video as the list spells it
    where: str  # the list and its line, as `trainlist01.txt:17`
    label: str | None = None
    class_id: int | None = None
    split: str | None = None
    start: float | None = None  # seconds
    end: float | None = None


def match(
    entries: Iterable[Entry], find: Callable[[Entry], list[str]], *, aside: Iterable[Entry] = ()
) -> tuple[Listing, set[str]]:
    """Candidates for the listed videos that `find` finds, and all paths that are spoken for.

    A listed video that is not there is quarantined, and so is one with two labels; of two lines that agree on the label
    the first counts. Segments of one file are videos of their own. `aside` are entries that the lists themselves leave
    out.
    """
    listing = Listing()
    lines: dict[tuple[str, float | None, float | None], list[Entry]] = defaultdict(list)
    several: list[str] = []
    for entry in entries:
        paths = find(entry)
        if not paths:
            reason = f"listed in {entry.where} but not found"
            listing.quarantined.append(Quarantined(spell(cut(entry.name, 400)), reason))
            continue
        if len(paths) > 1:
            several.append(f"{entry.where} took {paths[0]}, not {paths[1]}")
        lines[paths[0], entry.start, entry.end].append(entry)
    again: list[str] = []
    for (path, start, end), found in lines.items():
        first = found[0]
        labels = {entry.label: entry.where for entry in reversed(found) if entry.label is not None}
        if len(labels) > 1:
            which = " and ".join(f"{spell(cut(label))} ({where})" for label, where in sorted(labels.items()))
            listing.quarantined.append(Quarantined(spell(path), f"has more than one label: {which}"))
            continue
        for entry in found[1:]:
            differs = (first.label, first.class_id, first.split) != (entry.label, entry.class_id, entry.split)
            again.append(f"{entry.where} repeats {first.where}" + (" with another class or split" if differs else ""))
        listing.candidates.append(Candidate(path, first.label, first.class_id, first.split, start, end))
    for notes, what in ((again, "listed again, the first line counts"), (several, "listed names fit several files")):
        if notes:
            listing.notes.append(f"{len(notes)} {what}: {notes[0]}" + (" ..." if len(notes) > 1 else ""))
    return listing, {path for path, _, _ in lines}.union(*map(find, aside))


def match_tree(
    entries: Iterable[Entry],
    source: Source,
    find: Callable[[Entry], list[str]] | None = None,
    *,
    aside: Iterable[Entry] = (),
) -> Listing:
    """`match` among the videos, or else the folders of frames, below the root; those in no list are left out, and
    counted."""
    tree = source.tree
    listing, taken = match(entries, find or (lambda entry: tree.found.find(entry.name)), aside=aside)
    if left := sum(path not in taken for path in tree.found.paths):
        listing.notes.append(f"{count(left, 'video')} in no list: left out")
    return with_tree(listing, tree, IMAGES if tree.of_frames else VIDEOS)
