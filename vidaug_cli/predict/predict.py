"""Scores of videos: the softmax of a network over several views of each, averaged; also of disturbed videos."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64

from vidaug_cli.augment.plan import first_rows, read_plans
from vidaug_cli.data.listing.tree import Quarantined
from vidaug_cli.data.manifest import Row, distinct_names, distinct_videos
from vidaug_cli.data.sampling import Views, check_rates, speed_note
from vidaug_cli.data.shard.format import done_path, read_done
from vidaug_cli.device import explain_torch_errors
from vidaug_cli.errors import ClassesError, UnfitError, VideoError
from vidaug_cli.ops.clips import Video
from vidaug_cli.ops.disturb import ClipKey
from vidaug_cli.ops.disturbances import Disturbance, about
from vidaug_cli.predict.perturb import Clip, Trials, class_of, with_others
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.predict.views import Pixels, Reading, read_ahead, readings
from vidaug_cli.scores.file import Failed, Scores
from vidaug_cli.train.batches import MIDDLE, CropDataset, SampleIndex
from vidaug_cli.words import count, printable
from vidaug_cli.workers import Progress


@dataclass(frozen=True)
class Prediction:
    """Scores, and what making them took."""

    scores: Scores
    views: int  # of each video, on average
    clips: int  # that went through the network: views that are alike go once
    seconds: float
    notes: tuple[str, ...]

    @property
    def top1(self) -> float | None:
        """Share of the labelled videos whose best class is their own; None without labels."""
        known = self.scores.labels >= 0
        right = self.scores.scores.argmax(1) == self.scores.labels
        return float(right[known].mean()) if known.any() else None

    @property
    def text(self) -> str:
        """One line for a person."""
        top1 = f"top-1 {self.top1:.1%}, " if self.top1 is not None else ""
        rate = f"{self.clips / max(self.seconds, 1e-9):.1f} clips/s"
        videos, views = count(len(self.scores.videos), "video"), count(self.views, "view")
        disturbed = f"{count(len(self.scores.disturbances), 'disturbance')}, " if self.scores.disturbances else ""
        return f"{videos}, {views} each, {top1}{disturbed}{self.seconds:.1f} s, {rate}"

    def as_json(self) -> dict[str, Any]:
        """Return all but the scores of videos, with the failures."""
        numbers = {name: getattr(self, name) for name in ("views", "clips", "seconds", "top1", "notes")}
        disturbances = {"disturbances": self.scores.disturbances} if self.scores.disturbances else {}
        return {"videos": len(self.scores.videos)} | numbers | disturbances | {"failures": self.scores.failures}


class Tested(NamedTuple):
    """What a clip that is tested is of."""

    video: int  # its number
    views: Sequence[int]  # which of the video's views it is: of a short video, several


class TestedClip(NamedTuple):
    """A clip that is tested, as frames of what was read of its video."""

    tested: Tested
    pixels: Pixels
    cut: Int64[np.ndarray, " t"]  # which of them


class VideoScores:
    """The softmaxes of each video's views as they add up, and the reasons why videos have none."""

    def __init__(
        self, predictor: Predictor, rows: Sequence[Row], views: int, disturbances: Sequence[Disturbance] = ()
    ) -> None:
        self.started = time.monotonic()
        self.predictor, self.rows, self.disturbances = predictor, rows, disturbances
        self.labels, self.notes = match_labels(predictor.classes, [row.label for row in rows])
        videos, classes = len(rows), len(predictor.classes)
        self.sums, self.counts = np.zeros((videos, classes)), np.zeros(videos, np.int64)
        self.views = np.zeros((videos, views, classes), np.float32) if views else None
        self.disturbed = np.zeros((len(disturbances), videos, classes), np.float32)
        self.clips = 0
        self.failed: dict[int, str] = {}

    def add(self, trial: int, clips: Sequence[Tested], softmax: Float32[np.ndarray, "b k"]) -> None:
        """Add what the network says of clips: in trial 0 as they are, and then under each disturbance."""
        self.clips += len(clips)
        for (video, views), answer in zip(clips, softmax, strict=True):
            if trial:
                self.disturbed[trial - 1, video] += len(views) * answer
                continue
            self.counts[video] += len(views)
            self.sums[video] += len(views) * answer
            if self.views is not None:
                self.views[video, views] = answer

    def prediction(self, made: dict[str, Any], quarantined: Sequence[Quarantined] = ()) -> Prediction:
        """Return the scores of all videos but those that failed; `made` says how."""
        names = distinct_names(self.rows)
        done = [video for video in range(len(self.rows)) if video not in self.failed]
        failures = [Failed(names[video], int(self.labels[video]), reason) for video, reason in self.failed.items()]
        left_out = [f"left out: {printable(failure.video)}: {failure.reason}" for failure in failures]
        failures += [Failed(video.path, -1, video.reason) for video in quarantined]
        if chosen := sum(name in self.predictor.chosen_by for name in names):
            made = made | {"chosen_on": chosen}
        shape = np.array([(row.frames, row.width, row.height) for row in self.rows], np.int32).reshape(-1, 3)
        scores = Scores(
            classes=self.predictor.classes,
            videos=tuple(names[video] for video in done),
            labels=self.labels[done],
            scores=(self.sums[done] / self.counts[done, None]).astype(np.float32),
            views=None if self.views is None else self.views[done],
            disturbances=tuple(one.name for one in self.disturbances),
            disturbed=self.disturbed[:, done] / self.counts[done, None].astype(np.float32)
            if self.disturbances
            else None,
            shape=shape[done],
            failures=tuple(failures),
            source=json.dumps(self.predictor.about | made | about(self.disturbances)),
        )
        views = round(self.counts[done].mean()) if done else 0
        return Prediction(scores, views, self.clips, time.monotonic() - self.started, (*self.notes, *left_out))


