"""`vidaug train --dry-run`: what it says is what a run then takes, and nothing is written."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import write_video
from console import Done, vidaug
from torch import Tensor
from train_makers import CPU, NETWORK, make_shards, parts_of, run_of

from vidaug_cli.data.manifest import read_manifest
from vidaug_cli.errors import VidaugError
from vidaug_cli.train import estimate, loop
from vidaug_cli.train.batches import CropDataset, SampleIndex
from vidaug_cli.train.build import build
from vidaug_cli.train.distributed import World
from vidaug_cli.train.estimate import estimate_run, measure_steps
from vidaug_cli.train.slowfast import ARCHITECTURES, SlowFast

CLASSES = ("class_0", "class_1", "class_2")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)
    monkeypatch.setattr(estimate, "SECONDS", 0.2)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("train") / "shards", CLASSES)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("clean") / "shards", CLASSES[:0:-1], videos=5)


@pytest.fixture(scope="module")
def rendered(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of videos that are there."""
    out = tmp_path_factory.mktemp("rendered") / "shards"
    assert vidaug("augment", video_folder, "-r", "none", "--frames", 8, "--size", 32, "-q", "-o", out).code == 0
    return out


def train(shards: Path, run: Path, *words: object) -> Done:
    settings = ("--network", "tiny", "--batch-size", 4, "--amp", "off", "--device", "cpu", "--threads", 1)
    length = () if "--clips-seen" in words or "--epochs" in words else ("--epochs", 2)
    return vidaug("train", shards, "-o", run, *settings, *length, *words)


def expected(done: Done) -> dict[str, Any]:
    assert done.code == 0, done.err
    found: dict[str, Any] = done.result
    return found


def files(*folders: Path) -> dict[Path, tuple[int, int]]:
    paths = [path for folder in folders for path in folder.rglob("*")]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_it_says_what_is_trained_and_tested_on(shards: Path, clean: Path, tmp_path: Path) -> None:
    done = train(shards, tmp_path / "run", "--val", clean, "--size", 24, "--dry-run", "--json")
    found = expected(done)
    weights = sum(weight.numel() for weight in SlowFast(NETWORK, 3).parameters())
    said = {"clips": 12, "classes": 3, "tested": 5, "network": "tiny", "parameters": weights, "batch": 4}
    said |= {
        "frames": 8,
        "slow_frames": 2,
        "fast_frames": 8,
        "size": 24,
        "epochs": 2,
        "epochs_done": 0,
        "steps_per_epoch": 3,
    }
    said |= {"steps": 6, "gpu_bytes": None, "gpu_total_bytes": None, "device": "cpu", "threads": 1, "workers": 1}
    assert {name: found[name] for name in said} == said
    assert found["test_seconds"] > 0
    epoch = 3 * found["step_seconds"] + found["test_seconds"]
    assert found["seconds"] == pytest.approx(found["start_seconds"] + 2 * epoch)
    assert found["memory_bytes"] > 1e8
    assert done.err.splitlines()[0] == "24 clips seen = 2 passes over 12 clips; small was tuned at 16,800 clips seen"
    lines = train(shards, tmp_path / "run", "--val", clean, "--size", 24, "--dry-run").out.splitlines()
    assert lines[:3] == [
        "12 clips of 3 classes to train on, and 5 to test on",
        "tiny, 0.06 M parameters: a step takes 4 clips of 8 x 24 x 24, of which Slow sees 2 frames and Fast 8",
        "2 epochs of 3 steps, 6 in all",
    ]
    assert lines[3].startswith("a step takes ")
    assert "all that is left about 0 s" in lines[3]
    assert lines[4].startswith("memory: about ")
    assert "GPU" not in lines[4]
    assert lines[5].startswith("measured on cpu in ")
    assert lines[5].endswith(" steps after the first ones, with 1 thread and 1 process to read clips")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--epochs", 3),
        ("--clips-seen", 20, "--batch-size", 2),
        ("--clips-seen", 100, "--batch-size", 5),
        ("--batch-size", 100, "-r", "mixup", "--accumulate", 2),
    ],
)
def test_steps_are_those_of_a_run(
    words: tuple[object, ...], shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = expected(train(shards, tmp_path / "run", *words, "--dry-run", "--json", "-q"))
    taken, step = [], loop.train_step

    def counted(*arguments: Any) -> Tensor:
        taken.append(len(arguments[1]))
        return step(*arguments)

    monkeypatch.setattr(loop, "train_step", counted)
    assert train(shards, tmp_path / "run", *words).code == 0
    assert (found["steps"], found["epochs"]) == (len(taken), len(metrics(tmp_path / "run")))
    assert found["steps"] == found["epochs"] * found["steps_per_epoch"]
    assert {found["batch"]} == set(taken)


def test_seconds_are_near_those_of_a_run(tmp_path: Path) -> None:
    long = make_shards(tmp_path / "shards", CLASSES, videos=48, frames=16, size=48)
    words = (long, tmp_path / "run", "--val", long, "--epochs", 4)
    found = expected(train(*words, "--dry-run", "--json", "-q"))
    began = time.perf_counter()
    assert train(*words, "-q").code == 0
    whole = time.perf_counter() - began
    rows = metrics(tmp_path / "run")
    steps = sum(row["seconds"] for row in rows)
    assert 1 / 4 < found["step_seconds"] * found["steps"] / steps < 4
    assert steps / 4 < found["seconds"] < 4 * whole  # which has checkpoints and curves in it, too


def test_clips_that_are_there_already_hide_no_slow_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two processes needs 0.4 s for a batch; the first ones are there when steps begin, which take no time."""
    parts = parts_of(tmp_path / "run", make_shards(tmp_path / "shards", videos=96))
    write = CropDataset.write

    def slowly(self: CropDataset, index: SampleIndex, item: Sequence[Tensor]) -> None:
        time.sleep(0.1)
        write(self, index, item)

    monkeypatch.setattr(CropDataset, "write", slowly)
    monkeypatch.setattr(estimate, "SECONDS", 1.0)
    pace = measure_steps(build(parts.run, CPU, workers=2, threads=1))
    assert 0.15 < pace.step_seconds < 0.6
    assert pace.waiting > 0.3


PROGRAM = """
import sys
from vidaug_cli.main import main
if __name__ == "__main__":
    try:
        main()
    finally:
        from vidaug_cli.train.memory import peak_memory
        print(peak_memory())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="what a process took is read from /proc")
