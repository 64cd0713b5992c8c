"""A trained network in one safetensors file: weights, classes, what a clip is, and what continuing needs."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.errors import (
    CheckpointError,
    ContentError,
    MissingPathError,
    SettingError,
    VersionError,
    VidaugError,
    cannot_read,
)
from vidaug_cli.files import atomically
from vidaug_cli.schema import check, parse, parse_json
from vidaug_cli.train.slowfast import Architecture, SlowFast
from vidaug_cli.words import human_bytes, printable, shown

MARK = "vidaug-checkpoint"  # the entry of the header's metadata that holds `About` as JSON
VERSION = 1
TRAINING = "training."  # how names of tensors begin that only continuing needs
HINT = "a checkpoint is what 'vidaug train' writes"
_INIT = "start from weights of another program with 'vidaug train --init'"
MAX_HEADER = 20_000_000  # bytes: R101 with AdamW, a moving average and 1,000 epochs has under 1 MB

_DTYPES = {torch.float32: "F32", torch.int64: "I64"}  # of weights, as safetensors calls them


@dataclass(frozen=True, kw_only=True)
class About:
    """What a checkpoint holds besides tensors: JSON in the header of its file."""

    architecture: Architecture
    classes: tuple[str, ...]  # names in label order
    clip: ClipSpec  # what a clip is for this network
    epoch: int  # finished epochs
    settings: dict[str, Any]  # how it was trained, as JSON holds it
    metrics: dict[str, float]  # of that epoch, such as {"val_top1": 0.7}
    state: dict[str, Any] = field(default_factory=dict)  # what only continuing needs, as JSON holds it

    def __post_init__(self) -> None:
        distinct = 0 < len(self.classes) == len(set(self.classes))
        check(self, {"classes": (distinct, "distinct names, at least one"), "epoch": (self.epoch >= 0, "0 or more")})


@dataclass(frozen=True, kw_only=True)
class Checkpoint(About):
    """A network at the end of an epoch."""

    weights: dict[str, Tensor]  # state dict for predicting: the moving average if there is one
    training: dict[str, Tensor] = field(default_factory=dict)  # tensors that only continuing needs, by name

    def network(self, device: str) -> SlowFast:
        """Return a network with these weights, in eval mode. It draws no random numbers."""
        network = skeleton(self.architecture, len(self.classes)).to_empty(device=device)
        network.load_state_dict(self.weights)
        return network.eval()


def skeleton(architecture: Architecture, classes: int) -> SlowFast:
    """Return a network without memory for its weights: names, shapes and dtypes."""
    with torch.device("meta"):
        return SlowFast(architecture, classes)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file whole or not at all.

    Raises VidaugError when the folder or the disk does not take it, and TypeError or ValueError on what JSON does not
    hold.
    """
    content = as_bytes(checkpoint)
    with atomically(path) as temporary:
        temporary.write_bytes(content)


def as_bytes(checkpoint: Checkpoint) -> bytes:
    """Return what its file holds. Raises TypeError or ValueError on what JSON does not hold."""
    training = {TRAINING + name: tensor for name, tensor in checkpoint.training.items()}
    tensors = {name: tensor.contiguous() for name, tensor in (checkpoint.weights | training).items()}
    about = {"version": VERSION} | {field.name: getattr(checkpoint, field.name) for field in fields(About)}
    return save(tensors, {MARK: _as_text(about | {"crc32": checksum(about, tensors)})})


def checksum(about: dict[str, Any], tensors: Mapping[str, Tensor]) -> int:
    """Return a CRC-32 of everything in a file, as safetensors itself has none."""
    crc = zlib.crc32(_as_text(about).encode())
    for name in sorted(tensors):
        content = tensors[name].reshape(-1).view(torch.uint8).numpy()
        crc = zlib.crc32(content.data, zlib.crc32(name.encode(), crc))
    return crc


