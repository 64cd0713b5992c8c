"""Batches out of shards, in an order and with cuts that follow from the seed, the epoch and the place alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate, get_worker_info

from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.clips import Shape
from vidaug_cli.rng import Step, generator
from vidaug_cli.train.shared_memory import Parcel

ALONE = (
    "no processes can be started to read ahead, for want of a usable /dev/shm: clips are read in turn with computing"
)
MIDDLE = -1  # in place of an epoch: the middle of each clip, unflipped


class Place(NamedTuple):
    """Where in a run a clip is seen."""

    epoch: int
    position: int  # in the epoch's order
    clip: int  # in the data set


class Cuts(Dataset[tuple[Tensor, ...]]):
    """The clips of shards, cut to a smaller shape at a random place and flipped by chance.

    An item is `(video, target, weights)` as of `ShardDataset`, with the cut's frames, and with the label in the order
    of `classes` where they are given; every class of the shards is one of them.
    """

    def __init__(
        self,
        shards: ShardDataset,
        shape: Shape,
        *,
        flip: float = 0.0,
        seed: int = 0,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.shards, self.shape, self.flip, self.seed = shards, shape, flip, seed
        self.classes = shards.classes if classes is None else tuple(classes)
        self._columns = torch.tensor([self.classes.index(name) for name in shards.classes])

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, place: Place) -> tuple[Tensor, ...]:
        video, target, weights = self.shards[place.clip]
        spare = [have - want for have, want in zip(video.shape, self.shape, strict=False)]
        flipped = False
        if place.epoch == MIDDLE:
            starts = [length // 2 for length in spare]
        else:
            rng = generator(self.seed, place.epoch, place.position, Step.SAMPLE)
            starts = [int(rng.integers(0, length + 1)) for length in spare]
            flipped = bool(rng.random() < self.flip)
        t, y, x = (slice(start, start + length) for start, length in zip(starts, self.shape, strict=True))
        video = video[t, y, x]
        ordered = torch.zeros(len(self.classes)).index_copy_(0, self._columns, target)
        return video.flip(2) if flipped else video, ordered, weights[t]

    def __getitems__(self, places: Sequence[Place]) -> list[tuple[Tensor, ...]] | Exception:
        """The items of a batch, or why there is none: torch makes a traceback in words of what a worker raises."""
        try:
            return [self[place] for place in places]
        except (VidaugError, OSError) as error:
            return error


class Order(Sampler[list[Place]]):
    """The batches of one process: every epoch shuffled anew, every process with its part of each batch.

    A last batch that would not be full is left out; the next epoch has other clips there.

    Args:
        clips: in the data set.
        batch: clips over all processes, and no more than there are.
        rank, size: this process and how many there are; `size` divides `batch`.
        shuffle: otherwise the clips in their order, each by its middle, the last batch as short as it comes.
    """

    def __init__(
        self, clips: int, batch: int, *, rank: int = 0, size: int = 1, seed: int = 0, shuffle: bool = True
    ) -> None:
        self.clips, self.batch, self.rank, self.size, self.seed, self.shuffle = clips, batch, rank, size, seed, shuffle
        self.epoch = 0

    def __len__(self) -> int:
        return self.clips // self.batch if self.shuffle else -(-self.clips // self.batch)

    def __iter__(self) -> Iterator[list[Place]]:
        order = list(range(self.clips))
        if self.shuffle:
            generator(self.seed, self.epoch, 0, Step.SHUFFLE).shuffle(order)
        epoch = self.epoch if self.shuffle else MIDDLE
        places = [Place(epoch, position, clip) for position, clip in enumerate(order)]
        share = self.batch // self.size
        for number in range(len(self)):
            start = number * self.batch + self.rank * share
            if part := places[start : start + share]:
                yield part


class Batches(DataLoader[tuple[Tensor, ...]]):
    """A loader that raises what reading raised, in whichever process."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, Exception):
                try:
                    raise batch
                finally:
                    del batch  # else it and this frame hold each other, and the workers end seconds late
            yield batch


def loader(cuts: Cuts, order: Order, *, workers: int, pin: bool) -> Batches:
    """Batches in `order`, read ahead by `workers` processes, each with files of its own; 0: by this process."""
    workers = possible(workers)
    return Batches(
        cuts,
        batch_sampler=order,
        collate_fn=_gather,
        num_workers=workers,
        pin_memory=pin,
        persistent_workers=workers > 0,
        worker_init_fn=_become_worker if workers else None,
        generator=torch.Generator(),  # else it draws from the one that dropout draws from, once for all epochs
    )


def possible(workers: int) -> int:
    """So many processes, or 0 where the system lacks the semaphores that they take turns by: then say `ALONE`."""
    try:
        multiprocessing.Lock()
    except OSError:  # its file in /dev/shm cannot be made
        return 0
    return workers


def _gather(items: list[tuple[Tensor, ...]] | Exception) -> Any:
    if isinstance(items, Exception):
        return items
    return Parcel(items) if get_worker_info() else default_collate(items)


def _become_worker(number: int) -> None:
    """Leave Ctrl-C and all complaints to the main process.

    It ends in peace on SIGTERM, of which a killed worker would make an error there, and its thread that hands tensors
    over says nothing when the main process is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    sys.excepthook = lambda *_: None
