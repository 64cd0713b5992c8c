"""A clip as a network sees it, made ready for drawing: heat over its frames, and each of its classes over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.augment.output import find_clips
from vidaug_cli.augment.plan import read_plan
from vidaug_cli.augment.preview import clip_fps
from vidaug_cli.data.shard.file import Shard
from vidaug_cli.draw.sheet import Legend, Strip
from vidaug_cli.errors import VidaugError
from vidaug_cli.predict.cam import activations, class_maps, spearman
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.train.batches import MIDDLE, SampleIndex

LEGEND = Legend(
    "video with the row's class", "the other one", "bar: share in every frame; line: activation of the class"
)
LEVELS = (0.0, 0.4, 0.7, 1.0)  # of heat, and the colours there: from dark to light, for any eye and in grey
COLOURS = ((0, 0, 0), (120, 0, 60), (220, 60, 0), (255, 230, 60))
COVER = 0.7  # how much of a picture the greatest heat hides


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """One class of a clip, in truth and as the network sees it."""

    clip: int
    label: str  # name of the class
    softmax: float  # the network's answer
    videos: Sequence[str]  # with this class
    others: Sequence[str]  # without it
    weights: NDArray[np.float32]  # (T,), true share of the class in each frame
    activation: NDArray[np.float32]  # (T,)
    maps: NDArray[np.float32]  # (T, H, W)
    fps: float  # frames per second at which the clip is as fast as its video

    @property
    def correlation(self) -> float | None:
        """Rank correlation of activation and weights over time; None where the weights stay the same."""
        return spearman(self.activation, self.weights) if np.ptp(self.weights) else None

    def as_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("clip", "label", "softmax", "videos", "others", "correlation")}
        return plain | {"weights": self.weights.tolist(), "activation": self.activation.tolist()}


def look(predictor: Predictor, out: Path, clip: int) -> tuple[NDArray[np.uint8], list[Seen]]:
    """The frames of a clip of an output folder, uint8 (T, H, W, 3), and each of its classes.

    Raises ShardError when there is no such clip, VidaugError when the network does not know one of its classes.
    """
    plan = read_plan(out)
    ((path, index),) = find_clips(out, [clip])
    with Shard(path) as shard:
        rows = [plan.rows[row] for row in shard.row("sources", index).tolist() if row >= 0]
        fps = clip_fps(rows[0], shard.params(index))
    names = list(dict.fromkeys(str(row.label) for row in rows))
    if strange := [name for name in names if name not in predictor.classes]:
        raise VidaugError(f"clip {clip} has the class {strange[0]!r}, which the network does not know", where=out)
    labels = [predictor.classes.index(name) for name in names]
    frames, _, weights = predictor.cuts([path])[SampleIndex(MIDDLE, 0, index)]
    video = frames[None].to(predictor.device)
    with predictor.running():
        curves = activations(predictor.network, video)[0, labels].cpu().numpy()
        maps = class_maps(predictor.network, video, labels)[0].cpu().numpy()
    softmax = predictor.softmax(video)[0, labels].tolist()
    shares = [*zip(rows, (weights.numpy(), 1 - weights.numpy()), strict=False)]
    return frames.numpy(), [
        Seen(
            clip=clip,
            label=name,
            softmax=answer,
            videos=[row.name for row in rows if row.label == name],
            others=[row.name for row in rows if row.label != name],
            weights=np.sum([share for row, share in shares if row.label == name], 0),
            activation=curve,
            maps=heat,
            fps=fps,
        )
        for name, answer, curve, heat in zip(names, softmax, curves, maps, strict=True)
    ]


def strips(video: NDArray[np.uint8], classes: Sequence[Seen]) -> list[Strip]:
    """A row of a contact sheet for each class. All share one scale of heat, from their least to their greatest."""
    low, high = (float(of([of(seen.maps) for seen in classes])) for of in (np.min, np.max))
    return [
        Strip(
            video=_glow(video, (seen.maps - low) / ((high - low) or 1)),
            weights=seen.weights if seen.others else None,
            title=f"{seen.clip}: {seen.label} {seen.weights.mean():.0%}",
            own=", ".join(seen.videos),
            partner=", ".join(seen.others) or None,
            note=_note(seen),
            fps=seen.fps,
            curve=(seen.activation - seen.activation.min()) / (np.ptp(seen.activation) or 1),
        )
        for seen in classes
    ]


def _glow(video: NDArray[np.uint8], heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Heat from 0 to 1, (T, H, W), over the frames."""
    colours = np.stack([np.interp(heat, LEVELS, channel) for channel in zip(*COLOURS, strict=True)], -1)
    cover = COVER * heat[..., None]
    return np.asarray(((1 - cover) * video + cover * colours).round(), np.uint8)


def _note(seen: Seen) -> str:
    follows = (
        "" if seen.correlation is None else f", follows its share with a rank correlation of {seen.correlation:+.2f}"
    )
    return f"network {seen.softmax:.0%}, activation {seen.activation.min():.2f} to {seen.activation.max():.2f}{follows}"
