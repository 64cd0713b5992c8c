"""Batches on their way from the process that read them, in memory without a name that both map.

torch would make files in /dev/shm, of which containers have 64 MB: too little for a batch of long clips.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from math import prod
from multiprocessing.reduction import DupFd
from typing import Any

import torch
from torch import Tensor

from vidaug_cli.files import nameless_file

ALIGNED = 64  # bytes: where a tensor may begin


Spec = tuple[tuple[int, ...], torch.dtype]  # of a tensor


class SharedBatch:
    """Items of a batch, tuples of tensors, stacked; the process that unpickles it gets a list of tensors."""

    def __init__(self, items: Sequence[tuple[Tensor, ...]]) -> None:
        self.specs = [((len(items), *part.shape), part.dtype) for part in items[0]]
        self.file = nameless_file()
        os.ftruncate(self.file, sum(map(_room, self.specs)))
        for column, out in zip(zip(*items, strict=True), _map_tensors(self.file, self.specs), strict=True):
            torch.stack(column, out=out)

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, (DupFd(self.file), self.specs)

    def __del__(self) -> None:
        os.close(self.file)


def _receive(file: Any, specs: Sequence[Spec]) -> list[Tensor]:
    try:
        descriptor = file.detach()  # asks the worker
    except (OSError, EOFError) as error:
        raise RuntimeError("a DataLoader worker is gone, and a batch with it") from error  # as torch would soon say
    try:
        return _map_tensors(descriptor, specs)
    finally:
        os.close(descriptor)  # the tensors keep the memory


def _room(spec: Spec) -> int:
    """Return the bytes of a tensor, up to where the next may begin."""
    shape, dtype = spec
    return -(-prod(shape) * dtype.itemsize // ALIGNED) * ALIGNED


def _map_tensors(file: int, specs: Sequence[Spec]) -> list[Tensor]:
    """Return the tensors that lie in the file one behind the other."""
    rooms = list(map(_room, specs))
    memory = torch.frombuffer(mmap.mmap(file, sum(rooms)), dtype=torch.uint8)
    layout = zip(torch.split(memory, rooms), specs, strict=True)
    return [part[: prod(shape) * dtype.itemsize].view(dtype).view(shape) for part, (shape, dtype) in layout]
