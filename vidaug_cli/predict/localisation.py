"""Temporal localisation: how well the activation of a mixed clip's classes follows their true weights over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Real

from vidaug_cli.augment.plan import read_plan
from vidaug_cli.device import explain_torch_errors
from vidaug_cli.predict.cam import activations
from vidaug_cli.predict.predictor import Predictor, clip_sources
from vidaug_cli.words import count
from vidaug_cli.workers import Progress

UNKNOWN, UNMIXED = -1, -2  # in place of a class number
STEADY = 1e-4  # weights that move less than this over a clip say nothing about time


def spearman(a: Real[np.ndarray, " n"], b: Real[np.ndarray, " n"]) -> float:
    """Return the rank correlation of two series, ties at their average rank; 0 where one of them is constant."""
    first, second = (ranks - ranks.mean() for ranks in (_ranks(a), _ranks(b)))
    scale = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / scale) if scale else 0.0


def _ranks(values: Real[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((ties.cumsum() - (ties - 1) / 2)[place.reshape(-1)])


@dataclass(frozen=True, kw_only=True)
class Localisation:
    """Mean rank correlation over time between the activation of a mixed clip's classes and their true weights.

    No localisation at all is 0. A mean is None where there was nothing to compare.
    """

    correlation: float | None
    error: float | None  # standard error, over clips
    pairs: int  # of a clip and one of its two classes
    clips: int
    baseline: float | None  # the same for classes that are not in the clip, with the own video's weight
    baseline_error: float | None
    left_out: dict[str, int]  # clips, by the reason

    @property
    def text(self) -> str:
        """A few lines for a person."""
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


def measure(predictor: Predictor, out: Path, *, progress: bool = False) -> Localisation:
    """Return the temporal localisation of a network on the mixed clips of an output folder.

    Both classes of a clip count, each with the weight of its video in each frame. Left out are clips that are not
    mixed, whose weights stay the same over time (such as mixup's), whose videos are of one class, or of a class that
    the network does not know.

    Raises ShardError when the folder is not whole or its clips are too small.
    """
    plan, cuts = read_plan(out), predictor.cuts(out)
    number = {name: label for label, name in enumerate(predictor.classes)}
    known = [number.get(plan.classes[label], UNKNOWN) for label in plan.labels]
    pairs = np.array([*known, UNMIXED])[clip_sources(cuts.shards)]  # no partner is -1, and so the last
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
                curves = activations(predictor.network, video[kept].to(predictor.device)).cpu().numpy()
            for place, curve in zip(kept, curves, strict=True):
                (own, partner), shares = clips[place]
                follows = [spearman(activation, shares) for activation in curve]
                others = [follow for label, follow in enumerate(follows) if label not in (own, partner)]
                correlations.append((follows[own] - follows[partner]) / 2)  # the partner's weight is 1 - the own one
                chance += [sum(others) / len(others)] if others else []
    correlation, error = _mean(correlations)
    baseline, baseline_error = _mean(chance)
    return Localisation(
        correlation=correlation,
        error=error,
        pairs=2 * len(correlations),
        clips=len(correlations),
        baseline=baseline,
        baseline_error=baseline_error,
        left_out=dict(left_out),
    )


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
