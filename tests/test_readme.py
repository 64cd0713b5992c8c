"""Every command and every program of the README runs, in its order, on a sample."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
BLOCKS = [
    (kind, text)
    for kind, text in re.findall(r"^```(sh|python)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    if "pip install" not in text  # those two lines are what CI runs
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few sample videos in `videos`."""
    folder = tmp_path_factory.mktemp("readme")
    run(folder, "vidaug sample videos --per-class 4")
    return folder


def run(folder: Path, script: str, shell: str = "sh") -> str:
    """Output of a script, which has to end well."""
    command = ["sh", "-ec", script] if shell == "sh" else [sys.executable, "-c", script]
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": found, "XDG_CACHE_HOME": str(folder / "cache"), "VIDAUG_TRAIN_EPOCHS": "1"}
    made = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_there_are_commands_and_programs_to_run() -> None:
    assert [kind for kind, _ in BLOCKS] == ["sh", "sh", "sh", "python", "python", "python"]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_blocks_run_in_their_order(folder: Path, number: int) -> None:
    kind, text = BLOCKS[number]
    run(folder, text, kind)
    if number == 0:
        assert (folder / "look.png").stat().st_size > 100_000
        assert len(list((folder / "shards").glob("[0-9]*/*.h5"))) == 2  # 4 copies of 24 videos
    if number == 1:
        rows = (folder / "train" / "manifest.jsonl").read_text().splitlines()
        assert 0 < len(rows) < 24
        assert all('"split": "train"' in row for row in rows)
    if number == 2:
        assert len((folder / "submission.txt").read_text().splitlines()) == 6  # one test video of each class
