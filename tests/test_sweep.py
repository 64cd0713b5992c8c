"""`vidaug sweep`: the grid, halving, what is chosen, and that its runs are those of `vidaug train` and `predict`."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_video
from console import Done, vidaug
from hypothesis import given
from hypothesis import strategies as st
from score_makers import scores_of
from train_makers import NETWORK, make_shards, same

from vidaug_cli.augment.plan import read_plan
from vidaug_cli.errors import VidaugError
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.scores.file import read_scores
from vidaug_cli.sweep.grid import Axis, Base, Configuration, configurations, parse_axis
from vidaug_cli.sweep.halving import schedule
from vidaug_cli.sweep.plan import Part, SweepRun
from vidaug_cli.sweep.run import Standings, share_right
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.settings import Settings
from vidaug_cli.train.slowfast import ARCHITECTURES

SETTINGS = ("--network", "tiny", "--epochs", 2, "--batch-size", 4, "--amp", "off", "--device", "cpu")


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("sweep") / "shards")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips to choose on."""
    return make_shards(tmp_path_factory.mktemp("others") / "shards", videos=7)


def sweep(shards: object, out: Path, *words: object) -> Done:
    return vidaug("sweep", shards, "-o", out, *SETTINGS, "-j", 1, "--threads", 1, *words)


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("randaugment_t.m=3,6,9", Axis("randaugment_t.m", ("3", "6", "9"))),
        ("lr=1e-3, 3e-3", Axis("lr", ("1e-3", "3e-3"))),
        ("batch-size=4,8", Axis("batch_size", ("4", "8"))),
        ("recipe=none,mixup+cutout", Axis("recipe", ("none", "mixup+cutout"))),
        (
            'augment.0.ops=["invert"],["rotate","solarize"]',
            Axis("augment.0.ops", ('["invert"]', '["rotate","solarize"]')),
        ),
    ],
)
def test_an_axis_is_a_key_and_its_values(text: str, axis: Axis) -> None:
    assert parse_axis(text) == axis


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr", "--grid lr: should be KEY=VALUE,VALUE...; such as"),
        ("lr=", "should be KEY=VALUE"),
        ("lr=1e-3,,3e-3", "should be KEY=VALUE"),
        ("lrr=1", "no setting 'lrr'; did you mean 'lr'?"),
        ("seed=1,2", "'--seeds 3' takes several"),
        ("lr=1e-3,1e-3", "has a value twice"),
    ],
)
def test_what_is_no_axis_is_said(text: str, said: str) -> None:
    with pytest.raises(VidaugError) as error:
        parse_axis(text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def ops_of(point: Configuration) -> list[Any]:
    return [step.op for step in point.recipe.augment] if point.recipe else []


def test_the_grid_has_every_combination_with_its_settings_and_recipe() -> None:
    axes = [parse_axis(text) for text in ("randaugment_t.n=1,2", "lr=1e-3,3e-3", "randaugment_t.m=4,8,16")]
    points = configurations(axes, Base("small", (("epochs", 3),), ("randaugment_t",), ("randaugment_t.range=0.5",)))
    assert [each.number for each in points] == list(range(12))
    seen = [(op.n, each.settings.lr, op.m, op.range) for each in points for op in ops_of(each)]
    assert seen == [(n, lr, m, 0.5) for n in (1, 2) for lr in (1e-3, 3e-3) for m in (4, 8, 16)]
    assert {each.settings.epochs for each in points} == {3}
    assert points[0].name == "n=1 lr=1e-3 m=4"


def test_whole_recipes_are_values_too() -> None:
    points = configurations([parse_axis("recipe=none,fademixup+cutout"), parse_axis("cutout.size=0.1")][:1], Base())
    assert [each.recipe and len(each.recipe.mix) + len(each.recipe.augment) for each in points] == [0, 2]


def test_a_stride_is_written_as_after_its_option() -> None:
    points = configurations([parse_axis("stride=2,1-2.5,[2,3]")], Base(given=(("frames", 4),)))
    assert [each.settings.stride for each in points] == [2, (1, 2.5), (2, 3)]


@pytest.mark.parametrize(
    ("grid", "base", "said"),
    [
        (["stride=1,3-2"], Base(), "--grid stride=3-2: stride = (3, 2) should be 1 to 1024"),
        (["lr=1", "lr=2"], Base(), "--grid lr is given twice"),
        (["recipe=none,mixup"], Base(recipe=("cutout",)), "give only one of them"),
        (["mixup.beta=1,2"], Base(), "mixup.beta changes a recipe, and there is none"),
        (["epochs=2,x"], Base(), "--grid epochs=x: epochs: 'x' should be a whole number"),
        (["lr=0.1,-1"], Base(), "--grid lr=-1: lr = -1 should be a number above 0"),
        (["preset=small,smal"], Base(), "no preset 'smal'; did you mean 'small'?"),
        (["mixup.betta=1"], Base(recipe=("mixup",)), "betta: unknown key; did you mean 'beta'?"),
        (
            [f"lr={','.join(map(str, range(1, 102)))}", f"epochs={','.join(map(str, range(1, 101)))}"],
            Base(),
            "10100 conf",
        ),
    ],
)
def test_a_grid_that_cannot_be_is_said(grid: list[str], base: Base, said: str) -> None:
    with pytest.raises(VidaugError) as error:
        configurations(list(map(parse_axis, grid)), base)
    assert said in str(error.value)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(2, 6))
