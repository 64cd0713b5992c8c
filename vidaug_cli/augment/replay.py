"""Clips rendered again from their sources and stored numbers, and compared with what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.augment.output import find_clips
from vidaug_cli.augment.plan import Plan, read_plans
from vidaug_cli.augment.render import Engine, replay
from vidaug_cli.data.manifest import check_there
from vidaug_cli.data.shard.check import TOLERANCE
from vidaug_cli.data.shard.codecs import PIECES
from vidaug_cli.data.shard.format import Record
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import VideoError
from vidaug_cli.workers import track

BLOCK = 16  # pixels, height and width of what JPEG with 4:2:0 and H.264 code at a time
CODED_LEVELS = 12  # by which a block may differ on average where a level differed before; JPEG: 2.5 at 95, 10 at 30


@dataclass(frozen=True)
class Replayed:
    """How a clip compares with itself rendered again."""

    clip: int
    equal: bool
    what: str


def replay_clips(
    out: Path, wanted: Sequence[int] | int | None, engine: Engine, *, root: Path | None = None, progress: bool = False
) -> Iterator[Replayed]:
    """Yield how clips compare with themselves rendered again from their sources and stored numbers.

    Args:
        out: an output folder.
        wanted: numbers of clips, or how many spread evenly, or None for all.
        engine: how they are rendered now.
        root: folder of the videos, if they were moved.
        progress: whether to say how far it is.

    Raises ShardError when a clip is not there, VidaugError when none of the videos is.
    """
    plans = read_plans(out, root=root)
    clips = find_clips(out, wanted)
    for folder in {place.folder for place in clips}:
        check_there(plans[folder].rows)
    for folder, path, index in track(clips, len(clips), "clip", "replay", show=progress):
        with Shard(path) as shard:
            yield _replay_one(plans[folder], engine, shard, shard.record(index))


def _replay_one(plan: Plan, engine: Engine, shard: Shard, stored: Record) -> Replayed:
    """Compare one clip: equal bytes on one kind of device; on another, pixels a level apart and sums nearly equal."""
    try:
        again = replay(plan, engine, stored)
    except VideoError as error:
        return Replayed(stored.clip, False, str(error))
    video = again.video
    if lossy := PIECES.get(shard.header.codec):
        coder = lossy.coder()
        video = coder.decode_frames(coder.encode_frames(video, shard.header.quality), shard.header)
    off = np.abs(video.astype(np.int16) - stored.video)
    drift = max(float(np.abs(getattr(again, name) - getattr(stored, name)).max()) for name in ("label", "weights"))
    if drift == 0 and not off.any():
        return Replayed(stored.clip, True, "equal bytes")
    what = f"pixels differ by up to {off.max()} of 255" if off.any() else "label or weights differ"
    if shard.header.device == engine.kind:
        return Replayed(stored.clip, False, what)
    near = _largest_mean(off) <= CODED_LEVELS if lossy else bool(off.max() <= 1)
    allowed = near and drift <= TOLERANCE
    devices = f"{shard.header.device}, which rendered it, and {engine.kind}"
    return Replayed(stored.clip, allowed, f"{what}, {'no more' if allowed else 'more'} than {devices} may")


def _largest_mean(off: NDArray[np.int16]) -> float:
    """Return the largest mean of the 16 x 16 blocks of frames (T, H, W, 3): each is coded by itself."""
    rows, columns = (np.arange(0, length, BLOCK) for length in off.shape[1:3])
    sums = np.add.reduceat(np.add.reduceat(off.sum(3, dtype=np.int64), rows, 1), columns, 2)
    return float(sums.max()) / (3 * BLOCK**2)
