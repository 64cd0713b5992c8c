"""Numbers that were drawn on the host, on the device: all of a batch in one copy that nothing waits for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ALIGNED = 16  # bytes: where an array may begin in the common buffer, whatever its dtype


def upload(device: torch.device | str, *arrays: NDArray[Any]) -> tuple[Tensor, ...]:
    """Return the arrays as tensors on a device, with their dtypes and shapes.

    On the CPU they share the arrays' memory. To a GPU all travel together in one copy of pinned memory: it is queued
    before what uses them, and the host goes on at once.
    """
    whole = [np.asarray(array, order="C") for array in arrays]
    if torch.device(device).type == "cpu":
        return tuple(map(torch.from_numpy, whole))
    starts = np.cumsum([0, *(-(-array.nbytes // ALIGNED) * ALIGNED for array in whole)]).tolist()
    buffer = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=True)
    parts = [slice(start, start + array.nbytes) for start, array in zip(starts, whole, strict=False)]
    for part, array in zip(parts, whole, strict=True):
        buffer[part] = torch.from_numpy(array.reshape(-1).view(np.uint8))
    there = buffer.to(device, non_blocking=True)
    return tuple(
        there[part].view(torch.from_numpy(array).dtype).view(array.shape)
        for part, array in zip(parts, whole, strict=True)
    )
