"""Successive halving: many configurations with a small budget, the better ones with more, few with all of it.

Jamieson and Talwalkar 2016, arXiv:1502.07943, with numbers and budgets as in the inner loop of Hyperband (Li et al.
2018, arXiv:1603.06560, algorithm 1). Other than there, a configuration that stays in is trained anew: the learning
rate falls to 0 at the end of a run, so that a long run cut short is not a short run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vidaug_cli.errors import SettingError
from vidaug_cli.train.settings import LENGTH, Settings


@dataclass(frozen=True)
class Rung:
    """So many configurations with this share of the whole budget each."""

    configurations: int
    share: float

    def settings(self, settings: Settings) -> Settings:
        """Return settings with this share of the epochs or clips seen, and of a warm-up that is given."""
        name = length_of(settings)
        whole = getattr(settings, name)
        part = max(1, round(whole * self.share))
        warmup = None if settings.warmup is None else settings.warmup * part / whole
        return replace(settings, **{name: part, "warmup": warmup})


def length_of(settings: Settings) -> str:
    """Return the setting that says how long a run is: `epochs` or `clips_seen`."""
    return next(name for name in LENGTH if getattr(settings, name) is not None)


def schedule(configurations: int, epochs: int, eta: int = 2) -> list[Rung]:
    """Return the rungs: the first takes all configurations, the last has the whole budget, of so many epochs.

    From one to the next 1/`eta` of the configurations stay in, rounded down, and get `eta` times the budget. There are
    as many as leave the last a configuration, and the first an epoch.

    Raises VidaugError when `eta` is less than 2.
    """
    if eta < 2:
        raise SettingError(f"--eta {eta} would keep all configurations", hint="take 2 or more")
    steps = min(_floor_log(configurations, eta), _floor_log(epochs, eta))
    return [Rung(configurations // eta**step, eta ** (step - steps)) for step in range(steps + 1)]


def _floor_log(value: int, base: int) -> int:
    """Return the largest n for which base**n is at most `value`, without the rounding of math.log."""
    power = 0
    while base ** (power + 1) <= value:
        power += 1
    return power
