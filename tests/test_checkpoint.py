"""Checkpoints: what is written comes back, whole or not at all; and weights of other programs."""

from __future__ import annotations

import json
import re
import resource
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_makers import CLASSES, TINY, checkpoint_of, made, network_of
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.checkpoint import Checkpoint, checksum, read_checkpoint, skeleton, write_checkpoint
from vidaug_cli.train.pretrained import SILENT, TELLING, initialise, read_foreign
from vidaug_cli.train.slowfast import ARCHITECTURES, Architecture, SlowFast
from vidaug_cli.train.state import restore, training_tensors

VIDEO = torch.arange(2 * 8 * 16 * 16 * 3).reshape(2, 8, 16, 16, 3).mul(37).to(torch.uint8)


def same(one: Any, other: Any) -> bool:
    """Equal in type and value, also within tensors, lists and dicts."""
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def test_everything_comes_back(tmp_path: Path) -> None:
    written = checkpoint_of()
    write_checkpoint(tmp_path / "last.safetensors", written)
    found = read_checkpoint(tmp_path / "last.safetensors")
    for field in fields(Checkpoint):
        assert same(getattr(found, field.name), getattr(written, field.name)), field.name
    assert [path.name for path in tmp_path.iterdir()] == ["last.safetensors"]


def test_equal_checkpoints_are_equal_files(tmp_path: Path) -> None:
    assert made(tmp_path / "a.safetensors").read_bytes() == made(tmp_path / "b.safetensors").read_bytes()


def test_the_network_is_the_one_that_was_trained(tmp_path: Path, device: torch.device) -> None:
    network = network_of()
    write_checkpoint(tmp_path / "x.safetensors", checkpoint_of(weights=network.state_dict()))
    state = torch.get_rng_state()
    found = read_checkpoint(tmp_path / "x.safetensors").network(str(device))
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in found.modules())
    assert found.get_parameter("slow.stem.0.weight").is_contiguous(memory_format=torch.channels_last_3d)
    with torch.no_grad():
        assert torch.allclose(found(VIDEO.to(device)).cpu(), network(VIDEO), atol=1e-3 if device.type == "cuda" else 0)


def test_continuing_is_possible(tmp_path: Path) -> None:
    """From tensors that are laid out in memory as the weights are, whose every bit is the same."""
    network, other = network_of(), network_of(seed=1)
    optimizer, optimizer2 = (torch.optim.AdamW(each.parameters(), fused=True) for each in (network, other))
    for step in range(2):
        for weight, weight2 in zip(network.parameters(), other.parameters(), strict=True):
            weight.grad = weight2.grad = torch.full_like(weight, step + 0.1)
        optimizer.step()
        if not step:
            kept = checkpoint_of(
                weights={name: value.clone() for name, value in network.state_dict().items()},
                training={name: value.clone() for name, value in training_tensors(network, optimizer, None).items()},
                state={"history": [{"loss": 1.0}] * 3},
                metrics={"loss": 1.0},
            )
            write_checkpoint(tmp_path / "x.safetensors", kept)
    assert restore(read_checkpoint(tmp_path / "x.safetensors"), other, optimizer2, None) == [{"loss": 1.0}] * 3
    for weight in other.parameters():
        assert optimizer2.state[weight]["exp_avg"].stride() == weight.stride()
    optimizer2.step()
    assert same(network.state_dict(), other.state_dict())
    assert same(training_tensors(network, optimizer, None), training_tensors(other, optimizer2, None))


def test_any_program_can_read_the_file(tmp_path: Path) -> None:
    with safe_open(made(tmp_path / "x.safetensors"), "pt") as file:
        about = json.loads(file.metadata()["vidaug-checkpoint"])
        assert about["version"] == 1
        assert about["classes"] == list(CLASSES)
        assert torch.equal(file.get_tensor("head.weight"), checkpoint_of().weights["head.weight"])
        assert "training.optimizer.head.weight.exp_avg" in file.keys()  # noqa: SIM118


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [10, 30_000])
def test_a_full_disk_keeps_the_old_file(tmp_path: Path, size: int) -> None:
    before = made(tmp_path / "x.safetensors").read_bytes()
    assert len(before) > 30_000
    with files_of_at_most(size), pytest.raises(VidaugError, match=r"cannot be written: File too large; is the folder"):
        made(tmp_path / "x.safetensors", epoch=4)
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
    assert (tmp_path / "x.safetensors").read_bytes() == before


@pytest.mark.parametrize("value", [{1, 2}, b"x", {(1, 2): 3}, torch.ones(1), float("nan")])
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        made(tmp_path / "x.safetensors", state={"x": value})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(VidaugError, match="cannot be written: No such file or directory; is the folder there"):
        made(tmp_path / "no" / "x.safetensors")


