"""SlowFast, the network: two pathways over one clip, few frames with many channels and many frames with few.

Feichtenhofer et al., arXiv:1812.03982, section 3; in the form of arXiv:2008.05721 (plain lateral convolutions, a head
without bias) and in the original one. Clips come in as they lie in a shard, channels last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from vidaug_cli.ops.clips import Video
from vidaug_cli.schema import check

Maps = Float[Tensor, "clips _ frames _ _"]  # channels, frames, rows, columns; channels last in memory
Seen = Float[Tensor, "clips _ _ _ _"]  # every so many frames of a clip
LastMaps = Float[Tensor, "clips _ _ map_height map_width"]
Logits = Float32[Tensor, "clips classes"]
PerStage = tuple[int, int, int, int]  # for each of res2..res5
Kernel = tuple[int, int, int]  # frames, rows, columns
SlowFrames = Literal["stride", "linspace"]
Input = Literal["rgb", "diff", "rgb+diff", "slow-rgb-fast-diff"]

PATHWAY_INPUTS: dict[Input, tuple[tuple[str, ...], tuple[str, ...]]] = {  # what Slow sees, and Fast
    "rgb": (("rgb",), ("rgb",)),
    "diff": (("diff",), ("diff",)),
    "rgb+diff": (("rgb", "diff"), ("rgb", "diff")),
    "slow-rgb-fast-diff": (("rgb",), ("diff",)),
}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What a SlowFast network is, but for its number of classes. The default is arXiv:2008.05721's: R50, 4x16."""

    blocks: PerStage = (3, 4, 6, 3)  # residual blocks
    bottleneck: bool = True  # three convolutions a block with the last four times as wide, or else two
    width: int = 64  # channels of the Slow stem
    beta: int = 8  # Slow channels over Fast channels, 1/beta in the paper
    alpha: int = 8  # Fast frames over Slow frames
    fast_frames: int = 32  # frames of a clip the Fast pathway takes, evenly; 4x16 and 8x8 of 64 frames differ in alpha
    slow_frames: SlowFrames = "stride"  # every alpha-th of Fast's, or as many from the first to the last, as PySlowFast
    slow_stem: Kernel = (1, 7, 7)
    fast_stem: Kernel = (5, 7, 7)
    lateral_kernel: int = 5  # frames a lateral convolution sees
    lateral_norm: bool = False  # BN and ReLU after the lateral convolutions
    head_bias: bool = False
    zero_init: bool = False  # last BN of each block starts at 0, so that the block starts as nothing
    dropout: float = 0.5
    mean: float = 128.0  # of the 256 levels: a network sees (level - mean) / std
    std: float = 128.0
    input: Input = "rgb"  # diff: the next frame less this one, as in TSN (arXiv:1608.00859, section 3.2)
    diff_std: float = 16.0  # levels: a network sees difference / diff_std

    def __post_init__(self) -> None:
        stems = {
            name: (set(kernel) <= set(range(1, 16, 2)), "three odd numbers, 1 to 15")
            for name, kernel in (("slow_stem", self.slow_stem), ("fast_stem", self.fast_stem))
        }
        rules = stems | {
            "blocks": (len(self.blocks) == 4 and set(self.blocks) <= set(range(1, 65)), "four counts, 1 to 64"),
            "width": (1 <= self.width <= 512, "1 to 512"),
            "beta": (1 <= self.beta <= self.width and self.width % self.beta == 0, "a divisor of width"),
            "alpha": (1 <= self.alpha <= 64, "1 to 64"),
            "fast_frames": (1 <= self.fast_frames <= 4096, "1 to 4096"),
            "lateral_kernel": (self.lateral_kernel in range(1, 32, 2), "odd, 1 to 31"),
            "dropout": (0 <= self.dropout < 1, "0 to below 1"),
            "mean": (0 <= self.mean <= 255, "0 to 255"),
            "std": (0 < self.std <= 255, "above 0, at most 255"),
            "diff_std": (0 < self.diff_std <= 255, "above 0, at most 255"),
        }
        check(self, rules, where="network")

    @property
    def growth(self) -> int:
        """Channels that leave a residual block over those within it."""
        return 4 if self.bottleneck else 1

    def frames_taken(self, frames: int) -> tuple[Sequence[int], Sequence[int]]:
        """Return which frames of a clip of so many Slow takes, and Fast.

        With `linspace` Slow's are those of PySlowFast's `pack_pathway_output`, in whole numbers: from 160 frames of
        Fast's on, its float32 is here and there a frame lower.
        """
        fast = range(0, frames, max(1, frames // self.fast_frames))
        slow = fast[:: self.alpha]
        if self.slow_frames == "stride":
            return slow, fast
        return [fast[number * (len(fast) - 1) // max(1, len(slow) - 1)] for number in range(len(slow))], fast


_PAPER = Architecture()
_ORIGINAL = replace(_PAPER, lateral_norm=True, head_bias=True, mean=0.45 * 255, std=0.225 * 255)
_MMACTION2 = replace(_PAPER, head_bias=True, mean=114.5, std=57.63)  # of its three channels, the mean

_SMALL = replace(_PAPER, blocks=(1, 1, 1, 1), bottleneck=False, width=16, beta=4, alpha=4)

#: The networks that have a name, such as `r50-4x16`.
ARCHITECTURES: dict[str, Architecture] = {
    "r10-tiny": replace(_SMALL, slow_stem=(1, 5, 5), fast_stem=(3, 3, 3)),
    "r10-small": _SMALL,
    "r18-small": replace(_PAPER, blocks=(2, 2, 2, 2), bottleneck=False, width=32, beta=4, alpha=4),
    "r18-4x16": replace(_PAPER, blocks=(2, 2, 2, 2), bottleneck=False),
    "r50-4x16": _PAPER,
    "r50-8x8": replace(_PAPER, alpha=4),
    "r101-4x16": replace(_PAPER, blocks=(3, 4, 23, 3)),
    "r101-8x8": replace(_PAPER, blocks=(3, 4, 23, 3), alpha=4),
    "r50-4x16-original": _ORIGINAL,
    "r50-8x8-original": replace(_ORIGINAL, alpha=4, lateral_kernel=7),
    "r101-8x8-original": replace(_ORIGINAL, blocks=(3, 4, 23, 3), alpha=4),
    "r50-4x16-mmaction2": _MMACTION2,
    "r50-8x8-mmaction2": replace(_MMACTION2, alpha=4, lateral_kernel=7),
    "r101-8x8-mmaction2": replace(_MMACTION2, blocks=(3, 4, 23, 3), alpha=4, lateral_kernel=7),
}


class SlowFast(nn.Module):
    """Logits of clips. Both pathways go through the same five stages; Fast feeds Slow before each of res2..res5."""

    def __init__(self, architecture: Architecture, classes: int) -> None:
        super().__init__()
        self.architecture = a = architecture
        fast_width = a.width // a.beta
        given = [fast_width, *(fast_width * a.growth * 2**stage for stage in range(3))]  # by Fast, before res2..res5
        slow, fast = (3 * len(seen) for seen in PATHWAY_INPUTS[a.input])
        self.slow = Pathway(a, slow, a.width, a.slow_stem, (1, 1, 3, 3), [2 * width for width in given])
        self.fast = Pathway(a, fast, fast_width, a.fast_stem, (3, 3, 3, 3), (0, 0, 0, 0))
        self.laterals = nn.ModuleList(_lateral(a, width) for width in given)
        self.dropout = nn.Dropout(a.dropout)
        self.head = nn.Linear((a.width + fast_width) * a.growth * 8, classes, bias=a.head_bias)
        self._initialise()
        self.to(memory_format=torch.channels_last_3d)

    def forward(self, video: Video) -> Logits:
        """Return the logits of clips: uint8 (B, T, H, W, 3) to float32 (B, K)."""
        pooled = torch.cat([maps.float().mean((2, 3, 4)) for maps in self.features(video)], 1)
        logits: Logits = self.head(self.dropout(pooled))
        return logits.float()

    def features(self, video: Video) -> tuple[LastMaps, LastMaps]:
        """Return the last maps of Slow and of Fast, before pooling; Fast has alpha times as many frames."""
        on_slow, on_fast = self.architecture.frames_taken(video.shape[1])
        seen_by_slow, seen_by_fast = PATHWAY_INPUTS[self.architecture.input]
        slow, fast = self._see(video, on_slow, seen_by_slow), self._see(video, on_fast, seen_by_fast)
        slow, fast = self.slow.stem(slow), self.fast.stem(fast)
        for lateral, slow_stage, fast_stage in zip(self.laterals, self.slow.stages, self.fast.stages, strict=True):
            slow = slow_stage(torch.cat([slow, lateral(fast)], 1))
            fast = fast_stage(fast)
        return slow, fast

    def _see(self, video: Video, numbers: Sequence[int], seen: Sequence[str]) -> Seen:
        """Return frames by number as floats (B, C, T, H, W), a view of channels last: as convolutions want them.

        A difference is from a frame to the next of the clip, whichever are taken; after the last frame nothing moves.
        bfloat16 holds levels and their differences exactly.
        """
        a, kind = self.architecture, video.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.head.weight.dtype
        frames = _frames(video, numbers).to(dtype, copy=True)
        parts = []
        if "diff" in seen:
            following = _frames(video, [min(number + 1, video.shape[1] - 1) for number in numbers])
            parts = [following.to(dtype).sub_(frames).mul_(1 / a.diff_std)]
        if "rgb" in seen:
            parts.insert(0, frames.sub_(a.mean).mul_(1 / a.std))
        return (torch.cat(parts, -1) if len(parts) > 1 else parts[0]).movedim(-1, 1)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, Block) and self.architecture.zero_init:
                nn.init.zeros_(cast(Tensor, module.residual[-1].weight))
        nn.init.normal_(self.head.weight, std=0.01)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)


def _frames(video: Video, numbers: Sequence[int]) -> UInt8[Tensor, "clips _ _ _ 3"]:
    """Return frames of clips by number, those of a range as a view."""
    if isinstance(numbers, range):
        return video[:, numbers.start : numbers.stop : numbers.step]
    return video.index_select(1, torch.tensor(numbers).to(video.device, non_blocking=True))


class Pathway(nn.Module):
    """A stem and res2..res5.

    Args:
        inputs: channels that come in.
        width: channels of the stem; the blocks of res2..res5 are 1, 2, 4 and 8 times as wide inside.
        stem: what the stem's convolution sees.
        block_frames: frames the first convolution of a block sees, in res2..res5.
        lateral: channels that come in from the other pathway, before res2..res5.
    """

    def __init__(
        self,
        architecture: Architecture,
        inputs: int,
        width: int,
        stem: Kernel,
        block_frames: PerStage,
        lateral: Sequence[int],
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(inputs, width, stem, 2),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.stages = nn.ModuleList()
        channels = width
        for stage, count in enumerate(architecture.blocks):
            blocks, inner, channels = [], width * 2**stage, channels + lateral[stage]
            for number in range(count):
                stride = 2 if stage and not number else 1
                blocks.append(Block(architecture, channels, inner, block_frames[stage], stride))
                channels = inner * architecture.growth
            self.stages.append(nn.Sequential(*blocks))


class Block(nn.Module):
    """A residual block: convolutions, added to a shortcut. He et al., arXiv:1512.03385, sections 3.2 and 4.1.

    A bottleneck is a narrow 3 x 3 between two of 1 x 1: res2..res5 of R50 and R101. Other blocks are two of 3 x 3,
    those of R18, for small data. The first convolution sees several frames.
    """

    def __init__(self, architecture: Architecture, inputs: int, inner: int, frames: int, stride: int) -> None:
        super().__init__()
        outputs = inner * architecture.growth
        if architecture.bottleneck:
            first, last = _conv(inputs, inner, (frames, 1, 1)), _conv(inner, outputs, (1, 1, 1))
            convolutions = [first, _conv(inner, inner, (1, 3, 3), stride), last]
        else:
            convolutions = [_conv(inputs, inner, (frames, 3, 3), stride), _conv(inner, outputs, (1, 3, 3))]
        layers: list[nn.Module] = []
        for convolution in convolutions:
            layers += [convolution, nn.BatchNorm3d(convolution.out_channels), nn.ReLU(inplace=True)]
        self.residual = nn.Sequential(*layers[:-1])
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(_conv(inputs, outputs, (1, 1, 1), stride), nn.BatchNorm3d(outputs))

    def forward(self, maps: Maps) -> Maps:
        """Return the block's maps (B, outputs, T, H / stride, W / stride) for maps (B, inputs, T, H, W)."""
        return nn.functional.relu(self.residual(maps).add_(self.shortcut(maps)), inplace=True)


def _lateral(architecture: Architecture, width: int) -> nn.Sequential:
    """Return the way from Fast to Slow: every alpha-th frame from its neighbours, twice the channels; section 3.3."""
    kernel, stride = (architecture.lateral_kernel, 1, 1), (architecture.alpha, 1, 1)
    convolution = nn.Conv3d(width, 2 * width, kernel, stride, (kernel[0] // 2, 0, 0), bias=False)
    norm = [nn.BatchNorm3d(2 * width), nn.ReLU(inplace=True)] if architecture.lateral_norm else []
    return nn.Sequential(convolution, *norm)


def _conv(inputs: int, outputs: int, kernel: Kernel, stride: int = 1) -> nn.Conv3d:
    """Return a convolution that keeps the number of frames, and divides rows and columns by its stride."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(inputs, outputs, kernel, (1, stride, stride), padding, bias=False)
