"""Read a shard, whoever made it. `docs/shard-format.md` is the promise to other programs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.hdf5 import PlainDataset, format_of, open_checked, reading
from vidaug_cli.data.shard.codecs import PIECES
from vidaug_cli.data.shard.format import FORMAT, SHARD, Record, done_path
from vidaug_cli.errors import ShardError
from vidaug_cli.schema import parse_json


class Shard(AbstractContextManager["Shard"]):
    """A shard open for reading. Every method raises ShardError where the file is damaged or foreign.

    Args:
        path: of the file.
        check: whether to compare the CRC-32 of the pixels, which takes a millisecond for 4 MB; all else always is.
        only: small datasets beside the pixels. Where they are named, they are read at once and no others can be, and
            the pixels are read without HDF5. `close` then closes the file until more pixels are read.
    """

    def __init__(self, path: Path, *, check: bool = True, only: Collection[str] | None = None) -> None:
        self.path, self.check = path, check
        with _reading(path):
            self._file, self.header, self._datasets = open_checked(path, SHARD)
            if only is not None:
                with self._file:
                    self._datasets, self._file = self._without_hdf5(only)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._datasets["clip"])

    def video(self, i: int) -> NDArray[np.uint8]:
        """Return the pixels of clip i, uint8 (T, H, W, 3), RGB."""
        if self.header.codec == "raw":
            with _reading(self.path, i):
                return np.asarray(self._checked(self.row("clips", i), i))
        pieces = self.pieces(i)
        with _reading(self.path, i):
            return PIECES[self.header.codec].coder().decode_frames(pieces, self.header)

    def pieces(self, i: int) -> list[bytes]:
        """Return the frames of clip i as they are stored, T pieces; of codecs that store pieces."""
        offsets = self.offsets(i)
        with _reading(self.path, i):
            data = self._checked(self._datasets["data"][offsets[0] : offsets[-1]], i)
            return [data[start:end].tobytes() for start, end in pairwise(offsets - offsets[0])]

    def _checked(self, data: NDArray[np.uint8], i: int) -> NDArray[np.uint8]:
        """Return the stored pixels of clip i, held against their CRC-32."""
        if self.check and zlib.crc32(data.data) != self.row("crc32", i):
            raise ShardError("has damaged pixels: their checksum is wrong")
        return data

    def _without_hdf5(self, only: Collection[str]) -> tuple[dict[str, Any], PlainDataset]:
        pixels = "clips" if self.header.codec == "raw" else "data"
        plain, kept = PlainDataset(self.path, self._datasets[pixels]), {"crc32", "offsets", "clip", *only}
        return {pixels: plain} | {name: self.column(name) for name in kept & self._datasets.keys()}, plain

    def offsets(self, i: int) -> NDArray[np.int64]:
        """Return where in `data` the pictures of clip i begin, int64 (T + 1,): each ends where the next one begins."""
        offsets: NDArray[np.int64] = self.row("offsets", i)
        with _reading(self.path, i):
            inside = offsets[0] >= 0 and offsets[-1] <= len(self._datasets["data"])
            if not inside or (offsets[1:] < offsets[:-1]).any():
                raise ShardError("has offsets that decrease or lie outside of its data")
            pieces = PIECES[self.header.codec]
            if np.diff(offsets).min() * pieces.pixels_per_byte < self.header.size**2:
                raise ShardError(f"has {pieces.called} too small for their pictures")
        return offsets

    def params(self, i: int) -> dict[str, Any]:
        """Return every number drawn for clip i."""
        with _reading(self.path, i):
            return parse_json(self.row("params", i), dict, "params", error=ShardError)

    def record(self, i: int) -> Record:
        """Return everything about clip i."""
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
        """Return clip i of the dataset `name`, as it is stored. Raises IndexError when there is no such clip."""
        if not 0 <= i < len(self):
            raise IndexError(f"clip {i} of {len(self)}")
        with _reading(self.path, i):
            return self._datasets[name][i]

    def column(self, name: str) -> NDArray[Any]:
        """Return all clips of a small dataset: labels, weights, sources, frames, copy or clip."""
        with _reading(self.path):
            return np.asarray(self._datasets[name][...])


def _reading(path: Path, clip: int | None = None) -> AbstractContextManager[None]:
    return reading(path if clip is None else f"{path}, clip {clip}", SHARD, lambda: _way_out(path))


def _way_out(path: Path) -> str:
    """Return what to do about a file that cannot be read. Only one that is surely ours may be deleted."""
    ours = re.fullmatch(r"shard-\d{5,}\.h5", path.name) and (path.parent.parent / "plan.json").is_file()
    if ours and done_path(path).is_file():
        if format_of(path) not in (None, FORMAT):
            return "move it elsewhere, and run the same 'vidaug augment' command again"
        return "delete it with its .json and run the same 'vidaug augment' command again"
    return "a shard is what 'vidaug augment' writes"