def test_halving_keeps_a_part_and_multiplies_its_budget(configurations: int, epochs: int, eta: int) -> None:
    rungs = schedule(configurations, epochs, eta)
    assert (rungs[0].configurations, rungs[-1].share) == (configurations, 1.0)
    for before, after in pairwise(rungs):
        assert after.configurations == before.configurations // eta >= 1
        assert after.share == pytest.approx(eta * before.share)
    assert rungs[0].share * epochs >= 1 - 1e-9
    assert rungs[-1].configurations < eta or rungs[0].share * epochs < eta  # no rung more would fit
    # A rung costs no more than the first: that is what makes halving cheap.
    costs = [rung.configurations * rung.share for rung in rungs]
    assert max(costs) <= costs[0] * (1 + 1e-9)


def test_the_schedule_of_hyperband() -> None:
    """The column s = 4 of table 1 in arXiv:1603.06560: R = 81, eta = 3."""
    rungs = schedule(81, 81, 3)
    assert [(rung.configurations, round(81 * rung.share, 9)) for rung in rungs] == [
        (81, 1),
        (27, 3),
        (9, 9),
        (3, 27),
        (1, 81),
    ]


def test_a_shorter_run_has_the_same_share_of_warm_up() -> None:
    rung = schedule(4, 8)[0]
    short = rung.settings(Settings(epochs=8, warmup=2.0))
    assert (short.epochs, short.warmup) == (2, 0.5)
    short = rung.settings(Settings(epochs=None, clips_seen=4000))
    assert (short.clips_seen, short.epochs, short.warmup) == (1000, None, None)


def test_a_tie_goes_to_the_simpler_recipe_and_then_to_the_first(tmp_path: Path) -> None:
    points = configurations([parse_axis("recipe=mixup+cutout,mixup,fademixup,none,cutmix")], Base())
    standings = Standings()
    right = {0: 6, 1: 6, 2: 6, 3: 5}  # of 8 videos; the last failed
    for each in points:
        folder = tmp_path / str(each.number)
        run = SweepRun(configuration=each, rung=0, settings=each.settings, part=Part("", 0), folder=folder)
        standings.last[each.number] = [run]
        if each.number in right:
            scores = np.full((8, 6), 0.02, np.float32)
            scores[np.arange(8), [0] * right[each.number] + [1] * (8 - right[each.number])] = 0.9
            standings.scores[folder] = scores_of(scores=scores, labels=np.zeros(8, np.int64), failures=())
    assert [each.number for each in standings.ranked(points)] == [1, 2, 0, 3]
    assert standings.accuracy(points[3]) == pytest.approx(5 / 8)
    assert standings.accuracy(points[4]) is None


def test_a_video_that_failed_counts_as_wrong() -> None:
    scores = scores_of(4, scores=np.eye(4, 6, dtype=np.float32), labels=np.arange(4))
    assert share_right(scores) == 4 / 5


