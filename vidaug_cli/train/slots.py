"""Memory for batches, written by the processes that read clips and used again and again.

torch would make new memory for each batch, in files of /dev/shm, of which containers have 64 MB: too little for a batch
of long clips. And each page of new memory has to be cleared and mapped, where it is written and where it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import prod
from multiprocessing.reduction import DupFd
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from vidaug_cli.data.video.memory import Memory

Part = tuple[tuple[int, ...], torch.dtype]  # shape and type of one of the tensors of an item

ALIGNMENT = 64  # bytes


class Slots:
    """Room for so many batches of up to `rows` items. Processes that are forked from this one, or started, see it too.

    Raises MemoryError when there is not so much.
    """

    def __init__(self, slots: int, rows: int, item: Sequence[Part]) -> None:
        self.slots, self.item, self.memory, self.number = slots, item, Memory(), next(_NUMBERS)
        sizes = [rows * prod(shape) * dtype.itemsize for shape, dtype in item]
        self.starts = [0]
        for size in sizes:
            self.starts.append(self.starts[-1] + -(-size // ALIGNMENT) * ALIGNMENT)
        self.memory.array((slots * self.starts[-1],))
        _HERE[self.number] = self

    def batch(self, slot: int, rows: int) -> tuple[Tensor, ...]:
        """Return the tensors of a batch that lies in a slot, or is to be written there."""
        parts = []
        for (shape, dtype), start in zip(self.item, self.starts, strict=False):
            place = slot * self.starts[-1] + start
            raw = self.memory.array((rows * prod(shape) * dtype.itemsize,), place)
            parts.append(torch.from_numpy(raw).view(dtype).view(rows, *shape))
        return tuple(parts)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"memory": DupFd(self.memory.file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"memory": Memory(state["memory"].detach())})


class Filled:
    """A batch in a slot. The process that has made the slots, and unpickles this, gets the tensors."""

    def __init__(self, slots: Slots, slot: int, rows: int) -> None:
        self.place = slots.number, slot, rows

    def __reduce__(self) -> tuple[Any, ...]:
        return _batch, self.place


def _batch(number: int, slot: int, rows: int) -> tuple[Tensor, ...]:
    return _HERE[number].batch(slot, rows)


_NUMBERS = count()
_HERE: WeakValueDictionary[int, Slots] = WeakValueDictionary()  # that this process has made
