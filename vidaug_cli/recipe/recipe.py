"""A recipe: which ops a clip goes through, drawn from a generator, applied to a batch, and written out as TOML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import tomli_w

from vidaug_cli.recipe.notes import Caution

if TYPE_CHECKING:
    import numpy as np

    from vidaug_cli.ops.blend import Blend
    from vidaug_cli.ops.clips import ClipOp, Draw, Shape, Video
    from vidaug_cli.ops.mix import Mix


@dataclass(frozen=True)
class AugmentStep:
    """One `[[augment]]` table: an op and the chance that a clip gets it."""

    name: str
    op: ClipOp
    p: float


@dataclass(frozen=True)
class MixMember:
    """One `[[mix]]` table: an op and its weight among the others."""

    name: str
    op: Mix
    weight: float


class Mixture(NamedTuple):
    """How one clip is mixed: by which op, and with which weights."""

    op: str
    blend: Blend


@dataclass(frozen=True, eq=False)
class Recipe:
    """What happens to each clip. Two with one text are equal."""

    name: str
    summary: str
    reference: str
    augment: tuple[AugmentStep, ...]
    mix: tuple[MixMember, ...]
    mix_p: float
    cautions: Mapping[str, Caution] = field(default_factory=dict)  # by recipe; not in the stored text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def text(self) -> str:
        """The recipe as TOML with every key written out, so that a stored one does not lean on today's defaults."""
        table: dict[str, Any] = {"name": self.name, "summary": self.summary, "reference": self.reference}
        if self.augment:
            table["augment"] = [{"op": step.name, "p": step.p} | _settings(step.op) for step in self.augment]
        if self.mix:
            mix = [{"op": member.name, "weight": member.weight} | _settings(member.op) for member in self.mix]
            table |= {"mix_p": self.mix_p, "mix": mix}
        return tomli_w.dumps(table)

    def draw_augment(self, rng_of: Callable[[int], np.random.Generator], shape: Shape) -> list[Draw | None]:
        """Return the draws of one clip, one per step; None where chance skips the step. `rng_of(i)` is for step i."""
        steps = [(step, rng_of(index)) for index, step in enumerate(self.augment)]
        return [step.op.draw(rng, shape) if rng.random() < step.p else None for step, rng in steps]

    def apply_augment(self, video: Video, draws: Sequence[Sequence[Draw | None]]) -> Video:
        """Return a new batch, uint8 (B, T, H, W, C): clip i augmented as `draws[i]` says, an entry for each step."""
        import numpy as np  # here, as these take longer to load than to list the recipes

        from vidaug_cli.ops.upload import upload

        for index, step in enumerate(self.augment):
            chosen = [clip for clip, drawn in enumerate(draws) if drawn[index] is not None]
            if len(chosen) == len(video):
                video = step.op.apply(video, [drawn[index] or {} for drawn in draws])
            elif chosen:
                (places,) = upload(video.device, np.array(chosen))
                augmented = step.op.apply(video.index_select(0, places), [draws[clip][index] or {} for clip in chosen])
                video = video.index_copy(0, places, augmented)
        return video

    def draw_mix(self, rng: np.random.Generator, shape: Shape) -> Mixture | None:
        """Return how one clip is mixed; None where it stays as it is."""
        if not self.mix or rng.random() >= self.mix_p:
            return None
        import numpy as np  # here, as it takes longer to load than to list the recipes

        shares = np.array([member.weight for member in self.mix])
        member = self.mix[int(rng.choice(len(shares), p=shares / shares.sum()))]
        return Mixture(member.name, member.op.draw(rng, shape))


def _settings(op: Any) -> dict[str, Any]:
    """Return the keys of an op with their values; None stands for a key left out."""
    values = ((field.name, getattr(op, field.name)) for field in fields(op))
    return {name: value for name, value in values if value is not None}
