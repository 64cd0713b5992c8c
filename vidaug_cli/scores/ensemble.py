"""Scores of several networks for the same videos as one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from vidaug_cli.errors import MismatchError
from vidaug_cli.ops.disturbances import DISTURBANCES, about
from vidaug_cli.scores.file import Scores


class Member(NamedTuple):
    """One file of scores and its weight."""

    name: str
    scores: Scores
    weight: float = 1.0  # above 0


Missing = dict[str, list[str]]  # of each video the names of the members that could not read it


def ensemble(members: Sequence[Member], *, allow_missing: bool = False) -> tuple[Scores, Missing]:
    """Return the weighted mean of scores, and the videos that only some members have scores for.

    Classes and videos may stand in another order than in the first member. A video that all members failed on stays a
    failure. A label or size that one member knows holds for all. Scores of disturbed videos are kept where all members
    have them under the same disturbances.

    Raises VidaugError with the first difference in classes, videos or labels, and, unless `allow_missing`, when a
    video has scores in one member and failed in another.
    """
    first = members[0]
    classes = first.scores.classes
    for member in members[1:]:
        _check_same(("class", "classes"), first.name, classes, member.name, member.scores.classes)
        _check_same(("video", "videos"), first.name, first.scores.all_videos, member.name, member.scores.all_videos)
    labels = _labels(members)
    scored = {video for member in members for video in member.scores.videos}
    missing: Missing = {}
    for name, scores, _ in members:
        for failed in scores.failures:
            if failed.video in scored:
                missing.setdefault(failed.video, []).append(name)
    if missing and not allow_missing:
        video, names = next(iter(missing.items()))
        hint = "--allow-missing averages what there is"
        raise MismatchError(f"{video!r} failed here and has scores in another file", where=names[0], hint=hint)
    videos = [video for video in first.scores.all_videos if video in scored]
    place = {video: i for i, video in enumerate(videos)}
    disturbances = shared_disturbances(members)
    total, weights = np.zeros((1 + len(disturbances), len(videos), len(classes))), np.zeros((len(videos), 1))
    shape = np.zeros((len(videos), 3), np.int32)
    for _, scores, weight in members:
        rows = [place[video] for video in scores.videos]
        columns = [scores.classes.index(name) for name in classes]
        for trial, answers in zip(total, _trials(scores, disturbances), strict=True):
            trial[rows] += weight * answers[:, columns]
        weights[rows] += weight
        shape[rows] = np.where(shape[rows] > 0, shape[rows], scores.shape)
    made_of = [{"scores": name, "weight": weight} | json.loads(scores.source) for name, scores, weight in members]
    source = {"ensemble": made_of} | about(DISTURBANCES[name] for name in disturbances)
    lost = (failed for failed in first.scores.failures if failed.video not in scored)
    mean = Scores(
        classes=classes,
        videos=tuple(videos),
        labels=np.array([labels[video] for video in videos], np.int64),
        scores=(total[0] / weights).astype(np.float32),
        disturbances=disturbances,
        disturbed=(total[1:] / weights).astype(np.float32) if disturbances else None,
        shape=shape,
        failures=tuple(replace(failed, label=labels[failed.video]) for failed in lost),
        source=json.dumps(source, ensure_ascii=False),
    )
    return mean, missing


def shared_disturbances(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the disturbances under which all members have scores, in any order; none if they differ."""
    first = members[0].scores
    alike = all(set(scores.disturbances) == set(first.disturbances) for _, scores, _ in members)
    return first.disturbances if alike else ()


def _trials(scores: Scores, disturbances: Sequence[str]) -> Iterator[Float32[np.ndarray, "n k"]]:
    """Yield the scores of the videos as they are, and then under each disturbance."""
    yield scores.scores
    for name in disturbances:
        assert scores.disturbed is not None
        yield scores.disturbed[scores.disturbances.index(name)]


def _check_same(what: tuple[str, str], one: str, names: Sequence[str], two: str, others: Sequence[str]) -> None:
    """Raise VidaugError with the first name, in any order, that only one of the two has."""
    for has, own, lacks, known in ((one, names, two, set(others)), (two, others, one, set(names))):
        if extra := [name for name in own if name not in known]:
            hint = f"an ensemble needs the same {what[1]} in all files"
            raise MismatchError(f"has no {what[0]} {extra[0]!r}, and {has} has", where=lacks, hint=hint)


def _labels(members: Sequence[Member]) -> dict[str, int]:
    """Return the label of each video among the first member's classes. Raises VidaugError when two members disagree."""
    labels: dict[str, int] = {}
    classes = members[0].scores.classes
    for name, scores, _ in members:
        numbers = np.array([*map(classes.index, scores.classes), -1])  # an unknown label, -1, stays one
        for video, label in zip(scores.all_videos, numbers[scores.all_labels].tolist(), strict=True):
            known = labels.setdefault(video, label)
            if -1 not in (known, label) and known != label:
                what = f"{video!r} is {classes[label]!r} here and {classes[known]!r} in another file"
                raise MismatchError(what, where=name, hint="the files belong to different lists of videos")
            labels[video] = max(known, label)
    return labels
