"""Batches on their way from the process that read them, in memory without a name that both map.

torch would make files in /dev/shm, of which containers have 64 MB: too little for a batch of long clips.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from math import prod
from multiprocessing.reduction import DupFd
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vidaug_cli.files import nameless_file

ALIGNED = 64  # bytes: where a tensor may begin


class Kind(NamedTuple):
    """What a tensor is but for its values."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def room(self) -> int:
        """Bytes it takes, up to where the next may begin."""
        return -(-prod(self.shape) * self.dtype.itemsize // ALIGNED) * ALIGNED


class Parcel:
    """Items of a batch, tuples of tensors, stacked; the process that unpickles it gets a list of tensors."""

    def __init__(self, items: Sequence[tuple[Tensor, ...]]) -> None:
        self.kinds = [Kind((len(items), *part.shape), part.dtype) for part in items[0]]
        self.file = nameless_file()
        os.ftruncate(self.file, sum(kind.room for kind in self.kinds))
        for column, out in zip(zip(*items, strict=True), _tensors(self.file, self.kinds), strict=True):
            torch.stack(column, out=out)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.file), self.kinds)

    def __del__(self) -> None:
        os.close(self.file)


def _received(file: Any, kinds: Sequence[Kind]) -> list[Tensor]:
    try:
        descriptor = file.detach()  # asks the worker
    except (OSError, EOFError) as error:
        raise RuntimeError("a DataLoader worker is gone, and a batch with it") from error  # as torch would soon say
    try:
        return _tensors(descriptor, kinds)
    finally:
        os.close(descriptor)  # the tensors keep the memory


def _tensors(file: int, kinds: Sequence[Kind]) -> list[Tensor]:
    """One behind the other."""
    memory, start, found = mmap.mmap(file, sum(kind.room for kind in kinds)), 0, []
    for kind in kinds:
        whole = torch.frombuffer(memory, dtype=kind.dtype, count=prod(kind.shape), offset=start)
        found.append(whole.view(kind.shape))
        start += kind.room
    return found
