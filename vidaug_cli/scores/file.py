"""Scores: what a network makes of each video, as `vidaug predict` and `vidaug ensemble` write them (scores.h5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from vidaug_cli.data import hdf5
from vidaug_cli.data.kinds import Kind, kind_of
from vidaug_cli.errors import MissingPathError, OccupiedError, ScoresError, VersionError
from vidaug_cli.ops.disturbances import DISTURBANCES, VERSION
from vidaug_cli.schema import parse, parse_json
from vidaug_cli.words import cut, shown

TOLERANCE = 1e-3  # of a sum of scores: bfloat16 networks are allowed
MAX_SOURCE = 60_000  # bytes: longer attributes lie outside HDF5's checksummed metadata

Labels = Int64[np.ndarray, " n"]  # class numbers; -1: unknown


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
    labels: Labels  # of the videos
    scores: Float32[np.ndarray, "n k"]  # mean softmax: rows sum to 1
    views: Float32[np.ndarray, "n v k"] | None = None  # softmax of each view, where it was asked for
    disturbances: tuple[str, ...] = ()  # names of a table of disturbances, by which the videos were disturbed
    disturbed: Float32[np.ndarray, "p n k"] | None = None  # scores under each of them; None where there are none
    shape: Int32[np.ndarray, "n 3"]  # frames, width, height of each video; 0: unknown
    failures: tuple[Failed, ...] = ()
    source: str = "{}"  # JSON object: checkpoint, views, how it was made

    def __post_init__(self) -> None:
        videos, classes = len(self.videos), len(self.classes)
        if not classes:
            raise ScoresError("has no class")
        _check_names("class", self.classes)
        _check_names("video", self.all_videos)
        _check_array("labels", self.labels, np.int64, (videos,))
        _check_array("scores", self.scores, np.float32, (videos, classes))
        _check_array("shape", self.shape, np.int32, (videos, 3))
        if self.views is not None:
            _check_array("views", self.views, np.float32, (videos, max((1, *self.views.shape[1:2])), classes))
            self._refuse(~_sums_to_1(self.views).all(1), "scores of a view that are negative or do not sum to 1")
        if self.disturbances or self.disturbed is not None:
            self._check_disturbed()
        self._refuse(~_sums_to_1(self.scores), "scores that are negative or do not sum to 1")
        labels = self.all_labels
        self._refuse((labels < -1) | (labels >= classes), f"a label that is not -1 to {classes - 1}")
        self._refuse((self.shape < 0).any(1), "a negative size")
        for failed in self.failures:
            _check_text("a reason", failed.reason)
        _check_text("source", self.source, MAX_SOURCE)
        parse_json(self.source, dict, "source", error=ScoresError)

    def _check_disturbed(self) -> None:
        """Raise ShardError where the scores of disturbed videos are none of this vidaug's table, or impossible."""
        table = parse_json(self.source, dict, "source", error=ScoresError).get("disturbances", VERSION)
        if table != VERSION:
            what = f"its videos were disturbed by the table {shown(table)}, and this vidaug has {VERSION}"
            raise VersionError(what, hint="predict anew, or evaluate with the vidaug that predicted")
        _check_names("disturbance", self.disturbances)
        if unknown := [name for name in self.disturbances if name not in DISTURBANCES]:
            what = f"has the disturbance {shown(unknown[0])}, which is not in {VERSION}, the table of this vidaug"
            raise ScoresError(what, hint="update vidaug-cli")
        if self.disturbed is None:
            raise ScoresError(f"has no scores under {self.disturbances[0]!r}")
        shape = len(self.disturbances), len(self.videos), len(self.classes)
        _check_array("disturbed", self.disturbed, np.float32, shape)
        for name, scores in zip(self.disturbances, self.disturbed, strict=True):
            self._refuse(~_sums_to_1(scores), f"scores under {name!r} that are negative or do not sum to 1")

    @property
    def all_videos(self) -> tuple[str, ...]:
        """Names of the scored videos and then of the failed ones."""
        return *self.videos, *(failed.video for failed in self.failures)

    @property
    def all_labels(self) -> Labels:
        """Labels of `all_videos`."""
        return np.array([*self.labels.tolist(), *(failed.label for failed in self.failures)], np.int64)

    def relabelled(self, labels: Labels) -> Scores:
        """Return the same with other labels of `all_videos`."""
        scored, failed = np.split(labels, [len(self.videos)])
        failures = zip(self.failures, failed.tolist(), strict=True)
        return replace(self, labels=scored, failures=tuple(replace(one, label=label) for one, label in failures))

    def _refuse(self, bad: Any, what: str) -> None:
        """Raise ShardError with the first video for which `bad`, bool (N,), holds."""
        if bad.any():
            raise ScoresError(f"{self.all_videos[int(bad.argmax())]!r} has {what}")


