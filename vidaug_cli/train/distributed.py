"""The processes that train together: one, or those that `torchrun` started, on one machine or several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from vidaug_cli.errors import DeviceError, TasksError
from vidaug_cli.words import count
from vidaug_cli.workers import worker_count

TIMEOUT = timedelta(hours=12)  # the others wait while the first makes the validation clips


@dataclass(frozen=True)
class World:
    """This process among those that train together; by itself, the only one."""

    device: str
    rank: int = 0
    size: int = 1
    local_size: int = 1  # processes on this machine

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files and messages."""
        return self.rank == 0

    @property
    def cores(self) -> int:
        """This process's part of the cores that a container or an affinity leaves to all on this machine."""
        return max(1, worker_count(0) // self.local_size)

    @property
    def default_workers(self) -> int:
        """Processes that read clips for this one, where none are asked for: on the CPU the network needs the cores."""
        return min(8, self.cores) if self.device.startswith("cuda") else 1

    @property
    def default_threads(self) -> int:
        """Threads that compute, where none are asked for; not by the load of the machine, as sums depend on them."""
        return min(torch.get_num_threads(), self.cores)

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return the network with gradients averaged over the processes, all with the first one's weights."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, [self.device] if self.device.startswith("cuda") else None)

    def all_reduce(self, values: Tensor) -> Tensor:
        """Sum a tensor over the processes, in place, and return it."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def broadcast_buffers(self, network: nn.Module) -> None:
        """Give a network the first process's buffers: each normalises by statistics of the clips that it has seen."""
        if self.size > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)

    def barrier(self) -> None:
        """Wait until all processes have come this far."""
        if self.size > 1:
            distributed.barrier()


def without_sync(network: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which gradients of what `World.parallel` returned add up, and are not sent yet."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()


@contextmanager
def join_world(device: str) -> Iterator[World]:
    """Join the processes that `torchrun` names in the environment, with a GPU each if `device` is cuda.

    Raises VidaugError when the environment is incomplete, or when this machine has too few GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(device)
        return
    if "RANK" not in os.environ:
        raise TasksError(f"WORLD_SIZE is {size} in the environment, and RANK is not there", hint="start with torchrun")
    gpu = None
    if device.startswith("cuda"):
        local_rank = int(os.environ["LOCAL_RANK"])
        if local_rank >= torch.cuda.device_count():
            gpus = count(torch.cuda.device_count(), "GPU")
            what = f"process {local_rank} of this machine has no GPU: torch sees {gpus}"
            raise DeviceError(what, hint="start as many processes with torchrun --nproc-per-node")
        device = f"cuda:{local_rank}"
        gpu = torch.device(device)
        torch.cuda.set_device(gpu)
    distributed.init_process_group("nccl" if gpu else "gloo", timeout=TIMEOUT, device_id=gpu)
    try:
        yield World(device, distributed.get_rank(), size, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    finally:
        distributed.destroy_process_group()


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Compute with so many threads, and afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
