"""What a report says of runs: how they learnt, how good they are, what they take for what, and which is better."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidaug_cli.report import charts
from vidaug_cli.report.clips import Clip
from vidaug_cli.report.pieces import Intervals, Missing, Report, Setting, intervals, or_missing
from vidaug_cli.report.worst import clips_of_run
from vidaug_cli.scores.evaluation import Evaluation, evaluate
from vidaug_cli.scores.file import Scores, read_scores
from vidaug_cli.scores.robustness import COURSES, Robustness, robustness
from vidaug_cli.scores.runs import SCORES
from vidaug_cli.scores.source import source_of
from vidaug_cli.scores.statistics import Block, bootstrap
from vidaug_cli.scores.verdict import chosen_note, judge
from vidaug_cli.scores.wrong import Wrong, misclassified
from vidaug_cli.train.history import EpochMetrics, merit, read_history
from vidaug_cli.train.record import RunRecord, read_record
from vidaug_cli.words import count, percent, said

NUMBERED = 24  # classes of a confusion matrix that has numbers and names; of more, colours
MISTAKES = 12  # that are listed


class Pair(NamedTuple):
    """A class and what its videos are taken for."""

    true: str
    taken_for: str
    videos: int


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Who is taken for whom, rows = truth, as shares of each row; with the classes of the lowest accuracy first."""

    classes: tuple[str, ...]
    cells: tuple[tuple[tuple[int, float], ...], ...]  # videos, and their share of the row
    pairs: tuple[Pair, ...]  # the most frequent mistakes
    numbered: bool

    @property
    def marks(self) -> Iterator[tuple[int, int, float, str]]:
        """The cells that are not empty: column, row, share, and words."""
        for y, row in enumerate(self.cells):
            for x, (videos, share) in enumerate(row):
                if videos:
                    yield x, y, share, f"{self.classes[y]} taken for {self.classes[x]}: {videos}"


class Disturbed(NamedTuple):
    """Accuracies under a kind of disturbance, as shares; None: not tested."""

    kind: str
    held: float | None
    ramped: float | None


@dataclass(frozen=True, kw_only=True)
class Robust:
    """What is left of the accuracy on disturbed videos."""

    clean: float
    rows: tuple[Disturbed, ...]
    kept: tuple[Setting, ...]


@dataclass(frozen=True, kw_only=True)
class RunReport(Report):
    """Everything that a page shows of a run."""

    kind = "run"
    places = {  # noqa: RUF012 (a constant)
        "curves": ("Curves", "curves"),
        "accuracy": ("Accuracy", "accuracy"),
        "confusion": ("Confusion", "confusion"),
        "clips": ("Worst clips", "clips"),
        "robustness": ("Robustness", "robust"),
        "missing": ("Not here", "missing"),
        "made": ("How it was trained", "settings"),
    }
    curves: tuple[charts.Lines, ...] = ()
    accuracy: Intervals | None = None
    verdict: tuple[str, ...] = ()
    confusion: Confusion | None = None
    mistakes: tuple[Wrong, ...] = ()
    robust: Robust | None = None
    clips: tuple[Clip, ...] = ()
    about_clips: str = ""
    missing: tuple[Missing, ...] = ()
    settings: tuple[Setting, ...] = ()
    recipe: str | None = None


def report_run(source: Path, most: int, *, device: str = "auto", progress: bool = False) -> RunReport:
    """Return what a page shows of a run, with so many of the clips that its network gets most wrong.

    What its folder lacks or has damaged is named, and the rest is shown.
    """
    missing: list[Missing] = []
    record = or_missing(missing, "how it was trained", read_record, source)
    history = or_missing(missing, "the curves", read_history, source) or []
    if not history:
        missing.append(Missing("No epoch is finished: there are no curves yet."))
    scores = None
    if (source / SCORES).is_file():
        scores = or_missing(missing, "the accuracy", read_scores, source / SCORES)
    else:
        line = shlex.join(["vidaug", "predict", str(source), "VIDEOS", "--subset", "test", "-o", str(source / SCORES)])
        missing.append(Missing(f"No {SCORES}: how good it is on test videos is not known.", line))
    evaluation = or_missing(missing, "the accuracy", evaluate, scores) if scores else None
    disturbed = robustness(scores) if scores and evaluation else None
    if scores and evaluation and disturbed is None:
        words = ["vidaug", "predict", str(source), "VIDEOS", "--perturb", "all", "-o", str(source / SCORES)]
        missing.append(Missing("Not tested on disturbed videos.", shlex.join(words)))
    clips, about = clips_of_run(source, record, most, missing, device=device, progress=progress) if record else ((), "")
    best = max(history, key=merit, default=None)
    return RunReport(
        source=str(source),
        name=source.absolute().name,
        stats=tuple(_stats(record, history, best, evaluation)),
        notes=tuple(_notes(scores)),
        curves=tuple(_curves(history, best)),
        accuracy=_accuracy(evaluation) if evaluation else None,
        verdict=_verdict(evaluation, scores),
        confusion=_confusion(evaluation) if evaluation else None,
        mistakes=tuple(misclassified(scores)[:MISTAKES]) if scores and evaluation else (),
        robust=_robust(disturbed) if disturbed else None,
        clips=clips,
        about_clips=about,
        missing=tuple(missing),
        settings=_settings(record) if record else (),
        recipe=record.recipe if record else None,
    )


