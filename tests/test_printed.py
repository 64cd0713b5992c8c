"""What --json prints: the JSON Schema has each command, and says of each key what the code says.

That what is printed fits it is held by `console.vidaug` in every test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from console import check_envelope, json_schema, vidaug
from jsonschema import ValidationError

from vidaug_cli.commands.json_schema import schema_of
from vidaug_cli.commands.printed import RESULTS
from vidaug_cli.main import COMMANDS, cli
from vidaug_cli.schema import plain


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} ")


def test_every_command_has_the_option_and_a_result() -> None:
    found = dict(commands(cli))
    assert {*found, "recipes NAME"} == {*RESULTS}
    assert {*COMMANDS} <= {*found}
    for name, command in found.items():
        flags = {flag for param in command.params for flag in param.opts}
        assert {"--json", "--quiet"} <= flags, name


def test_no_two_types_have_one_name() -> None:
    for kinds in RESULTS.values():
        for kind in kinds:
            alone: dict[str, Any] = {}
            schema_of(kind, alone)
            assert {name: json_schema()["definitions"][name] for name in alone} == alone


def test_the_schema_says_what_the_comments_say() -> None:
    schema = json_schema()
    status = schema["definitions"]["Status"]
    assert status["properties"]["rate"]["description"].startswith("clips a second, lately; null where")
    assert status["additionalProperties"] is False
    inherited = schema["definitions"]["Estimate"]["properties"]  # of Amounts, which it is one of
    assert inherited["videos"]["type"] == inherited["bytes"]["type"] == "integer"
    evaluated = schema["definitions"]["Evaluated"]
    assert {"videos", "failed", "unlabelled", "top1_standard_error", "worst", "verdict"} == {*evaluated["required"]}
    assert evaluated["properties"]["mean_class_top1"]["description"] == "mean over the classes of the share of each"


@pytest.mark.parametrize(
    "change",
    [
        lambda printed: printed["result"].pop("shards"),
        lambda printed: printed["result"].update(shards="3"),
        lambda printed: printed["result"].update(more=1),
        lambda printed: printed["result"].update(faults=[{"path": "a"}]),
        lambda printed: printed.update(next=["vidaug"]),
        lambda printed: printed.pop("vidaug"),
    ],
)
def test_the_schema_refuses_what_is_not_so(change: Any) -> None:
    printed = {"vidaug": "1", "command": "verify", "result": {"shards": 3, "faults": []}, "next": None}
    check_envelope(json.dumps(printed))
    change(printed)
    with pytest.raises((AssertionError, ValidationError)):
        check_envelope(json.dumps(printed))


def test_explain_json_is_the_schema() -> None:
    assert json.loads(vidaug("explain", "json").out) == json_schema()
    assert vidaug("explain", "json", "--json").result["schema"] == json_schema()


def test_numbers_that_json_does_not_have_are_null() -> None:
    assert plain({"loss": [float("nan"), float("inf"), 1.5], 3: Path("a")}) == {"loss": [None, None, 1.5], "3": "a"}


def test_stdout_takes_one_thing(tmp_path: Path) -> None:
    done = vidaug("compare", tmp_path, "--json", "--csv", "-")
    assert done.code == 2
    assert "--json prints on stdout, and so does -: give the name of a file" in done.err
    assert vidaug("scan", tmp_path, "--json").code == 2


def test_what_comes_next_is_said_and_printed(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    done = vidaug("sample", folder, "--per-class", "1")
    assert done.next == f"vidaug scan '{folder}' -o manifest.jsonl"
    assert vidaug("sample", folder, "--per-class", "1", "--overwrite", "-q").next == ""
    again = vidaug("sample", folder, "--per-class", "1", "--overwrite", "--json")
    assert json.loads(again.out)["next"] == f"vidaug scan '{folder}' -o manifest.jsonl"
