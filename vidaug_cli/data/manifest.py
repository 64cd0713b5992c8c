"""The manifest: one JSON line per video, self-contained, so that `grep` may pick lines."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from vidaug_cli.data.kinds import Kind, expect
from vidaug_cli.data.timing import Runs
from vidaug_cli.errors import VidaugError, VideoError
from vidaug_cli.schema import check, parse

ProbeMode = Literal["full", "packets", "header"]  # decode every frame, count the packets, or believe the header

_MOST = 2**31 - 1  # a shard stores frame numbers as int32
_HINT = "a manifest is what 'vidaug scan' writes: one JSON object a line"
_BY_SCAN = "a list with start and end makes segments: 'vidaug scan LIST' finds their frames"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One video as `vidaug scan` found it."""

    path: str  # relative to root, with forward slashes; a file, or a folder of frame images
    root: str  # absolute folder of the data set
    label: str | None  # class name; None in a list without labels
    class_id: int | None = None  # the number the data set gives the class, where it gives one
    split: str | None = None  # train, validation, test ...
    start: float | None = None  # seconds: the segment of the file that is this video; None: from the beginning
    end: float | None = None  # ... and None: to the end
    first: int = 0  # decoded frame of the file with which the segment begins
    frames: int  # decoded frames of the video (probe = full), or an estimate
    fps: float
    width: int  # as displayed: after rotation
    height: int
    codec: str
    rotation: int = 0  # degrees counter-clockwise that turn the stored picture upright: 0, 90, 180, 270
    corrupt: int = 0  # frames the decoder marked as damaged
    bytes: int = 0
    probe: ProbeMode = "full"  # how `frames` was found
    durations: Runs | None = None  # of a video whose rate varies: so many frames in a row are shown for so many seconds

    @property
    def name(self) -> str:
        """What tells this video from all others below `root`: its path, with the segment as W3C's Media Fragments."""
        return segment_name(self.path, self.start, self.end)

    @property
    def file(self) -> Path:
        """Where the video lies. Raises VideoError when that is not inside `root`."""
        return resolve_inside(Path(self.root), self.path)


def segment_name(path: str, start: float | None, end: float | None) -> str:
    """Return `path`, with `#t=10,20` for the seconds from 10 to 20, `#t=10` from 10 to the end."""
    if start is None and end is None:
        return path
    return f"{path}#t={start or 0:.12g}" + (f",{end:.12g}" if end is not None else "")


def resolve_inside(root: Path, path: str) -> Path:
    """Return `root / path`. Raises VideoError when it leaves `root` by `..`, an absolute path or a link."""
    base = root.resolve()
    file = (base / PurePosixPath(path)).resolve()
    if not file.is_relative_to(base):
        raise VideoError("lies outside the data set's folder", where=path, hint=f"copy it into {root}")
    return file


def _content(row: Row) -> dict[str, Any]:
    """Return what a manifest says of a row: most rows have no keys for segments and varying rates."""
    whole = (row.start, row.end, row.first) == (None, None, 0)
    absent = {"start", "end", "first"} if whole else set()
    absent |= {"durations"} if row.durations is None else set()
    return {name: value for name, value in asdict(row).items() if name not in absent}


def rows_text(rows: Iterable[Row]) -> str:
    """Return one JSON object a line, non-ASCII names as they are."""
    return "".join(json.dumps(_content(row), ensure_ascii=False) + "\n" for row in rows)


def hash_rows(rows: Iterable[Row]) -> str:
    """Return the sha256 of all that the rows say but `root`, so that a moved folder is the same data set."""
    digest = hashlib.sha256()
    for row in rows:
        content = {name: value for name, value in _content(row).items() if name != "root"}
        digest.update(json.dumps(content, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def read_manifest(path: Path) -> list[Row]:
    """Return the rows of a manifest, or of the one in an output folder. Raises VidaugError when there is none."""
    file = manifest_file(path)
    expect(file, Kind.MANIFEST, Kind.SHARDS)
    try:
        with file.open("rb") as lines:
            return read_rows(lines, str(file))
    except OSError as error:
        hint = "a manifest is what 'vidaug scan' writes"
        raise VidaugError(f"cannot be read: {error.strerror}", where=file, hint=hint) from error


def manifest_file(path: Path) -> Path:
    """Return the manifest in an output folder, even where that is incomplete; else the path itself."""
    return path / "manifest.jsonl" if (path / "manifest.jsonl").is_file() else path


def read_rows(lines: Iterable[str | bytes], name: str) -> list[Row]:
    """Return the rows of a manifest; `name` is what an error calls it. Blank lines are passed over.

    Raises VidaugError with the line number on anything that is not a row, and on a video that was there before: it
    could be mixed with itself.
    """
    seen: dict[tuple[str, PurePosixPath, float | None, float | None], int] = {}
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _parse_row(line, f"{name}:{number}")
        first = seen.setdefault((row.root, PurePosixPath(row.path), row.start, row.end), number)
        if first != number:
            hint = "keep one of them; --copies makes more clips of each video"
            raise VidaugError(f"{row.name} stands in line {first} already", where=f"{name}:{number}", hint=hint)
        rows.append(row)
    if not rows:
        raise VidaugError("holds no video", where=name, hint="make one with: vidaug scan FOLDER -o manifest.jsonl")
    return rows


def _parse_row(line: str | bytes, where: str) -> Row:
    """Return the row of one line; unknown keys are passed over, so that newer manifests stay readable."""
    try:
        content: Any = json.loads(line)
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair could be read and never written
    except UnicodeError as error:
        raise VidaugError("is not UTF-8", where=where, hint=_HINT) from error
    except (ValueError, RecursionError) as error:
        raise VidaugError("is not JSON", where=where, hint=_HINT) from error
    if not isinstance(content, dict):
        raise VidaugError("is not a JSON object", where=where, hint=_HINT)
    row = parse(Row, content, where=where, hint=_HINT, extra=True)
    end = math.inf if row.end is None else row.end
    runs = row.durations or ()
    rules = {
        "path": (row.path != "" and "\0" not in row.path, "the name of a file"),
        "root": ("\0" not in row.root, "the name of a folder"),
        "frames": (1 <= row.frames <= _MOST, f"1 to {_MOST}"),
        "width": (1 <= row.width <= _MOST, f"1 to {_MOST}"),
        "height": (1 <= row.height <= _MOST, f"1 to {_MOST}"),
        "first": (0 <= row.first <= max(_MOST - row.frames, 0), f"the number of a frame, 0 to {_MOST} - frames"),
        "start": ((row.start or 0.0) >= 0, "0 seconds or more"),
        "end": (end > (row.start or 0.0), "seconds, more than start"),
        "fps": (row.fps >= 0, "0 (unknown) or above"),
        "durations": (
            (row.durations is None or sum(count for count, _ in runs) == row.frames)
            and all(count > 0 and 1e-9 <= seconds <= 1e9 for count, seconds in runs),
            f"pairs of a number of frames and the seconds of each, for {row.frames} frames in all",
        ),
    }
    check(row, rules, where=where, hint=_HINT)
    lasts = sum(count * seconds for count, seconds in runs or ((row.frames, 1 / row.fps if row.fps else 0.0),))
    if row.start and "first" not in content:
        raise VidaugError("has a start, but not the first frame", where=where, hint=_BY_SCAN)
    if lasts > 1.1 * (end - (row.start or 0.0)) + 2 * lasts / row.frames:
        what = f"frames = {row.frames} take {lasts:.6g} s, more than from start to end"
        raise VidaugError(what, where=where, hint=_BY_SCAN)
    return row