@pytest.mark.parametrize(
    ("words", "frames", "size"),
    [
        (("--network", "r18-small", "--batch-size", 12), 16, 64),  # the most is in a step
        (("--network", "r50-4x16", "--batch-size", 2, "--optimizer", "adam"), 8, 32),  # ... in a checkpoint
    ],
)
def test_memory_is_near_that_of_a_run(words: tuple[object, ...], frames: int, size: int, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    clips = make_shards(tmp_path / "shards", CLASSES, frames=frames, size=size)
    fixed = ("--epochs", 1, "--warmup", 0, "--device", "cpu", "--threads", 1, "--amp", "off", "-q", "--json")
    peaks = []
    for more in (("--dry-run",), ()):
        command = [sys.executable, program, "train", clips, "-o", tmp_path / "run", *words, *fixed, *more]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=True)
        *_, result, peak = done.stdout.splitlines()
        peaks.append((json.loads(result)["result"], int(peak)))
    (found, dry), (_, real) = peaks
    assert found["memory_bytes"] <= dry  # the same number, at the end
    assert 0.75 < found["memory_bytes"] / real < 1.25
    assert found["readers_bytes"] > 0
    assert (
        found["memory_bytes"] > peak_memory_of("import vidaug_cli.train.job") + 1e8
    )  # it is more than what torch takes


def peak_memory_of(code: str) -> int:
    words = [sys.executable, "-c", f"{code}\nfrom vidaug_cli.train.memory import peak_memory\nprint(peak_memory())"]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


CHILD = """
import multiprocessing
import numpy
from vidaug_cli.train.memory import children_memory

def hold(pipe):
    own = numpy.ones(30_000_000, numpy.uint8)
    pipe.send(own.sum() + shared.sum())
    pipe.recv()

if __name__ == "__main__":
    shared = numpy.ones(50_000_000, numpy.uint8)
    here, there = multiprocessing.Pipe()
    print(children_memory())
    child = multiprocessing.get_context("fork").Process(target=hold, args=(there,))
    child.start()
    here.recv()
    print(children_memory())
    here.send(0)
"""


def test_memory_of_processes_that_were_started_is_their_own() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=60, check=True)
    before, after = done.stdout.split()
    if before == "None":
        pytest.skip("the system does not say")
    assert int(before) == 0
    assert 30_000_000 <= int(after) < 45_000_000  # nothing of what the process had from which it came


