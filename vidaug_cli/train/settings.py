"""How a network is trained: one table of settings, and presets of it by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from vidaug_cli.data.sampling import Stride, plain_stride, stride_rule
from vidaug_cli.device import Amp
from vidaug_cli.errors import SettingError, UnknownNameError
from vidaug_cli.rng import MAX_SEED
from vidaug_cli.schema import check
from vidaug_cli.train.slowfast import Input
from vidaug_cli.words import count, nearest

Optimizer = Literal["sgd", "adam", "adamw"]
MAX_EPOCHS = 1_000_000
MAX_CLIPS = 10**12
WARMUP = 0.1  # of the run, in which the rate rises where no setting says so
_WARMUP = "0 to the number of epochs"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network is trained: its clips and this decide the weights. The default is arXiv:2008.05721's protocol."""

    network: str = "r50-4x16"  # a key of slowfast.ARCHITECTURES
    input: Input | None = None  # what the network sees of a clip; None: as the weights to start from, else rgb
    epochs: int | None = 150  # passes over the shards; None: as many as `clips_seen` takes
    clips_seen: int | None = None  # clips to train on, over all epochs, each time counted
    batch_size: int = 16  # clips that go into one step of the optimizer, over all processes
    accumulate: int = 1  # parts in which a process does its share of a batch, to save memory
    optimizer: Optimizer = "adam"
    lr: float = 1e-4  # at its highest
    weight_decay: float = 1e-5
    momentum: float = 0.9  # of SGD, with Nesterov's form
    warmup: float | None = None  # epochs in which the rate rises from 0, and then falls to 0; None: a tenth of all
    dropout: float | None = None  # before the head; None: as the network has it
    smoothing: float = 0.0  # share of the label that is spread over all classes
    clip_norm: float | None = None  # longest gradient
    ema: float | None = None  # decay of the average of the weights over steps, which is then what is tested and kept
    frames: int | None = None  # cut the shards' clips to this many frames, at a random place
    stride: Stride | None = None  # ... of which the next is so many frames of the shards' on; a range: drawn for each
    size: int | None = None  # ... and the clips to this many pixels
    flip: float = 0.0  # chance of a left-right flip, on top of those in the shards
    sync_bn: bool = False  # statistics of normalisation over all processes
    amp: Amp = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.stride is not None:
            object.__setattr__(self, "stride", plain_stride(self.stride))
        rules = {
            "epochs": (self.epochs is None or 1 <= self.epochs <= MAX_EPOCHS, "1 or more"),
            "clips_seen": (
                self.epochs is not None
                if self.clips_seen is None
                else self.epochs is None and 1 <= self.clips_seen <= MAX_CLIPS,
                "1 or more, in place of epochs",
            ),
            "batch_size": (1 <= self.batch_size <= 65536, "1 to 65536"),
            "accumulate": (1 <= self.accumulate <= self.batch_size, "1 to batch_size"),
            "lr": (0 < self.lr < math.inf, "a number above 0"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "a number, 0 or above"),
            "momentum": (0 <= self.momentum < 1, "0 to below 1"),
            "warmup": (self.warmup is None or 0 <= self.warmup <= (self.epochs or math.inf), _WARMUP),
            "dropout": (self.dropout is None or 0 <= self.dropout < 1, "0 to below 1"),
            "smoothing": (0 <= self.smoothing < 1, "0 to below 1"),
            "clip_norm": (self.clip_norm is None or 0 < self.clip_norm < math.inf, "a number above 0"),
            "ema": (self.ema is None or 0 < self.ema < 1, "between 0 and 1"),
            "frames": (self.frames is None or 1 <= self.frames <= 4096, "1 to 4096"),
            "stride": (True, "") if self.stride is None else stride_rule(self.stride),
            "size": (self.size is None or 8 <= self.size <= 2048, "8 to 2048"),
            "flip": (0 <= self.flip <= 1, "a chance, 0 to 1"),
            "seed": (0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}"),
        }
        check(self, rules, where="training")


_SMALL = Settings(
    network="r10-small",
    epochs=None,
    clips_seen=16_800,
    batch_size=12,
    optimizer="adamw",
    lr=3e-3,
    weight_decay=0.05,
)

PRESETS = {
    "vipriors2020": Settings(),
    "small": _SMALL,
    "tiny": replace(_SMALL, network="r10-tiny", clips_seen=8_400),  # for clips of 48 pixels
}


def preset_settings(preset: str, given: Mapping[str, Any]) -> Settings:
    """Return a preset, with the values in `given` in place of its own. Raises VidaugError for an unknown preset."""
    if preset not in PRESETS:
        what, hint = f"no preset {preset!r}{nearest(preset, PRESETS)}", f"there are {', '.join(PRESETS)}"
        raise UnknownNameError(what, hint=hint)
    return with_settings(PRESETS[preset], given)


def with_settings(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """Return settings with others in their place; epochs take the place of clips seen, and the other way round."""
    length: dict[str, Any] = {} if given.keys().isdisjoint(LENGTH) else dict.fromkeys(LENGTH)
    return replace(settings, **length | dict(given))


LENGTH = ("epochs", "clips_seen")  # settings of which one says how long a run is


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What settings come to on the clips that there are."""

    epochs: int
    steps: int  # of the optimizer, in an epoch
    batch: int  # clips in a step, over all processes
    warmup: float  # steps in which the rate rises

    @property
    def clips_seen(self) -> int:
        """Clips that go through the network in training, each time counted."""
        return self.epochs * self.steps * self.batch

    def passes(self, clips: int) -> float:
        """Return how often each of so many clips is seen."""
        return self.clips_seen / clips

    def text(self, clips: int, preset: str = "") -> str:
        """Return in a line what the budget is on so many clips, beside what the preset is meant for."""
        passes = self.passes(clips)
        each = f"{passes:,.0f}" if passes >= 100 else f"{passes:.3g}"
        line = (
            f"{self.clips_seen:,} clips seen = {each} {'pass' if each == '1' else 'passes'} over {count(clips, 'clip')}"
        )
        if preset not in PRESETS:
            return line
        usual = PRESETS[preset]
        if usual.clips_seen is None:
            return f"{line}; {preset} is a protocol of {usual.epochs} passes"
        return f"{line}; {preset} was tuned at {usual.clips_seen:,} clips seen"


def budget_of(settings: Settings, clips: int, processes: int = 1, steps: int | None = None) -> Budget:
    """Return what settings come to on so many clips.

    Where clips seen are given, epochs are all of one length: a pass over the clips, or a little less, whatever comes
    nearest.

    Args:
        settings: how long to train.
        clips: that there are, as many as processes or more.
        processes: that share a batch evenly.
        steps: in an epoch of the run that goes on; None: in a new run.

    Raises VidaugError when the warm-up is longer than the run.
    """
    batch = min(settings.batch_size, clips // processes * processes)
    full = clips // batch
    if settings.clips_seen is None:
        epochs, steps = settings.epochs or 1, steps or full
    else:
        total = max(1, round(settings.clips_seen / batch))
        fewer = total // (steps or full)
        ways = [(n, steps or min(full, round(total / n))) for n in (fewer, fewer + 1) if n]
        epochs, steps = min(ways, key=lambda way: abs(way[0] * way[1] - total))
    warmup = WARMUP * epochs if settings.warmup is None else settings.warmup
    if warmup > epochs:
        raise SettingError(f"warmup = {warmup:g} should be {_WARMUP}, {epochs}", where="training")
    return Budget(epochs=epochs, steps=steps, batch=batch, warmup=warmup * steps)


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
