"""The training loop: what every setting does, and that a step, an epoch and a run are what they say."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from train_makers import BASE, CPU, NETWORK, make_shards, parts_of, run_of, same, train_an_epoch, trained

from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.device import autocast, training_amp
from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.clips import Clips
from vidaug_cli.recipe.batch import augment_batch
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.rng import Step, generator
from vidaug_cli.train import loop
from vidaug_cli.train.batches import ClipSampler, CropDataset, SampleIndex
from vidaug_cli.train.build import build
from vidaug_cli.train.checkpoint import read_checkpoint, write_checkpoint
from vidaug_cli.train.distributed import World
from vidaug_cli.train.history import EpochMetrics, MetricsLog
from vidaug_cli.train.loop import check_finite, train, train_step, validate
from vidaug_cli.train.settings import Settings
from vidaug_cli.train.slowfast import ARCHITECTURES, SlowFast
from vidaug_cli.train.state import CheckpointWriter, Parts


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)
    monkeypatch.setitem(ARCHITECTURES, "tiny-deeper", replace(NETWORK, blocks=(2, 1, 1, 1)))
    monkeypatch.setitem(ARCHITECTURES, "tiny-dropout", replace(NETWORK, dropout=0.5))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("train") / "shards")


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips of the two classes, larger and longer than those of training."""
    return make_shards(tmp_path_factory.mktemp("validation") / "shards", videos=7, frames=10, size=40)


