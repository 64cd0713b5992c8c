"""Training, validation, predict and cam around a GPU that computes nothing: nothing is left on the wrong device, and
the host waits for results alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_video
from fake_gpu import FakeGpu, fake_gpu, run_backward
from network_makers import random_network
from train_makers import NETWORK, make_shards, run_of

from vidaug_cli import augment_batch, load_recipe
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.errors import ClipsError, VidaugError
from vidaug_cli.ops.clips import Clips
from vidaug_cli.ops.disturb import ClipKey, disturb
from vidaug_cli.ops.disturbances import DISTURBANCES, choose
from vidaug_cli.predict import cam, predict
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.recipe.batch import draw_and_apply
from vidaug_cli.train import build, loop, state
from vidaug_cli.train.checkpoint import Checkpoint
from vidaug_cli.train.distributed import World
from vidaug_cli.train.loop import HELD, LOSS_INTERVAL, train, train_step, validate
from vidaug_cli.train.run import TrainingRun
from vidaug_cli.train.slowfast import ARCHITECTURES, SlowFast

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # by torch's own deepcopy

BATCHES = (4, 16, 64)
CLASSES = ("dark", "light")
CLIP = ClipSpec(frames=8, size=32)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("gpu") / "shards")


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that come to the fake GPU: made before there are fake tensors."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)
    made = [SlowFast(NETWORK, len(CLASSES)) for _ in range(4)]
    monkeypatch.setattr(build, "SlowFast", lambda *_: made.pop())


def step(run: TrainingRun, batch: int) -> FakeGpu:
    """The second step of a run with a batch that is on the GPU, or is mixed there."""
    with fake_gpu() as gpu:
        parts = build.build(run, World("cuda"))
        parts.network.train()
        video = torch.empty((batch, 8, 32, 32, 3), dtype=torch.uint8, device="cuda")
        clips = Clips(video, torch.zeros(batch, 2, device="cuda"), torch.ones(batch, 8, device="cuda"))
        for number in range(2):
            gpu.clear()
            if run.recipe:
                clips = draw_and_apply(run.recipe, clips, seed=0, epoch=0, first_clip=number * batch)
            sums = train_step(parts, clips.video, clips.target, 0.1)
        assert (sums.device.type, tuple(sums.shape)) == ("cuda", (2,))
        assert {weight.device.type for weight in parts.tested.state_dict().values()} == {"cuda"}
    return gpu


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"accumulate": 4},
        {"ema": 0.9},
        {"clip_norm": 1.0, "smoothing": 0.1},
        {"optimizer": "sgd", "momentum": 0.9},
        {"recipe": "fademixup", "accumulate": 2, "ema": 0.9},
        {"input": "rgb+diff"},
    ],
    ids=str,
)
def test_a_training_step_waits_for_nothing(settings: dict[str, Any], shards: Path, tmp_path: Path) -> None:
    if "recipe" in settings:
        settings = settings | {"recipe": load_recipe(settings["recipe"])}
    run = run_of(tmp_path, shards, batch_size=4, **settings)
    counts = set()
    for batch in BATCHES:
        gpu = step(run, batch)
        assert (gpu.down, gpu.waits) == (0, 0), str(gpu)
        assert gpu.up == ("recipe" in settings), str(gpu)
        counts.add(gpu.kernels.total())
    assert len(counts) == 1


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Checkpoint]:
    """The checkpoints of a run, which reach no disk; that fake weights are not finite is passed over."""
    found: list[Checkpoint] = []
    monkeypatch.setattr(state, "write_checkpoint", lambda _, checkpoint: found.append(checkpoint))
    check = loop.check_finite

    def passed(*given: Any) -> None:
        with suppress(VidaugError):
            check(*given)

    monkeypatch.setattr(loop, "check_finite", passed)
    return found


def test_a_run_waits_at_the_end_of_an_epoch(shards: Path, tmp_path: Path, written: list[Checkpoint]) -> None:
    """Of a step, a batch goes up in three parts, and what its mix draws in one; the host waits for none of them."""
    ups, waits = [], []
    for steps in (3, 6):
        run = run_of(tmp_path / str(steps), shards, recipe=load_recipe("fademixup"), batch_size=12 // steps, epochs=1)
        with fake_gpu() as gpu:
            parts = build.build(run, World("cuda"))
            gpu.clear()
            (metrics,) = train(parts)
        assert metrics["epoch"] == 1
        assert steps < LOSS_INTERVAL  # so that the loss is looked at once
        ups.append(gpu.up)
        waits.append(gpu.waits - gpu.down)  # each tensor of the checkpoints is waited for
    assert ups == [4 * 3, 4 * 6]
    # Two looks at the loss, one at the hits, one for whether weights are finite; and the first steps are timed.
    assert waits == [4 + 3, 4 + HELD]
    for checkpoint in written:
        assert {weight.device.type for weight in (checkpoint.weights | checkpoint.training).values()} == {"cpu"}


def test_a_run_validates_its_average(shards: Path, tmp_path: Path, written: list[Checkpoint]) -> None:
    run = run_of(tmp_path, shards, shards, recipe=load_recipe("randaugment_t"), accumulate=2, ema=0.9, epochs=2)
    with fake_gpu():
        history = train(build.build(run, World("cuda")))
    assert [metrics["val_top1"] for metrics in history] == [1, 1]  # all answers are 0, and so are all labels
    assert len(written) == 3  # two last ones, and the first as the best


@pytest.mark.parametrize("batch", [1, 2, 12])
def test_validation_waits_for_its_result(batch: int, shards: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, shards, shards, batch_size=batch)
    with fake_gpu() as gpu:
        parts = build.build(run, World("cuda"))
        assert parts.validation is not None
        gpu.clear()
        validate(parts, parts.validation)
    assert (gpu.up, gpu.down, gpu.waits) == (2 * 12 // batch, 1, 2), str(gpu)


# predict


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Row]:
    folder = tmp_path_factory.mktemp("videos")
    for number, frames in enumerate([20, 9, 30, 40]):
        write_video(folder / CLASSES[number % 2] / f"{number}.avi", frames)
    return read_input(str(folder)).rows


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that need not sum to 1, as all of them are 0."""
    monkeypatch.setattr(predict, "Scores", dict)


