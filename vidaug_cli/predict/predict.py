"""Scores of videos: the softmax of a network over several views of each, averaged."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.augment.plan import read_plan
from vidaug_cli.data.listing.tree import Quarantined
from vidaug_cli.data.manifest import Row, distinct_names
from vidaug_cli.data.sampling import check_rates
from vidaug_cli.data.shard.done import done_path, read_done
from vidaug_cli.data.shard.file import Shard
from vidaug_cli.device import explain_torch_errors
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.predict.predictor import Key, Predictor
from vidaug_cli.predict.views import Views
from vidaug_cli.scores.file import Failed, Scores
from vidaug_cli.words import count, printable
from vidaug_cli.workers import Progress


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Scores, and what making them took."""

    scores: Scores
    views: int  # of each video, on average
    clips: int  # that went through the network: views that are alike go once
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def top1(self) -> float | None:
        """Share of the labelled videos whose best class is their own; None without labels."""
        known = self.scores.labels >= 0
        right = self.scores.scores.argmax(1) == self.scores.labels
        return float(right[known].mean()) if known.any() else None

    @property
    def text(self) -> str:
        top1 = f"top-1 {self.top1:.1%}, " if self.top1 is not None else ""
        rate = f"{self.clips / max(self.seconds, 1e-9):.1f} clips/s"
        videos, views = count(len(self.scores.videos), "video"), count(self.views, "view")
        return f"{videos}, {views} each, {top1}{self.seconds:.1f} s, {rate}"

    def as_json(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in ("views", "clips", "seconds", "top1", "notes")}
        failures = [vars(failed) for failed in self.scores.failures]
        return {"videos": len(self.scores.videos)} | numbers | {"failures": failures}


def predict_videos(
    predictor: Predictor,
    rows: Sequence[Row],
    *,
    views: Views = 10,
    crop: float | None = None,
    per_view: bool = False,
    quarantined: Sequence[Quarantined] = (),
    progress: bool = False,
) -> Prediction:
    """Scores of raw videos. One that cannot be read is among the failures.

    Args:
        predictor: the network and how it is run.
        rows: the videos; one without a label, or with one the network does not know, gets the label -1.
        views: 1, 10 or 30.
        crop: side of the square as a share of the short side; None: the least of the network's training.
        per_view: keep the softmax of each view, too.
        quarantined: videos of which is known already that they cannot be used; they join the failures.
        progress: show a bar.

    Raises VidaugError when no label is a class of the network.
    """
    check_rates(predictor.clip, rows)
    tally = _Tally(predictor, rows, views if per_view else 0)
    batches = predictor.video_batches(rows, views, crop, tally.failed)
    with closing(batches), Progress(len(rows), "video", "predict", show=progress) as bar:
        for keys, video in batches:
            tally.add(keys, predictor.softmax(video))
            bar.update(keys[-1][0] - bar.done)
        bar.update(len(rows) - bar.done)
    share = predictor.clip.crop[0] if crop is None else crop
    return tally.prediction({"views": views, "crop": share}, {video.path: video.reason for video in quarantined})


def predict_shards(predictor: Predictor, out: Path, *, per_view: bool = False, progress: bool = False) -> Prediction:
    """Scores of the videos whose clips are in an output folder; all clips of a video are its views.

    Raises ShardError when a clip is a mix of two videos, and with `per_view` when videos differ in their number of
    clips; VidaugError when no label is a class of the network.
    """
    plan, cuts = read_plan(out), predictor.cuts(out)
    sources = []
    reasons: dict[str, str] = {}
    for path in cuts.shards.paths:
        with Shard(path) as shard:
            sources.append(shard.column("sources"))
        reasons |= {failure.path: failure.reason for failure in read_done(done_path(path)).failures}
    own, partners = np.concatenate(sources).T
    if mixed := int((partners >= 0).sum()):
        hint = "predict videos, or shards made with --recipe none"
        raise ShardError(f"{mixed} of {count(len(own), 'clip')} are mixed from two videos", where=out, hint=hint)
    keys, seen = [], Counter[int]()
    for row in own.tolist():
        keys.append((row, [seen[row]]))
        seen[row] += 1
    if per_view and len(set(seen.values())) > 1:
        what = f"videos have {min(seen.values())} to {max(seen.values())} clips"
        raise ShardError(what, where=out, hint="leave --per-view out")
    tally = _Tally(predictor, plan.rows, max(seen.values()) if per_view else 0)
    waiting = iter(keys)
    with explain_torch_errors(out), Progress(len(own), "clip", "predict", show=progress) as bar:
        for video, *_ in predictor.shard_batches(cuts):
            tally.add([next(waiting) for _ in video], predictor.softmax(video))
            bar.update(len(video))
    missing = "has no clip in the shards"
    tally.failed = {
        video: reasons.get(row.name, missing) for video, row in enumerate(plan.rows) if not tally.counts[video]
    }
    return tally.prediction({"shards": out.name}, notes=predictor.notes)


