"""Reading videos: any frames in true order, and what a video holds."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from conftest import MakeVideo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from video_makers import write

from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.video.limits import Limits
from vidaug_cli.data.video.reader import ClipRequest, probe, read_clip, read_clips
from vidaug_cli.errors import VideoError


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 27), min_size=1, max_size=12))
def test_any_frames_in_any_order(shared_video: Path, wanted: list[int]) -> None:
    clip, taken = read_clip(shared_video, np.array(wanted, np.int32), None, 8)
    expected = np.minimum(wanted, 19)
    assert taken.tolist() == expected.tolist()
    assert np.abs(clip.mean(axis=(1, 2, 3)) - (20 + 8 * expected)).max() < 3


REQUESTS = st.lists(
    st.builds(
        lambda frames, x, y, side, flip: ClipRequest(np.array(frames, np.int32), Crop(x=x, y=y, side=side), flip),
        st.lists(st.integers(0, 24), min_size=1, max_size=6),
        *(st.integers(0, most) for most in (24, 8)),
        st.integers(20, 40),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS)
def test_clips_of_one_pass_are_those_read_alone(textured_video: Path, requests: list[ClipRequest]) -> None:
    together = read_clips(textured_video, requests, 16)
    for (frames, crop, flip), clip, taken in zip(requests, *together, strict=True):
        alone, taken_alone = read_clip(textured_video, frames, crop, 16, flip=flip)
        np.testing.assert_array_equal(clip, alone)
        np.testing.assert_array_equal(taken, taken_alone)


@pytest.fixture(scope="module")
def textured_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8)
    return write(tmp_path_factory.mktemp("videos") / "noise.mp4", list(noise), "mpeg4", "yuv420p")


@pytest.fixture(scope="module")
def shared_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    levels = [np.full((48, 64, 3), 20 + 8 * number, np.uint8) for number in range(20)]
    return write(tmp_path_factory.mktemp("videos") / "grey.mp4", levels, "mpeg4", "yuv420p")


def test_b_frames_come_in_the_order_shown(tmp_path: Path) -> None:
    levels = [np.full((48, 64, 3), 20 + 8 * number, np.uint8) for number in range(20)]
    path = write(tmp_path / "bframes.avi", levels, "mpeg4", "yuv420p", options={"bf": "2"})
    with av.open(str(path)) as container:
        assert {frame.pict_type for frame in container.decode(video=0)} >= {av.video.frame.PictureType.B}
    clip, _ = read_clip(path, np.arange(20, dtype=np.int32), None, 8)
    assert np.abs(clip.mean(axis=(1, 2, 3)) - np.arange(20, 180, 8)).max() < 3
    assert probe(path).frames == 20


def test_out_is_filled_and_returned(shared_video: Path) -> None:
    out = np.zeros((3, 8, 8, 3), np.uint8)
    clip, _ = read_clip(shared_video, np.array([9, 9, 2], np.int32), None, 8, out=out)
    assert clip is out
    assert (clip[0] == clip[1]).all()
    assert clip[0].mean() > clip[2].mean() > 20


def test_decoding_stops_after_the_last_frame_wanted(shared_video: Path) -> None:
    read_clip(shared_video, np.array([4], np.int32), None, 8, limits=Limits(frames=5))
    wanted = [ClipRequest(np.array([number], np.int32)) for number in (4, 1)]
    read_clips(shared_video, wanted, 8, limits=Limits(frames=5))
    with pytest.raises(VideoError, match="holds more than 5 frames"):
        read_clip(shared_video, np.array([5], np.int32), None, 8, limits=Limits(frames=5))


# What a video holds


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mpeg4"), ("a.avi", "mpeg4"), ("a.mkv", "mpeg4"), ("a.ts", "mpeg2video")]
)
def test_probe(make_video: MakeVideo, name: str, codec: str) -> None:
    path = make_video(name, frames=17, size=(64, 48), fps=25, codec=codec)
    full = probe(path)
    assert (full.frames, full.width, full.height, full.codec) == (17, 64, 48, codec)
    assert (full.rotation, full.corrupt, full.bytes, full.probe) == (0, 0, path.stat().st_size, "full")
    assert full.fps == pytest.approx(25, rel=1e-3)
    packets = probe(path, "packets")
    assert (packets.frames, packets.probe) == (17, "packets")
    assert abs(probe(path, "header").frames - 17) <= 1


def test_a_header_that_does_not_say_is_answered_by_counting(make_video: MakeVideo) -> None:
    path = make_video("raw.m4v", frames=12)
    path.write_bytes(path.read_bytes())
    found = probe(path, "header")
    assert (found.frames, found.probe) == (12, "packets") or found.probe == "header"


def test_a_single_frame_has_no_rate(make_video: MakeVideo) -> None:
    found = probe(make_video(frames=1))
    assert (found.frames, found.fps) == (1, 0.0)
