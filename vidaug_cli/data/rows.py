"""The manifest of an output folder with an index beside it: a process reads only the rows that its shards need."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.manifest import Row, read_row, row_hash, row_line, video_of
from vidaug_cli.errors import PlanError, ShardError, VidaugError, cannot_read
from vidaug_cli.files import atomically

MANIFEST, INDEX = "manifest.jsonl", "manifest.index"
KEPT = 4096  # rows that a process keeps once they are read
AGAIN = "the same 'vidaug augment' command writes it again"
# For each row: where its line begins in the file, the number of its class, and `row_hash`.
_ENTRY = np.dtype([("start", "<i8"), ("label", "<i4"), ("hash", "<u8")])

Labels = NDArray[np.int32]  # (rows,), the class number of each
Hashes = NDArray[np.uint64]  # (rows,), `row_hash` of each


def write_rows(rows: Sequence[Row], labels: Labels, hashes: Hashes, out: Path) -> None:
    """Write the manifest of the folder `out`, and its index.

    A manifest that says the same already is left as it is: other processes may be at work with it.
    """
    starts = _starts(out / MANIFEST, rows)
    if starts is None:
        starts, place = array("q"), 0
        with atomically(out / MANIFEST) as temporary, temporary.open("wb") as file:
            for row in rows:
                starts.append(place)
                place += file.write(row_line(row))
    index = _index(starts, labels, hashes)
    if not (out / INDEX).is_file() or (out / INDEX).read_bytes() != index.tobytes():  # damaged, or of rows elsewhere
        with atomically(out / INDEX) as temporary:
            index.tofile(temporary)


def _starts(manifest: Path, rows: Iterable[Row]) -> array[int] | None:
    """Return where each row begins in a manifest that says just these; None where it says something else."""
    starts, place = array("q"), 0
    with suppress(OSError), manifest.open("rb") as lines:
        for row, line in zip_longest(rows, lines):
            if row is None or line is None or row_line(row) != line:
                return None
            starts.append(place)
            place += len(line)
        return starts
    return None


def _index(starts: Sequence[int], labels: Labels | Sequence[int], hashes: Hashes | Sequence[int]) -> NDArray[np.void]:
    index = np.empty(len(starts), _ENTRY)
    index["start"], index["label"], index["hash"] = starts, labels, hashes
    return index


def among(rows: Iterable[Row], videos: Iterable[Row]) -> NDArray[np.bool_]:
    """Return of which of the rows the video is one of `videos`; at the end is True, for -1, which is no video."""
    known = set(map(video_of, videos))
    return np.array([*(video_of(row) in known for row in rows), True])


class StoredRows(Sequence[Row]):
    """The rows in an output folder, each read when it is asked for, and held against the index.

    Where the index is missing, damaged or of another manifest, all rows are read once instead.

    Args:
        out: the folder.
        classes: names of classes in label order.
        root: where the videos lie now, if not where the rows say.

    Raises ShardError when the manifest cannot be read, and for a row that is not what it was.
    """

    def __init__(self, out: Path, classes: Sequence[str], root: Path | None = None) -> None:
        self.manifest, self._classes, self._root = out / MANIFEST, classes, root
        try:
            with self.manifest.open("rb") as file:
                self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise cannot_read(error, self.manifest, AGAIN, kind=ShardError) from error
        except ValueError as error:
            raise ShardError("lists no video", where=self.manifest, hint=AGAIN) from error
        self._kept = lru_cache(KEPT)(self._read)
        if not self._load(out / INDEX):
            self._make()

    @property
    def labels(self) -> Labels:
        """The class number of each row."""
        return self._entries["label"]

    @property
    def hashes(self) -> Hashes:
        """The hash of each row."""
        return self._entries["hash"]

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, place: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(place, slice):
            return tuple(map(self._kept, range(*place.indices(len(self)))))
        return self._kept(range(len(self))[place])

    def __iter__(self) -> Iterator[Row]:
        return map(self._read, range(len(self)))

    def faults(self) -> Iterator[VidaugError]:
        """Read all rows, and yield what is wrong with those that are not what they were."""
        for place in range(len(self)):
            try:
                self._read(place)
            except VidaugError as error:
                yield error

    def _read(self, place: int) -> Row:
        start, label, known = self._entries[place].item()
        where, end = f"{self.manifest}:{place + 1}", self._text.find(b"\n", start)
        row = read_row(self._text[start:] if end < 0 else self._text[start:end], where)  # threads may read at once
        if row_hash(row) != known or row.label != self._classes[label]:
            raise PlanError("was changed since the plan was made", where=where, hint=AGAIN)
        return row if self._root is None else replace(row, root=str(self._root))

    def _load(self, file: Path) -> bool:
        """Take the index, and return whether it is there and of this manifest, as far as the outermost rows show."""
        with suppress(OSError, ValueError, IndexError, VidaugError):
            self._entries: NDArray[np.void] = np.memmap(file, _ENTRY, "r")
            known = 0 <= self.labels.min() <= self.labels.max() < len(self._classes)
            if known and self._entries[0]["start"] == 0:
                self._read(0), self._read(len(self) - 1)
                return self._text.find(b"\n", self._entries[-1]["start"]) in (-1, len(self._text) - 1)
        return False

    def _make(self) -> None:
        """Make the index from the rows, and the labels as far as their classes are known."""
        number = {name: label for label, name in enumerate(self._classes)}
        starts, labels, hashes = array("q"), array("i"), array("Q")
        self._text.seek(0)
        start = 0
        for line, text in enumerate(iter(self._text.readline, b""), 1):
            if text.strip():
                row = read_row(text, f"{self.manifest}:{line}")
                starts.append(start)
                labels.append(number.get(str(row.label), -1))
                hashes.append(row_hash(row))
            start += len(text)
        self._entries = _index(starts, labels, hashes)
        if not starts:
            raise ShardError("lists no video", where=self.manifest, hint=AGAIN)
