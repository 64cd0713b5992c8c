"""Weights to start from: our checkpoints, and SlowFast networks that other programs trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from vidaug_cli.errors import VidaugError, WeightsError
from vidaug_cli.train.caffe2_file import is_caffe2_file, read_caffe2_file
from vidaug_cli.train.checkpoint import Checkpoint, read_safetensors, reading, skeleton
from vidaug_cli.train.slowfast import ARCHITECTURES, Architecture, SlowFast, SlowFrames
from vidaug_cli.train.torch_file import is_torch_file, read_torch_file

HINT = (
    "--init takes a checkpoint of vidaug, the release of arXiv:2008.05721, or a SlowFast network of PyTorchVideo, "
    "PySlowFast or MMAction2"
)
HEAD = ("head.weight", "head.bias")
# What shapes of weights do not tell: fields that change what the weights mean, and fields that do not or that a network
# takes over with its weights
TELLING = ("alpha", "fast_frames", "mean", "std", "input")
SILENT = ("zero_init", "dropout", "diff_std", "slow_frames")


class _Index(int):
    """A number in a name: `{stage}` is the number, `{stage:2/3/4/5}` the word of that number, from 0."""

    def __format__(self, words: str) -> str:
        return words.split("/")[self] if words else str(int(self))


# What our weights are called in other programs' files, by part of the network
NAMINGS: dict[str, dict[str, str]] = {
    "vidaug": {},
    "the release of arXiv:2008.05721": {
        "stem": "{way:slow/fast}_{norm:conv/bn}1",
        "residual": "{way:slow/fast}_res{stage:2/3/4/5}.{block}.{norm:conv/bn}{layer:1/2/3}",
        "shortcut": "{way:slow/fast}_res{stage:2/3/4/5}.{block}.downsample.{norm}",
        "laterals": "lateral_{stage:p1/res2/res3/res4}{norm:/_bn}",
        "head": "fc",
    },
    "PyTorchVideo": {
        "stem": "blocks.0.multipathway_blocks.{way}.{norm:conv/norm}",
        "residual": "blocks.{stage:1/2/3/4}.multipathway_blocks.{way}.res_blocks.{block}"
        ".branch2.{norm:conv/norm}_{layer:a/b/c}",
        "shortcut": "blocks.{stage:1/2/3/4}.multipathway_blocks.{way}.res_blocks.{block}.branch1_{norm:conv/norm}",
        "laterals": "blocks.{stage}.multipathway_fusion.{norm:conv_fast_to_slow/norm}",
        "head": "blocks.6.proj",
    },
    "PySlowFast": {
        "stem": "s1.pathway{way}_stem.{norm:conv/bn}",
        "residual": "s{stage:2/3/4/5}.pathway{way}_res{block}.branch2.{layer:a/b/c}{norm:/_bn}",
        "shortcut": "s{stage:2/3/4/5}.pathway{way}_res{block}.branch1{norm:/_bn}",
        "laterals": "s{stage:1/2/3/4}_fuse.{norm:conv_f2s/bn}",
        "head": "head.projection",
    },
    "MMAction2": {
        "stem": "backbone.{way:slow/fast}_path.conv1.{norm:conv/bn}",
        "residual": "backbone.{way:slow/fast}_path.layer{stage:1/2/3/4}.{block}.conv{layer:1/2/3}.{norm:conv/bn}",
        "shortcut": "backbone.{way:slow/fast}_path.layer{stage:1/2/3/4}.{block}.downsample.{norm:conv/bn}",
        "laterals": "backbone.slow_path.{stage:conv1/layer1/layer2/layer3}_lateral.{norm:conv/bn}",
        "head": "cls_head.fc_cls",
    },
}
# Which frames Slow was trained on, where a program's own way is another than ours
SLOW_FRAMES: dict[str, SlowFrames] = {"PySlowFast": "linspace", "PyTorchVideo": "linspace"}
FAST_FIRST = ("MMAction2",)  # whose heads take the channels of Fast before those of Slow
NO_WEIGHTS = ("data_preprocessor.mean", "data_preprocessor.std")  # beside them in files of MMAction2


@cache
def _rename(ours: str, source: str) -> str:
    """Return what one of our weights is called in the files of a program, a key of NAMINGS."""
    *places, kind = ours.split(".")
    if not NAMINGS[source]:
        return ours
    part = next(part for part in NAMINGS[source] if part in places)
    numbers = [int(place) for place in places if place.isdecimal()]
    stage, block = (*numbers[:-1], 0, 0)[:2]
    layer, norm = divmod(sum(numbers[-1:]), 3)
    values = {"way": "fast" in places, "stage": stage, "block": block, "layer": layer, "norm": norm}
    return f"{NAMINGS[source][part].format(**{name: _Index(value) for name, value in values.items()})}.{kind}"


@dataclass(frozen=True, kw_only=True)
class Initialised:
    """What a network got from a file."""

    source: str  # whose names the weights had, a key of NAMINGS
    tensors: int
    head: bool  # whether the last layer is among them
    slow_frames: SlowFrames  # as in the network that was trained
    notes: tuple[str, ...] = ()  # what was taken for granted

    def __str__(self) -> str:
        return f"{self.tensors} tensors as in {self.source}, {'kept' if self.head else 'new'} head"


def stored_architecture(path: Path) -> Architecture | None:
    """Return the architecture that a checkpoint of vidaug names; None of other programs' files."""
    checkpoint = _state_dict(path)[1]
    return checkpoint.architecture if checkpoint else None


