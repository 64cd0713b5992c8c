"""Pages for tests: of shards, and of a run with all that its folder can have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console import vidaug
from score_makers import scores_of
from train_makers import NETWORK, make_shards

from vidaug_cli.scores.file import write_scores
from vidaug_cli.train.slowfast import ARCHITECTURES

CLASSES = ("dark", "light")
SETTINGS = ("--network", "tiny", "--batch-size", 4, "--warmup", 0.5, "--amp", "off", "--threads", 1)


def page_of(*sources: object, out: Path, words: tuple[object, ...] = ()) -> str:
    """The text of a page."""
    done = vidaug("report", *sources, "-o", out, *words, "-q")
    assert (done.code, done.err) == (0, "")
    return out.read_text(encoding="utf-8")


def numbers_in(page: str) -> list[dict[str, Any]]:
    """The table of clips of a page."""
    (text,) = re.findall(r'<script type="application/json" class="numbers">(.*?)</script>', page, re.DOTALL)
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def train_run(folder: Path, shards: Path, validation: Path, *words: object) -> Path:
    """A run of two epochs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", NETWORK)
        done = vidaug("train", shards, "-o", folder, "--val", validation, "--epochs", 2, *SETTINGS, "-q", *words)
    assert done.code == 0, done.err
    return folder


def make_runs(folder: Path) -> list[Path]:
    """Two runs with scores, of which those of the first are of disturbed videos too; beside them mixed clips."""
    shards = make_shards(folder / "shards", CLASSES)
    clean = make_shards(folder / "clean", CLASSES, videos=6)
    make_shards(folder / "mixed", CLASSES, videos=6, recipe="cutmix", share=0.6)
    disturbances = ("rotation-held-1", "rotation-ramped-1", "cut-1")
    runs = []
    for seed in (0, 1):
        run = train_run(folder / f"run-{seed}", shards, clean, "--seed", seed)
        more: dict[str, Any] = {}
        if seed == 0:
            shares = np.random.default_rng(7).dirichlet(np.ones(6), (len(disturbances), 20)).astype(np.float32)
            more = {"disturbances": disturbances, "disturbed": shares}
        write_scores(run / "scores.h5", scores_of(20, seed=0, **more))
        runs.append(run)
    return runs


def begin_sweep(folder: Path) -> Path:
    """A sweep in which no run is done yet."""
    folder.mkdir(parents=True)
    state = {"format": "vidaug-sweep", "version": 1, "threads": 1, "schedule": [{"configurations": 2, "share": 1.0}]}
    (folder / "sweep.json").write_text(json.dumps(state | {"sweep": {"grid": {"lr": [0.1, 0.2]}}}))
    return folder


def end_sweep(folder: Path) -> dict[str, Any]:
    """Give it a table of two configurations, and a third one that failed; return what it says."""
    top = {"value": 0.5, "low": 0.25, "high": 0.75}
    rows = [
        {"name": "lr=0.1", "runs": 2, "videos": 40, "measures": {"top-1": top}, "differences": {}},
        {"name": "lr=0.2", "runs": 1, "videos": 40, "measures": {"top-1": top}, "differences": {"top-1": top}},
    ]
    table = {"baseline": "lr=0.1", "rows": rows, "failed": {"lr=9": "lost"}, "notes": ["a note"]}
    (folder / "table.json").write_text(json.dumps(table))
    (folder / "best.toml").write_text('summary = "x"\n')
    return table
