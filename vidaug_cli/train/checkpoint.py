"""A trained network in one file: weights, classes, what a clip is, and what continuing needs. No pickled code."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
from torch import Tensor

from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.errors import VidaugError
from vidaug_cli.files import publish, temporary_beside
from vidaug_cli.schema import as_tuples, type_fault
from vidaug_cli.train.slowfast import Architecture, SlowFast
from vidaug_cli.train.torch_file import plain, read_archive
from vidaug_cli.words import nearest

FORMAT = "vidaug-checkpoint"
VERSION = 1
HINT = "a checkpoint is what 'vidaug train' writes"

Settings = TypeVar("Settings", Architecture, ClipSpec)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network at the end of an epoch."""

    architecture: Architecture
    classes: tuple[str, ...]  # names in label order
    clip: ClipSpec  # what a clip is for this network
    weights: dict[str, Tensor]  # state dict for predicting: the moving average if there is one
    epoch: int  # finished epochs
    settings: dict[str, Any]  # how it was trained, as JSON holds it
    metrics: dict[str, float]  # of that epoch, such as {"val_top1": 0.7}
    training: dict[str, Any]  # what only continuing needs: tensors, numbers, strings, None in dicts, lists, tuples

    def network(self, device: str) -> SlowFast:
        """A network with these weights, in eval mode. It draws no random numbers."""
        network = skeleton(self.architecture, len(self.classes)).to_empty(device=device)
        network.load_state_dict(self.weights)
        return network.eval()


def skeleton(architecture: Architecture, classes: int) -> SlowFast:
    """A network without memory for its weights: names, shapes and dtypes."""
    with torch.device("meta"):
        return SlowFast(architecture, classes)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file whole or not at all.

    Raises VidaugError when the folder or the disk does not take it, and ValueError on what could not be read again.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": checkpoint.architecture.as_json(),
        "classes": list(checkpoint.classes),
        "clip": checkpoint.clip.as_json(),
        "weights": checkpoint.weights,
        "epoch": checkpoint.epoch,
        "settings": checkpoint.settings,
        "metrics": checkpoint.metrics,
        "training": checkpoint.training,
    }
    buffer = io.BytesIO()  # torch.save itself aborts the process on a full disk
    torch.save(plain(content), buffer)
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(buffer.getbuffer())
        publish(temporary, path)
    except OSError as error:
        hint = "is the folder there and writable, and the disk not full?"
        raise VidaugError(f"cannot be written: {error.strerror}", where=path, hint=hint) from error
    finally:
        with suppress(OSError):  # a disk that cannot be written says so here too
            temporary.unlink(missing_ok=True)


_TYPES: dict[str, type] = {
    "architecture": dict,
    "classes": list,
    "clip": dict,
    "weights": dict,
    "epoch": int,
    "settings": dict,
    "metrics": dict,
    "training": dict,
}


def read_checkpoint(path: Path | str) -> Checkpoint:
    """The checkpoint at `path`. Raises VidaugError when it is damaged, foreign or out to do harm."""
    return parse_checkpoint(read_archive(Path(path), HINT), Path(path))


def parse_checkpoint(found: Any, path: Path) -> Checkpoint:
    """The checkpoint in what was read from `path`. Raises VidaugError."""
    if not is_checkpoint(found):
        hint = "start from weights of another program with 'vidaug train --init'"
        raise VidaugError("is a file of torch.save, but no checkpoint of vidaug", where=path, hint=hint)
    version = found.get("version")
    if type(version) is not int or version != VERSION:
        what = f"is version {_line(repr(version)):.20}, and this vidaug reads {VERSION}"
        raise VidaugError(what, where=path, hint="update vidaug-cli")
    content = {name: value for name, value in found.items() if name not in ("format", "version")}
    fault = _fault(content)
    try:
        if not fault:
            content["architecture"] = _settings(Architecture, content["architecture"])
            content["clip"] = _settings(ClipSpec, content["clip"])
            checkpoint = Checkpoint(**content | {"classes": tuple(content["classes"])})
            fault = weights_fault(checkpoint.weights, skeleton(checkpoint.architecture, len(checkpoint.classes)))
    except VidaugError as error:
        fault = str(error)
    if fault:
        raise VidaugError(f"{_line(fault):.300}", where=path, hint=HINT)
    return checkpoint


def _line(text: str) -> str:
    return " ".join(text.split())


def is_checkpoint(found: Any) -> bool:
    return isinstance(found, dict) and found.get("format") == FORMAT


def _fault(content: dict[Any, Any]) -> str:
    """What is wrong with the outermost fields; empty if nothing is."""
    if content.keys() != _TYPES.keys():
        odd = sorted(map(repr, content.keys() ^ _TYPES.keys()))
        return f"lacks or has too much: {', '.join(odd)}"
    for name, kind in _TYPES.items():
        if fault := type_fault(content[name], kind):
            return f"{name}: {fault:.80}"
    classes, metrics = content["classes"], content["metrics"]
    if not classes or not all(isinstance(name, str) for name in classes) or len(set(classes)) < len(classes):
        return "classes should be one name or more, unlike"
    if content["epoch"] < 0:
        return "epoch should be 0 or more"
    if not all(type(name) is str and type(value) in (int, float) for name, value in metrics.items()):
        return "metrics should be numbers by name"
    try:
        json.dumps(content["settings"], allow_nan=False)
    except (TypeError, ValueError):
        return "settings should be what JSON holds"
    return ""


def _settings(kind: type[Settings], found: dict[Any, Any]) -> Settings:
    """A frozen dataclass from its JSON. Raises VidaugError."""
    known = get_type_hints(kind)
    for name, value in found.items():
        if name not in known:
            raise VidaugError(f"{name!r} is no setting of {kind.__name__}{nearest(str(name), known)}")
        if fault := type_fault(value, known[name]):
            raise VidaugError(f"{name}: {fault}")
    missing = [field.name for field in fields(kind) if field.name not in found]
    if missing:
        raise VidaugError(f"{kind.__name__} lacks {', '.join(missing)}")
    return kind(**{name: as_tuples(value) for name, value in found.items()})


def weights_fault(weights: dict[str, Tensor], network: SlowFast) -> str:
    """What keeps these weights from being this network's; empty if nothing does."""
    wanted = network.state_dict()
    if odd := sorted(map(str, weights.keys() ^ wanted.keys())):
        return f"{len(odd)} weights are missing or too many, such as {odd[0]!r:.80}"
    for name, like in wanted.items():
        weight = weights[name]
        if not isinstance(weight, Tensor) or (weight.dtype, weight.shape) != (like.dtype, like.shape):
            return f"weight {name} should be {like.dtype} {tuple(like.shape)}"
        if not torch.isfinite(weight).all():
            return f"weight {name} is not finite: that training went wrong"
    stored = {weight.untyped_storage().data_ptr(): weight.untyped_storage().nbytes() for weight in weights.values()}
    if sum(stored.values()) < sum(weight.nbytes for weight in weights.values()):  # a small file of a vast network
        return "holds the same weights many times over"
    return ""
