"""Which frames and which square: closed forms and statistics."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, Crop, Sample, clean_sample, draw_sample, frame_numbers
from vidaug_cli.errors import VidaugError
from vidaug_cli.schema import parse

VIDEO = Row(path="v.mp4", root="/", label="a", frames=200, fps=30, width=320, height=240, codec="h264")


def drawn(spec: ClipSpec, video: Row = VIDEO, count: int = 2000) -> list[Sample]:
    rng = np.random.default_rng(0)
    return [draw_sample(rng, spec, video) for _ in range(count)]


@given(
    frames=st.integers(1, 300), stride=st.integers(1, 5), short=st.sampled_from(["repeat", "loop", "stretch"]),
    width=st.integers(1, 500), height=st.integers(1, 500), seed=st.integers(0, 1000),
)  # fmt: skip
def test_frames_and_square_lie_inside(frames: int, stride: int, short: Any, width: int, height: int, seed: int) -> None:
    spec = ClipSpec(frames=16, stride=stride, short=short)
    video = replace(VIDEO, frames=frames, width=width, height=height)
    for sample in (draw_sample(np.random.default_rng(seed), spec, video), clean_sample(spec, video)):
        numbers = frame_numbers(sample, spec, video)
        assert numbers.shape == (16,)
        assert 0 <= numbers.min() <= numbers.max() < frames
        crop = sample.crop
        assert 0 <= crop.x <= crop.x + crop.side <= width
        assert 0 <= crop.y <= crop.y + crop.side <= height
        assert crop.side >= 1
        if frames >= 15 * stride + 1:
            assert (np.diff(numbers) == stride).all()


def test_the_published_crop() -> None:
    """Side U{160..200} of a 240 px high video, anywhere; flipped in half of the clips; any start."""
    samples = drawn(ClipSpec())
    sides = [sample.crop.side for sample in samples]
    assert (min(sides), max(sides)) == (160, 200)
    assert np.mean(sides) == pytest.approx(180, abs=1)
    assert np.mean([sample.crop.x / (320 - sample.crop.side) for sample in samples]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([sample.flip for sample in samples]) == pytest.approx(0.5, abs=0.03)
    starts = [sample.start for sample in samples]
    assert (min(starts), max(starts)) == (0, 200 - 64)


@pytest.mark.parametrize(
    ("short", "expected"),
    [("repeat", [0, 1, 2, 2, 2, 2, 2, 2]), ("loop", [0, 1, 2, 0, 1, 2, 0, 1]), ("stretch", [0, 0, 0, 0, 1, 1, 1, 1])],
)
def test_short_videos(short: Any, expected: list[int]) -> None:
    spec = ClipSpec(frames=8, short=short)
    sample = replace(drawn(spec, replace(VIDEO, frames=3), 1)[0], start=0)
    assert frame_numbers(sample, spec, replace(VIDEO, frames=3)).tolist() == expected


def test_stretch_slows_down_by_halves_until_the_clip_fits() -> None:
    spec = ClipSpec(frames=64, short="stretch")
    assert {sample.step for sample in drawn(spec, replace(VIDEO, frames=40), 20)} == {0.5}
    assert {sample.step for sample in drawn(spec, replace(VIDEO, frames=20), 20)} == {0.25}
    assert {sample.step for sample in drawn(spec, VIDEO, 20)} == {1}


def test_fps_resamples_by_time() -> None:
    """8 frames at 10 fps of a video with 25: 0.7 s, so 17.5 frames apart."""
    sample = replace(drawn(ClipSpec(frames=8, fps=10), replace(VIDEO, fps=25.0), 1)[0], start=0)
    assert frame_numbers(sample, ClipSpec(frames=8, fps=10), VIDEO).tolist() == [0, 2, 5, 7, 10, 12, 15, 17]


def test_the_clean_clip_is_the_middle() -> None:
    sample = clean_sample(ClipSpec(), VIDEO)
    assert sample == Sample(start=68, step=1.0, crop=Crop(x=60, y=20, side=200), flip=False)


def test_a_stored_sample_is_the_drawn_one() -> None:
    for sample in drawn(ClipSpec(), count=20):
        assert parse(Sample, json.loads(json.dumps(asdict(sample)))) == sample


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"frames": 0}, "clip: frames = 0 should be 1 to 4096"),
        ({"stride": 0}, "clip: stride = 0 should be 1 to 1024"),
        ({"fps": float("nan")}, "clip: fps = nan should be a number above 0"),
        ({"size": 4}, "clip: size = 4 should be 8 to 2048"),
        ({"crop": (0.9, 0.5)}, r"clip: crop = \(0.9, 0.5\) should be two shares"),
        ({"flip": 1.5}, "clip: flip = 1.5 should be a chance, 0 to 1"),
    ],
)
def test_settings_out_of_range(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(VidaugError, match=message):
        ClipSpec(**setting)
