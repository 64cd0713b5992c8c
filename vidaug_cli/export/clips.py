"""The clips of shards as MP4 files, with what is known of each as JSON holds it: the same in all formats."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.rows import StoredRows
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.video.h264 import as_mp4, encode_clip

QUALITY = 95  # of clips whose shards hold no H.264
FPS = 25.0  # of clips whose video has no rate, such as a folder of frame images


class Clip(NamedTuple):
    """One clip of an export."""

    name: str  # unique in the export, and without a dot: what is before one is the key of a WebDataset
    mp4: bytes
    about: dict[str, Any]  # of every clip the same keys with values of the same type, so that tables can be made of it


def read_clips(source: Path, shards: Sequence[Path], classes: Sequence[str], quality: int | None) -> Iterator[Clip]:
    """Yield the clips of some shards of the folder `source`, in their order.

    Args:
        source: a folder of shards, perhaps with parts.
        shards: their paths in there.
        classes: names in label order, of all parts.
        quality: of the H.264, 1 to 100; None: the stream that the shard has, or else 95.

    Raises ShardError where a shard is damaged.
    """
    number = {name: label for label, name in enumerate(classes)}
    for path in shards:
        folder = path.parent.parent
        part = "" if folder == source else folder.name
        with Shard(path) as shard:
            rows = StoredRows(folder, shard.header.classes)
            places = [number[name] for name in shard.header.classes]
            for i in range(len(shard)):
                yield _clip(shard, i, part, rows, places, len(classes), quality)


def _clip(
    shard: Shard, i: int, part: str, rows: StoredRows, places: Sequence[int], classes: int, quality: int | None
) -> Clip:
    clip, params, frames = int(shard.row("clip", i)), shard.params(i), shard.row("frames", i)
    sources = [rows[row] for row in shard.row("sources", i).tolist() if row >= 0]
    label = np.zeros(classes, np.float32)
    label[places] = shard.row("labels", i)
    fps = rate_of(sources[0], params["own"]["sample"]["step"])
    if shard.header.codec == "video" and quality is None:
        packets = shard.pieces(i)
    else:
        packets = encode_clip(shard.video(i), quality or QUALITY)
    about = {
        "clip": clip,
        "part": part,
        "copy": int(shard.row("copy", i)),
        "label": label.tolist(),
        "weights": shard.row("weights", i).tolist(),
        "sources": [row.name for row in sources],
        "source_classes": [str(row.label) for row in sources],
        "frames": frames[: len(sources)].tolist(),
        "fps": fps,
        # As text: a table has no place for objects whose keys differ from clip to clip.
        "params": json.dumps(params, ensure_ascii=False, separators=(",", ":")),
    }
    return Clip(f"{part and part + '-'}clip-{clip:08d}", as_mp4(packets, fps), about)


def rate_of(video: Row, step: float) -> float:
    """Return the frames per second at which a clip is as fast as its own video."""
    return video.fps / step if video.fps > 0 and step > 0 else FPS
