"""Scores: what a network makes of each video, as `vidaug predict` and `vidaug ensemble` write them (scores.h5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.hdf5 import MAX_TEXT, Column, Columns, Format, creating, fill, open_checked, reading, text
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.schema import parse, parse_json

FORMAT = "vidaug-scores"
VERSION = 1
TOLERANCE = 1e-3  # of a sum of scores: bfloat16 networks are allowed
MAX_SOURCE = 60_000  # bytes: longer attributes lie outside HDF5's checksummed metadata


@dataclass(frozen=True)
class Failed:
    """A video that has no scores, with the reason."""

    video: str  # name as in the manifest: its path, and a segment of it as `#t=10,20`
    label: int  # -1: unknown
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The scores of N videos for K classes. Raises ShardError on values that no scores can have."""

    classes: tuple[str, ...]  # names in label order
    videos: tuple[str, ...]  # names as in the manifest: paths, and segments of them as `#t=10,20`
    labels: NDArray[np.int64]  # (N,), -1: unknown
    scores: NDArray[np.float32]  # (N, K), mean softmax: rows sum to 1
    views: NDArray[np.float32] | None = None  # (N, V, K), softmax of each view, where it was asked for
    shape: NDArray[np.int32]  # (N, 3): frames, width, height of each video; 0: unknown
    failures: tuple[Failed, ...] = ()
    source: str = "{}"  # JSON object: checkpoint, views, how it was made

    def __post_init__(self) -> None:
        videos, classes = len(self.videos), len(self.classes)
        _check_texts("class", self.classes, 1)
        _check_texts("video", self.all_videos)
        _check_array("labels", self.labels, np.int64, (videos,))
        _check_array("scores", self.scores, np.float32, (videos, classes))
        _check_array("shape", self.shape, np.int32, (videos, 3))
        if self.views is not None:
            _check_array("views", self.views, np.float32, (videos, max((1, *self.views.shape[1:2])), classes))
            self._refuse(~_sums_to_1(self.views).all(1), "scores of a view that are negative or do not sum to 1")
        self._refuse(~_sums_to_1(self.scores), "scores that are negative or do not sum to 1")
        self._refuse((self.labels < -1) | (self.labels >= classes), f"a label that is not -1 to {classes - 1}")
        self._refuse((self.shape < 0).any(1), "a negative size")
        for failed in self.failures:
            if not -1 <= failed.label < classes:
                raise ShardError(f"{failed.video!r} has a label that is not -1 to {classes - 1}")
            _check_text("a reason", failed.reason)
        _check_text("source", self.source, MAX_SOURCE)
        parse_json(self.source, dict, "source", error=ShardError)

    @property
    def all_videos(self) -> tuple[str, ...]:
        """Names of the scored videos and then of the failed ones."""
        return *self.videos, *(failed.video for failed in self.failures)

    @property
    def all_labels(self) -> NDArray[np.int64]:
        """Labels of `all_videos`."""
        return np.array([*self.labels.tolist(), *(failed.label for failed in self.failures)], np.int64)

    def relabelled(self, labels: NDArray[np.int64]) -> Scores:
        """Return the same with other labels of `all_videos`."""
        scored, failed = np.split(labels, [len(self.videos)])
        failures = zip(self.failures, failed.tolist(), strict=True)
        return replace(self, labels=scored, failures=tuple(replace(one, label=label) for one, label in failures))

    def _refuse(self, bad: Any, what: str) -> None:
        """Name the first video for which `bad`, bool (N,), holds."""
        if bad.any():
            raise ShardError(f"{self.videos[int(bad.argmax())]!r} has {what}")


