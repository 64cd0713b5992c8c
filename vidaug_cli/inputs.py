"""What INPUT means: videos of folders, lists, manifests, single files and stdin, and which of them are taken."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import IO, Any

from vidaug_cli.data.classes import read_classes, renumber
from vidaug_cli.data.kinds import Kind, is_manifest, kind_of, starts_manifest
from vidaug_cli.data.listing.candidates import Candidate, Listing
from vidaug_cli.data.listing.tree import Quarantined
from vidaug_cli.data.manifest import Row, classes_of, read_rows, relocate
from vidaug_cli.data.scan import Scan, probe_listing, scan
from vidaug_cli.errors import VidaugError

WHAT = "INPUT is a folder, a list, a manifest, a video or - for stdin"


@dataclass(frozen=True)
class Input:
    """The videos to work on, and those that cannot be used."""

    rows: Sequence[Row]
    quarantined: Sequence[Quarantined] = ()
    notes: Sequence[str] = ()
    fixed: tuple[str, ...] = ()  # class names in label order, where a file says which there are

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order. Raises VidaugError where the rows contradict each other."""
        return self.fixed or tuple(classes_of(self.rows))


def read_input(*sources: str, root: Path | None = None, classes: Path | None = None, **how: Any) -> Input:
    """Videos of folders and lists (scanned), of manifests, and single ones; `-` is stdin.

    Args:
        sources: what the user gave; on stdin comes a manifest, or a list of paths relative to the working folder.
        root: what paths in a list are relative to, or where the videos of a manifest lie now.
        classes: a file that fixes names and numbers of the classes, whichever of them occur.
        how: `layout`, `split` and `lists` of folders as in `scan`, and its `workers` and `progress`.

    Raises VidaugError when there is no video, when one is given twice, or has a class that `classes` does not name.
    """
    numbers = read_classes(classes) if classes else {}
    alone, parts = len(sources) == 1, {}
    for name, files in _grouped(sources).items():
        found = _read_videos(name, files, how) if files else _read(name, root, how)
        parts[name] = found if alone else _placed(found, name)
    if not alone:
        _check_once(parts)
    rows = [row for part in parts.values() for row in part.rows]
    quarantined = [video for part in parts.values() for video in part.quarantined]
    if not rows:
        why = f"; the first, {quarantined[0].path}: {quarantined[0].reason}" if quarantined else ""
        where = sources[0] if alone else f"{len(sources)} inputs"
        raise VidaugError(f"no usable video, {len(quarantined)} quarantined{why}", where=where)
    return Input(
        rows=renumber(rows, numbers, classes) if classes else rows,
        quarantined=quarantined,
        notes=[note for part in parts.values() for note in part.notes],
        fixed=tuple(numbers),
    )


def _grouped(sources: Sequence[str]) -> dict[str, list[str]]:
    """The sources, each with nothing but its name; single videos under the name of their folder.

    Raises VidaugError on a source that is given twice.
    """
    found: dict[str, list[str]] = {}
    for source in sources:
        video = source != "-" and kind_of(Path(source)) is Kind.VIDEO and not is_manifest(Path(source))
        file = Path(source).resolve()  # a link that was named may lead anywhere
        files = found.setdefault(f"{file.parent}/" if video else source, [])
        if file.name in files or (not video and sources.count(source) > 1):
            raise VidaugError("is given twice", where=source)
        if video:
            files.append(file.name)
    return found


def _read_videos(folder: str, files: Sequence[str], how: dict[str, Any]) -> Input:
    """Some videos right in a folder."""
    _refuse_scanned(f"{folder}{files[0]}", how)
    speed = {name: how[name] for name in ("workers", "progress") if name in how}
    return _as_input(probe_listing(Path(folder), "video", Listing([*map(Candidate, files)]), **speed))


def _read(source: str, root: Path | None, how: dict[str, Any]) -> Input:
    """The videos of one source."""
    path = Path(source)
    kind = Kind.UNCLEAR if source == "-" else kind_of(path)
    if kind is Kind.MISSING:
        raise VidaugError("does not exist", where=source, hint=WHAT)
    if kind in _NO_VIDEOS:
        raise VidaugError(f"is {kind.words}", where=source, hint=WHAT)
    if source == "-" or not (path.is_file() or path.is_dir()):
        with nullcontext(sys.stdin.buffer) if source == "-" else path.open("rb") as stream:
            return _read_stream(stream, "stdin" if source == "-" else source, root, how)
    if is_manifest(path):
        with path.open("rb") as lines:
            return _manifest(lines, source, root, how)
    return _as_input(scan(path, root=root, **how))


# Kinds that surely hold no video to work on; of the others, `scan` says what is wrong.
_NO_VIDEOS = frozenset({Kind.SHARDS, Kind.RUN, Kind.CHECKPOINT, Kind.SCORES, Kind.SHARD, Kind.HDF5, Kind.ZIP}) | {
    *(Kind.RECIPE, Kind.PICTURE)
}


def _read_stream(stream: IO[bytes], name: str, root: Path | None, how: dict[str, Any]) -> Input:
    """A manifest, or a list of paths: the first byte tells."""
    head = []
    for line in stream:
        head.append(line)
        if line.strip():
            break
    if not head or starts_manifest(head[-1]):
        return _manifest(chain(head, stream), name, root, how)
    text = b"".join(chain(head, stream))
    if b"\n" not in text:  # as `find -print0` ends its paths
        text = text.replace(b"\0", b"\n")
    with TemporaryDirectory() as folder:
        file = Path(folder) / PurePath(name).name
        file.write_bytes(text)
        try:
            return _as_input(scan(file, root=root or Path.cwd(), **how))
        except VidaugError as error:
            where = name if error.where == str(file) else error.where
            raise VidaugError(error.what, where=where, hint=error.hint) from error


def _manifest(lines: Iterable[bytes], name: str, root: Path | None, how: dict[str, Any]) -> Input:
    _refuse_scanned(name, how)
    return Input(relocate(read_rows(lines, name), root))


def _refuse_scanned(name: str, how: dict[str, Any]) -> None:
    for option in ("layout", "split", "lists"):
        if how.get(option) is not None:
            hint = "give it to 'vidaug scan'; --subset takes one split of a manifest"
            raise VidaugError(f"--{option} goes with a folder, and this is none", where=name, hint=hint)


def _as_input(found: Scan) -> Input:
    return Input(found.rows, found.quarantined, found.notes)


def _check_once(parts: dict[str, Input]) -> None:
    """Raise VidaugError on a video that is in two sources: it could be mixed with itself, and would count twice."""
    first: dict[tuple[str, float | None, float | None], str] = {}
    for source, part in parts.items():
        for row in part.rows:
            key = (os.path.realpath(f"{row.root}/{row.path}"), row.start, row.end)
            if (other := first.setdefault(key, source)) != source:
                raise VidaugError(f"{row.name} is in {other} too", where=source, hint="give each video once")


def _placed(part: Input, source: str) -> Input:
    """What is said of one source of several, with its name."""
    name = "stdin" if source == "-" else PurePath(source).name or source
    quarantined = [Quarantined(f"{name}/{path}", reason) for path, reason in part.quarantined]
    return replace(part, quarantined=quarantined, notes=[f"{name}: {note}" for note in part.notes])
