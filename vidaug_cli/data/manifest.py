"""The manifest: one JSON line per video, self-contained, so that `grep` may pick lines.

Here it is read and written, and here stands which of its videos are used, where they lie now, and what they and their
classes are called.
"""

from __future__ import annotations

import gc
import json
import math
import os
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from itertools import islice, pairwise
from operator import attrgetter, eq
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from unicodedata import normalize

import msgspec
from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

from vidaug_cli.data.kinds import Kind, expect, parts_of
from vidaug_cli.data.listing.candidates import Candidate
from vidaug_cli.data.listing.names import SPLITS, split_of
from vidaug_cli.data.textfiles import is_number
from vidaug_cli.data.timing import Clock, Runs
from vidaug_cli.errors import ClassesError, ManifestError, NoVideosError, RepeatedError, VideoError
from vidaug_cli.schema import check, parse
from vidaug_cli.words import count, nearest

ProbeMode = Literal["full", "packets", "header"]  # decode every frame, count the packets, or believe the header

Keys = tuple[tuple[int, int], ...]  # decoded frame number of a file, and its time stamp in the file's own ticks

Video = tuple[str, str | None, int, int, str | None]  # see `video_of`

_HASH = re.compile("(samples|full):[0-9a-f]{16}")
MOST = 2**31 - 1  # frames that a video can have: shards store their numbers as int32
_HINT = "a manifest is what 'vidaug scan' writes: one JSON object a line"
_BY_SCAN = "a list with start and end makes segments: 'vidaug scan LIST' finds their frames"
_NO_SPLITS = "none has any: 'vidaug scan --split 1' reads split lists"