@dataclass(frozen=True)
class ScoresHeader:
    """The attributes of a file of scores."""

    classes: int  # how many
    views: int  # of each video; 0: their scores are not there
    source: str  # JSON object

    def columns(self) -> Columns:
        """Return the datasets of a file of scores."""
        label, score, size = np.dtype("<i8"), np.dtype("<f4"), np.dtype("<i4")
        return {
            "classes": Column("class name", text()),
            "videos": Column("video", text()),
            "shape": Column("video", size, (3,)),
            "scores": Column("video", score, (self.classes,)),
            **({"views": Column("video", score, (self.views, self.classes))} if self.views else {}),
            "labels": Column("video", label),
            "failed": Column("failed video", text()),
            "reasons": Column("failed video", text()),
            "failed_labels": Column("failed video", label),
        }


SCORES = Format(FORMAT, VERSION, "file of scores", partial(parse, ScoresHeader, error=ShardError), ScoresHeader.columns)


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores atomically. Raises ShardError when the disk does not take them."""
    header = ScoresHeader(len(scores.classes), 0 if scores.views is None else scores.views.shape[1], scores.source)
    rows = vars(scores) | {
        "failed": [failed.video for failed in scores.failures],
        "reasons": [failed.reason for failed in scores.failures],
        "failed_labels": [failed.label for failed in scores.failures],
    }
    with creating(path, read_scores) as (file, _):
        fill(file, SCORES, asdict(header), header.columns(), rows)


def read_scores(path: Path | str) -> Scores:
    """Return the scores in a file. Raises ShardError when it is damaged, foreign or holds impossible values."""
    path = Path(path)
    with reading(path, SCORES, lambda: "'vidaug predict' and 'vidaug ensemble' write one"):
        file, header, datasets = open_checked(path, SCORES)
        with file:
            rows = {name: dataset[...] for name, dataset in datasets.items()}
        for name in ("classes", "videos", "failed", "reasons"):
            rows[name] = tuple(value.decode() for value in rows[name].tolist())
        if len(rows["classes"]) != header.classes:
            raise ShardError(f"names {len(rows['classes'])} classes, and has scores for {header.classes}")
        failures = map(Failed, rows.pop("failed"), rows.pop("failed_labels").tolist(), rows.pop("reasons"))
        return Scores(**rows, failures=tuple(failures), source=header.source)


def check_place(path: Path) -> None:
    """Raise VidaugError where the folder of `path` does not exist, or where a file of another kind is there."""
    if not path.parent.is_dir():
        raise VidaugError("no such folder", where=path.parent)
    if not path.exists():
        return
    try:
        with reading(path, SCORES, str):
            open_checked(path, SCORES)[0].close()
    except ShardError as error:
        raise VidaugError("exists, and is not a file of scores", where=path, hint="choose another name") from error


def _sums_to_1(shares: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether the last axis sums to 1 with finite values, none of them negative."""
    with np.errstate(invalid="ignore"):
        total = shares.sum(-1, dtype=np.float64)
    return np.asarray((shares >= 0).all(-1) & (abs(total - 1) <= TOLERANCE))


def _check_array(name: str, array: NDArray[Any], dtype: Any, shape: Sequence[int]) -> None:
    if array.dtype != dtype or array.shape != tuple(shape):
        raise ShardError(f"{name} is {array.dtype} {array.shape}, should be {np.dtype(dtype)} {tuple(shape)}")


def _check_texts(what: str, texts: Sequence[str], least: int = 0) -> None:
    """Raise ShardError where there are fewer names than `least`, or where two are the same."""
    if len(texts) < least:
        raise ShardError(f"has no {what}")
    for name, times in Counter(texts).items():
        if times > 1:
            raise ShardError(f"has the {what} {name!r} twice")
        _check_text(f"the name of a {what}", name)
        if not name:
            raise ShardError(f"has a {what} without a name")


def _check_text(what: str, value: str, most: int = MAX_TEXT) -> None:
    """Raise ShardError where a padded field of UTF-8 cannot hold a text: zeros at its end would be lost."""
    try:
        good = "\0" not in value and len(value.encode()) <= most
    except UnicodeEncodeError:
        good = False
    if not good:
        raise ShardError(f"{what} is not UTF-8 without zeros of up to {most} bytes: {value[:40]!r}")
