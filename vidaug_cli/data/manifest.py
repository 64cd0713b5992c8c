"""The manifest: one JSON line per video, self-contained, so that `grep` may pick lines."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize

from vidaug_cli.data.kinds import Kind, expect
from vidaug_cli.data.lines import is_number
from vidaug_cli.data.listing.names import SPLITS, split_of
from vidaug_cli.data.timing import Runs
from vidaug_cli.errors import VidaugError, VideoError
from vidaug_cli.rng import Step, generator
from vidaug_cli.schema import LARGEST, as_tuples, type_fault
from vidaug_cli.words import nearest


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
    probe: str = "full"  # how `frames` was found: full, packets, header
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
    """`path`, with `#t=10,20` for the seconds from 10 to 20, `#t=10` from 10 to the end."""
    if start is None and end is None:
        return path
    return f"{path}#t={start or 0:.12g}" + (f",{end:.12g}" if end is not None else "")


def resolve_inside(root: Path, path: str) -> Path:
    """`root / path`, refused when it leaves `root` by `..`, an absolute path or a link."""
    base = root.resolve()
    found = (base / PurePosixPath(path)).resolve()
    if not found.is_relative_to(base):
        raise VideoError("lies outside the data set's folder", where=path, hint=f"copy it into {root}")
    return found


def _content(row: Row) -> dict[str, Any]:
    """What a manifest says of a row: most rows do without the keys of segments and of varying rates."""
    whole = (row.start, row.end, row.first) == (None, None, 0)
    few = {"start", "end", "first"} if whole else set()
    few |= {"durations"} if row.durations is None else set()
    return {name: value for name, value in asdict(row).items() if name not in few}


def rows_text(rows: Iterable[Row]) -> str:
    """One JSON object a line, non-ASCII names as they are."""
    return "".join(json.dumps(_content(row), ensure_ascii=False) + "\n" for row in rows)


def read_rows(lines: Iterable[str | bytes], name: str) -> list[Row]:
    """Rows of a manifest; `name` is what an error calls it. Blank lines are passed over.

    Raises VidaugError with the line number on anything that is not a row, and on a video that was there before: it
    could be mixed with itself.
    """
    found: dict[tuple[str, PurePosixPath, float | None, float | None], int] = {}
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = parse_row(line, f"{name}:{number}")
        first = found.setdefault((row.root, PurePosixPath(row.path), row.start, row.end), number)
        if first != number:
            hint = "keep one of them; --copies makes more clips of each video"
            raise VidaugError(f"{row.name} stands in line {first} already", where=f"{name}:{number}", hint=hint)
        rows.append(row)
    if not rows:
        raise VidaugError("holds no video", where=name, hint="make one with: vidaug scan FOLDER -o manifest.jsonl")
    return rows


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (int, float),
    "float | None": (int, float, type(None)),
}


_BY_SCAN = "a list with start and end makes segments: 'vidaug scan LIST' finds their frames"
_MOST = 2**31 - 1  # a shard stores frame numbers as int32


def parse_row(line: str | bytes, where: str) -> Row:
    """A `Row` from one line; unknown keys are passed over, so that newer manifests stay readable."""
    hint = "a manifest is what 'vidaug scan' writes: one JSON object a line"
    try:
        found: Any = json.loads(line)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair could be read and never written
    except UnicodeError as error:
        raise VidaugError("is not UTF-8", where=where, hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise VidaugError("is not JSON", where=where, hint=hint) from error
    if not isinstance(found, dict):
        raise VidaugError("is not a JSON object", where=where, hint=hint)
    known = {field.name: field for field in fields(Row)}
    for name, field in known.items():
        if name not in found:
            if name in ("path", "root", "label", "frames", "fps", "width", "height", "codec"):
                raise VidaugError(f"has no {name!r}", where=where, hint=hint)
            continue
        value = found[name]
        if name == "durations":
            found[name] = _runs(value, where, hint)
        elif not isinstance(value, _TYPES[str(field.type)]) or isinstance(value, bool):
            raise VidaugError(f"{name} = {value!r:.80} should be {field.type}", where=where, hint=hint)
    row = Row(**{name: value for name, value in found.items() if name in known})
    if min(row.frames, row.width, row.height) < 1:
        raise VidaugError("frames, width and height should be at least 1", where=where, hint=hint)
    if max(row.first + row.frames, row.width, row.height) > _MOST:
        raise VidaugError(f"frames, width and height should be at most {_MOST}", where=where, hint=hint)
    if row.first < 0:
        raise VidaugError(f"first = {row.first} should be the number of a frame", where=where, hint=hint)
    if not 0 <= (row.start or 0.0) < (math.inf if row.end is None else row.end) or (row.end or 0.0) > LARGEST:
        what = f"start = {row.start} and end = {row.end} should be seconds, 0 <= start < end"
        raise VidaugError(what, where=where, hint=hint)
    if row.durations is not None and sum(count for count, _ in row.durations) != row.frames:
        raise VidaugError(f"durations should be those of {row.frames} frames", where=where, hint=hint)
    if not 0 <= row.fps <= LARGEST:
        raise VidaugError(f"fps = {row.fps} should be 0 (unknown) or above", where=where, hint=hint)
    if row.start and "first" not in found:
        raise VidaugError("has a start, but not the first frame", where=where, hint=_BY_SCAN)
    lasts = sum(count * seconds for count, seconds in row.durations or ((row.frames, 1 / row.fps if row.fps else 0.0),))
    if row.end is not None and lasts > 1.1 * (row.end - (row.start or 0.0)) + 2 * lasts / row.frames:
        what = f"frames = {row.frames} take {lasts:.6g} s, more than from start to end"
        raise VidaugError(what, where=where, hint=_BY_SCAN)
    if not row.path or "\0" in row.path + row.root:
        raise VidaugError(f"path = {row.path!r} should name a file", where=where, hint=hint)
    return row


def _runs(value: Any, where: str, hint: str) -> Runs | None:
    typed = not type_fault(value, Runs | None)
    if not (typed and all(count > 0 and 1e-9 <= seconds <= 1e9 for count, seconds in value or ())):
        raise VidaugError(f"durations = {value!r:.80} should be pairs of frames and seconds", where=where, hint=hint)
    runs: Runs | None = as_tuples(value)
    return runs


def relocate(rows: Sequence[Row], root: Path | None) -> list[Row]:
    """The rows, with the folder `root` in place of their own where one is given.

    Raises VidaugError when none of the videos lies there: a moved data set is no set of broken videos.
    """
    if root is not None:
        rows = [replace(row, root=str(root.resolve())) for row in rows]
    if not any(os.path.exists(f"{row.root}/{row.path}") for row in rows):  # noqa: PTH110 (says no to any odd name)
        where, hint = rows[0].root, "--root says where the videos lie now"
        raise VidaugError(f"none of the manifest's {len(rows)} videos is there", where=where, hint=hint)
    return list(rows)


def distinct_names(rows: Sequence[Row]) -> list[str]:
    """What each video is called: its name, and where several folders have one of that name, after its folder's.

    As much of the path of `root` is put before it as tells them apart.
    """
    names = [row.name for row in rows]
    before = [PurePosixPath(row.root).parts for row in rows]
    alike = _alike(names)
    for depth in range(1, max((len(parts) for parts in before), default=0) + 1):
        if not alike:
            break
        for i in alike:
            names[i] = "/".join([*before[i][-depth:], rows[i].name]).removeprefix("//")
        still = set(_alike(names))
        alike = [i for i in alike if i in still]
    return names


def _alike(names: Sequence[str]) -> list[int]:
    """Places of the names that come more than once."""
    times = Counter(names)
    return [i for i, name in enumerate(names) if times[name] > 1]


def classes_of(rows: Iterable[Row]) -> list[str]:
    """Class names in label order: by the data set's own number where it has one, else by name.

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
            raise VidaugError(what, hint=hint)
        if names.setdefault(row.class_id, row.label) != row.label:
            what = f"class number {row.class_id} is {names[row.class_id]!r}, and {row.label!r} at {row.name}"
            raise VidaugError(what, hint=hint)
        numbers[row.label] = row.class_id
    return sorted(numbers, key=lambda name: (numbers[name], name))


