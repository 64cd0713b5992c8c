"""Clips as a folder of MP4 files with a `metadata.jsonl`, which Hugging Face's `videofolder` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from vidaug_cli.export.clips import Clip
from vidaug_cli.files import sync, write_text_atomically


def write(path: Path, clips: Iterable[Clip], classes: tuple[str, ...]) -> int:
    """Write MP4 files, and last `path`, the table of them; return of how many clips. The same bytes each time."""
    del classes  # the folder has them
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for clip in clips:
        file = path.with_name(f"{clip.name}.mp4")
        file.write_bytes(clip.mp4)
        sync(file)
        lines.append(json.dumps({"file_name": file.name} | clip.about, ensure_ascii=False) + "\n")
    write_text_atomically(path, "".join(lines))
    return len(lines)
