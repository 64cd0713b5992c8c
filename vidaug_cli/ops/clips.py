"""`Clips`, the batch that flows through everything, and what an op is.

Videos are channels last from the decoder to the tensor core: uint8 (B, T, H, W, C) with 3 channels (RGB) or 1 (grey).
Permuted without a copy that is torch's `channels_last_3d`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, Float64, Shaped, UInt8
from torch import Tensor

from vidaug_cli.errors import ClipsError
from vidaug_cli.schema import Rules, check

# The tests hold every call to these shapes; names that come twice in a signature stand for one number.
Video = UInt8[Tensor, "clips frames height width channels"]
Frames = UInt8[Tensor, "frames height width channels"]
Target = Float32[Tensor, "clips classes"]  # soft labels: rows sum to 1
FrameWeights = Float32[Tensor, "clips frames"]  # share of the clip's own video in each frame
Values = Float64[np.ndarray, "frames"]  # a number for each frame of one clip
Draw = dict[str, Any]  # plain numbers, strings, lists and dicts: what JSON holds
Drawn = TypeVar("Drawn")


class Shape(NamedTuple):
    """Frames, rows and columns of one clip."""

    t: int
    h: int
    w: int


CHANNELS = (1, 3)  # what the colour ops are defined for
TOLERANCE = 1e-3  # of a sum of label shares, and of a weight: those made in half precision are allowed


@dataclass(frozen=True, init=False, eq=False)
class Clips:
    """A batch of clips with their soft labels.

    Raises ClipsError when types, shapes or devices do not fit; looking at them waits for no GPU.
    """

    video: Video
    target: Target
    weights: FrameWeights

    def __init__(self, video: Video, target: Target, weights: FrameWeights | None = None) -> None:
        """Check types, shapes and devices. Without `weights` nothing is mixed in yet: they are 1."""
        _check("video", video, "uint8 (B, T, H, W, C) with 3 channels or 1", _is_video, _video_hint)
        clips, frames = video.shape[:2]
        _check("target", target, f"float32 ({clips}, classes)", lambda it: _is_target(it, clips), _target_hint)
        if weights is None:
            weights = torch.ones(clips, frames, device=video.device)
        wanted = torch.float32, (clips, frames)
        _check("weights", weights, f"float32 {wanted[1]}", lambda it: (it.dtype, it.shape) == wanted, _weights_hint)
        for name, part in (("video", video), ("target", target), ("weights", weights)):
            if part.device != video.device:
                what, hint = f"is on {part.device}, and video on {video.device}", f"try {name}.to(video.device)"
                raise ClipsError(what, where=name, hint=hint)
            object.__setattr__(self, name, part)

    def __len__(self) -> int:
        return len(self.video)

    def check_values(self) -> None:
        """Raise ClipsError for labels that are not shares of 1, and weights outside 0 to 1. Waits for a GPU once."""
        unlike = ~((self.target >= 0).all(1) & ((self.target.sum(1) - 1).abs() <= TOLERANCE))  # NaN is unlike, too
        outside = ~((self.weights >= -TOLERANCE) & (self.weights <= 1 + TOLERANCE)).all(1)
        if not bool((unlike | outside).any()):
            return
        name, bad, good, hint = "weights", outside, "a weight is a share, 0 to 1", ""
        if bool(unlike.any()):
            name, bad, good = "target", unlike, "a soft label is shares from 0 up that sum to 1"
            hint = _target_hint(self.target)
        row = int(bad.int().argmax())
        values = getattr(self, name)[row]
        some = ", ".join(f"{value:g}" for value in values[:6].tolist())
        raise ClipsError(f"row {row} is {some:.60}{' ...' * (len(values) > 6)}, and {good}", where=name, hint=hint)


def _check(
    name: str, given: object, wanted: str, fits: Callable[[Tensor], bool], hint: Callable[[Tensor], str]
) -> None:
    """Raise ClipsError with what `given` is and should be, unless it is a tensor that `fits`."""
    if not isinstance(given, Tensor):
        what = "is no tensor of torch"
        raise ClipsError(what, where=name, hint=f"try torch.as_tensor({name})")
    if not fits(given):
        came = f"{given.dtype} {tuple(given.shape)}".removeprefix("torch.")
        raise ClipsError(f"is {came}, should be {wanted}", where=name, hint=hint(given))


def _is_video(video: Tensor) -> bool:
    layout = (video.dtype, video.ndim) == (torch.uint8, 5)
    return layout and video.shape[-1] in CHANNELS and min(video.shape[1:]) > 0


def _is_target(target: Tensor, clips: int) -> bool:
    layout = (target.dtype, target.ndim) == (torch.float32, 2)
    return layout and len(target) == clips and target.shape[1] > 0


def _video_hint(video: Tensor) -> str:
    """Say what a wrong video probably is and how to make it right: only then are values looked at."""
    guesses = []
    match tuple(video.shape):
        case (*_, 1 | 3) if video.ndim == 5:
            pass
        case (_, 1 | 3, _, _, _):
            guesses.append("looks like (B, C, T, H, W): try video.permute(0, 2, 3, 4, 1)")
        case (_, _, 1 | 3, _, _):
            guesses.append("looks like (B, T, C, H, W): try video.permute(0, 1, 3, 4, 2)")
        case (_, _, _, _, 4):
            guesses.append("looks like RGB with transparency: try video[..., :3]")
        case (_, _, _, 1 | 3):
            guesses.append("looks like one clip: try video[None]")
    if video.is_floating_point() and video.numel():
        low, high = float(video.amin()), float(video.amax())
        levels = "(video * 255)" if high <= 1 else "video"
        bytes_ = f"float video from {low:g} to {high:g}: try {levels}.round().to(torch.uint8)"
        guesses.append("looks normalised: augment before you normalise" if low < 0 else bytes_)
    return ", and ".join(guesses)


def _target_hint(target: Tensor) -> str:
    """Say how to make soft labels of what looks like class numbers."""
    column = target.ndim == 2 and target.shape[1] == 1
    if target.ndim == 1 or column:
        numbers = f"target{'[:, 0]' * column}{'.long()' * (target.dtype != torch.int64)}"
        return f"looks like class numbers: try torch.nn.functional.one_hot({numbers}, CLASSES).float()"
    return "try target.float()" if target.dtype != torch.float32 else ""


def _weights_hint(weights: Tensor) -> str:
    return "leave them out where nothing is mixed in yet"


class Op(ABC, Generic[Drawn]):
    """What a table of a recipe names: a frozen dataclass whose fields are its keys; wrong values raise VidaugError."""

    def __post_init__(self) -> None:
        check(self, self.rules())

    def rules(self) -> Rules:
        """Return for each key whether its value is good, and in words what is."""
        return {}

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw the random numbers for one clip."""