def _as_text(about: dict[str, Any]) -> str:
    return json.dumps(about, default=asdict, allow_nan=False)


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Return the checkpoint at `path`. Raises VidaugError when it is damaged, foreign or out to do harm."""
    content = read_safetensors(Path(path), HINT)
    if not isinstance(content, Checkpoint):
        raise CheckpointError("is a safetensors file, but not a checkpoint of vidaug", where=path, hint=_INIT)
    return content


def read_safetensors(path: Path, hint: str) -> Checkpoint | dict[str, Tensor]:
    """Return the checkpoint in a safetensors file, or the tensors of another program's by name, on the CPU.

    Raises VidaugError as `reading`.
    """
    with reading(path, hint):
        with path.open("rb") as file:
            _check_start(file)
        with safe_open(path, "pt") as stored:
            text, names = (stored.metadata() or {}).get(MARK), stored.keys()
            content, about = _parse(text) if text is not None else ({}, None)
            if about is not None:
                parts = {name: stored.get_slice(name) for name in names if not name.startswith(TRAINING)}
                _check_shapes({name: (part.get_dtype(), part.get_shape()) for name, part in parts.items()}, about)
            tensors = {name: stored.get_tensor(name).clone() for name in names}  # without it, views of the file
        if about is None:
            return tensors
        if content.pop("crc32", None) != checksum(content, tensors):
            raise CheckpointError("is damaged: its checksum is wrong")
        weights = {name: tensors.pop(name) for name in parts}
        if broken := [name for name, weight in weights.items() if not weight.isfinite().all()]:
            raise CheckpointError(f"weight {broken[0]} is not finite: that training went wrong")
        training = {name.removeprefix(TRAINING): tensor for name, tensor in tensors.items()}
        return Checkpoint(**vars(about), weights=weights, training=training)


@contextmanager
def reading(path: Path, hint: str) -> Iterator[None]:
    """Raise VidaugError, in one line and with the path, for whatever goes wrong within: `hint` says what to try."""
    try:
        if path.exists() and not path.is_file():  # to open a pipe would be to wait for ever
            raise CheckpointError("is not a file")
        yield
    except FileNotFoundError as error:
        raise MissingPathError("does not exist", where=path, hint=hint) from error
    except OSError as error:
        raise cannot_read(error, path, hint) from error
    except VidaugError as error:
        what = printable(f"{'; '.join(error.what.splitlines()):.300}")
        kind = CheckpointError if type(error) in (ContentError, SettingError) else type(error)
        raise kind(what, where=path, hint=error.hint or hint) from error
    except Exception as error:  # libraries do not say what they raise on bytes that they do not expect
        raise CheckpointError("is damaged or cut short", where=path, hint=hint) from error


def _check_start(file: BinaryIO) -> None:
    """Raise VidaugError unless the file begins like one of safetensors, with a header of good size."""
    start = file.read(4096)
    if start.startswith((b"PK\x03\x04", b"\x80\x02")):
        if MARK.encode() in start:
            raise CheckpointError("is a checkpoint of an early vidaug, and no longer read", hint="train again")
        raise CheckpointError("is a file of torch.save, but not a checkpoint of vidaug", hint=_INIT)
    size = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{" or size > file.seek(0, 2) - 8:
        raise CheckpointError("is not a safetensors file, or is cut short")
    if size > MAX_HEADER:
        raise CheckpointError(f"has a header of {human_bytes(size)}, and at most {human_bytes(MAX_HEADER)} are read")


def _parse(text: str) -> tuple[dict[str, Any], About]:
    """Return what the header says, as JSON and as what it means. Raises VidaugError."""
    content = parse_json(text, dict, "its header")
    if (version := content.get("version")) != VERSION:
        raise VersionError(
            f"is version {shown(version):.20}, and this vidaug reads {VERSION}", hint="update vidaug-cli"
        )
    return content, parse(About, {name: content[name] for name in content if name not in ("version", "crc32")})


def _check_shapes(found: Mapping[str, tuple[str, list[int]]], about: About) -> None:
    """Raise VidaugError where names, dtypes and shapes in the file are not those of the network's weights."""
    wanted = skeleton(about.architecture, len(about.classes)).state_dict()
    if odd := sorted(found.keys() ^ wanted.keys()):
        more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        raise CheckpointError(f"weight {odd[0]!r:.80}{more} is missing or unknown")
    for name, like in wanted.items():
        if found[name] != (_DTYPES[like.dtype], list(like.shape)):
            raise CheckpointError(f"weight {name} should be {like.dtype} {tuple(like.shape)}")