def initialise(network: SlowFast, path: Path, classes: Sequence[str]) -> Initialised:
    """Give a network the weights in a file, but for the head where that is for other classes. Raises VidaugError.

    Its Slow pathway takes from then on the frames of a clip that it took when the weights were trained.
    """
    weights, initialised = read_foreign(path, network.architecture, classes)
    network.load_state_dict(weights, strict=False)
    network.architecture = replace(network.architecture, slow_frames=initialised.slow_frames)
    return initialised


def read_foreign(
    path: Path, architecture: Architecture, classes: Sequence[str]
) -> tuple[dict[str, Tensor], Initialised]:
    """Return weights by our names, and what they are.

    A head for other classes is left out; one in another order is sorted. Classes are other ones where their names
    differ, or their number if the file has no names. Raises VidaugError on a file that is neither of safetensors nor of
    torch.save, has unknown names, lacks a weight of this architecture or has too many, or one that is misshapen or not
    finite; and on a checkpoint of vidaug whose network is another one of the same shapes.
    """
    tensors, checkpoint = _state_dict(path)
    source = max(NAMINGS, key=lambda source: _hits(tensors, architecture, source))
    if not _hits(tensors, architecture, source):
        raise WeightsError(
            "holds no weights of a SlowFast network under names that vidaug knows", where=path, hint=HINT
        )
    head = tensors.get(_rename(HEAD[0], source))
    rows = head.shape[0] if isinstance(head, Tensor) and head.ndim == 2 else 1
    named = checkpoint.classes if checkpoint else tuple(classes)
    keep_head = rows == len(classes) and sorted(named) == sorted(classes)
    if faults := _faults(tensors, architecture, source, len(classes) if keep_head else None):
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        fitting = [name for name, other in ARCHITECTURES.items() if not _faults(tensors, other, source, rows)]
        fitting = _options(checkpoint.architecture) if checkpoint else fitting
        raise _misfit(f"does not fit the network: {', '.join(faults[:3])}{more}", path, fitting)
    if checkpoint:
        _check_same(checkpoint.architecture, architecture, path)
    wanted = {name: _rename(name, source) for name in _weights_of(architecture) if keep_head or name not in HEAD}
    weights = {name: tensors[theirs].detach() for name, theirs in wanted.items() if theirs in tensors}
    if broken := [wanted[name] for name, weight in weights.items() if not weight.isfinite().all()]:
        raise WeightsError(f"{broken[0]} is not finite: that training went wrong", where=path, hint=HINT)
    if keep_head:
        order = [named.index(name) for name in classes]
        weights |= {name: weights[name][order] for name in HEAD if name in weights}
        if source in FAST_FIRST:
            of_fast = weights[HEAD[0]].shape[1] // (architecture.beta + 1)
            weights[HEAD[0]] = weights[HEAD[0]].roll(-of_fast, 1)
    granted = {
        "its head has its classes in another order, and was sorted by their names": keep_head
        and named != tuple(classes),
        "its head is for other classes, and a new one is trained": not keep_head,
        "it names no classes: those of its head are taken to be these, in this order": keep_head and not checkpoint,
        "its first layers saw frames, and here they see differences": not checkpoint and architecture.input != "rgb",
        _alike(architecture): not checkpoint,
        f"Slow takes its frames from the first to the last of a clip, as in {source}": not checkpoint
        and source in SLOW_FRAMES,
    }
    notes = tuple(note for note, holds in granted.items() if note and holds)
    slow_frames = checkpoint.architecture.slow_frames if checkpoint else SLOW_FRAMES.get(source, "stride")
    head_kept = HEAD[0] in weights
    initialised = Initialised(source=source, tensors=len(weights), head=head_kept, slow_frames=slow_frames, notes=notes)
    return weights, initialised


