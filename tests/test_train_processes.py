"""`vidaug train` as the system runs it: killed and run again, and in several processes that train together."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from console import vidaug
from network_makers import save
from torch import Tensor
from train_makers import CPU, NETWORK, OwnStatistics, make_shards, run_of, same

from vidaug_cli.errors import VidaugError
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.train.batches import CropDataset
from vidaug_cli.train.build import build
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.distributed import World, join_world
from vidaug_cli.train.loop import validate
from vidaug_cli.train.run import ShardFolders, TrainingRun
from vidaug_cli.train.slowfast import ARCHITECTURES, SlowFast

EPOCHS = 18
NETWORKS = {"tiny": NETWORK, "tiny-dropout": replace(NETWORK, dropout=0.5)}
PROGRAM = """
import os
import sys
sys.path.insert(0, {tests!r})
import torch
from test_train_processes import NETWORKS
from train_makers import OwnStatistics
from vidaug_cli.main import main
from vidaug_cli.train.slowfast import ARCHITECTURES
if __name__ == "__main__":
    ARCHITECTURES.update(NETWORKS)
    if "WORLD_SIZE" in os.environ:
        torch.nn.BatchNorm3d = OwnStatistics
    main()
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """`vidaug` with tiny networks; in several processes with one whose training does not depend on who has what."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.format(tests=str(Path(__file__).parent)))
    return path


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, architecture in NETWORKS.items():
        monkeypatch.setitem(ARCHITECTURES, name, architecture)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("train") / "shards")


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("validation") / "shards", videos=7)


def words(shards: Path, held_out: Path, run: Path, *more: object) -> list[str]:
    settings = ("--batch-size", 4, "--warmup", 0.5, "--amp", "off", "--flip", 0.5, "--device", "cpu", "--threads", 1)
    return [str(word) for word in ("train", shards, "--val", held_out, "-o", run, *settings, *more)]


def living(session: int) -> list[int]:
    """World of a session that are not dead."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def has_an_epoch(said: Path) -> bool:
    return "epoch " in said.read_text()


KILLS = [  # a signal, whom it is sent to, the exit code, and what is said at last
    (signal.SIGKILL, "main", -9, ""),
    (signal.SIGKILL, "worker", 1, "{run}: a process that reads clips was killed, perhaps because"),
    (signal.SIGTERM, "all", 143, "terminated; what is finished is kept"),  # as a cluster sends it
    (signal.SIGINT, "all", 130, "interrupted; what is finished is kept"),  # as a terminal sends it
]


def test_killed_again_and_again_it_ends_with_the_weights_of_an_unbroken_run(
    program: Path, shards: Path, held_out: Path, tmp_path: Path
) -> None:
    run, done, sessions = tmp_path / "run", 0, []
    settings = ("--network", "tiny-dropout", "--epochs", EPOCHS, "--ema", 0.9, "-r", "cutout", "-r", "fademixup")
    command = [sys.executable, str(program), *words(shards, held_out, run, *settings)]
    for number, whom, code, said in KILLS:
        said_to = tmp_path / f"{number.name}-{whom}.txt"  # no pipe: orphans would hold it open for seconds
        with said_to.open("w") as stderr:
            process = subprocess.Popen(command, stderr=stderr, start_new_session=True)
        assert wait_for(partial(has_an_epoch, said_to), 60)
        main = process.pid
        for victim in {"main": [main], "worker": [max(living(main))], "all": living(main)}[whom]:
            os.kill(victim, number)
        process.wait(60)
        usual = ("epoch", "clips seen")
        lines = [line for line in said_to.read_text().splitlines() if line and not any(map(line.count, usual))]
        assert process.returncode == code
        assert len(lines) == bool(said), lines
        assert said.format(run=run) in "".join(lines)
        sessions.append(main)
        before, done = done, read_checkpoint(run / "last.safetensors").epoch
        assert before < done < EPOCHS
        if whom == "all":
            assert not list(run.glob(".*"))
    assert vidaug(*words(shards, held_out, run, *settings), "-q").code == 0
    epochs = [json.loads(line)["epoch"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, EPOCHS + 1))
    assert vidaug(*words(shards, held_out, tmp_path / "unbroken", *settings), "-q").code == 0
    for name in ("best.safetensors", "last.safetensors"):
        broken, unbroken = (read_checkpoint(folder / name) for folder in (run, tmp_path / "unbroken"))
        assert same(broken.weights, unbroken.weights)
        assert broken.epoch == unbroken.epoch
    assert wait_for(lambda: not any(map(living, sessions)), 15)


