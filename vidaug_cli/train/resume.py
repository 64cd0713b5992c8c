"""What a run that goes on needs besides its tested weights: tensors of a checkpoint by name, and their way back."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import AveragedModel

from vidaug_cli.schema import type_fault
from vidaug_cli.train.checkpoint import Checkpoint


def training_tensors(network: nn.Module, optimizer: Optimizer, average: AveragedModel | None) -> dict[str, Tensor]:
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
        tensors["averaged"] = average.n_averaged
    return {name: tensor.cpu() for name, tensor in tensors.items()}


def restore(
    checkpoint: Checkpoint, network: nn.Module, optimizer: Optimizer, average: AveragedModel | None
) -> list[dict[str, float]]:
    """Put a network, its optimizer and its average where the checkpoint was written; return the history until then.

    Raises LookupError, RuntimeError, TypeError or ValueError where the checkpoint lacks what that needs.
    """
    left = dict(checkpoint.training)
    trained = checkpoint.weights
    if average is not None:
        average.module.load_state_dict(checkpoint.weights)
        average.n_averaged.copy_(left.pop("averaged"))
        trained = {name: left.pop(f"network.{name}") for name in checkpoint.weights}
    network.load_state_dict(trained)
    for name, weight in network.named_parameters():
        for key in _keys(optimizer):
            value = left.pop(f"optimizer.{name}.{key}")
            like = torch.empty((), device=weight.device) if key == "step" else torch.empty_like(weight)
            if value.shape != like.shape:
                raise ValueError(f"{key} of {name} has another shape")
            optimizer.state[weight][key] = like.copy_(value)  # laid out in memory as the weight
    history = checkpoint.state["history"]
    if (
        left
        or type_fault(history, list[dict[str, float]])
        or len(history) != checkpoint.epoch
        or history[-1] != checkpoint.metrics
    ):
        raise ValueError("another run's")
    return cast(list[dict[str, float]], history)


def _keys(optimizer: Optimizer) -> tuple[str, ...]:
    """Return what an optimizer keeps of each weight."""
    if isinstance(optimizer, Adam):
        return "step", "exp_avg", "exp_avg_sq"
    return ("momentum_buffer",) if optimizer.defaults["momentum"] else ()
