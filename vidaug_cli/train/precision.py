"""In which precision a network computes: float32, or bfloat16 where the device has instructions for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import torch

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.settings import Amp

_INSTRUCTIONS = "avx512_bf16", "amx_bf16", "bf16"  # the last is ARM's; without one of them bfloat16 is the slower


def autocast(device: str, amp: Amp = "auto") -> torch.autocast:
    """The context a forward pass runs in; weights, sums over a batch and losses stay float32.

    Args:
        device: cpu, cuda or cuda:N.
        amp: bf16 or off; auto is bf16 where `device` computes in it natively.

    Raises VidaugError for another `amp`.
    """
    if amp not in get_args(Amp):
        raise VidaugError(f"no precision {amp!r}", hint="auto, bf16 or off")
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=amp == "bf16" or (amp == "auto" and _has_bf16(kind)))


def training_amp(device: str, amp: Amp, *, frames: tuple[int, int], size: int) -> Amp:
    """`amp`, but off where bfloat16 goes wrong: on CPUs, with very short or small clips.

    The gradient of a convolution over k frames is garbage where there are more than 1 and fewer than k (oneDNN 3.13, in
    torch 2.15: it takes memory that nobody filled, and writes where it should not). k is 3 in both pathways, and 5 in
    the stem of Fast. A last stage of one pixel is wrong on CPUs with AMX (github.com/pytorch/pytorch/issues/169688).

    Args:
        frames: in the Slow pathway and in the Fast one.
        size: pixels, height and width.

    Raises VidaugError where bf16 was asked for there.
    """
    slow, fast = frames
    if torch.device(device).type != "cpu" or (slow != 2 and fast not in (2, 3, 4) and size > 32):
        return amp
    if amp == "bf16":
        what = f"--amp bf16 goes wrong on the CPU where the pathways have {slow} and {fast} frames of {size} pixels"
        raise VidaugError(what, hint="take --amp off, or clips of more frames and more than 32 pixels")
    return "off"


def _has_bf16(kind: str) -> bool:
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch does not tell
    return any(found.get(name) for name in _INSTRUCTIONS)
