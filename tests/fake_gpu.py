"""A GPU that computes nothing: it counts the kernels, the copies and the waits of code that runs on CUDA tensors.

The tensors are torch's fake ones. They have shapes, dtypes and devices, and no values; every operation of theirs is
seen, and one on tensors of two devices fails as on a real GPU. Operations are counted: some are several kernels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

# They make or show memory, and run nothing on the device.
FREE = {"device", "empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view", "_reshape_alias", "detach"}
FREE |= {"lift_fresh", "resize_", "set_"}
# The size of what they return depends on values, which the host has to look at.
SIZED_BY_VALUES = {"nonzero", "bincount", "unique", "_unique2", "unique_dim", "masked_select", "equal"}
COPIES = {"_to_copy", "copy_"}
GPU = torch.device("cuda:0")
IN_PLACE = {"_fused_sgd_"}  # torch cannot run it on fake tensors; it returns nothing


class FakeGpu(TorchDispatchMode):
    """What ran since it began: kernels by name, copies from the host and to it, and how often the host waited.

    The host waits where it reads a value, and for a copy that is not queued (`non_blocking`) or not of pinned memory.
    A value that is read is 0.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._pinned: list[Tensor] = []  # kept: the place of one that is gone could be another's
        self.clear()

    def clear(self) -> None:
        """Count from here on."""
        self.kernels: Counter[str] = Counter()
        self.floats: set[str] = set()  # kernels that read or make floating-point numbers
        self.up = self.down = self.waits = 0

    def __str__(self) -> str:
        kernels = ", ".join(f"{name} {number}" for name, number in self.kernels.most_common(8))
        return f"{self.kernels.total()} kernels ({kernels}), {self.up} up, {self.down} down, {self.waits} waits"

    def is_pinned(self, tensor: Tensor) -> bool:
        """Return whether a tensor of the host lies in pinned memory."""
        places = {pinned.untyped_storage()._cdata for pinned in self._pinned}
        return tensor.untyped_storage()._cdata in places

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count an operation and run it."""
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        if name == "is_pinned":
            return self.is_pinned(args[0])
        if name in ("_pin_memory", "pin_memory"):
            self._pinned.append(torch.empty_like(args[0], pin_memory=True))
            return self._pinned[-1]
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        on_gpu = any(value.is_cuda for value in given)
        if name in SIZED_BY_VALUES and on_gpu:
            self.waits += 1
        if name in ("item", "_local_scalar_dense"):
            self.waits += on_gpu
            return 0.0 if args[0].is_floating_point() else 0
        if function.namespace == "aten" and function._can_decompose():  # in inference mode it comes whole
            with self:
                return function.decompose(*args, **kwargs)
        if name in IN_PLACE:
            assert len({value.device for value in given}) == 1
            self.kernels[name] += 1
            return None
        result = function(*args, **kwargs)
        made = [value for value in tree_leaves(result) if isinstance(value, Tensor)]
        if kwargs.get("pin_memory") and name.startswith("empty"):
            self._pinned += made
        if name in COPIES and {value.device.type for value in (*given, *made)} == {"cpu", "cuda"}:
            to, source = (given[0], given[1]) if name == "copy_" else (made[0], given[0])
            self._copy(to, source, queued=bool(kwargs.get("non_blocking") or args[2:]), new=name == "_to_copy")
        elif name.startswith("index") and on_gpu and any(_is_index(value) for value in given):
            self.up += 1  # indices of the host are copied, and waited for
            self.waits += 1
            self.kernels[name] += 1
        elif any(value.is_cuda for value in (*given, *made)) and name not in FREE and not function.is_view:
            self.kernels[name] += 1
            if any(value.is_floating_point() for value in (*given, *made)):
                self.floats.add(f"{name} alpha" if kwargs.get("alpha", 1) != 1 else name)
        return result

    def _copy(self, to: Tensor, source: Tensor, *, queued: bool, new: bool) -> None:
        up = to.is_cuda
        self.up, self.down = self.up + up, self.down + (not up)
        on_host = source if up else to
        self.waits += not (queued and ((new and not up) or self.is_pinned(on_host)))  # torch pins what it makes itself


def _is_index(value: Tensor) -> bool:
    return value.device.type == "cpu" and value.ndim > 0


@contextmanager
def fake_gpu() -> Iterator[FakeGpu]:
    """Run a block with fake tensors; `device="cuda"` makes those of a GPU. What goes to numpy there is zeros.

    Networks are made before, and come to the GPU within: torch does not move modules whose tensors are fake.
    """
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        FakeGpu() as gpu,
        patch.object(Tensor, "numpy", _zeros),
        patch.object(Tensor, "backward", run_backward),
        patch.object(torch.accelerator, "is_available", lambda: True),  # so that loaders pin what they read
    ):
        yield gpu


def _zeros(tensor: Tensor, *, force: bool = False) -> Any:
    if tensor.is_cuda:
        raise TypeError("can't convert a CUDA tensor to numpy")
    return np.zeros(tensor.shape, str(tensor.dtype).removeprefix("torch."))


def run_backward(loss: Tensor) -> None:
    """Do what `loss.backward()` does, node by node: torch's engine asks the driver for streams of the device.

    A node is made after those that made its inputs, so the last one of all waits for no other.
    """
    left: dict[Any, list[Tensor | None]] = {loss.grad_fn: [torch.ones_like(loss)]}
    with torch.no_grad():
        while left:
            node = max(left, key=lambda node: node._sequence_nr())
            made = node(*left.pop(node))
            for grad, (other, place) in zip(
                made if isinstance(made, tuple) else (made,), node.next_functions, strict=True
            ):
                if other is None or grad is None:
                    continue
                grad = grad.sum_to_size(other._input_metadata[place].shape)
                if hasattr(other, "variable"):  # a weight
                    weight = other.variable
                    assert weight.device == grad.device
                    weight.grad = grad if weight.grad is None else weight.grad.add_(grad)
                    continue
                grads = left.setdefault(other, [None] * len(other._input_metadata))
                before = grads[place]
                grads[place] = grad if before is None else before + grad


class OnGpu(Tensor):
    """A tensor of the host that says it is a GPU's."""

    device = property(lambda self: GPU)


class HostAsGpu(TorchFunctionMode):
    """Takes the way that code takes on a GPU, with numbers: what is put there stays in the host's memory."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a call of torch on the host."""
        there = False

        def here(value: Any) -> Any:
            nonlocal there
            if isinstance(value, OnGpu):
                there = True
                return value.as_subclass(Tensor)
            if isinstance(value, str | torch.device) and str(value).startswith("cuda"):
                there = True
                return "cpu"
            return value

        with torch._C.DisableTorchFunctionSubclass():
            args, kwargs = tree_map(here, (args, {**(kwargs or {}), "pin_memory": False}))
            if function is not torch.empty:
                kwargs.pop("pin_memory")
            result = function(*args, **kwargs)
            back = there and function is not Tensor.cpu
            return tree_map(lambda made: made.as_subclass(OnGpu) if back and isinstance(made, Tensor) else made, result)