class _Tally:
    """Adds up the softmaxes of each video's views."""

    def __init__(self, predictor: Predictor, rows: Sequence[Row], views: int) -> None:
        self.started = time.monotonic()
        self.predictor, self.rows = predictor, rows
        self.labels, self.notes = match_labels(predictor.classes, [row.label for row in rows])
        self.names = distinct_names(rows)
        self.sums = np.zeros((len(rows), len(predictor.classes)))
        self.counts = np.zeros(len(rows), np.int64)  # views seen
        self.views = np.zeros((len(rows), views, len(predictor.classes)), np.float32) if views else None
        self.clips = 0
        self.failed: dict[int, str] = {}

    def add(self, keys: Sequence[Key], shares: NDArray[np.float32]) -> None:
        self.clips += len(keys)
        for (video, places), share in zip(keys, shares, strict=True):
            self.sums[video] += len(places) * share
            self.counts[video] += len(places)
            if self.views is not None:
                self.views[video, places] = share

    def prediction(
        self, about: dict[str, Any], quarantined: dict[str, str] | None = None, notes: Sequence[str] = ()
    ) -> Prediction:
        done = [video for video in range(len(self.rows)) if video not in self.failed]
        rows = [self.rows[video] for video in done]
        left_out = [f"left out: {printable(self.names[video])}: {why}" for video, why in self.failed.items()]
        failures = [Failed(self.names[video], int(self.labels[video]), why) for video, why in self.failed.items()]
        failures += [Failed(path, -1, reason) for path, reason in (quarantined or {}).items()]
        scores = Scores(
            classes=self.predictor.classes,
            videos=tuple(self.names[video] for video in done),
            labels=self.labels[done],
            scores=(self.sums[done] / self.counts[done, None]).astype(np.float32),
            views=None if self.views is None else self.views[done],
            shape=np.array([(row.frames, row.width, row.height) for row in rows], np.int32).reshape(-1, 3),
            failures=tuple(failures),
            source=json.dumps(self.predictor.about | about),
        )
        return Prediction(
            scores=scores,
            views=round(self.counts[done].mean()) if done else 0,
            clips=self.clips,
            seconds=time.monotonic() - self.started,
            notes=(*notes, *self.notes, *left_out),
        )


def match_labels(classes: Sequence[str], names: Sequence[str | None]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class numbers int64 (N,) by name, -1 for none and for one that is not among the classes; and what to note.

    Raises VidaugError when there are labels and none is among the classes.
    """
    number = {name: label for label, name in enumerate(classes)}
    strange = Counter(name for name in names if name is not None and name not in number)
    labels = np.array([number.get(name, -1) if name is not None else -1 for name in names], np.int64)
    if not strange:
        return labels, ()
    example = next(iter(strange))
    if (labels < 0).all():
        hint = f"it knows {', '.join(classes[:5])}{' ...' if len(classes) > 5 else ''}"
        raise VidaugError(f"no video has a class of the network: {example!r} is none", hint=hint)
    what = (
        f"{count(strange.total(), 'video')} of {len(strange)} other classes, such as {example!r}, count as unlabelled"
    )
    return labels, (what,)
