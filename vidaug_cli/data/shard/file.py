"""Shards: write one, whole or not at all, and read one, whoever made it.

`docs/shard-format.md` is the promise to other programs.
"""

from __future__ import annotations

import json
import re
import zlib
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.hdf5 import (
    MAX_TEXT,
    Sink,
    add_attributes,
    add_dataset,
    append_row,
    create_file,
    format_of,
    reading,
    writing,
)
from vidaug_cli.data.kinds import is_shards
from vidaug_cli.data.shard.done import DoneRecord, Failure, done_path, file_sha256
from vidaug_cli.data.shard.header import FORMAT, Record, ShardHeader, parse_json
from vidaug_cli.data.shard.heap import read_values
from vidaug_cli.data.shard.jpeg import decode_frames, encode_frames
from vidaug_cli.data.shard.layout import as_row, columns, open_file, references
from vidaug_cli.errors import ShardError
from vidaug_cli.files import publish, temporary_beside

PIXELS_PER_BYTE = 256  # a flat baseline JPEG has 64; one with more than this is a bomb


class ShardWriter:
    """Writes one shard under a hidden name, and gives it its own once it is closed, checked and on the disk.

    `with ShardWriter(path, header) as writer:` then `writer.append(record)` and `writer.failures.append(failure)`.
    Afterwards the done record lies beside the shard and in `writer.done`. The same records give the same bytes.
    """

    def __init__(self, path: Path, header: ShardHeader) -> None:
        self.path, self.header = path, header
        self.failures: list[Failure] = []
        self.done: DoneRecord | None = None
        # All but the pixels is small, and waits here until the number of clips and the longest params are known.
        self._rows: list[dict[str, Any]] = []
        self._small = [name for name in columns(header, 1) if name != "clips"]

    def __enter__(self) -> Self:
        self._temporary = temporary_beside(self.path)
        with writing(self.path):
            self._sink = Sink(self._temporary, "x+")
            self._file = create_file(self._sink)
            self._clips = add_dataset(self._file, "clips", columns(self.header, 1)["clips"], 0)
        return self

    def append(self, record: Record) -> None:
        """One more clip. Raises ValueError when it has not the shapes that the header says."""
        params = json.dumps(record.params, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        if len(params) > MAX_TEXT:
            raise ValueError(f"params has {len(params)} bytes, more than {MAX_TEXT}")
        if record.video.dtype != np.uint8:
            raise ValueError(f"video is {record.video.dtype}, should be uint8")
        row = vars(record) | {"clips": record.video, "labels": record.label, "params": params}
        if self.header.codec == "jpeg":
            pictures = encode_frames(record.video, self.header.quality)
            row["crc32"] = [zlib.crc32(picture) for picture in pictures]
            row["clips"] = as_row(pictures)
        for name, (_, shape) in columns(self.header, 1).items():
            if np.shape(row[name]) != shape:
                raise ValueError(f"{name} has the shape {np.shape(row[name])}, should be {shape}")
        with writing(self.path):
            append_row(self._clips, row["clips"])
            self._raise_error()
        self._rows.append({name: row[name] for name in self._small})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with writing(self.path):
                    self._finish()
        finally:
            self._file.close()
            self._sink.close()
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        longest = max((len(row["params"]) for row in self._rows), default=2)
        for name, (dtype, shape) in columns(self.header, longest).items():
            if name in self._small:
                dataset = add_dataset(self._file, name, (dtype, shape), len(self._rows))
                dataset[...] = np.array([row[name] for row in self._rows], dtype).reshape(-1, *shape)
        add_attributes(self._file, self.header.as_attributes())
        self._file.close()
        self._raise_error()
        with Shard(self._temporary) as shard:
            self.done = DoneRecord(
                shard=self.header.shard,
                bytes=self._temporary.stat().st_size,
                sha256=file_sha256(self._temporary),
                clips=len(shard),
                failures=tuple(self.failures),
            )
        done_path(self.path).unlink(missing_ok=True)  # of a shard that is made anew: it is true of the old one only
        publish(self._temporary, self.path)
        self.done.write(done_path(self.path))

    def _raise_error(self) -> None:
        if self._sink.error:
            raise self._sink.error


class Shard:
    """A shard open for reading. Here and in every method: ShardError on a file that is damaged or foreign."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path):
            self._file, self.header, self._datasets = open_file(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(self._datasets["clip"].shape[0])

    def video(self, i: int) -> NDArray[np.uint8]:
        """The pixels of clip i, uint8 (T, H, W, 3), RGB."""
        if self.header.codec == "raw":
            return np.asarray(self.row("clips", i))
        with _reading(self.path, i):
            where = references(self._datasets["clips"], i)
            if where["length"].min().astype(int) * PIXELS_PER_BYTE < self.header.size**2:
                raise ShardError("has JPEGs too small for their pictures")
            pictures = read_values(self.path, where)
            if [zlib.crc32(picture) for picture in pictures] != self.row("crc32", i).tolist():
                raise ShardError("has a JPEG whose CRC-32 is wrong")
            return decode_frames(pictures, self.header)

    def params(self, i: int) -> dict[str, Any]:
        """Every number drawn for clip i."""
        with _reading(self.path, i):
            return parse_json(self.row("params", i), dict, "params")

    def record(self, i: int) -> Record:
        """Everything about clip i."""
        own, partner = self.row("sources", i).tolist()
        return Record(
            video=self.video(i),
            label=self.row("labels", i),
            weights=self.row("weights", i),
            sources=(own, partner),
            frames=self.row("frames", i),
            params=self.params(i),
            copy=int(self.row("copy", i)),
            clip=int(self.row("clip", i)),
        )

    def row(self, name: str, i: int) -> Any:
        """Clip i of the dataset `name`, as it is stored. Raises IndexError when there is no such clip."""
        if not 0 <= i < len(self):
            raise IndexError(f"clip {i} of {len(self)}")
        with _reading(self.path, i):
            return self._datasets[name][i]

    def column(self, name: str) -> NDArray[Any]:
        """All clips of a small dataset: labels, weights, sources, frames, copy or clip."""
        with _reading(self.path):
            return np.asarray(self._datasets[name][...])


def _reading(path: Path, clip: int | None = None) -> AbstractContextManager[None]:
    where = path if clip is None else f"{path}, clip {clip}"
    return reading(where, "shard", lambda: _way_out(path))


def _way_out(path: Path) -> str:
    """What to do about a file that cannot be read. Only one that is surely ours is worth no more than its repair."""
    ours = re.fullmatch(r"shard-\d{5,}\.h5", path.name) and is_shards(path.parent.parent)
    if ours and done_path(path).is_file():
        if format_of(path) not in (None, FORMAT):
            return "move it elsewhere, and run the same 'vidaug augment' command again"
        return "delete it with its .json and run the same 'vidaug augment' command again"
    return "a shard is what 'vidaug augment' writes"
