"""Shapes in signatures hold while tests run, and cost nothing outside them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from vidaug_cli.ops.clips import ClipOp
from vidaug_cli.ops.frame_ops import OPS, Ramp
from vidaug_cli.ops.mix import CUTOUTS
from vidaug_cli.train.slowfast import ARCHITECTURES, SlowFast

FRAMES = torch.zeros((4, 6, 8, 3), dtype=torch.uint8)
VALUES = np.zeros(4)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize(
    ("frames", "values", "parameter"),
    [
        (FRAMES[0], VALUES, "frames"),
        (FRAMES.float(), VALUES, "frames"),
        (FRAMES, VALUES[:3], "values"),
        (FRAMES, VALUES.astype(np.float32), "values"),
    ],
    ids=["one frame", "floats", "too few values", "values in single precision"],
)
def test_a_frame_op_takes_nothing_of_another_shape(
    name: str, frames: Tensor, values: np.ndarray, parameter: str
) -> None:
    with pytest.raises(TypeCheckError, match=f"parameter '{parameter}'"):
        OPS[name](frames, values)


@pytest.mark.parametrize("op", [*(kind() for kind in CUTOUTS.values()), Ramp(name="invert")])
def test_a_clip_op_takes_nothing_of_another_shape(op: ClipOp) -> None:
    with pytest.raises(TypeCheckError, match="parameter 'video'"):
        op.apply(FRAMES, [])


def test_a_network_takes_nothing_of_another_shape() -> None:
    network = SlowFast(ARCHITECTURES["r10-small"], 2)
    with pytest.raises(TypeCheckError, match="parameter 'video'"):
        network(FRAMES)


def test_nothing_is_checked_or_loaded_for_it_outside_the_tests() -> None:
    code = """
import sys, numpy, torch
from vidaug_cli.ops.photometric import invert
assert invert(torch.zeros(2, dtype=torch.uint8), numpy.zeros(3)).tolist() == [255, 255]
assert "jaxtyping" in sys.modules
print(*sorted({"beartype", "typeguard", "jax"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
