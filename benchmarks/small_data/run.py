"""What inputs and recipes are worth on few videos: SlowFast from scratch on held-out videos, the same budget for all.

    VIDAUG_TEST_DATA=... python benchmarks/small_data/run.py WORK --jobs 2

Every step is a `vidaug` command, as a user types it, run in a process that has torch loaded already. Clips are made
once for each data set and split: of the training list, 20 random cuts and flips of each video at 48 pixels; of the test
list, five random cuts of each, and clips mixed with fademixup and framecutmix. Then for each arm, input, split and
seed: train (preset tiny), predict the test clips as they are and as they are disturbed while they play, and measure
localisation. Rows go to results.jsonl as they come; what stands there already is not run again, so that an interrupted
experiment goes on; the most informative runs come first. The network of the last epoch counts: none is chosen by its
result on the test videos.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from itertools import groupby, product
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
RESULTS, VIDEOS = HERE / "results.jsonl", HERE / "videos.json"
MIXTURES = ("fademixup", "framecutmix")  # that localisation is measured on
DISTURBED = "held=3,ramped=3"  # all kinds at their strongest
PURE = ("rotation", "shift", "brightness")  # whose pixels keep what they show


@dataclass(frozen=True)
class Data:
    """A data set: what its clips are."""

    clip: str  # options of `vidaug augment`
    copies: int = 20
    splits: tuple[int, ...] = (1, 2, 3)


DATA = {
    "ut-interaction": Data("--frames 16 --stride 4 --size 48 --crop 0.7 0.95"),
    "egogestar": Data("--frames 16 --stride 4 --size 48 --crop 0.8 1 --flip 0", 10),
    "miracl-words": Data("--frames 8 --stride 1 --size 48 --crop 0.8 1", 4),
    "avletters": Data("--frames 16 --stride 1 --size 48 --crop 0.8 1", 6),
}


def recipe(*words: str) -> str:
    """Return the options of `vidaug train` or `augment` for recipes; a word with = changes a key of randaugment_t."""
    return " ".join(f"--set randaugment_t.{word}" if "=" in word else f"-r {word}" for word in words)


ARMS = {  # options of `vidaug train`: recipes for each batch of clean clips
    "plain": "",
    "randaugment_small": recipe("randaugment_small"),
    "randaugment_t_small": recipe("randaugment_t_small"),
    "randaugment_small, m = 3": recipe("randaugment_small", "m=3"),
    "randaugment_t_small, m = 3": recipe("randaugment_t_small", "m=3"),
    "randaugment_small, m = 9": recipe("randaugment_small", "m=9"),
    "randaugment_t_small, m = 9": recipe("randaugment_t_small", "m=9"),
    **{
        name: recipe(name)
        for name in (
            *("randaugment", "randaugment_t", "randaugment_mix", "mixup", "fademixup", "cutmix", "framecutmix"),
            *("framecutmix_small", "cubecutmix", "cutmixup", "framecutmixup", "cubecutmixup"),
        )
    },
    "randaugment_t_small + fademixup": recipe("randaugment_t_small", "fademixup"),
    "vipriors2020": recipe("vipriors2020"),
    "vipriors2020_small": recipe("vipriors2020_small"),
    "label smoothing 0.1": "--smoothing 0.1",
    "average of weights": "--ema 0.99",
    **{f"{clips:,} clips seen": f"--clips-seen {clips}" for clips in (2_100, 4_200, 16_800)},
    "r10-small": "--network r10-small",
    "r18-small": "--network r18-small",
}
OFFLINE = ("randaugment_t_small", "fademixup")  # also made by `vidaug augment`, 20 clips of each video and no more
STORED = {  # clean clips to train on by codec; those to test on are raw
    "stored as raw": "-r none --codec raw",
    "stored as jpeg": "-r none --codec jpeg",
    "stored as video": "-r none --codec video",
    "stored as video 70": "-r none --codec video --quality 70",
}
MADE = {f"{name}, offline": ARMS[name] for name in OFFLINE} | STORED  # options of `vidaug augment`
ENSEMBLE = "rgb and diff"  # in place of an input: the mean of both networks' scores


class Key(NamedTuple):
    """One run."""

    data: str
    arm: str
    input: str
    split: int
    seed: int


# What is run, the most informative first: data, arms, inputs, seeds.
BOTH = ("rgb", "diff")
PLAN: list[tuple[str, Sequence[str], Sequence[str], Sequence[int]]] = [
    ("ut-interaction", ["plain"], BOTH, (0, 1, 2)),
    ("ut-interaction", ["randaugment_small", "randaugment_t_small"], ["rgb"], (0, 1)),
    ("ut-interaction", ["randaugment_small", "randaugment_t_small"], ["diff"], (0, 1, 2)),
    ("ut-interaction", ["4,200 clips seen"], BOTH, (0, 1, 2)),
    ("ut-interaction", ["plain"], ["rgb+diff", "slow-rgb-fast-diff"], [0]),
    ("egogestar", ["plain"], BOTH, [0]),
    ("ut-interaction", ["framecutmix", "framecutmix_small"], ["rgb"], [0]),
    ("ut-interaction", ["fademixup", "mixup", "cutmix"], ["rgb"], [0]),
    ("ut-interaction", ["randaugment_small", "randaugment_t_small"], ["rgb"], [2]),
    ("ut-interaction", ["randaugment_t"], ["rgb"], [0]),
    ("miracl-words", ["plain"], BOTH, [0]),
    ("ut-interaction", ["randaugment_t_small + fademixup", "fademixup", "vipriors2020_small"], ["diff"], [0]),
    ("ut-interaction", ["plain"], ["rgb+diff", "slow-rgb-fast-diff"], [1, 2]),
    ("ut-interaction", [name for name in ARMS if "m = " in name], ["rgb"], [0]),
    ("ut-interaction", ["2,100 clips seen", "16,800 clips seen"], BOTH, [0]),
    ("ut-interaction", ["r10-small", "label smoothing 0.1", "average of weights"], BOTH, [0]),
    ("ut-interaction", ["cubecutmix", "cutmixup", "framecutmixup", "cubecutmixup", "vipriors2020"], ["diff"], [0]),
    ("ut-interaction", [f"{name}, offline" for name in OFFLINE], ["diff"], [0]),
    ("ut-interaction", [*STORED], ["diff"], [0]),
    ("avletters", ["plain"], BOTH, [0]),
    ("ut-interaction", [*ARMS], BOTH, [0, 1, 2]),
    *((data, ["plain", "randaugment_t_small", "fademixup"], BOTH, [0, 1]) for data in DATA),
]


def wanted() -> Iterator[Key]:
    """Yield the runs in the order of the plan, each once; an ensemble after the last run that it needs."""
    yielded: dict[Key, None] = {}
    for data, arms, inputs, seeds in PLAN:
        for seed, arm, split in product(seeds, arms, DATA[data].splits):
            for name in (*inputs, *([ENSEMBLE] if inputs == BOTH else [])):
                yielded.setdefault(Key(data, arm, name, split, seed))
    yield from yielded


def vidaug(*words: object) -> dict[str, Any]:
    """Run a command in this process, and return the result that it prints with --json."""
    from vidaug_cli.main import cli

    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main([*map(str, words), "--json"], prog_name="vidaug", standalone_mode=False)
    except (Exception, SystemExit) as error:
        raise RuntimeError(f"vidaug {' '.join(map(str, words))}\n{error}\n{err.getvalue()}") from error
    printed: dict[str, Any] = json.loads(out.getvalue())["result"]
    return printed


def prepare(source: Path, work: Path, data: str, split: int) -> str:
    """Make the clips of one split; a folder that is there already is only checked."""
    chosen, folder = DATA[data], work / data
    base = [source / data, "--split", split, "-j", 1, *chosen.clip.split()]
    train, test = [*base, "--subset", "train"], [*base, "--subset", "test"]
    vidaug("augment", *train, "-r", "none", "--copies", chosen.copies, "-o", folder / f"clean-{split}")
    vidaug("augment", *test, "-r", "none", "--copies", 5, "--flip", 0, "--seed", 1, "-o", folder / f"test-{split}")
    for name in MIXTURES:
        vidaug("augment", *test, "-r", name, "--copies", 2, "-o", folder / f"test-{name}-{split}")
    return f"{data} {split}"


def offline(source: Path, work: Path, key: Key) -> Path:
    """Make the clips of an arm that is a matter of `vidaug augment`."""
    chosen = DATA[key.data]
    folder = work / key.data / f"{key.arm.replace(', ', '-').replace(' ', '-')}-{key.split}"
    base = [source / key.data, "--split", key.split, "--subset", "train", "-j", 1, *chosen.clip.split()]
    vidaug("augment", *base, *MADE[key.arm].split(), "--copies", chosen.copies, "-o", folder)
    return folder


def measure(source: Path, work: Path, key: Key) -> dict[str, Any]:
    """Train, predict and localise once, or average the scores of the two runs that an ensemble needs."""
    import torch

    torch.set_num_threads(1)
    folder, run = work / key.data, run_folder(work, key)
    scores, row = run / "scores.h5", {**key._asdict()}
    if key.input == ENSEMBLE:
        run.mkdir(parents=True, exist_ok=True)
        both = [run_folder(work, key._replace(input=name)) / "scores.h5" for name in BOTH]
        vidaug("ensemble", *both, "-o", scores)
        return row | read(scores)
    clips = offline(source, work, key) if key.arm in MADE else folder / f"clean-{key.split}"
    budget = ["--preset", "tiny", "--input", key.input, "--seed", key.seed, "--threads", 1]
    began = time.monotonic()
    trained = vidaug("train", clips, *ARMS.get(key.arm, "").split(), *budget, "-o", run)
    row |= {name: round(trained[name], 4) for name in ("top1", "loss")} | {"epochs": trained["epochs"]}
    row = {"train_" + name if name in ("top1", "loss") else name: value for name, value in row.items()}
    row["seconds"] = round(time.monotonic() - began, 1)
    vidaug("predict", run, folder / f"test-{key.split}", "--perturb", DISTURBED, "-j", 1, "-o", scores)
    row |= read(scores)
    row["localised"] = {}
    for mixture in MIXTURES:
        found = vidaug("cam", run, folder / f"test-{mixture}-{key.split}", "--measure")["localisation"]
        row["localised"][mixture] = found["correlation"] and round(found["correlation"], 4)
    for name in ("last.safetensors", "best.safetensors"):
        (run / name).unlink()  # some 8 MB a run
    return row


def run_folder(work: Path, key: Key) -> Path:
    """Return the folder of a run."""
    return work / key.data / "runs" / "-".join(map(str, key[1:])).replace(" ", "").replace(",", "_")


def read(path: Path) -> dict[str, Any]:
    """Return what the scores say of each video, as 1 for right and 0 for wrong, or as a mean over disturbances."""
    import numpy as np

    from vidaug_cli import read_scores
    from vidaug_cli.ops.disturbances import DISTURBANCES

    scores = read_scores(path)
    right = scores.scores.argmax(1) == scores.labels
    row: dict[str, Any] = {"top1": round(float(right.mean()), 4), "correct": "".join(map(str, right.astype(int)))}
    if scores.disturbed is not None:
        held_out = scores.disturbed.argmax(2) == scores.labels
        rows = {name: (DISTURBANCES[name], one) for name, one in zip(scores.disturbances, held_out, strict=True)}
        row["disturbed"] = {name: "".join(map(str, one.astype(int))) for name, (_, one) in rows.items()}
        for course in ("held", "ramped"):
            pure = [one for each, one in rows.values() if each.course == course and each.kind in PURE]
            row[course] = round(float(np.mean(pure)), 4)
    classes = [scores.classes[label] for label in scores.labels]
    return row | {"videos": dict(zip(scores.videos, classes, strict=True))}


def keep(row: dict[str, Any], results: Path, videos: Path) -> None:
    """Add a row to the results. Names of videos, the same for all runs of a split, go to a file of their own."""
    named = json.loads(videos.read_text("utf-8")) if videos.exists() else {}
    split, names = f"{row['data']} {row['split']}", row.pop("videos")
    if named.setdefault(split, names) != names:
        raise RuntimeError(f"the videos of {split} are others than those in {videos}")
    videos.write_text(json.dumps(named, indent=0, ensure_ascii=False) + "\n", "utf-8")
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def main() -> None:
    """Do the runs that are not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for clips and runs, some 10 GB")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one core")
    parser.add_argument("--only", nargs="+", default=[], metavar="ARM", help="run these arms and no others")
    parser.add_argument("--data", nargs="+", default=[*DATA], choices=[*DATA])
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    source, videos = Path(os.environ["VIDAUG_TEST_DATA"]), args.results.with_name(VIDEOS.name)
    lines = args.results.read_text("utf-8").splitlines() if args.results.exists() else []
    done = {Key(*(row[name] for name in Key._fields)) for row in map(json.loads, lines)}
    todo = [
        key for key in wanted() if key not in done and key.data in args.data and (key.arm in args.only or not args.only)
    ]
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes
    with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        for data, group in groupby(todo, attrgetter("data")):  # as they follow each other in the plan
            keys = list(group)
            splits = sorted({key.split for key in keys})
            list(pool.map(partial(prepare, source, args.work, data), splits))
            for chosen in (is_single, is_ensemble):  # an ensemble when both its runs are there
                runs = [pool.submit(measure, source, args.work, key) for key in filter(chosen, keys)]
                for run in as_completed(runs):
                    report(run.result(), args.results, videos)


def is_ensemble(key: Key) -> bool:
    """Return whether it averages scores of other runs."""
    return key.input == ENSEMBLE


def is_single(key: Key) -> bool:
    """Return whether it trains."""
    return not is_ensemble(key)


def report(row: dict[str, Any], results: Path, videos: Path) -> None:
    """Keep a row, and print it for who waits."""
    said = [row[name] for name in Key._fields], f"top-1 {row['top1']:.3f}", row.get("held"), row.get("ramped")
    keep(row, results, videos)
    print(*said, row.get("seconds"), flush=True)


if __name__ == "__main__":
    main()
