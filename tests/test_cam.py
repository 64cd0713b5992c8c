"""Class activation maps: closed forms, a network that sees brightness, and the measure of localisation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from conftest import write_video
from console import vidaug
from hypothesis import given
from hypothesis import strategies as st
from network_makers import TINY, brightness_network, random_network, save
from PIL import Image
from torch import Tensor, nn

from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.predict.cam import (
    PITCH,
    ClassActivation,
    activations,
    class_activations,
    class_maps,
    legend_of,
    measure,
    resampling,
    spearman,
    strips_of,
)
from vidaug_cli.predict.predictor import Predictor
from vidaug_cli.train.slowfast import SlowFrames
from vidaug_cli.words import percent

CLASSES = ("bright", "dark", "neither", "nor")
CLIP = ClipSpec(frames=16, size=32, crop=(1, 1), flip=0.0)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 40, 80], 1.0),
        ([1, 2, 3, 4], [5, 3, 2, -7], -1.0),
        # Without ties 1 - 6 sum(d^2) / (n^3 - n), here 1 - 6 * 194 / 990.
        ([86, 97, 99, 100, 101, 103, 106, 110, 112, 113], [2, 20, 28, 27, 50, 29, 7, 17, 6, 12], -29 / 165),
        ([1, 2, 3, 4, 5], [5, 6, 7, 8, 7], 8 / np.sqrt(95)),  # ranks 1 2 3.5 5 3.5
        ([1, 2, 3, 4], [0, 0, 1, 1], 2 / np.sqrt(5)),  # ranks 1.5 1.5 3.5 3.5
        ([1, 2, 3], [7, 7, 7], 0.0),
    ],
)
def test_spearman_by_hand(a: list[float], b: list[float], expected: float) -> None:
    assert spearman(np.array(a), np.array(b)) == pytest.approx(expected, abs=1e-12)
    assert spearman(np.array(b), np.array(a)) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=20))
def test_spearman_sees_order_alone(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, float).T
    follows = spearman(a, b)
    assert -1 - 1e-9 <= follows <= 1 + 1e-9
    assert spearman(np.exp(a), 3 * b - 1) == pytest.approx(follows, abs=1e-9)
    assert spearman(-a, b) == pytest.approx(-follows, abs=1e-9)


def test_resampling_keeps_values_at_their_places() -> None:
    values = np.array([5.0, 1.0, 3.0])
    found = resampling(np.array([0, 4, 8]), 12) @ values
    assert found.tolist() == [5, 4, 3, 2, 1, 1.5, 2, 2.5, 3, 3, 3, 3]


class Camera(nn.Module):
    """In place of SlowFast: both pathways see the brightness of each of their frames and 32nd pixels, nothing else."""

    def __init__(self, slow: float, fast: float, slow_frames: SlowFrames = "stride") -> None:
        super().__init__()
        self.architecture = replace(TINY, slow_frames=slow_frames)
        self.head = nn.Linear(2, 1)
        self.head.weight.data = torch.tensor([[slow, fast]])

    def features(self, video: Tensor) -> tuple[Tensor, Tensor]:
        fast = (
            video[:, :: max(1, video.shape[1] // TINY.fast_frames), ::PITCH, ::PITCH, :1].permute(0, 4, 1, 2, 3).float()
        )
        if self.architecture.slow_frames == "stride":
            return fast[:, :, :: TINY.alpha], fast
        return fast[:, :, torch.linspace(0, fast.shape[2] - 1, fast.shape[2] // TINY.alpha).long()], fast


@pytest.mark.parametrize(("slow", "fast", "last"), [(1.0, 0.0, 8), (0.0, 1.0, 14), (0.5, 0.5, 8)])
@pytest.mark.parametrize("slow_frames", ["stride", "linspace"])
def test_a_signal_comes_out_at_its_frames(slow: float, fast: float, last: int, slow_frames: SlowFrames) -> None:
    """16 frames: Fast takes every 2nd, Slow every 8th, or the first and the last of these.

    Frame t has the brightness t, and so has the activation.
    """
    video = torch.arange(16, dtype=torch.uint8)[None, :, None, None, None].expand(1, 16, 32, 32, 3)
    found = activations(Camera(slow, fast, slow_frames), video)[0, 0]  # type: ignore[arg-type]
    last = 14 if slow_frames == "linspace" else last
    assert found[: last + 1].tolist() == list(range(last + 1))
    assert found.dtype == torch.float32


def test_a_spot_comes_out_at_its_pixels() -> None:
    video = torch.zeros(1, 8, 96, 64, 3, dtype=torch.uint8)
    video[:, :, 64, 32] = 200
    found = class_maps(Camera(0.25, 0.75), video, [0])[0, 0]  # type: ignore[arg-type]
    assert found.shape == (8, 96, 64)
    assert torch.allclose(found[:, 64, 32], torch.tensor(200.0))
    assert torch.allclose(found[:, 64, 16], torch.tensor(100.0))
    assert torch.allclose(found[:, 32], torch.tensor(0.0))
    assert (found <= found[0, 64, 32]).all()


@pytest.mark.parametrize("pathway", [0, 1])
def test_a_logit_is_the_mean_of_its_map(pathway: int) -> None:
    """With the head's weights on one pathway, whose maps lie at every n-th frame and every 32nd pixel."""
    network = random_network(3)
    channels = network.head.in_features * 4 // 5  # Slow's: it has four times as many as Fast
    with torch.no_grad():
        network.head.weight[:, slice(channels, None) if pathway == 0 else slice(channels)] = 0
    video = torch.randint(0, 256, (2, 16, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        maps = class_maps(network, video, [0, 1, 2])
        over_time = activations(network, video)
        logits = network(video)
    pitch = (8, 2)[pathway]
    assert torch.allclose(maps[:, :, ::pitch, ::PITCH, ::PITCH].mean((2, 3, 4)) + network.head.bias, logits, atol=1e-4)
    assert torch.allclose(over_time[:, :, ::pitch].mean(2) + network.head.bias, logits, atol=1e-4)


def predictor_of(classes: tuple[str, ...] = CLASSES, **settings: object) -> Predictor:
    network = brightness_network(len(classes))
    return Predictor(**{"network": network, "classes": classes, "clip": CLIP, "amp": "off"} | settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos brighter than the mean of the network and six much brighter ones."""
    folder = tmp_path_factory.mktemp("flat")
    for number in range(12):
        name, level = (("bright", 230), ("dark", 140))[number % 2]
        write_video(folder / name / f"{number}.avi", frames=20, fps=15, level=lambda frame, level=level: level)
    return folder


def shards(videos: Path, recipe: str, **words: object) -> Path:
    out = videos.with_name(f"{videos.name}-{recipe}")
    if not out.exists():
        clip = ["--frames", "16", "--size", "32", "-j", "1", "-q"]
        assert vidaug("augment", videos, "-o", out, "-r", recipe, "--copies", "2", *clip).code == 0
    return out


@pytest.mark.parametrize("recipe", ["fademixup", "framecutmix"])
def test_a_network_that_sees_the_class_localises_it(videos: Path, recipe: str) -> None:
    found = measure(predictor_of(), shards(videos, recipe))
    assert found.correlation is not None
    assert found.error is not None
    assert found.baseline is not None
    # A fade may be of less than a grey level. Slow sees every 8th frame, so that a cut's edges are blurred.
    assert found.correlation > {"fademixup": 0.85, "framecutmix": 0.6}[recipe]
    assert found.correlation < 1 + 1e-9
    assert 0 < found.error < 0.1
    assert (found.pairs, found.clips) == (2 * found.clips, 24 - sum(found.left_out.values()))
    assert "of two videos of one class" in found.left_out
    assert abs(found.baseline) < 0.35


def test_a_network_that_takes_one_class_for_the_other_is_as_far_below_0(videos: Path) -> None:
    seeing, mistaken = (
        measure(predictor_of(names), shards(videos, "fademixup")) for names in (CLASSES, ("dark", "bright"))
    )
    assert seeing.correlation == pytest.approx(-(mistaken.correlation or 0), abs=1e-6)
    assert mistaken.baseline is None  # there is no third class


def test_classes_may_stand_in_another_order_in_the_checkpoint(videos: Path) -> None:
    here, turned = (predictor_of(names) for names in (CLASSES, CLASSES[::-1]))
    with torch.no_grad():
        for weight in (turned.network.head.weight, turned.network.head.bias):
            weight.copy_(weight.flip(0))
    first, second = (measure(predictor, shards(videos, "fademixup")) for predictor in (here, turned))
    assert first.correlation == pytest.approx(second.correlation, abs=1e-9)


def test_batches_change_nothing(videos: Path) -> None:
    few, many = (measure(predictor_of(batch=batch), shards(videos, "fademixup")) for batch in (3, 64))
    assert few == many


def test_what_has_no_place_in_time_is_left_out(videos: Path) -> None:
    mixup = measure(predictor_of(), shards(videos, "mixup"))
    assert (mixup.correlation, mixup.pairs, mixup.baseline) == (None, 0, None)
    assert mixup.left_out.keys() == {"with the same weight in all frames", "of two videos of one class"}
    plain = measure(predictor_of(), shards(videos, "none"))
    assert plain.left_out == {"not mixed": 24}
    assert plain.text == "nothing to compare: 24 clips not mixed"
    strange = measure(predictor_of(("bright", "other")), shards(videos, "fademixup"))
    assert strange.left_out["of a class the network does not know"] > 0
    assert strange.pairs == 0


def test_a_row_for_each_class(videos: Path) -> None:
    out = shards(videos, "fademixup")
    for clip in range(24):
        classes = class_activations(predictor_of(), out, clip)
        assert np.allclose(sum(seen.weights for seen in classes), 1, atol=1e-6)
        for seen, strip in zip(classes, strips_of(classes), strict=True):
            assert seen.maps.shape == (16, 32, 32)
            assert seen.video.shape == (16, 32, 32, 3)
            assert {Path(path).parts[0] for path in seen.videos} == {seen.label}
            assert strip.curve is not None
            if np.ptp(seen.weights) > 0.2:
                assert (seen.correlation or 0) > 0.95
                low, high = strip.scale
                assert low + (high - low) * strip.curve == pytest.approx(seen.activation, abs=1e-5)
                assert abs(seen.maps.mean((1, 2)).argmax() - seen.weights.argmax()) <= 1
        strips = strips_of(classes)
        assert len({strip.scale for strip in strips}) == 1  # one for all classes of a clip, which fill it
        found = np.concatenate([strip.curve for strip in strips if strip.curve is not None])
        low, high = strips[0].scale
        assert (found.min(), found.max()) == (0, pytest.approx(float(high > low)))
    assert {len(class_activations(predictor_of(), out, clip)) for clip in range(24)} == {1, 2}


def test_the_network_says_what_it_takes_the_clip_for(videos: Path) -> None:
    predictor, out = predictor_of(), shards(videos, "fademixup")
    classes = class_activations(predictor, out, 3)
    softmax = predictor.softmax(torch.from_numpy(classes[0].video)[None])[0]
    best = np.argsort(-softmax).tolist()
    assert list(classes[0].predicted) == [predictor.classes[label] for label in best[:3]]
    assert list(classes[0].predicted.values()) == pytest.approx(softmax[best[:3]].tolist())
    first, share = next(iter(classes[0].predicted.items()))
    assert f"The network says {first} {percent(share)}" in legend_of(classes).text
    assert [one.softmax for one in classes] == pytest.approx([softmax[CLASSES.index(one.label)] for one in classes])


def test_heat_covers_what_it_is_on() -> None:
    """One scale for both classes: 0 leaves a picture as it is, the greatest heat hides 7 tenths of it."""
    video = np.full((2, 4, 4, 3), 100, np.uint8)
    maps = np.zeros((2, 2, 4, 4), np.float32)
    maps[0, 1, 2, 2], maps[1] = 8, 4
    names = {"clip": 3, "video": video, "softmax": 0.5, "videos": ["a.avi"], "others": ["b.avi"], "fps": 7.5}
    names["predicted"] = {"a": 0.5, "b": 0.5}
    arrays = {"weights": np.array([0.2, 0.6]), "activation": np.array([1.0, 3.0])}
    seen = [ClassActivation(label=name, maps=heat, **names, **arrays) for name, heat in zip("ab", maps, strict=True)]  # type: ignore[arg-type]
    first, second = strips_of(seen)
    assert first.video[1, 2, 2].tolist() == [208, 191, 72]  # 0.3 * 100 + 0.7 * (255, 230, 60)
    first.video[1, 2, 2] = 100
    assert np.array_equal(first.video, video)
    assert len(np.unique(second.video.reshape(-1, 3), axis=0)) == 1
    assert (first.title, first.classes[0][:2], first.fps) == ("3", ("a", " 40 %"), 7.5)
    assert first.scale == second.scale == (1, 3)
    assert first.curve is not None
    assert first.curve.tolist() == [0, 1]


def test_command_draws_and_measures(videos: Path, tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "c.pt", brightness_network(4), CLASSES, CLIP)
    out, words = shards(videos, "fademixup"), ["-j", "1", "--amp", "off"]
    paths = [tmp_path / "a" / "cam.png", tmp_path / "cam.mp4"]
    done = vidaug("cam", checkpoint, out, "--clip", "3", "-o", paths[0], "-o", paths[1], "--columns", "8", *words)
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [f"wrote {path}" for path in paths]
    with Image.open(paths[0]) as sheet:
        assert sheet.format == "PNG"
    with av.open(str(paths[1])) as video:
        assert float(video.streams.video[0].average_rate or 0) == 15  # the videos' own
        assert sum(1 for _ in video.decode(video=0)) == 16
    text = vidaug("cam", checkpoint, out, "--measure", *words)
    assert text.out.startswith("localisation +")
    printed = vidaug("cam", checkpoint, out, "--measure", "--json", *words).result
    assert printed["localisation"]["correlation"] > 0.85
    both = vidaug("cam", checkpoint, out, "--measure", "--clip", 3, "-o", paths[0], "--json", "-q", *words)
    assert both.err == ""
    assert len(both.result["classes"][0]["activation"]) == 16


def test_what_the_user_can_mend(videos: Path, tmp_path: Path) -> None:
    out = shards(videos, "fademixup")
    small = save(tmp_path / "small.pt", brightness_network(4), CLASSES, CLIP)
    large = save(tmp_path / "large.pt", brightness_network(4), CLASSES, replace(CLIP, frames=32))
    other = save(tmp_path / "other.pt", brightness_network(2), ("left", "right"), CLIP)
    for words, code, text in (
        ([small, out], 2, "give --clip N, the clip to draw, or --measure"),
        ([small, out, "--clip", "99"], 1, "has no clip 99; it has 24, from 0 to 23"),
        ([small, out, "--clip", "1", "-o", "cam.jpg"], 1, "cam.jpg: is not a picture that can be drawn"),
        ([small, tmp_path, "--measure"], 1, "holds no plan.json"),
        ([other, out, "--clip", "1"], 1, "which the network does not know"),
        ([large, out, "--measure"], 1, "has clips of 16 x 32 x 32, and the network takes 32 x 32 x 32"),
        ([videos, out, "--measure"], 1, str(videos)),
    ):
        done = vidaug("cam", *words)
        assert (done.code, done.out) == (code, "")
        assert text in done.err
