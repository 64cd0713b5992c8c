"""Class names and numbers stay the same, whichever videos are chosen and wherever they come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from score_makers import row_of

from vidaug_cli.data.manifest import classes_of, renumber
from vidaug_cli.data.textfiles import read_classes
from vidaug_cli.errors import VidaugError

FILES = {
    "1 ApplyEyeMakeup\r\n10 Walk\r\n2 Jump up\r\n": {"ApplyEyeMakeup": 1, "Jump up": 2, "Walk": 10},
    "0 a\n1 b\n": {"a": 0, "b": 1},
    "walk\n\njump, then run\nsit\n": {"walk": 0, "jump, then run": 1, "sit": 2},
    "label\nwalk\njump\n": {"walk": 0, "jump": 1},
    "label,idx\nwalk,1\n\"jump, run\",0\n": {"jump, run": 0, "walk": 1},
    "id;name\n7;walk\n3;jump\n": {"jump": 3, "walk": 7},
    "1\twalk\n0\tjump high\n": {"jump high": 0, "walk": 1},
    "walk,1\njump,0\n": {"jump": 0, "walk": 1},
    "name,id\n10,0\n20,1\n": {"10": 0, "20": 1},
    "5,10\n6,20\n": {"10": 5, "20": 6},
    "\ufeffläuft\n走る\n": {"läuft": 0, "走る": 1},
}  # fmt: skip


@pytest.mark.parametrize("text", FILES)
def test_files_of_classes(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes").write_text(text, "utf-8", newline="")
    found = read_classes(tmp_path / "classes")
    assert list(found.items()) == list(FILES[text].items())  # in the order of their numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "names no class; give a line '7 Walk' for each class"),
        (b"walk\nwalk\n", "classes:2: 'walk' has a number or name that was there before"),
        (b"walk,1\njump,1\n", "classes:2: 'jump,1' has a number or name that was there before"),
        (b"1 walk\njump\n", "classes:2: 'jump' should be a class number and a name"),
        (b'{"walk": 0}', "is JSON, not a file of classes; give a line '7 Walk'"),
        (b",1\na,2\n", "classes:1: ',1' has no name that can be written"),
        (b"\xff\n", "classes:1: '\\udcff' has no name that can be written"),
        (b"a\0b", "is not a text file"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "classes").write_bytes(text)
    with pytest.raises(VidaugError) as caught:
        read_classes(tmp_path / "classes")
    assert message in str(caught.value)


def test_a_list_of_names_has_no_numbers_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "classes").write_text("a\nb\n")
    with pytest.raises(VidaugError, match="'a' should be a class number and a name"):
        read_classes(tmp_path / "classes", numbered=True)


def test_a_file_of_classes_fixes_names_and_numbers() -> None:
    decomposed, composed = "la\u0308uft", "l\u00e4uft"
    classes = {decomposed: 3, "7": 5, "walk": 7}
    rows = [row_of("a", "walk", class_id=1), row_of("b", "03"), row_of("c", composed), row_of("d", None)]
    rows += [row_of("e", "7")]  # a name first
    found = renumber(rows, classes, "classInd.txt")
    assert [(row.label, row.class_id) for row in found] == [
        *(("walk", 7), (decomposed, 3), (decomposed, 3), (None, None), ("7", 5))
    ]
    for label, near in (("Walk", "; did you mean 'walk'?"), ("8", "")):
        with pytest.raises(VidaugError) as caught:
            renumber([row_of("x/1.avi", label)], classes, "classInd.txt")
        what = f"classInd.txt: has no class '{label}', and x/1.avi is of it{near}"
        assert str(caught.value) == f"{what}{' ' if near else '; '}it has 3 classes: 3 '{decomposed}' to 7 'walk'"


def test_rows_that_contradict_each_other_are_told() -> None:
    assert classes_of([row_of("1", "b", class_id=1), row_of("2", "a", class_id=2), row_of("3", "c")]) == ["c", "b", "a"]
    assert classes_of([row_of("1", "b"), row_of("2", "a", class_id=2), row_of("3", "b", class_id=3)]) == ["a", "b"]
    for label, number, what in (
        ("b", 2, "class 'b' has the number 1, and 2 at x/2"),
        ("a", 1, "class number 1 is 'b', and 'a' at x/2"),
    ):
        with pytest.raises(VidaugError) as caught:
            classes_of([row_of("x/1", "b", class_id=1), row_of("x/2", label, class_id=number)])
        assert str(caught.value) == f"{what}; --classes FILE fixes names and numbers"
