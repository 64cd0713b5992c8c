"""Weights to start from: our checkpoints, the release of arXiv:2008.05721's authors, PyTorchVideo's SlowFast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.checkpoint import Checkpoint, is_checkpoint, parse_checkpoint, skeleton
from vidaug_cli.train.slowfast import ARCHITECTURES, Architecture, SlowFast
from vidaug_cli.train.torch_file import read_archive

HINT = (
    "--init takes a checkpoint of vidaug, the release of arXiv:2008.05721, or a state dict of PyTorchVideo's SlowFast"
)
HEAD = ("head.weight", "head.bias")
# What shapes of weights do not tell: fields that change what the weights mean, and fields that do not
TELLING, SILENT = ("alpha", "fast_frames", "mean", "std"), ("zero_init", "dropout")


def _authors(name: str) -> str:
    match name.split("."):
        case [pathway, "stem", layer, kind]:
            return f"{pathway}_{('conv1', 'bn1')[int(layer)]}.{kind}"
        case [pathway, "stages", stage, block, "residual", layer, kind]:
            number, norm = divmod(int(layer), 3)
            return f"{pathway}_res{int(stage) + 2}.{block}.{('conv', 'bn')[norm]}{number + 1}.{kind}"
        case [pathway, "stages", stage, block, "shortcut", layer, kind]:
            return f"{pathway}_res{int(stage) + 2}.{block}.downsample.{layer}.{kind}"
        case ["laterals", stage, "0", kind]:
            return f"lateral_{('p1', 'res2', 'res3', 'res4')[int(stage)]}.{kind}"
        case ["head", kind]:
            return f"fc.{kind}"
    return name


def _pytorchvideo(name: str) -> str:
    number = {"slow": 0, "fast": 1}
    parts = ("conv", "norm")
    match name.split("."):
        case [pathway, "stem", layer, kind]:
            return f"blocks.0.multipathway_blocks.{number[pathway]}.{parts[int(layer)]}.{kind}"
        case [pathway, "stages", stage, block, branch, layer, kind]:
            inside = f"blocks.{int(stage) + 1}.multipathway_blocks.{number[pathway]}.res_blocks.{block}"
            which, norm = divmod(int(layer), 3)
            last = f"branch1_{parts[norm]}" if branch == "shortcut" else f"branch2.{parts[norm]}_{'abc'[which]}"
            return f"{inside}.{last}.{kind}"
        case ["laterals", stage, layer, kind]:
            return f"blocks.{stage}.multipathway_fusion.{('conv_fast_to_slow', 'norm')[int(layer)]}.{kind}"
        case ["head", kind]:
            return f"blocks.6.proj.{kind}"
    return name


NAMINGS: dict[str, Callable[[str], str]] = {  # what one of our weights is called there
    "vidaug": lambda name: name,
    "the release of arXiv:2008.05721": _authors,
    "PyTorchVideo": _pytorchvideo,
}


@dataclass(frozen=True, kw_only=True)
class Initialised:
    """What a network got from a file."""

    source: str  # whose names the weights had, a key of NAMINGS
    tensors: int
    head: bool  # whether the last layer is among them
    notes: tuple[str, ...] = ()  # what was taken for granted

    def __str__(self) -> str:
        return f"{self.tensors} tensors as in {self.source}, {'kept' if self.head else 'new'} head"


def initialise(network: SlowFast, path: Path, classes: Sequence[str]) -> Initialised:
    """Give a network the weights in a file, but for the head where that is for other classes. Raises VidaugError."""
    weights, found = read_foreign(path, network.architecture, classes)
    network.load_state_dict(weights, strict=False)
    return found


def read_foreign(
    path: Path, architecture: Architecture, classes: Sequence[str]
) -> tuple[dict[str, Tensor], Initialised]:
    """Weights by our names, and what they are. A head for other classes is left out; one in another order is sorted.

    Classes are other ones where their names differ, or their number if the file has no names. Raises VidaugError on a
    file that is not of torch.save, has unknown names, lacks a weight of this architecture or has too many, or one that
    is misshapen or not finite; and on a checkpoint of vidaug whose network is another one of the same shapes.
    """
    found, checkpoint = _state_dict(read_archive(path, HINT), path)
    source = max(NAMINGS, key=lambda kind: _hits(found, architecture, NAMINGS[kind]))
    rename = NAMINGS[source]
    head = found.get(rename(HEAD[0]))
    named = checkpoint.classes if checkpoint else tuple(classes)
    rows = isinstance(head, Tensor) and head.shape[:1] == (len(classes),)
    keep_head = rows and sorted(named) == sorted(classes)
    if not _hits(found, architecture, rename):
        raise VidaugError("holds no weights of a SlowFast network under names that vidaug knows", where=path, hint=HINT)
    if faults := _faults(found, architecture, len(classes), rename, keep_head):
        what = f"does not fit the network: {', '.join(faults[:3])}"
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        count = head.shape[0] if isinstance(head, Tensor) and head.ndim == 2 else 1
        fitting = [name for name, other in ARCHITECTURES.items() if not _faults(found, other, count, rename, True)]
        fitting = _networks(checkpoint.architecture, SILENT) if checkpoint else fitting
        hint = f"it fits --network {' or '.join(fitting)}" if fitting else HINT
        raise VidaugError(what + more, where=path, hint=hint)
    if checkpoint:
        _check_same(checkpoint.architecture, architecture, path)
    names = [name for name in _weights_of(architecture) if rename(name) in found and (keep_head or name not in HEAD)]
    weights = {name: found[rename(name)] for name in names}
    if bad := [rename(name) for name, weight in weights.items() if not torch.isfinite(weight).all()]:
        raise VidaugError(f"{bad[0]} is not finite: that training went wrong", where=path, hint=HINT)
    if keep_head:
        order = [named.index(name) for name in classes]
        weights |= {name: weights[name][order] for name in HEAD if name in weights}
    granted = {
        "its head has its classes in another order, and was sorted by their names": keep_head
        and named != tuple(classes),
        "its head is for other classes, and a new one is trained": bool(checkpoint) and not keep_head,
        "it names no classes: those of its head are taken to be these, in this order": keep_head and not checkpoint,
        _alike(architecture): not checkpoint,
    }
    notes = tuple(note for note, holds in granted.items() if note and holds)
    return weights, Initialised(source=source, tensors=len(weights), head=HEAD[0] in weights, notes=notes)


def _networks(architecture: Architecture, but: Sequence[str]) -> list[str]:
    """The names of the networks that are this one, but for some fields."""
    values = {name: getattr(architecture, name) for name in but}
    return [name for name, other in ARCHITECTURES.items() if replace(other, **values) == architecture]


def _check_same(trained: Architecture, wanted: Architecture, path: Path) -> None:
    """Raise VidaugError when weights of one network would be taken for the other's, whose shapes are the same."""
    if other := [name for name in TELLING if getattr(trained, name) != getattr(wanted, name)]:
        told = [", ".join(f"{name} = {getattr(network, name):g}" for name in other) for network in (trained, wanted)]
        fitting = " or ".join(_networks(trained, SILENT))
        hint = f"it fits --network {fitting}" if fitting else HINT
        raise VidaugError(f"was trained with {told[0]}, and this network has {told[1]}", where=path, hint=hint)


