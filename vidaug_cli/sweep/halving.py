"""Successive halving: many configurations with a small budget, the better ones with more, few with all of it.

Jamieson and Talwalkar 2016, arXiv:1502.07943, algorithm 1, with the budget of a configuration growing as in Hyperband's
inner loop (Li et al. 2018, arXiv:1603.06560, algorithm 1, lines 3 to 9). Other than there, a configuration that stays
in is trained anew: the learning rate's cosine knows the end of the run, so that a run cut short is not a short run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.settings import Settings


@dataclass(frozen=True)
class Rung:
    """So many configurations with this share of the whole budget each."""

    configurations: int
    share: float

    def settings(self, settings: Settings) -> Settings:
        """Return settings with this share of the epochs, one at least, and of the warm-up."""
        epochs = max(1, round(settings.epochs * self.share))
        return replace(settings, epochs=epochs, warmup=settings.warmup * epochs / settings.epochs)


def schedule(configurations: int, epochs: int, eta: int = 2) -> list[Rung]:
    """Return the rungs: the first takes all configurations, the last has the whole budget.

    From one to the next 1/`eta` of the configurations stay in, rounded up, and get `eta` times the budget. There are as
    many as lead to a single configuration, and no more than leave the first one epoch.

    Raises VidaugError when `eta` is less than 2.
    """
    if eta < 2:
        raise VidaugError(f"--eta {eta} keeps all configurations", hint="2 or more")
    steps = min(_floor_log(configurations, eta), _floor_log(epochs, eta))
    return [Rung(math.ceil(configurations / eta**step), eta ** (step - steps)) for step in range(steps + 1)]


def _floor_log(value: int, base: int) -> int:
    """Return the largest n for which base**n is at most `value`, without the rounding of math.log."""
    power = 0
    while base ** (power + 1) <= value:
        power += 1
    return power
