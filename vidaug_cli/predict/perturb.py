"""Tests of a network on clips that are disturbed while they play, each made of the clip that it sees undisturbed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from vidaug_cli.data.manifest import Row
from vidaug_cli.errors import SettingError
from vidaug_cli.ops.clips import Video
from vidaug_cli.ops.disturb import ClipKey, disturb
from vidaug_cli.ops.disturbances import Disturbance, key_of
from vidaug_cli.ops.upload import upload
from vidaug_cli.predict.predictor import Predictor

POOL = 16  # clips, each of another class, that a cut chooses from: they stay in memory

Clip = UInt8[np.ndarray, "t h w 3"]


@dataclass(frozen=True, eq=False)
class Trials:
    """What each clip is tested by: as it is, and under each disturbance."""

    disturbances: tuple[Disturbance, ...] = ()
    others: dict[str, Clip] = field(default_factory=dict)  # for cuts, by class

    def __len__(self) -> int:
        return 1 + len(self.disturbances)

    def answers(
        self, predictor: Predictor, video: Video, keys: Sequence[ClipKey], labels: Sequence[str]
    ) -> Iterator[Float32[np.ndarray, "b k"]]:
        """Yield the network's answers to the clips as they are, and then under each disturbance.

        Args:
            predictor: the network and how it is run.
            video: the clips, which become one more batch on the device at a time.
            keys: of each clip.
            labels: what `class_of` says of each clip's video.
        """
        video = video.to(predictor.device, non_blocking=True)
        yield predictor.softmax(video)
        others = upload(predictor.device, self._others(keys, labels))[0] if self.others else None
        for disturbance in self.disturbances:
            with torch.inference_mode():
                disturbed = disturb(video, disturbance, keys, others)
            yield predictor.softmax(disturbed)

    def _others(self, keys: Sequence[ClipKey], labels: Sequence[str]) -> UInt8[np.ndarray, "b t h w 3"]:
        """Return for each clip one of the pool that is of another class."""
        clips = []
        for key, label in zip(keys, labels, strict=True):
            strange = [clip for name, clip in self.others.items() if name != label]
            clips.append(strange[key_of(key.video) % len(strange)])
        return np.stack(clips)


def class_of(row: Row) -> str:
    """Return the class of a video; one without a label is a class by itself."""
    return row.name if row.label is None else row.label


def with_others(
    disturbances: Sequence[Disturbance], rows: Sequence[Row], clips: Callable[[Sequence[int]], Generator[Clip | None]]
) -> Trials:
    """Return the tests, with clips of other classes where one of them cuts.

    The pool has the first clip that can be had of each of 16 classes, or of all if there are fewer, in an order of
    the videos that follows from their names alone.

    Args:
        disturbances: the tests.
        rows: the videos.
        clips: gives for the numbers of videos a clip of each, in order; None for one that cannot be read.

    Raises VidaugError where a cut has no video of another class.
    """
    if not any(one.kind == "cut" for one in disturbances):
        return Trials(tuple(disturbances))
    order = sorted(range(len(rows)), key=lambda number: (key_of(rows[number].name), rows[number].name))
    pool: dict[str, Clip] = {}
    wanted = min(POOL, len({class_of(row) for row in rows}))
    with closing(clips(order)) as found:
        for number, clip in zip(order, found, strict=False):
            if clip is not None:
                pool.setdefault(class_of(rows[number]), clip)
            if len(pool) == wanted:
                break
    if len(pool) < 2:
        hint = "give more videos, or name the other disturbances"
        raise SettingError(
            "a cut shows frames of another class, and no other can be read here", where="--perturb cut", hint=hint
        )
    return Trials(tuple(disturbances), pool)
