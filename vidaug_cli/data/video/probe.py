"""What a probe of a video finds. Imports no decoder, so that a scan from the cache stays light."""

from __future__ import annotations

from dataclasses import dataclass

from vidaug_cli.data.manifest import ProbeMode
from vidaug_cli.data.timing import Clock, Runs


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What the fields of `manifest.Row` that come from the file itself are made of."""

    frames: int
    fps: float  # mean rate; 0 where there is none: frame images, a single frame
    width: int  # as displayed: after rotation. Pixels count as square, whatever aspect the file gives them
    height: int
    codec: str
    rotation: int
    corrupt: int  # frames the decoder marked as damaged, and packets it could not decode
    bytes: int
    probe: ProbeMode  # how `frames` was found: "packets" if asked for, and where the header does not say
    begin: float = 0.0  # seconds after players begin at which the first frame is shown
    # When each frame is shown; None where time stamps cannot be trusted: those of packed XviD jump about.
    runs: Runs | None = None

    @property
    def clock(self) -> Clock | None:
        """When the frames are shown: without time stamps they follow each other evenly; None without a rate."""
        if self.runs:
            return Clock(self.runs, self.begin)
        return Clock(((self.frames, 1 / self.fps),)) if self.fps else None