def hash_rows(rows: Iterable[Row]) -> str:
    """sha256 of everything in the rows but where the data set lies, so that a moved folder is the same data set."""
    digest = hashlib.sha256()
    for row in rows:
        content = {name: value for name, value in _content(row).items() if name != "root"}
        digest.update(json.dumps(content, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _meant(subset: str, splits: Sequence[str]) -> str:
    """The nearest of the splits, by any of its names."""
    words = [*splits, *(word for word in SPLITS if SPLITS[word] in map(split_of, splits))]
    return "" if split_of(subset) in SPLITS.values() else nearest(subset.lower(), words)


def select(rows: Sequence[Row], *, subset: str | None, limit: int | None, seed: int) -> list[Row]:
    """The rows to use: those of one split, by any of its names, or `limit` of them drawn by the seed, in their order.

    Raises VidaugError when nothing is left.
    """
    if subset is not None:
        splits = sorted({row.split for row in rows if row.split})
        rows = [row for row in rows if row.split and split_of(row.split) == split_of(subset)]
        if not rows:
            hint = f"there is {', '.join(splits)}"
            if not splits:
                hint = "none has any: 'vidaug scan --split 1' reads split lists"
            raise VidaugError(f"no video has split {subset!r}{_meant(subset, splits)}", hint=hint)
    if limit is not None and limit < len(rows):
        chosen = generator(seed, 0, 1, Step.SHUFFLE).choice(len(rows), limit, replace=False)
        rows = [rows[index] for index in sorted(chosen)]
    return list(rows)


def read_manifest(path: Path) -> list[Row]:
    """The rows of a manifest, or of the one in an output folder. Raises VidaugError when there is none."""
    file = manifest_file(path)
    expect(file, Kind.MANIFEST, Kind.SHARDS)
    try:
        with file.open("rb") as lines:
            return read_rows(lines, str(file))
    except OSError as error:
        hint = "a manifest is what 'vidaug scan' writes"
        raise VidaugError(f"cannot be read: {error.strerror}", where=file, hint=hint) from error


def manifest_file(path: Path) -> Path:
    """The manifest in an output folder, even where that is in pieces; else the path itself."""
    return path / "manifest.jsonl" if (path / "manifest.jsonl").is_file() else path


def renumber(rows: Iterable[Row], classes: Mapping[str, int], where: object) -> list[Row]:
    """The rows with the names and numbers of `classes`; a label that is none of the names may be one of the numbers.

    `where` is what an error calls the file of classes. Raises VidaugError on a label that is neither.
    """
    known = {str(number): name for name, number in classes.items()}
    known |= {normalize("NFC", name): name for name in classes}  # a name that looks like a number is a name first

    def fit(row: Row) -> Row:
        if row.label is None:
            return row
        label = normalize("NFC", row.label)
        if label not in known and is_number(label):
            label = str(int(label))
        if label not in known:
            what = f"has no class {row.label!r}, and {row.name} is of it{nearest(row.label, classes)}"
            raise VidaugError(what, where=where, hint=f"it has {len(classes)}, from {_ends(classes)}")
        return replace(row, label=known[label], class_id=classes[known[label]])

    return [fit(row) for row in rows]


def _ends(classes: Mapping[str, int]) -> str:
    pairs = list(classes.items())
    return " to ".join(f"{number} {name!r}" for name, number in (pairs[0], pairs[-1]))
