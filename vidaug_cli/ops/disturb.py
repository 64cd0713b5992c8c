"""Clips that are disturbed while they play, by the rows of `disturbances`: the pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, Shaped, UInt8
from torch import Tensor

from vidaug_cli.errors import ClipsError
from vidaug_cli.ops.clips import Frames, Values, Video, map_frames
from vidaug_cli.ops.disturbances import ClipDraw, Disturbance, Over, draw, strengths
from vidaug_cli.ops.frame_ops import OPS
from vidaug_cli.ops.geometric import Sampling, Steps, resample, shift, size_of, zoom
from vidaug_cli.ops.upload import upload

Clip = UInt8[np.ndarray, "t h w 3"]
Strengths = Float64[np.ndarray, "clips frames"]
Order = Int64[np.ndarray, " frames"]  # which frame is shown in each place
Field = Float32[np.ndarray, "frames height width channels"]

SMOOTH = Sampling("bilinear")  # black outside the frame
NO_BLUR = 0.1  # pixels: a Gaussian as narrow as this leaves a picture as it is


class ClipKey(NamedTuple):
    """What the draws for a clip depend on."""

    video: str  # its name, as in the manifest
    view: int = 0


class Playing(NamedTuple):
    """A batch of clips, and what chance decides for each of them."""

    video: Video
    draws: Sequence[ClipDraw]
    others: Video | None = None  # for each a clip of another class, which a cut shows


Disturb = Callable[[Playing, Strengths], Video]


def disturb(video: Video, disturbance: Disturbance, keys: Sequence[ClipKey], others: Video | None = None) -> Video:
    """Return a new batch of disturbed clips. Clips do not know their batch.

    Args:
        video: the clips, on any device.
        disturbance: what is done to them.
        keys: of each clip.
        others: for each clip one of another class; only `cut` needs them.

    Raises ClipsError for a cut without `others`.
    """
    draws = [draw(disturbance.kind, *key, video.shape[1]) for key in keys]
    values = np.stack([strengths(disturbance, drawn) for drawn in draws])
    return PIXELS[disturbance.kind](Playing(video, draws, others), values)


def disturb_clip(clip: Clip, disturbance: Disturbance, key: ClipKey, other: Clip | None = None) -> Clip:
    """Return one clip that lies in memory of the host, disturbed as `disturb` does it."""
    others = None if other is None else torch.from_numpy(other)[None]
    return disturb(torch.from_numpy(clip)[None], disturbance, [key], others)[0].numpy()


def blur(frames: Frames, values: Values) -> Frames:
    """Blur by a Gaussian; near an edge its weights within the frame sum to 1. Value: its deviation in pixels."""
    rows, columns = upload(frames.device, *(_gaussian(values, side) for side in frames.shape[1:3]))
    return _levels(torch.einsum("nyh,nhwc,nxw->nyxc", rows, frames.float(), columns))


def noise(frames: Frames, values: Values, field: Field) -> Frames:
    """Add levels. Value: how much of 255 a 1 of the field stands for."""
    scale, drawn = upload(frames.device, (255 * values).astype(np.float32), field)
    return _levels(drawn.mul(scale.view(-1, 1, 1, 1)).add_(frames))


def _gaussian(values: Values, side: int) -> Float32[np.ndarray, "frames side side"]:
    """Return for each frame the matrix that blurs one of its axes."""
    apart = np.subtract.outer(np.arange(side), np.arange(side)) ** 2
    weights = np.exp(-apart / (2 * np.maximum(values, NO_BLUR)[:, None, None] ** 2))
    return np.asarray(weights / weights.sum(-1, keepdims=True), np.float32)


def _levels(exact: Float32[Tensor, "frames height width channels"]) -> Frames:
    return exact.add_(0.5).clamp_(0, 255).to(torch.int16).to(torch.uint8)


def _each(op: Callable[..., Frames], base: float = 0.0) -> Disturb:
    """Return what puts frames through an op whose value is `base` more than the strength."""

    def each(playing: Playing, values: Strengths) -> Video:
        return _mapped(op, playing.video, base + values)

    return each


def _mapped(op: Callable[..., Frames], video: Video, *per_frame: Shaped[np.ndarray, "clips frames ..."]) -> Video:
    out = torch.empty_like(video, memory_format=torch.contiguous_format)
    map_frames(
        op, video.flatten(0, 1), *(each.reshape(-1, *each.shape[2:]) for each in per_frame), out=out.flatten(0, 1)
    )
    return out


def _shift(playing: Playing, values: Strengths) -> Video:
    across = np.array([[drawn.across] for drawn in playing.draws])
    return _mapped(_moved(shift), playing.video, np.where(across, 0, values), np.where(across, values, 0))


def _moved(steps: Callable[..., Steps]) -> Callable[..., Frames]:
    """Return the op that takes pixels from where `steps` says for its values."""

    def moved(frames: Frames, *values: Values) -> Frames:
        (there,) = upload(frames.device, steps(*values, size_of(frames)))
        return resample(frames, there, SMOOTH)

    return moved


def _blur(playing: Playing, values: Strengths) -> Video:
    return _mapped(blur, playing.video, values * min(playing.video.shape[2:4]))


def _noise(playing: Playing, values: Strengths) -> Video:
    """Draw the noise on the host, a clip at a time: every device adds the same, and a batch of it may be large."""
    clips = []
    for clip, drawn, value in zip(playing.video.split(1), playing.draws, values, strict=True):
        field = np.random.default_rng(drawn.seed).standard_normal(clip.shape, np.float32)
        clips.append(_mapped(noise, clip, value[None], field))
    return torch.cat(clips)


def _flicker(playing: Playing, values: Strengths) -> Video:
    chances = np.stack([drawn.chances for drawn in playing.draws])
    return _mapped(OPS["brightness"], playing.video, 1 + values * (2 * chances - 1))


def _ordered(order: Callable[[Over, Over], Order]) -> Disturb:
    """Return what shows a clip's own frames in an order, which follows from strengths and chances."""

    def ordered(playing: Playing, values: Strengths) -> Video:
        orders = np.stack([order(drawn.chances, own) for drawn, own in zip(playing.draws, values, strict=True)])
        video = playing.video
        clips = torch.arange(len(video), device=video.device)[:, None]
        (shown,) = upload(video.device, orders)
        return video[clips, shown]

    return ordered