def _stats(
    record: RunRecord | None, history: Sequence[EpochMetrics], best: EpochMetrics | None, evaluation: Evaluation | None
) -> Iterator[Setting]:
    """Yield the numbers at the top."""
    if evaluation:
        yield Setting(f"top-1 of {count(len(evaluation.labels), 'video')}", percent(evaluation.rates()["top1"], 1))
    if best and "val_top1" in best:
        yield Setting("validation top-1", percent(best["val_top1"], 1))
    if history:
        yield Setting("epochs", f"{len(history)} of {record.length.epochs}" if record else f"{len(history)}")
    if best:
        yield Setting("best epoch", f"{best['epoch']:g}")
    if record:
        yield Setting("clips seen", f"{record.length.clips_seen:,}")


def _notes(scores: Scores | None) -> Iterator[str]:
    """Yield what to know before believing the scores."""
    if scores and (note := chosen_note(source_of(scores), len(scores.all_videos))):
        yield note


def _curves(history: Sequence[EpochMetrics], best: EpochMetrics | None) -> Iterator[charts.Lines]:
    """Yield loss and accuracy over the epochs."""
    for name, title in (("loss", "Loss"), ("top1", "Top-1 accuracy")):
        values = {
            words: [(row["epoch"], row[key]) for row in history if key in row]
            for words, key in (("training", name), ("validation", f"val_{name}"))
        }
        kinds = {"training": "other" if values["validation"] else "own", "validation": "own"}
        series = {words: (kinds[words], points) for words, points in values.items() if points}
        if series:
            drawn = charts.curves(title, series, share=name == "top1")
            yield replace(drawn, mark=_mark(history, best)) if values["validation"] else drawn


def _mark(history: Sequence[EpochMetrics], best: EpochMetrics | None) -> charts.Tick | None:
    if best is None or len(history) < 2:
        return None
    first, last = history[0]["epoch"], history[-1]["epoch"]
    return charts.Tick(100 * (best["epoch"] - first) / (last - first), f"best: epoch {best['epoch']:g}")


def _accuracy(evaluation: Evaluation) -> Intervals:
    """Return the accuracies with intervals over videos, and their means over classes."""
    rates = evaluation.rates()
    names = [name for name in rates if name.startswith("top")]
    found = [
        bootstrap([[Block((evaluation.places < int(name.removeprefix("top")))[None].astype(np.float64))]])
        for name in names
    ]
    return intervals(
        [
            (name.replace("top", "top-"), estimate, (percent(rates[f"mean_class_{name}"], 1),))
            for name, estimate in zip(names, found, strict=True)
        ],
        heads=("mean of classes",),
    )


def _verdict(evaluation: Evaluation | None, scores: Scores | None) -> tuple[str, ...]:
    """Return what it comes to, in sentences."""
    if evaluation is None or scores is None:
        return ()
    return tuple(line[20:] for line in judge(evaluation, None, source_of(scores)).lines())


def _confusion(evaluation: Evaluation) -> Confusion:
    """Return the matrix, of many classes with the lowest accuracy first, and the most frequent mistakes."""
    matrix, names = evaluation.confusion, evaluation.classes
    videos = matrix.sum(1)
    numbered = len(names) <= NUMBERED
    order = np.arange(len(names)) if numbered else np.argsort(matrix.diagonal() / np.maximum(videos, 1), kind="stable")
    shares = matrix / np.maximum(videos[:, None], 1)
    wrong = matrix - np.diag(matrix.diagonal())
    most = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
    pairs = [(int(place) // len(names), int(place) % len(names)) for place in most]
    return Confusion(
        classes=tuple(names[k] for k in order),
        cells=tuple(tuple((int(matrix[y, x]), float(shares[y, x])) for x in order) for y in order),
        pairs=tuple(Pair(names[y], names[x], int(wrong[y, x])) for y, x in pairs if wrong[y, x]),
        numbered=numbered,
    )


def _robust(found: Robustness) -> Robust:
    """Return the accuracies by kind, and the means of what is kept."""
    means = found.means()
    kinds = dict.fromkeys(kind for kind, _ in means)
    kept = {"kept, held": found.held, "kept, ramped": found.ramped, "held less ramped": found.gap}
    return Robust(
        clean=found.clean,
        rows=tuple(
            Disturbed(kind, means.get((kind, "held"), means.get((kind, None))), means.get((kind, COURSES[1])))
            for kind in kinds
        ),
        kept=tuple(
            Setting(name, f"{percent(one.value, 1)} ({100 * one.low:.1f} to {100 * one.high:.1f})")
            for name, one in kept.items()
            if one is not None
        ),
    )


def _settings(record: RunRecord) -> tuple[Setting, ...]:
    """Return how it was trained."""
    latest = record.started[-1]
    clips = ", ".join(clips.path for clips in record.shards)
    about = {
        "trained on": clips,
        "clips": f"{record.length.clips:,}, {record.length.steps:,} steps of {record.length.batch} in an epoch",
        "preset": record.preset or "none",
        "held out": f"fold {record.hold_out.fold}, a share of {record.hold_out.share:g}"
        if record.hold_out
        else "nothing",
        "began with": record.init.path if record.init else "random weights",
        "device": f"{latest.device}, {count(latest.processes, 'process')}, {count(latest.threads, 'thread')}",
        "begun": record.started[0].at,
        "versions": ", ".join(f"{name} {version}" for name, version in latest.versions.items()),
        "command": record.started[0].command,
    }
    values = about | {
        name.replace("_", " "): said(value) for name, value in record.settings.items() if value is not None
    }
    return tuple(Setting(name, value) for name, value in values.items())
