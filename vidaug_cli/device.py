"""The device that computes: which one, in which precision, and what torch's errors mean when it fails."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, get_args

import torch

from vidaug_cli.errors import DeviceError, UnknownNameError
from vidaug_cli.words import count, cut

Amp = Literal["auto", "bf16", "off"]


def resolve_device(name: str) -> str:
    """Return `auto`, `cpu`, `cuda` or `cuda:N` as a device that is there. Raises VidaugError if it is not."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if gpus else "cpu"
    match = re.fullmatch("cpu|cuda(?::([0-9]{1,9}))?", name)
    if match is None:
        raise DeviceError(f"no device {cut(name, 40)!r}", hint="there are auto, cpu, cuda and cuda:N")
    if name != "cpu" and int(match[1] or 0) >= gpus:
        raise DeviceError(f"no device {name!r}: torch sees {count(gpus, 'CUDA device')}", hint="try --device cpu")
    return name


def autocast(device: str, amp: Amp = "auto") -> torch.autocast:
    """Return the context a forward pass runs in; weights, sums over a batch and losses stay float32.

    Args:
        device: cpu, cuda or cuda:N.
        amp: bf16 or off; auto is bf16 where `device` computes in it natively.

    Raises VidaugError for another `amp`.
    """
    if amp not in get_args(Amp):
        raise UnknownNameError(f"no precision {amp!r}", hint="there are auto, bf16 and off")
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=amp == "bf16" or (amp == "auto" and _has_bf16(kind)))


def _has_bf16(kind: str) -> bool:
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch has no such call
    # One of these makes bfloat16 the faster one on a CPU; the last is ARM's.
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class Gpus(NamedTuple):
    """What torch knows of GPUs."""

    torch: str  # its version
    cuda: str  # version of CUDA that it was built for; empty if for none
    cudnn: int
    names: tuple[str, ...]  # of the GPUs that it can use


def gpus() -> Gpus:
    """Return the versions of torch and of its libraries for GPUs, and the GPUs that are there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = tuple(map(torch.cuda.get_device_name, range(count)))
    return Gpus(
        torch.__version__, torch.version.cuda or "", (torch.backends.cudnn.version() or 0) if names else 0, names
    )


def bf16_error(device: str) -> float:
    """Return how far a 3-D convolution in bfloat16 is from float32 on a device, relative to the largest value.

    The forward pass and the gradient of the weights of a kernel over 3 frames; some 0.01 where the device is right.
    """
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(2, 8, 8, 16, 16, generator=generator).to(device)
    weights = torch.randn(8, 8, 3, 3, 3, generator=generator).to(device)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        kernel = weights.to(dtype).requires_grad_()
        out = torch.nn.functional.conv3d(clips.to(dtype), kernel, padding=1)
        (gradient,) = torch.autograd.grad(out.float().square().mean(), kernel)
        found.append((out.detach().float(), gradient.float()))
    return max(float((one - two).abs().max() / one.abs().max()) for one, two in zip(*found, strict=True))


def training_amp(device: str, amp: Amp, *, frames: tuple[int, int], size: int) -> Amp:
    """Return `amp`, but off where bfloat16 goes wrong: on CPUs, with very short or small clips.

    The gradient of a convolution over k frames is garbage where there are more than 1 and fewer than k (oneDNN 3.13, in
    torch 2.15: it reads memory that was never filled, and writes where it should not). k is 3 in both pathways, and 5
    in the stem of Fast. A last stage of one pixel is wrong on CPUs with AMX (github.com/pytorch/pytorch/issues/169688).

    Args:
        device: cpu, cuda or cuda:N.
        amp: auto, bf16 or off.
        frames: in the Slow pathway and in the Fast one.
        size: pixels, height and width.

    Raises VidaugError where bf16 was asked for there.
    """
    slow, fast = frames
    if torch.device(device).type != "cpu" or (slow != 2 and fast not in (2, 3, 4) and size > 32):
        return amp
    if amp == "bf16":
        what = f"--amp bf16 gives wrong numbers on the CPU for clips of {size} pixels with {slow} and {fast} frames"
        raise DeviceError(f"{what} in the two pathways", hint="take --amp off, or larger and longer clips")
    return "off"


_WORKER = "DataLoader worker"
_MESSAGES = {  # some of torch's words: what is wrong, and what to try
    _WORKER: (
        "a process that reads clips was killed, perhaps because memory ran out",
        "give the command again, with a smaller --batch-size or fewer processes (-j) if need be",
    ),
    "more than 1 value per channel": (
        "one clip at a time is too few to normalise by",
        "raise --batch-size or lower --accumulate",
    ),
    **dict.fromkeys(("closed by peer", "reset by peer"), ("another process of this run ended", "see what it said")),
}


@contextmanager
def explain_torch_errors(where: object) -> Iterator[None]:
    """Raise a VidaugError in place of an error of torch whose words are in the table."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        for words, (what, hint) in _MESSAGES.items():
            if words in str(error):
                if words == _WORKER:  # torch's handler would report the dead worker again and again
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                raise DeviceError(what, where=where, hint=hint) from error
        raise
