"""Class activation maps: where and when in a clip SlowFast sees a class; how well that follows the truth; drawings.

Zhou et al., arXiv:1512.04150, section 2: a map of class k is the last feature maps weighted by k's row of the head. As
SlowFast's head follows a mean over each pathway, a class's logit is the mean of its Slow map plus that of its Fast map
plus its bias.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, Real, UInt8
from torch import Tensor

from vidaug_cli.augment.output import find_clips
from vidaug_cli.augment.plan import first_rows, read_plan, read_plans
from vidaug_cli.data.sampling import clip_fps, mean_stride
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.device import explain_torch_errors
from vidaug_cli.draw.clips import OWN_WORD, Legend, Source, Strip, draw_heat
from vidaug_cli.draw.text import Word
from vidaug_cli.errors import ClassesError
from vidaug_cli.ops.clips import Video
from vidaug_cli.ops.upload import upload
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.train.batches import MIDDLE, SampleIndex
from vidaug_cli.train.slowfast import SlowFast
from vidaug_cli.words import MINUS, count, percent
from vidaug_cli.workers import Progress

Pathway = tuple[Float[Tensor, "b c t h w"], Float[Tensor, "k c"], Int64[np.ndarray, " t"]]

PITCH = 32  # pixels from one place of the last maps to the next: five steps of stride 2
UNKNOWN, UNMIXED = -1, -2  # in place of a class number
STEADY = 1e-4  # weights that move less than this over a clip say nothing about time
FIRST = 3  # classes that the network takes a clip for, told above it


def activations(network: SlowFast, video: Video) -> Float32[Tensor, "b k t"]:
    """Return the activation of every class in every frame of the clips: the mean over each frame's map."""
    total = torch.zeros((), device=video.device)
    for maps, weight, frames in _pathways(network, video):
        (t,) = upload(maps.device, resampling(frames, video.shape[1]))
        total = total + torch.einsum("kc,bct,Tt->bkT", weight, maps.mean((3, 4)), t)
    return total.float()


def class_maps(network: SlowFast, video: Video, classes: Sequence[int]) -> Float32[Tensor, "b k t h w"]:
    """Return the maps of some classes, as large as the clips."""
    total = torch.zeros((), device=video.device)
    for maps, weight, frames in _pathways(network, video):
        at = frames, *(PITCH * np.arange(length) for length in maps.shape[3:])
        axes = [resampling(*axis) for axis in zip(at, video.shape[1:4], strict=True)]
        rows, t, y, x = upload(maps.device, np.array(classes), *axes)
        small = torch.einsum("kc,bcthw->bkthw", weight.index_select(0, rows), maps)
        total = total + torch.einsum("bkthw,Tt,Hh,Ww->bkTHW", small, t, y, x)
    return total.float()


def _pathways(network: SlowFast, video: Video) -> Iterator[Pathway]:
    """Yield for Slow and Fast the last maps, the head's weights on them, and the clip's frame of each map.

    Convolutions over time keep their place, and both subsamplings start at frame 0: Slow's map j is of the j-th frame
    that Slow takes. Nothing is centred on the frames it stands for. In double precision, which autocast leaves alone.
    """
    slow, fast = network.features(video)
    head, channels = network.head.weight.double(), slow.shape[1]
    weights = head[:, :channels], head[:, channels:]
    taken = network.architecture.frames_taken(video.shape[1])
    for maps, weight, frames in zip((slow, fast), weights, taken, strict=True):
        yield maps.double(), weight, np.array(frames)


def resampling(at: Int64[np.ndarray, " n"], length: int) -> Float64[np.ndarray, "t n"]:
    """Return the matrix that turns values at the places `at` into values at 0, 1, .. length - 1, in double precision.

    It is linear between them; beyond the last, values are the same as there.
    """
    columns = [np.interp(np.arange(length), at, unit) for unit in np.eye(len(at))]
    return np.stack(columns, 1)


def spearman(a: Real[np.ndarray, " n"], b: Real[np.ndarray, " n"]) -> float:
    """Return the rank correlation of two series, ties at their average rank; 0 where one of them is constant."""
    first, second = (ranks - ranks.mean() for ranks in (_ranks(a), _ranks(b)))
    scale = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / scale) if scale else 0.0