STEPS = """
import json
import sys
sys.path.insert(0, {tests!r})
import torch
from test_train_processes import NETWORKS
from train_makers import OwnStatistics, run_of
from vidaug_cli.train.distributed import join_world
from vidaug_cli.train.build import build
from vidaug_cli.train.loop import train_step
from vidaug_cli.train.slowfast import ARCHITECTURES
from pathlib import Path
ARCHITECTURES.update(NETWORKS)
torch.nn.BatchNorm3d = OwnStatistics
found = []
with join_world("cpu") as world:
    for parts in (1, 3):
        run = run_of(Path({run!r}), Path({shards!r}), batch_size=12, accumulate=parts, optimizer="sgd")
        built, sent = build(run, world), []
        def hook(state, bucket):
            # At once and not by a callback: a thread of gloo that lets go of one while Python ends aborts the process.
            sent.append(len(bucket.parameters()))
            done = torch.futures.Future()
            done.set_result(world.all_reduce(bucket.buffer().div_(world.size)))
            return done
        built.parallel.register_comm_hook(None, hook)
        draw = torch.Generator().manual_seed(world.rank)
        for step in range(2):
            video = torch.randint(0, 256, (6, 8, 32, 32, 3), dtype=torch.uint8, generator=draw)
            train_step(built, video, torch.rand(6, 2, generator=draw).softmax(1), 0.1)
        weights = torch.cat([weight.detach().flatten() for weight in built.network.parameters()])
        apart = float((world.all_reduce(weights.clone()) / 2 - weights).abs().max())
        found.append((sent, apart, weights.tolist()))
    if world.is_first:
        Path({run!r}, "found.json").write_text(json.dumps([found, world.local_size, world.cores]))
"""


def test_gradients_of_all_parts_of_a_batch_are_sent_once(shards: Path, tmp_path: Path) -> None:
    """By two processes with other clips: as often with three parts as with one, and the weights are the same."""
    path, run = tmp_path / "steps.py", tmp_path / "run"
    run.mkdir()
    path.write_text(STEPS.format(tests=str(Path(__file__).parent), run=str(run), shards=str(shards)))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(path)]
    done = subprocess.run(
        launch, capture_output=True, text=True, check=False, env=os.environ | {"LOKY_MAX_CPU_COUNT": "6"}
    )
    assert done.returncode == 0, done.stderr
    ((sent, apart, whole), (sent_in_parts, apart_in_parts, in_parts)), local, cores = json.loads(
        (run / "found.json").read_text()
    )
    assert sum(sent) == 2 * len([*parameters()])  # each gradient once a step
    assert sent_in_parts == sent
    assert apart == apart_in_parts == 0
    assert torch.allclose(torch.tensor(whole), torch.tensor(in_parts), atol=1e-5)
    assert local == 2
    assert cores <= 3  # of 6 at most


def parameters() -> Iterator[torch.nn.Parameter]:
    return SlowFast(NETWORK, 2).parameters()


def test_processes_of_a_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidaug_cli.train.distributed.worker_count", lambda _: 24)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 48)
    alone, four, many = (World("cuda", 0, size, local) for size, local in ((1, 1), (8, 4), (64, 32)))
    assert [world.default_workers for world in (alone, four, many)] == [8, 6, 1]
    assert [world.default_threads for world in (alone, four, many)] == [24, 6, 1]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # as OMP_NUM_THREADS says
    assert alone.default_threads == 2
    assert World("cpu").default_workers == 1


SHM = """
mount -t tmpfs -o {options} tmpfs /dev/shm || exit 99
"$@"
"""


