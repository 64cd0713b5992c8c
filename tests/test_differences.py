"""Differences of frames as the input, through a whole run: their spread, where it is kept, and who takes it up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from console import vidaug
from train_makers import CPU, NETWORK, make_shards, parts_of, run_of, same, train_an_epoch

from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.clips import Shape
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.train.batches import CropDataset
from vidaug_cli.train.build import build, with_diff_std
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.loop import train
from vidaug_cli.train.slowfast import ARCHITECTURES, Architecture


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("motion") / "shards")


def root_mean_square(shards: Path) -> float:
    dataset = ShardDataset(shards)
    videos = np.stack([dataset[clip][0].numpy() for clip in range(len(dataset))]).astype(np.float64)
    return float(np.sqrt(np.square(np.diff(videos, axis=1)).mean()))


def test_the_spread_of_differences_is_measured_on_the_clips_and_kept(shards: Path, tmp_path: Path) -> None:
    """Of uniform noise over n levels its variance is (n² - 1) / 6."""
    parts = parts_of(tmp_path / "run", shards, input="diff")
    train(parts)
    stored = read_checkpoint(parts.run.best).architecture
    assert stored.input == "diff"
    assert stored.diff_std == pytest.approx(root_mean_square(shards), abs=1e-3)
    assert stored.diff_std == pytest.approx(((100**2 - 1) / 6) ** 0.5, rel=0.01)


def test_clips_that_stand_still_have_a_spread_all_the_same(shards: Path) -> None:
    class Still(ShardDataset):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
            video, *rest = super().__getitem__(index)
            return video[:1].expand(len(video), -1, -1, -1), *rest

    crops = CropDataset(Still(shards, with_weights=True), Shape(8, 32, 32))
    assert with_diff_std(Architecture(input="diff"), crops).diff_std == 1
    assert with_diff_std(Architecture(), crops) == Architecture()


def test_frames_further_apart_differ_more(shards: Path) -> None:
    """Clips in which every frame is 5 levels brighter than the one before: at a stride of 1 to 3 it is 10."""

    class Brighter(ShardDataset):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
            video, *rest = super().__getitem__(index)
            levels = torch.arange(0, 5 * len(video), 5, dtype=torch.uint8)
            return levels[:, None, None, None].expand(video.shape), *rest

    clips = Brighter(shards, with_weights=True)
    spreads = [
        with_diff_std(Architecture(input="diff"), CropDataset(clips, Shape(3, 32, 32), stride=stride)).diff_std
        for stride in (1, (1.0, 3.0), 3)
    ]
    assert spreads == [5, 10, 15]


@pytest.mark.parametrize("kind", ["diff", "rgb+diff", "slow-rgb-fast-diff"])
def test_a_run_on_differences_continues_as_if_unbroken(kind: str, shards: Path, tmp_path: Path) -> None:
    train(parts_of(tmp_path / "whole", shards, input=kind))
    train_an_epoch(parts_of(tmp_path / "cut", shards, input=kind))
    train(parts_of(tmp_path / "cut", shards, input=kind))
    whole, cut = (read_checkpoint(tmp_path / name / "last.safetensors") for name in ("whole", "cut"))
    assert same(whole.weights, cut.weights)
    assert whole.architecture == cut.architecture
    with pytest.raises(VidaugError, match="holds another run, which differs in input"):
        build(run_of(tmp_path / "cut", shards, input="rgb"), CPU)


def test_who_takes_a_checkpoint_up_takes_its_input(shards: Path, tmp_path: Path) -> None:
    first = parts_of(tmp_path / "first", shards, input="rgb+diff")
    train(first)
    stored = read_checkpoint(first.run.best)
    video = torch.stack([ShardDataset(shards)[clip][0] for clip in range(4)])
    predictor = Predictor(network=stored.network("cpu"), classes=stored.classes, clip=stored.clip, amp="off")
    with torch.inference_mode():
        wanted = first.network.eval()(video).softmax(1).numpy()
    assert np.allclose(predictor.softmax(video), wanted, atol=1e-5)

    second = parts_of(tmp_path / "second", shards, init=first.run.best)
    assert second.run.architecture.input == "rgb+diff"
    assert same(second.network.state_dict(), stored.weights)
    with pytest.raises(VidaugError, match="--network tiny --input rgb\\+diff"):
        parts_of(tmp_path / "third", shards, init=first.run.best, input="rgb")


def test_weights_that_saw_frames_may_start_on_differences(shards: Path, tmp_path: Path) -> None:
    """Of other programs, as TSN did (arXiv:1608.00859, section 3.2); with a note."""
    state = parts_of(tmp_path / "rgb", shards).network.state_dict()
    torch.save(state, tmp_path / "x.pt")
    parts = parts_of(tmp_path / "diff", shards, init=tmp_path / "x.pt", input="diff")
    assert any("saw frames, and here they see differences" in note for note in parts.notes)
    with pytest.raises(VidaugError, match="does not fit the network"):
        parts_of(tmp_path / "both", shards, init=tmp_path / "x.pt", input="rgb+diff")


def test_the_command_takes_the_input(shards: Path, tmp_path: Path) -> None:
    words = ("--preset", "tiny", "--epochs", "1", "--batch-size", "4", "--input", "diff")
    done = vidaug("train", shards, *words, "-o", tmp_path / "run")
    assert done.code == 0, done.err
    assert read_checkpoint(tmp_path / "run" / "best.safetensors").architecture.input == "diff"
    done = vidaug("train", shards, "--input", "flow", "-o", tmp_path / "other")
    assert done.code == 2
    assert "rgb" in done.err
