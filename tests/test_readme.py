"""Every command and every program of the README runs, in its order, on a sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import blocks, run

BLOCKS = [block for block in blocks("README.md") if "pip install" not in block.text]  # those two lines are what CI runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few sample videos in `videos`."""
    folder = tmp_path_factory.mktemp("readme")
    run(folder, "vidaug sample videos --per-class 4")
    return folder


def test_there_are_commands_and_programs_to_run() -> None:
    assert [block.shell for block in BLOCKS] == ["sh", "sh", "sh", "python", "python", "python"]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_blocks_run_in_their_order(folder: Path, number: int) -> None:
    run(folder, BLOCKS[number].text, BLOCKS[number].shell)
    if number == 0:
        assert (folder / "look.png").stat().st_size > 100_000
        assert len(list((folder / "shards").glob("[0-9]*/*.h5"))) == 2  # 4 copies of 24 videos
    if number == 1:
        rows = (folder / "train" / "manifest.jsonl").read_text().splitlines()
        assert 0 < len(rows) < 24
        assert all('"split": "train"' in row for row in rows)
    if number == 2:
        assert len((folder / "submission.txt").read_text().splitlines()) == 6  # one test video of each class
