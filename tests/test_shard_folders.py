"""Several folders of shards as one: parts in a folder, classes matched by name, and what commands do with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_video
from console import vidaug
from network_makers import random_network, save
from shard_makers import header_of, record_of, write_shard

from vidaug_cli.data.kinds import Kind, kind_of, parts_of
from vidaug_cli.data.manifest import read_manifest
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.format import done_path, shard_path
from vidaug_cli.errors import ShardError
from vidaug_cli.scores.file import read_scores
from vidaug_cli.train.run import ShardFolders

SHAPE = ["--frames", "8", "--size", "32", "-j", "1", "-q"]
CLASSES = ("class_0", "class_1", "class_2", "class_9")


@pytest.fixture(scope="module")
def out(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 mixed clips of 36 videos in classes 0 to 2, and a part with 6 of 6 others in classes 9 and 1."""
    folder = tmp_path_factory.mktemp("parts")
    for number in range(6):
        name = f"more/class_{(9, 1)[number % 2]}/new_{number}.avi"
        write_video(folder / name, 9 + number, level=lambda frame, number=number: 200 - 9 * number - 2 * frame)
    for videos, place in ((video_folder, "out"), (folder / "more", "out/part-001")):
        assert vidaug("augment", videos, "-o", folder / place, "-r", "fademixup", *SHAPE).code == 0
    return folder / "out"


@pytest.fixture
def copy(out: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(out, tmp_path / "copy"))


def label_of(shard: Path, i: int) -> dict[str, float]:
    """The label of a clip by class name, as h5py reads it."""
    import h5py

    with h5py.File(shard) as file:
        return {
            name: share
            for name, share in zip(json.loads(file.attrs["classes"]), file["labels"][i].tolist(), strict=True)
            if share
        }


def test_parts_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    assert parts_of(tmp_path) == [tmp_path]
    for name in ("part-1000", "part-002", "part-010", "part-2", "part-003.old", "part-004"):
        (tmp_path / name).mkdir()
        if name != "part-004":
            (tmp_path / name / "plan.json").touch()
    assert parts_of(tmp_path) == [tmp_path / name for name in ("part-002", "part-010", "part-1000")]
    assert kind_of(tmp_path) is Kind.SHARDS
    (tmp_path / "plan.json").touch()
    assert parts_of(tmp_path)[:2] == [tmp_path, tmp_path / "part-002"]


def test_labels_are_matched_by_name(tmp_path: Path) -> None:
    """Labels 0.4 and 0.6 of the first two classes of each shard, as the cross-fade from 0.2 to 0.6 says."""
    orders = (("walk", "run"), ("run", "jump", "walk"), ("run", "walk"))
    for number, classes in enumerate(orders):
        header = header_of(classes=classes, plan_sha256=str(number) * 64)
        shard_path(tmp_path / str(number), 0).parent.mkdir(parents=True)
        write_shard(shard_path(tmp_path / str(number), 0), header, [record_of(header, number)])
    data = ShardDataset([tmp_path / "0", tmp_path / "1", tmp_path / "2"], with_weights=True)
    assert data.classes == ("walk", "run", "jump")
    assert data.not_in_all == ["jump"]
    wanted = np.array([[0.4, 0.6, 0], [0, 0.4, 0.6], [0.6, 0.4, 0]], np.float32)
    assert data.column("labels") == pytest.approx(wanted)
    assert torch.stack([data[clip][1] for clip in range(3)]).numpy() == pytest.approx(wanted)
    assert data.only([2, 1]).column("labels") == pytest.approx(wanted[[2, 1]])
    assert ShardDataset(tmp_path / "1").classes == orders[1]


def test_a_folder_with_parts_is_one_data_set(out: Path) -> None:
    data = ShardDataset(out)
    assert (len(data), data.classes) == (42, CLASSES)
    for clip, target in enumerate(data.column("labels")):
        shard, i = (shard_path(out, 0), clip) if clip < 36 else (shard_path(out / "part-001", 0), clip - 36)
        named = {name: share for name, share in zip(CLASSES, target.tolist(), strict=True) if share}
        assert named == label_of(shard, i)
        assert data[clip][1].tolist() == target.tolist()
    assert len(ShardDataset([out, out / "part-001", out])) == 42  # each once


