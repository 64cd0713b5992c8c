"""Where scores come from, as far as they say it: the network, how it was trained, and on which videos it was chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vidaug_cli.errors import VidaugError
from vidaug_cli.schema import from_json, parse
from vidaug_cli.scores.file import Scores


@dataclass(frozen=True, kw_only=True)
class Source:
    """What `vidaug predict` and `ensemble` leave with scores; other programs may leave nothing of it."""

    checkpoint: str | None = None  # its file's name
    epoch: int | None = None  # finished ones
    top1: float | None = None  # in that epoch, on clips as they were trained on, cut and mixed
    chosen_on: int = 0  # scored videos by whose labels this epoch was chosen among all
    training: dict[str, Any] = field(default_factory=dict)  # settings, recipes and clips; not which videos
    views: int | None = None
    crop: float | None = None
    ensemble: tuple[Source, ...] = ()  # the members' sources

    @property
    def seed(self) -> int | None:
        """The seed of the training; None: unknown."""
        seed = self.training.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def recipe(self) -> dict[str, Any] | None:
        """All that runs of one row have in common; None where that is unknown."""
        if not self.training:
            return None
        # None is left out: a setting that a later release adds is None where it changes nothing.
        same = {name: value for name, value in self.training.items() if name != "seed" and value is not None}
        if isinstance(held := same.get("hold_out"), dict):  # which part of the training videos: a split as well
            same["hold_out"] = {name: value for name, value in held.items() if name != "fold"}
        return same | {"views": self.views, "crop": self.crop}

    def networks(self) -> Iterator[Source]:
        """Yield this source, or those of all members."""
        if not self.ensemble:
            yield self
        for member in self.ensemble:
            yield from member.networks()


def source_of(scores: Scores) -> Source:
    """Return what scores say of their origin: nothing where another program wrote it in another form."""
    try:
        return parse(Source, from_json(scores.source), extra=True)
    except (VidaugError, RecursionError):
        return Source()