def test_a_sweep_leaves_runs_a_table_and_the_best_recipe(shards: Path, others: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    words = ("--val", others, "-r", "mixup", "--grid", "mixup.beta=0.2,1", "--grid", "lr=1e-3,0.1", "--seeds", 2)
    done = sweep(shards, out, *words, "--json")
    assert done.code == 0
    found = done.result
    assert json.loads((out / "table.json").read_text()) == found
    assert len(found["rows"]) == 4
    runs = sorted(out.glob("runs/*/*"))
    assert [run.name for run in runs] == ["seed=0", "seed=1"] * 4
    assert [run.parent.name for run in runs[::2]] == [
        *("0-beta=0.2,lr=1e-3", "1-beta=0.2,lr=0.1", "2-beta=1,lr=1e-3", "3-beta=1,lr=0.1")
    ]
    # What the table says, counted by hand.
    means = {}
    for folder in {run.parent for run in runs}:
        correct = []
        for run in folder.iterdir():
            scores = read_scores(run / "scores.h5")
            correct.append((scores.scores.argmax(1) == scores.labels).mean())
        means[folder.name.partition("-")[2].replace(",", " ")] = np.mean(correct)
    assert {row["name"]: row["measures"]["top-1"]["value"] for row in found["rows"]} == pytest.approx(means)
    assert means[found["rows"][0]["name"]] == max(means.values())
    with (out / "table.csv").open(newline="") as file:
        assert [row["row"] for row in csv.DictReader(file)] == [row["name"] for row in found["rows"]]
    # The best recipe, as other commands take it.
    op: Any = load_recipe(str(out / "best.toml")).mix[0].op
    assert op.beta == float(found["best"]["values"]["mixup.beta"])
    assert vidaug("recipes", "check", out / "best.toml").code == 0
    assert f"--recipe {out / 'best.toml'} --network tiny --epochs 2" in done.err
    assert "optimistic" in done.err
    # Once more nothing is done, and another sweep is refused.
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*/*")}
    again = sweep(shards, out, *words, "--json")
    assert (again.code, again.out) == (0, done.out)
    assert f"{out}: 8 of 8 runs are done" in again.err
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*/*")} == before
    for more, key in (
        (("--seeds", 3), "seeds (2 there, 3 now)"),
        (("--grid", "ema=0.9"), "grid, settings"),
        (("--threads", 3), "threads (1 there, 3 now)"),
    ):
        other = sweep(shards, out, *words, *more)
        assert other.code == 1
        said = (
            f"vidaug: error: {out}: holds another sweep, which differs in {key}; choose another folder, or --overwrite"
        )
        assert other.err.splitlines()[-1] == said
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*/*")} == before


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of each of four persons in both classes, which differ in brightness."""
    folder = tmp_path_factory.mktemp("held") / "videos"
    for label in ("dark", "light"):
        for person in range(4):
            level = 30 + 150 * (label == "light") + person
            write_video(folder / label / f"person{person}_{label}.avi", level=lambda number, level=level: level)
    return folder


def test_its_runs_are_those_of_train_and_predict(videos: Path, tmp_path: Path) -> None:
    """Bit for bit, with videos held out, whose clips are rendered once for all runs."""
    clips = tmp_path / "clips"
    made = ("-r", "none", "--copies", 2, "--frames", 8, "--size", 32, "-q")
    assert vidaug("augment", videos, *made, "-o", clips).code == 0
    out = tmp_path / "sweep"
    words = ("-r", "mixup", "--grid", "mixup.beta=0.5", "--seeds", 2, "--folds", 2)
    assert sweep(clips, out, *words).code == 0
    runs = sorted(out.glob("runs/*/*"))
    assert [run.name for run in runs] == ["seed=0,fold=0", "seed=0,fold=1", "seed=1,fold=0", "seed=1,fold=1"]
    run, plain = runs[3], tmp_path / "plain"
    held = ("--hold-out", 0.25, "--fold", 1, "--seed", 1, "--threads", 1)
    same_words = ("-r", "mixup", "--set", "mixup.beta=0.5", *held)
    assert vidaug("train", clips, "-o", plain, *SETTINGS, *same_words, "-q").code == 0
    for name in ("best.safetensors", "last.safetensors"):
        assert same(*(read_checkpoint(folder / name).weights for folder in (run, plain)))
    quiet = ("--amp", "off", "-j", 1, "-q")
    assert vidaug("predict", plain, plain / "validation", "-o", tmp_path / "scores.h5", *quiet).code == 0
    ours, theirs = read_scores(run / "scores.h5"), read_scores(tmp_path / "scores.h5")
    assert ours.videos == theirs.videos
    assert (ours.scores == theirs.scores).all()
    assert len({video.split("/")[1][:7] for video in ours.videos}) == 1  # all of one person
    assert vidaug("train", clips, "-o", run, *SETTINGS, *same_words).err.endswith("2 of 2 epochs are done\n")
    assert len(list(out.glob("clips/*/validation/[0-9]*/*.h5"))) == 2  # a fold each


def test_clips_to_choose_on_are_as_fast_as_those_to_train_on(videos: Path, tmp_path: Path) -> None:
    clips, out = tmp_path / "clips", tmp_path / "sweep"
    made = ("-r", "none", "--frames", 16, "--size", 32, "--stride", 1)
    assert vidaug("augment", videos, *made, "-o", clips).code == 0
    words = ("--clips-seen", 4, "--frames", 4, "--grid", "stride=1,2-3", "--hold-out", 0.5)
    settings = [word for word in SETTINGS if word not in ("--epochs", 2)]
    done = vidaug("sweep", clips, "-o", out, *settings, "-j", 1, "--threads", 1, *words)
    assert done.code == 0
    assert re.search(r" --stride (1|2-3)\b", (out / "table.txt").read_text().splitlines()[-1])
    for run in out.glob("runs/*/*"):
        said = tomllib.loads((run / "run.toml").read_text())
        wanted = np.mean(said["settings"]["stride"])
        assert read_plan(Path(said["validation"]["path"])).spec.stride == wanted
        assert "these clips play" not in (run / "log.txt").read_text()
    strides = {read_plan(each).spec.stride for each in out.glob("clips/*/validation")}
    assert strides == {1, 2.5}


def test_splits_train_on_shards_of_their_own(shards: Path, others: Path, tmp_path: Path) -> None:
    make_shards(tmp_path / "clips-1")
    make_shards(tmp_path / "clips-2", videos=8)
    out = tmp_path / "sweep"
    words = ("--val", others, "--grid", "lr=1e-3", "--splits", "1,2")
    done = sweep(tmp_path / "clips-{split}", out, *words, "--epochs", 1, "--warmup", 0, "--sync-bn")
    assert done.code == 0
    assert "--epochs 1 " in done.err
    assert "--warmup 0.0 --sync-bn --amp off --lr 1e-3\n" in done.err
    assert [run.name for run in sorted(out.glob("runs/*/*"))] == ["seed=0,split=1", "seed=0,split=2"]
    identities = [read_checkpoint(run / "last.safetensors").settings["shards"] for run in sorted(out.glob("runs/*/*"))]
    assert [identity[-1] for identity in identities] == [12, 8]
    assert "--splits needs {split} in SHARDS" in sweep(shards, tmp_path / "no", *words).err
    assert "--splits is not given" in sweep(tmp_path / "clips-{split}", tmp_path / "no", *words[:4]).err


def test_a_run_that_diverges_drops_out(shards: Path, others: Path, tmp_path: Path) -> None:
    words = ("--val", others, "--optimizer", "sgd", "--grid", "lr=1e-3,1e30", "--warmup", 0)
    done = sweep(shards, tmp_path / "sweep", *words, "--json")
    assert done.code == 0
    found = done.result
    assert [row["name"] for row in found["rows"]] == ["lr=1e-3"]
    assert list(found["failed"]) == ["lr=1e30 seed=0"]
    assert "left out, as a run failed: lr=1e30 seed=0: " in done.err
    done = sweep(shards, tmp_path / "none", *words[:4], "--grid", "lr=1e30", "--warmup", 0)
    assert done.code == 1
    assert "a run of every configuration failed; lr=1e30 seed=0: " in done.err.splitlines()[-1]


def test_halving_trains_the_better_ones_longer(shards: Path, others: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    words = ("--val", others, "--grid", "lr=1e-4,1e-3,3e-3,1e-2", "--epochs", 4, "--halving")
    done = sweep(shards, out, *words, "--json")
    assert done.code == 0
    found = done.result
    assert [(rung["configurations"], rung["share"]) for rung in found["schedule"]] == [(4, 0.25), (2, 0.5), (1, 1)]
    state = json.loads((out / "sweep.json").read_text())
    assert state["schedule"] == found["schedule"]
    epochs = [row["name"].partition("(")[2] for row in found["rows"]]
    assert epochs == ["4 epochs)", "2 epochs)", "1 epochs)", "1 epochs)"]
    assert len(list(out.glob("runs/*/epochs=*,seed=0/scores.h5"))) == 4 + 2 + 1
    accuracies = {
        path.parent.parent: share_right(read_scores(path)) for path in out.glob("runs/*/epochs=1,*/scores.h5")
    }
    kept = {path.parent.parent for path in out.glob("runs/*/epochs=2,*/scores.h5")}
    assert min(accuracies[run] for run in kept) >= max(accuracies[run] for run in accuracies.keys() - kept)


def test_a_dry_run_writes_nothing(shards: Path, others: Path, tmp_path: Path) -> None:
    words = ("--val", others, "-r", "mixup", "--grid", "mixup.beta=0.2,1", "--seeds", 2, "--dry-run")
    done = sweep(shards, tmp_path / "sweep", *words, "--json")
    assert done.code == 0
    found = done.result
    assert found["runs"] == [f"beta={beta} seed={seed}" for beta in ("0.2", "1") for seed in (0, 1)]
    assert found["seconds"] > 0
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--val", "x", "--hold-out", 0.2), 2, "--hold-out and --val both say what to choose on: give one of them."),
        (("--limit", 3), 2, "--limit is for the videos of --val: give --val VIDEOS, or leave it out."),
        (("--folds", 5), 1, "folds = 5 should be 1 to "),
        (("--hold-out", 0.9), 1, "hold_out = 0.9 should be a share above 0, and 0.5 at most"),
        (("--grid", "network=tiny,tinny"), 1, "no network 'tinny'; did you mean 'tiny'?"),
        (("--warmup", 3), 1, "warmup = 3.0 should be 0 to the number of epochs"),
    ],
)
def test_what_cannot_be_is_said_before_a_run(
    words: tuple[object, ...], code: int, said: str, shards: Path, tmp_path: Path
) -> None:
    done = sweep(shards, tmp_path / "sweep", *words)
    assert done.code == code
    assert said in " ".join(done.err.split())
    assert not (tmp_path / "sweep").exists()


