"""The misclassified videos, as lists and as a sheet whose pictures are checked by their colours."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import write_video
from console import vidaug
from PIL import Image
from score_makers import row_of, shares

from vidaug_cli.data.manifest import rows_text
from vidaug_cli.draw.clips import GAP, MARGIN
from vidaug_cli.draw.grid import COLUMNS, EMPTY, LINE, THUMB, Cell, picture_grid
from vidaug_cli.scores.file import Failed, Scores, write_scores
from vidaug_cli.scores.wrong import misclassified

SCORES = Scores(
    classes=("walk", "run", "jump"),
    videos=("w/a.avi", "w/b.avi", "r/c.avi", "r/d.avi", "?"),
    labels=np.array([0, 0, 1, 1, -1]),
    scores=shares([0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.9, 0.1, 0], [0.3, 0.6, 0.1], [0, 0, 1]),
    shape=np.array([[9, 64, 48]] * 5, np.int32),
    failures=(Failed("r/e.avi", 1, "holds no frame"), Failed("??", -1, "broken")),
)


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    write_scores(tmp_path / "s.h5", SCORES)
    return tmp_path / "s.h5"


def test_the_surest_mistake_comes_first() -> None:
    found = misclassified(SCORES)
    assert [(one.video, one.true, one.taken_for) for one in found] == [
        ("r/c.avi", "run", "walk"),
        ("w/b.avi", "walk", "run"),
        ("r/e.avi", "run", None),
    ]
    assert [(one.score, one.true_score) for one in found] == [
        pytest.approx((0.9, 0.1)),
        pytest.approx((0.6, 0.3)),
        (None, None),
    ]


def test_lists(scores: Path, tmp_path: Path) -> None:
    for name in ("a.txt", "a.csv", "a.jsonl"):
        done = vidaug("evaluate", scores, "--wrong", tmp_path / "new" / name)
        assert done.err == f"wrote {tmp_path / 'new' / name}: 3 misclassified videos\n"
    folder = tmp_path / "new"
    assert (folder / "a.txt").read_text().splitlines() == [
        "r/c.avi: run, taken for walk (90.0 %)",
        "w/b.avi: walk, taken for run (60.0 %)",
        "r/e.avi: run, failed: holds no frame",
    ]
    rows = list(csv.DictReader((folder / "a.csv").read_text().splitlines()))
    assert [row["video"] for row in rows] == ["r/c.avi", "w/b.avi", "r/e.avi"]
    assert float(rows[0]["score"]) == pytest.approx(0.9)
    lines = [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]
    assert (lines[2]["taken_for"], lines[2]["reason"]) == (None, "holds no frame")


def grey_at(path: Path, cell: int) -> int:
    """The grey level in the middle of a cell of the first row, whose pictures are 4:3."""
    with Image.open(path) as sheet:
        colour = sheet.getpixel((MARGIN + cell * (THUMB + MARGIN) + THUMB // 2, MARGIN + THUMB * 3 // 8))
    assert isinstance(colour, tuple)
    return colour[0]


@pytest.mark.parametrize("by_manifest", [False, True])
def test_a_folder_gets_the_list_and_the_middle_frames(scores: Path, tmp_path: Path, by_manifest: bool) -> None:
    root = tmp_path / "videos"
    for number, name in enumerate(("w/b.avi", "r/c.avi")):
        write_video(root / name, 9, level=lambda frame, number=number: 40 + 100 * number + 10 * frame)
    rows = [row_of(name, None, (9, 64, 48), root=str(root)) for name in ("w/b.avi", "r/c.avi")]
    (tmp_path / "m.jsonl").write_text(rows_text(rows))
    place = tmp_path / "m.jsonl" if by_manifest else root
    done = vidaug("evaluate", scores, "--wrong", tmp_path / "wrong", "--videos", place)
    assert done.code == 0
    assert "all 3 mistakes" in done.err
    assert sorted(path.name for path in (tmp_path / "wrong").iterdir()) == ["wrong.csv", "wrong.png"]
    sheet = tmp_path / "wrong" / "wrong.png"
    assert [grey_at(sheet, cell) for cell in (0, 1)] == pytest.approx([180, 80], abs=6)  # frame 4 of 9
    assert grey_at(sheet, 2) == EMPTY[0]  # what could not be read


def test_a_sheet_needs_the_videos(scores: Path, tmp_path: Path) -> None:
    usage = vidaug("evaluate", scores, "--wrong", tmp_path / "a.png")
    assert (usage.code, "--videos says where the videos are" in usage.err) == (2, True)
    done = vidaug("evaluate", scores, "--wrong", tmp_path / "wrong")
    assert "wrong.png: not written, as only --videos says where the videos are" in done.err
    assert not (tmp_path / "wrong" / "wrong.png").exists()
    odd = vidaug("evaluate", scores, "--wrong", tmp_path / "a.gif", "--videos", tmp_path)
    assert (odd.code, "cannot be written as a list or a sheet" in odd.err, odd.out) == (1, True, "")
    text = vidaug("evaluate", scores, "--wrong", tmp_path / "a.png", "--videos", scores)
    assert (text.code, "--videos takes a manifest or a folder" in text.err, text.out) == (1, True, "")
    alone = vidaug("evaluate", scores, "--videos", tmp_path)
    assert (alone.code, "--videos says where the frames for --wrong are" in alone.err) == (2, True)


def test_videos_that_are_not_there_have_their_reason(scores: Path, tmp_path: Path) -> None:
    done = vidaug("evaluate", scores, "--wrong", tmp_path / "a.png", "--videos", tmp_path)
    assert done.code == 0
    assert "3 videos without a picture; " in done.err
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (3 * (THUMB + MARGIN) + MARGIN, THUMB // 2 + GAP + 3 * LINE + 2 * MARGIN)


def test_pictures_keep_their_proportions() -> None:
    white = np.full((8, 8, 3), 255, np.uint8)
    cells = [Cell(white, aspect, "a", "b", "c") for aspect in (2.0, 1.0, 0.25, 1.0, 1.0, 1.0, 4.0)]
    sheet = np.asarray(picture_grid(cells, thumb=100))
    assert sheet.shape[1] == COLUMNS * (100 + MARGIN) + MARGIN
    assert sheet.shape[0] == 2 * (GAP + 3 * LINE + MARGIN) + MARGIN + 200 + 25

    def seen(cell: int, height: int) -> tuple[int, int]:
        left = MARGIN + cell * (100 + MARGIN)
        inside = (sheet[MARGIN : MARGIN + height, left : left + 100] == 255).all(-1)
        return int(inside.any(0).sum()), int(inside.any(1).sum())

    assert [seen(cell, 200) for cell in range(3)] == [(100, 50), (100, 100), (50, 200)]
