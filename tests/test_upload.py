"""Numbers of a batch on their way to a device."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch._subclasses.fake_tensor import FakeTensorMode

from vidaug_cli.ops.upload import upload

KINDS = st.sampled_from(["u1", "i4", "i8", "f4", "f8"])
ARRAYS = st.lists(
    KINDS.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0))), max_size=4
)


@settings(deadline=None)
@given(ARRAYS)
def test_arrays_come_as_they_were(given: list[NDArray[Any]]) -> None:
    for array, tensor in zip(given, upload("cpu", *given), strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)
        assert tensor.numpy().dtype == array.dtype


@settings(deadline=None)
@given(ARRAYS)
def test_a_gpu_gets_the_same_shapes_and_dtypes(given: list[NDArray[Any]]) -> None:
    with FakeTensorMode():
        for array, tensor in zip(given, upload("cuda", *given), strict=True):
            assert (tensor.shape, tensor.device.type) == (array.shape, "cuda")
            assert tensor.dtype == torch.from_numpy(array.copy()).dtype


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@settings(deadline=None)
@given(ARRAYS)
def test_a_gpu_gets_the_same_numbers(given: list[NDArray[Any]]) -> None:
    for array, tensor in zip(given, upload("cuda", *given), strict=True):
        np.testing.assert_array_equal(tensor.cpu().numpy(), array)