def test_a_folder_of_something_else_is_left_alone(shards: Path, others: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = sweep(shards, tmp_path, "--val", others, "--overwrite")
    assert done.err.endswith(f"{tmp_path}: is not empty, and is no sweep; choose another folder\n")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from train_makers import NETWORK
from vidaug_cli.main import main
from vidaug_cli.train.slowfast import ARCHITECTURES
ARCHITECTURES["tiny"] = NETWORK  # in the processes that it starts, too
if __name__ == "__main__":
    main()
"""


def wait_for(condition: Callable[[], Any], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


def interrupted_words(shards: Path, others: Path) -> tuple[object, ...]:
    settings = ("--network", "tiny", "--epochs", 12, "--batch-size", 4, "--amp", "off", "--device", "cpu")
    return "sweep", shards, *settings, "--val", others, "-r", "mixup", "--grid", "mixup.beta=0.2,1", "--threads", 1


@pytest.fixture(scope="module")
def unbroken(shards: Path, others: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", NETWORK)
        assert vidaug(*interrupted_words(shards, others), "-o", out, "-j", 1, "-q").code == 0
    return out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_cut_off_in_a_run_it_ends_with_the_table_of_an_unbroken_sweep(
    number: signal.Signals, code: int, shards: Path, others: Path, unbroken: Path, tmp_path: Path
) -> None:
    """Side by side in processes, all of which are killed after a checkpoint; Ctrl-C reaches all, too."""
    program, out, words = tmp_path / "program.py", tmp_path / "broken", interrupted_words(shards, others)
    program.write_text(PROGRAM.format(tests=str(Path(__file__).parent)))
    command = [sys.executable, str(program), *map(str, words), "-o", str(out), "-j", "2"]
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        wait_for(lambda: list(out.glob("runs/*/*/last.safetensors")) or process.poll() is not None, 90)
        assert process.poll() is None, (tmp_path / "said.txt").read_text()
        os.killpg(process.pid, number)
        assert process.wait(60) == code
    begun = {path: read_checkpoint(path).epoch for path in out.glob("runs/*/*/last.safetensors")}
    assert begun
    assert all(0 < epoch < 12 for epoch in begun.values())
    assert not list(out.glob("runs/*/*/scores.h5"))
    assert wait_for(lambda: not living(process.pid), 15)
    assert vidaug(*words, "-o", out, "-j", 1, "-q").code == 0
    for name in ("table.csv", "best.toml"):
        assert (out / name).read_bytes() == (unbroken / name).read_bytes()
    for path in out.glob("runs/*/*/scores.h5"):
        assert (read_scores(path).scores == read_scores(unbroken / path.relative_to(out)).scores).all()


def living(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