@dataclass(frozen=True, kw_only=True, slots=True)
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
    keys: Keys | None = None  # of a long file: key frames; decoding from each gives the pictures of decoding all
    hash: str | None = None  # of the file's bytes: see `content_hash`
    source_label: str | None = None  # what the data set calls the class, where a map of classes made `label` of it

    @property
    def name(self) -> str:
        """What tells this video from all others below `root`: its path, with the segment as W3C's Media Fragments."""
        return segment_name(self)

    @property
    def file(self) -> Path:
        """Where the video lies. Raises VideoError when that is not inside `root`."""
        return resolve_inside(Path(self.root), self.path)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What the fields of `Row` that come from the file itself are made of."""

    frames: int
    fps: float  # mean rate; 0 where there is none: frame images, a single frame
    width: int  # as displayed: after rotation. Pixels count as square, whatever aspect the file gives them
    height: int
    codec: str
    rotation: int
    corrupt: int  # frames the decoder marked as damaged, and packets it could not decode
    bytes: int
    probe: ProbeMode  # how `frames` was found: "packets" if asked for, and where the header does not say
    begin: float = 0.0  # seconds after players begin at which the first frame is shown
    # When each frame is shown; None where time stamps cannot be trusted: those of packed XviD jump about.
    runs: Runs | None = None
    keys: Keys | None = None  # as in `Row`
    hash: str | None = None  # as in `Row`

    @property
    def clock(self) -> Clock | None:
        """When the frames are shown: without time stamps they follow each other evenly; None without a rate."""
        if self.runs:
            return Clock(self.runs, self.begin)
        return Clock(((self.frames, 1 / self.fps),)) if self.fps else None


def segment_name(video: Candidate | Row) -> str:
    """Return its path, with `#t=10,20` for the seconds from 10 to 20, `#t=10` from 10 to the end."""
    if video.start is None and video.end is None:
        return video.path
    return f"{video.path}#t={video.start or 0:.12g}" + (f",{video.end:.12g}" if video.end is not None else "")


def resolve_inside(root: Path, path: str) -> Path:
    """Return `root / path`. Raises VideoError when it leaves `root` by `..`, an absolute path or a link."""
    base = root.resolve()
    file = (base / PurePosixPath(path)).resolve()
    if not file.is_relative_to(base):
        raise VideoError("lies outside the data set's folder", where=path, hint=f"copy it into {root}")
    return file


_SEGMENT = ("start", "end", "first")  # keys of a row that most rows do not need, and so do not have
_OPTIONAL = ("keys", "hash", "source_label")  # ... and that are left out where they are None
_RARE = (*_SEGMENT, "durations", *_OPTIONAL)
_COMMON = tuple(field.name for field in fields(Row) if field.name not in (*_RARE, "root"))
_REPEATED = tuple(name for name in (*_COMMON, "root") if name not in ("path", "bytes"))  # alike in many rows
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Row).decode
_common, _optional, _repeated = attrgetter(*_COMMON), attrgetter(*_OPTIONAL), attrgetter(*_REPEATED)
_set = [getattr(Row, name).__set__ for name in _REPEATED]  # past the guard of a frozen class


def _content(row: Row) -> bytes:
    """Return the JSON object of all that a row says but `root`; a rate is a float whatever it was made of."""
    content = dict(zip(_COMMON, _common(row), strict=True))
    content["fps"] = float(row.fps)
    if row.first or row.start is not None or row.end is not None:
        content |= {name: getattr(row, name) for name in _SEGMENT}
    if row.durations is not None:
        content["durations"] = [(frames, float(seconds)) for frames, seconds in row.durations]
    for name, value in zip(_OPTIONAL, _optional(row), strict=True):
        if value is not None:
            content[name] = value
    return msgspec.json.format(_encode(content), indent=0)  # a line, with spaces after colons and commas


def row_line(row: Row) -> bytes:
    """Return a row as a line of a manifest: a JSON object, non-ASCII names as they are, `root` at the end."""
    return b'%s, "root": %s}\n' % (_content(row)[:-1], _encode(row.root))


def row_hash(row: Row) -> int:
    """Return the XXH3-64 of all that a row says but `root`, so that a moved video is the same one."""
    return xxh3_64_intdigest(_content(row))


def rows_text(rows: Iterable[Row]) -> str:
    """Return the text of a manifest."""
    return b"".join(map(row_line, rows)).decode()


def hash_rows(hashes: Iterable[int]) -> str:
    """Return the XXH3-128 of the hashes of all rows: so a row can be checked by itself."""
    return xxh3_128_hexdigest(array("Q", hashes))


def read_manifest(path: Path) -> list[Row]:
    """Return the rows of a manifest, or of those in an output folder and its parts, each video once.

    Raises VidaugError when there is none.
    """
    manifests = []
    for part in parts_of(path):
        file = manifest_file(part)
        expect(file, Kind.MANIFEST, Kind.SHARDS)
        with file.open("rb") as lines:
            manifests.append(read_rows(lines, str(file)))
    return manifests[0] if len(manifests) == 1 else distinct_videos(manifests)[0]


def manifest_file(path: Path) -> Path:
    """Return the manifest in an output folder, even where that is incomplete; else the path itself."""
    return path / "manifest.jsonl" if (path / "manifest.jsonl").is_file() else path


def read_rows(lines: Iterable[str | bytes], name: str) -> list[Row]:
    """Return the rows of a manifest; `name` is what an error calls it. Blank lines are passed over.

    Raises VidaugError with the line number on anything that is not a row, and on a video that was there before: it
    could be mixed with itself.
    """
    kept: list[tuple[Callable[..., None], dict[object, object]]] = [(each, {}) for each in _set]
    rows, hashes, numbers = [], array("q"), array("q")
    with _garbage_kept():
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            row = read_row(line, f"{name}:{number}")
            for value, (set_value, values) in zip(_repeated(row), kept, strict=True):
                set_value(row, values.setdefault(value, value))  # a million rows take a third of the memory
            rows.append(row)
            hashes.append(hash(place_of(row)))
            numbers.append(number)
    if not rows:
        raise NoVideosError("holds no video", where=name, hint="make one with: vidaug scan FOLDER -o manifest.jsonl")
    ordered = sorted(hashes)
    if any(map(eq, ordered, islice(ordered, 1, None))):
        _check_distinct(rows, numbers, name)
    return rows


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """Let Python not look for garbage in the block: it would go through a million rows again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def place_of(row: Row) -> tuple[str, str, float | None, float | None]:
    """Return what no two rows of a manifest have in common."""
    return row.root, _plain(row.path), row.start, row.end


def video_of(row: Row) -> Video:
    """Return what tells a video from others and from what it was before, wherever its data set lies.

    That is its name below `root`, its class, its bytes, how many and which, and its frames.
    """
    return row.name, row.label, row.bytes, row.frames, row.hash


def _check_distinct(rows: Iterable[Row], numbers: Iterable[int], name: str) -> None:
    first: dict[tuple[str, str, float | None, float | None], int] = {}
    for row, number in zip(rows, numbers, strict=True):
        if (earlier := first.setdefault(place_of(row), number)) != number:
            hint = "keep one of them; --copies makes more clips of each video"
            raise RepeatedError(f"{row.name} stands in line {earlier} already", where=f"{name}:{number}", hint=hint)


def _plain(path: str) -> str:
    """Return a path without the `.` and the empty parts that it may have."""
    odd = "//" in path or "./" in path or path.startswith("/") or path.endswith(("/", "/.")) or path == "."
    return str(PurePosixPath(path)) if odd else path


