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


def _has_bf16(kind: str) -> bool:
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch does not tell
    return any(found.get(name) for name in _INSTRUCTIONS)
