"""The formats of an export, in one table: how one file of each is named and written, and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from vidaug_cli.export.clips import Clip

FormatName = Literal["webdataset", "videofolder", "hf"]  # also of the option, so that nothing heavy is imported here
Write: TypeAlias = "Callable[[Path, Iterable[Clip], tuple[str, ...]], int]"


class Format(NamedTuple):
    """How clips are written: in pieces, each of which is made as a whole."""

    called: str
    path: str  # of a piece, whose number and count it is given; with it the piece is there
    module: str  # of this package, which writes it
    most: int | None = None  # clips of a piece, where a number limits it and not a size

    @property
    def write(self) -> Write:
        """What writes a piece of some clips, of data with these classes, and returns how many clips there were."""
        return cast(Write, import_module(f"vidaug_cli.export.{self.module}").write)


FORMATS: dict[FormatName, Format] = {
    "webdataset": Format("WebDataset tars", "clips-{number:06d}.tar", "webdataset"),
    # Folders of a thousand files: network file systems take minutes to list larger ones.
    "videofolder": Format("a folder of MP4 files", "clips/{number:05d}/metadata.jsonl", "videofolder", 1000),
    "hf": Format("a Hugging Face data set", "data/train-{number:05d}-of-{count:05d}.parquet", "parquet"),
}
