"""Write a shard, whole or not at all."""

from __future__ import annotations

import json
import zlib
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from vidaug_cli.data.hdf5 import MAX_TEXT, add_dataset, append_rows, creating, fill
from vidaug_cli.data.shard.codecs import PIECES
from vidaug_cli.data.shard.extremes import Extremes
from vidaug_cli.data.shard.format import SHARD, DoneRecord, Failure, Record, ShardHeader, done_path, file_xxh3
from vidaug_cli.data.shard.reader import Shard


class _AbandonedError(Exception):
    """What ends a shard when the block that fills it fails."""


class ShardWriter:
    """Writes one shard under a hidden name, and gives it its own once it is closed, checked and on the disk.

    `with ShardWriter(path, header) as writer:` then `writer.append(record)` and `writer.failures.append(failure)`.
    Afterwards the done record lies beside the shard and in `writer.done`. The same records give the same bytes.
    Raises ShardError when the folder or the disk does not take the shard.
    """

    def __init__(self, path: Path, header: ShardHeader) -> None:
        self.path, self.header = path, header
        self.failures: list[Failure] = []
        self._extremes: list[Extremes] = []
        self.done: DoneRecord | None = None
        self._columns = header.columns()
        # All but the pixels is small, and waits here until the number of clips and the longest params are known.
        self._rows: list[dict[str, Any]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with suppress(OSError):  # where there can be no folder, the next line says why
            self.path.parent.mkdir(exist_ok=True)
        self._file, self._sink = self._stack.enter_context(creating(self.path, self._complete))
        pixels = next(iter(self._columns))
        self._pixels = add_dataset(self._file, pixels, self._columns.pop(pixels))
        return self

    def append(self, record: Record) -> None:
        """Write one more clip. Raises ValueError when it does not have the shapes that the header says."""
        params = json.dumps(record.params, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if (length := len(params.encode())) > MAX_TEXT:
            raise ValueError(f"params has {length} bytes, more than {MAX_TEXT}")
        video = np.ascontiguousarray(record.video)
        if video.dtype != np.uint8 or video.shape != self.header.shape:
            raise ValueError(f"video is {video.dtype} {video.shape}, should be uint8 {self.header.shape}")
        row = vars(record) | {"labels": record.label, "params": params}
        stored = video[None]
        if codec := PIECES.get(self.header.codec):
            pieces = codec.coder().encode_frames(video, self.header.quality)
            row["offsets"] = len(self._pixels) + np.cumsum([0, *map(len, pieces)])
            stored = np.frombuffer(b"".join(pieces), np.uint8)
        row["crc32"] = zlib.crc32(stored.data)
        for name, column in self._columns.items():
            if np.shape(row[name]) != column.row:
                raise ValueError(f"{name} has the shape {np.shape(row[name])}, should be {column.row}")
        append_rows(self._pixels, stored)
        if self._sink.error:
            raise self._sink.error
        self._extremes.append(Extremes.of(video))
        self._rows.append({name: row[name] for name in self._columns})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Only errors of the sink are for `creating` to put in words; what else the block raised goes on as it is.
        with suppress(_AbandonedError), self._stack:
            if kind and error is not self._sink.error:
                raise _AbandonedError
            rows = {name: [row[name] for row in self._rows] for name in self._columns}
            fill(self._file, SHARD, self.header.as_attributes(), self._columns, rows)
        if self.done:
            self.done.write(done_path(self.path))

    def _complete(self, temporary: Path) -> None:
        with Shard(temporary) as shard:
            clips = len(shard)
        self.done = DoneRecord(
            shard=self.header.shard,
            bytes=temporary.stat().st_size,
            xxh3=file_xxh3(temporary),
            clips=clips,
            failures=tuple(self.failures),
            extremes=Extremes.sum(self._extremes),
        )
        done_path(self.path).unlink(missing_ok=True)  # of a shard that is made anew: it is true of the old one only
