"""The formats of an export, in one table: how one file of each is named and written, and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from vidaug_cli.export import videofolder, webdataset
from vidaug_cli.export.clips import Clip

FormatName = Literal["webdataset", "videofolder", "hf"]
Write: TypeAlias = Callable[[Path, Iterable[Clip], tuple[str, ...]], int]


class Format(NamedTuple):
    """How clips are written: in pieces, each of which is made as a whole."""

    called: str
    path: str  # of a piece, whose number and count it is given; with it the piece is there
    write: Write  # a piece of these clips, of data whose classes these are; returns how many clips there were
    most: int | None = None  # clips of a piece, where a number limits it and not a size


def _write_parquet(path: Path, clips: Iterable[Clip], classes: tuple[str, ...]) -> int:
    from vidaug_cli.export import parquet

    return parquet.write(path, clips, classes)


FORMATS: dict[FormatName, Format] = {
    "webdataset": Format("WebDataset tars", "clips-{number:06d}.tar", webdataset.write),
    # Folders of a thousand files: network file systems take minutes to list larger ones.
    "videofolder": Format("a folder of MP4 files", "clips/{number:05d}/metadata.jsonl", videofolder.write, 1000),
    "hf": Format("a Hugging Face data set", "data/train-{number:05d}-of-{count:05d}.parquet", _write_parquet),
}
