"""Every command and every program of the README runs, in its order, on a sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from documents import blocks, run
from PIL import Image

ROOT = Path(__file__).parents[1]
BLOCKS = [block for block in blocks("README.md") if "pip install" not in block.text]  # those two lines are what CI runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few sample videos in `videos`."""
    folder = tmp_path_factory.mktemp("readme")
    run(folder, "vidaug sample videos --per-class 4")
    return folder


def same_animation(made: Path, shown: Path) -> None:
    """The picture beside the command is what it makes, but for what codecs of other versions round in another way."""
    assert shown.stat().st_size < 1_500_000
    with Image.open(made) as ours, Image.open(shown) as theirs:
        assert ours.size == theirs.size
        count = getattr(ours, "n_frames", 1)
        assert count == getattr(theirs, "n_frames", 1)
        for frame in (0, count // 2, count - 1):
            ours.seek(frame)
            theirs.seek(frame)
            first, second = (np.asarray(each.convert("RGB"), np.int16) for each in (ours, theirs))
            assert np.abs(first - second).mean() < 2


def test_there_are_commands_and_programs_to_run() -> None:
    assert [block.shell for block in BLOCKS] == ["sh", "sh", "sh", "sh", "python", "python", "python"]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_blocks_run_in_their_order(folder: Path, number: int) -> None:
    run(folder, BLOCKS[number].text, BLOCKS[number].shell)
    if number == 0:
        for name in ("fademixup.webp", "framecutmix.webp"):
            same_animation(folder / "docs" / name, ROOT / "docs" / name)
    if number == 1:
        assert (folder / "look.png").stat().st_size > 100_000
        assert len(list((folder / "shards").glob("[0-9]*/*.h5"))) == 2  # 4 copies of 24 videos
    if number == 2:
        rows = (folder / "train" / "manifest.jsonl").read_text().splitlines()
        assert 0 < len(rows) < 24
        assert all('"split": "train"' in row for row in rows)
    if number == 3:
        assert len((folder / "submission.txt").read_text().splitlines()) == 6  # one test video of each class
