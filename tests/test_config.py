"""Options from a file: the same as typed, closer than a default, further than a variable; where each is from."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import tomli_w
from click.types import FloatRange, IntRange
from console import vidaug
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vidaug_cli.augment.command import read_command
from vidaug_cli.commands.config_file import read_config
from vidaug_cli.commands.signature import typed_line
from vidaug_cli.data.shard.format import shard_path
from vidaug_cli.main import cli

SCRIPT = Path(sys.executable).with_name("vidaug")


def file_of(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text, "utf-8")
    return path


# The same as typed


def commands(group: click.Group = cli) -> Iterator[tuple[str, click.Command]]:
    """Each command that has options, by the name of its table."""
    for name, command in group.commands.items():
        if any(isinstance(param, click.Option) for param in command.params):
            yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name}.{inner}", each) for inner, each in commands(command))


OPTIONS = [(of, param) for of, command in commands() for param in command.params if isinstance(param, click.Option)]


def value_of(option: click.Option) -> st.SearchStrategy[Any]:
    """Values of an option's type, as TOML has them, good ones and others."""
    if option.is_flag:
        return st.booleans()
    number: Any = option.type
    one: st.SearchStrategy[Any] = st.text(st.characters(exclude_characters="\0", exclude_categories=["C"]), min_size=1)
    if isinstance(option.type, click.Choice):
        one = st.sampled_from(option.type.choices)
    elif isinstance(option.type, IntRange):
        one = st.integers(number.min or 0, number.max) | st.integers()
    elif isinstance(option.type, FloatRange):
        one = st.floats(number.min, number.max)
    elif option.type.name in ("integer", "float"):
        one = st.integers() if option.type.name == "integer" else st.floats() | st.integers(-1000, 1000)
    if option.nargs > 1:
        return st.lists(one, min_size=option.nargs, max_size=option.nargs)
    return st.lists(one, min_size=1, max_size=3) if option.multiple else one


def words_of(option: click.Option, value: Any) -> list[str]:
    flag = max(option.opts, key=len)
    if option.is_flag:
        return [flag] if value else []
    if option.multiple:
        return [f"{flag}={each}" for each in value]
    return [flag, *map(str, value)] if option.nargs > 1 else [f"{flag}={value}"]


def taken(of: str, option: click.Option, words: list[str], defaults: dict[str, Any]) -> object:
    """What a command gets for an option, or what is wrong with that."""
    context = click.Context(dict(commands())[of], info_name=of, default_map=defaults)
    given, _, _ = context.command.make_parser(context).parse_args(words)
    try:
        option.handle_parse_result(context, given, [])
    except click.BadParameter as error:
        return error.message
    return context.params[str(option.name)]


