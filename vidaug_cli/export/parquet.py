"""Clips as a Parquet file, the format of Hugging Face's data sets. Only here: datasets and pyarrow (extra `export`).

The columns say what they are: `video` is a `datasets.Video`, and classes have names. pyarrow writes the file, a few
clips at a time; a `datasets.Dataset` would first put all of them into the user's cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from vidaug_cli.errors import missing_package
from vidaug_cli.export.clips import Clip
from vidaug_cli.files import atomically

ROWS = 64  # of a row group, which a reader takes at a time


def write(path: Path, clips: Iterable[Clip], classes: tuple[str, ...]) -> int:
    """Write a Parquet file, whole or not at all, and return of how many clips. The same clips give the same bytes.

    Raises MissingPackageError without datasets.
    """
    schema = columns(classes)
    from pyarrow import Table, parquet

    path.parent.mkdir(exist_ok=True)
    left, count = iter(clips), 0
    with atomically(path) as temporary, parquet.ParquetWriter(temporary, schema) as file:
        while rows := [_row(clip, classes) for clip in islice(left, ROWS)]:
            file.write_table(Table.from_pylist(rows, schema))
            count += len(rows)
    return count


def _row(clip: Clip, classes: tuple[str, ...]) -> dict[str, Any]:
    numbers = [classes.index(name) for name in clip.about["source_classes"]]
    video = {"bytes": clip.mp4, "path": f"{clip.name}.mp4"}
    return {"video": video} | clip.about | {"source_classes": numbers}


def columns(classes: tuple[str, ...]) -> Any:
    """Return the schema of the table, for pyarrow, with what `datasets` has to know of it.

    Raises MissingPackageError without datasets.
    """
    try:
        from datasets import ClassLabel, Features, List, Value, Video
    except ImportError as error:
        raise missing_package("--format hf", "datasets", "export") from error
    return Features(
        {
            "video": Video(),
            "clip": Value("int64"),
            "part": Value("string"),
            "copy": Value("int32"),
            "label": List(Value("float32"), length=len(classes)),
            "weights": List(Value("float32")),
            "sources": List(Value("string")),
            "source_classes": List(ClassLabel(names=list(classes))),
            "frames": List(List(Value("int32"))),
            "fps": Value("float64"),
            "params": Value("string"),
        }
    ).arrow_schema
