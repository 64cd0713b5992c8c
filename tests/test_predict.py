"""Scores of videos: what a network says of each view, by hand and by `vidaug predict`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_makers import checkpoint_of
from conftest import write_video
from console import vidaug
from network_makers import random_network, save

from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.manifest import Row, rows_text
from vidaug_cli.data.sampling import ClipSpec, Views, frame_numbers, views
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.reader import read_clip
from vidaug_cli.device import autocast
from vidaug_cli.errors import VidaugError
from vidaug_cli.predict.predict import match_labels, predict_shards, predict_videos
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.predict.views import Reading, read_ahead, readings
from vidaug_cli.scores.file import Failed, read_scores

CLASSES = ("class_0", "class_1", "class_2")
CLIP = ClipSpec(frames=8, size=32)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Six videos of 64 x 48 that differ in every frame, four shorter than a clip of eight or hardly longer."""
    folder = tmp_path_factory.mktemp("predicted")
    for number, frames in enumerate([5, 8, 9, 13, 30, 40]):
        name = folder / f"class_{number % 3}" / f"{number}.avi"
        write_video(name, frames, level=lambda frame, number=number: (37 * number + 11 * frame) % 256)
    return sorted(read_input(str(folder)).rows, key=lambda row: row.frames)


def predictor_of(classes: tuple[str, ...] = CLASSES, **settings: object) -> Predictor:
    network = random_network(len(classes))
    return Predictor(**{"network": network, "classes": classes, "clip": CLIP, "amp": "off"} | settings)  # type: ignore[arg-type]


def by_hand(predictor: Predictor, row: Row, count: Views) -> np.ndarray:
    """Softmax of each view, decoded and run by itself, (V, K)."""
    found = []
    for sample in views(CLIP, row, count):
        clip, _ = read_clip(row.file, frame_numbers(sample, CLIP, row), sample.crop, CLIP.size)
        with torch.inference_mode():
            found.append(predictor.network(torch.from_numpy(clip)[None]).softmax(1)[0].numpy())
    return np.stack(found)


@pytest.mark.parametrize("count", [1, 10, 30])
def test_scores_are_the_mean_over_views_run_by_hand(rows: list[Row], count: Views) -> None:
    predictor = predictor_of()
    found = predict_videos(predictor, rows, views=count, per_view=True)
    expected = np.stack([by_hand(predictor, row, count) for row in rows])
    assert found.scores.views is not None
    assert np.allclose(found.scores.views, expected, atol=1e-5)
    assert np.allclose(found.scores.scores, expected.mean(1), atol=1e-5)
    assert np.ptp(expected, 0).max() > 0.05  # else it would show nothing
    assert found.scores.videos == tuple(row.path for row in rows)
    assert found.scores.labels.tolist() == [CLASSES.index(str(row.label)) for row in rows]
    assert found.scores.shape.tolist() == [[row.frames, 64, 48] for row in rows]
    assert found.clips == sum(len(set(views(CLIP, row, count))) for row in rows)
    assert json.loads(found.scores.source)["views"] == count


def test_batches_and_workers_change_nothing(rows: list[Row]) -> None:
    base = predict_videos(predictor_of(), rows, per_view=True).scores
    for batch, workers in ((1, 1), (7, 3), (1000, 2)):
        other = predict_videos(predictor_of(batch=batch, workers=workers), rows, per_view=True).scores
        assert other.videos == base.videos
        assert other.views is not None
        assert base.views is not None
        assert np.allclose(other.views, base.views, atol=1e-5)
    assert predict_videos(predictor_of(), rows).scores.views is None


def test_the_crop_is_the_least_of_training_or_as_asked(rows: list[Row]) -> None:
    base, same, other = (predict_videos(predictor_of(), rows, crop=crop).scores for crop in (None, 2 / 3, 1.0))
    assert np.array_equal(base.scores, same.scores)
    videos = [row for row in rows if row.frames > 8]
    assert len(videos) == 4
    textured = predict_videos(predictor_of(), rows, crop=0.2).scores
    assert other.scores.shape == textured.scores.shape
    assert [json.loads(scores.source)["crop"] for scores in (base, other)] == [2 / 3, 1.0]


