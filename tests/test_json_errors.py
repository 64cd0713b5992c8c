"""Errors with --json, and words that a shell completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from console import vidaug

SCRIPT = Path(sys.executable).with_name("vidaug")


def test_an_error_is_json_on_stdout_and_a_line_on_stderr(tmp_path: Path) -> None:
    done = vidaug("status", tmp_path / "no", "--json")
    wanted = {"code": "VA406", "message": f"{tmp_path / 'no'}: does not exist"}
    assert json.loads(done.json_error)["error"] == wanted | {"hint": "name a folder written by 'vidaug augment'"}
    assert done.code == 1
    assert done.error == "VA406"
    assert vidaug("status", tmp_path / "no").out == ""


def test_wrong_usage_is_json_too(tmp_path: Path) -> None:
    for words, code in ((["status", "--json"], "VA001"), (["recipes", "--json", "--bad"], "VA001")):
        done = vidaug(*words)
        assert done.code == 2
        assert json.loads(done.json_error)["error"]["code"] == code == done.error


def test_json_that_the_environment_asks_for(tmp_path: Path) -> None:
    done = vidaug("status", tmp_path, VIDAUG_STATUS_JSON="1")
    assert json.loads(done.json_error)["error"]["code"] == "VA406"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("vidaug augment -r fade", "fademixup"),
        ("vidaug explain framecutmixup", "framecutmixup"),
        ("vidaug train --network r101-8x8-or", "r101-8x8-original"),
        ("vidaug train --preset sm", "small"),
        ("vidaug scan --layout ucf", "ucf101"),
        ("vidaug doct", "doctor"),
    ],
)
def test_completion(words: str, found: str) -> None:
    variables = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_VIDAUG_COMPLETE": "bash_complete"}
    done = subprocess.run([SCRIPT], env=os.environ | variables, capture_output=True, text=True, check=True)
    assert done.stdout == f"plain,{found}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str) -> None:
    done = vidaug("completion", shell)
    assert done.code == 0
    assert f"_VIDAUG_COMPLETE={shell}_complete" in done.out
