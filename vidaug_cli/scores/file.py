"""Scores: what a network makes of each video, as `vidaug predict` and `vidaug ensemble` write them (scores.h5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.hdf5 import (
    MAX_TEXT,
    Attributes,
    Column,
    Sink,
    Table,
    add_attributes,
    add_dataset,
    create_file,
    open_checked,
    reading,
    text,
    writing,
)
from vidaug_cli.data.shard.header import parse_json
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.files import publish, temporary_beside

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
            self._refuse(~_sums_to_1(self.views).all(1), "scores of a view that are not shares of 1")
        self._refuse(~_sums_to_1(self.scores), "scores that are not shares of 1")
        self._refuse((self.labels < -1) | (self.labels >= classes), f"a label that is not -1 to {classes - 1}")
        self._refuse((self.shape < 0).any(1), "a negative size")
        for failed in self.failures:
            if not -1 <= failed.label < classes:
                raise ShardError(f"{failed.video!r} has a label that is not -1 to {classes - 1}")
            _check_text("a reason", failed.reason)
        _check_text("source", self.source, MAX_SOURCE)
        parse_json(self.source, dict, "source")

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


def write_scores(path: Path, scores: Scores) -> None:
    """Atomically. Raises ShardError when the disk does not take it."""
    temporary = temporary_beside(path)
    try:
        with writing(path):
            with Sink(temporary, "x+") as sink:
                with create_file(sink) as file:
                    _fill(file, scores)
                if sink.error:
                    raise sink.error
            read_scores(temporary)
            publish(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_scores(path: Path | str) -> Scores:
    """Raises ShardError when the file is damaged, foreign or holds what no scores can be."""
    path = Path(path)
    with reading(path, "file of scores", lambda: "'vidaug predict' and 'vidaug ensemble' write one"):
        file, attributes, datasets = open_checked(path, _describe)
        with file:
            columns = {name: dataset[...] for name, dataset in datasets.items()}
        texts = {name: _decoded(columns[name]) for name in ("classes", "videos", "failed", "reasons")}
        if len(texts["classes"]) != attributes["classes"]:
            raise ShardError(f"names {len(texts['classes'])} classes, and has scores for {attributes['classes']}")
        return Scores(
            classes=texts["classes"],
            videos=texts["videos"],
            failures=tuple(map(Failed, texts["failed"], columns["failed_labels"].tolist(), texts["reasons"])),
            source=str(attributes["source"]),
            views=columns.get("views"),
            **{name: columns[name] for name in ("labels", "scores", "shape")},
        )


def check_place(path: Path) -> None:
    """Before the work: the folder is there, and nothing is overwritten but scores. Raises VidaugError."""
    if not path.parent.is_dir():
        raise VidaugError("no such folder", where=path.parent)
    if not path.exists():
        return
    try:
        with reading(path, "file of scores", str):
            open_checked(path, _describe)[0].close()
    except ShardError as error:
        raise VidaugError("exists, and is not a file of scores", where=path, hint="choose another name") from error


_ATTRIBUTES = {"format": str, "version": int, "classes": int, "views": int, "source": str}


def _describe(found: Attributes) -> tuple[Attributes, list[Table]]:
    if found.get("format") != FORMAT:
        raise ShardError("is HDF5, but not a file of scores of vidaug")
    if found.get("version") != VERSION:
        raise ShardError(
            f"is version {found.get('version')}, and this vidaug reads {VERSION}", hint="update vidaug-cli"
        )
    if {name: type(value) for name, value in found.items()} != _ATTRIBUTES:
        raise ShardError(f"should have the attributes {', '.join(_ATTRIBUTES)}")
    return found, _tables(int(found["classes"]), int(found["views"]))


def _tables(classes: int, views: int) -> list[Table]:
    """The datasets. Texts may be of any length, and are padded to the longest."""
    label, score, size = np.dtype("<i8"), np.dtype("<f4"), np.dtype("<i4")
    per_view: dict[str, Column] = {"views": (score, (views, classes))} if views else {}
    own: dict[str, Column] = {"videos": (text(1), ()), "shape": (size, (3,)), "scores": (score, (classes,))}
    return [
        Table("class name", {"classes": (text(1), ())}),
        Table("video", own | per_view | {"labels": (label, ())}),
        Table("failed video", {"failed": (text(1), ()), "reasons": (text(1), ()), "failed_labels": (label, ())}),
    ]


def _fill(file: Any, scores: Scores) -> None:
    views = 0 if scores.views is None else scores.views.shape[1]
    failures = {
        "failed": [failed.video for failed in scores.failures],
        "reasons": [failed.reason for failed in scores.failures],
        "failed_labels": [failed.label for failed in scores.failures],
    }
    for table in _tables(len(scores.classes), views):
        for name, (dtype, row) in table.columns.items():
            values = (vars(scores) | failures)[name]
            if dtype.kind == "S":
                values = [value.encode() for value in values]
                dtype = text(max(map(len, values), default=1))
            add_dataset(file, name, (dtype, row), len(values))[...] = np.asarray(values, dtype)
    header: Attributes = {"format": FORMAT, "version": VERSION, "classes": len(scores.classes), "views": views}
    add_attributes(file, header | {"source": scores.source})


def _decoded(column: NDArray[np.bytes_]) -> tuple[str, ...]:
    return tuple(value.decode() for value in column.tolist())


def _sums_to_1(shares: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether the last axis holds shares of 1, all of them finite and none negative."""
    with np.errstate(invalid="ignore"):
        total = shares.sum(-1, dtype=np.float64)
    return np.asarray((shares >= 0).all(-1) & (abs(total - 1) <= TOLERANCE))


def _check_array(name: str, array: NDArray[Any], dtype: Any, shape: Sequence[int]) -> None:
    if array.dtype != dtype or array.shape != tuple(shape):
        raise ShardError(f"{name} is {array.dtype} {array.shape}, should be {np.dtype(dtype)} {tuple(shape)}")


def _check_texts(what: str, texts: Sequence[str], least: int = 0) -> None:
    """At least so many names, no two alike."""
    if len(texts) < least:
        raise ShardError(f"has no {what}")
    for name, times in Counter(texts).items():
        if times > 1:
            raise ShardError(f"has the {what} {name!r} twice")
        _check_text(f"the name of a {what}", name)
        if not name:
            raise ShardError(f"has a {what} without a name")


def _check_text(what: str, value: str, most: int = MAX_TEXT) -> None:
    """What a padded field of UTF-8 can hold. Zeros at its end would be lost."""
    try:
        good = "\0" not in value and len(value.encode()) <= most
    except UnicodeEncodeError:
        good = False
    if not good:
        raise ShardError(f"{what} is not UTF-8 without zeros of up to {most} bytes: {value[:40]!r}")
