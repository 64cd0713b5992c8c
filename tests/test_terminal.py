"""What people read in a terminal of 80 columns: no line is longer, no word is broken, and pipes get whole lines."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from vidaug_cli.recipe.loading import shipped_recipes
from vidaug_cli.scores.tables import Table, as_text
from vidaug_cli.train.history import MetricsLog
from vidaug_cli.words import wrapped

VIDAUG = Path(sys.executable).with_name("vidaug")
COLUMNS = 80


def in_terminal(*words: object, columns: int = COLUMNS) -> list[str]:
    """Return what a command prints on stdout, a terminal of so many columns, which nothing else says."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen(
        [VIDAUG, *map(str, words)], stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        printed = b""
        while part := _read(ours):
            printed += part
    os.close(ours)
    assert process.returncode == 0, printed
    return printed.decode().splitlines()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other end is closed
        return b""


def test_the_table_of_recipes_is_as_wide_as_the_terminal() -> None:
    for columns in (COLUMNS, 60):
        lines = in_terminal("recipes", columns=columns)
        assert max(map(len, lines)) <= columns
        names = [line.split()[0] for line in lines if not line.startswith(" ")]
        assert names == list(shipped_recipes())  # and what is left of a text stands below its beginning
        piped = subprocess.check_output([VIDAUG, "recipes"], text=True, env=os.environ | {"COLUMNS": "0"})
        assert " ".join(lines).split() == piped.split()  # no word is broken


@pytest.mark.parametrize("columns", [None, "100"])
def test_a_pipe_gets_a_line_for_each_recipe_unless_columns_are_asked_for(columns: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {"COLUMNS": columns} if columns else {}
    lines = subprocess.check_output([VIDAUG, "recipes"], text=True, env=environment).splitlines()
    assert (len(lines) == len(shipped_recipes())) == (columns is None)
    assert columns is None or max(map(len, lines)) <= int(columns)


def test_lines_hang_below_their_text() -> None:
    assert wrapped("name  one two-three four five", 24, 6) == ["name  one two-three four", "      five"]
    assert wrapped("x " + "y" * 99, 24) == ["x", "y" * 99]
    assert wrapped("name  one two", 0, 6) == ["name  one two"]
    assert wrapped("", 24) == [""]


def test_a_table_that_is_too_wide_goes_on_below() -> None:
    made = Table(["", "runs", "top-1", "more than a", "p", "held", "more than a"], [["row", *"123456"]])
    assert list(as_text(made)) == [
        "     runs  top-1  more than a  p  held  more than a",
        "row     1      2            3  4     5            6",
    ]
    whole = ["     runs  top-1  more than a  p", "row     1      2            3  4"]
    assert list(as_text(made, 40)) == [*whole, "", "     held  more than a", "row     5            6"]
    assert list(as_text(made, 51)) == list(as_text(made, 99)) == list(as_text(made))
    assert max(map(len, as_text(made, 10))) == 26  # columns that go together stay beside each other


@pytest.mark.parametrize("validated", [True, False])
def test_the_line_of_an_epoch_fits(validated: bool, tmp_path: Path) -> None:
    said: list[str] = []
    log = MetricsLog(tmp_path, say=said.append)
    epoch = {"epoch": 100, "loss": 2.3456, "top1": 0.98765, "clips_per_second": 1234.5, "waiting": 0.5}
    log.begin([], [], 200)
    log.add_epoch([epoch | ({"val_loss": 2.3456, "val_top1": 1} if validated else {})])
    tested = "  val 2.346, 1.000" if validated else ""
    assert said == [f"epoch 100/200  loss 2.346  top-1 0.988{tested}  1234 clips/s  50% idle"]
    assert len(said[0]) <= COLUMNS
