"""In which files the clips of an export lie, and how they are read: what its card says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vidaug_cli.augment.contents import Layout
from vidaug_cli.augment.croissant import file_set, table
from vidaug_cli.export.formats import FormatName

COLUMNS = {
    "clip": "sc:Integer",
    "copy": "sc:Integer",
    "label": "sc:Float[]",
    "weights": "sc:Float[]",
    "sources": "sc:Text[]",
    "fps": "sc:Float",
    "params": "sc:Text",
}
EACH = (
    "`label` has a share for each class of `classes.json`, `weights` the share of the clip's own video in each frame, "
    "`sources` its own video and its partner, if it has one, with `source_classes` and the `frames` taken of each. "
    "`params` is JSON, as text, of every number drawn."
)


def _webdataset(folder: Path, size: int) -> Layout:
    last = max(folder.glob("clips-*.tar")).stem.removeprefix("clips-")
    tars = f"clips-{{000000..{last}}}.tar" if int(last) else "clips-000000.tar"
    return Layout(
        files=f"Tars of WebDataset, in which a clip is an MP4 and a JSON file of one name. In the JSON: {EACH}",
        loading=f'import webdataset\n\nclips = webdataset.WebDataset("FOLDER/{tars}", shardshuffle=False).decode()\n'
        'for clip in clips:\n    video, label = clip["mp4"], clip["json"]["label"]  # the bytes of an MP4 file',
        data_files="*.tar",
        bytes=size,
        distribution=[
            file_set("tars", "clips-*.tar", "application/x-tar", "archives of clips"),
            file_set("videos", "*.mp4", "video/mp4", "clips", within="tars"),
            file_set("metadata", "*.json", "application/json", "what is known of each clip", within="tars"),
        ],
        record_sets=[],
    )


def _videofolder(folder: Path, size: int) -> Layout:
    return Layout(
        files=f"MP4 files in folders of at most a thousand, with a `metadata.jsonl` in each. In it: {EACH}",
        loading='from datasets import Video, load_dataset\n\nclips = load_dataset("videofolder", data_dir="FOLDER", '
        'split="train").cast_column("video", Video(decode=False))\n'
        'path, label = clips[0]["video"]["path"], clips[0]["label"]',
        data_files="clips/**",
        bytes=size,
        distribution=[
            file_set("videos", "clips/*/*.mp4", "video/mp4", "clips"),
            file_set("metadata", "clips/*/metadata.jsonl", "application/jsonlines", "what is known of each clip"),
        ],
        record_sets=[table("clips", "metadata", {"file_name": "sc:Text"} | COLUMNS, "A clip in each row.")],
    )


def _hf(folder: Path, size: int) -> Layout:
    return Layout(
        files=f"Parquet files, with a clip in each row; `video` is an MP4 file. {EACH}",
        loading='from datasets import Video, load_dataset\n\nclips = load_dataset("FOLDER", split="train")'
        '.cast_column("video", Video(decode=False))\n'
        'video, label = clips[0]["video"]["bytes"], clips[0]["label"]  # the bytes of an MP4 file',
        data_files="data/*.parquet",
        bytes=size,
        distribution=[file_set("files", "data/*.parquet", "application/x-parquet", "clips, and what is known of each")],
        record_sets=[table("clips", "files", COLUMNS, "A clip in each row.")],
    )


_LAYOUTS: dict[FormatName, Callable[[Path, int], Layout]] = {
    "webdataset": _webdataset,
    "videofolder": _videofolder,
    "hf": _hf,
}


def layout_of(kind: FormatName, folder: Path, size: int) -> Layout:
    """Return the layout of a finished export of so many bytes."""
    return _LAYOUTS[kind](folder, size)
