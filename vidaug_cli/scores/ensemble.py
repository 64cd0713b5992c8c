"""Scores of several networks for the same videos as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vidaug_cli.errors import VidaugError
from vidaug_cli.scores.file import Failed, Scores


class Part(NamedTuple):
    """One file of scores and its weight."""

    name: str
    scores: Scores
    weight: float = 1.0  # above 0


Missing = dict[str, list[str]]  # of each video the names of the parts that could not read it


def ensemble(parts: Sequence[Part], *, allow_missing: bool = False) -> tuple[Scores, Missing]:
    """The weighted mean of scores, and the videos that only some parts have scores for.

    Classes and videos may stand in another order than in the first part. A video that all parts failed on stays a
    failure. A label or size that one part knows holds for all.

    Raises VidaugError with the first difference in classes, videos or labels, and, unless `allow_missing`, when a
    video has scores in one part and failed in another.
    """
    first = parts[0].scores
    for part in parts:
        _check_same(("class", "classes"), parts[0].name, first.classes, part.name, part.scores.classes)
        _check_same(("video", "videos"), parts[0].name, _videos(first), part.name, _videos(part.scores))
    parts = [part._replace(scores=_aligned(part.scores, first.classes)) for part in parts]
    labels, missing = _labels(parts), _missing(parts)
    if missing and not allow_missing:
        video, names = next(iter(missing.items()))
        hint = "--allow-missing averages what there is"
        raise VidaugError(f"{video!r} failed here and has scores in another file", where=names[0], hint=hint)
    lost = [failed for failed in first.failures if failed.video not in missing]
    videos = [*first.videos, *(failed.video for failed in first.failures if failed.video in missing)]
    row = {video: i for i, video in enumerate(videos)}
    total, weights = np.zeros((len(videos), len(first.classes))), np.zeros((len(videos), 1))
    shape = np.zeros((len(videos), 3), np.int32)
    for _, scores, weight in parts:
        rows = [row[video] for video in scores.videos]
        total[rows] += weight * scores.scores
        weights[rows] += weight
        shape[rows] = np.where(shape[rows] > 0, shape[rows], scores.shape)
    made_of = [{"scores": part.name, "weight": part.weight} | json.loads(part.scores.source) for part in parts]
    mean = Scores(
        classes=first.classes,
        videos=tuple(videos),
        labels=np.array([labels[video] for video in videos], np.int64),
        scores=(total / weights).astype(np.float32),
        shape=shape,
        failures=tuple(replace(failed, label=labels[failed.video]) for failed in lost),
        source=json.dumps({"ensemble": made_of}, ensure_ascii=False),
    )
    return mean, missing


def _videos(scores: Scores) -> list[str]:
    return [*scores.videos, *(failed.video for failed in scores.failures)]


def _check_same(what: tuple[str, str], one: str, names: Sequence[str], two: str, others: Sequence[str]) -> None:
    """Raise with the first name, in any order, that only one of the two has."""
    for has, own, lacks, known in ((one, names, two, set(others)), (two, others, one, set(names))):
        extra = next((name for name in own if name not in known), None)
        if extra is not None:
            hint = f"an ensemble needs the same {what[1]} in all files"
            raise VidaugError(f"has no {what[0]} {extra!r}, and {has} has", where=lacks, hint=hint)


def _aligned(scores: Scores, classes: tuple[str, ...]) -> Scores:
    """The same with classes in this order, without the views."""
    number = {name: i for i, name in enumerate(scores.classes)}
    order = [number[name] for name in classes]
    place = np.append(np.argsort(order), -1)  # an unknown label, -1, stays one
    failures = tuple(Failed(failed.video, int(place[failed.label]), failed.reason) for failed in scores.failures)
    return replace(
        scores,
        classes=classes,
        labels=place[scores.labels],
        scores=scores.scores[:, order],
        views=None,
        failures=failures,
    )


def _labels(parts: Sequence[Part]) -> dict[str, int]:
    """Each video's label. Raises VidaugError when two parts disagree."""
    found: dict[str, int] = {}
    for name, scores, _ in parts:
        labels = [*scores.labels.tolist(), *(failed.label for failed in scores.failures)]
        for video, label in zip(_videos(scores), labels, strict=True):
            known = found.setdefault(video, label)
            if -1 not in (known, label) and known != label:
                what = f"{video!r} is {scores.classes[label]!r} here and {scores.classes[known]!r} in another file"
                raise VidaugError(what, where=name, hint="the files belong to different lists of videos")
            found[video] = max(known, label)
    return found


def _missing(parts: Sequence[Part]) -> Missing:
    found: Missing = {}
    for part in parts:
        for failed in part.scores.failures:
            found.setdefault(failed.video, []).append(part.name)
    return {video: names for video, names in found.items() if len(names) < len(parts)}
