"""The device that computes: which one, in which precision, and what its libraries say when it fails."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch

from vidaug_cli.errors import VidaugError
from vidaug_cli.words import count

Amp = Literal["auto", "bf16", "off"]


MEMORY = "out of memory", "can't allocate memory"  # what torch says of a GPU's, and of the machine's


@contextmanager
def within_memory(device: str, batch: int) -> Iterator[None]:
    """Where clips are on a device. Raises VidaugError when it has not the memory for them."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in MEMORY):
            raise
        fit, hint = ("do", "take a smaller --batch-size") if batch > 1 else ("does", "try --device cpu")
        what = f"{count(batch, 'clip')} at a time {fit} not fit into its memory"
        raise VidaugError(what, where=device, hint=hint) from error


def resolve_device(name: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device that is there. Raises VidaugError."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if there else "cpu"
    found = re.fullmatch("cpu|cuda(?::([0-9]{1,9}))?", name)
    if found is None:
        raise VidaugError(f"no device {name[:40]!r}", hint="auto, cpu, cuda or cuda:N")
    if name != "cpu" and int(found[1] or 0) >= there:
        raise VidaugError(f"no device {name!r}: torch sees {there} CUDA devices", hint="try --device cpu")
    return name


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


_MEMORY = "not enough memory", "lower --batch-size, raise --accumulate, or train with --frames and --size"


_GONE = "another process of this run ended", "see what it said"


ADVICE = {  # some of torch's words: what is wrong, and what to try
    "DataLoader worker": (
        "a process that reads clips was killed, perhaps for want of memory",
        "give the command again, with a smaller --batch-size or fewer processes (-j) if need be",
    ),
    **dict.fromkeys(MEMORY, _MEMORY),
    "more than 1 value per channel": (
        "one clip at a time is too few to normalise by",
        "raise --batch-size or lower --accumulate",
    ),
    "closed by peer": _GONE,
    "reset by peer": _GONE,
}


@contextmanager
def advising(where: object) -> Iterator[None]:
    """Raise a VidaugError in place of such an error of torch."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        for words, (what, hint) in ADVICE.items():
            if words in str(error):
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would report the dead again and again
                raise VidaugError(what, where=where, hint=hint) from error
        raise