def read_row(line: str | bytes, where: str) -> Row:
    """Return the row of one line; unknown keys are passed over, so that newer manifests stay readable.

    Raises VidaugError with every fault; `where` is what it calls the line.
    """
    try:
        row = _decode(line)
        for holds, _ in _RULES.values():
            if not holds(row):
                break
        else:
            if row.first or not row.start:
                return row
    except (msgspec.MsgspecError, UnicodeError):
        pass
    return _parse_row(line, where)  # which is slow, and says what is wrong


def _parse_row(line: str | bytes, where: str) -> Row:
    """Return the row of one line as `read_row` does."""
    try:
        content: Any = json.loads(line)
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair could be read and never written
    except UnicodeError as error:
        raise ManifestError("is not UTF-8", where=where, hint=_HINT) from error
    except (ValueError, RecursionError) as error:
        raise ManifestError("is not JSON", where=where, hint=_HINT) from error
    if not isinstance(content, dict):
        raise ManifestError("is not a JSON object", where=where, hint=_HINT)
    if "path" not in content:  # a file of another kind, of which every key would be missing
        raise ManifestError("has no path, and so is no row of a manifest", where=where, hint=_HINT)
    row = parse(Row, content, where=where, hint=_HINT, error=ManifestError, extra=True)
    rules = {name: (holds(row), words.format(row=row, most=MOST)) for name, (holds, words) in _RULES.items()}
    too_long = rules.pop("", (True, ""))
    check(row, rules, where=where, hint=_HINT, error=ManifestError)
    if row.start and "first" not in content:
        raise ManifestError("has a start, but not the first frame", where=where, hint=_BY_SCAN)
    if not too_long[0]:
        raise ManifestError(
            f"frames = {row.frames} take {_seconds(row):.6g} s, more than from start to end", where=where, hint=_BY_SCAN
        )
    return row


def _seconds(row: Row) -> float:
    """Return how long the frames of a row are shown; 0 where that is unknown."""
    return sum(
        frames * seconds for frames, seconds in row.durations or ((row.frames, 1 / row.fps if row.fps else 0.0),)
    )


def _good_durations(row: Row) -> bool:
    if (runs := row.durations) is None:
        return True
    even = all(frames > 0 and 1e-9 <= seconds <= 1e9 for frames, seconds in runs)
    return even and sum(frames for frames, _ in runs) == row.frames


def _good_keys(row: Row) -> bool:
    if not (keys := row.keys):
        return True
    ascending = all(early < late for pair in pairwise(keys) for early, late in zip(*pair, strict=True))
    return ascending and all(0 <= frame <= MOST and abs(stamp) < 2**62 for frame, stamp in keys)


def _fits_segment(row: Row) -> bool:
    if row.end is None:
        return True
    lasts = _seconds(row)
    return lasts <= 1.1 * (row.end - (row.start or 0.0)) + 2 * lasts / row.frames


# What the values of a row have to be besides their types: of each key, and last of all together.
_RULES: dict[str, tuple[Callable[[Row], bool], str]] = {
    "path": (lambda row: row.path != "" and "\0" not in row.path, "the name of a file"),
    "root": (lambda row: "\0" not in row.root, "the name of a folder"),
    "frames": (lambda row: 1 <= row.frames <= MOST, "1 to {most}"),
    "width": (lambda row: 1 <= row.width <= MOST, "1 to {most}"),
    "height": (lambda row: 1 <= row.height <= MOST, "1 to {most}"),
    "first": (
        lambda row: row.first == 0 or 0 < row.first <= MOST - row.frames,
        "the number of a frame, 0 to {most} - frames",
    ),
    "start": (lambda row: 0 <= (row.start or 0) < math.inf, "0 seconds or more"),
    "end": (lambda row: row.end is None or (row.start or 0) < row.end < math.inf, "seconds, more than start"),
    "fps": (lambda row: 0 <= row.fps < math.inf, "0 (unknown) or above"),
    "durations": (
        _good_durations,
        "pairs of a number of frames and the seconds of each, for {row.frames} frames in all",
    ),
    "keys": (_good_keys, "pairs of a frame's number and its time stamp, both ascending"),
    "hash": (
        lambda row: row.hash is None or bool(_HASH.fullmatch(row.hash)),
        "samples: or full: and 16 hexadecimal digits",
    ),
    "": (_fits_segment, ""),
}


def select(rows: Sequence[Row], *, subset: str | None, limit: int | None, seed: int) -> list[Row]:
    """Return the rows of one split, by any of its names, or `limit` of them drawn by the seed, in their order.

    Raises VidaugError when nothing is left.
    """
    if subset is not None:
        splits = sorted({row.split for row in rows if row.split})
        rows = [row for row in rows if row.split and split_of(row.split) == split_of(subset)]
        if not rows:
            hint = f"there is {', '.join(splits)}" if splits else _NO_SPLITS
            raise NoVideosError(f"no video has split {subset!r}{_advice(subset, splits)}", hint=hint)
    if limit is not None and limit < len(rows):
        from vidaug_cli.rng import Step, generator  # only here: it loads numpy

        chosen = generator(seed, 0, 1, Step.SHUFFLE).choice(len(rows), limit, replace=False)
        rows = [rows[index] for index in sorted(chosen)]
    return list(rows)


