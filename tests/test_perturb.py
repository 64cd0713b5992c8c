"""`vidaug predict --perturb` and `vidaug preview --perturb` on tiny videos and shards."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_video
from console import vidaug
from network_makers import random_network, save
from PIL import Image
from train_makers import make_shards

from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, frame_numbers, views
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.video.reader import read_clip
from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.disturb import ClipKey, disturb
from vidaug_cli.ops.disturbances import DISTURBANCES, VERSION, choose
from vidaug_cli.predict.predict import predict_shards, predict_videos
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.scores.file import read_scores

CLASSES = ("class_0", "class_1", "class_2")
CLIP = ClipSpec(frames=8, size=32)
SOME = choose(["brightness=3", "frozen-ramped=2", "cut=3", "reversed"])


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    folder = tmp_path_factory.mktemp("disturbed")
    for number, frames in enumerate([5, 9, 13, 20]):
        name = folder / f"class_{number % 3}" / f"{number}.avi"
        write_video(name, frames, level=lambda frame, number=number: (37 * number + 11 * frame) % 256)
    return sorted(read_input(str(folder)).rows, key=lambda row: row.frames)


def predictor_of(classes: tuple[str, ...] = CLASSES, **settings: object) -> Predictor:
    network = random_network(len(classes))
    return Predictor(**{"network": network, "classes": classes, "clip": CLIP, "amp": "off"} | settings)  # type: ignore[arg-type]


def test_scores_are_those_of_each_view_disturbed_by_hand(rows: list[Row]) -> None:
    predictor = predictor_of()
    chosen = choose(["rotation-ramped=3", "noise-held=2", "shuffled"])
    found = predict_videos(predictor, rows, views=10, disturbances=chosen).scores
    plain = predict_videos(predictor, rows, views=10).scores
    assert np.array_equal(found.scores, plain.scores)
    assert found.disturbed is not None
    assert found.disturbances == tuple(one.name for one in chosen)
    assert json.loads(found.source)["disturbances"] == VERSION
    for number, row in enumerate(rows):
        samples = views(CLIP, row, 10)
        for place, one in enumerate(chosen):
            answers = []
            for sample in samples:
                clip, _ = read_clip(row.file, frame_numbers(sample, CLIP, row), sample.crop, CLIP.size)
                key = ClipKey(row.name, samples.index(sample))  # of views that are alike, the first
                with torch.inference_mode():
                    video = disturb(torch.from_numpy(clip)[None], one, [key])
                    answers.append(predictor.network(video).softmax(1)[0].numpy())
            assert np.allclose(found.disturbed[place, number], np.mean(answers, 0), atol=1e-5), (row.path, one)
    assert abs(found.disturbed - found.scores).max() > 0.01


def test_batches_order_and_workers_change_nothing(rows: list[Row]) -> None:
    base = predict_videos(predictor_of(), rows, views=10, disturbances=SOME).scores
    assert base.disturbed is not None
    other = predict_videos(predictor_of(batch=3, workers=2), rows[::-1], views=10, disturbances=SOME).scores
    assert other.disturbed is not None
    assert other.videos == base.videos[::-1]
    assert np.allclose(other.disturbed[:, ::-1], base.disturbed, atol=1e-5)


def test_a_cut_never_shows_the_own_class_and_passes_over_what_cannot_be_read(rows: list[Row]) -> None:
    broken = replace(rows[0], path="gone.avi")
    cut = [DISTURBANCES["cut-3"]]
    found = predict_videos(predictor_of(), [*rows, broken], views=1, disturbances=cut).scores
    assert found.disturbed is not None
    assert [failed.video for failed in found.failures] == ["gone.avi"]
    assert (abs(found.disturbed[0] - found.scores).max(1) > 0).all()
    one_class = [row for row in rows if row.label == "class_0"]
    with pytest.raises(VidaugError, match="--perturb cut: a cut shows frames of another class"):
        predict_videos(predictor_of(), one_class, views=1, disturbances=cut)
    unlabelled = [replace(row, label=None) for row in rows]
    assert predict_videos(predictor_of(), unlabelled, views=1, disturbances=cut).scores.disturbed is not None


def test_shards_by_hand(tmp_path: Path) -> None:
    out = make_shards(tmp_path / "out", videos=4)
    predictor = predictor_of(("dark", "light"), batch=3)
    found = predict_shards(predictor, out, disturbances=SOME).scores
    assert found.disturbed is not None
    clips, names = ShardDataset(out), found.videos
    for place, one in ((0, SOME[0]), (1, SOME[1]), (4, SOME[4])):
        for number, name in enumerate(names):
            video = disturb(clips[number][0][None], one, [ClipKey(name)])
            with torch.inference_mode():
                expected = predictor.network(video).softmax(1)[0].numpy()
            assert np.allclose(found.disturbed[place, number], expected, atol=1e-5)
    assert np.array_equal(found.scores, predict_shards(predictor, out).scores.scores)


def test_the_command_in_a_process_of_its_own(rows: list[Row], tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "c.pt", random_network(3), CLASSES, CLIP)
    folder = Path(rows[0].root)
    words = ["predict", checkpoint, folder, "-o", tmp_path / "s.h5", "-j", "1", "--views", "1", "--amp", "off"]
    command = [
        sys.executable,
        "-m",
        "vidaug_cli",
        *map(str, words),
        "--perturb",
        "rotation=3",
        "--perturb",
        "cut,reversed",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "4 videos, 1 view each, top-1 " in done.stderr
    assert ", 6 disturbances, " in done.stderr
    assert read_scores(tmp_path / "s.h5").disturbances == (
        "rotation-held-3", "rotation-ramped-3", "cut-1", "cut-2", "cut-3", "reversed"
    )  # fmt: skip
    shards = make_shards(tmp_path / "out", CLASSES, videos=3)
    done_ = vidaug("predict", checkpoint, shards, "-o", tmp_path / "t.h5", "-j", "1", "--perturb", "blur=1", "--json")
    assert done_.result["disturbances"] == ["blur-held-1", "blur-ramped-1"]


def test_a_wrong_name_is_one_line_before_any_work(tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "c.pt", random_network(3), CLASSES, CLIP)
    (tmp_path / "v").mkdir()
    for words in (["predict", checkpoint, tmp_path / "v", "-o", tmp_path / "s.h5"], ["preview", tmp_path / "v"]):
        done = vidaug(*words, "--perturb", "rotatoin")
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("vidaug: error: --perturb: unknown disturbance 'rotatoin'; did you mean 'rotation'?")
        assert len(done.err.splitlines()) == 1


def test_previews(rows: list[Row], tmp_path: Path) -> None:
    words = ["--frames", "8", "--size", "32", "--count", "2", "--thumb", "32", "-q"]
    folder = rows[0].root
    done = vidaug("preview", folder, *words, "--perturb", "rotation-held=3,cut=3,reversed", "-o", tmp_path / "a.png")
    assert (done.code, done.out, done.err) == (0, "", "")
    plain = vidaug("preview", folder, *words, "-r", "none", "-o", tmp_path / "b.png")
    assert plain.code == 0
    with Image.open(tmp_path / "a.png") as sheet, Image.open(tmp_path / "b.png") as without:
        assert sheet.height > 3 * without.height
    shards = tmp_path / "out"
    made = vidaug("augment", folder, "-o", shards, "-r", "fademixup", "--frames", "8", "--size", "32", "-j", "1", "-q")
    assert made.code == 0
    assert vidaug("preview", shards, "--perturb", "noise=3", "-o", tmp_path / "c.png", "-q").code == 0
    done = vidaug("preview", shards, "--count", "1", "--perturb", "cut", "-o", tmp_path / "d.png")
    assert "a cut shows frames of another clip: two are needed" in done.err
