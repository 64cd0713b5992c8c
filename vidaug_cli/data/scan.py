"""From a folder or a list to manifest rows: every video is looked into once, and what cannot be used says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Literal

from vidaug_cli.data.cache import Found, ProbeCache, Stamp, default_file, stamp
from vidaug_cli.data.listing.candidates import Candidate
from vidaug_cli.data.listing.layouts import list_videos, source_of
from vidaug_cli.data.listing.tree import Quarantined, is_utf8, natural, spell
from vidaug_cli.data.manifest import Row, resolve_inside
from vidaug_cli.errors import VidaugError, VideoError
from vidaug_cli.progress import track
from vidaug_cli.workers import worker_count

if TYPE_CHECKING:
    from vidaug_cli.data.video.reader import Limits

__all__ = ["How", "Quarantined", "Scan", "scan"]

How = Literal["full", "packets", "header"]


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What a scan found. The rows stand in natural order of their paths, however many workers looked."""

    layout: str
    root: Path
    rows: list[Row]
    quarantined: list[Quarantined]
    notes: list[str]  # a line each, for the user
    passed_over: Counter[str]  # files that are no videos, by extension
    cached: int  # videos that were not opened again

    def usable(self) -> list[Row]:
        """The rows. Raises VidaugError when there is none, with the first reason."""
        if self.rows:
            return self.rows
        why = f"; the first, {self.quarantined[0].path}: {self.quarantined[0].reason}" if self.quarantined else ""
        raise VidaugError(f"no usable video, {len(self.quarantined)} quarantined{why}", where=self.root)


def scan(
    input: Path,  # noqa: A002
    *,
    layout: str | None = None,
    split: int | None = None,
    lists: Path | None = None,
    root: Path | None = None,
    probe: How = "full",
    workers: int = 0,
    cache: Path | bool = True,
    progress: bool = True,
    limits: Limits | None = None,
) -> Scan:
    """Find the videos of a data set and probe each one.

    Args:
        input: the data set's folder, or a list.
        layout: one of `layouts.LAYOUTS`; found by looking if not given.
        split: which of the data set's numbered splits; without it all videos are taken.
        lists: folder of the split lists, if not beside the videos.
        root: what paths in a list are relative to, if not to the list's folder.
        probe: "full" decodes every frame, "packets" counts packets, "header" believes the header.
        workers: videos looked into at a time; 0 for one per core.
        cache: keep what probes find in this file, in the user's cache folder (True), or not at all (False).
        progress: say on stderr how far it is.
        limits: what one video may cost; the defaults of `decoder.Limits` if not given.

    Raises:
        VidaugError: the input or an option is wrong. A video that cannot be used is quarantined instead.
    """
    source = source_of(input, root, split, lists)
    name, listing = list_videos(source, layout)
    quarantined, notes = list(listing.quarantined), list(listing.notes)
    files: dict[Candidate, Path] = {}
    stamps: dict[Path, Stamp] = {}
    for candidate in listing.candidates:
        try:
            file = _locate(source.root, candidate)
            stamps[file] = stamp(file)
            files[candidate] = file
        except VideoError as error:
            quarantined.append(Quarantined(spell(candidate.path), _reason(error)))
    with closing(_open_cache(cache, f"{probe} {limits}", notes)) as kept:
        found = {file: known for file, seen in stamps.items() if (known := kept.get(file, seen))}
        cached = len(found)
        with closing(_probe_all([file for file in stamps if file not in found], probe, limits, workers)) as probes:
            for file, result in track(probes, len(stamps) - cached, "video", "scan", show=progress):
                kept.put(file, stamps[file], result)
                found[file] = result
        notes += [kept.fault] if kept.fault else []
    rows = []
    for candidate in sorted(files, key=lambda candidate: natural(candidate.path)):
        result = found[files[candidate]]
        if "error" in result:
            quarantined.append(Quarantined(candidate.path, result["error"]))
        else:
            rows.append(Row(root=str(source.root), **candidate._asdict(), **result))
    return Scan(
        layout=name,
        root=source.root,
        rows=rows,
        quarantined=quarantined,
        notes=notes,
        passed_over=listing.passed_over,
        cached=cached,
    )


def _locate(root: Path, candidate: Candidate) -> Path:
    if not is_utf8(candidate.path + (candidate.label or "")):
        raise VideoError("the name is not UTF-8, so no manifest can hold it", hint="rename it")
    try:
        return resolve_inside(root, candidate.path)
    except (OSError, RuntimeError) as error:  # links in a circle, which Python versions report in both ways
        raise VideoError("is a link to itself") from error


def _open_cache(cache: Path | bool, kind: str, notes: list[str]) -> ProbeCache:
    """The cache; where the user's cache folder cannot be written, none, with a note."""
    if cache is not True:
        return ProbeCache(cache or None, kind)
    try:
        return ProbeCache(default_file(), kind)
    except (VidaugError, RuntimeError) as error:  # RuntimeError: a user without a home
        notes.append(f"nothing is kept for the next scan: {error}")
        return ProbeCache(None, kind)


def _probe_all(
    files: Sequence[Path], how: How, limits: Limits | None, workers: int
) -> Generator[tuple[Path, Found], None, None]:
    """Probe `files`, in whatever order they are done. Each worker is a child process that can be killed, and a thread
    that waits for it."""
    if not files:
        return
    # Only here, so that a scan that finds everything in its cache loads no decoder.
    from vidaug_cli.data.video.guard import Guard
    from vidaug_cli.data.video.reader import Limits

    count = min(worker_count(workers), len(files))
    guards: SimpleQueue[Guard] = SimpleQueue()

    def look(file: Path) -> tuple[Path, Found]:
        guard = guards.get()
        try:
            return file, asdict(guard.probe(file, how))
        except VideoError as error:
            return file, {"error": _reason(error)}
        finally:
            guards.put(guard)

    with ExitStack() as stack:
        for _ in range(count):
            guards.put(stack.enter_context(Guard(limits or Limits())))
        pool = ThreadPoolExecutor(count)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        waiting = iter(files)
        running: set[Future[tuple[Path, Found]]] = set()
        while True:
            running |= {pool.submit(look, file) for file in islice(waiting, 2 * count - len(running))}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def _reason(error: VidaugError) -> str:
    return f"{error.what}; {error.hint}" if error.hint else error.what
