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

from vidaug_cli.errors import VidaugError
from vidaug_cli.workers import worker_count

PATIENCE = timedelta(hours=12)  # the others wait while the first makes the validation clips


@dataclass(frozen=True)
class Processes:
    """This process among its equals; by itself, the only one."""

    device: str
    rank: int = 0
    size: int = 1
    local: int = 1  # of them on this machine

    @property
    def first(self) -> bool:
        """Whether it is this process that writes and speaks."""
        return self.rank == 0

    @property
    def cores(self) -> int:
        """This process's part of the cores that a container or an affinity leaves to all on this machine."""
        return max(1, worker_count(0) // self.local)

    @property
    def reading_workers(self) -> int:
        """How many processes read for this one unless told: on the CPU the network needs the cores."""
        return min(8, self.cores) if self.device.startswith("cuda") else 1

    @property
    def threads(self) -> int:
        """How many threads compute in this one unless told. It does not depend on the load, as sums depend on it."""
        return min(torch.get_num_threads(), self.cores)

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over the processes, which start from the first one's weights."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, [self.device] if self.device.startswith("cuda") else None)

    @staticmethod
    def apart(network: nn.Module) -> AbstractContextManager[None]:
        """Where gradients of what `parallel` returned add up, and are sent to nobody yet."""
        return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the processes, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def share_statistics(self, network: nn.Module) -> None:
        """Give a network the first process's buffers: those of normalisation follow the clips that each has seen."""
        if self.size > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)

    def wait(self) -> None:
        """Until all have come this far."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """The processes `torchrun` told of in the environment, joined; with a GPU each if `device` is cuda."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Processes(device)
        return
    if "RANK" not in os.environ:
        raise VidaugError(f"WORLD_SIZE is {size} in the environment, and RANK is not there", hint="start with torchrun")
    if device.startswith("cuda"):
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            what = f"process {local} of this machine has no GPU: torch sees {torch.cuda.device_count()}"
            raise VidaugError(what, hint="start as many with torchrun --nproc-per-node")
        device = f"cuda:{local}"
        torch.cuda.set_device(device)
    gpu = torch.device(device) if device.startswith("cuda") else None
    distributed.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE, device_id=gpu)
    try:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        yield Processes(device, distributed.get_rank(), distributed.get_world_size(), local)
    finally:
        distributed.destroy_process_group()


@contextmanager
def computing(threads: int) -> Iterator[None]:
    """Compute with so many threads, and afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
