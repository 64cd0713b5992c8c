"""Shards as a data set of torch."""

from __future__ import annotations

import bisect
import copy
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vidaug_cli.data.kinds import parts_of
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.rows import StoredRows, among
from vidaug_cli.data.shard.format import finished_shards
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import UnfinishedError, UnlikeError
from vidaug_cli.files import open_files

SHARE = 4  # of the files that a process may open, a data set takes one in so many


class ShardDataset(Dataset[tuple[Tensor, ...]]):
    """All clips of an output folder and its parts, or of several folders and shards, in the order of names, as given.

    An item is `(video, target)`: uint8 (T, H, W, 3), float32 (K,); with `with_weights` a third: float32 (T,), the
    share of the clip's own video in each frame, from which frame labels follow. It holds paths: each process checks
    files of its own when it first needs them, and keeps up to a quarter of those open that it may open at all, so it
    pickles and works with any number of DataLoader workers. `check=False` leaves out the CRC-32 of the pixels.

    What is given twice counts once. Classes are matched by name: `classes` are those of the first shard, and then what
    others have besides. With `videos`, rows of a manifest, clips that show any other video are left out: deleted ones,
    and those that have changed since.

    Raises ShardError when there is no finished shard, or shards differ in the shape of a clip.
    """

    def __init__(
        self,
        shards: Path | str | Iterable[Path | str],
        *,
        with_weights: bool = False,
        check: bool = True,
        videos: Iterable[Row] | None = None,
    ) -> None:
        given = [Path(path) for path in ([shards] if isinstance(shards, Path | str) else shards)]
        parts = dict.fromkeys(itertools.chain.from_iterable(map(parts_of, given)))
        found = (finished_shards(path).values() if path.is_dir() else [path] for path in parts)
        self.paths = list(itertools.chain.from_iterable(found))
        self.with_weights, self.check = with_weights, check
        if not self.paths:
            raise UnfinishedError("holds no finished shard", where=shards, hint="make some with 'vidaug augment'")
        classes, shapes, counts = [], [], []
        for path in self.paths:
            with Shard(path) as shard:
                classes.append(shard.header.classes)
                shapes.append(shard.header.shape)
                counts.append(len(shard))
            if shapes[-1] != shapes[0]:
                what = f"has another shape of clip than {self.paths[0]}"
                raise UnlikeError(what, where=path, hint="make one data set of each")
        self.classes = tuple(dict.fromkeys(itertools.chain.from_iterable(dict.fromkeys(classes))))
        self.not_in_all = [name for name in self.classes if any(name not in names for names in set(classes))]
        number = {name: label for label, name in enumerate(self.classes)}
        places = {names: np.array([number[name] for name in names]) for names in set(classes)}
        # Of each shard: where its classes stand among all; None: they are all, in their order.
        self._places = [None if names == self.classes else places[names] for names in classes]
        self._ends = list(itertools.accumulate(counts))
        self.clips: Sequence[int] = range(self._ends[-1])  # those that it has, of all in the shards
        if videos is not None:
            self.clips = np.flatnonzero(self._shows(list(videos))).tolist()
        self._shards: dict[Path, Shard] = {}  # that were checked
        self._open: dict[Path, Shard] = {}  # the one not used for longest comes first
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self.clips)

    def only(self, clips: Sequence[int]) -> ShardDataset:
        """Return a data set of some of these clips."""
        part = copy.copy(self)
        part.clips, part._shards, part._open = [self.clips[clip] for clip in clips], {}, {}
        return part

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        index, number = self.clips[index], self._number(index)
        shard, i = self._shard(self.paths[number]), index - (self._ends[number - 1] if number else 0)
        video, rows = shard.video(i), [self._by_name(name, number, shard.row(name, i)) for name in self._names]
        return tuple(map(torch.from_numpy, (video, *rows)))

    def path_of(self, index: int) -> Path:
        """Return the shard that a clip lies in."""
        return self.paths[self._number(index)]

    def column(self, name: str) -> NDArray[Any]:
        """Return a small dataset of all clips, as `Shard.column` does. Raises ShardError where a file is damaged."""
        columns = []
        for number, path in enumerate(self.paths):
            with Shard(path) as shard:
                columns.append(self._by_name(name, number, shard.column(name)))
        return np.concatenate(columns)[self.clips]

    def sources(self, first: Mapping[Path, int]) -> Int64[np.ndarray, "clips 2"]:
        """Return the manifest rows of the own video and the partner of each clip; -1: no partner.

        `first` gives the number of each folder's first row, where the rows of all folders are counted on.
        """
        counts = np.diff([0, *self._ends])
        before = np.repeat([first[path.parent.parent] for path in self.paths], counts)[self.clips, None]
        rows = self.column("sources")
        return np.asarray(np.where(rows < 0, rows, rows + before))

    def _shows(self, videos: Sequence[Row]) -> NDArray[np.bool_]:
        """Return which clips show only videos that are among those given."""
        shown: list[NDArray[np.bool_]] = []
        for folder, paths in itertools.groupby(self.paths, lambda path: path.parent.parent):
            for number, path in enumerate(paths):
                with Shard(path) as shard:
                    if number == 0:
                        known = among(StoredRows(folder, shard.header.classes), videos)
                    shown.append(known[shard.column("sources")].all(axis=1))
        return np.concatenate(shown)

    def _number(self, index: int) -> int:
        return bisect.bisect_right(self._ends, self.clips[index])

    def _by_name(self, name: str, number: int, stored: NDArray[Any]) -> NDArray[Any]:
        """Return a dataset of shard `number`, or of a clip of it, as an array of its own; labels are of all classes."""
        places = self._places[number]
        if name != "labels" or places is None:
            return stored.copy()
        labels = np.zeros((*stored.shape[:-1], len(self.classes)), stored.dtype)
        labels[..., places] = stored
        return labels

    @property
    def _names(self) -> list[str]:
        return ["labels", "weights"] if self.with_weights else ["labels"]

    def _shard(self, path: Path) -> Shard:
        if self._process != os.getpid():  # after a fork: who shares an open file shares the place where it is read
            for shard in self._open.values():
                shard.close()
            self._open, self._process = {}, os.getpid()
        if path not in self._shards:
            self._shards[path] = Shard(path, check=self.check, only=self._names)
        self._open.pop(path, None)
        self._open[path] = self._shards[path]
        if len(self._open) > open_files() // SHARE:
            self._open.pop(next(iter(self._open))).close()
        return self._shards[path]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_shards": {}, "_open": {}}