def frozen(chances: Over, strength: Over) -> Order:
    """Return the frames that are shown where some are replaced by the one before. The first is always shown."""
    return np.maximum.accumulate(np.where(chances < strength, 0, np.arange(len(chances))))


def dropped(chances: Over, strength: Over) -> Order:
    """Return the frames that are shown where some are left out. The first is always shown, the last one kept stands."""
    kept = np.flatnonzero((chances >= strength) | (np.arange(len(chances)) == 0))
    return np.pad(kept, (0, len(chances) - len(kept)), mode="edge")


def _cut(playing: Playing, values: Strengths) -> Video:
    """Show the other clip's frames of the same places in one stretch."""
    if playing.others is None:
        raise ClipsError("needs a clip of another class for each", where="cut")
    frames = playing.video.shape[1]
    stretches = np.zeros((len(playing.draws), frames), np.bool_)
    for stretch, drawn, share in zip(stretches, playing.draws, values[:, 0], strict=True):
        length = max(1, round(share * frames))
        start = int(drawn.level * (frames - length + 1))
        stretch[start : start + length] = True
    (cut,) = upload(playing.video.device, stretches)
    return torch.where(cut[..., None, None, None], playing.others, playing.video)


PIXELS: dict[str, Disturb] = {  # of each row of `disturbances.KINDS`
    "rotation": _each(partial(OPS["rotate"], sampling=SMOOTH)),
    "shift": _shift,
    "zoom": _each(_moved(zoom)),
    "brightness": _each(OPS["brightness"], 1),
    "contrast": _each(OPS["contrast"], 1),
    "colour": _each(OPS["color"], 1),
    "noise": _noise,
    "flicker": _flicker,
    "blur": _blur,
    "frozen": _ordered(frozen),
    "dropped": _ordered(dropped),
    "cut": _cut,
    "shuffled": _ordered(lambda chances, _: chances.argsort()),
    "reversed": _ordered(lambda chances, _: np.arange(len(chances))[::-1].copy()),
}