def test_another_shape_of_clip_is_refused(video_folder: Path, tmp_path: Path) -> None:
    for place, frames in (("out", 8), ("out/part-001", 9)):
        words = ["-r", "none", "--limit", "2", *SHAPE, "--frames", frames]
        assert vidaug("augment", video_folder, "-o", tmp_path / place, *words).code == 0
    with pytest.raises(ShardError, match=r"part-001/000/shard-00000.h5: has another shape of clip than .*shard-00000"):
        ShardDataset(tmp_path / "out")
    assert "part-001/000/shard-00000.h5: has another shape of clip than" in vidaug("inspect", tmp_path / "out").err


def test_inspect_adds_up_parts(out: Path) -> None:
    found = vidaug("inspect", out, "--json").result
    each = [vidaug("inspect", place, "--json").result for place in (shard_path(out, 0), out / "part-001")]
    assert [one["plans"] for one in (found, *each)] == [2, 1, 1]
    for key in ("clips", "mixed", "bytes", "shards"):
        assert found[key] == sum(one[key] for one in each)
    assert found["planned_shards"] == 2
    for name in CLASSES:
        assert found["label_mass"][name] == pytest.approx(sum(one["label_mass"].get(name, 0) for one in each))
    text = vidaug("inspect", out).out
    assert text.startswith(f"{out}: 42 clips in 2 shards of 2 plans, ")
    assert "clips per class (soft) of 4 classes" in text


def test_inspect_says_what_parts_do_not_have_in_common(tmp_path: Path, video_folder: Path) -> None:
    mixed = ["-r", "mixup", "--seed", "3", "--codec", "jpeg"]
    for place, words in (("out", ["-r", "none"]), ("out/part-001", mixed)):
        assert vidaug("augment", video_folder, "-o", tmp_path / place, "--limit", "3", *words, *SHAPE).code == 0
    assert (
        "raw and jpeg, 3 mixed, 0 clean originals; seeds 0 and 3, rendered" in vidaug("inspect", tmp_path / "out").out
    )
    done = vidaug("inspect", tmp_path / "out", "--recipe")
    assert (done.code, done.out) == (1, "")
    assert "has parts that were made by 2 recipes; name the folder of one of them" in done.err


def test_verify_looks_at_every_part(copy: Path) -> None:
    assert vidaug("verify", copy, "-j", "1").err == f"{copy}: 2 shards, 0 faults\n"
    shard = shard_path(copy / "part-001", 0)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    done = vidaug("verify", copy, "-j", "1")
    assert (done.code, done.out.count("\n")) == (1, 1)
    assert done.out.startswith(f"{shard}: ")


def test_replay_and_preview_take_clips_of_all_parts(out: Path, tmp_path: Path) -> None:
    done = vidaug("replay", out, "--all", "-q")
    assert (done.code, done.out.count("equal bytes")) == (0, 42)
    done = vidaug("replay", out, "--clip", "20", "-q")
    assert (done.code, done.out) == (0, "clip 20: equal bytes\n")
    for words in (("replay", out, "--clip", "3"), ("preview", out, "--clip", "3", "-o", tmp_path / "look.png")):
        done = vidaug(*words)
        assert done.code == 1
        assert done.err == (
            f"vidaug: error: {out}: has a clip 3 in . and part-001; give the folder of the one that is meant, "
            f"such as {out}/part-001\n"
        )
    assert vidaug("replay", out / "part-001", "--clip", "3", "-q").code == 0
    assert vidaug("preview", out, "--count", "2", "-o", tmp_path / "look.png").code == 0
    assert "has no clip 99; it has 42, from 0 to 35" in vidaug("replay", out, "--clip", "99").err


def test_parts_go_with_the_shards_that_are_overwritten(video_folder: Path, copy: Path) -> None:
    (copy / "part-001/mine.txt").touch()
    words = ["augment", video_folder, "-o", copy, "-r", "none", *SHAPE]
    assert "holds the shards of another plan" in vidaug(*words).err
    assert vidaug(*words, "--overwrite").code == 0
    assert (parts_of(copy), len(ShardDataset(copy))) == ([copy], 36)
    assert [path.name for path in (copy / "part-001").iterdir()] == ["mine.txt"]


