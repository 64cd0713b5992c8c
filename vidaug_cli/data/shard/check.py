"""Every fault of a shard, in plain words: what `vidaug verify` lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.shard.format import DoneRecord, file_xxh3, mixed_labels
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import ShardError
from vidaug_cli.words import count

TOLERANCE = 1e-5  # of float32 labels and weights

Mask = NDArray[np.bool_]

RowLabels: TypeAlias = NDArray[np.int32] | Sequence[int] | None  # the class of each manifest row


def check_shard(
    path: Path, done: DoneRecord | None = None, *, deep: bool = True, row_labels: RowLabels = None
) -> list[str]:
    """Return what is wrong with the shard at `path`, a line each; nothing when it is whole.

    Args:
        path: the HDF5 file.
        done: its done record. A file that does not have its bytes and hash is not opened at all.
        deep: hash the file and read every clip; otherwise only what costs no reading of pixels.
        row_labels: the class of each manifest row, so that labels can be checked against sources as well as weights.
    """
    try:
        if faults := list(_against_record(path, done, deep)) if done else []:
            return faults
        with Shard(path) as shard:
            if done and (done.shard, done.clips) != (shard.header.shard, len(shard)):
                clips = count(len(shard), "clip")
                return [f"is shard {shard.header.shard} of {clips}, and its .json says {done.shard} of {done.clips}"]
            faults = [_phrase(what, bad) for what, bad in _checks(shard, row_labels) if bad.any()]
            return faults + list(_unreadable(shard, deep))
    except ShardError as error:
        return [error.what]


def _against_record(path: Path, done: DoneRecord, deep: bool) -> Iterator[str]:
    if not path.is_file():
        yield "does not exist"
    elif (length := path.stat().st_size) != done.bytes:
        yield f"has {length:,} bytes, and its .json says {done.bytes:,}"
    elif deep and file_xxh3(path) != done.xxh3:
        yield "has other bytes than when it was written: its hash is not that in its .json"


def _checks(shard: Shard, row_labels: RowLabels) -> Iterator[tuple[str, Mask]]:
    """Yield what may be wrong with a clip, and with which clips it is: bool (N,). NaN fails every check."""
    labels, weights = shard.column("labels").astype(np.float64), shard.column("weights").astype(np.float64)
    (own, partner), frames = shard.column("sources").T, shard.column("frames")
    copies, clips = shard.column("copy"), shard.column("clip")
    rows = np.iinfo(np.int64).max if row_labels is None else len(row_labels)
    alone: Mask = np.asarray(partner == -1)
    _, first, place = np.unique(clips, return_index=True, return_inverse=True)
    known = (own >= 0) & (own < rows) & (partner >= -1) & (partner < rows)

    yield "label that does not sum to 1", ~(abs(labels.sum(1) - 1) <= TOLERANCE)
    yield "label outside 0 to 1", _outside(labels)
    yield "weight outside 0 to 1", _outside(weights)
    yield "label that does not agree with the weights", known & ~_label_agrees(shard, labels, weights, row_labels)
    yield "source that is no row of the manifest", ~known
    yield "weight below 1 without a partner", alone & ~(weights >= 1 - TOLERANCE).all(1)
    yield "frame number below 0", (frames[:, 0] < 0).any(1) | ((frames[:, 1] < 0).any(1) & ~alone)
    yield "frame number of a partner it does not have", alone & (frames[:, 1] != -1).any(1)
    yield "copy below -1", copies < -1
    yield "place in the plan that is negative or taken", (clips < 0) | (first[place] != np.arange(len(clips)))


def _outside(values: NDArray[np.float64]) -> Mask:
    return np.asarray(~((values >= 0) & (values <= 1 + TOLERANCE)).all(1))


def _label_agrees(
    shard: Shard, labels: NDArray[np.float64], weights: NDArray[np.float64], row_labels: RowLabels
) -> Mask:
    """Return whether the mean weight is the share of the own class, and the rest that of the partner's: bool (N,)."""
    share = weights.mean(1) if weights.size else np.zeros(len(labels))
    if row_labels is None:
        # Without the classes of the sources: the two largest are the two shares, or one class has all.
        highest = -np.sort(-labels, axis=1)[:, :1]
        mixed = np.maximum(share, 1 - share)[:, None]
        agrees = (abs(highest - mixed) <= TOLERANCE) | (abs(highest - 1) <= TOLERANCE)
        return np.asarray(agrees[:, 0] & ((labels > TOLERANCE).sum(1) <= 2))
    classes = np.asarray(row_labels)
    pairs = classes[np.clip(shard.column("sources"), 0, len(classes) - 1)].astype(np.int64)
    wanted = mixed_labels(pairs, share, labels.shape[1])
    return np.asarray((abs(labels - wanted) <= TOLERANCE).all(1))


def _unreadable(shard: Shard, deep: bool) -> Iterator[str]:
    """Yield the clips of which something cannot be read; pixels are only read in a deep check."""
    for i in range(len(shard)):
        try:
            if deep:
                shard.record(i)
                continue
            shard.params(i)
            if shard.header.codec != "raw":
                shard.offsets(i)
        except ShardError as error:
            yield f"clip {i}: {error.what}"


def _phrase(what: str, bad: Mask) -> str:
    return f"clip {np.flatnonzero(bad)[0]}: {what}" + (f" (and {bad.sum() - 1} more)" if bad.sum() > 1 else "")
