"""`vidaug train`: what it writes and says, what it goes on from, and what it refuses in one line."""

from __future__ import annotations

import csv
import json
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_video
from console import Done, vidaug
from network_makers import save
from torch import Tensor
from train_makers import NETWORK, make_shards, run_of, same

from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.clips import Shape
from vidaug_cli.train import loop
from vidaug_cli.train.batches import CropDataset, SampleIndex
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.cores import CpuMonitor
from vidaug_cli.train.distributed import World
from vidaug_cli.train.history import MetricsLog
from vidaug_cli.train.settings import lr_share
from vidaug_cli.train.slowfast import ARCHITECTURES, SlowFast

CLASSES = ("class_0", "class_1", "class_2")


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("train") / "shards", CLASSES)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of two of the classes."""
    return make_shards(tmp_path_factory.mktemp("clean") / "shards", CLASSES[:0:-1], videos=5)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("mixed") / "shards", CLASSES, recipe="cutmix", share=0.6)


def train(shards: Path, run: Path, *words: object) -> Done:
    """Two epochs of three steps."""
    settings = ("--network", "tiny", "--epochs", 2, "--batch-size", 4, "--warmup", 0.5, "--amp", "off")
    return vidaug("train", shards, "-o", run, *settings, *words)


def rows_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(shards: Path, clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", NETWORK)
        assert train(shards, run, "--val", clean).code == 0
    return run


def test_a_run_leaves_checkpoints_metrics_and_curves(shards: Path, clean: Path, tmp_path: Path) -> None:
    done = train(shards, tmp_path / "run", "--val", clean, "--json")
    assert done.code == 0
    lines = done.err.splitlines()
    assert lines[0] == "24 clips seen = 2 passes over 12 clips; small was tuned at 16,800 clips seen"
    assert [line[:12] for line in lines[1:]] == ["epoch 1/2  l", "epoch 2/2  l"]
    assert re.fullmatch(
        r"epoch 1/2  loss \d\.\d{3}  top-1 [01]\.\d{3}  val \d\.\d{3}, [01]\.\d{3}  .* clips/s  \d+% idle", lines[1]
    )
    rows = rows_of(tmp_path / "run")
    assert done.result == {"run": str(tmp_path / "run"), "epochs": 2, "metrics": rows[-1]}
    assert [row["epoch"] for row in rows] == [1, 2]
    names = ["epoch", "lr", "loss", "top1", "val_loss", "val_top1", "val_mean_class"]
    assert list(rows[0]) == [*names, "clips_per_second", "waiting", "step_seconds", "held_step_seconds", "seconds"]
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        assert [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)] == rows
    assert read_checkpoint(tmp_path / "run" / "last.safetensors").metrics == rows[-1]
    files = {"best.safetensors", "last.safetensors", "metrics.csv", "metrics.jsonl", "run.toml"}
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        pass
    else:
        files.add("curves.png")
        assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (tmp_path / "run").iterdir()} == files


def test_a_run_may_be_given_as_clips_seen(shards: Path, tmp_path: Path) -> None:
    """Of 12 clips: 20 are two epochs of ten, in five steps each."""
    words = ("--network", "tiny", "--clips-seen", 20, "--batch-size", 2, "--amp", "off")
    done = vidaug("train", shards, "-o", tmp_path / "run", *words)
    assert done.code == 0
    said = "20 clips seen = 1.67 passes over 12 clips; small was tuned at 16,800 clips seen"
    assert done.err.splitlines()[0] == said
    rows = rows_of(tmp_path / "run")
    assert [round(row["clips_per_second"] * row["seconds"]) for row in rows] == [10, 10]
    assert rows[-1]["lr"] == pytest.approx(3e-3 * lr_share(9, 10, 1))
    again = vidaug("train", shards, "-o", tmp_path / "run", *words)
    assert again.err == f"{tmp_path / 'run'}: 2 of 2 epochs are done\n"
    other = ("--epochs", 2, *words[:2], *words[4:])
    assert "differs in epochs (none there, 2 now), clips_seen (20 there, none now)" in refused(
        vidaug("train", shards, "-o", tmp_path / "run", *other)
    )
    both = vidaug("train", shards, "-o", tmp_path / "run", *words, "--epochs", 2)
    assert both.code == 2
    assert "--epochs and --clips-seen both say how long to train: give one of them." in " ".join(both.err.split())


def test_clips_that_are_seen_many_times_as_they_are_are_noted(shards: Path, tmp_path: Path) -> None:
    what = "every clip is seen 20 times, each time the same: more --copies of 'vidaug augment', or -r none there and "
    said = what + "--recipe here make others of the same videos"
    words = ("--batch-size", 12, "--epochs")
    assert train(shards, tmp_path / "run", *words, 20).err.splitlines()[1] == said
    for number, other in enumerate(((19,), (20, "--flip", 0.5), (20, "--size", 24), (20, "-r", "cutout"))):
        assert "each time the same" not in train(shards, tmp_path / f"{number}", *words, *other).err


def test_quiet_says_nothing(shards: Path, tmp_path: Path) -> None:
    assert train(shards, tmp_path / "run", "-q") == Done(0, "", "")


def test_once_more_does_nothing(finished: Path, shards: Path, clean: Path) -> None:
    suffixes = (".safetensors", ".jsonl", ".csv")
    before = {path: path.read_bytes() for path in finished.iterdir() if path.suffix in suffixes}
    done = train(shards, finished, "--val", clean)
    assert done[:3] == (0, "", f"{finished}: 2 of 2 epochs are done\n")
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_cut_off_after_its_checkpoint_has_every_epoch_once(
    finished: Path, shards: Path, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the checkpoint and the metrics, and by Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "add_epoch", interrupt)
        assert train(shards, tmp_path / "short", "--epochs", 1).code == 130
        done = train(shards, tmp_path / "run", "--val", clean)
    assert (done.code, done.err.splitlines()[-1]) == (130, "vidaug: interrupted; what is finished is kept")
    assert [path.name for path in sorted((tmp_path / "run").iterdir())] == [
        *("best.safetensors", "last.safetensors", "run.toml"),
    ]
    assert train(shards, tmp_path / "short", "--epochs", 1).code == 0
    assert [row["epoch"] for row in rows_of(tmp_path / "short")] == [1]  # it was the last
    done = train(shards, tmp_path / "run", "--val", clean)
    assert done.err.startswith(f"{tmp_path / 'run'}: 1 of 2 epochs are done\nepoch 2/2 ")
    assert [row["epoch"] for row in rows_of(tmp_path / "run")] == [1, 2]
    for name in ("best.safetensors", "last.safetensors"):
        assert same(read_checkpoint(tmp_path / "run" / name).weights, read_checkpoint(finished / name).weights)


def test_another_run_is_refused_or_replaced(finished: Path, shards: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    done = train(shards, run, "--seed", 3)
    what = f"vidaug: error: {run}: holds another run, which differs in seed (0 there, 3 now), validation;"
    assert (done.code, done.err) == (1, f"{what} choose another folder, or --overwrite\n")
    assert (run / "last.safetensors").read_bytes() == (finished / "last.safetensors").read_bytes()
    done = train(shards, run, "--seed", 3, "--overwrite")
    assert done.code == 0
    assert read_checkpoint(run / "last.safetensors").settings["seed"] == 3
    assert [row["epoch"] for row in rows_of(run)] == [1, 2]
    assert "val_loss" not in (run / "metrics.csv").read_text()


def test_a_mistake_beside_overwrite_costs_nothing(finished: Path, shards: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    for wrong in (["--val", tmp_path / "nothing"], ["--init", tmp_path / "nothing"], ["--size", 64]):
        assert train(shards, run, "--overwrite", *wrong).code == 1
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_videos_to_validate_on_are_rendered_once(shards: Path, video_folder: Path, tmp_path: Path) -> None:
    words = ("--val", video_folder, "--limit", 7)
    done = train(shards, tmp_path / "run", *words, "--epochs", 1, "--seed", 1)
    assert done.code == 0
    assert "7 clips of 7 videos" in done.err
    (made,) = (tmp_path / "run" / "validation").glob("[0-9]*/*.h5")
    before = made.stat()
    done = train(shards, tmp_path / "run", *words, "--epochs", 1, "--seed", 1)
    assert "0 clips rendered" in done.err
    assert done.err.endswith("1 of 1 epochs are done\n")
    after = made.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    plan = json.loads((tmp_path / "run" / "validation" / "plan.json").read_text())
    assert plan["clip"] | {"crop": None} == {
        **{"frames": 8, "stride": 1, "fps": None, "size": 32, "crop": None, "flip": 0.0, "short": "repeat"}
    }
    assert plan["clip"]["crop"] == pytest.approx([2 / 3, 2 / 3])  # the smallest square of training
    assert (plan["copies"], plan["keep_original"]) == (0, True)


def test_what_is_wrong_is_said_before_videos_are_rendered(
    finished: Path, shards: Path, video_folder: Path, tmp_path: Path
) -> None:
    """Which may take hours. Each of these was found only afterwards."""
    dance = write_video(tmp_path / "videos" / "dance" / "a.avi").parent.parent
    write_video(dance / "class_1" / "b.avi")
    run = tmp_path / "run"
    other = save(tmp_path / "o.pt", SlowFast(replace(NETWORK, alpha=2), 3), CLASSES, ClipSpec())
    said = f"{dance}: has classes that training has not, such as 'dance'; training has {', '.join(CLASSES)}"
    assert refused(train(shards, run, "--val", dance)) == said
    for words, said in (
        (("--init", other), f"{other}: was trained with alpha = 2, and this network has alpha = 4; "),
        (("--init", tmp_path / "none.pt"), f"{tmp_path / 'none.pt'}: does not exist"),
        (("--amp", "bf16"), "--amp bf16 gives wrong numbers on the CPU"),
    ):
        assert refused(train(shards, run, "--val", video_folder, *words)).startswith(said)
    assert list(run.iterdir()) == []
    old = shutil.copytree(finished, tmp_path / "old")
    found = refused(train(shards, old, "--val", video_folder, "--seed", 3))
    assert (
        found
        == f"{old}: holds another run, which differs in seed (0 there, 3 now); choose another folder, or --overwrite"
    )
    alone = tmp_path / "alone"
    assert train(shards, alone, "--epochs", 1).code == 0
    found = refused(train(shards, alone, "--epochs", 1, "--val", video_folder))
    assert found == f"{alone}: holds another run, which differs in validation; choose another folder, or --overwrite"
    for folder in (run, old, alone):
        assert not (folder / "validation").exists()


def test_videos_to_validate_on_need_labels(shards: Path, tmp_path: Path) -> None:
    flat = write_video(tmp_path / "videos" / "a.avi").parent
    done = train(shards, tmp_path / "run", "--val", flat)
    assert done.code == 1
    assert "vidaug: error: no label is known of 1 of 1 video, such as a.avi" in done.err
    assert not (tmp_path / "run" / "validation").exists()


def test_the_first_lines_say_what_is_otherwise_than_one_may_think(tmp_path: Path) -> None:
    one = make_shards(tmp_path / "shards", CLASSES[:1])
    done = vidaug("train", one, "-o", tmp_path / "run", "--network", "tiny", "--epochs", 1, "--batch-size", 16)
    assert done.code == 0
    assert done.err.splitlines()[:3] == [
        "12 clips seen = 1 pass over 12 clips; small was tuned at 16,800 clips seen",
        "--batch-size 16 is more than the 12 clips there are: a step takes 12",
        "every clip is of one class, 'class_0': there is nothing to tell apart, and the loss says nothing",
    ]
    assert len(done.err.splitlines()) == 4
    done = train(one, tmp_path / "other", "--epochs", 1, "--warmup", 2)
    assert refused(done) == "training: warmup = 2.0 should be 0 to the number of epochs"


def test_threads_are_as_asked_for_or_as_the_run_began(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, step = [], loop.train_step

    def watched(*words: Any) -> Tensor:
        seen.append(torch.get_num_threads())
        return step(*words)

    monkeypatch.setattr(loop, "train_step", watched)
    before = torch.get_num_threads()
    with monkeypatch.context() as patch:  # cut off after the first epoch
        patch.setattr(MetricsLog, "add_epoch", lambda *_: exec("raise KeyboardInterrupt"))
        assert train(shards, tmp_path / "run", "--threads", before + 1).code == 130
    assert set(seen) == {before + 1}
    done = train(shards, tmp_path / "run")
    assert f"goes on with {before + 1} threads, as it began" in done.err
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


def test_on_a_busy_machine_fewer_threads_are_advised(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CpuMonitor, "free_cores", lambda _: 0.6)
    monkeypatch.setattr(World, "cores", 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    words = ("--epochs", 1)
    done = train(shards, tmp_path / "run", *words)
    advice = "other programs leave 0.6 cores for 2 threads; --threads 1 may be faster"
    assert done.err.splitlines()[0] == advice
    assert advice not in train(shards, tmp_path / "run", *words).err  # it goes on as it began
    assert advice not in train(shards, tmp_path / "other", *words, "--threads", 2).err


def test_rendering_is_quiet_too(shards: Path, video_folder: Path, tmp_path: Path) -> None:
    words = ("--val", video_folder, "--limit", 3, "--epochs", 1, "-q")
    assert train(shards, tmp_path / "run", *words) == Done(0, "", "")


def test_tensorboard_has_every_epoch_once(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def interrupted(parts: Any, metrics: dict[str, float]) -> None:
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "check_finite", interrupted)
        assert train(shards, tmp_path / "run", "--tensorboard", "--epochs", 3).code == 130
    assert train(shards, tmp_path / "run", "--tensorboard", "--epochs", 3).code == 0
    found = accumulators.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    found.Reload()
    rows = rows_of(tmp_path / "run")
    for name in ("loss", "top1", "lr"):
        events = found.Scalars(name)
        assert [event.step for event in events] == [1, 2, 3]
        assert [event.value for event in events] == pytest.approx([row[name] for row in rows], rel=1e-6)


# What is refused


def refused(done: Done) -> str:
    """The error, which is all that was said; of a run that began, but for its budget and how busy the machine is."""
    assert (done.code, done.out) == (1, "")
    said = (line for line in done.err.splitlines() if not line.startswith("other programs leave "))
    (line,) = [line for line in said if " clips seen = " not in line]
    assert line.startswith("vidaug: error: ")
    return line.removeprefix("vidaug: error: ")


WRONG: list[tuple[tuple[object, ...], str]] = [
    (("--network", "r18-smal"), "no network 'r18-smal'; did you mean 'r18-small'? there are r10-tiny, r10-small, "),
    (("--preset", "smal"), "no preset 'smal'; did you mean 'small'? there are vipriors2020, small"),
    (("--batch-size", 65537), "training: batch_size = 65537 should be 1 to 65536"),
    (("--clip-norm", "inf"), "training: clip_norm = inf should be a number above 0"),
    (("--frames", 9), "clips have 8 frames of 32 pixels, and 9 of 32 are needed; make larger ones, or lower --frames"),
    (("--size", 40), "clips have 8 frames of 32 pixels, and 8 of 40 are needed; make larger ones, or lower --frames"),
    (("--init", "nowhere.pt"), "nowhere.pt: does not exist; --init takes a checkpoint of vidaug"),
    (("--val", "nowhere"), "nowhere: does not exist; INPUT is a folder, a list, a manifest"),
    (("--recipe", "cutmx"), "no recipe 'cutmx'; did you mean 'cutmix'?"),
    (("--device", "tpu"), "no device 'tpu'; there are auto, cpu, cuda and cuda:N"),
    (("--amp", "bf16"), "--amp bf16 gives wrong numbers on the CPU for clips of 32 pixels with 2 and 8 frames"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=lambda value: str(value)[:30])
def test_what_is_wrong_is_said_in_a_line(words: tuple[object, ...], said: str, shards: Path, tmp_path: Path) -> None:
    found = refused(train(shards, tmp_path / "run", *words))
    assert said in found
    assert not list((tmp_path / "run").glob("*"))
    assert not (tmp_path / "run").exists() or words[0] == "--val"


USAGE: list[tuple[tuple[object, ...], str]] = [
    (("--subset", "test"), "--subset is for the videos of --val: give --val VIDEOS, or leave it out."),
    (("--set", "mix_p=0.5"), "--set changes a recipe: give one with --recipe."),
    (("--optimizer", "adamax"), "'adamax' is not one of"),
    (("--seed", -1), "Invalid value for '--seed'"),
    (("--lr", "fast"), "Invalid value for '--lr'"),
]


@pytest.mark.parametrize(("words", "said"), USAGE, ids=lambda value: str(value)[:30])
def test_wrong_usage_is_said(words: tuple[object, ...], said: str, shards: Path, tmp_path: Path) -> None:
    done = train(shards, tmp_path / "run", *words)
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert not (tmp_path / "run").exists()


def test_input_options_beside_shards_are_wrong_usage(shards: Path, clean: Path, tmp_path: Path) -> None:
    assert train(shards, tmp_path / "run", "--val", clean, "--limit", 3).code == 2


def test_validation_shards_that_do_not_fit_are_refused(shards: Path, mixed: Path, clean: Path, tmp_path: Path) -> None:
    others = make_shards(tmp_path / "others", ("class_1", "dance"))
    small = make_shards(tmp_path / "small", CLASSES, size=24)
    short = make_shards(tmp_path / "short", CLASSES, frames=6)
    hint = "; make clean clips: vidaug augment ... -r none --copies 0 --keep-original"
    for held_out, said in (
        (mixed, f"{mixed}: has mixed clips, which have no one right class{hint}"),
        (others, f"{others}: has classes that training has not, such as 'dance'; training has {', '.join(CLASSES)}"),
        (small, f"{small}: clips have 8 frames of 24 pixels, and 8 of 32 are needed{hint}"),
        (short, f"{short}: clips have 6 frames of 32 pixels, and 8 of 32 are needed{hint}"),
    ):
        assert refused(train(shards, tmp_path / "run", "--val", held_out)) == said
    assert train(shards, tmp_path / "run", "--val", small, "--size", 24, "--epochs", 1).code == 0
    assert train(shards, tmp_path / "other run", "--val", clean, "--epochs", 1).code == 0


@pytest.mark.parametrize(
    ("recipe", "boxed"),
    [
        *((recipe, True) for recipe in ("cutmix", "cubecutmix", "cutmixup", "cubecutmixup", "vipriors2020")),
        *((recipe, False) for recipe in ("mixup", "fademixup", "framecutmix", "framecutmixup")),
    ],
)
def test_only_clips_that_show_two_videos_side_by_side_are_not_cut_in_space(
    recipe: str, boxed: bool, tmp_path: Path
) -> None:
    mixed = make_shards(tmp_path / "shards", CLASSES, recipe=recipe)
    run = partial(run_of, tmp_path, mixed)
    run(size=32, frames=6)
    if not boxed:
        run(size=24)
        return
    with pytest.raises(VidaugError, match="has clips with two videos side by side, and a cut of one would not show"):
        run(size=24)


def test_folders_that_are_no_finished_shards_are_refused(shards: Path, tmp_path: Path) -> None:
    for written in (1, 0):
        part = make_shards(tmp_path / f"{written}", CLASSES, videos=70, shards=written)
        said = f"{part}: holds {written} of 3 shards; the same 'vidaug augment' command makes the others"
        assert refused(train(part, tmp_path / "run")) == said
        assert refused(train(shards, tmp_path / "run", part)) == said
    whole = make_shards(tmp_path / "whole", CLASSES, videos=70, frames=4, size=16)
    (whole / "000" / "shard-00001.json").unlink()
    assert refused(train(whole, tmp_path / "run")).startswith(f"{whole}: holds 2 of 3 shards; ")
    assert "holds no plan.json" in refused(train(tmp_path, tmp_path / "run"))
    assert "does not exist" in refused(train(tmp_path / "nothing", tmp_path / "run"))
    assert "is a folder of shards; choose another folder for the run" in refused(train(shards, shards))
    (tmp_path / "file").touch()
    assert refused(train(shards, tmp_path / "file")) == f"{tmp_path / 'file'}: is a file; name a folder with -o"
    below = tmp_path / "file" / "run"
    hint = "a part of this path is a file: name another"
    assert refused(train(shards, below)) == f"{below}: Not a directory; {hint}"
    assert not (tmp_path / "run").exists()


def test_shards_of_unlike_kind_are_refused(shards: Path, tmp_path: Path) -> None:
    other = make_shards(tmp_path / "other", frames=9)
    found = refused(train(shards, tmp_path / "run", other))
    assert "has another shape of clip than" in found


def test_classes_in_another_order_are_matched_by_name(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips to train on are numbered as the first folder's; those to test on are known by name."""
    monkeypatch.setattr("vidaug_cli.augment.plan.classes_of", lambda rows: CLASSES[::-1])
    turned = make_shards(tmp_path / "turned", CLASSES)
    both = ShardDataset([shards, turned])
    assert torch.equal(both[0][1], both[len(both) // 2][1])
    clips = ShardDataset(turned, with_weights=True)
    cuts = CropDataset(clips, Shape(8, 32, 32), classes=CLASSES)
    assert torch.equal(cuts[SampleIndex(0, 0, 0)][1], ShardDataset(shards)[0][1])
    assert not torch.equal(clips[0][1], ShardDataset(shards)[0][1])


def test_a_damaged_clip_is_refused_in_a_line(tmp_path: Path) -> None:
    out = make_shards(tmp_path / "shards", CLASSES)
    path = out / "000" / "shard-00000.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert refused(train(out, tmp_path / "run")).startswith(f"{path}, clip ")


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Files have `size` bytes at most; three batches of a clip have 73,728, checkpoints of these tests more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_in_a_line_and_leaves_what_was(finished: Path, shards: Path, tmp_path: Path) -> None:
    with full_disk(200_000):
        found = refused(train(shards, tmp_path / "run", "--batch-size", 1))
    where, hint = tmp_path / "run" / "best.safetensors", "is the folder there and writable, and the disk not full?"
    assert found == f"{where}: cannot be written: File too large; {hint}"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.toml"]
    run = shutil.copytree(finished, tmp_path / "old")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.suffix != ".toml"}
    with full_disk(200_000):
        refused(train(shards, run, "--overwrite", "--batch-size", 1))
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.suffix != ".toml"} == before


