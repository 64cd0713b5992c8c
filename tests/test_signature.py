"""Options made from a command's signature: types from annotations, groups as dataclasses, order as written."""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner

import vidaug_cli
from vidaug_cli.commands.signature import argument, as_command, option
from vidaug_cli.main import COMMANDS

SHARED = option("Shared by groups.", default=3)


@dataclass(frozen=True)
class Base:
    """A group that another one extends."""

    number: int = SHARED


@dataclass(frozen=True)
class Group(Base):
    """A group."""

    share: float | None = option("A share.", "-s")
    pair: tuple[float, float] = option("Two.  [default: 1 2]", default=(1.0, 2.0))


@as_command
def command(
    name: str = argument("NAME"),
    *,
    words: tuple[str, ...] = option("Words."),
    group: Group,
    number_of: Literal["one", "two"] = option("One of two.", default="one"),
    flag: bool = option("A flag."),
    maybe: bool | None = option("A flag that may be unset.", default=None),
    path: Path | None = option("A path."),  # noqa: B008
) -> None:
    """Print what came."""
    click.echo(repr((name, words, group, number_of, flag, maybe, path)))


def output(*words: str) -> str:
    return CliRunner().invoke(command, words, catch_exceptions=False).output.strip()


def test_values_have_the_types_of_the_annotations() -> None:
    group = Group(number=3, share=None, pair=(1.0, 2.0))
    assert output("x") == repr(("x", (), group, "one", False, None, None))
    words = ["--words", "a", "--words", "b", "--number", "4", "-s", "0.5", "--pair", "3", "4", "--number-of", "two"]
    group = Group(number=4, share=0.5, pair=(3.0, 4.0))
    assert output("x", *words, "--flag", "--maybe", "--path", "p") == repr(
        ("x", ("a", "b"), group, "two", True, True, Path("p"))
    )


@pytest.mark.parametrize("words", ["--number 1.5", "--share x", "--pair 1", "--number-of three", "--flag=1 y"])
def test_values_of_another_type_are_wrong_usage(words: str) -> None:
    assert CliRunner().invoke(command, ["x", *words.split()]).exit_code == 2


def test_help_has_the_order_of_the_signature_and_the_defaults() -> None:
    text = output("--help")
    lines = [line.split()[0] for line in text.splitlines() if line.startswith("  -")]
    assert lines == ["--words", "--number", "-s,", "--pair", "--number-of", "--flag", "--maybe", "--path", "--help"]
    assert "[default: 3]" in text
    assert "[default: one]" in text
    assert text.count("[default: 1 2]") == 1
    assert text.count("default") == 3


def test_no_command_takes_options_apart_by_hand() -> None:
    for path in (Path(vidaug_cli.__file__).parent / "commands").glob("*.py"):
        if path.name != "signature.py":
            tree = ast.parse(path.read_text("utf-8"))
            functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
            assert not [function.name for function in functions if function.args.kwarg], path
            assert ".pop(" not in path.read_text("utf-8"), path


def test_the_public_names_are_those_that_type_checkers_see() -> None:
    (block,) = (
        node for node in ast.parse(Path(vidaug_cli.__file__).read_text("utf-8")).body if isinstance(node, ast.If)
    )
    seen: dict[str, Any] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for name in node.names:
            assert name.asname == name.name  # exported, then
            seen[name.name] = getattr(importlib.import_module(str(node.module)), name.name)
    assert sorted(seen) == vidaug_cli.__all__ == dir(vidaug_cli)
    assert all(getattr(vidaug_cli, name) is value for name, value in seen.items())
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        vidaug_cli.nothing  # noqa: B018


def test_at_most_eight_files_lie_between_a_command_and_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("grimp")  # of the development tools
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "tools")
    from command_files import routes

    found = routes()
    assert list(found) == list(COMMANDS)
    for name, route in found.items():
        assert route.chains or name == "completion", name  # which needs click alone
        assert max(map(len, route.chains.values()), default=0) <= 8, name
        assert route.files >= max(map(len, route.chains.values()), default=0), name
    assert found["augment"].chains.keys() == {"decodes or writes videos", "computes pixels", "reads or writes HDF5"}