class ClipOp(Op[Draw]):
    """An augmentation of one clip by itself; what it draws is as JSON can hold it."""

    @abstractmethod
    def apply(self, video: Video, draws: Sequence[Draw]) -> Video:
        """Return a new batch: clip i of `video` augmented as `draws[i]` says. The argument stays as it was.

        A clip does not know its batch: the result for one clip is the same alone and among others.
        """


def ramp(first: float, last: float, frames: int) -> Values:
    """Return values that run evenly from `first` to `last` over the frames; a single frame has `first`."""
    return np.linspace(first, last, frames)


# What fits a core's cache, where batch-sized temporaries would go through memory; a GPU wants much at once.
CPU_BLOCK, GPU_BLOCK = 640_000, 32_000_000  # bytes

# A block's temporaries would be given back to the system after every op, and be cleared page by page for the next one,
# which takes longer than the op: glibc keeps as much as the largest piece that it saw freed, of up to 32 MB.
torch.empty(31 * 2**20, dtype=torch.uint8)


def map_frames(
    op: Callable[..., Frames],
    frames: Frames,
    *per_frame: Shaped[Tensor, "frames ..."] | Shaped[np.ndarray, "frames ..."],
    out: Frames,
) -> None:
    """Put `op(block, *values)` into `out`, block by block of frames; `per_frame` arrays are cut alike."""
    size = CPU_BLOCK if frames.device.type == "cpu" else GPU_BLOCK
    step = max(1, size // max(1, frames[:1].numel()))
    for start in range(0, len(frames), step):
        block = slice(start, start + step)
        out[block] = op(frames[block], *(value[block] for value in per_frame))