def predict_videos(
    predictor: Predictor,
    rows: Sequence[Row],
    *,
    views: Views = 10,
    crop: float | None = None,
    disturbances: Sequence[Disturbance] = (),
    per_view: bool = False,
    quarantined: Sequence[Quarantined] = (),
    progress: bool = False,
) -> Prediction:
    """Return the scores of raw videos. One that cannot be read is among the failures.

    Args:
        predictor: the network and how it is run.
        rows: the videos; one without a label, or with one the network does not know, gets the label -1.
        views: 1, 10 or 30.
        crop: side of the square as a share of the short side; None: the least of the network's training.
        disturbances: score the videos under each of these, too.
        per_view: keep the softmax of each view, too.
        quarantined: videos that are known already to be unusable; they join the failures.
        progress: show a bar.

    Raises VidaugError when no label is a class of the network, or a cut finds no video of another class.
    """
    check_rates(predictor.clip, rows)
    crop = predictor.clip.crop[0] if crop is None else crop
    scores = VideoScores(predictor, rows, views if per_view else 0, disturbances)
    trials = with_others(disturbances, rows, partial(_middles, predictor, rows, crop))
    wanted = readings(predictor.clip, rows, views, crop)
    with (
        closing(read_ahead(wanted, predictor.clip, predictor.workers, predictor.limits)) as decoded,
        _progress(len(rows), "video", trials, show=progress) as bar,
    ):
        clips, last = _clips(decoded, scores.failed), 0
        while batch := list(islice(clips, predictor.batch)):
            tested = [clip for clip, *_ in batch]
            answers = trials.answers(predictor, _batch(batch, predictor.device), *_keys(tested, rows))
            for trial, softmax in enumerate(answers):
                scores.add(trial, tested, softmax)
                bar.update(tested[-1].video - last)
            last = tested[-1].video
        bar.update(bar.total - bar.done)
    return scores.prediction({"views": views, "crop": crop}, quarantined)


def _progress(steps: int, unit: str, trials: Trials, *, show: bool) -> Progress:
    """Return a bar that counts each step as often as it is tested."""
    return Progress(steps * len(trials), unit if len(trials) == 1 else "test", "predict", show=show)


def _keys(tested: Sequence[Tested], rows: Sequence[Row]) -> tuple[list[ClipKey], list[str]]:
    """Return what the draws for each clip depend on, and the class of its video."""
    keys = [ClipKey(rows[video].name, views[0]) for video, views in tested]
    return keys, [class_of(rows[video]) for video, _ in tested]


def _middles(predictor: Predictor, rows: Sequence[Row], crop: float, order: Sequence[int]) -> Generator[Clip | None]:
    """Yield the middle clip of each video; None for one that cannot be read."""
    wanted = readings(predictor.clip, [rows[number] for number in order], 1, crop)
    with closing(read_ahead(wanted, predictor.clip, predictor.workers, predictor.limits)) as decoded:
        for reading, pixels in decoded:
            yield None if isinstance(pixels, VideoError) else pixels[reading.cuts[0]]


def _clips(decoded: Iterable[tuple[Reading, Pixels | VideoError]], failed: dict[int, str]) -> Iterator[TestedClip]:
    """Yield the clips. The reason why a video cannot be read goes into `failed`."""
    for reading, pixels in decoded:
        if isinstance(pixels, VideoError):
            failed[reading.video] = pixels.reason
            continue
        for places, cut in zip(reading.places, reading.cuts, strict=True):
            yield TestedClip(Tested(reading.video, places), pixels, cut)


