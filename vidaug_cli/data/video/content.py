"""What tells a video from another one in its place: a hash of its bytes, or of samples of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Literal

from xxhash import xxh3_64

from vidaug_cli.data.listing.tree import IMAGES
from vidaug_cli.errors import VideoError

HashKind = Literal["samples", "full"]

END = 1 << 16  # bytes of the head and of the tail
SAMPLES, SAMPLE = 16, 1 << 12  # pieces between them, and the bytes of each
IMAGES_SAMPLED = 16  # of a folder


def content_hash(path: Path, kind: HashKind = "samples") -> str:
    """Return the XXH3-64 of a video's bytes as `full:HEX`, or as `samples:HEX` that of its length and parts of it.

    The parts of a file are head, tail and pieces spread evenly between them; of a folder of frame images, those of some
    of its images, with the names and lengths of all. Raises OSError where it cannot be read.
    """
    digest = xxh3_64()
    for file, sampled in _files(path, kind):
        with file.open("rb", buffering=0) as stream:
            digest.update(f"{file.name if path.is_dir() else ''}\0{os.fstat(stream.fileno()).st_size}\0".encode())
            for part in _parts(stream, kind) if sampled else ():
                digest.update(part)
    return f"{kind}:{digest.hexdigest()}"


def check_content(path: Path, known: str) -> None:
    """Raise VideoError where a video is not the one of which `content_hash` is known.

    A process looks once, and again when the file system knows of a change.
    """
    about = [file.stat() for file in (path, *(path.iterdir() if path.is_dir() else ()))]
    kind: HashKind = "full" if known.startswith("full:") else "samples"
    stamp = tuple((each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in about)
    if _hash_once(path, kind, stamp) != known:
        raise VideoError("is another video than was scanned: its bytes have changed", where=path, hint="scan it again")


@lru_cache(maxsize=1024)
def _hash_once(path: Path, kind: HashKind, _: tuple[tuple[int, ...], ...]) -> str:
    return content_hash(path, kind)


def _files(path: Path, kind: HashKind) -> Iterator[tuple[Path, bool]]:
    """Yield the files of a video, and whether their bytes count."""
    if not path.is_dir():
        yield path, True
        return
    images = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGES and file.name[0] != ".")
    every = 1 if kind == "full" else -(-len(images) // IMAGES_SAMPLED)
    for place, image in enumerate(images):
        yield image, place % max(1, every) == 0


def _parts(stream: BinaryIO, kind: HashKind) -> Iterator[bytes]:
    length = os.fstat(stream.fileno()).st_size
    between = length - 2 * END
    if kind == "full" or between <= SAMPLES * SAMPLE:
        while part := stream.read(1 << 20):
            yield part
        return
    pieces = [(END + place * (between - SAMPLE) // (SAMPLES - 1), SAMPLE) for place in range(SAMPLES)]
    for start, size in ((0, END), *pieces, (length - END, END)):
        stream.seek(start)
        yield stream.read(size)
