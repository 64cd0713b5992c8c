"""What a path is: one answer for every message that says what was found where something else is wanted."""

from __future__ import annotations

import os
import re
import zipfile
from enum import Enum
from itertools import islice
from pathlib import Path, PurePosixPath

from vidaug_cli.data.listing.tree import IMAGES, VIDEOS
from vidaug_cli.errors import KindError, MissingPathError, VidaugError
from vidaug_cli.words import either

LOOKED_AT = 10_000  # files below a folder before it counts as one without videos
PLAN = "plan.json"  # the file that marks a folder of shards
PART = re.compile("part-([0-9]{3,9})")  # the name of a folder of shards in another one
HEAD = 4096  # bytes of a file that tell what it is


class Kind(Enum):
    """What a path can be: in words, what it is for, and what makes one."""

    SHARDS = "a folder of shards", "'vidaug inspect', 'verify', 'preview' and 'train' take it", "'vidaug augment'"
    RUN = "a run of 'vidaug train'", "'vidaug predict', 'compare', 'cam' and 'inspect' take it", "'vidaug train'"
    SWEEP = "a sweep", "'vidaug report' takes it, and 'vidaug sweep' continues it", "'vidaug sweep'"
    CHECKPOINT = "a checkpoint", "'vidaug predict' and 'cam' take it", "'vidaug train'"
    SCORES = "a file of scores", "'vidaug evaluate', 'compare', 'ensemble' and 'submit' take it", "'vidaug predict'"
    SHARD = "a shard", "'vidaug inspect' takes it, other commands its folder", "'vidaug augment'"
    MANIFEST = "a manifest", "'vidaug augment', 'preview' and 'predict' take it", "'vidaug scan'"
    RECIPE = "a recipe", "'vidaug recipes check' and --recipe take it", ""
    VIDEOS = "a folder of videos", "'vidaug scan', 'augment' and 'predict' take it", ""
    VIDEO = "a video", "'vidaug predict' takes it", ""
    PICTURE = "a picture", "", ""
    TEXT = "a text file", "", ""
    HDF5 = "an HDF5 file of another program", "", ""
    ZIP = "a zip file", "", ""
    EMPTY = "an empty file", "", ""
    FOLDER = "a folder without videos", "", ""
    OTHER = "a file of another kind", "", ""
    MISSING = "not there", "", ""
    UNCLEAR = "damaged, or a pipe or a device", "", ""  # its reader has to say what is wrong

    def __init__(self, words: str, use: str, origin: str) -> None:
        self.words, self.use, self.origin = words, use, origin

    @property
    def error(self) -> type[VidaugError]:
        """The kind of an error about a path of this kind, where another is wanted."""
        return MissingPathError if self is Kind.MISSING else KindError

    @property
    def finding(self) -> str:
        """What a message says of a path of this kind."""
        return "does not exist" if self is Kind.MISSING else f"is {self.words}"


_FORMATS = {"vidaug": Kind.SHARD, "vidaug-scores": Kind.SCORES, "": Kind.HDF5, None: Kind.UNCLEAR}
_MARKS = {PLAN: Kind.SHARDS, "sweep.json": Kind.SWEEP} | dict.fromkeys(
    ("best.safetensors", "last.safetensors", "metrics.jsonl", "run.toml"), Kind.RUN
)
_SUFFIXES = {".toml": Kind.RECIPE} | dict.fromkeys(VIDEOS, Kind.VIDEO) | dict.fromkeys(IMAGES, Kind.PICTURE)


def has_plan(folder: Path) -> bool:
    """Return whether `folder` has a plan of its own: `vidaug augment` writes shards into it, or did."""
    return (folder / PLAN).is_file()


def parts_of(folder: Path) -> list[Path]:
    """Return the folders that have a plan: `folder` itself, if it has one, and then its parts in their order.

    Parts are `part-001` and so on, each a folder of shards like any other. Where there is no plan at all, `folder` is
    returned alone: whoever reads it says what it lacks.
    """
    names = ((path, PART.fullmatch(path.name)) for path in folder.glob("part-[0-9]*"))
    parts = sorted((int(name[1]), path) for path, name in names if name and has_plan(path))
    return [*([folder] if has_plan(folder) or not parts else []), *(path for _, path in parts)]


def next_part(folder: Path) -> Path:
    """Return where another part of `folder` goes."""
    numbers = [int(name[1]) for path in parts_of(folder) if (name := PART.fullmatch(path.name)) and path != folder]
    return folder / f"part-{max(numbers, default=0) + 1:03d}"


def is_shards(folder: Path) -> bool:
    """Return whether `folder` is a folder of shards, finished or not, or has parts that are."""
    return any(map(has_plan, parts_of(folder)))


def kind_of(path: Path) -> Kind:
    """Return what lies there, by its first bytes and its name. Never raises: what cannot be read is `UNCLEAR`."""
    try:
        if path.is_dir():
            marked = next((kind for mark, kind in _MARKS.items() if (path / mark).is_file()), None)
            return marked or (Kind.SHARDS if is_shards(path) else _folder(path))
        if not path.exists():
            return Kind.MISSING
        return _file(path) if path.is_file() else Kind.UNCLEAR  # to open a pipe would be to take from it
    except (OSError, ValueError, zipfile.BadZipFile):
        return Kind.UNCLEAR


def expect(path: Path, *wanted: Kind, called: str = "") -> None:
    """Raise VidaugError where `path` is surely none of the `wanted` kinds: what it is, what is wanted, what makes one.

    The message calls what is wanted `called`, or by its kinds. A path of an unclear kind is left to its reader.
    """
    kind = kind_of(path)
    if kind in wanted or kind is Kind.UNCLEAR:
        return
    origins = either(dict.fromkeys(each.origin for each in wanted if each.origin))
    hint = f"{called or either(each.words for each in wanted)} is wanted here"
    hint += f": {origins} writes one" if origins and not called else ""
    raise kind.error(kind.finding, where=path, hint=hint)


def starts_manifest(head: bytes) -> bool:
    """Return whether a file or a pipe that begins like this is a manifest, and not a list of paths."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def is_manifest(path: Path) -> bool:
    """Return whether a file begins like a manifest, good or not. Raises OSError where it cannot be read."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return starts_manifest(file.read(HEAD))


def _folder(path: Path) -> Kind:
    names = (name for _, _, files in os.walk(path) for name in files)
    suffixes = (PurePosixPath(name).suffix.lower() for name in islice(names, LOOKED_AT))
    return Kind.VIDEOS if any(suffix in VIDEOS or suffix in IMAGES for suffix in suffixes) else Kind.FOLDER


def _file(path: Path) -> Kind:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        from vidaug_cli.data.hdf5 import format_of  # only here: it loads h5py

        return _FORMATS.get(format_of(path), Kind.HDF5)
    if head.startswith(b"\x80\x02"):
        return Kind.CHECKPOINT  # torch's old format
    if head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            torch = any(name.partition("/")[2] == "data.pkl" for name in archive.namelist())
        return Kind.CHECKPOINT if torch else Kind.ZIP
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return Kind.CHECKPOINT  # of safetensors: the length of a header in JSON, and that
    if starts_manifest(head) and b'"path"' in head:
        return Kind.MANIFEST
    if (suffix := path.suffix.lower()) in _SUFFIXES:
        return _SUFFIXES[suffix]
    return Kind.EMPTY if not head else Kind.OTHER if b"\0" in head else Kind.TEXT