def _batch(clips: Sequence[TestedClip], device: str) -> Video:
    """Return the pixels of clips side by side, where a GPU can copy them by itself."""
    shape = len(clips), len(clips[0].cut), *clips[0].pixels.shape[1:]
    video = torch.empty(shape, dtype=torch.uint8, pin_memory=device.startswith("cuda"))
    for clip, out in zip(clips, video.numpy(), strict=True):
        np.take(clip.pixels, clip.cut, 0, out=out, mode="clip")  # "raise" would copy once more
    return video


def predict_shards(
    predictor: Predictor,
    out: Path,
    *,
    disturbances: Sequence[Disturbance] = (),
    per_view: bool = False,
    progress: bool = False,
) -> Prediction:
    """Return the scores of the videos whose clips are in an output folder; all clips of a video are its views.

    With `disturbances` also those under each of them.

    Raises ShardError when a clip is a mix of two videos, and with `per_view` when videos differ in their number of
    clips; VidaugError when no label is a class of the network, or a cut finds no video of another class.
    """
    plans = read_plans(out)
    cuts = predictor.cuts(out, *(plan.spec for plan in plans.values()))
    rows, places = distinct_videos([plan.rows for plan in plans.values()])
    sources = cuts.shards.sources(first_rows(plans))
    own, partners = np.array([*places, -1])[sources].T.tolist()  # no partner is -1, and so the last
    if mixed := sum(partner >= 0 for partner in partners):
        hint = "predict videos, or shards made with --recipe none"
        raise UnfitError(f"holds clips mixed from two videos, {mixed} of {len(own)}", where=out, hint=hint)
    views: Counter[int] = Counter()
    tested = []
    for video in own:
        tested.append(Tested(video, [views[video]]))
        views[video] += 1
    least, most = min(views.values(), default=0), max(views.values(), default=0)
    if per_view and least < most:
        raise UnfitError(f"videos have {least} to {most} clips", where=out, hint="leave --per-view out")
    scores = VideoScores(predictor, rows, most if per_view else 0, disturbances)
    trials = with_others(disturbances, rows, partial(_firsts, cuts, own))
    with explain_torch_errors(out), _progress(len(own), "clip", trials, show=progress) as bar:
        done = 0
        for clips, *_ in predictor.shard_batches(cuts):
            batch = tested[done : done + len(clips)]
            for trial, softmax in enumerate(trials.answers(predictor, clips, *_keys(batch, rows))):
                scores.add(trial, batch, softmax)
                bar.update(len(batch))
            done += len(clips)
    reasons = {fault.path: fault.reason for path in cuts.shards.paths for fault in read_done(done_path(path)).failures}
    without = [(video, row) for video, row in enumerate(rows) if video not in views]
    scores.failed |= {video: reasons.get(row.name, "has no clip in the shards") for video, row in without}
    note = speed_note(next(iter(plans.values())).spec, predictor.clip)
    scores.notes = (*predictor.notes, *([f"{out}: {note}"] if note else []), *scores.notes)
    return scores.prediction({"shards": out.name})


def _firsts(cuts: CropDataset, own: Sequence[int], order: Sequence[int]) -> Generator[Clip | None]:
    """Yield the first clip of each video; None for one that has none."""
    first = {video: clip for clip, video in reversed(list(enumerate(own)))}
    for video in order:
        yield cuts[SampleIndex(MIDDLE, 0, first[video])][0].numpy() if video in first else None


def match_labels(
    classes: Sequence[str], names: Sequence[str | None]
) -> tuple[Int64[np.ndarray, " n"], tuple[str, ...]]:
    """Return class numbers by name, -1 for None and for one that is not among the classes; and what to note.

    Raises VidaugError when there are labels and none is among the classes.
    """
    number: dict[str | None, int] = {name: label for label, name in enumerate(classes)}
    labels = np.array([number.get(name, -1) for name in names], np.int64)
    strange = Counter(name for name in names if name is not None and name not in number)
    if not strange:
        return labels, ()
    example = next(iter(strange))
    if (labels < 0).all():
        hint = f"it knows {', '.join(classes[:5])}{' ...' if len(classes) > 5 else ''}"
        raise ClassesError(f"no video has a class of the network: {example!r} is none", hint=hint)
    videos = count(strange.total(), "video")
    return labels, (f"{videos} of {len(strange)} other classes, such as {example!r}, count as unlabelled",)