def predictor_of(network: SlowFast, batch: int = 4) -> Predictor:
    """Within `fake_gpu`, and `network` from before it."""
    return Predictor(network=network.to("cuda"), classes=CLASSES, clip=CLIP, device="cuda", amp="off", batch=batch)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("perturb", [[], ["rotation-ramped=3", "cut=3", "shuffled"]])
def test_predict_waits_for_answers(perturb: list[str], rows: Sequence[Row]) -> None:
    """Each batch goes up in one copy, and its answers come down, once more for each disturbance."""
    disturbances = choose(perturb)
    for batch in (2, 16):
        network = random_network(2)
        with fake_gpu() as gpu:
            predictor = predictor_of(network, batch)
            gpu.clear()
            found = predict.predict_videos(predictor, rows, views=10, disturbances=disturbances)
        batches = -(-found.clips // (1 + len(disturbances)) // batch)
        assert gpu.down == gpu.waits == batches * (1 + len(disturbances)), str(gpu)
        assert gpu.up == batches * (1 + len(disturbances) + bool(disturbances)), str(gpu)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("perturb", [[], ["cut=3"]])
def test_predict_of_shards_waits_for_answers(perturb: list[str], shards: Path) -> None:
    disturbances, network = choose(perturb), random_network(2)
    with fake_gpu() as gpu:
        predictor = predictor_of(network)
        gpu.clear()
        predict.predict_shards(predictor, shards, disturbances=disturbances)
    assert gpu.down == gpu.waits == 3 * (1 + len(disturbances)), str(gpu)
    assert gpu.up == 3 * (3 if perturb else 1), str(gpu)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbance_takes_few_kernels(name: str) -> None:
    disturbance, counts = DISTURBANCES[name], []
    for batch in BATCHES:
        keys = [ClipKey(f"{number}.avi") for number in range(batch)]
        with fake_gpu() as gpu:
            video, others = (torch.empty((batch, 8, 32, 32, 3), dtype=torch.uint8, device="cuda") for _ in range(2))
            gpu.clear()
            found = disturb(video, disturbance, keys, others)
            assert (found.shape, found.device.type) == (video.shape, "cuda")
        assert (gpu.down, gpu.waits) == (0, 0), str(gpu)
        counts.append((gpu.up, gpu.kernels.total()))
    if disturbance.kind == "noise":  # which is drawn and goes up clip by clip, in far more time than its kernels take
        return
    assert len(set(counts)) == 1
    assert counts[0] <= (1, 90)


# cam


def test_cam_waits_for_activations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a batch come up the clips, which of them count, and what resamples the maps of each pathway."""
    monkeypatch.setattr(cam, "_reason", lambda *_: "")  # weights are not what they are
    out, network = make_shards(tmp_path / "out", recipe="fademixup", share=0.5), random_network(2)
    with fake_gpu() as gpu:
        predictor = predictor_of(network)
        gpu.clear()
        found = cam.measure(predictor, out)
    assert found.clips == 12
    assert (gpu.up, gpu.down, gpu.waits) == (4 * 3, 3, 3), str(gpu)


def test_cam_draws_a_clip(shards: Path) -> None:
    network = random_network(2)
    with fake_gpu() as gpu:
        (seen,) = cam.class_activations(predictor_of(network), shards, 0)
    assert (seen.activation.shape, seen.maps.shape) == ((8,), (8, 32, 32))
    assert gpu.down == 3


# A loop of somebody's own


@pytest.mark.parametrize("name", ["randaugment_t", "vipriors2020"])
def test_clips_left_on_the_host_are_refused_before_anything_runs(name: str) -> None:
    with fake_gpu() as gpu:
        there, here = (torch.empty((4, 8, 32, 32, 3), dtype=torch.uint8, device=device) for device in ("cuda", "cpu"))
        target = torch.zeros(4, 2, device="cuda")
        with pytest.raises(
            ClipsError, match=r"^target: is on cuda:0, and video on cpu; try target.to\(video.device\)$"
        ):
            augment_batch(load_recipe(name), Clips(here, target), seed=0, epoch=0, first_clip=0)
        gpu.clear()
        clips = augment_batch(load_recipe(name), Clips(there, target), seed=0, epoch=0, first_clip=0)
        assert {part.device.type for part in vars(clips).values()} == {"cuda"}
    assert (gpu.down, gpu.waits) == (0, 0)


def test_the_fake_gpu_notices() -> None:
    """What these tests hold on to: a tensor on the wrong device, a read of a value, copies that wait or do not."""
    with fake_gpu() as gpu:
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        gpu.clear()
        with pytest.raises(RuntimeError, match="at least two devices"):
            there + here
        assert (gpu.up, gpu.down, gpu.waits) == (0, 0, 0)
        here.to("cuda", non_blocking=True)  # not pinned
        here.pin_memory().to("cuda")
        assert (gpu.up, gpu.waits) == (2, 2)
        here.pin_memory().to("cuda", non_blocking=True)
        assert (gpu.up, gpu.waits) == (3, 2)
        float(there.sum())
        with torch.inference_mode():
            there.cpu()
            bool(there.any())
        assert (gpu.down, gpu.waits) == (1, 5)


def test_the_backward_pass_of_the_fake_gpu_is_that_of_torch() -> None:
    """With numbers, on the CPU."""
    networks = [random_network(2, NETWORK).train() for _ in range(2)]
    video = torch.randint(0, 256, (2, 8, 32, 32, 3), dtype=torch.uint8)
    losses = [network(video).square().sum() for network in networks]
    losses[0].backward()
    run_backward(losses[1])
    for ours, theirs in zip(*(network.parameters() for network in networks), strict=True):
        assert ours.grad is not None
        assert torch.equal(ours.grad, theirs.grad)
