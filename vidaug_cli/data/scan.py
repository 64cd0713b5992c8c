"""From a folder or a list to manifest rows: every video is looked into once, and what cannot be used says why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vidaug_cli.data.cache import ProbeCache, Stamp, default_file, stamp
from vidaug_cli.data.class_choice import read_choice
from vidaug_cli.data.listing.candidates import Candidate
from vidaug_cli.data.listing.combine import list_inputs
from vidaug_cli.data.listing.exclusion import Exclusion
from vidaug_cli.data.listing.source import Piped, source_of
from vidaug_cli.data.listing.tree import Quarantined, ThisTime, is_utf8, natural, spell
from vidaug_cli.data.manifest import Keys, Probe, ProbeMode, Row, resolve_inside, segment_name
from vidaug_cli.data.timing import Clock
from vidaug_cli.data.video.content import HashKind
from vidaug_cli.data.video.limits import LIMITS, PAUSES, Limits
from vidaug_cli.errors import NoVideosError, VidaugError, VideoError
from vidaug_cli.words import count
from vidaug_cli.workers import track, worker_count

TAIL = 0.5  # seconds by which a segment may go beyond its video without a word: published times are rounded


@dataclass(frozen=True)
class Scan:
    """What a scan found. The rows stand in natural order of their paths, however many workers looked."""

    layout: str
    root: Path
    rows: list[Row]
    quarantined: list[Quarantined]
    notes: list[str]  # a line each, for the user
    passed_over: Counter[str]  # files that are not videos, by extension
    cached: int  # videos that were not opened again
    excluded: dict[str, int] = field(default_factory=dict)  # videos that each pattern left out

    def usable(self) -> list[Row]:
        """Return the rows. Raises VidaugError when there is none, with the first reason."""
        if self.rows:
            return self.rows
        why = f"; the first, {self.quarantined[0].path}: {self.quarantined[0].reason}" if self.quarantined else ""
        raise NoVideosError(f"no usable video, {len(self.quarantined)} quarantined{why}", where=self.root)


def scan(
    *inputs: Path | Piped,
    layout: str | None = None,
    split: int | None = None,
    lists: Path | None = None,
    root: Path | None = None,
    follow_links: Path | bool = False,
    classes: Path | None = None,
    probe: ProbeMode = "full",
    workers: int = 0,
    cache: Path | bool = True,
    progress: bool = True,
    limits: Limits | None = None,
    hashing: HashKind = "samples",
    exclude: Sequence[str] | Exclusion = (),
) -> Scan:
    """Find the videos of a data set and probe each one.

    Args:
        inputs: the data set's folder, or a list (`-` for one on stdin); several become one data set.
        layout: one of `layouts.LAYOUTS`; found by looking if not given.
        split: which of the data set's numbered splits; without it all videos are taken.
        lists: folder of the split lists, if not beside the videos.
        root: what paths in a list are relative to, if not to the list's folder.
        follow_links: go into linked folders too, if they lie in this folder or in the input's own (True). Without it
            only links to files in the input's own folder are taken.
        classes: a file that fixes names and numbers of the classes, whichever of them occur; or a map of names, .toml.
        probe: "full" decodes every frame, "packets" counts packets, "header" believes the header.
        workers: videos looked into at a time; 0 for one per core.
        cache: keep what probes find in this file, in the user's cache folder (True), or not at all (False).
        progress: say on stderr how far it is.
        limits: what one video may cost; the defaults of `Limits` if not given.
        hashing: by what a changed video is known: samples of its bytes, or all of them.
        exclude: patterns of videos that are left out, as in a `.gitignore`, relative to the root of an input.

    Raises:
        VidaugError: the input or an option is wrong. A video that cannot be used is quarantined instead.
    """
    chosen = read_choice(classes)
    exclusion = exclude if isinstance(exclude, Exclusion) else Exclusion(exclude)
    name, base, listing = list_inputs(
        [source_of(path, root, split, lists, follow_links, exclusion) for path in inputs], layout
    )
    quarantined, notes = list(listing.quarantined), list(listing.notes)
    notes += exclusion.notes if exclusion is not exclude else []
    files: dict[Candidate, Path] = {}
    stamps: dict[Path, Stamp] = {}
    todo = listing.candidates
    for pause in (*PAUSES, None):
        again = []
        for candidate in todo:
            try:
                file = _locate(base, candidate)
                stamps[file] = stamp(file)
                files[candidate] = file
            except VideoError as error:
                if error.passing and pause is not None:
                    again.append(candidate)
                else:
                    quarantined.append(_quarantined(spell(segment_name(candidate)), error))
        if not (todo := again):
            break
        time.sleep(pause or 0)
    limits = limits or LIMITS
    # How long a probe may take changes nothing in what it finds: one that was cut short is not kept.
    with closing(_open_cache(cache, f"{probe} {hashing} {limits.pixels} {limits.frames}", notes)) as kept:
        probes = {file: known for file, seen in stamps.items() if (known := kept.get(file, seen))}
        new = [file for file in stamps if file not in probes]
        with closing(_probe_each(new, probe, hashing, limits, workers)) as results:
            for file, result in track(results, len(new), "video", "scan", show=progress):
                probes[file] = result
                kept.put(file, stamps[file], result)
        notes += [kept.fault] if kept.fault else []
    rows, beyond = [], []
    for candidate in sorted(files, key=lambda candidate: (natural(candidate.path), candidate.start or 0.0)):
        result = probes[files[candidate]]
        try:
            if isinstance(result, VideoError):
                raise result
            rows.append(_row(base, candidate, result))
            if (clock := result.clock) and (candidate.end or 0.0) > clock.end + TAIL:
                beyond.append(segment_name(candidate))
        except VideoError as error:
            quarantined.append(_quarantined(segment_name(candidate), error))
    if beyond:
        notes.append(f"{count(len(beyond), 'segment')} cut where the video ends, such as {beyond[0]}")
    rows, said = chosen.fit(rows)
    notes += said
    return Scan(name, base, rows, quarantined, notes, listing.passed_over, len(stamps) - len(new), exclusion.counts)


def _quarantined(name: str, error: VideoError) -> Quarantined:
    return (ThisTime if error.passing else Quarantined)(name, error.reason)


def _row(root: Path, candidate: Candidate, probe: Probe) -> Row:
    """Return the row of a video or a segment. Raises VideoError when the file does not reach so far."""
    known = {"root": str(root), **candidate._asdict(), **asdict(probe)}
    del known["begin"], known["runs"]
    clock = probe.clock
    if clock is None:
        if (candidate.start, candidate.end) != (None, None):
            raise VideoError("has no frame rate, so nothing tells where this segment begins")
        return Row(**known)
    frames = clock.between(candidate.start, candidate.end)
    if not frames:
        what = f"has no frame in this segment: they are shown from {clock.begin:.6g} to {clock.end:.6g} s"
        raise VideoError(what, hint="if the file holds nothing but the segment, list it without start and end")
    shown = Clock(clock.cut(frames))
    if clock.varies and len(frames) < clock.frames:  # the mean of the file is not the rate here
        known["fps"] = shown.frames / shown.seconds
    known |= {"first": frames.start, "frames": len(frames), "durations": shown.runs if shown.varies else None}
    known["keys"] = _keys_for(frames, probe.keys)
    return Row(**known)


def _keys_for(frames: range, keys: Keys | None) -> Keys | None:
    """Return the key frames from which reading these frames begins."""
    before = [key for key in keys or () if key[0] <= frames.start][-1:]
    return (*before, *(key for key in keys or () if frames.start < key[0] < frames.stop)) or None


def _locate(root: Path, candidate: Candidate) -> Path:
    if not is_utf8(candidate.path + (candidate.label or "")):
        raise VideoError("the name is not UTF-8, so no manifest can hold it", hint="rename it")
    try:
        return resolve_inside(root, candidate.path)
    except (OSError, RuntimeError) as error:  # links in a circle, which Python versions report in both ways
        raise VideoError("is a link to itself") from error


def _open_cache(cache: Path | bool, kind: str, notes: list[str]) -> ProbeCache:
    """Return the cache; where the user's cache folder cannot be written, none, with a note."""
    try:
        return ProbeCache(default_file() if cache is True else cache or None, kind)
    except (VidaugError, RuntimeError) as error:  # RuntimeError: a user without a home
        if cache is not True:
            raise
        notes.append(f"nothing is kept for the next scan: {error}")
        return ProbeCache(None, kind)


def _probe_each(
    files: Sequence[Path], mode: ProbeMode, hashing: HashKind, limits: Limits, workers: int
) -> Generator[tuple[Path, Probe | VideoError], None, None]:
    """Yield each file with what a probe found, or with the reason why it cannot be used, as they come."""
    if not files:
        return
    # Only here, so that a scan that finds everything in its cache loads no decoder.
    from vidaug_cli.data.video.guard import decode_each

    workers = min(worker_count(workers), len(files))
    yield from decode_each(lambda guard, file: guard.probe(file, mode, hashing), files, workers, limits, ordered=False)
