"""What a path is, for messages that say what was found where something else is wanted."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import h5py
import pytest
from checkpoint_makers import made
from conftest import write_video
from score_makers import row_of, scores_of
from shard_makers import header_of, record_of, write_shard

from vidaug_cli.data.kinds import Kind, kind_of
from vidaug_cli.data.manifest import rows_text
from vidaug_cli.data.shard import format as shard_format
from vidaug_cli.scores import file as scores_format
from vidaug_cli.scores.file import write_scores


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each kind, named after it."""
    folder = tmp_path_factory.mktemp("zoo")
    for name in ("shards/plan.json", "run/best.safetensors", "begun_run/metrics.jsonl", "sweep/sweep.json"):
        (folder / name).parent.mkdir()
        (folder / name).touch()
    made(folder / "checkpoint")
    write_scores(folder / "scores", scores_of())
    write_shard(folder / "shard", header_of(), [record_of(header_of())])
    (folder / "manifest").write_text("\n" + rows_text([row_of("a/1.mp4", "a")]))
    (folder / "recipe.toml").write_text('summary = "x"')
    write_video(folder / "videos/a/b/video.AVI")
    (folder / "frames/a/b").mkdir(parents=True)
    for name in ("frames/a/b/1.jpg", "picture.png", "empty", "video.mp4"):
        (folder / name).touch()
    (folder / "text").write_text("a/1.mp4 a\n")
    (folder / "other").write_bytes(b"\0\1")
    (folder / "folder").mkdir()
    with h5py.File(folder / "hdf5", "w") as file:
        file["x"] = [1]
    with h5py.File(folder / "hdf5_format", "w") as file:
        file.attrs["format"] = "somebody's"
    with zipfile.ZipFile(folder / "zip", "w") as archive:
        archive.writestr("a/b", "c")
    for name in ("scores", "zip"):
        (folder / f"cut_{name}").write_bytes((folder / name).read_bytes()[:90])
    os.mkfifo(folder / "pipe")
    return folder


KINDS = {
    "shards": Kind.SHARDS,
    "run": Kind.RUN,
    "begun_run": Kind.RUN,
    "sweep": Kind.SWEEP,
    "checkpoint": Kind.CHECKPOINT,
    "scores": Kind.SCORES,
    "shard": Kind.SHARD,
    "manifest": Kind.MANIFEST,
    "recipe.toml": Kind.RECIPE,
    "videos": Kind.VIDEOS,
    "frames": Kind.VIDEOS,
    "video.mp4": Kind.VIDEO,
    "picture.png": Kind.PICTURE,
    "text": Kind.TEXT,
    "hdf5": Kind.HDF5,
    "hdf5_format": Kind.HDF5,
    "zip": Kind.ZIP,
    "empty": Kind.EMPTY,
    "other": Kind.OTHER,
    "folder": Kind.FOLDER,
    "nowhere": Kind.MISSING,
    "cut_scores": Kind.UNCLEAR,
    "cut_zip": Kind.UNCLEAR,
    "pipe": Kind.UNCLEAR,
}


def test_each_kind_is_known(zoo: Path) -> None:
    assert {name: kind_of(zoo / name) for name in KINDS} == KINDS
    assert set(KINDS.values()) == set(Kind)
    assert kind_of(zoo / ("x" * 5000)) is Kind.UNCLEAR
    assert (shard_format.FORMAT, scores_format.SCORES.name) == ("vidaug", "vidaug-scores")  # as _FORMATS has them
