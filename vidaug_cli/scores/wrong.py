"""Videos that were taken for another class: as a list, and as a sheet of their middle frames."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vidaug_cli.data.kinds import Kind, kind_of
from vidaug_cli.data.manifest import Row, distinct_names, read_manifest, resolve_inside
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.draw.grid import Cell, write_grid
from vidaug_cli.errors import KindError, PictureError, VideoError
from vidaug_cli.files import write_text_atomically
from vidaug_cli.scores.evaluation import ranking
from vidaug_cli.scores.file import Scores
from vidaug_cli.words import count, either, printable

SHOWN = 120  # videos on a sheet; more would make a picture that few programs open
PIXELS = 256  # of a decoded frame, whose sides are then brought to the video's proportions
LIST, SHEET = "wrong.csv", "wrong.png"  # in a folder


@dataclass(frozen=True)
class Wrong:
    """A video whose first choice is another class."""

    video: str
    true: str
    taken_for: str | None  # None: it has no scores
    score: float | None  # of what it was taken for
    true_score: float | None
    reason: str = ""  # why it has no scores


def misclassified(scores: Scores) -> list[Wrong]:
    """Return the videos with a label that are wrong, the surest mistake first; those that failed come last."""
    first = ranking(scores.scores)[:, 0] if len(scores.videos) else np.zeros(0, np.int64)
    wrong = [
        Wrong(video, scores.classes[label], scores.classes[choice], float(row[choice]), float(row[label]))
        for video, label, choice, row in zip(scores.videos, scores.labels, first, scores.scores, strict=True)
        if label not in (-1, choice)
    ]
    failed = [one for one in scores.failures if one.label >= 0]
    wrong.sort(key=lambda one: -(one.score or 0))
    return wrong + [Wrong(one.video, scores.classes[one.label], None, None, None, one.reason) for one in failed]


def _as_text(wrong: Sequence[Wrong]) -> str:
    lines = []
    for one in wrong:
        taken = (
            f"taken for {one.taken_for} ({100 * (one.score or 0):.1f} %)" if one.taken_for else f"failed: {one.reason}"
        )
        lines.append(printable(f"{one.video}: {one.true}, {taken}") + "\n")
    return "".join(lines)


def _as_jsonl(wrong: Sequence[Wrong]) -> str:
    return "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in wrong)


def _as_csv(wrong: Sequence[Wrong]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(Wrong.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, wrong))
    return table.getvalue()


LISTS: dict[str, Callable[[Sequence[Wrong]], str]] = {".txt": _as_text, ".jsonl": _as_jsonl, ".csv": _as_csv}


def _targets(path: Path) -> list[Path]:
    """Return the files to write for a path: itself, or those of a folder. Raises VidaugError for another suffix."""
    suffix = path.suffix.lower()
    if suffix in (*LISTS, ".png") and not path.is_dir():
        return [path]
    if suffix and not path.is_dir():
        what = "cannot be written as a list or a sheet"
        raise PictureError(what, where=path, hint=f"end it in {either([*LISTS, '.png'])}, or name a folder")
    return [path / LIST, path / SHEET]


Pixels = UInt8[np.ndarray, "size size 3"]  # a whole frame, squeezed into a square
Frames = Callable[[Wrong], tuple[Pixels, float]]  # finds that of a video, and its width for its height


def write_list(wrong: Sequence[Wrong], path: Path) -> None:
    """Write a list, by the suffix. Raises VidaugError when the file cannot be written."""
    write_text_atomically(path, LISTS[path.suffix.lower()](wrong))


def write_sheet(wrong: Sequence[Wrong], path: Path, frames: Frames) -> list[Cell]:
    """Write the middle frames of the first videos, and return them. Raises VidaugError when that is impossible."""
    cells = [_cell(one, frames) for one in wrong[:SHOWN]]
    write_grid(cells, path)
    return cells


def _cell(one: Wrong, frames: Frames) -> Cell:
    taken = f"taken for {one.taken_for}, {100 * (one.score or 0):.0f} %" if one.taken_for else "could not be read"
    try:
        picture, aspect = frames(one)
    except VideoError as error:
        return Cell(None, 1.0, one.true, taken, one.video, missing=error.reason)
    return Cell(picture, aspect, one.true, taken, one.video)


def write_wrong(scores: Scores, out: Path, videos: Path | None) -> list[str]:
    """Write what is misclassified to a list, a sheet or a folder of both; return what a person should know.

    `videos` is a manifest, a folder of shards, or the folder below which the videos have their names; without it, no
    sheet is written. Raises VidaugError when it or `out` is something else, or a file cannot be written.
    """
    wrong, said = misclassified(scores), []
    for path in _targets(out):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in LISTS:
            write_list(wrong, path)
            said.append(f"wrote {path}: {count(len(wrong), 'misclassified video')}")
        elif videos is None:
            said.append(f"{path}: not written, as only --videos says where the videos are")
        elif not wrong:
            said.append(f"{path}: not written, as no video is misclassified")
        else:
            with MiddleFrames(scores, videos) as frames:
                empty = [cell for cell in write_sheet(wrong, path, frames) if cell.missing]
            few = f"the {SHOWN} surest of {len(wrong)} mistakes" if len(wrong) > SHOWN else f"all {len(wrong)} mistakes"
            said.append(f"wrote {path}: {few}")
            if empty:
                first = printable(f"{empty[0].name}: {empty[0].missing}")
                said.append(f"{path}: {count(len(empty), 'video')} without a picture; {first}")
    return said


class MiddleFrames(AbstractContextManager["MiddleFrames"]):
    """The middle frames of scored videos, decoded in a process that can be killed, which ends with the `with` block.

    `place` is a manifest, a folder of shards, or the folder below which the videos have their names. Raises VidaugError
    when it is something else.
    """

    def __init__(self, scores: Scores, place: Path) -> None:
        self.guard = Guard()
        self.rows: Mapping[str, Row] | None = None
        self.folder = place
        if kind_of(place) in (Kind.MANIFEST, Kind.SHARDS):
            rows = read_manifest(place)
            self.rows = dict(zip(distinct_names(rows), rows, strict=True))
        elif not place.is_dir():
            raise KindError(kind_of(place).finding, where=place, hint="--videos takes a manifest or a folder")
        self.shapes = dict(zip(scores.videos, scores.shape.tolist(), strict=True))

    def __call__(self, one: Wrong) -> tuple[Pixels, float]:
        """Return the frame and its width for its height. Raises VideoError where the video is missing or broken."""
        if self.rows is None:
            if "#t=" in one.video:
                raise VideoError("is a segment: give --videos the manifest", where=one.video)
            frames, width, height = self.shapes.get(one.video, (0, 0, 0))
            video: Row | Path = resolve_inside(self.folder, one.video)
            middle = frames // 2
        elif (row := self.rows.get(one.video)) is None:
            raise VideoError("is not in the manifest", where=one.video)
        else:
            video, middle, width, height = row, row.first + row.frames // 2, row.width, row.height
        squares, _ = self.guard.read_clip(video, np.array([middle], np.int32), None, PIXELS)
        return squares[0], width / height if width and height else 1.0

    def __exit__(self, *_: object) -> None:
        self.guard.close()
