"""What one video may cost. Imports no decoder, so that what only names the limits stays light."""

from __future__ import annotations

from dataclasses import dataclass

from vidaug_cli.schema import check

PAUSES = 0.5, 2.0  # seconds before the second try and the third of a video that could not be read this time
PATIENCE = 10  # seconds on the clock for each of CPU time: a busy machine, or a network that keeps the decoder waiting


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one video may cost; a file of a few kB can decode to many GB.

    Raises VidaugError when a limit makes no sense.
    """

    pixels: int = 8192 * 4320  # of one frame: 8K phones make 7680 x 4320
    frames: int = 200_000  # decoded: an hour at 50 fps
    seconds: float = 120.0  # of the decoder's CPU time, for one look and for each clip: kept by `guard.Guard`

    def __post_init__(self) -> None:
        rules = {
            "pixels": (1 <= self.pixels <= 2**30, f"1 to {2**30}"),
            "frames": (1 <= self.frames <= 2**31 - 1, f"1 to {2**31 - 1}"),
            "seconds": (0.01 <= self.seconds <= 100_000, "0.01 to 100000"),
        }
        check(self, rules, where="limits")

    @property
    def patience(self) -> float:
        """Seconds on the clock after which a decoder that does not answer counts as stuck."""
        return PATIENCE * self.seconds


LIMITS = Limits()
