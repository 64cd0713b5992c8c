"""Class activation maps: where and when in a clip SlowFast sees a class, and how well that follows the truth.

Zhou et al., arXiv:1512.04150, section 2: a map of class k is the last feature maps weighted by k's row of the head. As
SlowFast's head follows a mean over each pathway, a class's logit is the mean of its Slow map plus that of its Fast map
plus its bias.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidaug_cli.augment.plan import Plan, read_plan
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.file import Shard
from vidaug_cli.device import explain_torch_errors
from vidaug_cli.ops.clips import Video
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.train.slowfast import SlowFast
from vidaug_cli.words import count
from vidaug_cli.workers import Progress

ClassMaps = Annotated[Tensor, "float32 (B, K, T, H, W)"]
Activations = Annotated[Tensor, "float32 (B, K, T)"]

PITCH = 32  # pixels from one place of the last maps to the next: five steps of stride 2
UNKNOWN, UNMIXED = -1, -2  # in place of a class number
STEADY = 1e-4  # weights that move less than this over a clip say nothing about time


def activations(network: SlowFast, video: Video) -> Activations:
    """Of every class in every frame of the clips: the mean over each frame's map."""
    parts = (
        torch.einsum("kc,bct,Tt->bkT", weight, maps.mean((3, 4)), resampling(frames, video.shape[1]).to(maps.device))
        for maps, weight, frames in _pathways(network, video)
    )
    return sum(parts, start=torch.zeros((), device=video.device)).float()


def class_maps(network: SlowFast, video: Video, classes: Sequence[int]) -> ClassMaps:
    """Maps of some classes, as large as the clips."""
    total = torch.zeros((), device=video.device)
    for maps, weight, frames in _pathways(network, video):
        at = frames, *(PITCH * np.arange(length) for length in maps.shape[3:])
        t, y, x = (resampling(*axis).to(maps.device) for axis in zip(at, video.shape[1:4], strict=True))
        small = torch.einsum("kc,bcthw->bkthw", weight[list(classes)], maps)
        total = total + torch.einsum("bkthw,Tt,Hh,Ww->bkTHW", small, t, y, x)
    return total.float()


