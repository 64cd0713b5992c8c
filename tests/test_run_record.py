"""`run.toml`: what it says of a run, what `--resume` makes of it, what `inspect` prints, and what is refused."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import fields, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from console import Done, vidaug
from network_makers import save
from train_makers import NETWORK, make_shards, same

from vidaug_cli.augment.plan import read_header
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.history import MetricsLog
from vidaug_cli.train.record import read_record, write_record
from vidaug_cli.train.run import ShardFolders
from vidaug_cli.train.settings import Settings, lr_share
from vidaug_cli.train.slowfast import ARCHITECTURES, SlowFast

WORDS = ("--network", "tiny", "--batch-size", 4, "--amp", "off", "--device", "cpu", "--threads", 1)


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("train") / "shards")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("clean") / "shards", videos=5)


@pytest.fixture(scope="module")
def finished(shards: Path, clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs of three steps."""
    run = tmp_path_factory.mktemp("finished") / "run"
    words = ("--epochs", 2, "--val", clean, "-r", "fademixup", "--warmup", 0.5, "--seed", 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", NETWORK)
        assert vidaug("train", shards, "-o", run, *WORDS, *words).code == 0
    return run


def record_of(run: Path) -> dict[str, Any]:
    return tomllib.loads((run / "run.toml").read_text())


def rows_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def interrupted(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    """The command, cut off after the checkpoint of its first epoch."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "add_epoch", interrupt)
        assert vidaug(*words).code == 130


def refused(done: Done) -> str:
    assert (done.code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    return line.removeprefix("vidaug: error: ")


def test_a_run_says_what_it_is(finished: Path, shards: Path, clean: Path) -> None:
    found = record_of(finished)
    assert (found["format"], found["version"]) == ("vidaug-run", 1)
    assert found["preset"] == "small"
    given = {"network": "tiny", "epochs": 2, "batch_size": 4, "warmup": 0.5, "amp": "off", "seed": 3, "lr": 3e-3}
    assert found["settings"].items() >= given.items()
    absent = {field.name for field in fields(Settings)} - found["settings"].keys()  # what is None
    assert "clips_seen" in absent
    assert absent.isdisjoint(given)
    assert found["recipe"] == read_checkpoint(finished / "best.safetensors").settings["recipe"]
    assert found["length"] == {"clips": 12, "batch": 4, "steps": 3, "epochs": 2, "clips_seen": 24}
    assert found["shards"] == [{"path": str(shards), "plan_sha256": read_header(shards).plan_sha256}]
    assert found["validation"] == {"path": str(clean), "plan_sha256": read_header(clean).plan_sha256}
    (start,) = found["started"]
    assert start["command"].startswith(f"vidaug train {shards} -o {finished} --network tiny ")
    assert (start["epoch"], start["device"], start["processes"], start["threads"]) == (0, "cpu", 1, 1)
    assert datetime.fromisoformat(start["at"]).utcoffset() is not None
    for name in ("vidaug-cli", "torch", "av", "numpy"):
        assert start["versions"][name] == version(name)


def test_resuming_needs_nothing_else_and_ends_with_the_same_weights(
    finished: Path, shards: Path, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    words = ("--epochs", 2, "--val", clean, "-r", "fademixup", "--warmup", 0.5, "--seed", 3)
    interrupted(monkeypatch, "train", shards, "-o", run, *WORDS, *words)
    moved = run.rename(tmp_path / "moved")
    done = vidaug("train", "--resume", moved)
    assert done.code == 0
    assert f"{moved}: 1 of 2 epochs are done" in done.err.splitlines()
    for name in ("best.safetensors", "last.safetensors"):
        assert same(read_checkpoint(moved / name).weights, read_checkpoint(finished / name).weights)
    first, second = record_of(moved)["started"]
    assert (first["epoch"], second["epoch"]) == (0, 1)
    assert second["command"] == f"vidaug train --resume {moved}"
    before = (moved / "run.toml").read_bytes()
    done = vidaug("train", "--resume", moved, "--json")  # there is nothing left to do
    assert done.err == f"{moved}: 2 of 2 epochs are done\n"
    assert done.result == {"run": str(moved), "epochs": 2, "metrics": rows_of(moved)[-1]}
    assert (moved / "run.toml").read_bytes() == before


@pytest.mark.parametrize("words", [("--epochs", 4), ("--clips-seen", 50)])
def test_a_run_may_be_made_longer(words: tuple[object, ...], finished: Path, tmp_path: Path) -> None:
    """From there on the rate is that of the longer run: 50 clips are four epochs of three steps of four clips."""
    run = shutil.copytree(finished, tmp_path / "run")
    done = vidaug("train", "--resume", run, *words)
    assert done.code == 0
    assert done.err.splitlines()[0] == "48 clips seen = 4 passes over 12 clips; small was tuned at 16,800 clips seen"
    rows = rows_of(run)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    expected = [lr_share(5, 6, 1.5), lr_share(8, 12, 1.5), lr_share(11, 12, 1.5)]
    assert [row["lr"] for row in rows[1:]] == pytest.approx([3e-3 * share for share in expected])
    found = record_of(run)
    assert found["length"]["epochs"] == 4
    assert [start["epoch"] for start in found["started"]] == [0, 2]
    assert vidaug("train", "--resume", run).err == f"{run}: 4 of 4 epochs are done\n"
    said = f"{run}: has 4 epochs done, more than the 3 asked for; give more with --epochs or --clips-seen"
    assert refused(vidaug("train", "--resume", run, "--epochs", 3)) == said


def test_a_longer_run_that_is_cut_off_at_once_still_knows_how_long_it_is(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("vidaug_cli.train.loop.train_step", lambda *_: exec("raise KeyboardInterrupt"))
        assert vidaug("train", "--resume", run, "--epochs", 3).code == 130
    assert vidaug("train", "--resume", run).code == 0
    assert len(rows_of(run)) == 3


def test_shards_that_moved_are_given_anew(finished: Path, shards: Path, tmp_path: Path) -> None:
    run, elsewhere = shutil.copytree(finished, tmp_path / "run"), shutil.copytree(shards, tmp_path / "elsewhere")
    content = record_of(run)
    content["shards"][0]["path"] = gone = str(tmp_path / "gone")
    (run / "run.toml").write_text(tomli_w.dumps(content))
    said = f"{gone}: does not exist; say where its clips lie now: vidaug train SHARDS --resume {run}"
    assert refused(vidaug("train", "--resume", run, "--epochs", 3)) == said
    assert vidaug("train", elsewhere, "--resume", run, "--epochs", 3).code == 0
    assert record_of(run)["shards"][0]["path"] == str(elsewhere)
    other = make_shards(tmp_path / "other", videos=10)
    assert "holds another run, which differs in shards" in refused(vidaug("train", other, "--resume", run))


def test_weights_to_start_from_may_be_gone(shards: Path, tmp_path: Path) -> None:
    weights = save(tmp_path / "w.pt", SlowFast(NETWORK, 2).eval(), ("dark", "light"), ShardFolders([shards]).spec)
    run = tmp_path / "run"
    assert vidaug("train", shards, "-o", run, *WORDS, "--epochs", 1, "--init", weights).code == 0
    kept = record_of(run)["init"]
    assert kept["path"] == str(weights)
    weights.unlink()
    assert vidaug("train", "--resume", run, "--epochs", 2).code == 0
    assert record_of(run)["init"] == kept


def test_inspect_says_what_a_run_is(finished: Path, shards: Path) -> None:
    rows = rows_of(finished)
    best = max(rows, key=lambda row: (row["val_top1"], -row["val_loss"]))
    found = vidaug("inspect", finished, "--json").result
    assert (found["epochs_done"], found["best"], found["last"]) == (2, best, rows[-1])
    assert found["run"]["settings"] == record_of(finished)["settings"]
    done = vidaug("inspect", finished)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == f"{finished}: 2 of 2 epochs, 24 clips seen: 12 clips, 3 steps of 4 in an epoch"
    assert lines[1].startswith(f"best: epoch {best['epoch']}  loss ")
    assert f"trained on {shards}" in lines
    assert "  lr            0.003" in lines
    assert vidaug("inspect", finished, "--recipe").out == record_of(finished)["recipe"]


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"format": "x"}, "is no record of a run of vidaug"),
    ({"version": 2}, "is version 2, and this vidaug reads 1"),
    ({"shards": 3}, "shards: 3 should be a list"),
    ({"shards": []}, "shards = () should be one or more"),
    ({"started": []}, "started = () should be one or more"),
    ({"length": {}}, "length.clips: is missing"),
    ({"settings": {"lr": "fast"}}, "lr: 'fast' should be a number"),
    ({"settings": {"epochs": 0}}, "epochs = 0 should be 1 or more"),
    ({"settings": {"colour": 1}}, "colour: unknown key"),
    ({"recipe": "summary ="}, "run.toml"),
    ({"hold_out": {"share": 2.0, "fold": 0}}, "a share of 2 cannot be held out"),
]


@pytest.mark.parametrize(("changed", "said"), FAULTS, ids=lambda value: str(value)[:30])
def test_a_record_that_is_damaged_is_refused(
    changed: dict[str, Any], said: str, finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "run.toml").write_text(tomli_w.dumps(record_of(run) | changed))
    done = vidaug("train", "--resume", run)
    assert (done.code, done.out) == (1, "")
    assert said in done.err


def test_any_text_is_held_and_read_again(finished: Path, tmp_path: Path) -> None:
    """A recipe and a command of odd letters; a path whose bytes are no text is written with escapes."""
    record = read_record(finished)
    odd = 'name = "a\\"b"\n# \'\'\' """ \\ \u00fc \u2028 \x00 \t\n'
    (start,) = record.started
    write_record(tmp_path, replace(record, recipe=odd, started=(replace(start, command="vidaug a\udcff"),)))
    again = read_record(tmp_path)
    assert again.recipe == odd
    assert again.started[0].command == r"vidaug a\udcff"


@pytest.mark.parametrize("content", [b"\xff", b"= 1", b"", b"[" * 10_000])
def test_what_is_no_record_is_refused_in_a_line(content: bytes, finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "run.toml").write_bytes(content)
    for words in (("train", "--resume", run), ("inspect", run)):
        assert refused(vidaug(*words)).startswith(f"{run / 'run.toml'}: is no")
    (run / "run.toml").unlink()
    for words in (("train", "--resume", run), ("inspect", run)):
        said = f"{run}: holds no run.toml; a run is a folder that 'vidaug train' wrote"
        assert refused(vidaug(*words)) == said


@pytest.mark.parametrize("content", [b"\xff", b"1\n", b'{"epoch": 2}\n', b'{"epoch": "a"}\n'])
def test_damaged_metrics_are_refused_in_a_line(content: bytes, finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "metrics.jsonl").write_bytes(content)
    assert refused(vidaug("inspect", run)).startswith(f"{run / 'metrics.jsonl'}: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--resume", "run", "--seed", 3),
            "--seed does not go with --resume, which takes it from the run:",
        ),
        (
            ("--resume", "run", "-o", "run"),
            "--out does not go with --resume, which takes it from the run:",
        ),
        (("-o", "run"), "Missing argument 'SHARDS...'."),
        (("shards",), "Missing option '-o' / '--out'."),
    ],
)
def test_wrong_usage_is_said(words: tuple[object, ...], said: str) -> None:
    done = vidaug("train", *words)
    assert done.code == 2
    assert said in " ".join(done.err.split())


def test_neither_variables_nor_a_file_change_a_run_that_goes_on(finished: Path, tmp_path: Path) -> None:
    file = tmp_path / "vidaug.toml"
    file.write_text(
        '[train]\nout = "other"\nlr = 1\npreset = "vipriors2020"\nepochs = 9\nrecipe = "no.toml"\noverwrite = true\n'
        'hold_out = 0.5\nval = "shards"\nfold = 1\nset = ["a=1"]\nsubset = "test"\n'
    )
    run = shutil.copytree(finished, tmp_path / "run")
    done = vidaug("train", "--resume", run, VIDAUG_TRAIN_LR="1", VIDAUG_TRAIN_PRESET="vipriors2020")
    assert done[:3] == (0, "", f"{run}: 2 of 2 epochs are done\n")
    assert vidaug("--config", file, "train", "--resume", run) == done
    assert vidaug("train", "--resume", run, VIDAUG_TRAIN_OVERWRITE="1", VIDAUG_TRAIN_EPOCHS="9") == done
    assert "--lr does not go with --resume" in vidaug("--config", file, "train", "--resume", run, "--lr", 2).err