def test_training_takes_all_parts(out: Path) -> None:
    folders = ShardFolders([out])
    assert folders.folders == [out, out / "part-001"]
    assert folders.dataset.classes == CLASSES
    assert folders.notes == ["not all shards have the classes class_0, class_2, class_9"]
    names = [row.name for row in folders.rows]
    assert len(names) == 42
    for clip, (own, partner) in enumerate(folders.pairs.tolist()):
        label = dict(zip(CLASSES, folders.dataset[clip][1].tolist(), strict=True))
        assert {CLASSES[own], CLASSES[partner]} == {name for name, share in label.items() if share}
    assert len(ShardFolders([out, out / "part-001"]).dataset) == 42


def test_an_unfinished_part_cannot_be_trained_on(copy: Path) -> None:
    done_path(shard_path(copy / "part-001", 0)).unlink()
    with pytest.raises(ShardError, match=r"part-001: holds 0 of 1 shards"):
        ShardFolders([copy])


def test_predict_takes_a_video_of_two_parts_once(video_folder: Path, tmp_path: Path) -> None:
    """Its views are the clips of both parts, so its scores are the means of those of each."""
    network = save(tmp_path / "net.pt", random_network(3), CLASSES[:3], ClipSpec(frames=8, size=32))
    for place, words in (("two", ["--limit", "20"]), ("two/part-001", ["--limit", "20", "--seed", "1"])):
        assert vidaug("augment", video_folder, "-o", tmp_path / place, "-r", "none", *words, *SHAPE).code == 0
    shutil.copytree(tmp_path / "two", tmp_path / "base", ignore=shutil.ignore_patterns("part-*"))
    scores = {}
    for place in ("two", "base", "two/part-001"):
        assert vidaug("predict", network, tmp_path / place, "-o", tmp_path / "s.h5", "-q").code == 0
        found = read_scores(tmp_path / "s.h5")
        scores[place] = dict(zip(found.videos, found.scores, strict=True))
    both, base, part = scores.values()
    assert both.keys() == base.keys() | part.keys()
    assert base.keys() & part.keys()
    for name, score in both.items():
        each = [one[name] for one in (base, part) if name in one]
        assert score == pytest.approx(np.mean(each, axis=0), abs=1e-6)
    assert len(read_manifest(tmp_path / "two")) == len(both)


def test_parts_of_unlike_speed_are_not_predicted_together(video_folder: Path, tmp_path: Path) -> None:
    network = save(tmp_path / "net.pt", random_network(3), CLASSES[:3], ClipSpec(frames=8, size=32))
    for place, words in (("two", []), ("two/part-001", ["--stride", "3"])):
        words = ["-r", "none", "--limit", "2", *words, *SHAPE]
        assert vidaug("augment", video_folder, "-o", tmp_path / place, *words).code == 0
    done = vidaug("predict", network, tmp_path / "two", "-o", tmp_path / "s.h5", "-q")
    assert done.err == (
        f"vidaug: error: {tmp_path / 'two'}: has parts whose clips differ in their speed; take each by itself\n"
    )


def test_cam_takes_all_parts(out: Path, tmp_path: Path) -> None:
    network = save(tmp_path / "net.pt", random_network(4), CLASSES, ClipSpec(frames=8, size=32))
    shutil.copytree(out, tmp_path / "base", ignore=shutil.ignore_patterns("part-*"))
    found = []
    for place in (out, tmp_path / "base", out / "part-001"):
        done = vidaug("cam", network, place, "--measure", "--json", "-q")
        assert done.code == 0
        found.append(done.result["localisation"])
    both, *each = found
    assert both["clips"] == each[0]["clips"] + each[1]["clips"] > each[0]["clips"] > 0
    mean = sum(one["correlation"] * one["clips"] for one in each) / both["clips"]
    assert both["correlation"] == pytest.approx(mean)
    assert vidaug("cam", network, out, "--clip", "20", "-o", tmp_path / "cam.png", "-q").code == 0
    assert "has a clip 3 in . and part-001" in vidaug("cam", network, out, "--clip", "3").err
