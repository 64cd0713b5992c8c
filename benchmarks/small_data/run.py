"""What each recipe adds on 84 videos: SlowFast from scratch on ut-interaction, held-out sequences, same budget for all.

    VIDAUG_TEST_DATA=... python benchmarks/small_data/run.py WORK --seeds 0 1 --jobs 2

Every step is a `vidaug` command, as a user types it: clean clips of the training list once for each split (20 random
cuts and flips of each video), then for each recipe, split and seed: train with the recipe on the device, predict 10
views of the held-out videos, evaluate, and measure localisation on held-out clips mixed with fademixup and framecutmix.
Rows go to results.jsonl as they come; what stands there already is not run again, so an interrupted experiment goes on.
The network of the last epoch counts: none is chosen by its result on the held-out videos.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
CLIP = ["--frames", "16", "--stride", "4", "--size", "80", "--crop", "0.7", "0.95"]
COPIES, EPOCHS = 20, 10

SHIPPED = [
    *("randaugment", "randaugment_t", "randaugment_temporal", "randaugment_mix"),
    *("mixup", "fademixup", "cutmix", "framecutmix", "cubecutmix"),
    *("cutmixup", "framecutmixup", "cubecutmixup", "cutout", "framecutout", "cubecutout"),
]
MONOTONE = ["-r", "randaugment_t", "--set", "randaugment_t.table=monotone"]  # the paper's own is "official"
ONLINE = {  # options of `vidaug train`: a recipe for each batch of clean clips
    "crop and flip": [],
    **{name: ["-r", name] for name in SHIPPED},
    "randaugment_t, monotone": MONOTONE,
    "randaugment_t, monotone + fademixup": [*MONOTONE, "-r", "fademixup"],
    "randaugment_t + fademixup": ["-r", "randaugment_t", "-r", "fademixup"],
}
OFFLINE = {f"{name}, offline": ["-r", name] for name in ("randaugment_t", "fademixup", "cutmix")}  # of `vidaug augment`
MEASURED = ("fademixup", "framecutmix")  # mixtures that localisation is measured on


def vidaug(*words: object) -> dict[str, Any]:
    """Run a command on one core, and return what it says with --json."""
    command = [sys.executable, "-m", "vidaug_cli", *map(str, words), "--json"]
    one_core = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=one_core, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def prepare(data: Path, work: Path, split: int, offline: dict[str, list[str]]) -> None:
    """Make the clips of one split; a folder that is there already is only checked."""
    one = [data, "--split", split, "-j", 1, *CLIP]
    made = {"clean": ["-r", "none"]} | offline
    for name, chosen in made.items():
        vidaug("augment", *one, "--subset", "train", *chosen, "--copies", COPIES, "-o", work / f"{name}-{split}")
    for name in MEASURED:
        vidaug("augment", *one, "--subset", "test", "-r", name, "--copies", 4, "-o", work / f"test-{name}-{split}")


def measure(data: Path, work: Path, name: str, split: int, seed: int, epochs: int) -> dict[str, Any]:
    """Train, predict, evaluate and localise once."""
    run = work / f"run-{name}-{split}-{seed}-{epochs}".replace(" ", "")
    clips = work / f"{name if name in OFFLINE else 'clean'}-{split}"
    budget = ["--preset", "small", "--epochs", epochs, "--seed", seed]
    trained = vidaug("train", clips, *ONLINE.get(name, []), *budget, "-o", run)
    videos = [data, "--split", split, "--subset", "test"]
    vidaug("predict", run / "best.safetensors", *videos, "--views", 10, "-j", 1, "-o", run / "scores.h5")
    found = vidaug("evaluate", run / "scores.h5", "--train", clips)
    located = {
        mixture: vidaug("cam", run / "best.safetensors", work / f"test-{mixture}-{split}", "--measure")["localisation"]
        for mixture in MEASURED
    }
    return {
        "recipe": name,
        "split": split,
        "seed": seed,
        "epochs": epochs,
        "train_top1": trained["top1"],
        "train_loss": trained["loss"],
        "seconds": trained["seconds"] * epochs,
        "evaluation": found,
        "localisation": located,
    }


def main() -> None:
    """Do the runs that are not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for clips and runs, some 5 GB")
    parser.add_argument(
        "--recipes", nargs="+", default=[*ONLINE, *OFFLINE], choices=[*ONLINE, *OFFLINE], metavar="NAME"
    )
    parser.add_argument("--splits", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one core")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    data = Path(os.environ["VIDAUG_TEST_DATA"]) / "ut-interaction"
    rows = [json.loads(line) for line in args.results.read_text().splitlines()] if args.results.exists() else []
    done = {(row["recipe"], row["split"], row["seed"], row["epochs"]) for row in rows}
    wanted = [(name, split, seed) for seed, name, split in product(args.seeds, args.recipes, args.splits)]
    todo = [key for key in wanted if (*key, args.epochs) not in done]
    lock = Lock()

    def work_off(key: tuple[str, int, int]) -> None:
        row = measure(data, args.work, *key, args.epochs)
        with lock, args.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(*key, f"top-1 {row['evaluation']['top1']:.3f}", f"{row['seconds']:.0f} s", flush=True)

    with ThreadPoolExecutor(args.jobs) as pool:
        offline = {name: chosen for name, chosen in OFFLINE.items() if name in args.recipes}
        list(pool.map(lambda split: prepare(data, args.work, split, offline), args.splits))
        list(pool.map(work_off, todo))


if __name__ == "__main__":
    main()
