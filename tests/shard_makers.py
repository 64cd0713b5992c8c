"""Small shards for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from vidaug_cli.data.shard.format import DoneRecord, Record, ShardHeader
from vidaug_cli.data.shard.writer import ShardWriter


def header_of(**values: Any) -> ShardHeader:
    """Two classes, clips of 4 x 16 x 16."""
    given: dict[str, Any] = {"classes": ("walk", "run"), "recipe": 'summary = "x"\n', "plan_sha256": "0" * 64}
    base = given | {"seed": 5, "shard": 0}
    return ShardHeader(**base | {"frames": 4, "size": 16, "codec": "raw", "quality": 95, "device": "cpu"} | values)


def record_of(header: ShardHeader, number: int = 0) -> Record:
    """A cross-fade of manifest rows 0 (walk) and 1 (run), on smooth pixels that depend on `number`."""
    t, h, w, _ = header.shape
    rows, columns, channels = np.ogrid[:h, :w, :3]
    picture = 128 + 60 * np.sin((rows + 2 * columns + number) / 9 + channels)
    video = (picture + 10 * np.arange(t)[:, None, None, None] / t).astype(np.uint8)
    weights = np.linspace(0.2, 0.6, t, dtype=np.float32)
    label = np.zeros(len(header.classes), np.float32)
    label[:2] = weights.mean(), 1 - weights.mean()
    return Record(
        video=video,
        label=label,
        weights=weights,
        sources=(0, 1),
        frames=np.stack([np.arange(t), np.arange(t) + number]).astype(np.int32),
        params={"mix": {"op": "fademixup", "first": 0.2}, "name": "läuft " * number},
        copy=0,
        clip=number,
    )


def write_shard(path: Path, header: ShardHeader, records: Iterable[Record]) -> DoneRecord:
    with ShardWriter(path, header) as writer:
        for record in records:
            writer.append(record)
    assert writer.done is not None
    return writer.done