def _pathways(network: SlowFast, video: Video) -> Iterator[tuple[Tensor, Tensor, NDArray[np.int64]]]:
    """Of Slow and Fast: the last maps, the head's weights on them (K, C), and the clip's frame of each map.

    Convolutions over time keep their place, and both subsamplings start at frame 0: Slow's map j is of Fast's frame
    j * alpha. Nothing is centred on the frames it stands for. In double precision, which autocast leaves alone.
    """
    slow, fast = network.features(video)
    step = max(1, video.shape[1] // network.architecture.fast_frames)
    head, channels = network.head.weight.double(), slow.shape[1]
    weights = head[:, :channels], head[:, channels:]
    for maps, weight, pitch in zip((slow, fast), weights, (step * network.architecture.alpha, step), strict=True):
        yield maps.double(), weight, pitch * np.arange(maps.shape[2])


def resampling(at: NDArray[np.int64], length: int) -> Tensor:
    """float64 (length, N): what turns values at the places `at` into values at 0, 1, .. length - 1.

    Linear between them, and beyond the last the same as there.
    """
    columns = [np.interp(np.arange(length), at, unit) for unit in np.eye(len(at))]
    return torch.from_numpy(np.stack(columns, 1))


def spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Rank correlation of two series, ties at their average rank; 0 where one of them is constant."""
    first, second = (ranks - ranks.mean() for ranks in (_ranks(a), _ranks(b)))
    scale = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / scale) if scale else 0.0


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((ties.cumsum() - (ties - 1) / 2)[place.reshape(-1)])


@dataclass(frozen=True, kw_only=True)
class Localisation:
    """Mean rank correlation over time between the activation of a mixed clip's classes and their true weights.

    No localisation at all is 0. A mean is None where nothing was to be compared.
    """

    correlation: float | None
    error: float | None  # standard error, over clips
    pairs: int  # of a clip and one of its two classes
    clips: int
    baseline: float | None  # the same of classes that are not in the clip, against the own video's weight
    baseline_error: float | None
    left_out: dict[str, int]  # clips, by the reason

    @property
    def text(self) -> str:
        if self.correlation is None:
            return f"nothing to compare: {self._left_out}"
        lines = [
            f"localisation {_spell(self.correlation, self.error)}: mean rank correlation of activation and true weight "
            f"over time, {count(self.pairs, 'pair')} of {count(self.clips, 'clip')}",
            f"by chance    {_spell(self.baseline, self.baseline_error)}: the same for classes that are not in the clip",
        ]
        return "\n".join(lines + ([f"left out     {self._left_out}"] if self.left_out else []))

    @property
    def _left_out(self) -> str:
        return ", ".join(f"{count(number, 'clip')} {reason}" for reason, number in self.left_out.items())

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


def measure(predictor: Predictor, out: Path, *, progress: bool = False) -> Localisation:
    """Temporal localisation of a network on the mixed clips of an output folder.

    Both classes of a clip count, each against the weight of its video in each frame. Left out are clips that are not
    mixed, whose weights stay the same over time (such as mixup's), whose videos are of one class, or of a class that
    the network does not know.

    Raises ShardError when the folder is not whole or its clips are too small.
    """
    plan, cuts = read_plan(out), predictor.cuts(out)
    labels = clip_labels(predictor, plan, cuts.shards)
    left_out: Counter[str] = Counter()
    found: list[float] = []
    chance: list[float] = []
    with explain_torch_errors(out), Progress(len(cuts.shards), "clip", "measure", show=progress) as bar:
        for video, _, weights in predictor.shard_batches(cuts):
            bar.update(len(video))
            clips = list(zip(islice(labels, len(video)), weights.numpy().round(5), strict=True))
            reasons = [_reason(*pair, shares) for pair, shares in clips]
            left_out.update(filter(None, reasons))
            kept = [place for place, reason in enumerate(reasons) if not reason]
            if not kept:
                continue
            with predictor.running():
                curves = activations(predictor.network, video[kept].to(predictor.device)).cpu().numpy()
            for place, curve in zip(kept, curves, strict=True):
                (own, partner), shares = clips[place]
                follows = [spearman(activation, shares) for activation in curve]
                others = [follow for label, follow in enumerate(follows) if label not in (own, partner)]
                found.append((follows[own] - follows[partner]) / 2)  # the partner's weight is 1 - the own one
                chance += [sum(others) / len(others)] if others else []
    correlation, error = _mean(found)
    baseline, baseline_error = _mean(chance)
    return Localisation(
        correlation=correlation,
        error=error,
        pairs=2 * len(found),
        clips=len(found),
        baseline=baseline,
        baseline_error=baseline_error,
        left_out=dict(left_out),
    )


def clip_labels(predictor: Predictor, plan: Plan, shards: ShardDataset) -> Iterator[tuple[int, int]]:
    """The network's classes of each clip's own video and partner, or `UNKNOWN`, `UNMIXED`; in the data set's order."""
    number = {name: label for label, name in enumerate(predictor.classes)}
    labels = [number.get(plan.classes[label], UNKNOWN) for label in plan.labels]
    for path in shards.paths:
        with Shard(path) as shard:
            sources = shard.column("sources")
        for own, partner in sources.tolist():
            yield labels[own], labels[partner] if partner >= 0 else UNMIXED


def _reason(own: int, partner: int, shares: NDArray[np.floating]) -> str:
    """Why a clip is left out; empty if it is not."""
    reasons = {
        "not mixed": partner == UNMIXED,
        "of a class the network does not know": UNKNOWN in (own, partner),
        "of two videos of one class": own == partner,
        "with the same weight in all frames": np.ptp(shares) < STEADY,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _mean(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and its standard error."""
    mean = float(np.mean(values)) if values else None
    return mean, float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _spell(mean: float | None, error: float | None) -> str:
    return "-" if mean is None else f"{mean:+.3f}" + (f" ± {error:.3f}" if error is not None else "")