@dataclass(frozen=True)
class ScoresHeader:
    """The attributes of a file of scores."""

    classes: int  # how many
    views: int  # of each video; 0: their scores are not there
    source: str  # JSON object
    disturbances: int = 0  # how many; 0: none, nor their names

    def columns(self) -> hdf5.Columns:
        """Return the datasets of a file of scores."""
        label, score, size = np.dtype("<i8"), np.dtype("<f4"), np.dtype("<i4")
        return {
            "classes": hdf5.Column("class name", hdf5.text()),
            "videos": hdf5.Column("video", hdf5.text()),
            "shape": hdf5.Column("video", size, (3,)),
            "scores": hdf5.Column("video", score, (self.classes,)),
            **({"views": hdf5.Column("video", score, (self.views, self.classes))} if self.views else {}),
            **(self._disturbed() if self.disturbances else {}),
            "labels": hdf5.Column("video", label),
            "failed": hdf5.Column("failed video", hdf5.text()),
            "reasons": hdf5.Column("failed video", hdf5.text()),
            "failed_labels": hdf5.Column("failed video", label),
        }

    def _disturbed(self) -> hdf5.Columns:
        row = self.disturbances, self.classes
        return {
            "disturbed": hdf5.Column("video", np.dtype("<f4"), row),  # a row for each video, as everywhere in the file
            "disturbances": hdf5.Column("disturbance", hdf5.text()),
        }


_parse = partial(parse, ScoresHeader, error=ScoresError)
SCORES = hdf5.Format("vidaug-scores", 1, "file of scores", ScoresError, _parse, ScoresHeader.columns)


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores atomically. Raises ShardError when the disk does not take them."""
    views = 0 if scores.views is None else scores.views.shape[1]
    header = ScoresHeader(len(scores.classes), views, scores.source, len(scores.disturbances))
    attributes = {name: value for name, value in asdict(header).items() if (name, value) != ("disturbances", 0)}
    rows = vars(scores) | {
        "disturbed": None if scores.disturbed is None else scores.disturbed.swapaxes(0, 1),
        "failed": [failed.video for failed in scores.failures],
        "reasons": [failed.reason for failed in scores.failures],
        "failed_labels": [failed.label for failed in scores.failures],
    }
    with hdf5.creating(path, read_scores) as (file, _):
        hdf5.fill(file, SCORES, attributes, header.columns(), rows)


def read_scores(path: Path | str) -> Scores:
    """Return the scores in a file. Raises ShardError when it is damaged, foreign or holds impossible values."""
    path = Path(path)
    with hdf5.reading(path, SCORES, lambda: "'vidaug predict' and 'vidaug ensemble' write one"):
        file, header, datasets = hdf5.open_checked(path, SCORES)
        with file:
            rows = {name: dataset[...] for name, dataset in datasets.items()}
        for name in {"classes", "videos", "failed", "reasons", "disturbances"} & rows.keys():
            rows[name] = tuple(value.decode() for value in rows[name].tolist())
        if len(rows["classes"]) != header.classes:
            raise ScoresError(f"names {len(rows['classes'])} classes, and has scores for {header.classes}")
        if (named := len(rows.get("disturbances", ()))) != header.disturbances:
            raise ScoresError(f"names {named} disturbances, and has scores under {header.disturbances}")
        if "disturbed" in rows:
            rows["disturbed"] = rows["disturbed"].swapaxes(0, 1)
        failures = map(Failed, rows.pop("failed"), rows.pop("failed_labels").tolist(), rows.pop("reasons"))
        return Scores(**rows, failures=tuple(failures), source=header.source)


def check_place(path: Path) -> None:
    """Raise VidaugError where the folder of `path` does not exist, or where a file of another kind is there."""
    if not path.parent.is_dir():
        raise MissingPathError("does not exist", where=path.parent, hint="make this folder first")
    if kind_of(path) not in (Kind.SCORES, Kind.MISSING):
        raise OccupiedError("exists, and is not a file of scores", where=path, hint="choose another name")


def _sums_to_1(shares: Float32[np.ndarray, "*n k"]) -> Bool[np.ndarray, "*n"]:
    """Return whether the last axis sums to 1 with finite values, none of them negative."""
    with np.errstate(invalid="ignore"):
        total = shares.sum(-1, dtype=np.float64)
    return np.asarray((shares >= 0).all(-1) & (abs(total - 1) <= TOLERANCE))


def _check_array(name: str, array: np.ndarray, dtype: Any, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ScoresError(f"{name} is {array.dtype} {array.shape}, should be {np.dtype(dtype)} {shape}")


def _check_names(what: str, names: Sequence[str]) -> None:
    """Raise ShardError where two names are the same, or one cannot be stored."""
    for name, times in Counter(names).items():
        if times > 1:
            raise ScoresError(f"has the {what} {name!r} twice")
        _check_text(f"the name of a {what}", name)
        if not name:
            raise ScoresError(f"has a {what} without a name")


def _check_text(what: str, value: str, most: int = hdf5.MAX_TEXT) -> None:
    """Raise ShardError where a padded field of UTF-8 cannot hold a text: zeros at its end would be lost."""
    data = value.encode(errors="ignore")  # without halves of surrogate pairs, which UTF-8 does not have
    if "\0" in value or data.decode() != value or len(data) > most:
        raise ScoresError(f"{what} should be UTF-8 of at most {most} bytes, none of them 0: {cut(value, 40)!r}")