def _misfit(what: str, path: Path, fitting: Sequence[str]) -> VidaugError:
    return WeightsError(what, where=path, hint=f"it fits --network {' or '.join(fitting)}" if fitting else HINT)


def _networks(architecture: Architecture, but: Sequence[str]) -> list[str]:
    """Return the names of the networks that are this one, but for some fields."""
    values = {name: getattr(architecture, name) for name in but}
    return [name for name, other in ARCHITECTURES.items() if replace(other, **values) == architecture]


def _check_same(trained: Architecture, wanted: Architecture, path: Path) -> None:
    """Raise VidaugError when weights of one network would be taken for the other's, whose shapes are the same."""
    if odd := [name for name in TELLING if getattr(trained, name) != getattr(wanted, name)]:
        one, two = (", ".join(f"{name} = {getattr(network, name)}" for name in odd) for network in (trained, wanted))
        raise _misfit(f"was trained with {one}, and this network has {two}", path, _options(trained))


def _options(trained: Architecture) -> list[str]:
    """Return for each network that this one may be, what stands after `--network` to get it."""
    given = f" --input {trained.input}" if trained.input != "rgb" else ""
    return [name + given for name in _networks(trained, (*SILENT, "input"))]


def _alike(architecture: Architecture) -> str:
    """Return which networks' weights have these shapes, in words; empty if there is one."""
    alike, taken = _networks(architecture, TELLING + SILENT), _networks(architecture, (*SILENT, "input"))
    if len(alike) < 2:
        return ""
    return f"it fits {' and '.join(alike)} alike, and is taken for {' or '.join(taken) or 'the network asked for'}"


def _state_dict(path: Path) -> tuple[dict[str, Any], Checkpoint | None]:
    """Return what is called like tensors in a file, and the whole of a checkpoint of vidaug."""
    readers = {is_torch_file: read_torch_file, is_caffe2_file: read_caffe2_file}
    with reading(path, HINT):
        read = next((read for fits, read in readers.items() if fits(path)), read_safetensors)
        content = read(path, HINT)
    if isinstance(content, Checkpoint):
        return content.weights, content
    for wrapper in ("state_dict", "model_state"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise WeightsError("holds no weights by name (a state dict)", where=path, hint=HINT)
    tensors = {str(name).removeprefix("module."): value for name, value in content.items()}
    return {name: value for name, value in tensors.items() if name not in NO_WEIGHTS}, None


@cache
def _weights_of(architecture: Architecture) -> dict[str, Tensor]:
    """Return our weights, on the meta device, with a head for one class."""
    return skeleton(architecture, 1).state_dict()


def _hits(tensors: dict[str, Any], architecture: Architecture, source: str) -> int:
    return sum(_rename(name, source) in tensors for name in _weights_of(architecture) if name not in HEAD)


def _faults(tensors: dict[str, Any], architecture: Architecture, source: str, classes: int | None) -> list[str]:
    """Return what keeps these tensors from being this network's, by the names in the file.

    Shapes of the head are those for so many classes; None: it is not looked at, but for what belongs to one.
    """
    wanted = {_rename(ours, source): like for ours, like in _weights_of(architecture).items()}
    head, faults = [_rename(ours, source) for ours in HEAD], []
    for name, like in wanted.items():
        weight, shape = tensors.get(name), (classes, *like.shape[1:]) if name in head else tuple(like.shape)
        if name in head and classes is None:
            continue
        if name not in tensors:
            if not name.endswith("num_batches_tracked"):  # which old files do not have
                faults.append(f"{name} is missing")
        elif not isinstance(weight, Tensor) or weight.is_floating_point() != like.is_floating_point():
            faults.append(f"{name} is not a tensor of {like.dtype}")
        elif weight.shape != shape:
            faults.append(f"{name} is {tuple(weight.shape)}, not {shape}")
    return faults + [f"{name!r:.80} is unknown" for name in tensors if name not in wanted]