def _advice(subset: str, splits: Sequence[str]) -> str:
    """Return the nearest of the splits, by any of its names."""
    words = [*splits, *(word for word in SPLITS if SPLITS[word] in map(split_of, splits))]
    return "" if split_of(subset) in SPLITS.values() else nearest(subset.lower(), words)


def relocate(rows: Sequence[Row], root: Path | None) -> list[Row]:
    """Return the rows, with the folder `root` in place of their own where one is given.

    Raises VidaugError when none of the videos lies there: otherwise a moved data set would look like broken videos.
    """
    if root is not None:
        rows = [replace(row, root=str(root.resolve())) for row in rows]
    check_there(rows)
    return list(rows)


def check_there(rows: Sequence[Row]) -> None:
    """Raise VidaugError when none of the videos is where its row says."""
    if not any(os.path.exists(f"{row.root}/{row.path}") for row in rows):  # noqa: PTH110 (says no to any odd name)
        where, hint = rows[0].root, "--root says where the videos lie now"
        raise NoVideosError(f"none of the {count(len(rows), 'video')} of the manifest is there", where=where, hint=hint)


def distinct_names(rows: Sequence[Row]) -> list[str]:
    """Return a name for each video that no other has: its own, after as much of the path of `root` as tells it apart.

    Two videos of the same root and name keep the same name.
    """
    names = [row.name for row in rows]
    folders = [PurePosixPath(row.root).parts for row in rows]
    alike: Sequence[int] = range(len(rows))
    for depth in range(1, max(map(len, folders), default=0) + 1):
        times = Counter(names)
        alike = [place for place in alike if times[names[place]] > 1]
        for place in alike:
            names[place] = "/".join([*folders[place][-depth:], rows[place].name]).removeprefix("//")
    return names


def distinct_videos(manifests: Iterable[Iterable[Row]]) -> tuple[list[Row], list[int]]:
    """Return the videos of several manifests, each once, and which of them each row is of, one after the other."""
    videos: dict[object, tuple[int, Row]] = {}
    places = [videos.setdefault(place_of(row), (len(videos), row))[0] for rows in manifests for row in rows]
    return [row for _, row in videos.values()], places


def classes_of(rows: Iterable[Row]) -> list[str]:
    """Return class names in label order: by the data set's own number where it has one, else by name.

    Raises VidaugError where two rows give one class two numbers, or one number to two classes.
    """
    numbers: dict[str, int] = {}
    names: dict[int, str] = {}
    hint = "--classes FILE fixes names and numbers"
    for row in rows:
        if row.label is None:
            continue
        if row.class_id is None:
            numbers.setdefault(row.label, -1)
            continue
        if numbers.get(row.label, -1) not in (-1, row.class_id):
            what = f"class {row.label!r} has the number {numbers[row.label]}, and {row.class_id} at {row.name}"
            raise ClassesError(what, hint=hint)
        if names.setdefault(row.class_id, row.label) != row.label:
            what = f"class number {row.class_id} is {names[row.class_id]!r}, and {row.label!r} at {row.name}"
            raise ClassesError(what, hint=hint)
        numbers[row.label] = row.class_id
    return sorted(numbers, key=lambda name: (numbers[name], name))


def renumber(rows: Sequence[Row], classes: Mapping[str, int], where: object) -> list[Row]:
    """Return the rows with the names and numbers of `classes`; a label that is not a name may be one of the numbers.

    `where` is what an error calls the file of classes. Raises VidaugError on a label that is neither.
    """
    known = {str(number): name for name, number in classes.items()}
    known |= {normalize("NFC", name): name for name in classes}  # a name that looks like a number is a name first

    fitted: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.label is None or row.label in fitted:
            continue
        label = normalize("NFC", row.label)
        if label not in known and is_number(label):
            label = str(int(label))
        if label not in known:
            pairs = list(classes.items())
            ends = " to ".join(dict.fromkeys(f"{number} {name!r}" for name, number in (pairs[0], pairs[-1])))
            what = f"has no class {row.label!r}, and {row.name} is of it{nearest(row.label, classes)}"
            raise ClassesError(what, where=where, hint=f"it has {count(len(classes), 'class')}: {ends}")
        fitted[row.label] = {"label": known[label], "class_id": classes[known[label]]}
    return [row if row.label is None else replace(row, **fitted[row.label]) for row in rows]
