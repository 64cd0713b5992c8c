"""Too little memory on a device: in each command that has one, a line with what was asked, where, and what to try."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from console import vidaug
from network_makers import random_network, save
from report_makers import train_run
from train_makers import NETWORK

from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.errors import VidaugError, explain_memory
from vidaug_cli.main import cli
from vidaug_cli.train.slowfast import ARCHITECTURES

FULL = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has a total capacity of 139.81 GiB of which 1.06 GiB is "
    "free. Including non-PyTorch memory, this process has 138.74 GiB memory in use."
)
SMALL = "--frames 8 --size 32"
CPU = "try --device cpu"
ONE = f"lower --frames (now 8), lower --size (now 32), or {CPU}"
CLIPS = f"lower --batch-size (now 4), {ONE}"
NET = f"lower --batch-size (now 3), or {CPU}"
TRAIN = f"lower --batch-size (now 4), raise --accumulate, lower --frames, lower --size, or {CPU}"
RENDER, STEP, FORWARD = "augment.render._mix_neighbours", "train.loop.train_step", "train.slowfast.SlowFast.forward"


class Case(NamedTuple):
    words: str  # of the command line, with {places}
    at: str  # what runs out of memory
    advice: str


AUGMENT = f"augment {{videos}} -o {{new}} -r mixup {SMALL} -j 1"
TRAINING = "train {shards} -o {new} --network tiny --epochs 1 --batch-size 4"
PREDICT = "predict {checkpoint} {shards} -o {new}.h5 --batch-size 3"
SWEEP = "sweep {shards} -o {new} --grid lr=1e-3,1e-2 --network tiny --epochs 1 --batch-size 4"
BENCH = f"bench {{videos}} --preset tiny --seconds 0.001 {SMALL}"
CASES = [
    Case(AUGMENT, RENDER, CLIPS),
    Case(f"{AUGMENT} --batch-size 1", RENDER, ONE),
    Case(f"{AUGMENT} --dry-run", RENDER, CLIPS),
    Case(f"{AUGMENT} -r randaugment_t -j 2", "recipe.recipe.Recipe.apply_augment", CLIPS),
    Case(f"preview {{videos}} -o {{new}}.png -r mixup {SMALL}", RENDER, ONE),
    Case("replay {shards}", RENDER, CPU),
    Case(TRAINING, STEP, TRAIN),
    Case(TRAINING, "train.slowfast.SlowFast.to", TRAIN),
    Case(f"{TRAINING} -r mixup", "train.loop.draw_and_apply", TRAIN),
    Case(f"{TRAINING} --val {{shards}}", "train.loop.validate", TRAIN),
    Case(f"{TRAINING} --dry-run", STEP, TRAIN),
    Case(f"{TRAINING} --val {{shards}} --dry-run", "train.estimate.validate", TRAIN),
    Case(PREDICT, FORWARD, NET),
    Case(PREDICT, "train.checkpoint.Checkpoint.network", NET),
    Case(f"{PREDICT} --perturb cut", "predict.perturb.disturb", NET),
    Case(PREDICT.replace("{shards}", "{videos}"), FORWARD, NET),
    Case("cam {checkpoint} {shards} --clip 0 -o {new}.png --batch-size 3", "predict.cam.class_maps", NET),
    Case("cam {checkpoint} {mixed} --measure --batch-size 3", "predict.cam.activations", NET),
    Case("report {run} -o {new}.html", FORWARD, CPU),
    Case(f"{SWEEP} --dry-run", STEP, TRAIN),
    Case(f"{BENCH} --only ops", "ops.frame_ops.FrameOps.apply", CLIPS),
    Case(f"{BENCH} --only mix", "bench.work.mix", CLIPS),
    Case(f"{BENCH} --only train", "bench.training.train_step", CLIPS),
]


@pytest.fixture(scope="module")
def places(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("memory")
    network = random_network(3)
    found = {"videos": video_folder, "shards": folder / "shards", "mixed": folder / "mixed"}
    for name, recipe in (("shards", "none"), ("mixed", "fademixup")):
        made = vidaug("augment", video_folder, "-o", found[name], "-r", recipe, *SMALL.split(), "-q", "-j", 1)
        assert made.code == 0
    classes = ("class_0", "class_1", "class_2")
    found["run"] = train_run(folder / "run", found["shards"], found["shards"])
    return found | {"checkpoint": save(folder / "x.safetensors", network, classes, ClipSpec(frames=8, size=32))}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)


def full(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError(FULL)


def test_every_command_with_a_device_is_tried() -> None:
    found = {name for name, command in cli.commands.items() if any(param.name == "device" for param in command.params)}
    assert found == {case.words.split()[0] for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.words.partition(' -o')[0]} {case.at}")
def test_a_full_gpu_is_a_line_of_advice(
    case: Case, places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"vidaug_cli.{case.at}", full)
    done = vidaug(*case.words.format(new=tmp_path / "new", **places).split())
    *_, last = done.err.splitlines()
    assert last == f"vidaug: error: cuda:1: not enough memory: 2.00 GiB more were asked for; {case.advice}"
    assert (done.code, "Traceback" in done.err) == (1, False)


def test_runs_of_a_sweep_that_fail_say_it(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"vidaug_cli.{STEP}", full)
    done = vidaug(*SWEEP.format(new=tmp_path / "new", **places).split(), "-j", 1)
    why = (
        "cuda:1: not enough memory: 2.00 GiB more were asked for; lower --batch-size, raise --accumulate, lower "
        "--frames, lower --size, or have fewer side by side with -j"
    )
    failed = [line for line in done.err.splitlines() if why in line]
    assert len(failed) == 3  # each run, and the end
    assert failed[-1].startswith(f"vidaug: error: {tmp_path / 'new'}: a run of every configuration failed; ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total", "cuda:0: not enough memory: 20.00 MiB"),
        ("CUDA error: out of memory\nCUDA kernel errors might be", "cuda: not enough memory; try this"),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "cuda: not enough memory; try"),
        ("out of memory (2)", "not enough memory; try this"),  # of pinning
        (
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4800000000 bytes.",
            "cpu: not enough memory: 4.8 GB",
        ),
    ],
)
def test_what_torch_says(text: str, said: str) -> None:
    with pytest.raises(VidaugError, match=f"^{re.escape(said)}"), explain_memory(lambda device: "try this"):
        raise RuntimeError(text)


def test_what_it_says_of_other_things_stays() -> None:
    with pytest.raises(RuntimeError, match=r"^CUDA error: an illegal memory access") as found, explain_memory(str):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    assert not isinstance(found.value, VidaugError)