@pytest.fixture(scope="module")
def plain(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The weights that BASE leads to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", NETWORK)
        return trained(tmp_path_factory.mktemp("plain"), shards)


def batch(clips: int = 6, size: int = 32, classes: int = 2) -> tuple[Tensor, Tensor]:
    """Noise with soft labels."""
    draw = torch.Generator().manual_seed(1)
    video = torch.randint(0, 256, (clips, 8, size, size, 3), dtype=torch.uint8, generator=draw)
    return video, torch.rand(clips, classes, generator=draw).softmax(1)


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def near(first: dict[str, Tensor], second: dict[str, Tensor], tolerance: float = 1e-5) -> bool:
    return all(torch.allclose(value.double(), second[name].double(), atol=tolerance) for name, value in first.items())


# What every setting does

CHANGES: dict[str, tuple[dict[str, Any], Any]] = {  # a setting, what else it needs to matter, and another value
    "network": ({}, "tiny-deeper"),
    "input": ({}, "diff"),
    "epochs": ({}, 3),
    "clips_seen": ({"epochs": None, "clips_seen": 24}, 32),
    "batch_size": ({}, 6),
    "accumulate": ({}, 2),  # statistics of normalisation are then those of half a batch
    "optimizer": ({}, "sgd"),
    "lr": ({}, 2e-3),
    "weight_decay": ({}, 0.5),
    "momentum": ({"optimizer": "sgd"}, 0.5),
    "warmup": ({}, 1.5),
    "dropout": ({}, 0.5),
    "smoothing": ({}, 0.1),
    "clip_norm": ({}, 1e-3),
    "ema": ({}, 0.5),
    "frames": ({}, 6),
    "stride": ({"frames": 4}, (1, 2)),
    "size": ({}, 24),
    "flip": ({}, 0.5),
    "amp": ({}, "bf16"),
    "seed": ({}, 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_changes_the_weights(name: str, shards: Path, plain: dict[str, Tensor], tmp_path: Path) -> None:
    needed, value = CHANGES[name]
    if name == "amp":  # bfloat16 is right on the CPU for clips that are not very short and small
        shards, needed = make_shards(tmp_path / "larger", videos=4, frames=12, size=48), {"epochs": 1}
    base = trained(tmp_path / "base", shards, **needed) if needed else plain
    assert not same(trained(tmp_path / "changed", shards, **needed | {name: value}), base)


def test_every_setting_is_in_that_table() -> None:
    """But --sync-bn, which is for several processes."""
    assert set(CHANGES) == {field.name for field in fields(Settings)} - {"sync_bn"}


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_the_optimizers_differ(optimizer: str, shards: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {"weight_decay": 0.1, "lr": 1e-2}
    base = trained(tmp_path / "sgd", shards, optimizer="sgd", **values)
    assert not same(trained(tmp_path / "other", shards, optimizer=optimizer, **values), base)


def test_two_runs_on_a_cpu_have_equal_weights(shards: Path, plain: dict[str, Tensor], tmp_path: Path) -> None:
    assert same(trained(tmp_path / "again", shards), plain)
    train(build(run_of(tmp_path / "read ahead", shards), CPU, workers=2))
    assert same(read_checkpoint(tmp_path / "read ahead" / "last.safetensors").weights, plain)


def test_validation_and_alone_sync_bn_leave_the_weights_as_they_are(
    shards: Path, held_out: Path, plain: dict[str, Tensor], tmp_path: Path
) -> None:
    assert same(trained(tmp_path, shards, held_out, sync_bn=True), plain)


# A step


FORMS = [
    {"optimizer": "adamw", "weight_decay": 0.3},
    {"optimizer": "adam", "weight_decay": 0.3},
    {"optimizer": "sgd", "weight_decay": 0.01, "momentum": 0.8},
    {"optimizer": "sgd", "momentum": 0.0, "smoothing": 0.2},
    {"optimizer": "adamw", "clip_norm": 0.05, "smoothing": 0.1},
]


def by_hand(network: SlowFast, settings: Settings) -> torch.optim.Optimizer:
    """As the manuals of torch name it."""
    values: dict[str, Any] = {"lr": 123.0, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        momentum = settings.momentum
        return torch.optim.SGD(network.parameters(), momentum=momentum, nesterov=momentum > 0, **values)
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(network.parameters(), **values)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())))
def test_three_steps_are_those_of_torch(form: dict[str, Any], shards: Path, tmp_path: Path) -> None:
    parts = parts_of(tmp_path, shards, **form)
    settings, ours = parts.run.settings, parts.network.train()
    theirs = SlowFast(NETWORK, 2).train()
    theirs.load_state_dict(ours.state_dict())
    optimizer = by_hand(theirs, settings)
    for lr in (1e-2, 1e-3, 5e-3):
        video, target = batch()
        sums = train_step(parts, video, target, lr)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        logits = theirs(video)
        spread = target * (1 - settings.smoothing) + settings.smoothing / 2
        losses = -(spread * logits.log_softmax(1)).sum(1)
        losses.mean().backward()
        if settings.clip_norm is not None:
            gradients = [weight.grad for weight in theirs.parameters() if weight.grad is not None]
            assert len(gradients) == len(list(theirs.parameters()))
            norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
            assert norm > settings.clip_norm  # else it would show nothing
            for gradient in gradients:
                gradient *= settings.clip_norm / norm
        optimizer.step()
        hits = (logits.argmax(1) == target.argmax(1)).sum()
        assert sums.tolist() == pytest.approx([float(losses.detach().sum()), float(hits)], rel=1e-5)
    assert near(weights_of(ours), weights_of(theirs))
    assert all(weight.grad is None for weight in ours.parameters())


@pytest.mark.parametrize("number", [2, 3, 4, 6])  # 4 of 6 clips: parts of 2, 2 and 2
def test_parts_add_up_to_the_batch(number: int, shards: Path, tmp_path: Path) -> None:
    """With normalisation by fixed statistics, which is where a part does not know of the others."""
    found = []
    for accumulate in (1, number):
        parts = parts_of(tmp_path, shards, batch_size=6, accumulate=accumulate, optimizer="sgd")
        parts.network.eval()
        found.append((train_step(parts, *batch(), 0.1), weights_of(parts.network)))
    assert found[0][0].tolist() == pytest.approx(found[1][0].tolist(), rel=1e-5)
    assert near(found[0][1], found[1][1], 1e-6)


def test_parts_of_unequal_length_add_up_too(shards: Path, tmp_path: Path) -> None:
    found = []
    for accumulate in (1, 2):
        parts = parts_of(tmp_path, shards, accumulate=accumulate, optimizer="sgd")
        parts.network.eval()
        train_step(parts, *batch(5), 0.1)
        found.append(weights_of(parts.network))
    assert near(found[0], found[1], 1e-6)


def test_the_average_of_the_weights_is_its_closed_form(shards: Path, tmp_path: Path) -> None:
    parts = parts_of(tmp_path, shards, ema=0.75)
    seen = []
    for _ in range(3):
        train_step(parts, *batch(), 0.01)
        seen.append(weights_of(parts.network))
    expected = {
        name: 0.75**2 * value.double() + 0.75 * 0.25 * seen[1][name].double() + 0.25 * seen[2][name].double()
        for name, value in seen[0].items()
        if value.is_floating_point()
    }
    kept = parts.tested.state_dict()
    assert near(expected, kept, 1e-6)
    assert not near(expected, seen[2], 1e-4)
    assert any(name.endswith("running_mean") for name in expected)
    CheckpointWriter(parts).save([{"epoch": 1, "loss": 1.0, "top1": 0.5}])
    assert same(read_checkpoint(parts.run.best).weights, kept)


# An epoch

Given = tuple[Tensor, Tensor, float]  # video, target and rate of a step


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Given]:
    """What the steps are given, none of which is taken: each has a loss of 1.5 a clip, and three hits."""
    steps: list[Given] = []

    def recorded(parts: Parts, video: Tensor, target: Tensor, lr: float) -> Tensor:
        steps.append((video.clone(), target.clone(), lr))
        return torch.tensor([1.5 * len(video), 3.0])

    monkeypatch.setattr("vidaug_cli.train.loop.train_step", recorded)
    return steps


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_gives_its_batches_and_rates_to_the_steps(
    epoch: int, given: list[Given], shards: Path, tmp_path: Path
) -> None:
    parts = parts_of(tmp_path, shards, batch_size=5, frames=6, size=24, flip=0.5, seed=4)
    train(parts)
    run, order = parts.run, ClipSampler(12, 5, seed=4)
    crops = CropDataset(run.shards.dataset, run.shape, flip=0.5, seed=4)
    order.epoch = epoch
    rates = {0: (1.0, 1.0), 1: (0.75, 0.25)}[epoch]  # of 4 steps, after a warm-up of one; cosine, by thirds
    assert rates == pytest.approx(
        [0.5 * (1 + math.cos(math.pi * third / 3)) for third in (0, 0, 1, 2)][2 * epoch :][:2]
    )
    assert len(given) == 4
    for indices, (video, target, lr), rate in zip(order, given[2 * epoch :][:2], rates, strict=True):
        expected = [crops[index] for index in indices]
        assert torch.equal(video, torch.stack([clip[0] for clip in expected]))
        assert torch.equal(target, torch.stack([clip[1] for clip in expected]))
        assert lr == pytest.approx(1e-3 * rate)


@pytest.mark.parametrize("name", ["randaugment_t", "fademixup"])
def test_an_online_recipe_draws_by_seed_epoch_and_place(
    name: str, given: list[Given], shards: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(name)
    parts = parts_of(tmp_path, shards, recipe=recipe, seed=3)
    train(parts)
    order, changed = ClipSampler(12, 4, seed=3), False
    order.epoch = 1
    for number, (indices, (video, target, _)) in enumerate(zip(order, given[3:], strict=True)):
        clips = [parts.run.shards.dataset[index.clip] for index in indices]
        bare = Clips(*(torch.stack(part) for part in zip(*clips, strict=True)))
        expected = augment_batch(recipe, bare, seed=3, epoch=1, first_clip=4 * number)
        assert torch.equal(video, expected.video)
        assert torch.equal(target, expected.target)
        changed |= not torch.equal(video, bare.video)
    assert changed


@pytest.mark.usefixtures("given")
def test_the_metrics_of_an_epoch_say_what_happened(shards: Path, tmp_path: Path) -> None:
    metrics, _ = train(parts_of(tmp_path, shards, batch_size=5, warmup=1.0))
    assert list(metrics) == [
        "epoch",
        "lr",
        "loss",
        "top1",
        "clips_per_second",
        "waiting",
        "step_seconds",
        "held_step_seconds",
        "seconds",
    ]
    assert [metrics[name] for name in ("epoch", "loss", "top1")] == pytest.approx([1, 1.5, 0.6])
    assert metrics["lr"] == pytest.approx(1e-3)  # of the last step
    assert metrics["clips_per_second"] * metrics["seconds"] == pytest.approx(10)
    assert metrics["step_seconds"] * 2 == pytest.approx(metrics["seconds"])
    assert 0 <= metrics["waiting"] <= 1
    assert 0 < metrics["held_step_seconds"] < metrics["seconds"]


@pytest.mark.parametrize("steps", [1, 2, 6])
def test_a_step_without_reading_is_measured(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """To read a batch takes 0.1 s here, and a step 0.05 s; once is enough."""
    write = CropDataset.write

    def slow_write(self: CropDataset, *given: Any) -> None:
        time.sleep(0.1 * steps / 12)
        write(self, *given)

    def slow_step(*_: Any) -> Tensor:
        time.sleep(0.05)
        return torch.zeros(2)

    monkeypatch.setattr(CropDataset, "write", slow_write)
    monkeypatch.setattr(loop, "train_step", slow_step)
    history = train(parts_of(tmp_path, shards, batch_size=12 // steps))
    for metrics in history:
        assert metrics["held_step_seconds"] == pytest.approx(0.05, abs=0.03)
        assert metrics["step_seconds"] == pytest.approx(0.15, abs=0.06)
        assert metrics["waiting"] == pytest.approx(2 / 3, abs=0.15)
    assert len({metrics["held_step_seconds"] for metrics in history}) == 1


def test_what_is_measured_changes_no_weight(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = trained(tmp_path / "measured", shards, batch_size=2, recipe=load_recipe("fademixup"))
    monkeypatch.setattr(loop, "HELD", 0)
    monkeypatch.setattr(loop, "median", lambda _: 0.0)
    assert same(measured, trained(tmp_path / "not", shards, batch_size=2, recipe=load_recipe("fademixup")))


def validated(parts: Parts) -> EpochMetrics:
    assert parts.validation is not None
    return validate(parts, parts.validation)


def test_validation_is_what_it_is_by_hand(shards: Path, held_out: Path, tmp_path: Path) -> None:
    """Seven clips in batches of 4 and 3, whose middle of 8 frames and 32 pixels is taken; unequal classes."""
    parts = parts_of(tmp_path, shards, held_out, ema=0.5, lr=0.05)
    train_step(parts, *batch(), 0.05)
    train_step(parts, *batch(4), 0.05)
    found = validated(parts)
    clips = ShardDataset(held_out)
    video = torch.stack([clips[number][0][1:9, 4:36, 4:36] for number in range(7)])
    labels = torch.arange(7) % 2
    with torch.no_grad():
        logits = parts.average.network.eval()(video)  # type: ignore[union-attr]
    hits = (logits.argmax(1) == labels).double()
    assert found == {
        "val_loss": pytest.approx(float(cross_entropy(logits, labels)), rel=1e-5),
        "val_top1": pytest.approx(float(hits.mean())),
        "val_mean_class": pytest.approx(float(hits[labels == 0].mean() + hits[labels == 1].mean()) / 2),
    }


def test_validation_knows_classes_by_name(shards: Path, tmp_path: Path) -> None:
    """Shards with one of the two classes, of number 0 there and 1 in training."""
    light = make_shards(tmp_path / "light", classes=("light",), videos=3)
    parts = parts_of(tmp_path / "run", shards, light)
    with torch.no_grad():
        parts.network.head.weight.zero_()
        parts.network.head.bias.copy_(torch.tensor([0.0, 5.0]))
    found = validated(parts)
    assert (found["val_top1"], found["val_mean_class"]) == (1, 1)
    assert found["val_loss"] == pytest.approx(math.log1p(math.exp(-5)))


def test_dropout_is_drawn_by_seed_and_epoch(shards: Path, tmp_path: Path) -> None:
    for epoch in range(2):
        train_an_epoch(parts_of(tmp_path, shards, network="tiny-dropout", seed=6))
        assert torch.initial_seed() == int(generator(6, epoch, 1, Step.NETWORK).integers(2**63))


SHAPES = [(8, 32, 8, 4), (12, 48, 8, 4), (7, 48, 32, 8), (24, 64, 8, 4), (64, 48, 32, 8), (33, 40, 32, 4)]


@pytest.mark.parametrize(("frames", "size", "fast_frames", "alpha"), SHAPES)
def test_what_a_pathway_sees_is_known_before(
    frames: int, size: int, fast_frames: int, alpha: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = replace(NETWORK, fast_frames=fast_frames, alpha=alpha)
    monkeypatch.setitem(ARCHITECTURES, "tiny", architecture)
    run = run_of(tmp_path / "run", make_shards(tmp_path / "shards", videos=2, frames=frames, size=size))
    with torch.no_grad():
        maps = SlowFast(architecture, 2).features(torch.zeros(1, frames, size, size, 3, dtype=torch.uint8))
    assert run.pathway_frames == tuple(part.shape[2] for part in maps)


@pytest.mark.parametrize(("frames", "size"), [((2, 8), 64), ((1, 4), 64), ((3, 12), 32)])
def test_bfloat16_is_left_where_it_goes_wrong_on_the_cpu(frames: tuple[int, int], size: int) -> None:
    assert training_amp("cpu", "auto", frames=frames, size=size) == "off"
    assert training_amp("cpu", "off", frames=frames, size=size) == "off"
    assert training_amp("cuda:1", "bf16", frames=frames, size=size) == "bf16"
    with pytest.raises(
        VidaugError, match=f"^--amp bf16 gives wrong numbers on the CPU .* {size} pixels.*; take --amp off, or "
    ):
        training_amp("cpu", "bf16", frames=frames, size=size)


@pytest.mark.parametrize("frames", [(1, 1), (1, 5), (3, 12), (8, 32)])
def test_bfloat16_gradients_are_right_everywhere_else(frames: tuple[int, int]) -> None:
    """Each convolution over frames by itself, against float32."""
    assert training_amp("cpu", "bf16", frames=frames, size=33) == "bf16"
    slow, fast = frames
    for kernel, count in ((3, slow), (3, fast), (5, fast)):
        torch.manual_seed(0)
        convolution = nn.Conv3d(8, 16, (kernel, 3, 3), (1, 2, 2), (kernel // 2, 1, 1), bias=False)
        maps = torch.randn(2, 8, count, 6, 6).to(memory_format=torch.channels_last_3d)
        gradients = []
        for amp in ("off", "bf16"):
            with autocast("cpu", amp):
                found = convolution(maps)
            (gradient,) = torch.autograd.grad(found.float().square().sum(), convolution.weight)
            gradients.append(gradient)
        assert (gradients[1] - gradients[0]).norm() < 0.02 * gradients[0].norm()


# A run


def test_it_learns_what_is_easy_to_tell_apart(shards: Path, held_out: Path, tmp_path: Path) -> None:
    values = {"epochs": 8, "batch_size": 6, "lr": 3e-3, "warmup": 1.0}
    history = train(parts_of(tmp_path, shards, held_out, **values))
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert history[-1]["top1"] == 1
    assert history[-1]["loss"] < 0.25 < 0.5 < history[0]["loss"]
    assert history[-1]["val_top1"] == 1


def test_it_learns_soft_labels(tmp_path: Path) -> None:
    """Clips of mixed classes, 7 to 3: the best loss is the entropy of that, and the network says 0.7."""
    mixed = make_shards(tmp_path / "mixed", recipe="fademixup", share=0.7)
    history = train(parts_of(tmp_path / "run", mixed, epochs=10, batch_size=6, lr=3e-3, warmup=1.0))
    entropy = -(0.7 * math.log(0.7) + 0.3 * math.log(0.3))
    assert entropy < history[-1]["loss"] < entropy + 0.05
    assert history[-1]["top1"] == 1


def saver(parts: Parts) -> Callable[[EpochMetrics], None]:
    """What adds an epoch to a history, and writes the checkpoints that are due."""
    writer, history = CheckpointWriter(parts), list[EpochMetrics]()

    def save(metrics: EpochMetrics) -> None:
        history.append(metrics)
        writer.save(history)

    return save


def test_the_best_checkpoint_is_of_the_best_epoch(shards: Path, held_out: Path, tmp_path: Path) -> None:
    """By top-1, then by loss; the first of equals; without validation the last."""
    parts = parts_of(tmp_path / "with", shards, held_out)
    save, best = saver(parts), []
    for epoch, (top1, loss) in enumerate([(0.5, 2.0), (0.5, 1.0), (0.5, 1.0), (0.4, 0.1), (0.6, 3.0)], 1):
        save({"epoch": epoch, "loss": 1.0, "top1": 1.0, "val_top1": top1, "val_loss": loss})
        best.append(read_checkpoint(parts.run.best).epoch)
        assert read_checkpoint(parts.run.last).epoch == epoch
    assert best == [1, 2, 2, 2, 5]
    alone = parts_of(tmp_path / "without", shards)
    save = saver(alone)
    for epoch in (1, 2):
        save({"epoch": epoch, "loss": 1.0 * epoch, "top1": 1.0})
        assert read_checkpoint(alone.run.best).epoch == epoch


def test_slow_checkpoints_are_written_less_often(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each took two seconds and an epoch none: the first is kept, and the last of the run."""
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr("vidaug_cli.train.state.time.perf_counter", lambda: next(clock))
    parts = parts_of(tmp_path, shards, epochs=4)
    save, kept = saver(parts), []
    for epoch in range(1, 5):
        save({"epoch": epoch, "loss": 1.0, "top1": 1.0})
        kept.append(read_checkpoint(parts.run.last).epoch)
    assert kept == [1, 1, 1, 4]


def test_slow_checkpoints_lose_no_best_epoch(
    shards: Path, held_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best epoch is spared and later ones are worse: it is there at the end, and whenever the last is later."""
    clock = iter(range(0, 1000, 2))
    parts = parts_of(tmp_path, shards, held_out, epochs=30)
    save, bias = saver(parts), parts.network.head.bias
    monkeypatch.setattr("vidaug_cli.train.state.time.perf_counter", lambda: next(clock))
    merits, heads, found = {3: 0.7, 14: 0.9, 25: 0.8}, {}, []
    for epoch in range(1, 31):
        with torch.no_grad():
            bias.fill_(float(epoch))
        heads[epoch] = bias.clone()
        save({"epoch": epoch, "loss": 1, "top1": 1, "val_top1": merits.get(epoch, 0.5), "val_loss": 1.0})
        last, best = (read_checkpoint(path) for path in (parts.run.last, parts.run.best))
        seen = {number: merits.get(number, 0.5) for number in range(1, last.epoch + 1)}
        assert best.epoch == max(seen, key=lambda number: seen[number])  # what a continued run knows of
        assert torch.equal(best.weights["head.bias"], heads[best.epoch])
        assert best.metrics["epoch"] == best.epoch
        found.append((last.epoch, best.epoch))
    assert len(set(found)) == 3  # the first, one in between after 20 times two seconds, and the last
    assert found[-1] == (30, 14)


def test_a_checkpoint_says_what_it_is(shards: Path, held_out: Path, tmp_path: Path) -> None:
    parts = parts_of(tmp_path, shards, held_out, frames=6, size=24, dropout=0.25, epochs=1)
    history = train(parts)
    for path, going_on in ((parts.run.best, False), (parts.run.last, True)):
        kept = read_checkpoint(path)
        assert kept.architecture == replace(NETWORK, dropout=0.25)
        assert kept.classes == ("dark", "light")
        assert (kept.clip.frames, kept.clip.size, kept.clip.flip) == (6, 24, 0)
        assert kept.clip.crop == pytest.approx((2 / 3 * 24 / 32, 5 / 6 * 24 / 32))
        assert (kept.epoch, kept.metrics) == (1, history[0])
        assert kept.settings["lr"] == BASE["lr"]
        assert (bool(kept.training), kept.state.keys() == {"history", "steps", "threads"}) == (going_on, going_on)
    assert kept.network("cpu")(batch(1, 24)[0]).shape == (1, 2)


def test_going_on_ends_with_the_weights_of_an_unbroken_run(shards: Path, held_out: Path, tmp_path: Path) -> None:
    """With everything that has a state: workers, dropout, an average, momenta, a recipe, and the best epoch so far."""
    values = {"network": "tiny-dropout", "epochs": 4, "ema": 0.8, "flip": 0.5, "recipe": load_recipe("fademixup")}
    unbroken = run_of(tmp_path / "unbroken", shards, held_out, **values)
    history = train(build(unbroken, CPU, workers=1))
    broken = run_of(tmp_path / "broken", shards, held_out, **values)
    for _ in range(2):  # each from what the one before left on the disk
        train_an_epoch(build(broken, CPU, workers=1))
    again = train(build(broken, CPU, workers=1))
    for name in ("last.safetensors", "best.safetensors"):
        first, second = (read_checkpoint(run.folder / name) for run in (unbroken, broken))
        assert same(first.weights, second.weights)
        assert first.epoch == second.epoch
    timing = ("seconds", "waiting", "step_seconds", "held_step_seconds", "clips_per_second")
    bare = [[{k: v for k, v in row.items() if k not in timing} for row in rows] for rows in (history, again)]
    assert bare[0] == bare[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_number_of_workers_may_change_on_the_way(workers: int, shards: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {"network": "tiny-dropout", "epochs": 2}
    expected = trained(tmp_path / "unbroken", shards, **values)
    run = run_of(tmp_path / "broken", shards, **values)
    train_an_epoch(build(run, CPU, workers=1))
    train(build(run, CPU, workers=workers))
    assert same(read_checkpoint(run.last).weights, expected)


def test_weights_to_start_from_count_once(shards: Path, plain: dict[str, Tensor], tmp_path: Path) -> None:
    first = run_of(tmp_path / "first", shards)
    train(build(first, CPU))
    parts = parts_of(tmp_path / "second", shards, init=first.last)
    assert same(weights_of(parts.network), plain)
    assert parts.notes[0].startswith(f"{first.last}: ")
    assert parts.notes[0].endswith("tensors as in vidaug, kept head")
    train_an_epoch(parts)
    moved = weights_of(parts.network)
    again = build(parts.run, CPU)
    assert again.notes == []
    assert same(weights_of(again.network), moved)
    assert not same(moved, plain)


# What goes wrong


def test_a_loss_that_is_no_number_stops_with_advice_and_keeps_the_last_good_epoch(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(VidaugError, match=r"the loss is nan in epoch 1, step 3; start again with a lower --lr, a "):
        train(parts_of(tmp_path, shards, epochs=4, warmup=0.0, lr=1e30, optimizer="sgd"))
    assert list(tmp_path.iterdir()) == []
    train_an_epoch(parts_of(tmp_path, shards))
    parts = parts_of(tmp_path, shards)
    kept = parts.run.last.read_bytes()
    with torch.no_grad():
        parts.network.head.bias.fill_(math.inf)
    with pytest.raises(VidaugError, match=r"^\S+: the loss is nan in epoch 2, step 3; start again"):
        train(parts)
    with pytest.raises(VidaugError, match=r"losses are not finite after epoch 2; start again with a lower --lr, "):
        check_finite(parts, {"epoch": 2, "loss": 1.0, "top1": 1.0})
    assert parts.run.last.read_bytes() == kept


def test_weights_or_losses_that_are_no_numbers_are_not_kept(
    shards: Path, held_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the losses of the steps are numbers."""
    parts = parts_of(tmp_path, shards, held_out)
    with monkeypatch.context() as patch:
        patch.setattr("vidaug_cli.train.loop.validate", lambda *_: {"val_loss": math.nan, "val_top1": 1.0})
        with pytest.raises(VidaugError, match="losses are not finite after epoch 1"):
            train(parts)

    def last_step_to_infinity(parts: Parts, *words: Any) -> Tensor:
        sums = train_step(parts, *words)
        with torch.no_grad():
            parts.network.head.bias.fill_(math.inf)
        return sums

    monkeypatch.setattr("vidaug_cli.train.loop.train_step", last_step_to_infinity)
    with pytest.raises(VidaugError, match="weights or losses are not finite after epoch 1"):
        train(parts_of(tmp_path, shards, batch_size=12))
    assert list(tmp_path.iterdir()) == []


NOTES: list[tuple[dict[str, Any], int, list[str]]] = [  # settings, processes, and what is said with 12 clips
    ({"batch_size": 12}, 1, []),
    ({"batch_size": 11}, 1, []),  # one in twelve is left out, others each time
    ({"batch_size": 100}, 1, ["--batch-size 100 is more than the 12 clips there are: a step takes 12"]),
    (
        {"batch_size": 40},
        5,
        [
            "--batch-size 40 is more than the 12 clips there are, and 5 processes share them evenly: a step takes 10",
            "2 of 12 clips, others in each epoch, are left out, as they fill no batch of 10",
        ],
    ),
    ({"batch_size": 7}, 1, ["5 of 12 clips, others in each epoch, are left out, as they fill no batch of 7"]),
    ({"batch_size": 6, "accumulate": 4}, 1, ["--accumulate 4 makes 3 parts of the 6 clips of a step"]),
    ({"batch_size": 6, "accumulate": 4}, 2, ["--accumulate 4 makes 3 parts of the 3 clips of a step"]),
    ({"batch_size": 6, "accumulate": 3}, 2, []),
]


@pytest.mark.parametrize(("values", "size", "said"), NOTES)
def test_a_batch_that_is_other_than_asked_for_is_noted(
    values: dict[str, Any], size: int, said: list[str], shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "parallel", lambda _, network: network)
    parts = build(run_of(tmp_path, shards, **values), World("cpu", 0, size))
    assert parts.notes == said
    clips = parts.batches.clip_sampler.batch
    assert clips == {100: 12, 40: 10}.get(values["batch_size"], values["batch_size"])
    if size == 1:
        assert len(batch(clips)[0].chunk(parts.run.settings.accumulate)) == (3 if said and "parts" in said[0] else 1)


def test_clips_of_one_class_are_noted(tmp_path: Path) -> None:
    parts = parts_of(tmp_path / "run", make_shards(tmp_path / "shards", classes=("videos_train",)))
    note = "every clip is of one class, 'videos_train': there is nothing to tell apart, and the loss says nothing"
    assert parts.notes == [note]


def test_one_step_is_a_step(shards: Path, tmp_path: Path) -> None:
    """One epoch of one batch, whatever the warm-up."""
    before = weights_of(parts_of(tmp_path / "new", shards).network)
    for warmup in (0.0, 0.5, 1.0):
        moved = trained(tmp_path / f"{warmup}", shards, batch_size=12, epochs=1, warmup=warmup)
        assert not near({"head.weight": before["head.weight"]}, moved, 1e-5)


def test_classes_in_another_order_are_another_run(shards: Path, tmp_path: Path) -> None:
    parts = parts_of(tmp_path, shards)
    train_an_epoch(parts)
    kept = read_checkpoint(parts.run.last)
    write_checkpoint(parts.run.last, replace(kept, classes=kept.classes[::-1]))
    with pytest.raises(VidaugError, match=r"^\S+: holds another run, which differs in the order of classes; choose "):
        parts_of(tmp_path, shards)


def test_a_run_goes_on_with_as_many_threads(shards: Path, tmp_path: Path) -> None:
    """On the CPU sums depend on it. Afterwards torch has as many as before."""
    said: list[str] = []
    run, usual = run_of(tmp_path, shards, epochs=5), torch.get_num_threads()
    here, default = str(tmp_path), CPU.default_threads
    assert default <= usual

    def used(threads: int | None) -> tuple[int, list[str]]:
        parts = build(run, CPU, threads=threads)
        train_an_epoch(parts)
        assert read_checkpoint(run.last).state["threads"] == parts.threads
        assert torch.get_num_threads() == usual
        return parts.threads, parts.notes

    other = default + 1
    assert used(other) == (other, [])
    note = f"{here}: goes on with {other} threads, as it began; a new run would take {default}, which --threads "
    assert used(None) == (other, [f"{note}{default} does here"])
    what = f"{here}: computed with {other} threads so far: with {default}, weights end a little different from an "
    assert used(default) == (default, [what + "unbroken run's"])
    assert used(None) == (default, [])
    kept = read_checkpoint(run.last)
    for odd in (None, "many", 0, -1, True, 10**9):
        write_checkpoint(run.last, replace(kept, state=kept.state | {"threads": odd}))
        assert build(run, CPU).threads == default
    write_checkpoint(run.last, kept)
    train(build(run, CPU, threads=other), log=MetricsLog(run.folder, say=said.append))
    assert read_checkpoint(run.last).state["threads"] == other
    assert torch.get_num_threads() == usual
    assert said[1].startswith(f"{here}: computed with ")


DIFFERING: dict[str, dict[str, Any]] = {
    "lr (0.001 there, 0.002 now)": {"lr": 2e-3},
    "epochs (1 there, 3 now)": {"epochs": 3},
    "seed (0 there, 1 now)": {"seed": 1},
    "recipe": {"recipe": load_recipe("cutmix")},
    "network (tiny there, tiny-deeper now), flip (0 there, 0.5 now)": {"network": "tiny-deeper", "flip": 0.5},
}


@pytest.fixture(scope="module")
def finished(shards: Path, held_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", NETWORK)
        trained(run, shards, held_out, epochs=1)
    return run


@pytest.mark.parametrize("names", DIFFERING)
def test_another_run_is_refused_with_what_differs(names: str, finished: Path, shards: Path, held_out: Path) -> None:
    with pytest.raises(VidaugError) as caught:
        parts_of(finished, shards, held_out, **{"epochs": 1} | DIFFERING[names])
    what = f"{finished}: holds another run, which differs in {names}; choose another folder, or --overwrite"
    assert str(caught.value) == what


def test_other_clips_are_another_run(finished: Path, shards: Path, held_out: Path, tmp_path: Path) -> None:
    fewer = make_shards(tmp_path / "fewer", videos=10)
    for training, validation, name in (
        (fewer, held_out, "shards"),
        (shards, fewer, "validation"),
        (shards, None, "validation"),
    ):
        with pytest.raises(VidaugError, match=f"differs in {name}; choose"):
            parts_of(finished, training, validation, epochs=1)
    moved = make_shards(tmp_path / "elsewhere")  # the same clips in another place
    assert parts_of(finished, moved, held_out, epochs=1).history


def without(training: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in training.items() if not name.startswith(start)}


@pytest.mark.parametrize(
    "fault", ["best", "no history", "history", "rows", "optimizer", "shape", "network", "averaged", "more"]
)
def test_a_checkpoint_that_cannot_be_continued_is_said_in_a_line(fault: str, shards: Path, tmp_path: Path) -> None:
    parts = parts_of(tmp_path, shards, ema=0.5)
    train_an_epoch(parts)
    kept = read_checkpoint(parts.run.last)
    training = kept.training
    momentum = next(name for name in training if name.startswith("optimizer.fast.stem.0.weight."))
    faults: dict[str, dict[str, Any]] = {
        "best": {"training": {}, "state": {}},
        "no history": {"state": {}},
        "history": {"state": kept.state | {"history": []}},
        "rows": {"state": kept.state | {"history": [1]}},
        "optimizer": {"training": without(training, "optimizer.head.")},
        "shape": {"training": training | {momentum: training[momentum][..., 1:]}},
        "network": {"training": without(training, "network.slow.")},
        "averaged": {"training": without(training, "averaged")},
        "more": {"training": training | {"averages": torch.ones(1)}},
    }
    write_checkpoint(parts.run.last, replace(kept, **faults[fault]))
    with pytest.raises(VidaugError, match=r"last\.safetensors: lacks what continuing needs; was it best\."):
        build(parts.run, CPU)


def test_overwriting_begins_anew_and_leaves_the_old_run_until_then(
    shards: Path, plain: dict[str, Tensor], tmp_path: Path
) -> None:
    trained(tmp_path, shards, seed=5)
    old = (tmp_path / "last.safetensors").read_bytes()
    build(run_of(tmp_path, shards, init=tmp_path / "best.safetensors"), CPU, overwrite=True)
    assert (tmp_path / "last.safetensors").read_bytes() == old
    train(build(run_of(tmp_path, shards), CPU, overwrite=True))
    assert same(read_checkpoint(tmp_path / "last.safetensors").weights, plain)
    assert same(read_checkpoint(tmp_path / "best.safetensors").weights, plain)


def test_labels_of_places_are_not_mistaken(shards: Path, tmp_path: Path) -> None:
    """What the shards of these tests hold: the class by the brightness."""
    cuts = CropDataset(ShardDataset(shards, with_weights=True), run_of(tmp_path, shards).shape)
    for clip in range(12):
        video, target, _ = cuts[SampleIndex(0, 0, clip)]
        assert torch.equal(target, one_hot(torch.tensor(clip % 2), 2).float())
        assert (float(video.float().mean()) > 120) == bool(clip % 2)