@settings(deadline=None)
@given(data=st.data())
def test_a_file_says_what_the_command_line_says(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    of, option = data.draw(st.sampled_from(OPTIONS))
    value = data.draw(value_of(option))
    assume(value is not False or option.default is not None)  # which is not to be typed
    path = file_of(tmp_path_factory.getbasetemp(), f"[{of}]\n{tomli_w.dumps({str(option.name): value})}")
    defaults = read_config(path, cli)
    for name in of.split("."):
        defaults = defaults[name]
    assert repr(taken(of, option, [], defaults)) == repr(taken(of, option, words_of(option, value), {}))


@settings(deadline=None)
@given(data=st.data())
def test_no_value_of_toml_is_more_than_a_line_of_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    of, option = data.draw(st.sampled_from(OPTIONS))
    scalar = st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.times() | st.datetimes()
    value = data.draw(st.recursive(scalar, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
    path = file_of(tmp_path_factory.getbasetemp(), tomli_w.dumps(nested(of, {str(option.name): value})))
    done = vidaug("--config", path, "config", "show", of)
    assert (done.code, done.err.count("\n")) in ((0, 0), (1, 1), (2, 4))
    assert done.code == 0 or f"[{of}] {option.name}".replace("-", "_") in done.err.replace("-", "_")


def nested(of: str, values: dict[str, Any]) -> dict[str, Any]:
    first, _, rest = of.partition(".")
    return {first: nested(rest, values) if rest else values}


# Which wins


def rows(*words: object, **variables: str) -> dict[str, tuple[object, str]]:
    """What `config show` says of each option: value, and where it is from."""
    done = vidaug(*words, "--json", **variables)
    assert done.code == 0, done.err
    return {row["option"]: (row["value"], row["origin"]) for row in done.result["options"]}


def test_closer_to_the_user_wins(tmp_path: Path) -> None:
    path = file_of(tmp_path, '[augment]\ncopies = [2, "walk=3"]\nflip = 0\ncrop = [0.5, 0.8]\nkeep_original = true\n')
    found = rows("--config", path, "config", "show", "augment", VIDAUG_AUGMENT_FLIP="0.25", VIDAUG_AUGMENT_SIZE="")
    assert found["copies"] == (["2", "walk=3"], f"{path}: [augment] copies")
    assert found["crop"] == ([0.5, 0.8], f"{path}: [augment] crop")
    assert found["keep-original"] == (True, f"{path}: [augment] keep-original")
    assert found["flip"] == (0.25, "VIDAUG_AUGMENT_FLIP")
    assert found["size"] == (160, "default")
    assert found["out"] == (None, "required")
    assert len(found) == sum(of == "augment" for of, _ in OPTIONS)
    assert rows("config", "show", "augment", VIDAUG_CONFIG=str(path))["flip"] == (0, f"{path}: [augment] flip")
    assert rows("--config", path, "config", "show").keys() == {"copies", "crop", "flip", "keep-original"}


def test_all_of_a_command_from_a_file(video_folder: Path, tmp_path: Path) -> None:
    """... and the same clips as from the command line."""
    words = {"out": str(tmp_path / "filed"), "recipe": "fademixup", "frames": 8, "size": 32, "workers": 1, "json": True}
    path = file_of(tmp_path, tomli_w.dumps({"augment": words | {"limit": 3, "copies": 2}}))
    filed = vidaug("--config", path, "augment", video_folder).made
    typed = ["-r", "fademixup", "--frames=8", "--size=32", "-j1", "--limit=3", "--copies=2", "--json"]
    done = vidaug("augment", video_folder, "-o", tmp_path / "typed", *typed)
    assert done.made["clips"] == filed["clips"] == 6
    filed_shard, typed_shard = (shard_path(tmp_path / each, 0).read_bytes() for each in ("filed", "typed"))
    assert filed_shard == typed_shard
    done = vidaug("--config", path, "augment", video_folder, "-o", tmp_path / "one", "--copies", 1)
    assert done.made["clips"] == 3


def test_no_file_is_read_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vidaug.toml").write_text("[doctor]\njson = true\n")
    monkeypatch.chdir(tmp_path)
    assert vidaug("config", "show").out == ""
    assert vidaug("--config", "vidaug.toml", "config", "show").out == "[doctor]\njson = true  # vidaug.toml\n"


def test_an_option_yields_to_another_that_says_the_same_and_is_closer(tmp_path: Path) -> None:
    path = file_of(tmp_path, "[preview]\nfps = 5\n[augment]\nper-class = 4\noverwrite = true\n")
    preview = ["preview", "videos", "-r", "none"]
    closer = {"VIDAUG_PREVIEW_STRIDE": "2-6"}
    assert "stride" in vidaug("--config", path, *preview, VIDAUG_PREVIEW_FPS="5", **closer).err
    assert "videos: does not exist" in vidaug("--config", path, *preview, "--stride", 2).err
    assert "videos: does not exist" in vidaug("--config", path, *preview, **closer).err
    assert rows("--config", path, "config", "show", **closer).keys() == {"stride", "per-class", "overwrite"}
    words = ["augment", "videos", "-o", tmp_path / "out", "-r", "none", "--copies", 3, "--extend"]
    assert "videos: does not exist" in vidaug("--config", path, *words).err
    assert "both say how many clips a class has" in vidaug(*words[:-1], "--per-class", 2).err


@pytest.fixture(scope="module")
def shards(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("config") / "shards"
    words = ["-r", "none", "--frames", 8, "--size", 32, "--limit", 2, "-j", 1]
    assert vidaug("augment", video_folder, "-o", out, *words).code == 0
    return out


def test_what_is_for_other_runs_is_passed_over(shards: Path, tmp_path: Path) -> None:
    """A file has options for every run of a command: where they mean nothing only typed ones are an error."""
    path = file_of(tmp_path, '[preview]\nrecipe = "cutmix"\n[train]\nsubset = "test"\nhold-out = 0.5\n')
    words = ["preview", shards, "-o", tmp_path / "look.png", "--count", 1]
    assert vidaug("--config", path, *words).code == 0
    assert "leave --recipe out" in vidaug("--config", path, *words, "-r", "none").err
    train = ["train", "nowhere", "-o", tmp_path / "run"]
    assert "nowhere: " in vidaug("--config", path, *train).err
    assert "--subset is for the videos of --val" in vidaug("--config", path, *train, "--subset", "train").err


# Errors


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("[augment]\ncopis = 4", ["[augment] copis: no option of 'vidaug augment'; did you mean 'copies'?"]),
        ("[augmnt]\ncopies = 4", ["[augmnt]: no command; did you mean 'augment'?"]),
        ("copies = 4\n[scan]", ["copies: belongs into the table of a command, such as [augment]"]),
        ("augment = 4", ["[augment]: 4 should be a table"]),
        ("[[augment]]\ncopies = 4", ["[augment]: [{'copies': 4}] should be a table"]),
        ("[augment]\ninputs = 'in'", ["[augment] inputs: INPUT... goes on the command line: a file has options only"]),
        ("[augment]\nflip = {a = 1}", ["[augment] flip: {'a': 1} should be a text or a number"]),
        ("[augment]\nrecipe = [['a']]", ["[augment] recipe: [['a']] should be a text or a number, or a list of them"]),
        ("[augment]\ncrop = 0.5", ["[augment] crop: 0.5 should be a list of 2"]),
        ("[augment]\nwait = 1", ["[augment] wait: 1 should be true or false"]),
        ("[augment]\nseed = true", ["[augment] seed: True should be a text or a number"]),
        ("[augment]\nfollow-links = false", ["[augment] follow-links: False should be a text or a number"]),
        ('[augment]\nroot = "a\\u0000b"', ["[augment] root: 'a\\x00b' has a zero byte"]),
        (f"[augment]\nsize = 0x{'f' * 9999}", ["[augment] size: a number of thousands of digits is too large"]),
        ("[augment]\nper-class = 1\nper_class = 1", ["[augment] per_class: is there twice, with - and with _"]),
        ("[config.show]\nyaml = true", ["[config.show] yaml: no option of 'vidaug config show'"]),
        ("[recipes]\nfademixup = {json = true}", ["[recipes] fademixup: no option of 'vidaug recipes'"]),
        ("[augment]\na = 1\n[scan]\nb = 2", ["[augment] a: no option", "[scan] b: no option"]),
        ("a =", ["is not TOML: Invalid value (at end of document)"]),
        ("[augment]\nsize = 1\nsize = 2\n", ["is not TOML: Cannot overwrite a value (at line 3, column 9)"]),
    ],
)  # fmt: skip
def test_every_fault_is_a_line(text: str, faults: list[str], tmp_path: Path) -> None:
    path = file_of(tmp_path, text)
    done = vidaug("--config", path, "doctor")
    assert (done.code, done.out, done.error) == (1, "", "VA007")
    lines = done.err.removeprefix("vidaug: error: ").splitlines()
    assert len(lines) == len(faults)
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(f"{path}: {fault}")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("copies = ['4', 'x']", "Invalid value for {} copies ('--copies'): 'x' is neither a number such as 4 nor one"),
        ("crop = ['x', 1]", "Invalid value for {} crop ('--crop'): 'x' is not a valid float."),
        ("workers = -1", "Invalid value for {} workers ('-j' / '--workers'): -1 is not in the range"),
        ("frames = 1.5", "Invalid value for {} frames ('--frames'): '1.5' is not a valid integer."),
        ("codec = 'png'", "Invalid value for {} codec ('--codec'): 'png' is not one of 'raw', 'jpeg', "),
        ("recipe = ['mixup', 'x']", "no recipe 'x'; 'vidaug recipes' lists them (from {} recipe)"),
        ("frames = 0", "clip: frames = 0 should be 1 to 4096 (from {} frames)"),
        ("part = '4/4'", "--part 4/4 should be I/N, with I from 0 to N - 1; such as --part 0/4 (from {} part)"),
        ("wait = true\njoin = true", "deal with another process: give one of them. (from {} wait, {} join)"),
    ],
)  # fmt: skip
def test_a_value_that_no_option_takes_names_file_table_and_key(values: str, message: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, f"[augment]\n{values}\n")
    words = ["augment", "videos", "-o", "out", *([] if "recipe" in values else ["-r", "none"])]
    said = message.replace("{}", f"{path}: [augment]")
    done = vidaug("--config", path, *words)
    assert done.code in (1, 2)
    assert said in done.err
    if "Invalid value" in message:
        assert said in vidaug("--config", path, "config", "show").err


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = f"{tmp_path / 'no.toml'}: does not exist; 'vidaug config template' prints one to edit"
    done = vidaug("doctor", "--json", VIDAUG_CONFIG=str(tmp_path / "no.toml"))
    assert (done.code, done.err, done.error) == (1, f"vidaug: error: {missing} (from VIDAUG_CONFIG)\n", "VA010")
    assert json.loads(done.json_error)["error"]["code"] == "VA010"
    assert f"{tmp_path}: is a folder; --config takes a TOML file" in vidaug("--config", tmp_path, "doctor").err
    path = tmp_path / "my.toml"
    for content, what in ((b"\xff", "is not TOML"), (b"#" * 1_000_001, "is too"), (b"a=" + b"[" * 9999, "is not TOML")):
        path.write_bytes(content)
        assert vidaug("--config", path, "doctor").err.startswith(f"vidaug: error: {path}: {what}")