def test_videos_that_fail_are_listed(rows: list[Row], tmp_path: Path) -> None:
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"RIFF" + bytes(100))
    damaged = replace(rows[0], path="broken.avi", root=str(tmp_path), label="class_2", hash=None)
    longer = replace(rows[4], frames=31)  # no longer what was scanned
    mixed = [rows[0], damaged, rows[1], longer]
    found = predict_videos(predictor_of(workers=2), mixed, views=30)
    assert found.scores.videos == (rows[0].path, rows[1].path)
    assert np.allclose(found.scores.scores, predict_videos(predictor_of(), rows[:2], views=30).scores.scores, atol=1e-5)
    assert found.scores.failures == (
        Failed("broken.avi", 2, "is a damaged or cut AVI file"),
        Failed(longer.path, 1, "has 30 frames, and the manifest says 31; scan it again"),
    )
    assert found.notes[0] == "left out: broken.avi: is a damaged or cut AVI file"
    nothing = predict_videos(predictor_of(), [damaged])
    assert (nothing.scores.scores.shape, nothing.top1, nothing.views) == ((0, 3), None, 0)


def test_an_estimated_length_is_no_failure(rows: list[Row]) -> None:
    """Where the header lied, the last frame is shown again."""
    found = predict_videos(predictor_of(), [replace(rows[4], frames=33, probe="header")])
    assert (len(found.scores.videos), found.scores.failures) == (1, ())


def test_labels_go_by_name() -> None:
    labels, notes = match_labels(("b", "a"), ["a", "b", None, "c", "c"])
    assert labels.tolist() == [1, 0, -1, -1, -1]
    assert notes == ("2 videos of 1 other classes, such as 'c', count as unlabelled",)
    assert match_labels(("b", "a"), [None, None])[0].tolist() == [-1, -1]
    with pytest.raises(VidaugError, match="'x' is none; it knows b, a"):
        match_labels(("b", "a"), ["x", None])


