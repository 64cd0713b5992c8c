"""Weights of PySlowFast's model zoo as Caffe2 wrote them: a pickle of numpy arrays, read without unpickling it.

Python 2 wrote these files with pickle's protocol 2, in which an array's bytes are text of one byte a letter.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidaug_cli.errors import WeightsError
from vidaug_cli.train.checkpoint import reading
from vidaug_cli.train.pickles import Global, plain, walk
from vidaug_cli.train.torch_file import OLD

MAX_DIMENSIONS = 8

_PACKAGES = "numpy.core", "numpy._core"  # before numpy 2, and since
_ARRAYS, _SCALARS = ([f"{package}.multiarray {name}" for package in _PACKAGES] for name in ("_reconstruct", "scalar"))
_TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1"]
_UNUSED = re.compile(r".*_momentum|lr|model_iter")  # what only continuing needs

# What the parts of a network are called, and in PySlowFast; after them comes the kind of a weight
_PARTS = [
    (r"{t}conv1", "s1.pathway{way}_stem.conv"),
    (r"{t}res_conv1_bn", "s1.pathway{way}_stem.bn"),
    (r"{t}res(\d)_(\d+)_branch1(|_bn)", r"s\1.pathway{way}_res\2.branch1\3"),
    (r"{t}res(\d)_(\d+)_branch2([abc](?:|_bn))", r"s\1.pathway{way}_res\2.branch2.\3"),
    (r"t_pool1_subsample", "s1_fuse.conv_f2s"),
    (r"t_pool1_subsample_bn", "s1_fuse.bn"),
    (r"t_res(\d)_\d+_branch2c_bn_subsample", r"s\1_fuse.conv_f2s"),
    (r"t_res(\d)_\d+_branch2c_bn_subsample_bn", r"s\1_fuse.bn"),
    (r"pred", "head.projection"),
]
_KINDS = {"w": "weight", "b": "bias", "s": "weight", "rm": "running_mean", "riv": "running_var"}


class _Type(str):
    """One of _TYPES, of which a pickle made numpy's type."""


class _Array:
    """An array, which a pickle makes empty before it says what is in it."""

    tensor: Tensor | None = None


def is_caffe2_file(path: Path) -> bool:
    """Return whether a file begins like a pickle, and not like one of torch."""
    with path.open("rb") as file:
        start = file.read(4)
    return start.startswith(b"\x80\x02") and start != OLD


def read_caffe2_file(path: Path, hint: str) -> dict[str, Any]:
    """Return the weights by PySlowFast's names, and by their own if it has none. Raises VidaugError as `reading`."""
    with reading(path, hint):
        content = path.read_bytes()
        blobs = walk(io.BytesIO(content), _Maker(len(content)))
        if not isinstance(blobs, dict) or not isinstance(blobs := blobs.get("blobs"), dict):
            raise WeightsError("is a pickle, but not one of Caffe2")
        arrays = {str(name): blob.tensor for name, blob in blobs.items() if isinstance(blob, _Array)}
        return {pyslowfast_name(name): array for name, array in arrays.items() if not _UNUSED.fullmatch(name)}


def pyslowfast_name(caffe2: str) -> str:
    """Return what a weight is called in PySlowFast: `t_res2_0_branch2a_bn_s` is `s2.pathway1_res0.branch2.a_bn.weight`.

    Names that PySlowFast does not have are as before.
    """
    part, _, kind = caffe2.rpartition("_")
    for way, t in enumerate(["", "t_"]):
        for pattern, name in _PARTS:
            if kind in _KINDS and (found := re.fullmatch(pattern.replace("{t}", t), part)):
                return f"{found.expand(name.replace('{way}', str(way)))}.{_KINDS[kind]}"
    return caffe2


class _Maker:
    """Makes numpy's arrays as tensors, of no more bytes in all than the file has, and plain values."""

    def __init__(self, size: int) -> None:
        self._left = size

    def __call__(self, name: str, argument: Any, taken: Sequence[Any]) -> Any:
        """Return what an instruction makes. Raises VidaugError on calls of anything but numpy's arrays and types."""
        match name, taken:
            case "SHORT_BINSTRING" | "BINSTRING", _:
                return argument
            case "REDUCE", [Global() as function, (_, _, _)] if function in _ARRAYS:
                return _Array()
            case "REDUCE", [Global() as function, (str() as kind, _, _)] if function == "numpy dtype":
                if kind not in _TYPES:
                    raise WeightsError(f"holds an array of numpy's type {kind!r:.20}, which is not read")
                return _Type(kind)
            case "REDUCE", [Global() as function, (_Type(), str())] if function in _SCALARS:
                return None
            case "REDUCE", [Global() as function, (str() as text, "latin1")] if function == "_codecs encode":
                return text  # as Python 3 writes bytes
            case "BUILD", [_Type() as kind, (_, "<" | "|", *_)]:
                return kind
            case "BUILD", [
                _Array() as array,
                (_, tuple() as shape, _Type() as kind, bool() as by_column, str() as data),
            ]:
                array.tensor = self._tensor(shape, kind, data, "F" if by_column else "C")
                return array
        return plain(name, argument, taken)

    def _tensor(self, shape: tuple[Any, ...], kind: _Type, data: str, order: Any) -> Tensor:
        self._left -= len(data)
        if self._left < 0:  # one text may be that of many arrays
            raise WeightsError("declares more bytes than it has")
        good = len(shape) <= MAX_DIMENSIONS and all(isinstance(side, int) and side >= 0 for side in shape)
        if not good or math.prod(shape) * np.dtype(kind).itemsize != len(data):
            raise WeightsError("holds an array of another size than it says")
        array = np.frombuffer(bytearray(data, "latin1"), np.dtype(kind).newbyteorder("<")).reshape(shape, order=order)
        return torch.from_numpy(np.ascontiguousarray(array))