Parts = dict[str, Any]  # "about": what the header says; "tensors": by name


def put(*places: str, to: Any) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        for place in places[:-1]:
            parts = parts[place]
        parts[places[-1]] = to(parts[places[-1]]) if callable(to) else to

    return change


def drop(*places: str) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        for place in places[:-1]:
            parts = parts[place]
        del parts[places[-1]]

    return change


def parts_of(path: Path) -> Parts:
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["vidaug-checkpoint"])
        return {"about": about, "tensors": {name: file.get_tensor(name) for name in file.keys()}}  # noqa: SIM118


def write_parts(path: Path, parts: Parts) -> None:
    """With a right sum, so that it is not what a fault is found by."""
    about = {name: value for name, value in parts["about"].items() if name != "crc32"}
    about["crc32"] = checksum(about, parts["tensors"])
    save_file(parts["tensors"], path, {"vidaug-checkpoint": json.dumps(about)})


STEM = "slow.stem.0.weight"
FAULTS: list[tuple[Callable[[Parts], None], str]] = [
    (put("about", "version", to=2), "is version 2, and this vidaug reads 1; update vidaug-cli"),
    (put("about", "version", to="9" * 99), "is version '9999999999999999999, and"),
    (drop("about", "version"), "is version None, and"),
    (drop("about", "epoch"), "epoch: is missing"),
    (put("about", "more", to=1), "more: unknown key"),
    (put("about", "epoch", to=1.5), "epoch: 1.5 should be a whole number"),
    (put("about", "epoch", to=True), "epoch: True should be a whole number"),
    (put("about", "epoch", to=-1), "epoch = -1 should be 0 or more"),
    (put("about", "classes", to=[]), "classes = \\(\\) should be distinct names, at least one"),
    (put("about", "classes", to=["a", "a", "b"]), "classes = \\('a', 'a', 'b'\\) should be distinct names"),
    (put("about", "classes", to=["a", "b", 3]), "classes.2: 3 should be a string"),
    (put("about", "classes", to=["a", "b"]), "weight head.weight should be torch.float32 \\(2, 24\\)"),
    (put("about", "metrics", to={"x": "y"}), "metrics.x: 'y' should be a number"),
    (put("about", "settings", to=[]), "settings: \\[\\] should be an object with keys"),
    (put("about", "state", to=[]), "state: \\[\\] should be"),
    (put("about", "architecture", to=[1]), "architecture: \\[1\\] should be"),
    (put("about", "architecture", "alfa", to=1), "architecture.alfa: unknown key; did you mean 'alpha'\\?"),
    (put("about", "architecture", "alpha", to="8"), "architecture.alpha: '8' should be a whole number"),
    (put("about", "architecture", "alpha", to=0), "alpha = 0 should be 1 to 64"),
    (put("about", "architecture", "blocks", to="many"), "architecture.blocks: 'many' should be a list"),
    (put("about", "architecture", "blocks", to=[1, 1, 1]), "blocks: \\[1, 1, 1\\] should have 4 entries"),
    (put("about", "architecture", "width", to=512), f"weight {STEM} should be torch.float32 \\(512, 3, 1, 7, 7\\)"),
    (
        put("about", "architecture", "blocks", to=[64, 64, 64, 64]),
        "weight 'fast.stages",
    ),
    (put("about", "architecture", "mean", to=1e300), "mean = 1e\\+300 should be 0 to 255"),
    (put("about", "clip", "frames", to=0), "frames = 0 should be 1 to 4096"),
    (put("about", "clip", "short", to="cut"), "clip.short: 'cut' should be 'repeat', 'loop' or 'stretch'"),
    (put("about", "clip", "size", to=None), "clip.size: None should be a whole number"),
    (drop("tensors", STEM), f"weight '{STEM}' is missing or unknown"),
    (put("tensors", "x", to=torch.ones(1)), "weight 'x' is missing or unknown"),
    (put("tensors", STEM, to=torch.Tensor.half), f"weight {STEM} should be torch.float32 \\(2, 3, 1, 7, 7\\)"),
    (put("tensors", STEM, to=lambda weight: weight[0]), f"weight {STEM} should be"),
    (put("tensors", STEM, to=lambda weight: weight * torch.nan), f"weight {STEM} is not finite"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[message[:40] for _, message in FAULTS])
def test_what_is_not_a_checkpoint_says_so(tmp_path: Path, change: Callable[[Parts], None], message: str) -> None:
    path = made(tmp_path / "x.safetensors")
    parts = parts_of(path)
    change(parts)
    write_parts(path, parts)
    with pytest.raises(VidaugError, match=message) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_an_early_vidaug_is_to_be_trained_again(tmp_path: Path) -> None:
    """Whose files were torch's."""
    torch.save({"format": "vidaug-checkpoint", "version": 1, "weights": network_of().state_dict()}, tmp_path / "x.pt")
    for read in (read_checkpoint, lambda path: read_foreign(path, TINY, CLASSES)):
        with pytest.raises(VidaugError, match=r"is a checkpoint of an early vidaug, .*; train again$"):
            read(tmp_path / "x.pt")


def test_a_place_without_a_file(tmp_path: Path) -> None:
    for path, message in [(tmp_path / "no.safetensors", "does not exist"), (tmp_path, "is not a file")]:
        with pytest.raises(VidaugError, match=f"{message}; a checkpoint is what 'vidaug train' writes"):
            read_checkpoint(path)


# Weights of other programs


def authors_name(ours: str) -> str:
    """The names of methods.md, prefix and all, as substitutions."""
    for pattern, name in [
        (r"(slow|fast)\.stem\.0", r"\1_conv1"),
        (r"(slow|fast)\.stem\.1", r"\1_bn1"),
        (r"(slow|fast)\.stages\.0", r"\1_res2"),
        (r"(slow|fast)\.stages\.1", r"\1_res3"),
        (r"(slow|fast)\.stages\.2", r"\1_res4"),
        (r"(slow|fast)\.stages\.3", r"\1_res5"),
        (r"residual\.0", "conv1"),
        (r"residual\.1", "bn1"),
        (r"residual\.3", "conv2"),
        (r"residual\.4", "bn2"),
        (r"residual\.6", "conv3"),
        (r"residual\.7", "bn3"),
        ("shortcut", "downsample"),
        (r"laterals\.0\.0", "lateral_p1"),
        (r"laterals\.1\.0", "lateral_res2"),
        (r"laterals\.2\.0", "lateral_res3"),
        (r"laterals\.3\.0", "lateral_res4"),
        ("head", "fc"),
    ]:
        ours = re.sub(f"^{pattern}" if "stem" in pattern or "stages" in pattern else pattern, name, ours)
    return f"module.{ours}"


def pytorchvideo_name(ours: str) -> str:
    """The names of create_slowfast().state_dict(), read off version 0.1.5, as substitutions."""
    for pattern, name in [
        (r"slow\.stem\.0", "blocks.0.multipathway_blocks.0.conv"),
        (r"fast\.stem\.0", "blocks.0.multipathway_blocks.1.conv"),
        (r"slow\.stem\.1", "blocks.0.multipathway_blocks.0.norm"),
        (r"fast\.stem\.1", "blocks.0.multipathway_blocks.1.norm"),
        *((rf"slow\.stages\.{n}", f"blocks.{n + 1}.multipathway_blocks.0.res_blocks") for n in range(4)),
        *((rf"fast\.stages\.{n}", f"blocks.{n + 1}.multipathway_blocks.1.res_blocks") for n in range(4)),
        (r"residual\.0", "branch2.conv_a"),
        (r"residual\.1", "branch2.norm_a"),
        (r"residual\.3", "branch2.conv_b"),
        (r"residual\.4", "branch2.norm_b"),
        (r"residual\.6", "branch2.conv_c"),
        (r"residual\.7", "branch2.norm_c"),
        (r"shortcut\.0", "branch1_conv"),
        (r"shortcut\.1", "branch1_norm"),
        (r"laterals\.(\d)\.0", r"blocks.\1.multipathway_fusion.conv_fast_to_slow"),
        (r"laterals\.(\d)\.1", r"blocks.\1.multipathway_fusion.norm"),
        ("head", "blocks.6.proj"),
    ]:
        ours = re.sub(f"^{pattern}" if pattern[:4] in ("slow", "fast") else pattern, name, ours)
    return ours


def pyslowfast_name(ours: str) -> str:
    """The names of PySlowFast's modules, as substitutions."""
    for pattern, name in [
        *((rf"^{way}\.stem\.{n}", f"s1.pathway{p}_stem.{part}") for p, way in WAYS for n, part in CONV_BN),
        *((rf"^{way}\.stages\.{n}\.(\d+)", rf"s{n + 2}.pathway{p}_res\1") for p, way in WAYS for n in range(4)),
        *((rf"residual\.{3 * n}\.", rf"branch2.{'abc'[n]}.") for n in range(3)),
        *((rf"residual\.{3 * n + 1}\.", rf"branch2.{'abc'[n]}_bn.") for n in range(3)),
        (r"shortcut\.0", "branch1"),
        (r"shortcut\.1", "branch1_bn"),
        *((rf"laterals\.{n}\.0", f"s{n + 1}_fuse.conv_f2s") for n in range(4)),
        *((rf"laterals\.{n}\.1", f"s{n + 1}_fuse.bn") for n in range(4)),
        ("^head", "head.projection"),
    ]:
        ours = re.sub(pattern, name, ours)
    return ours


def mmaction2_name(ours: str) -> str:
    """The names of MMAction2's modules, as substitutions."""
    for pattern, name in [
        *((rf"^{way}\.stem\.{n}", f"backbone.{way}_path.conv1.{part}") for _, way in WAYS for n, part in CONV_BN),
        *((rf"^{way}\.stages\.{n}", f"backbone.{way}_path.layer{n + 1}") for _, way in WAYS for n in range(4)),
        *((rf"residual\.{3 * k + n}", f"conv{k + 1}.{part}") for k in range(3) for n, part in CONV_BN),
        *((rf"shortcut\.{n}", f"downsample.{part}") for n, part in CONV_BN),
        (r"laterals\.0\.0", "backbone.slow_path.conv1_lateral.conv"),
        *((rf"laterals\.{n}\.0", f"backbone.slow_path.layer{n}_lateral.conv") for n in (1, 2, 3)),
        ("^head", "cls_head.fc_cls"),
    ]:
        ours = re.sub(pattern, name, ours)
    return ours


WAYS, CONV_BN = ((0, "slow"), (1, "fast")), ((0, "conv"), (1, "bn"))
NAMES = {
    "the release of arXiv:2008.05721": authors_name,
    "PyTorchVideo": pytorchvideo_name,
    "PySlowFast": pyslowfast_name,
    "MMAction2": mmaction2_name,
}
PAPER = Architecture(blocks=(2, 1, 1, 2), width=4, beta=2, alpha=4, fast_frames=8)
ORIGINAL = replace(PAPER, lateral_norm=True, head_bias=True)
FORMS = {
    "the release of arXiv:2008.05721": PAPER,
    "PyTorchVideo": ORIGINAL,
    "PySlowFast": ORIGINAL,
    "MMAction2": replace(PAPER, head_bias=True),
}


def foreign(path: Path, source: str, architecture: Architecture, classes: int = 3) -> dict[str, Tensor]:
    """Write what the other program would; its state dict, with values of which no two tensors have the same.

    MMAction2's head has the columns of Fast first in the file, and here those of Slow.
    """
    rename = NAMES[source]
    state = OrderedDict(
        (rename(name), weight) for name, weight in network_of(architecture, classes).state_dict().items()
    )
    head = state[rename("head.weight")]
    slow = architecture.width * architecture.growth * 8
    wrapped = {
        "the release of arXiv:2008.05721": {"epoch": 9, "state_dict": state, "optimizer_state_dict": {"state": {}}},
        "PyTorchVideo": {"model_state": state},
        "PySlowFast": {
            "epoch": 9,
            "model_state": state,
            "optimizer_state": {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1}] * 2},
            "cfg": "TRAIN:\n  ENABLE: true\n",
        },
        "MMAction2": {
            "meta": {"epoch": 9, "dataset_meta": {"classes": ("a", "b")}},
            "state_dict": state
            | {rename("head.weight"): torch.cat(head.split([slow, slow // architecture.beta], 1)[::-1], 1)},
        },
    }
    torch.save(wrapped[source], path)
    return dict(state)


@pytest.mark.parametrize("source", NAMES)
def test_each_foreign_tensor_lands_where_it_should(tmp_path: Path, source: str) -> None:
    state = foreign(tmp_path / "x.pt", source, FORMS[source])
    network = SlowFast(FORMS[source], 3).eval()
    report = initialise(network, tmp_path / "x.pt", CLASSES)
    assert (report.source, report.tensors, report.head) == (source, len(state), True)
    assert str(report) == f"{len(state)} tensors as in {source}, kept head"
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, state[NAMES[source](name)]), name
    with torch.no_grad():
        assert torch.equal(network(VIDEO), network_of(FORMS[source])(VIDEO))


@pytest.mark.parametrize("source", NAMES)
def test_documented_names(source: str) -> None:
    """The maps of this file themselves, by names written out."""
    names = {NAMES[source](name) for name in network_of(FORMS[source]).state_dict()}
    documented = {
        "the release of arXiv:2008.05721": """fast_conv1.weight fast_bn1.running_var slow_conv1.weight slow_bn1.weight
            slow_res2.0.conv1.weight slow_res2.1.bn3.bias fast_res5.1.conv3.weight fast_res3.0.downsample.0.weight
            slow_res5.0.downsample.1.running_mean lateral_p1.weight lateral_res4.weight fc.weight""",
        "PyTorchVideo": """blocks.0.multipathway_blocks.0.conv.weight blocks.0.multipathway_blocks.1.norm.running_mean
            blocks.0.multipathway_fusion.conv_fast_to_slow.weight blocks.3.multipathway_fusion.norm.bias
            blocks.1.multipathway_blocks.0.res_blocks.1.branch2.conv_a.weight blocks.6.proj.weight blocks.6.proj.bias
            blocks.4.multipathway_blocks.1.res_blocks.1.branch2.norm_c.num_batches_tracked
            blocks.2.multipathway_blocks.1.res_blocks.0.branch1_conv.weight
            blocks.2.multipathway_blocks.0.res_blocks.0.branch1_norm.weight""",
        "PySlowFast": """s1.pathway0_stem.conv.weight s1.pathway1_stem.bn.running_mean s1_fuse.conv_f2s.weight
            s4_fuse.bn.bias s2.pathway0_res1.branch2.a.weight s5.pathway1_res1.branch2.c_bn.num_batches_tracked
            s3.pathway1_res0.branch1.weight s3.pathway0_res0.branch1_bn.weight head.projection.bias""",
        "MMAction2": """backbone.slow_path.conv1.conv.weight backbone.fast_path.conv1.bn.running_mean
            backbone.slow_path.layer1.0.conv1.conv.weight backbone.slow_path.layer4.0.downsample.conv.weight
            backbone.fast_path.layer2.0.downsample.bn.bias backbone.slow_path.conv1_lateral.conv.weight
            backbone.slow_path.layer3_lateral.conv.weight cls_head.fc_cls.weight cls_head.fc_cls.bias""",
    }
    prefix = "module." if source == AUTHORS else ""
    assert {prefix + name for name in documented[source].split()} <= names


@pytest.mark.parametrize("source", NAMES)
def test_a_head_for_other_classes_is_left_as_it_was(tmp_path: Path, source: str) -> None:
    foreign(tmp_path / "x.pt", source, FORMS[source], classes=400)
    network = SlowFast(FORMS[source], 3)
    before = network.head.weight.clone()
    report = initialise(network, tmp_path / "x.pt", CLASSES)
    assert not report.head
    assert str(report).endswith(", new head")
    assert torch.equal(network.head.weight, before)
    first = "slow.stem.0.weight"
    assert torch.equal(network.get_parameter(first), network_of(FORMS[source], 400).get_parameter(first))


def test_a_head_of_other_class_names_is_left_as_it_was(tmp_path: Path) -> None:
    made(tmp_path / "x.pt")
    assert initialise(SlowFast(TINY, 3), tmp_path / "x.pt", CLASSES).head
    assert not initialise(SlowFast(TINY, 3), tmp_path / "x.pt", ("a", "b", "c")).head
    assert str(initialise(SlowFast(TINY, 2), tmp_path / "x.pt", ("a", "b"))).endswith("as in vidaug, new head")


@pytest.mark.parametrize("architecture", [TINY, replace(TINY, head_bias=True)])
def test_a_head_with_its_classes_in_another_order_is_sorted_by_name(tmp_path: Path, architecture: Architecture) -> None:
    made(tmp_path / "x.pt", architecture=architecture, weights=network_of(architecture).state_dict())
    kept, network = SlowFast(architecture, 3).eval(), SlowFast(architecture, 3).eval()
    assert initialise(kept, tmp_path / "x.pt", CLASSES).notes == ()
    report = initialise(network, tmp_path / "x.pt", ("walk", "jump", "run"))
    assert report.head
    assert report.notes == ("its head has its classes in another order, and was sorted by their names",)
    with torch.no_grad():
        assert torch.equal(network(VIDEO), kept(VIDEO)[:, [2, 0, 1]])


def test_what_is_taken_for_granted_of_a_head_is_noted(tmp_path: Path) -> None:
    made(tmp_path / "ours.pt")
    foreign(tmp_path / "theirs.pt", AUTHORS, PAPER)
    assert initialise(SlowFast(TINY, 3), tmp_path / "ours.pt", ("a", "run", "walk")).notes == (OTHER_HEAD,)
    assert initialise(SlowFast(TINY, 2), tmp_path / "ours.pt", ("run", "walk")).notes == (OTHER_HEAD,)
    order = "it names no classes: those of its head are taken to be these, in this order"
    assert initialise(SlowFast(PAPER, 3), tmp_path / "theirs.pt", CLASSES).notes == (order,)
    assert initialise(SlowFast(PAPER, 2), tmp_path / "theirs.pt", ("a", "b")).notes == (OTHER_HEAD,)


@pytest.mark.parametrize("name", TELLING)
def test_a_checkpoint_of_another_network_of_the_same_shapes_is_refused(tmp_path: Path, name: str) -> None:
    value: Any = {"alpha": 2, "fast_frames": 16, "mean": 100.0, "std": 58.5, "input": "diff"}[name]
    made(tmp_path / "x.pt")
    with pytest.raises(VidaugError) as caught:
        initialise(SlowFast(replace(TINY, **{name: value}), 3), tmp_path / "x.pt", CLASSES)
    told = f"was trained with {name} = {getattr(TINY, name)}, and this network has {name} = {value}"
    assert str(caught.value).startswith(f"{tmp_path / 'x.pt'}: {told}; --init takes")


def test_the_network_that_a_checkpoint_is_of_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", replace(TINY, dropout=0.125))
    made(tmp_path / "x.pt")
    fault = fault_of(tmp_path / "x.pt", replace(TINY, alpha=8, mean=0.0))
    told = "was trained with alpha = 4, mean = 128.0, and this network has alpha = 8, mean = 0.0"
    assert fault == f"{told}; it fits --network tiny"


def test_of_networks_that_fit_only_the_one_of_the_checkpoint_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny-4x16", TINY)
    monkeypatch.setitem(ARCHITECTURES, "tiny-8x8", replace(TINY, alpha=2))
    made(tmp_path / "x.pt", architecture=replace(TINY, alpha=2))
    assert fault_of(tmp_path / "x.pt", ARCHITECTURES["r10-small"]).endswith("; it fits --network tiny-8x8")


def test_dropout_is_no_other_network(tmp_path: Path) -> None:
    made(tmp_path / "x.pt")
    assert initialise(SlowFast(replace(TINY, dropout=0.1, zero_init=True), 3), tmp_path / "x.pt", CLASSES).head


def test_networks_that_a_foreign_file_fits_alike_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny-4x16", PAPER)
    monkeypatch.setitem(ARCHITECTURES, "tiny-8x8", replace(PAPER, alpha=2))
    foreign(tmp_path / "x.pt", AUTHORS, PAPER, classes=400)
    network = SlowFast(replace(PAPER, dropout=0.1), 3)
    note = "it fits tiny-4x16 and tiny-8x8 alike, and is taken for tiny-4x16"
    assert initialise(network, tmp_path / "x.pt", CLASSES).notes == (OTHER_HEAD, note)


def test_shapes_do_not_tell_those_fields_and_tell_the_others() -> None:
    """Else a file could be taken for another network's without a word."""
    assert set(TELLING) | set(SILENT) < {field.name for field in fields(Architecture)}
    for group in (ARCHITECTURES[name] for name in ("r10-small", "r18-small")):
        for change in (
            {"alpha": 2},
            {"fast_frames": 16},
            {"mean": 1.0},
            {"std": 1.0},
            {"zero_init": True},
            {"dropout": 0.1},
            {"slow_frames": "linspace"},
            {"input": "diff"},
            {"diff_std": 1.0},
        ):
            assert shapes(replace(group, **change)) == shapes(group)
    base = ARCHITECTURES["r18-small"]
    changes: tuple[dict[str, Any], ...] = (
        {"blocks": (2, 2, 2, 1)},
        {"bottleneck": True},
        {"width": 16},
        {"beta": 2},
        {"lateral_kernel": 7},
        {"lateral_norm": True},
        {"head_bias": True},
    )
    for change in changes:
        assert shapes(replace(base, **change)) != shapes(base)


def shapes(architecture: Architecture) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in skeleton(architecture, 3).state_dict().items()}


def test_a_bare_state_dict_and_one_without_counters(tmp_path: Path) -> None:
    state = {name: weight for name, weight in network_of().state_dict().items() if "num_batches" not in name}
    torch.save({name: torch.nn.Parameter(weight) for name, weight in state.items()}, tmp_path / "x.pt")
    weights, found = read_foreign(tmp_path / "x.pt", TINY, CLASSES)
    assert found.source == "vidaug"
    assert same(weights, state)
    assert not any(weight.requires_grad for weight in weights.values())


def fault_of(path: Path, architecture: Architecture = PAPER) -> str:
    with pytest.raises(VidaugError) as caught:
        read_foreign(path, architecture, CLASSES)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


AUTHORS = "the release of arXiv:2008.05721"
OTHER_HEAD = "its head is for other classes, and a new one is trained"
TO_THE_LAST = "Slow takes its frames from the first to the last of a clip, as in PySlowFast"


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    state = foreign(path, AUTHORS, PAPER)
    hint = "; --init takes a checkpoint of vidaug"
    lacking = {name: weight for name, weight in state.items() if "slow_res5" not in name}
    torch.save(lacking, path)
    assert fault_of(path).startswith("does not fit the network: slow_res5.0.conv1.weight is missing, slow_res5.0.bn1.")
    assert re.search(r"is missing and \d+ more; --init", fault_of(path))
    torch.save(state | {"module.extra": torch.ones(1)}, path)
    assert fault_of(path).startswith(f"does not fit the network: 'extra' is unknown{hint}")
    torch.save(state | {"module.fast_conv1.weight": torch.ones(3, 2)}, path)
    assert fault_of(path).startswith(
        f"does not fit the network: fast_conv1.weight is (3, 2), not (2, 3, 5, 7, 7){hint}"
    )
    torch.save(state | {"module.fast_conv1.weight": None}, path)
    assert "fast_conv1.weight is not a tensor of torch.float32" in fault_of(path)
    torch.save(state | {"module.fast_conv1.weight": torch.full((2, 3, 5, 7, 7), torch.inf)}, path)
    assert "fast_conv1.weight is not finite" in fault_of(path)


def test_the_network_that_would_fit_is_named(tmp_path: Path) -> None:
    foreign(tmp_path / "x.pt", AUTHORS, ARCHITECTURES["r18-small"], classes=11)
    assert fault_of(tmp_path / "x.pt", ARCHITECTURES["r10-small"]).endswith("; it fits --network r18-small")


# Published networks: names and shapes by the structure of the programs' own code


Shapes = dict[str, tuple[int, ...]]


def normed(convolution: str, norm: str, *shape: int) -> Shapes:
    """A convolution and the BatchNorm after it."""
    stats = {f"{norm}.{kind}": shape[:1] for kind in ("weight", "bias", "running_mean", "running_var")}
    return {f"{convolution}.weight": shape} | stats | {f"{norm}.num_batches_tracked": ()}


def published(program: str, blocks: Sequence[int], fusion: int, classes: int = 400, temporal: int = 99) -> Shapes:
    """What SLOWFAST_*.yaml of PySlowFast (`temporal`: NUM_BLOCK_TEMP_KERNEL) or slowfast_r*.py of MMAction2 builds."""
    shapes: Shapes = {}
    mm, fast_out = program == "MMAction2", (8, 32, 64, 128)
    for way, (stem, width, kernel) in enumerate([("slow", 64, 1), ("fast", 8, 5)]):
        name = f"backbone.{stem}_path.conv1" if mm else f"s1.pathway{way}_stem"
        shapes |= normed(f"{name}.conv", f"{name}.bn", width, 3, kernel, 7, 7)
        dim_in = width
        for stage, count in enumerate(blocks):
            dim_in += 0 if way else 2 * fast_out[stage]
            inner, frames = width * 2**stage, 3 if way or stage > 1 else 1
            for block in range(count):
                name = (
                    f"backbone.{stem}_path.layer{stage + 1}.{block}" if mm else f"s{stage + 2}.pathway{way}_res{block}"
                )
                a, b, c = (
                    (f"{name}.conv{n + 1}.conv", f"{name}.conv{n + 1}.bn")
                    if mm
                    else (f"{name}.branch2.{'abc'[n]}", f"{name}.branch2.{'abc'[n]}_bn")
                    for n in range(3)
                )
                shapes |= normed(*a, inner, dim_in, frames if block < temporal else 1, 1, 1)
                shapes |= normed(*b, inner, inner, 1, 3, 3)
                shapes |= normed(*c, 4 * inner, inner, 1, 1, 1)
                if not block:
                    branch = f"{name}.downsample.conv" if mm else f"{name}.branch1"
                    norm = f"{name}.downsample.bn" if mm else f"{name}.branch1_bn"
                    shapes |= normed(branch, norm, 4 * inner, dim_in, 1, 1, 1)
                dim_in = 4 * inner
    for stage, channels in enumerate(fast_out):
        if mm:  # without a norm
            name = f"backbone.slow_path.{('conv1', 'layer1', 'layer2', 'layer3')[stage]}_lateral.conv.weight"
            shapes[name] = (2 * channels, channels, fusion, 1, 1)
        else:
            name = f"s{stage + 1}_fuse"
            shapes |= normed(f"{name}.conv_f2s", f"{name}.bn", 2 * channels, channels, fusion, 1, 1)
    head = "cls_head.fc_cls" if mm else "head.projection"
    return shapes | {f"{head}.weight": (classes, 2304), f"{head}.bias": (classes,)}


def write_published(path: Path, shapes: Shapes) -> None:
    """With one value everywhere, so that the file is small."""
    state = {
        name: torch.tensor(3) if name.endswith("tracked") else torch.ones(1).expand(shape)
        for name, shape in shapes.items()
    }
    torch.save({"model_state" if "s1_fuse.bn.bias" in shapes else "state_dict": state}, path)


R50, R101 = (3, 4, 6, 3), (3, 4, 23, 3)
PUBLISHED = {
    "r50-4x16-original": ("PySlowFast", R50, 5),
    "r50-8x8-original": ("PySlowFast", R50, 7),
    "r101-8x8-original": ("PySlowFast", R101, 5),
    "r50-4x16-mmaction2": ("MMAction2", R50, 5),
    "r50-8x8-mmaction2": ("MMAction2", R50, 7),
    "r101-8x8-mmaction2": ("MMAction2", R101, 7),
}


@pytest.mark.parametrize("network", PUBLISHED)
def test_published_networks_fit_the_network_that_is_named(tmp_path: Path, network: str) -> None:
    shapes = published(*PUBLISHED[network])
    write_published(tmp_path / "x.pth", shapes)
    _, report = read_foreign(tmp_path / "x.pth", ARCHITECTURES[network], CLASSES)
    assert (report.source, report.tensors, report.head) == (PUBLISHED[network][0], len(shapes) - 2, False)
    told = (OTHER_HEAD, TO_THE_LAST) if report.source == "PySlowFast" else (OTHER_HEAD,)
    assert report.notes == told  # no other network has these shapes
    kinetics = [str(number) for number in range(400)]
    assert read_foreign(tmp_path / "x.pth", ARCHITECTURES[network], kinetics)[1].tensors == len(shapes)
    for other in {"r50-4x16", "r50-8x8-original", "r50-4x16-mmaction2"} - {network}:
        assert fault_of(tmp_path / "x.pth", ARCHITECTURES[other]).endswith(f"; it fits --network {network}")


@pytest.mark.parametrize(
    ("shapes", "network", "message"),
    [
        (  # SLOWFAST_16x8_R101_50_50: of 23 blocks only six see three frames
            published("PySlowFast", R101, 5, temporal=6),
            "r101-8x8-original",
            "s4.pathway0_res6.branch2.a.weight is (256, 1024, 1, 1, 1), not (256, 1024, 3, 1, 1)",
        ),
        (  # with non-local blocks
            published("PySlowFast", R50, 5)
            | normed("s3.pathway0_nonlocal1.conv_out", "s3.pathway0_nonlocal1.bn", 512, 256),
            "r50-4x16-original",
            "'s3.pathway0_nonlocal1.conv_out.weight' is unknown",
        ),
        (  # a Slow pathway of R101 over a Fast one of R50
            {n: s for n, s in published("MMAction2", R101, 5).items() if not re.search(r"fast_path.layer3.(6|.\d)", n)},
            "r50-4x16-mmaction2",
            "'backbone.slow_path.layer3.6.conv1.conv.weight' is unknown",
        ),
    ],
)
def test_published_networks_that_vidaug_has_not(tmp_path: Path, shapes: Shapes, network: str, message: str) -> None:
    write_published(tmp_path / "x.pth", shapes)
    fault = fault_of(tmp_path / "x.pth", ARCHITECTURES[network])
    assert fault.startswith("does not fit the network: ")
    assert message in fault
    assert "--init takes" in fault


def test_weights_of_another_program_in_safetensors(tmp_path: Path) -> None:
    state = {pyslowfast_name(name): weight for name, weight in network_of(ORIGINAL).state_dict().items()}
    save_file({name: weight.contiguous() for name, weight in state.items()}, tmp_path / "x.safetensors")
    weights, report = read_foreign(tmp_path / "x.safetensors", ORIGINAL, CLASSES)
    assert report.source == "PySlowFast"
    assert same(weights, dict(network_of(ORIGINAL).state_dict()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no weights by name (a state dict)"),
        ({"state_dict": {"conv1.weight": torch.ones(2)}}, "holds no weights of a SlowFast network under names that"),
        ({}, "holds no weights of a SlowFast network"),
    ],
)
def test_other_files_of_torch(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "x.pt")
    assert fault_of(tmp_path / "x.pt").startswith(message)


def test_a_release_is_not_a_checkpoint(tmp_path: Path) -> None:
    foreign(tmp_path / "x.pt", AUTHORS, PAPER)
    with pytest.raises(VidaugError, match=r"not a checkpoint of vidaug; start from .* with 'vidaug train --init'"):
        read_checkpoint(tmp_path / "x.pt")