def test_readings_stay_few_in_memory_and_guards_end(rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    started, closed = [], []

    class Watched(Guard):
        def _start(self) -> None:
            started.append(self)
            super()._start()

        def close(self) -> None:
            closed.append(self)
            super().close()

    monkeypatch.setattr("vidaug_cli.data.video.guard.Guard", Watched)
    taken = []

    def wanted() -> Iterator[list[Reading]]:
        for reading in readings(CLIP, rows * 50, 10, None):
            taken.append(reading)
            yield reading

    found = read_ahead(wanted(), CLIP, workers=2)
    for number, _ in zip(range(1, 9), found, strict=False):
        assert len(taken) <= number + 2
    found.close()
    assert set(started) <= set(closed)
    assert len(set(closed)) == 2
    assert all(guard._end is None for guard in closed)


def test_ctrl_c_ends_the_decoders(rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    guards = []

    class Watched(Guard):
        def __enter__(self) -> Watched:
            guards.append(self)
            return self

    def interrupt(self: Predictor, video: torch.Tensor) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vidaug_cli.data.video.guard.Guard", Watched)
    monkeypatch.setattr(Predictor, "softmax", interrupt)
    with pytest.raises(KeyboardInterrupt):
        predict_videos(predictor_of(batch=2), rows)
    assert [guard._end for guard in guards] == [None]


@pytest.mark.parametrize("amp", ["bf16", "auto"])
def test_bfloat16_is_near_float32(rows: list[Row], amp: str) -> None:
    near, exact = (predict_videos(predictor_of(amp=name), rows, views=1).scores.scores for name in (amp, "off"))
    assert np.abs(near - exact).max() < 0.1
    assert near.dtype == np.float32


def test_precision_is_one_of_three() -> None:
    assert autocast("cpu", "bf16")._enabled
    assert not autocast("cpu", "off")._enabled
    with pytest.raises(VidaugError, match="there are auto, bf16 and off"):
        autocast("cpu", "fp8")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def out(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of each of 36 videos, larger and longer than the network takes."""
    folder = tmp_path_factory.mktemp("plain") / "out"
    clip = ["--frames", "10", "--size", "40", "-j", "1", "-q"]
    assert vidaug("augment", video_folder, "-o", folder, "-r", "none", "--copies", "2", *clip).code == 0
    return folder


def test_clips_of_a_video_are_its_views(out: Path) -> None:
    predictor = predictor_of()
    found = predict_shards(predictor, out, per_view=True)
    shards = ShardDataset(out)
    own = []
    for path in shards.paths:
        with Shard(path) as shard:
            own += shard.column("sources")[:, 0].tolist()
    assert found.scores.views is not None
    for video in (0, 17, 35):
        clips = torch.stack([shards[number][0][1:9, 4:36, 4:36] for number, row in enumerate(own) if row == video])
        with torch.inference_mode():
            expected = predictor.network(clips).softmax(1).numpy()
        assert np.allclose(found.scores.views[video], expected, atol=1e-5)
        assert np.allclose(found.scores.scores[video], expected.mean(0), atol=1e-5)
    assert found.scores.labels.tolist() == [number % 3 for name in found.scores.videos for number in [int(name[-6:-4])]]
    assert (found.clips, found.views) == (72, 2)


def test_classes_of_shards_may_stand_in_another_order_than_in_the_checkpoint(out: Path) -> None:
    names = ("class_2", "other", "class_0", "class_1")
    found = predict_shards(predictor_of(names), out)
    assert found.scores.classes == names
    assert [names[label] for label in found.scores.labels] == [name.split("/")[0] for name in found.scores.videos]
    assert found.top1 == (found.scores.scores.argmax(1) == found.scores.labels).mean()


def test_command(rows: list[Row], tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "c.pt", random_network(3), CLASSES, CLIP)
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(rows_text([*rows, replace(rows[0], path="gone.avi")]))
    words = ["-o", tmp_path / "new" / "s.h5", "-j", "2", "--amp", "off"]
    done = vidaug("predict", checkpoint, manifest, *words, "--per-view", "--views", "1", "--json")
    assert done.code == 3
    printed = done.result
    assert (printed["videos"], printed["clips"], len(printed["failures"])) == (6, 6, 1)
    first, last = done.err.splitlines()
    assert first.startswith("left out: gone.avi: cannot be read")
    assert last.startswith(f"6 videos, 1 view each, top-1 {printed['top1']:.1%}, ")
    assert last.endswith(" clips/s")
    assert done.next == f"vidaug evaluate {tmp_path / 'new' / 's.h5'}"
    scores = read_scores(tmp_path / "new" / "s.h5")
    assert np.allclose(scores.scores, predict_videos(predictor_of(), rows, views=1).scores.scores, atol=1e-5)
    source = json.loads(scores.source)
    assert source.pop("training") == checkpoint_of().settings
    assert source == {"checkpoint": "c.pt", "epoch": 3, "top1": None, "views": 1, "crop": 2 / 3}
    assert np.array_equal(scores.views[:, 0], scores.scores)  # type: ignore[index]


def test_command_on_standard_input_and_shards(rows: list[Row], out: Path, tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "c.pt", random_network(3), CLASSES, CLIP)
    words = ["-o", tmp_path / "s.h5", "-j", "1"]
    done = vidaug("predict", checkpoint, "-", *words, "-q", stdin=rows_text(rows[:2]).encode())
    assert (done.code, done.out, done.err) == (0, "", "")
    done = vidaug("predict", checkpoint, out, *words)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("36 videos, 2 views each, top-1 ")


def test_what_the_user_can_mend(rows: list[Row], out: Path, video_folder: Path, tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "c.pt", random_network(3), CLASSES, CLIP)
    other = save(tmp_path / "o.pt", random_network(2), ("left", "right"), CLIP)
    mixed = tmp_path / "mixed"
    clip = ["--frames", "8", "--size", "32", "-j", "1", "-q"]
    assert vidaug("augment", video_folder, "-o", mixed, "-r", "mixup", *clip).code == 0
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(rows_text(rows))
    for words, code, text in (
        ([other, manifest], 1, "no video has a class of the network: 'class_0' is none; it knows left, right"),
        ([checkpoint, mixed], 1, "holds clips mixed from two videos, 36 of 36"),
        ([checkpoint, out, "--views", "10"], 2, "leave --views out"),
        ([checkpoint, out, "--limit", "3"], 2, "leave --limit out"),
        ([checkpoint, manifest, "--views", "3"], 2, "'3' is not one of"),
        ([checkpoint, manifest, "--crop", "1.5"], 2, "--crop"),
        ([checkpoint, tmp_path / "none"], 1, "does not exist"),
        ([manifest, manifest], 1, str(manifest)),
    ):
        done = vidaug("predict", *words, "-o", tmp_path / "s.h5", "-j", "1")
        assert (done.code, done.out) == (code, "")
        assert text in done.err
    assert not (tmp_path / "s.h5").exists()
    before = manifest.read_bytes()
    done = vidaug("predict", checkpoint, manifest, "-o", manifest, "-j", "1")
    assert (done.code, done.out) == (1, "")
    assert "exists, and is not a file of scores" in done.err
    assert manifest.read_bytes() == before


def test_real_videos(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "ut-interaction"
    checkpoint = save(tmp_path / "c.pt", random_network(2), ("kick", "hug"), replace(CLIP, stride=4))
    words = ["--limit", "4", "--seed", "2", "-o", tmp_path / "s.h5", "-j", "1"]
    done = vidaug("predict", checkpoint, folder, *words, "--views", "30")
    assert done.code == 0, done.err
    assert len(read_scores(tmp_path / "s.h5").videos) == 4
