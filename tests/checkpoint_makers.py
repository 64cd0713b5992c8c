"""Small checkpoints for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.train.checkpoint import Checkpoint, write_checkpoint
from vidaug_cli.train.slowfast import Architecture, SlowFast
from vidaug_cli.train.state import training_tensors

TINY = Architecture(blocks=(1, 1, 1, 1), bottleneck=False, width=2, beta=2, alpha=4, fast_frames=8)
CLASSES = ("jump", "run", "walk")


def network_of(architecture: Architecture = TINY, classes: int = len(CLASSES), seed: int = 0) -> SlowFast:
    """A network in eval mode whose every weight and statistic is drawn, so that no two tensors are alike."""
    generator = torch.Generator().manual_seed(seed)
    network = SlowFast(architecture, classes).eval()
    for name, weight in network.state_dict().items():
        if weight.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.5, 0.5)
            weight.uniform_(low, high, generator=generator)
        else:
            weight.fill_(7)
    return network


def checkpoint_of(network: SlowFast | None = None, **values: Any) -> Checkpoint:
    """After epoch 3, with what AdamW and a generator need to continue."""
    network = network or network_of()
    optimizer = torch.optim.AdamW(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    base = Checkpoint(
        architecture=network.architecture,
        classes=CLASSES,
        clip=ClipSpec(frames=8, size=16, fps=12.5, crop=(0.5, 1.0), short="loop"),
        weights={name: weight.clone() for name, weight in network.state_dict().items()},
        epoch=3,
        settings={"optimizer": "adamw", "lr": 1e-3, "milestones": [1, 2], "recipe": None},
        metrics={"val_top1": 0.75, "val_loss": 1.5},
        training=training_tensors(network, optimizer, None)
        | {"generator": torch.Generator().manual_seed(5).get_state()},
        state={"numbers": [1, 2.5, None, True, "text \u00e9", 2**127, [-1], {"a": []}]},
    )
    return replace(base, **values)


def made(path: Path, **values: Any) -> Path:
    """A good checkpoint file."""
    write_checkpoint(path, checkpoint_of(**values))
    return path