def _alike(architecture: Architecture) -> str:
    """Which networks' weights have these shapes, in words; empty if there is one."""
    alike, taken = _networks(architecture, TELLING + SILENT), _networks(architecture, SILENT)
    if len(alike) < 2:
        return ""
    return f"it fits {' and '.join(alike)} alike, and is taken for {' or '.join(taken) or 'the network asked for'}"


def _state_dict(found: Any, path: Path) -> tuple[dict[Any, Any], Checkpoint | None]:
    """The tensors by name, as they are called in the file, and the whole of a checkpoint of vidaug."""
    if is_checkpoint(found):
        checkpoint = parse_checkpoint(found, path)
        return checkpoint.weights, checkpoint
    for wrapper in ("state_dict", "model_state"):
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    if not isinstance(found, dict):
        raise VidaugError("holds no state dict", where=path, hint=HINT)
    return {str(name).removeprefix("module."): value for name, value in found.items()}, None


@cache
def _weights_of(architecture: Architecture) -> dict[str, Tensor]:
    """Our weights, on the meta device, with a head for one class."""
    return skeleton(architecture, 1).state_dict()


def _hits(found: dict[Any, Any], architecture: Architecture, rename: Callable[[str], str]) -> int:
    return sum(rename(name) in found for name in _weights_of(architecture) if name not in HEAD)


def _faults(
    found: dict[Any, Any], architecture: Architecture, classes: int, rename: Callable[[str], str], head: bool
) -> list[str]:
    """What keeps these tensors from being this network's, by the names in the file; its head is looked at on demand."""
    faults, known = [], {rename(name) for name in HEAD if not head}
    for ours, like in _weights_of(architecture).items():
        if ours in HEAD and not head:
            continue
        name, shape = rename(ours), (classes, *like.shape[1:]) if ours in HEAD else tuple(like.shape)
        weight = found.get(name)
        known.add(name)
        if name not in found and not name.endswith("num_batches_tracked"):  # which old files do not have
            faults.append(f"{name} is missing")
        elif name in found and not _is_like(weight, like):
            faults.append(f"{name} is no tensor of {like.dtype}")
        elif isinstance(weight, Tensor) and weight.shape != shape:
            faults.append(f"{name} is {tuple(weight.shape)}, not {shape}")
    return faults + [f"{name!r:.80} is too many" for name in found if name not in known]


def _is_like(weight: Any, like: Tensor) -> bool:
    return isinstance(weight, Tensor) and weight.is_floating_point() == like.is_floating_point()
