"""What all commands have in common: options by the same name and help, `-o -`, and values from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from console import vidaug
from score_makers import scores_of

from vidaug_cli.commands.signature import OutPath
from vidaug_cli.data.listing.layouts import LAYOUTS
from vidaug_cli.main import COMMANDS, cli
from vidaug_cli.scores.file import write_scores


def options() -> Iterator[tuple[str, click.Option]]:
    """Each option of each command."""
    for name in COMMANDS:
        command = cli.commands[name]
        for inner in (command, *(command.commands.values() if isinstance(command, click.Group) else ())):
            yield from ((name, param) for param in inner.params if isinstance(param, click.Option))


# Options that mean another thing in these commands, and say so.
OWN = {
    *(("train", option) for option in ("seed", "batch_size", "workers", "amp", "frames", "stride", "size", "flip")),
    *(("augment", option) for option in ("batch_size", "per_class")),
    *(("export", option) for option in ("format", "quality")),
    ("predict", "crop"),
    ("inspect", "recipe"),
    ("report", "worst"),
    *((command, option) for command in ("preview", "cam") for option in ("clip", "columns", "count")),
    *((command, "overwrite") for command in ("train", "sample", "sweep", "export")),
    *(
        ("sweep", option)
        for option in ("hold_out", "val", "batch_size", "frames", "stride", "size", "flip", "amp", "seed")
    ),
    *(("sweep", option) for option in ("workers", "threads", "dry_run")),
    ("train", "dry_run"),
    ("sample", "per_class"),
    ("preview", "grid"),
    *(("bench", option) for option in ("preset", "batch_size", "workers")),
}


def test_one_option_has_one_name_and_one_help() -> None:
    first: dict[str, tuple[str, click.Option]] = {}
    for command, option in options():
        if option.name in ("out", "help") or (command, option.name) in OWN:
            continue
        other, known = first.setdefault(str(option.name), (command, option))
        said = [(param.opts, param.help, param.metavar, param.default) for param in (known, option)]
        assert said[0] == said[1], f"--{option.name} of {command} and of {other}"


def test_the_help_names_all_layouts() -> None:
    (found,) = {param.help for _, param in options() if param.name == "layout"}
    assert found is not None
    (listed,) = re.findall("by itself: (.*?);", found)
    assert sorted(re.split(", | or ", listed)) == sorted(LAYOUTS)


# Stdout: None refuses it, with this as an example of what to give.
EXAMPLES = {
    "scan": None,
    "submit": None,
    "augment": "shards",
    "merge": "all",
    "export": "exported",
    "train": "run",
    "predict": "scores.h5",
    "ensemble": "scores.h5",
    "preview": "look.png",
    "cam": "cam.png",
    "report": "report.html",
    "compare": "compare.png",
    "inspect": "classes.png",
    "sweep": "sweep",
}
OTHERS = {("scan", "cache"), ("scan", "quarantine"), ("evaluate", "confusion")}  # that name a file to write


def test_every_option_that_names_something_to_write_knows_stdout() -> None:
    assert {command for command, option in options() if option.name == "out"} == set(EXAMPLES)
    for command, option in options():
        if option.name == "out" or (command, option.name) in OTHERS:
            assert isinstance(option.type, OutPath), (command, option.name)
            assert option.type.stdout == (option.name == "out" and EXAMPLES[command] is None)


REQUIRED = {
    "ensemble": ["a.h5", "b.h5"],
    "scan": ["videos"],
    "evaluate": ["s.h5"],
    "predict": ["net.pt", "videos"],
    "cam": ["net.pt", "shards"],
    "report": ["shards"],
}


@pytest.mark.parametrize(
    ("command", "option", "example"),
    [
        *((command, "--out", example) for command, example in EXAMPLES.items() if example),
        ("scan", "--quarantine", "unusable.jsonl"),
        ("scan", "--cache", "probes.db"),
        ("evaluate", "--confusion", "matrix.png"),
    ],
)
def test_what_cannot_go_to_stdout_is_refused(
    command: str, option: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = REQUIRED.get(command, ["videos"])
    done = vidaug(command, *words, option, "-")
    assert (done.code, done.out) == (2, "")
    what = f"this cannot go to stdout; give a name, such as {example} (or ./- for one called -)."
    assert done.err.endswith(f"{option}': {what}\n")
    done = vidaug(command, *words, **{f"VIDAUG_{command}_{option[2:]}".upper(): "-"})
    assert f"{what}\n" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["sample", "demo"])
def test_no_folder_is_called_stdout(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = vidaug(command, "-")
    assert (done.code, list(tmp_path.iterdir())) == (2, [])
    assert "Invalid value for 'DIR': this cannot go to stdout; give a name, such as" in done.err


def test_text_goes_to_stdout(video_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert vidaug("scan", video_folder, "-o", "-").out == vidaug("scan", video_folder).out != ""
    assert vidaug("scan", video_folder, "-o", "-", "--json").code == 2
    write_scores(tmp_path / "s.h5", scores_of(failures=()))
    for kind in ("csv", "json"):
        done = vidaug("submit", "s.h5", "-o", "-", "--format", kind)
        assert vidaug("submit", "s.h5", "-o", "file", "--format", kind).code == 0
        assert (done.code, done.out) == (0, (tmp_path / "file").read_text("utf-8"))
        assert done.err == "stdout: 8 videos\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "s.h5"]
    assert vidaug("submit", "s.h5", "-o", "./-", "--format", "csv").code == 0
    assert (tmp_path / "-").is_file()


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    write_scores(tmp_path / "s.h5", scores_of(failures=()))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert vidaug("submit", tmp_path / "s.h5", "-o", pipe, "--format", "csv").code == 0
        assert pipe.is_fifo()
        written = os.read(reader, 100_000).decode()
    finally:
        os.close(reader)
    assert written == vidaug("submit", tmp_path / "s.h5", "-o", "-", "--format", "csv").out != ""


# The environment

OF = " (from VIDAUG_AUGMENT_"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"COPIES": "4 x"},
            "Invalid value for VIDAUG_AUGMENT_COPIES ('--copies'): 'x' is neither a number such as 4 nor one for",
        ),
        ({"JSON": "maybe"}, "Invalid value for VIDAUG_AUGMENT_JSON ('--json'): 'maybe' is not a valid boolean"),
        ({"CROP": "0.5"}, "Invalid value for VIDAUG_AUGMENT_CROP ('--crop'): Takes 2 values but 1 was given."),
        ({"CROP": "0.5 x"}, "Invalid value for VIDAUG_AUGMENT_CROP ('--crop'): 'x' is not a valid float."),
        ({"WORKERS": "-1"}, "Invalid value for VIDAUG_AUGMENT_WORKERS ('-j' / '--workers'): -1 is not in the range"),
        ({"CODEC": "png"}, "Invalid value for VIDAUG_AUGMENT_CODEC ('--codec'): 'png' is not one of 'raw', 'jpeg', "),
        ({"ROOT": "/nowhere"}, "Invalid value for VIDAUG_AUGMENT_ROOT ('--root'): Directory '/nowhere' does not exist"),
        ({"RECIPE": "mixup x"}, f"no recipe 'x'; 'vidaug recipes' lists them{OF}RECIPE)"),
        ({"FRAMES": "0"}, f"clip: frames = 0 should be 1 to 4096{OF}FRAMES)"),
        ({"DEVICE": "gpu"}, f"no device 'gpu'; there are auto, cpu, cuda and cuda:N{OF}DEVICE)"),
        ({"PART": "4/4"}, f"--part 4/4 should be I/N, with I from 0 to N - 1; such as --part 0/4{OF}PART)"),
        ({"COPIES": "", "FRAMES": ""}, "videos: does not exist; INPUT is"),  # empty is as good as not there
    ],
)  # fmt: skip
def test_a_wrong_value_from_the_environment_names_its_variable(variables: dict[str, str], message: str) -> None:
    given = {f"VIDAUG_AUGMENT_{name}": value for name, value in variables.items()}
    words = ["augment", "videos", "-o", "out", *([] if "RECIPE" in variables else ["-r", "none"])]
    done = vidaug(*words, **given)
    assert done.code in (1, 2)
    assert done.err.splitlines()[-1].removeprefix("Error: ").removeprefix("vidaug: error: ").startswith(message)


def test_a_wrong_value_from_the_command_line_names_none() -> None:
    given = {"VIDAUG_AUGMENT_COPIES": "3", "VIDAUG_AUGMENT_FRAMES": "8"}
    done = vidaug("augment", "videos", "-o", "out", "-r", "none", "--copies", "x", **given)
    assert "Invalid value for '--copies': 'x'" in done.err
    done = vidaug("augment", "videos", "-o", "out", "-r", "none", "--size", "0", **given)
    assert "VIDAUG" not in done.err
    done = vidaug("augment", "videos", "-o", "out", "-r", "none", "--frames", "0", **given)
    assert done.err.endswith("clip: frames = 0 should be 1 to 4096\n")
    done = vidaug("scan", "videos", VIDAUG_SCAN_JSON="1")
    assert done.err.endswith("--json needs -o FILE: without it the manifest goes to stdout. (from VIDAUG_SCAN_JSON)\n")


FOREIGN = {"--nproc-per-node", "--array", "--wrap", "--cpus-per-task"}  # of torchrun and Slurm


def test_options_and_their_values_that_the_program_names_are_there() -> None:
    there: dict[str, set[str]] = {"--help": set(), "--version": set(), "--config": set()}
    for _, option in options():
        for name in option.opts:
            there.setdefault(name, set()).update(map(str, getattr(option.type, "choices", ())))
    for path in (Path(__file__).parents[1] / "vidaug_cli").rglob("*.py"):
        for name, value in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)(?: ([a-z]\w+))?", path.read_text("utf-8")):
            assert name in there.keys() | FOREIGN, path
            if name == "--codec" and value and value != "or":
                assert value in there[name], path