# A recipe's name is that of a command to click, and no option of `vidaug recipes`.


def test_options_of_recipes_are_those_of_one(tmp_path: Path) -> None:
    path = file_of(tmp_path, "[recipes]\njson = true\n")
    assert vidaug("--config", path, "recipes", "cutmix").result["name"] == "cutmix"
    assert len(vidaug("--config", path, "recipes").result["recipes"]) > 5
    assert vidaug("--config", path, "recipes", "json").err.startswith("vidaug: error: no recipe 'json'")


# What is kept of a command is enough to repeat it


@pytest.mark.parametrize("how", ["--config FILE", "--config=FILE", ""])
def test_the_command_of_a_folder_names_the_file(how: str, video_folder: Path, tmp_path: Path) -> None:
    path = file_of(tmp_path, '[augment]\nrecipe = "none"\nframes = 8\nsize = 32\nlimit = 20\nworkers = 1\n')
    out, variables = tmp_path / "out", {} if how else {"VIDAUG_CONFIG": str(path)}
    words = ["augment", video_folder, "-o", out, "--clips-per-shard", 16]
    assert vidaug(*how.replace("FILE", str(path)).split(), *words, "--part", "0/2", **variables).code == 0
    kept = read_command(out)
    assert kept is not None
    assert kept.words == ("vidaug", *map(str, words))
    assert kept.variables == {"VIDAUG_CONFIG": str(path)}
    (line,) = kept.lines([1])
    subprocess.run(["bash", "-c", line.replace(" vidaug ", f" {SCRIPT} ")], check=True, capture_output=True)
    assert vidaug("status", out, "--json").result["folders"][0]["done"]


