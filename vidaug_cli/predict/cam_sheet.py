"""A clip as a network sees it, made ready for drawing: heat over its frames, and each of its classes over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from vidaug_cli.augment.output import find_clips
from vidaug_cli.augment.plan import read_plan
from vidaug_cli.data.sampling import clip_fps
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.draw.heat import draw_heat
from vidaug_cli.draw.strip import Legend, Strip
from vidaug_cli.errors import VidaugError
from vidaug_cli.predict.cam import activations, class_maps, spearman
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.train.batches import MIDDLE, SampleIndex

LEGEND = Legend(
    "video with the row's class", "the other one", "bar: share in every frame; line: activation of the class"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassActivation:
    """One class of a clip, in truth and as the network sees it."""

    clip: int
    video: UInt8[np.ndarray, "t h w 3"]
    label: str  # name of the class
    softmax: float  # the network's answer
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
        plain = {name: getattr(self, name) for name in ("clip", "label", "softmax", "videos", "others", "correlation")}
        return plain | {"weights": self.weights.tolist(), "activation": self.activation.tolist()}


def class_activations(predictor: Predictor, out: Path, clip: int) -> list[ClassActivation]:
    """Return each class of a clip of an output folder as the network sees it.

    Raises ShardError when there is no such clip, VidaugError when the network does not know one of its classes.
    """
    plan = read_plan(out)
    ((path, index),) = find_clips(out, [clip])
    with Shard(path) as shard:
        rows = [plan.rows[row] for row in shard.row("sources", index).tolist() if row >= 0]
    names = list(dict.fromkeys(str(row.label) for row in rows))
    if strange := [name for name in names if name not in predictor.classes]:
        raise VidaugError(f"clip {clip} has the class {strange[0]!r}, which the network does not know", where=out)
    labels = [predictor.classes.index(name) for name in names]
    frames, _, weights = predictor.cuts(path)[SampleIndex(MIDDLE, 0, index)]
    video = frames[None].to(predictor.device)
    with predictor.running():
        curves = activations(predictor.network, video)[0, labels].cpu().numpy()
        maps = class_maps(predictor.network, video, labels)[0].cpu().numpy()
    softmax = predictor.softmax(video)[0, labels].tolist()
    shares = [*zip(rows, (weights.numpy(), 1 - weights.numpy()), strict=False)]
    return [
        ClassActivation(
            clip=clip,
            video=frames.numpy(),
            label=name,
            softmax=answer,
            videos=[row.name for row in rows if row.label == name],
            others=[row.name for row in rows if row.label != name],
            weights=np.sum([share for row, share in shares if row.label == name], 0),
            activation=curve,
            maps=heat,
            fps=clip_fps(plan.spec, rows[0]),
        )
        for name, answer, curve, heat in zip(names, softmax, curves, maps, strict=True)
    ]


def cam_strips(classes: Sequence[ClassActivation]) -> list[Strip]:
    """Return a row of a contact sheet for each class. All share one scale of heat, from least to greatest."""
    low, high = (float(of([of(one.maps) for one in classes])) for of in (np.min, np.max))
    return [
        Strip(
            video=draw_heat(one.video, (one.maps - low) / ((high - low) or 1)),
            weights=one.weights,
            title=f"{one.clip}: {one.label} {one.weights.mean():.0%}",
            own=", ".join(one.videos),
            partner=", ".join(one.others) or None,
            note=_note(one),
            fps=one.fps,
            curve=(one.activation - one.activation.min()) / (np.ptp(one.activation) or 1),
        )
        for one in classes
    ]


def _note(one: ClassActivation) -> str:
    note = f"network {one.softmax:.0%}, activation {one.activation.min():.2f} to {one.activation.max():.2f}"
    if one.correlation is None:
        return note
    return f"{note}, follows its share with a rank correlation of {one.correlation:+.2f}"
