"""RandAugment-T: frame ops drawn from the table, with magnitudes that change over the clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vidaug_cli.ops.clips import ClipOp, Draw, Shape, ramp
from vidaug_cli.ops.frame_ops import OPS, TOP, FrameOps, Layer, MagnitudeTable, Ramp, op_names, suggestion
from vidaug_cli.schema import Rules

Variant = Literal["spatial", "temporal_plus", "temporal", "mix", "fixed"]


@dataclass(frozen=True, kw_only=True)
class RandAugmentT(FrameOps):
    """`n` frame ops for each clip, drawn with replacement, each with its own magnitudes at the two ends of the clip.

    Kim et al. 2020, arXiv:2008.05721, after RandAugment for images, Cubuk et al. 2019, arXiv:1909.13719.
    Raises VidaugError with a line for each wrong setting.
    """

    n: int = 2  # ops per clip
    m: float = 5.0  # magnitude, 0 to 30; "fixed" has m1 and m2 instead
    variant: Variant = "temporal_plus"  # "mix" draws spatial or temporal_plus for each clip
    range: float = 1.0  # "temporal_plus": the ends are up to 0.5 * range * m away from m
    m1: float | None = None  # "fixed": magnitude of the first frame
    m2: float | None = None  # ... and of the last
    table: MagnitudeTable = "official"  # what a magnitude means to each op
    ops: tuple[str, ...] = ()  # names of the ops to draw from; none: all of the table

    def rules(self) -> Rules:
        """Return for each key whether its value is good, and in words what is."""
        fixed, swings = self.variant == "fixed", self.variant in ("temporal_plus", "mix")
        names = op_names(self.table)
        unknown = [f"{name!r} is not{suggestion(name, names)}" for name in self.ops if name not in names]

        def rule(name: str, top: float, used: bool, otherwise: str) -> tuple[bool, str]:
            # A key that the variant does not look at has to stay as it is, or it would change nothing in silence.
            value = getattr(self, name)
            if not used:
                return value == getattr(RandAugmentT, name), otherwise
            return value is not None and 0 <= value <= top, f"0 to {top}" + ' with variant = "fixed"' * fixed

        return super().rules() | {
            "n": (1 <= self.n <= 32, "1 to 32"),
            "m": rule("m", TOP, not fixed, 'left out with variant = "fixed"'),
            "range": rule("range", 2, swings, 'left out unless variant = "temporal_plus" or "mix"'),
            "m1": rule("m1", TOP, fixed, 'left out unless variant = "fixed"'),
            "m2": rule("m2", TOP, fixed, 'left out unless variant = "fixed"'),
            "ops": (not names or not unknown, f"ops of the table: {', '.join(unknown)}"),
        }

    def draw(self, rng: np.random.Generator, shape: Shape) -> Draw:
        """Return `{"variant", "layers": [{"op", "first", "last", "sign"}, ...]}`; first and last are magnitudes."""
        variant = ("spatial", "temporal_plus")[rng.integers(2)] if self.variant == "mix" else self.variant
        return {"variant": variant, "layers": [self._draw_layer(rng, variant) for _ in range(self.n)]}

    def _draw_layer(self, rng: np.random.Generator, variant: str) -> Draw:
        names = self.ops or op_names(self.table)
        name = names[rng.integers(len(names))]
        first, last = self._draw_ends(rng, variant)
        sign = 1 - 2 * int(rng.integers(2)) if OPS[name].scales[self.table].signed else 1
        return {"op": name, "first": first, "last": last, "sign": sign}

    def _draw_ends(self, rng: np.random.Generator, variant: str) -> tuple[float, float]:
        """Draw the magnitudes of the first and the last frame."""
        if self.m1 is not None and self.m2 is not None:
            return self.m1, self.m2
        if variant == "spatial":  # RandAugment as it was for images
            return self.m, self.m
        if variant == "temporal":
            return rng.uniform(min(0.1, self.m), self.m), self.m
        swing = 0.5 * self.range * self.m * rng.uniform(-1, 1)  # its sign is the fair coin for the direction
        return self.m - swing, self.m + swing

    def layers(self, draw: Draw, frames: int) -> Iterator[Layer]:
        """Yield the drawn ops with the values that their magnitudes stand for."""
        for layer in draw["layers"]:
            magnitudes = ramp(layer["first"], layer["last"], frames)
            yield layer["op"], OPS[layer["op"]].scales[self.table].values(magnitudes, layer["sign"])


RANDAUGMENT: dict[str, type[ClipOp]] = {"randaugment_t": RandAugmentT, "ramp": Ramp}
