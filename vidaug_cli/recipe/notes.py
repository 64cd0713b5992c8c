"""What is known of a recipe: on what it was measured, and when it hurts. No clip follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FEW_VIDEOS = 1000  # what is trained on fewer is mostly trained shortly; clips that are only made have no budget yet


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The table `[measured]` of a recipe."""

    on: str  # data, network and budget
    found: str  # what it did, in a few words


@dataclass(frozen=True, kw_only=True)
class Caution:
    """The table `[caution]` of a recipe: it is known to hurt training that sees fewer clips than this."""

    below_clips_seen: int
    text: str  # what it did, and what to try


def caution_notes(cautions: Mapping[str, Caution], clips_seen: int) -> list[str]:
    """Return a line for each recipe, by its name in `cautions`, that is known to hurt at this budget."""
    return [
        f"recipe {name} is known to hurt where fewer than {caution.below_clips_seen:,} clips are seen: {caution.text}"
        for name, caution in cautions.items()
        if clips_seen < caution.below_clips_seen
    ]
