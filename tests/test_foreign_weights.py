"""Networks of PySlowFast and MMAction2, computed here from their weights alone, give the logits that ours give."""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_makers import CLASSES, network_of
from test_checkpoint import NAMES, PAPER, mmaction2_name, pyslowfast_name
from torch import Tensor
from torch.nn.functional import batch_norm, conv3d, interpolate, linear, max_pool3d, relu
from train_makers import CPU, make_shards, run_of, train_an_epoch

from vidaug_cli.train.build import build
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.pretrained import initialise
from vidaug_cli.train.slowfast import ARCHITECTURES, Architecture, SlowFast

State = dict[str, Tensor]
PYSLOWFAST = replace(PAPER, lateral_norm=True, head_bias=True, mean=0.45 * 255, std=0.225 * 255)
MMACTION2 = replace(PAPER, head_bias=True, mean=114.5, std=57.63)


def clips(frames: int) -> Tensor:
    drawn = torch.randint(0, 256, (2, frames, 32, 32, 3), generator=torch.Generator().manual_seed(3))
    return drawn.to(torch.uint8)


# The networks as their programs compute them


def convolve(state: State, name: str, maps: Tensor, stride: Sequence[int] = (1, 1, 1)) -> Tensor:
    weight = state[f"{name}.weight"]
    return conv3d(maps, weight, None, tuple(stride), tuple(side // 2 for side in weight.shape[2:]))


def norm(state: State, name: str, maps: Tensor) -> Tensor:
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return batch_norm(maps, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"])


def stem(state: State, conv: str, bn: str, maps: Tensor) -> Tensor:
    return max_pool3d(relu(norm(state, bn, convolve(state, conv, maps, (1, 2, 2)))), (1, 3, 3), (1, 2, 2), (0, 1, 1))


def stage(state: State, layers: Callable[[int, str], tuple[str, str]], maps: Tensor, stride: int) -> Tensor:
    """Bottlenecks with the stride in the second convolution; `layers` names those of a block: a, b, c and 1."""
    block = 0
    while f"{layers(block, 'a')[0]}.weight" in state:
        step = (1, stride, stride) if block == 0 else (1, 1, 1)
        inner = maps
        for layer in "abc":
            conv, bn = layers(block, layer)
            inner = norm(state, bn, convolve(state, conv, inner, step if layer == "b" else (1, 1, 1)))
            inner = inner if layer == "c" else relu(inner)
        conv, bn = layers(block, "1")
        shortcut = norm(state, bn, convolve(state, conv, maps, step)) if f"{conv}.weight" in state else maps
        maps, block = relu(inner + shortcut), block + 1
    return maps


def pyslowfast_logits(state: State, video: Tensor, alpha: int) -> Tensor:
    """slowfast/datasets/utils.py: tensor_normalize and pack_pathway_output; slowfast/models: SlowFast."""
    frames = ((video.float() / 255 - 0.45) / 0.225).permute(0, 4, 1, 2, 3)
    indices = torch.linspace(0, frames.shape[2] - 1, frames.shape[2] // alpha).long()
    ways = [torch.index_select(frames, 2, indices), frames]
    ways = [stem(state, f"s1.pathway{p}_stem.conv", f"s1.pathway{p}_stem.bn", way) for p, way in enumerate(ways)]
    for number in range(2, 6):
        fuse = f"s{number - 1}_fuse"
        lateral = relu(norm(state, f"{fuse}.bn", convolve(state, f"{fuse}.conv_f2s", ways[1], (alpha, 1, 1))))
        ways[0] = torch.cat([ways[0], lateral], 1)
        for p in range(2):

            def layers(block: int, layer: str, place: str = f"s{number}.pathway{p}_res") -> tuple[str, str]:
                name = f"{place}{block}.branch1" if layer == "1" else f"{place}{block}.branch2.{layer}"
                return name, f"{name}_bn"

            ways[p] = stage(state, layers, ways[p], 1 if number == 2 else 2)
    pooled = torch.cat([way.mean((2, 3, 4)) for way in ways], 1)
    return linear(pooled, state["head.projection.weight"], state["head.projection.bias"])


def mmaction2_logits(state: State, video: Tensor, alpha: int) -> Tensor:
    """mmaction/models/backbones/resnet3d_slowfast.py with resample_rate = speed_ratio; the mean of its three means.

    And mmaction/models/heads/slowfast_head.py, which takes Fast's channels before Slow's.
    """
    frames = ((video.float() - 114.5) / 57.63).permute(0, 4, 1, 2, 3)
    ways = {
        "slow": interpolate(frames, mode="nearest", scale_factor=(1.0 / alpha, 1.0, 1.0)),
        "fast": interpolate(frames, mode="nearest", scale_factor=(1.0, 1.0, 1.0)),
    }
    names = {way: f"backbone.{way}_path" for way in ways}
    ways = {way: stem(state, f"{names[way]}.conv1.conv", f"{names[way]}.conv1.bn", ways[way]) for way in ways}
    for number, before in enumerate(["conv1", "layer1", "layer2", "layer3"], 1):
        lateral = convolve(state, f"backbone.slow_path.{before}_lateral.conv", ways["fast"], (alpha, 1, 1))
        ways["slow"] = torch.cat([ways["slow"], lateral], 1)
        for way in ways:

            def layers(block: int, layer: str, place: str = f"{names[way]}.layer{number}") -> tuple[str, str]:
                part = "downsample" if layer == "1" else f"conv{'abc'.index(layer) + 1}"
                return f"{place}.{block}.{part}.conv", f"{place}.{block}.{part}.bn"

            ways[way] = stage(state, layers, ways[way], 1 if number == 1 else 2)
    pooled = torch.cat([ways[way].mean((2, 3, 4)) for way in ("fast", "slow")], 1)
    return linear(pooled, state["cls_head.fc_cls.weight"], state["cls_head.fc_cls.bias"])


# Their files


def caffe2_name(pyslowfast: str, blocks: Sequence[int]) -> str | None:
    """The name of a blob in SLOWFAST_*_R*.pkl for a weight of PySlowFast: its list of pairs the other way round."""
    kinds = {".weight": "_w", ".bias": "_b", "bn.weight": "bn_s", ".running_mean": "_rm", ".running_var": "_riv"}
    name = pyslowfast
    for pattern, blob in [
        (r"^s1_fuse\.conv_f2s", "t_pool1_subsample"),
        (r"^s1_fuse\.bn", "t_pool1_subsample_bn"),
        *((rf"^s{n}_fuse\.conv_f2s", f"t_res{n}_{blocks[n - 2] - 1}_branch2c_bn_subsample") for n in (2, 3, 4)),
        *((rf"^s{n}_fuse\.bn", f"t_res{n}_{blocks[n - 2] - 1}_branch2c_bn_subsample_bn") for n in (2, 3, 4)),
        *((rf"^s1\.pathway{p}_stem\.conv", f"{t}conv1") for p, t in enumerate(["", "t_"])),
        *((rf"^s1\.pathway{p}_stem\.bn", f"{t}res_conv1_bn") for p, t in enumerate(["", "t_"])),
        *((rf"^s(\d)\.pathway{p}_res(\d+)\.", rf"{t}res\1_\2_") for p, t in enumerate(["", "t_"])),
        (r"branch2\.", "branch2"),
        (r"^head\.projection", "pred"),
        *((rf"{re.escape(kind)}$", ending) for kind, ending in reversed(kinds.items())),
    ]:
        name = re.sub(pattern, blob, name)
    return None if name.endswith("num_batches_tracked") else name


def string(text: bytes) -> bytes:
    """A str of Python 2."""
    return b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + struct.pack("<i", len(text)) + text


def array(values: np.ndarray[Any, Any]) -> bytes:
    """A numpy array as Python 2 pickled it."""
    shape = b"(" + b"".join(b"J" + struct.pack("<i", side) for side in values.shape) + b"t"
    kind = b"cnumpy\ndtype\n" + string(values.dtype.str[1:].encode()) + b"K\x00K\x01\x87R"
    kind += b"(K\x03" + string(values.dtype.str[:1].encode()) + b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + string(b"b") + b"\x87R"
    return made + b"(K\x01" + shape + kind + b"\x89" + string(values.tobytes()) + b"tb"


def python2_pickle(blobs: dict[str, np.ndarray[Any, Any]]) -> bytes:
    """{"blobs": blobs} as Python 2 pickled it, which numpy reads with encoding="latin1"."""
    items = b"".join(string(name.encode()) + array(values) for name, values in blobs.items())
    return b"\x80\x02}q\x01" + string(b"blobs") + b"}(" + items + b"us."


def caffe2_blobs(architecture: Architecture, classes: int = 3) -> dict[str, np.ndarray[Any, Any]]:
    """A file of PySlowFast's model zoo: weights, and what training left beside them."""
    state = network_of(architecture, classes).state_dict()
    names = {name: caffe2_name(pyslowfast_name(name), architecture.blocks) for name in state}
    blobs = {blob: state[name].numpy() for name, blob in names.items() if blob is not None}
    momenta = {f"{blob}_momentum": np.zeros_like(values) for blob, values in blobs.items() if blob.endswith("_w")}
    return blobs | momenta | {"lr": np.array([0.1], np.float32), "model_iter": np.array([7], np.int64)}


@pytest.mark.parametrize("frames", [8, 16])
@pytest.mark.parametrize("file", ["zip", "before torch 1.6", "Caffe2"])
def test_logits_of_pyslowfast(tmp_path: Path, file: str, frames: int) -> None:
    architecture = replace(PYSLOWFAST, fast_frames=frames)
    state = {pyslowfast_name(name): weight for name, weight in network_of(architecture).state_dict().items()}
    if file == "Caffe2":
        (tmp_path / "x.pkl").write_bytes(python2_pickle(caffe2_blobs(architecture)))
    else:
        content = {"epoch": 196, "model_state": state, "optimizer_state": {"state": {2**70: None}}, "cfg": "TRAIN:\n"}
        torch.save(content, tmp_path / "x.pkl", _use_new_zipfile_serialization=file == "zip")
    network = SlowFast(architecture, 3).eval()
    report = initialise(network, tmp_path / "x.pkl", CLASSES)
    assert (report.source, report.head, report.slow_frames) == ("PySlowFast", True, "linspace")
    with torch.no_grad():
        theirs, ours = pyslowfast_logits(state, clips(frames), architecture.alpha), network(clips(frames))
        strided = network_of(architecture)(clips(frames))
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
    assert (strided - theirs).abs().max() > 1e-3 * theirs.abs().max()


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before torch 1.6"])
def test_logits_of_mmaction2(tmp_path: Path, old: bool) -> None:
    state = {mmaction2_name(name): weight for name, weight in network_of(MMACTION2).state_dict().items()}
    content = {"meta": {"epoch": 256}, "state_dict": state | {"data_preprocessor.mean": torch.ones(3, 1, 1, 1)}}
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=not old)
    network = SlowFast(MMACTION2, 3).eval()
    report = initialise(network, tmp_path / "x.pth", CLASSES)
    assert (report.source, report.head, report.slow_frames) == ("MMAction2", True, "stride")
    with torch.no_grad():
        theirs, ours = mmaction2_logits(state, clips(8), MMACTION2.alpha), network(clips(8))
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_blobs_have_the_published_names() -> None:
    """Of SLOWFAST_8x8_R50.pkl and SLOWFAST_64x2_R101_50_50.pkl, as PySlowFast's logs list them."""
    blobs = caffe2_blobs(replace(PYSLOWFAST, blocks=(3, 4, 6, 3))).keys()
    names = """conv1_w res_conv1_bn_s t_conv1_w t_res_conv1_bn_riv res5_1_branch2b_bn_b res3_1_branch2a_bn_riv
        res4_4_branch2c_w t_res2_1_branch2c_w t_res5_0_branch1_w res4_0_branch1_bn_b t_pool1_subsample_w
        t_pool1_subsample_bn_rm t_res2_2_branch2c_bn_subsample_w t_res4_5_branch2c_bn_subsample_bn_riv pred_w pred_b"""
    assert set(names.split()) <= blobs


def test_the_file_is_one_that_pickle_reads() -> None:
    """As PySlowFast does, which runs what is in it."""
    blobs = caffe2_blobs(PYSLOWFAST)
    found = pickle.loads(python2_pickle(blobs), encoding="latin1")["blobs"]
    assert found.keys() == blobs.keys()
    assert all(np.array_equal(found[name], blobs[name]) and found[name].dtype == blobs[name].dtype for name in blobs)


@pytest.mark.parametrize("order", ["C", "F"])
def test_files_written_again_by_python_3(tmp_path: Path, order: Any) -> None:
    blobs = {name: np.asarray(values, order=order) for name, values in caffe2_blobs(PYSLOWFAST).items()}
    blobs |= {"lr": np.float32(0.1)}  # type: ignore[dict-item]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"blobs": blobs}, 2))
    network = SlowFast(PYSLOWFAST, 3)
    assert initialise(network, tmp_path / "x.pkl", CLASSES).head
    for name, weight in network_of(PYSLOWFAST).state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(network.state_dict()[name], weight), name


@pytest.mark.parametrize("source", NAMES)
def test_which_frames_slow_takes_is_told_by_the_names(tmp_path: Path, source: str) -> None:
    form = PYSLOWFAST if source in ("PyTorchVideo", "PySlowFast") else PAPER
    form = replace(MMACTION2, mean=128.0) if source == "MMAction2" else form
    torch.save({NAMES[source](name): weight for name, weight in network_of(form).state_dict().items()}, tmp_path / "x")
    network = SlowFast(form, 3)
    report = initialise(network, tmp_path / "x", CLASSES)
    assert network.architecture == replace(form, slow_frames=report.slow_frames)
    linspace = source in ("PyTorchVideo", "PySlowFast")
    assert report.slow_frames == ("linspace" if linspace else "stride")
    note = f"Slow takes its frames from the first to the last of a clip, as in {source}"
    assert (note in report.notes) == linspace


def test_a_run_and_what_starts_from_it_keep_the_frames_of_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", PYSLOWFAST)
    (tmp_path / "x.pkl").write_bytes(python2_pickle(caffe2_blobs(PYSLOWFAST, classes=400)))
    run = run_of(tmp_path / "run", make_shards(tmp_path / "shards"), init=tmp_path / "x.pkl", ema=0.5)
    parts = build(run, CPU)
    assert parts.notes[0].endswith("tensors as in PySlowFast, new head")
    assert parts.notes[1].endswith("its head is for other classes, and a new one is trained")
    train_an_epoch(parts)
    wanted = replace(PYSLOWFAST, slow_frames="linspace")
    again = build(run, CPU)
    assert [again.network.architecture, again.tested.architecture] == [wanted, wanted]
    train_an_epoch(again)
    for path in (run.best, run.last):
        checkpoint = read_checkpoint(path)
        assert checkpoint.architecture == checkpoint.network("cpu").architecture == wanted
    network = SlowFast(PYSLOWFAST, 2)
    assert initialise(network, run.best, ("dark", "light")).notes == ()
    assert network.architecture == wanted