def _ranks(values: Real[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((ties.cumsum() - (ties - 1) / 2)[place.reshape(-1)])


@dataclass(frozen=True)
class Localisation:
    """Mean rank correlation over time between the activation of a mixed clip's classes and their true weights.

    No localisation at all is 0. A mean is None where there was nothing to compare.
    """

    correlation: float | None
    error: float | None  # standard error, over clips
    baseline: float | None  # the same for classes that are not in the clip, with the own video's weight
    baseline_error: float | None
    pairs: int  # of a clip and one of its two classes
    clips: int
    left_out: dict[str, int]  # clips, by the reason

    @property
    def text(self) -> str:
        """A few lines for a person."""
        left_out = ", ".join(f"{count(number, 'clip')} {reason}" for reason, number in self.left_out.items())
        if self.correlation is None:
            return f"nothing to compare: {left_out}"
        lines = [
            f"localisation {_spell(self.correlation, self.error)}: mean rank correlation of activation and true weight "
            f"over time, {count(self.pairs, 'pair')} of {count(self.clips, 'clip')}",
            f"by chance    {_spell(self.baseline, self.baseline_error)}: the same for classes that are not in the clip",
        ]
        return "\n".join(lines + ([f"left out     {left_out}"] if left_out else []))


def measure(predictor: Predictor, out: Path, *, progress: bool = False) -> Localisation:
    """Return the temporal localisation of a network on the mixed clips of an output folder.

    Both classes of a clip count, each with the weight of its video in each frame. Left out are clips that are not
    mixed, whose weights stay the same over time (such as mixup's), whose videos are of one class, or of a class that
    the network does not know.

    Raises ShardError when the folder is not whole or its clips are too small.
    """
    plans = read_plans(out)
    cuts = predictor.cuts(out, *(plan.spec for plan in plans.values()))
    number = {name: label for label, name in enumerate(predictor.classes)}
    known = [number.get(plan.classes[label], UNKNOWN) for plan in plans.values() for label in plan.labels]
    sources = cuts.shards.sources(first_rows(plans))
    pairs = np.array([*known, UNMIXED])[sources]  # no partner is -1, and so the last
    left_out: Counter[str] = Counter()
    correlations: list[float] = []
    chance: list[float] = []
    with explain_torch_errors(out), Progress(len(pairs), "clip", "measure", show=progress) as bar:
        for video, _, weights in predictor.shard_batches(cuts):
            clips = list(zip(pairs[bar.done :][: len(video)].tolist(), weights.numpy().round(5), strict=True))
            bar.update(len(video))
            reasons = [_reason(own, partner, shares) for (own, partner), shares in clips]
            left_out.update(filter(None, reasons))
            kept = [place for place, reason in enumerate(reasons) if not reason]
            if not kept:
                continue
            with predictor.running():
                (places,) = upload(predictor.device, np.array(kept))
                there = video.to(predictor.device, non_blocking=True).index_select(0, places)
                curves = activations(predictor.network, there).cpu().numpy()
            for place, curve in zip(kept, curves, strict=True):
                (own, partner), shares = clips[place]
                follows = [spearman(activation, shares) for activation in curve]
                correlations.append((follows[own] - follows[partner]) / 2)  # the partner's weight is 1 - the own one
                others = np.delete(follows, [own, partner])
                chance += [float(others.mean())] if others.size else []
    return Localisation(*_mean(correlations), *_mean(chance), 2 * len(correlations), len(correlations), dict(left_out))


def _reason(own: int, partner: int, weights: Float32[np.ndarray, " t"]) -> str:
    """Return why a clip is left out; empty if it is not."""
    reasons = {
        "not mixed": partner == UNMIXED,
        "of a class the network does not know": UNKNOWN in (own, partner),
        "of two videos of one class": own == partner,
        "with the same weight in all frames": np.ptp(weights) < STEADY,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _mean(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the mean and its standard error."""
    mean = float(np.mean(values)) if values else None
    return mean, float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _spell(mean: float | None, error: float | None) -> str:
    return "-" if mean is None else f"{mean:+.3f}" + (f" ± {error:.3f}" if error is not None else "")


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassActivation:
    """One class of a clip, in truth and as the network sees it."""

    clip: int
    video: UInt8[np.ndarray, "t h w 3"]
    label: str  # name of the class
    softmax: float  # the network's answer
    predicted: Mapping[str, float]  # ... and its first ones, of all classes
    videos: Sequence[str]  # with this class
    others: Sequence[str]  # without it
    weights: Float32[np.ndarray, " t"]  # true share of the class in each frame
    activation: Float32[np.ndarray, " t"]
    maps: Float32[np.ndarray, "t h w"]
    fps: float  # frames per second at which the clip is as fast as its video; 0: unknown

    @property
    def correlation(self) -> float | None:
        """Rank correlation of activation and weights over time; None where the weights stay the same."""
        return spearman(self.activation, self.weights) if np.ptp(self.weights) else None

    def as_json(self) -> dict[str, Any]:
        """Return all but the pictures and the rate."""
        names = ("clip", "label", "softmax", "predicted", "videos", "others", "correlation")
        plain = {name: getattr(self, name) for name in names}
        return plain | {"weights": self.weights.tolist(), "activation": self.activation.tolist()}


def class_activations(predictor: Predictor, out: Path, clip: int) -> list[ClassActivation]:
    """Return each class of a clip of an output folder as the network sees it.

    Raises ShardError when there is no such clip, VidaugError when the network does not know one of its classes.
    """
    ((folder, path, index),) = find_clips(out, [clip])
    plan = read_plan(folder)
    with Shard(path) as shard:
        rows = [plan.rows[row] for row in shard.row("sources", index).tolist() if row >= 0]
    names = list(dict.fromkeys(str(row.label) for row in rows))
    if strange := [name for name in names if name not in predictor.classes]:
        what = f"clip {clip} has the class {strange[0]!r}, which the network does not know"
        raise ClassesError(what, where=out, hint="take clips of the classes that it was trained on")
    labels = [predictor.classes.index(name) for name in names]
    cuts = predictor.cuts(path, plan.spec)
    frames, _, weights = cuts[SampleIndex(MIDDLE, 0, index)]
    video = frames[None].to(predictor.device)
    with predictor.running():
        curves = activations(predictor.network, video)[0, labels].cpu().numpy()
        maps = class_maps(predictor.network, video, labels)[0].cpu().numpy()
    softmax = predictor.softmax(video)[0].tolist()
    first = sorted(zip(softmax, predictor.classes, strict=True), reverse=True)[:FIRST]
    shares = [*zip(rows, (weights.numpy(), 1 - weights.numpy()), strict=False)]
    return [
        ClassActivation(
            clip=clip,
            video=frames.numpy(),
            label=name,
            softmax=softmax[label],
            predicted={name: share for share, name in first},
            videos=[row.name for row in rows if row.label == name],
            others=[row.name for row in rows if row.label != name],
            weights=np.sum([share for row, share in shares if row.label == name], 0),
            activation=curve,
            maps=heat,
            fps=clip_fps(plan.spec, rows[0]) / mean_stride(cuts.stride),
        )
        for name, label, curve, heat in zip(names, labels, curves, maps, strict=True)
    ]


def strips_of(classes: Sequence[ClassActivation]) -> list[Strip]:
    """Return a row of a contact sheet for each class. All share one scale of heat and one of activation."""
    low, high = (float(of([of(one.maps) for one in classes])) for of in (np.min, np.max))
    least, most = (float(of([of(one.activation) for one in classes])) for of in (np.min, np.max))
    return [
        Strip(
            video=draw_heat(one.video, (one.maps - low) / ((high - low) or 1)),
            weights=one.weights,
            title=str(one.clip),
            classes=[Word(one.label, f" {percent(float(one.weights.mean()))}", OWN_WORD)],
            own=Source(", ".join(one.videos)),
            partner=Source(", ".join(one.others)) if one.others else None,
            note=_note(one),
            fps=one.fps,
            curve=(one.activation - least) / ((most - least) or 1),
            scale=(least, most),
        )
        for one in classes
    ]


def legend_of(classes: Sequence[ClassActivation]) -> Legend:
    """Return what the top line of the picture says, with what the network takes the clip for."""
    answers = ", ".join(f"{name} {percent(share)}" for name, share in classes[0].predicted.items())
    text = f"line: activation of the class; bar: share of its video. The network says {answers}"
    return Legend("video of the row's class", "the other one", text)


def _note(one: ClassActivation) -> str:
    note = f"network {percent(one.softmax)}"
    if one.correlation is None:
        return note
    return f"{note}, rank correlation with its share {one.correlation:+.2f}".replace("-", MINUS)
