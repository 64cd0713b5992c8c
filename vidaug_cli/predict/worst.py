"""The clips of shards that a network gets most wrong, and when in them it sees which class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8

from vidaug_cli.augment.plan import read_plans
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import clip_fps, mean_stride
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.device import explain_torch_errors
from vidaug_cli.predict.cam import activations
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.train.batches import MIDDLE, CropDataset, SampleIndex
from vidaug_cli.workers import Progress

LOOKED_AT = 128  # clips of a folder, evenly spread; a network on the CPU takes a minute for them
LEAST = 1e-9  # share that an answer is taken for at least: the logarithm of 0 is no number


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenClass:
    """A class in a clip, in truth and as the network sees it."""

    name: str
    softmax: float  # the network's answer
    truth: Float32[np.ndarray, " t"]  # share of the class in each frame
    activation: Float32[np.ndarray, " t"]


@dataclass(frozen=True, kw_only=True, eq=False)
class WorstClip:
    """A clip that a network gets wrong, as the network is shown it: the middle, where that takes less."""

    folder: Path  # that has its plan
    clip: int
    video: UInt8[np.ndarray, "t h w 3"]
    label: dict[str, float]  # shares of classes in what is stored, that of the own video first
    own: Row
    partner: Row | None
    weights: Float32[np.ndarray, " t"]  # share of the own video in each frame
    divergence: float  # of the answer from the label, in nats
    classes: tuple[SeenClass, ...]  # those of the clip, then the first choice where it is none of them
    fps: float  # frames per second at which it is as fast as its video; 0: unknown

    @property
    def first_choice(self) -> str:
        """The class that the network takes it for, as far as its classes are among those shown."""
        return max(self.classes, key=lambda one: one.softmax).name


@dataclass(frozen=True, kw_only=True)
class WorstClips:
    """The worst of those that were looked at."""

    clips: tuple[WorstClip, ...]
    looked_at: int
    there: int


def worst_clips(predictor: Predictor, out: Path, most: int, *, progress: bool = False) -> WorstClips:
    """Return the clips of an output folder whose soft labels are farthest from the network's answers.

    How far is the divergence of the answer from the label (Kullback and Leibler's), so that a mixed clip is not worse
    for having two classes. Of a large folder, so many clips evenly spread are looked at.

    Raises ShardError when the folder is not whole or its clips are too small.
    """
    plans = read_plans(out)
    cuts = predictor.cuts(out, *(plan.spec for plan in plans.values()))
    labels = _labels(cuts, predictor.classes)
    names = [*predictor.classes, *(name for name in cuts.classes if name not in predictor.classes)]
    there = len(cuts.shards)
    places = np.unique(np.linspace(0, there - 1, min(LOOKED_AT, there)).round().astype(int)).tolist()
    answers = []
    with explain_torch_errors(out), Progress(len(places), "clip", "look", show=progress) as bar:
        for start in range(0, len(places), predictor.batch):
            some = places[start : start + predictor.batch]
            answers.append(predictor.softmax(torch.stack([cuts[SampleIndex(MIDDLE, 0, place)][0] for place in some])))
            bar.update(len(some))
    answer = np.concatenate(answers)
    far = [_divergence(labels[place], one) for place, one in zip(places, answer, strict=True)]
    order = sorted(range(len(places)), key=lambda each: -far[each])[:most]
    starts = {path: number for number, path in reversed([*enumerate(map(cuts.shards.path_of, range(there)))])}
    found = []
    for each in order:
        place = places[each]
        path = cuts.shards.path_of(place)
        plan = plans[path.parent.parent]
        with Shard(path) as shard:
            index = place - starts[path]
            rows = [plan.rows[row] for row in shard.row("sources", index).tolist() if row >= 0]
            number = int(shard.row("clip", index))
        video, _, weights = cuts[SampleIndex(MIDDLE, 0, place)]
        label = labels[place]
        shown = list(dict.fromkeys([names.index(str(rows[0].label)), *np.flatnonzero(label).tolist()]))
        first = int(answer[each].argmax())
        known = [k for k in dict.fromkeys([*shown, first]) if k < len(predictor.classes)]
        with predictor.running():
            curves = activations(predictor.network, video[None].to(predictor.device))[0, known].cpu().numpy()
        shares = [*zip(rows, (weights.numpy(), 1 - weights.numpy()), strict=False)]
        found.append(
            WorstClip(
                folder=path.parent.parent,
                clip=number,
                video=video.numpy(),
                label={names[k]: float(label[k]) for k in shown},
                own=rows[0],
                partner=rows[1] if len(rows) > 1 else None,
                weights=weights.numpy(),
                divergence=far[each],
                classes=tuple(
                    SeenClass(
                        name=names[k],
                        softmax=float(answer[each, k]),
                        truth=np.sum([s for row, s in shares if row.label == names[k]], 0) + np.zeros_like(curve),
                        activation=curve,
                    )
                    for k, curve in zip(known, curves, strict=True)
                ),
                fps=clip_fps(plan.spec, rows[0]) / mean_stride(cuts.stride),
            )
        )
    return WorstClips(clips=tuple(found), looked_at=len(places), there=there)


def _labels(cuts: CropDataset, classes: tuple[str, ...]) -> Float64[np.ndarray, "n k"]:
    """Return the labels of all clips in the order of the network's classes, and behind them of those it lacks."""
    names = [*classes, *(name for name in cuts.classes if name not in classes)]
    stored = cuts.shards.column("labels")
    labels = np.zeros((len(stored), len(names)))
    labels[:, [names.index(name) for name in cuts.classes]] = stored
    return labels


def _divergence(label: Float64[np.ndarray, " k"], answer: Float32[np.ndarray, " c"]) -> float:
    """Return how far an answer is from a label; a class that the network lacks has no share in its answer."""
    there = label > 0
    answered = np.zeros(len(label))
    answered[: len(answer)] = answer
    return float((label[there] * np.log(label[there] / np.maximum(answered[there], LEAST))).sum())
