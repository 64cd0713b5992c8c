"""How a network is trained: one table of settings, and presets of it by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from vidaug_cli.device import Amp
from vidaug_cli.errors import VidaugError
from vidaug_cli.rng import MAX_SEED
from vidaug_cli.schema import check
from vidaug_cli.train.slowfast import Input
from vidaug_cli.words import nearest

Optimizer = Literal["sgd", "adam", "adamw"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network is trained: its clips and this decide the weights. The default is arXiv:2008.05721's protocol."""

    network: str = "r50-4x16"  # a key of slowfast.ARCHITECTURES
    input: Input | None = None  # what the network sees of a clip; None: as the weights to start from, else rgb
    epochs: int = 150  # passes over the shards
    batch_size: int = 16  # clips that go into one step of the optimizer, over all processes
    accumulate: int = 1  # parts in which a process does its share of a batch, to save memory
    optimizer: Optimizer = "adam"
    lr: float = 1e-4  # at its highest
    weight_decay: float = 1e-5
    momentum: float = 0.9  # of SGD, with Nesterov's form
    warmup: float = 15.0  # epochs in which the rate rises from 0; a cosine then leads it towards 0
    dropout: float | None = None  # before the head; None: as the network has it
    smoothing: float = 0.0  # share of the label that is spread over all classes
    clip_norm: float | None = None  # longest gradient
    ema: float | None = None  # decay of the average of the weights over steps, which is then what is tested and kept
    frames: int | None = None  # cut the shards' clips to this many frames, at a random place
    size: int | None = None  # ... and to this many pixels
    flip: float = 0.0  # chance of a left-right flip, on top of those in the shards
    sync_bn: bool = False  # statistics of normalisation over all processes
    amp: Amp = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        rules = {
            "epochs": (1 <= self.epochs <= 1_000_000, "1 or more"),
            "batch_size": (1 <= self.batch_size <= 65536, "1 to 65536"),
            "accumulate": (1 <= self.accumulate <= self.batch_size, "1 to batch_size"),
            "lr": (0 < self.lr < math.inf, "a number above 0"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "a number, 0 or above"),
            "momentum": (0 <= self.momentum < 1, "0 to below 1"),
            "warmup": (0 <= self.warmup <= self.epochs, "0 to the number of epochs"),
            "dropout": (self.dropout is None or 0 <= self.dropout < 1, "0 to below 1"),
            "smoothing": (0 <= self.smoothing < 1, "0 to below 1"),
            "clip_norm": (self.clip_norm is None or 0 < self.clip_norm < math.inf, "a number above 0"),
            "ema": (self.ema is None or 0 < self.ema < 1, "between 0 and 1"),
            "frames": (self.frames is None or 1 <= self.frames <= 4096, "1 to 4096"),
            "size": (self.size is None or 8 <= self.size <= 2048, "8 to 2048"),
            "flip": (0 <= self.flip <= 1, "a chance, 0 to 1"),
            "seed": (0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}"),
        }
        check(self, rules, where="training")


_SMALL = Settings(
    network="r10-small", epochs=10, batch_size=12, optimizer="adamw", lr=3e-3, weight_decay=0.05, warmup=1.0
)

PRESETS = {
    "vipriors2020": Settings(),
    "small": _SMALL,
    "tiny": replace(_SMALL, network="r10-tiny"),  # for clips of 48 pixels
}


def preset_settings(preset: str, given: Mapping[str, Any]) -> Settings:
    """Return a preset, with the values in `given` in place of its own. Raises VidaugError for an unknown preset.

    If the preset's warm-up would leave nothing of the epochs given, it becomes the same share of them.
    """
    if preset not in PRESETS:
        raise VidaugError(f"no preset {preset!r}{nearest(preset, PRESETS)}", hint=f"there is {', '.join(PRESETS)}")
    usual = PRESETS[preset]
    if 1 <= given.get("epochs", math.inf) <= usual.warmup:
        given = {"warmup": usual.warmup * given["epochs"] / usual.epochs, **given}
    return replace(usual, **given)


def lr_share(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate of a step as a share of the highest: a line up, then half a cosine down towards 0.

    No share is 0, as such a step would do nothing: the line begins a step after 0, the cosine ends a step before it.

    Args:
        step: counted from 0.
        steps: of the whole run.
        warmup: steps, also in part.
    """
    if step + 1 < warmup:
        return (step + 1) / warmup
    fallen = max(0.0, step - warmup) / max(1.0, steps - warmup)
    return math.cos(math.pi / 2 * fallen) ** 2  # = (1 + cos(pi * fallen)) / 2, which rounds to 0 in a very long run
