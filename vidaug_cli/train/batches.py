"""Batches of clips from shards, in an order and with crops that follow from seed, epoch and position alone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from itertools import cycle
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from vidaug_cli.data.sampling import Stride, draw_stride, frame_offsets, mean_stride
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.format import mixed_labels
from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.clips import Shape
from vidaug_cli.rng import Step, generator
from vidaug_cli.train.slots import Filled, Part, Slots
from vidaug_cli.workers import why_alone

AHEAD = 2  # batches that each worker reads before they are asked for
MIDDLE = -1  # in place of an epoch: the middle of each clip, unflipped


class SampleIndex(NamedTuple):
    """Which clip a sample is of, and what its crop is drawn by."""

    epoch: int
    position: int  # in the epoch's order
    clip: int  # in the data set


class CropDataset(Dataset[tuple[Tensor, ...]]):
    """The clips of shards, cropped in time and space to `shape` at a random place, and flipped with chance `flip`.

    An item is `(video, target, weights)` as of `ShardDataset`: uint8 (T, H, W, 3), float32 (K,), float32 (T,). Labels
    come in the order of `classes` where they are given; every class of the shards has to be one of them.

    Args:
        shards: the clips, with their weights.
        shape: of a cut.
        stride: frames of the clip from one frame of the cut to the next, from a range drawn anew for each cut. The
            clips are long enough for the largest.
        flip: a chance.
        seed: of all draws.
        classes: names in the order of labels; none: those of the shards.
        pairs: class of own video and partner of each clip, by its number in the shards. Where they are given, the label
            of a cut is made of them by the weights of its frames; else it is that of the clip.
    """

    def __init__(
        self,
        shards: ShardDataset,
        shape: Shape,
        *,
        stride: Stride = 1,
        flip: float = 0.0,
        seed: int = 0,
        classes: Sequence[str] = (),
        pairs: Int64[np.ndarray, "clips 2"] | None = None,
    ) -> None:
        self.shards, self.shape, self.stride, self.flip, self.seed = shards, shape, stride, flip, seed
        self.pairs = pairs
        if pairs is not None and len(pairs) != len(shards):
            raise ValueError(f"{len(pairs)} pairs for {len(shards)} clips")
        self.classes = tuple(classes) or shards.classes
        self._columns = torch.tensor([self.classes.index(name) for name in shards.classes])

    def __len__(self) -> int:
        return len(self.shards)

    @property
    def item(self) -> list[Part]:
        """Shape and type of the tensors of an item."""
        return [
            ((*self.shape, 3), torch.uint8),
            ((len(self.classes),), torch.float32),
            ((self.shape.t,), torch.float32),
        ]

    def __getitem__(self, index: SampleIndex) -> tuple[Tensor, ...]:
        item = tuple(torch.empty(shape, dtype=dtype) for shape, dtype in self.item)
        self.write(index, item)
        return item

    def write(self, index: SampleIndex, item: Sequence[Tensor]) -> None:
        """Write an item into tensors that are there."""
        video, target, weights = self.shards[index.clip]
        rng = None if index.epoch == MIDDLE else generator(self.seed, index.epoch, index.position, Step.SAMPLE)
        stride = mean_stride(self.stride) if rng is None else draw_stride(rng, self.stride)
        frames = frame_offsets(self.shape.t, stride)
        covered = (int(frames[-1]) + 1, *self.shape[1:])
        spare = [have - want for have, want in zip(video.shape, covered, strict=False)]
        starts = [length // 2 if rng is None else int(rng.integers(0, length + 1)) for length in spare]
        flipped = rng is not None and bool(rng.random() < self.flip)
        t, y, x = (slice(start, start + length) for start, length in zip(starts, covered, strict=True))
        video, weights = video[t, y, x], weights[t]
        if stride != 1:
            video, weights = (part[torch.from_numpy(frames)] for part in (video, weights))
        if self.pairs is not None:
            share = weights.numpy().mean(dtype=np.float64, keepdims=True)
            target = torch.from_numpy(mixed_labels(self.pairs[index.clip, None], share, len(target))[0]).float()
        item[0].copy_(video.flip(2) if flipped else video)
        item[1].zero_().index_copy_(0, self._columns, target)
        item[2].copy_(weights)


class ClipSampler(Sampler[list[SampleIndex]]):
    """The batches of one process: every epoch shuffled anew, every process with its part of each batch.

    A last batch that would not be full is left out; the next epoch has other clips there.

    Args:
        clips: in the data set.
        batch: clips over all processes, and no more than there are.
        rank, size: this process and how many there are; `size` divides `batch`.
        shuffle: if not, the clips come in their order, each by its middle, and the last batch may be short.
        steps: batches of an epoch; None: as many as there are.
    """

    def __init__(
        self,
        clips: int,
        batch: int,
        rank: int = 0,
        size: int = 1,
        *,
        seed: int = 0,
        shuffle: bool = True,
        steps: int | None = None,
    ) -> None:
        self.clips, self.batch, self.rank, self.size, self.seed, self.shuffle = clips, batch, rank, size, seed, shuffle
        self.epoch, self.steps = 0, steps or (clips // batch if shuffle else -(-clips // batch))

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        order = list(range(self.clips))
        if self.shuffle:
            generator(self.seed, self.epoch, 0, Step.SHUFFLE).shuffle(order)
        epoch = self.epoch if self.shuffle else MIDDLE
        indices = [SampleIndex(epoch, position, clip) for position, clip in enumerate(order)]
        share = self.batch // self.size
        for start in range(self.rank * share, len(self) * self.batch, self.batch):
            if part := indices[start : start + share]:
                yield part


class ClipLoader(DataLoader[Any]):
    """Batches of `dataset` in the order of `clip_sampler`, read ahead by worker processes.

    Where they are not copied for a GPU, batches lie in slots that are used in turns: each is good until the next one is
    asked for. It raises what reading raised, in whichever process. With 0 workers, or where none can be started, this
    process reads.

    Workers that start `afresh` are no forks of this process. They load torch by themselves, which takes seconds, and it
    does not matter what other threads do: of a fork, Python 3.11 may hang for ever where one begins or ends just then.
    """

    def __init__(
        self, dataset: CropDataset, clip_sampler: ClipSampler, *, workers: int, pin: bool, afresh: bool = False
    ) -> None:
        self.crops, self.clip_sampler, workers = dataset, clip_sampler, 0 if why_alone() else workers
        # One for each batch that torch asks for before it is needed, and one for the batch that is at work.
        slots = Slots(workers * AHEAD + 1, clip_sampler.batch // clip_sampler.size, dataset.item)
        super().__init__(
            _BatchDataset(dataset, slots),
            batch_size=None,  # as an index is that of a whole batch
            sampler=_SlotSampler(clip_sampler, slots.slots),
            num_workers=workers,
            multiprocessing_context="spawn" if afresh and workers else None,
            prefetch_factor=AHEAD if workers else None,
            pin_memory=pin,
            persistent_workers=workers > 0,
            worker_init_fn=_become_worker if workers else None,
            generator=torch.Generator(),  # else it draws from the one that dropout draws from, once for all epochs
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, Exception):
                try:
                    raise batch
                finally:
                    del batch  # else it and this frame hold each other, and the workers end seconds late
            yield batch


class _SlotSampler(Sampler[tuple[list[SampleIndex], int]]):
    """Batches, each with the slot that is its turn, also from one epoch to the next."""

    def __init__(self, batches: ClipSampler, slots: int) -> None:
        self.batches, self.turns = batches, cycle(range(slots))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[list[SampleIndex], int]]:
        return zip(self.batches, self.turns, strict=False)  # in this order: no turn is lost where batches end


class _BatchDataset(Dataset[Any]):
    """Batches of the crops, written into slots."""

    def __init__(self, crops: CropDataset, slots: Slots) -> None:
        self.crops, self.slots = crops, slots

    def __getitem__(self, index: tuple[list[SampleIndex], int]) -> tuple[Tensor, ...] | Filled | Exception:
        """Return a batch, or the error: torch would put a traceback into the text of one in a worker."""
        samples, slot = index
        batch = self.slots.batch(slot, len(samples))
        try:
            for sample, *item in zip(samples, *batch, strict=True):
                self.crops.write(sample, item)
        except (VidaugError, OSError) as error:
            return error
        return Filled(self.slots, slot, len(samples)) if get_worker_info() else batch


def reading_note(workers: int) -> str:
    """Return a line where so many processes cannot be started to read clips; empty where they can."""
    reason = why_alone() if workers else ""
    return f"clips are read in the process that computes: {reason}" if reason else ""


def _become_worker(number: int) -> None:
    """Leave Ctrl-C and all complaints to the main process.

    A worker ends with exit code 0 on SIGTERM, as torch makes an error in the main process of one that is killed; and
    its thread that hands tensors over says nothing when the main process is gone. It ends with the main process, too:
    torch looks at its parent, and that is another where a server forks the workers, as from Python 3.14 on.
    """
    if (main := parent_process()) and main.pid != os.getppid():
        Thread(target=_end_with, args=(main,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    sys.excepthook = lambda *_: None


def _end_with(main: BaseProcess) -> None:
    main.join()
    os._exit(0)
