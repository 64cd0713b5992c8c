"""Codes of errors: each kind has one, each has its explanation, and the examples are what commands say."""

from __future__ import annotations

import ast
import errno
import inspect
import pickle
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from console import vidaug

from vidaug_cli import errors
from vidaug_cli.errors import DiskSpaceError, VidaugError, VideoError, system_error, terminal_text
from vidaug_cli.explanations import Explanation, code_in, explanations
from vidaug_cli.main import cli

PACKAGE = Path(errors.__file__).parent
KINDS = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, VidaugError)}
KNOWN = explanations()
EXAMPLES = [each for each in KNOWN.values() if each.command]


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def test_every_kind_has_a_code_of_its_own_and_every_code_its_explanation() -> None:
    codes = [errors.USAGE, errors.VALUE, VideoError.code_of_passing, *(kind.code for kind in KINDS.values())]
    assert len(set(codes)) == len(codes)
    assert set(codes) == set(KNOWN)
    assert list(KNOWN) == sorted(KNOWN)


def test_no_error_is_defined_elsewhere_or_raised_without_a_kind() -> None:
    """So whatever is raised has a code; `VidaugError` itself is only caught."""
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and path.name != "errors.py":
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                assert not bases & set(KINDS), f"{path}:{node.lineno} defines {node.name}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "VidaugError", f"{path}:{node.lineno} raises an error without a kind"


def test_every_kind_is_raised() -> None:
    used = set()
    for path, tree in modules():
        classes = (
            {node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)} if path.name == "errors.py" else ()
        )
        bases = {base for one in classes for base in one.bases}
        names = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in bases)
        used |= {node.id for node in names if path.name != "__init__.py"}
    assert not set(KINDS) - used


@pytest.mark.parametrize("each", EXAMPLES, ids=[each.code for each in EXAMPLES])
def test_an_example_is_what_the_command_says(
    each: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if each.prepare:
        (tmp_path / each.prepare).touch()
    done = vidaug(*shlex.split(each.command)[1:], stdin=each.stdin)
    assert (done.code, done.out) == (2 if each.code in (errors.USAGE, errors.VALUE) else 1, "")
    assert done.error == each.code
    assert done.err.splitlines()[-1] == each.example.removesuffix(f" [{each.code}]")


@pytest.mark.parametrize("each", KNOWN.values(), ids=KNOWN)
def test_an_explanation_is_whole_and_names_only_options_that_there_are(each: Explanation) -> None:
    assert each.means.endswith(".")
    assert each.why
    assert each.do
    assert each.example.startswith(("vidaug: error: ", "Error: ", "ClipsError: "))
    assert each.example.endswith(f" [{each.code}]") or each.code == "VA303"
    options = {word for command in cli.commands.values() for param in command.params for word in param.opts}
    said = re.findall(r"(?<![\w-])--[a-z-]+", " ".join([each.means, *each.why, *each.do]))
    assert set(said) <= options | {"--help", "--array", "--config"}


def test_the_code_of_the_disk_and_of_click() -> None:
    full = system_error(OSError(errno.ENOSPC, "No space left on device", "out"))
    assert isinstance(full, DiskSpaceError)
    assert terminal_text(full).endswith("; free some space, or write to another disk [VA015]")
    assert vidaug("scan").error == vidaug("scan", "--bad").error == vidaug("no").error == "VA001"
    assert vidaug("scan", ".", "-j", "x").error == "VA002"


def test_a_code_survives_other_processes_and_notes() -> None:
    error = VideoError("is slow", where="a.avi", passing=True)
    error.add_note(" (from VIDAUG_SCAN_ROOT)")
    assert terminal_text(pickle.loads(pickle.dumps(error))) == "a.avi: is slow (from VIDAUG_SCAN_ROOT) [VA201]"
    assert str(error) == "a.avi: is slow"
    assert VideoError("is bad").code == "VA200"


@pytest.mark.parametrize("spelled", ["VA012", "va012", "[VA012]", "12", "va12"])
def test_a_code_in_any_spelling(spelled: str) -> None:
    assert code_in(spelled) == "VA012"
    assert vidaug("explain", spelled).out == f"{KNOWN['VA012'].text}\n"


def test_explanations_fit_a_terminal() -> None:
    for each in KNOWN.values():
        assert max(map(len, each.text.split("Such as:")[0].splitlines())) < 80
    assert vidaug("explain", "VA999").err == "vidaug: error: no error has the code 'VA999'; codes are VA000 to VA700\n"
