"""Clips as a tar of WebDataset: for each an MP4 and a JSON file of one name."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from vidaug_cli.export.clips import Clip
from vidaug_cli.files import atomically


def write(path: Path, clips: Iterable[Clip], classes: tuple[str, ...]) -> int:
    """Write a tar, whole or not at all, and return of how many clips. The same clips give the same bytes."""
    del classes  # the folder has them
    count = 0
    with atomically(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for clip in clips:
            count += 1
            about = json.dumps(clip.about, ensure_ascii=False).encode()
            for suffix, data in (("mp4", clip.mp4), ("json", about)):
                member = tarfile.TarInfo(f"{clip.name}.{suffix}")  # of nobody, at no time
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return count
