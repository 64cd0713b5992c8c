"""Commands that only look start without torch, which takes a second to load: longer than all that they do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from console import vidaug
from score_makers import CLASSES, row_of, scores_of
from train_makers import NETWORK

from vidaug_cli.data.manifest import rows_text
from vidaug_cli.data.shard.format import shard_path
from vidaug_cli.scores.file import write_scores
from vidaug_cli.train.slowfast import ARCHITECTURES

CODECS = ("raw", "jpeg", "video")
WORDS = ("-r", "fademixup", "-r", "randaugment_t", "--frames", "8", "--size", "32", "--limit", "16", "-j", "1", "-q")
TRAIN = ("--network", "tiny", "--epochs", "1", "--batch-size", "8", "--device", "cpu", "-q")
WITHOUT = """
import sys
sys.modules["torch"] = None  # whoever imports it now, fails
from vidaug_cli.main import main
main()
"""


@pytest.fixture(scope="module")
def here(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of shards of each codec, a run, scores and a submission."""
    folder = tmp_path_factory.mktemp("startup")
    for codec in CODECS:
        assert vidaug("augment", video_folder, "-o", folder / codec, "--codec", codec, *WORDS).code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", NETWORK)
        assert vidaug("train", folder / "raw", "-o", folder / "run", *TRAIN).code == 0
    scores = scores_of(failures=())
    write_scores(folder / "scores.h5", scores)
    write_scores(folder / "others.h5", scores_of(seed=1, labels=scores.labels, failures=()))
    (folder / "videos").symlink_to(video_folder)
    (folder / "classes.csv").write_text("".join(f"{number},{name}\n" for number, name in enumerate(CLASSES, 1)))
    truth = dict(zip(scores.videos, (CLASSES[label] for label in scores.labels), strict=True))
    (folder / "truth.jsonl").write_text(rows_text(row_of(name, label) for name, label in truth.items()))
    (folder / "train.jsonl").write_text(rows_text(row_of(f"{label}/new.avi", label) for label in CLASSES))
    assert vidaug("submit", folder / "scores.h5", "-o", folder / "submission.txt").code == 0
    return folder


@pytest.mark.parametrize(
    "line",
    [
        *(f"{command} {codec}" for codec in CODECS for command in ("inspect", "preview -o look.png", "verify -j 1")),
        f"inspect {shard_path(Path('raw'), 0)}",
        "inspect raw -o classes.png",
        "inspect run",
        "preview video -o look.mp4 --gain auto",
        "status raw",
        "merge raw jpeg video -o all",
        "report raw run --worst 0 -o page.html",
        "export raw -o exported --format videofolder -j 1",
        "evaluate scores.h5 --train train.jsonl --confusion matrix.png",
        "compare scores.h5 others.h5 -o compare.png",
        "ensemble scores.h5 others.h5 -o ensemble.h5",
        "submit scores.h5 -o submission.txt",
        "score submission.txt --annotations truth.jsonl --classes classes.csv",
        "recipes",
        "explain VA012",
        "scan videos -o scanned.jsonl -j 1",
        "augment --help",
    ],
)
def test_it_loads_no_torch(line: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    done = subprocess.run([sys.executable, "-c", WITHOUT, *line.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
