"""The state of a run: its parts in memory, how they go to its checkpoints, and how they come back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from vidaug_cli.device import Amp
from vidaug_cli.schema import type_fault
from vidaug_cli.train.batches import ClipLoader
from vidaug_cli.train.checkpoint import Checkpoint, write_checkpoint
from vidaug_cli.train.distributed import World
from vidaug_cli.train.history import EpochMetrics, merit
from vidaug_cli.train.run import TrainingRun
from vidaug_cli.train.settings import Budget
from vidaug_cli.train.slowfast import SlowFast

SLOW_SECONDS = 1.0  # checkpoints that take longer to write ...
INTERVAL = 20  # ... are written after so many times as long at the earliest


class WeightAverage:
    """A network with the average over steps of another's weights and statistics: each step counts `decay` of the next.

    torch's `AveragedModel` sends the number of its updates to the device each time, and waits until it is there.
    """

    def __init__(self, network: SlowFast, decay: float) -> None:
        self.network, self.decay, self.updates = deepcopy(network), decay, 0

    @torch.no_grad()
    def update(self, network: SlowFast) -> None:
        """Take in the network after a step; the first one is the average so far."""
        torch._foreach_lerp_(_values(self.network), _values(network), 1 - self.decay if self.updates else 1.0)
        torch._foreach_copy_(_values(self.network, counted=True), _values(network, counted=True))
        self.updates += 1


def _values(network: nn.Module, *, counted: bool = False) -> list[Tensor]:
    """Return weights and statistics, or how often those were taken."""
    values = (*network.parameters(), *network.buffers())
    return [value for value in values if value.is_floating_point() != counted]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the loop works with."""

    run: TrainingRun
    budget: Budget
    world: World
    amp: Amp
    network: SlowFast
    parallel: nn.Module  # the network, with gradients averaged over the processes
    optimizer: Optimizer
    average: WeightAverage | None  # of the weights over steps
    batches: ClipLoader
    validation: ClipLoader | None
    history: list[EpochMetrics]  # of the epochs that an earlier run of the same identity has finished
    threads: int  # that compute
    notes: list[str]  # what is other than one may think

    @property
    def tested(self) -> SlowFast:
        """The network that is tested and kept: the average, if there is one."""
        return self.network if self.average is None else self.average.network


def training_tensors(network: nn.Module, optimizer: Optimizer, average: WeightAverage | None) -> dict[str, Tensor]:
    """Return the optimizer's state by weight, `optimizer.NAME.KEY`, on the CPU.

    With an average, whose weights are the tested ones, also those that are trained, `network.NAME`, and `averaged`, how
    often they were averaged.
    """
    tensors = {
        f"optimizer.{name}.{key}": value
        for name, weight in network.named_parameters()
        for key, value in optimizer.state.get(weight, {}).items()
    }
    if average is not None:
        tensors |= {f"network.{name}": value for name, value in network.state_dict().items()}
        tensors["averaged"] = torch.tensor(average.updates)
    return {name: tensor.cpu() for name, tensor in tensors.items()}


def restore(
    checkpoint: Checkpoint, network: nn.Module, optimizer: Optimizer, average: WeightAverage | None
) -> list[EpochMetrics]:
    """Put a network, its optimizer and its average where the checkpoint was written; return the history until then.

    Raises LookupError, RuntimeError, TypeError or ValueError where the checkpoint lacks what that needs.
    """
    left = dict(checkpoint.training)
    trained = checkpoint.weights
    if average is not None:
        average.network.load_state_dict(checkpoint.weights)
        average.updates = int(left.pop("averaged").long())
        trained = {name: left.pop(f"network.{name}") for name in checkpoint.weights}
    network.load_state_dict(trained)
    for name, weight in network.named_parameters():
        for key in _keys(optimizer):
            value = left.pop(f"optimizer.{name}.{key}")
            like = torch.empty((), device=weight.device) if key == "step" else torch.empty_like(weight)
            if value.shape != like.shape:
                raise ValueError(f"{key} of {name} has another shape")
            optimizer.state[weight][key] = like.copy_(value)  # laid out in memory as the weight
    history: list[EpochMetrics] = checkpoint.state["history"]
    fits = [len(history), history[-1:]] == [checkpoint.epoch, [checkpoint.metrics]]
    if left or not fits or type_fault(history, list[EpochMetrics]):
        raise ValueError("another run's")
    return history


def _keys(optimizer: Optimizer) -> tuple[str, ...]:
    """Return what an optimizer keeps of each weight."""
    if isinstance(optimizer, Adam):
        return "step", "exp_avg", "exp_avg_sq"
    return ("momentum_buffer",) if optimizer.defaults["momentum"] else ()


class CheckpointWriter:
    """Writes the best and the last checkpoint of a run, always together: what is on the disk is a run after one epoch.

    Where writing is slow, epochs are passed over; the best of them is kept in memory until the next time.
    """

    def __init__(self, parts: Parts, write: Callable[[Path, Checkpoint], object] | None = None) -> None:
        self.parts, self._write = parts, write or write_checkpoint
        self._best: Checkpoint | None = None  # of the best epoch, until it is written
        self._written, self._cost = -math.inf, 0.0  # when the checkpoints were written, and the seconds that it took

    def save(self, history: list[EpochMetrics]) -> None:
        """Write the checkpoints after the last epoch of the history, if they are due. Raises VidaugError."""
        run, metrics = self.parts.run, history[-1]
        last = Checkpoint(
            architecture=self.parts.tested.architecture,
            classes=run.classes,
            clip=run.clip,
            # Copies, as the best may be written epochs later, and training goes on with the same tensors.
            weights={name: value.to("cpu", copy=True) for name, value in self.parts.tested.state_dict().items()},
            epoch=len(history),
            settings=run.identity | run.origin,
            metrics=metrics,
        )
        if merit(metrics) > max(map(merit, history[:-1]), default=(-1.0, 0.0)):
            self._best = last
        began = time.perf_counter()
        spared = self._cost > SLOW_SECONDS and began - self._written < INTERVAL * self._cost
        if spared and len(history) < self.parts.budget.epochs:
            return
        if self._best is not None:
            self._write(run.best, self._best)
        tensors = training_tensors(self.parts.network, self.parts.optimizer, self.parts.average)
        state = {"history": history, "threads": torch.get_num_threads(), "steps": self.parts.budget.steps}
        self._write(run.last, replace(last, training=tensors, state=state))
        self._best, self._written = None, time.perf_counter()
        self._cost = self._written - began