def test_what_killed_writers_left_is_taken_away(shards: Path, tmp_path: Path) -> None:
    left = tmp_path / "run" / ".last.safetensors.123-abcd.tmp"
    left.parent.mkdir()
    left.touch()
    assert train(shards, tmp_path / "run", "--epochs", 1).code == 0
    assert not left.exists()


def test_a_loss_that_is_no_number_ends_with_advice(shards: Path, tmp_path: Path) -> None:
    words = ("--lr", 1e30, "--warmup", 0, "--optimizer", "sgd", "--epochs", 4)
    found = refused(train(shards, tmp_path / "run", *words))
    assert found.startswith(f"{tmp_path / 'run'}: the loss is nan in epoch 1, step 3; start again with a lower --lr, ")
    assert not (tmp_path / "run" / "last.safetensors").exists()


def test_too_little_memory_is_said_in_a_line(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*_: object) -> None:
        torch.empty(2**60)

    monkeypatch.setattr(loop, "train_step", step)
    found = refused(train(shards, tmp_path / "run"))
    asked = "not enough memory: 4611686 TB more were asked for"  # float32
    assert found == f"cpu: {asked}; lower --batch-size (now 4), raise --accumulate, lower --frames, or lower --size"


def test_one_value_to_normalise_by_is_said_in_a_line(tmp_path: Path) -> None:
    short = make_shards(tmp_path / "short", CLASSES, frames=4)
    found = refused(train(short, tmp_path / "run", "--accumulate", 4))
    assert "one clip at a time is too few to normalise by; raise --batch-size or lower --accumulate" in found