@pytest.mark.parametrize("words", [(), ("--hold-out", 0.25), ("--val", "{videos}"), ("-r", "mixup", "--ema", 0.9)])
def test_nothing_is_written(
    words: tuple[object, ...],
    rendered: Path,
    video_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    words = tuple(str(word).format(videos=video_folder) for word in words)
    before = files(tmp_path, rendered, video_folder)
    found = expected(train(rendered, tmp_path / "run", *words, "--dry-run", "--json"))
    assert files(tmp_path, rendered, video_folder) == before
    assert bool(found["tested"]) == bool(found["test_seconds"]) == (words[:1] in [("--hold-out",), ("--val",)])


def test_clips_to_test_on_that_are_yet_to_be_made_are_counted(rendered: Path, tmp_path: Path) -> None:
    words = (rendered, tmp_path / "run", "--hold-out", 0.25)
    found = expected(train(*words, "--dry-run", "--json"))
    assert train(*words).code == 0
    assert found["tested"] == len(read_manifest(tmp_path / "run" / "validation")) > 0
    row = metrics(tmp_path / "run")[0]
    assert found["steps"] == 2 * round(row["seconds"] / row["step_seconds"])
    before = files(tmp_path)
    again = expected(train(*words, "--dry-run", "--json"))
    assert (again["tested"], again["epochs_done"], again["steps"], again["seconds"]) == (found["tested"], 2, 0, 0)
    assert files(tmp_path).keys() == before.keys()


def test_of_a_run_that_goes_on_it_is_what_is_left(shards: Path, clean: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(shards, run, "--val", clean, "--epochs", 1).code == 0
    before = files(tmp_path)
    for words, left in (((), 0), (("--epochs", 5), 4), (("--clips-seen", 24), 1)):
        done = vidaug("train", "--resume", run, *words, "--dry-run", "--json", "--device", "cpu")
        found = expected(done)
        assert (found["epochs_done"], found["epochs"], found["steps"]) == (1, 1 + left, 3 * left)
        assert bool(found["seconds"]) == bool(left)
        assert found["tested"] == 5
    said = vidaug("train", "--resume", run, "--epochs", 5, "--dry-run", "--device", "cpu").out
    assert "5 epochs of 3 steps, 15 in all, of which 1 is done and 12 steps left" in said
    assert files(tmp_path) == before
    assert vidaug("train", "--resume", run, "--epochs", 2).code == 0  # and goes on as ever
    assert len(metrics(run)) == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--size", 64),
        ("--batch-size", 0),
        ("--warmup", 3),
        ("--amp", "bf16"),
        ("--network", "tinny"),
        ("--init", "{tmp}/none.pt"),
        ("--val", "{tmp}/nothing"),
        ("--val", "{tmp}/dance"),
        ("--hold-out", 0.25, "--root", "{tmp}"),
        ("-o", "{shards}"),
        ("-o", "{tmp}/dance/dance/a.avi"),
        ("-o", "{tmp}/other"),
        ("-r", "mixxup"),
    ],
)
def test_what_a_run_refuses_it_refuses(words: tuple[object, ...], shards: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "dance" / "dance" / "a.avi")
    assert train(shards, tmp_path / "other", "--epochs", 1).code == 0
    words = tuple(str(word).format(tmp=tmp_path, shards=shards) for word in words)
    before = files(tmp_path, shards)
    dry = train(shards, tmp_path / "run", *words, "--dry-run")
    assert files(tmp_path, shards) == before
    real = train(shards, tmp_path / "run", *words)
    assert dry.code in (1, 2)
    assert (dry.code, dry.out, dry.error) == (real.code, "", real.error)
    assert dry.err.splitlines()[-1] == real.err.splitlines()[-1]


def test_several_processes_are_refused(shards: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", shards, batch_size=12)
    what = r"^--dry-run is for one process, and there are 4; start it without torchrun, and with --batch-size 3, the"
    with pytest.raises(VidaugError, match=what):
        estimate_run(run, World("cpu", size=4))


def test_a_gpu_is_named_with_what_it_takes(shards: Path, tmp_path: Path) -> None:
    found = estimate_run(run_of(tmp_path / "run", shards), CPU, workers=0, say=lambda _: None)
    on_gpu = replace(
        found, gpu_bytes=5_300_000_000, gpu_total_bytes=150_000_000_000, readers_bytes=None, free_bytes=None
    )
    memory = on_gpu.lines[4]
    assert memory.endswith(" in this process; of the GPU's 150 GB about 5.3 GB")
    assert (found.gpu_bytes, found.workers) == (None, 0)