def test_the_command_of_a_run_has_the_variables_it_came_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variables = {"CONFIG": str(file_of(tmp_path, "")), "TRAIN_LR": "0.1 ", "TRAIN_EPOCHS": "2", "SCAN_JSON": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(f"VIDAUG_{name}", value)
    monkeypatch.setattr("sys.argv", ["vidaug", "train", "a b"])
    with cli.make_context("vidaug", ["train"]) as context:
        train = cli.commands["train"].make_context("train", ["a b", "--epochs", "3"], parent=context)
    assert typed_line(train) == f"VIDAUG_CONFIG={variables['CONFIG']} VIDAUG_TRAIN_LR='0.1 ' vidaug train 'a b'"


# What it says of itself


def test_a_template_loads_and_changes_nothing(tmp_path: Path) -> None:
    template = vidaug("config", "template").out
    path = file_of(tmp_path, template)
    assert re.findall(r"^\[(.*)\]$", template, re.MULTILINE) == list(dict.fromkeys(of for of, _ in OPTIONS))
    assert vidaug("--config", path, "config", "show").out == ""
    set_anew = re.sub(r"^#([a-z-]+ = (?!\.\.\.).+)$", r"\1", template, flags=re.MULTILINE)
    assert len(re.findall(r"^[a-z-]+ = ", set_anew, re.MULTILINE)) > 150
    defaults = read_config(file_of(tmp_path, set_anew), cli)
    for of, option in OPTIONS:
        values = defaults
        for name in of.split("."):
            values = values[name]
        if option.name in values:
            assert repr(taken(of, option, [], values)) == repr(taken(of, option, [], {})), (of, option.name)
    assert re.findall(r"^\[.*", vidaug("config", "template", "scan").out, re.MULTILINE) == ["[scan]"]


def test_what_is_shown_is_a_file_itself(tmp_path: Path) -> None:
    values = {"copies": ["4", "walk=3"], "layout": 'a"b\n', "stride": "2-6", "crop": [0.5, 1.0], "wait": True}
    path = file_of(tmp_path, tomli_w.dumps({"augment": values}) + "follow_links = true\n")
    first = vidaug("--config", path, "config", "show", "augment").out
    assert tomllib.loads(first)["augment"].items() >= (values | {"follow-links": ""}).items()
    assert "\n#out = ..." in first
    path.write_text(first, "utf-8")
    assert tomllib.loads(vidaug("--config", path, "config", "show", "augment").out) == tomllib.loads(first)


def test_names_of_commands() -> None:
    for inner in ("show", "template"):
        done = vidaug("config", inner, "agument")
        assert done.err.startswith("vidaug: error: no command 'agument' with options; did you mean 'augment'?")
    variables = {"COMP_WORDS": "vidaug config show augm", "COMP_CWORD": "3", "_VIDAUG_COMPLETE": "bash_complete"}
    completed = subprocess.run([SCRIPT], env=os.environ | variables, capture_output=True, text=True, check=True)
    assert completed.stdout == "plain,augment\n"
    assert vidaug("config").err == vidaug("config", "show").err
    assert vidaug("config").err.startswith("every option is at its default")


def test_in_a_pipeline(video_folder: Path, tmp_path: Path) -> None:
    line = (
        "vidaug config template scan | sed 's/^#json.*/json = true/; s/^#out.*/out = \"m.jsonl\"/' > vidaug.toml && "
        f"VIDAUG_CONFIG=vidaug.toml vidaug scan {video_folder} -q | tee said.json && "
        "vidaug --config vidaug.toml config show"
    )
    found = os.environ | {"PATH": f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(line, shell=True, cwd=tmp_path, env=found, capture_output=True, text=True, check=True)
    assert json.loads((tmp_path / "said.json").read_text())["result"]["videos"] == 36
    assert done.stdout.endswith('[scan]\nout = "m.jsonl"  # vidaug.toml\njson = true      # vidaug.toml\n')
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == 36