def with_little_shm(options: str, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command with another /dev/shm, in name spaces of its own; the test is skipped where that is not allowed."""
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", SHM.format(options=options), "sh"]
    try:
        done = subprocess.run([*words, *map(str, command)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if done.returncode in (1, 99) and ("unshare: " in done.stderr or "mount: " in done.stderr):
        pytest.skip(f"another /dev/shm is not allowed: {done.stderr.strip()}")
    return done


@pytest.mark.parametrize(("options", "noted"), [("size=256k", False), ("ro", True)])
def test_clips_are_read_ahead_with_little_shared_memory(
    options: str, noted: bool, program: Path, held_out: Path, tmp_path: Path
) -> None:
    """A batch has 1.5 MB. Without any, the semaphores of processes are lacking, too: that is said."""
    shards = make_shards(tmp_path / "shards", videos=16, size=64)
    mixed = make_shards(tmp_path / "mixed", videos=16, size=64, recipe="fademixup", share=0.6)
    run, scores = tmp_path / "run", tmp_path / "scores.h5"
    words = ("--batch-size", 16, "--device", "cpu", "--amp", "off", "-j", 2)
    train = ("train", shards, "-o", run, "--network", "tiny", "--epochs", 1, "--warmup", 0.5, "--threads", 1)
    for command in (
        train,
        ("predict", run / "best.safetensors", shards, "-o", scores),
        ("cam", run / "best.safetensors", mixed, "--measure"),
    ):
        done = with_little_shm(options, sys.executable, "-W", "ignore", program, *command, *words)
        assert done.returncode == 0, done.stderr
        usual = ("epoch", "top-1", "clips seen", "next: ")
        lines = [line for line in done.stderr.splitlines() if not any(map(line.count, usual))]
        assert len(lines) == noted
        if noted:
            assert lines[0].startswith("clips are read in the process that computes: the system gives no semaphores (")
    assert vidaug(*train[:3], tmp_path / "usual", *train[4:], *words, "-q").code == 0
    assert same(*(read_checkpoint(folder / "last.safetensors").weights for folder in (run, tmp_path / "usual")))


@pytest.mark.parametrize("what", ["predict", "cam"])
def test_a_reader_that_is_killed_is_said_in_a_line(
    what: str, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "c.pt", SlowFast(NETWORK, 2).eval(), ("dark", "light"), ShardFolders([shards]).spec)
    original = Predictor.shard_batches

    def killing(self: Predictor, cuts: CropDataset) -> Iterator[tuple[Tensor, ...]]:
        for batch in original(self, cuts):
            for child in multiprocessing.active_children()[:1]:
                child.kill()
            yield batch

    monkeypatch.setattr(Predictor, "shard_batches", killing)
    words = {"predict": (shards, "-o", tmp_path / "s.h5"), "cam": (shards, "--measure")}[what]
    done = vidaug(what, tmp_path / "c.pt", *words, "-j", 2, "--batch-size", 2, "--device", "cpu", "-q")
    where = f"{shards}: a process that reads clips was killed, perhaps because memory ran out; give the command "
    assert done.code == 1
    assert done.err == f"vidaug: error: {where}again, with a smaller --batch-size or fewer processes (-j) if need be\n"


def test_two_processes_follow_one(
    program: Path, shards: Path, held_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same losses and weights; one of the two speaks and writes, and what it keeps is what both have tested."""
    settings = ("--network", "tiny", "--epochs", 3, "--size", 28, "--ema", 0.5, "-r", "cutout", "--json")
    run = tmp_path / "two"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    done = subprocess.run(
        [*launch, *words(shards, held_out, run, *settings)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert [line[:9] for line in done.stderr.splitlines() if "epoch" in line] == [f"epoch {n}/3" for n in (1, 2, 3)]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert json.loads(done.stdout)["result"] == {"run": str(run), "epochs": 3, "metrics": rows[-1]}
    assert not list(run.glob(".*"))
    longer = shutil.copytree(run, tmp_path / "longer")
    more = (*launch, "train", "--resume", str(longer), "--epochs", "4", "--device", "cpu")
    done = subprocess.run(more, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    starts = tomllib.loads((longer / "run.toml").read_text())["started"]
    assert [(start["epoch"], start["processes"]) for start in starts] == [(0, 2), (3, 2)]
    assert read_checkpoint(longer / "last.safetensors").epoch == 4
    monkeypatch.setattr(torch.nn, "BatchNorm3d", OwnStatistics)
    assert vidaug(*words(shards, held_out, tmp_path / "one", *settings), "-q").code == 0
    alone = [json.loads(line) for line in (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()]
    for name in ("loss", "top1", "lr"):
        assert [row[name] for row in rows] == pytest.approx([row[name] for row in alone], abs=1e-3)
    assert rows[0]["loss"] - rows[2]["loss"] > 0.01  # else it would show nothing
    kept, other = (read_checkpoint(tmp_path / name / "last.safetensors") for name in ("two", "one"))
    learned = [name for name, _ in kept.network("cpu").named_parameters()]
    assert all(torch.allclose(kept.weights[name], other.weights[name], atol=1e-3) for name in learned)
    parts = build(run_of(tmp_path / "check", shards, held_out, size=28), CPU)
    assert parts.validation is not None
    parts.network.load_state_dict(kept.weights)
    tested = validate(parts, parts.validation)
    assert {name: kept.metrics[name] for name in tested} == pytest.approx(tested, abs=1e-5)


GOING_ON = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_train_processes import NETWORKS
from train_makers import run_of, train_an_epoch
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.train.build import build
from vidaug_cli.train.distributed import join_world
from vidaug_cli.train.loop import train
from vidaug_cli.train.slowfast import ARCHITECTURES
ARCHITECTURES.update(NETWORKS)
values = dict(network="tiny-dropout", epochs=3, ema={ema!r}, flip=0.5, size=28, recipe=load_recipe("fademixup"))
with join_world("cpu") as world:
    for name, stops in (("unbroken", 0), ("broken", 2)):
        run = run_of(Path({folder!r}, name), Path({shards!r}), Path({held_out!r}), **values)
        for _ in range(stops):
            train_an_epoch(build(run, world))
            world.barrier()
        parts = build(run, world)
        assert len(parts.history) == stops
        train(parts)
"""


@pytest.mark.parametrize("ema", [None, 0.8])
def test_two_processes_that_go_on_end_with_the_weights_of_an_unbroken_run(
    ema: float | None, shards: Path, held_out: Path, tmp_path: Path
) -> None:
    """With statistics and dropout of each process's own: the one that writes nothing goes on from the same file."""
    path = tmp_path / "going_on.py"
    places = {"tests": str(Path(__file__).parent), "shards": str(shards), "held_out": str(held_out)}
    path.write_text(GOING_ON.format(**places, folder=str(tmp_path), ema=ema))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(path)]
    done = subprocess.run(launch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    broken, unbroken = (read_checkpoint(tmp_path / name / "last.safetensors") for name in ("broken", "unbroken"))
    assert broken.epoch == unbroken.epoch == 3
    assert same(broken.weights, unbroken.weights)
    assert same(broken.training, unbroken.training)
    for before, after in zip(broken.state["history"], unbroken.state["history"], strict=True):
        assert [before[name] for name in MEASURED] == [after[name] for name in MEASURED]


MEASURED = ("epoch", "lr", "loss", "top1", "val_loss", "val_top1", "val_mean_class")  # the rest is time


def run_in(tmp_path: Path, shards: Path, **values: Any) -> TrainingRun:
    return run_of(tmp_path / "run", shards, **values)


def test_what_several_processes_cannot_do_is_said_in_a_line(shards: Path, tmp_path: Path) -> None:
    two, many = World("cpu", 1, 2), World("cpu", 0, 16)
    for world, values, said in (
        (two, {"batch_size": 5}, r"^batch_size = 5 cannot be shared among 2 processes; take a multiple of 2$"),
        (many, {"batch_size": 16}, rf"^{shards}: 12 clips are too few for 16 processes$"),
        (two, {"sync_bn": True}, r"^--sync-bn needs GPUs: torch has it for nothing else; leave it out$"),
    ):
        with pytest.raises(VidaugError, match=said):
            build(run_in(tmp_path, shards, **values), world)


def test_a_batch_is_a_multiple_of_the_processes_where_clips_are_few(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "parallel", lambda _, network: network)
    parts = build(run_in(tmp_path, shards, batch_size=40), World("cpu", 0, 5))
    assert parts.batches.clip_sampler.batch == 10


@pytest.mark.parametrize(("size", "method"), [(1, None), (2, "spawn")])
def test_processes_that_read_for_one_of_several_are_no_forks(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, method: str | None
) -> None:
    """Threads that average gradients begin and end at any time, and a fork of Python 3.11 may hang by that."""
    monkeypatch.setattr(World, "parallel", lambda _, network: network)
    context = build(run_in(tmp_path, shards), World("cpu", 0, size), workers=1).batches.multiprocessing_context
    assert (context and context.get_start_method()) == method


def test_half_an_environment_of_torchrun_is_said_in_a_line(shards: Path, tmp_path: Path) -> None:
    done = vidaug("train", shards, "-o", tmp_path / "run", "--device", "cpu", WORLD_SIZE="2")
    what = "vidaug: error: WORLD_SIZE is 2 in the environment, and RANK is not there; start with torchrun\n"
    assert (done.code, done.err) == (1, what)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "3", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(VidaugError, match=r"^process 2 of this machine has no GPU: torch sees 2 GPUs; start as many"):
        join_world("cuda").__enter__()
