"""Which pictures of a folder are the frames of its clip."""

from __future__ import annotations

import pytest

from vidaug_cli.data.listing.frames import frame_files, is_flow, series
from vidaug_cli.errors import VideoError


def numbered(*patterns: str, count: int = 3) -> list[str]:
    return [pattern % number for number in range(1, count + 1) for pattern in patterns]


@pytest.mark.parametrize(
    "others",
    [
        ("flow_x_%05d.jpg", "flow_y_%05d.jpg"),  # TSN, mmaction2
        ("x_%04d.jpg", "y_%04d.jpg"),
        ("%05d_x.jpg", "%05d_y.jpg"),
        ("u%06d.jpg", "v%06d.jpg"),
        ("of_h_%d.jpg", "of_v_%d.jpg"),
        ("flowx%d.png", "flowy%d.png"),
        ("Optical-Flow-%d.png",),
        ("tvl1_%d.jpg",),
        ("depth_%05d.png", "mask_%05d.png"),
        ("%05d_mask.png",),
    ],
)
@pytest.mark.parametrize("frames", ["img_%05d.jpg", "frame%06d.jpg", "%d.JPG", "v_Run_g01_c02_%04d.jpg", "IMG %d.png"])
def test_what_lies_beside_the_frames_is_left_out(frames: str, others: tuple[str, ...]) -> None:
    found = frame_files(numbered(frames, *others))
    assert found.names == numbered(frames)
    assert found.left_out == {series(other % 1): 3 for other in others}


@pytest.mark.parametrize("stray", ["cover.jpg", "Thumbs.png", "folder.jpg", "poster.jpg"])
def test_a_stray_picture_is_no_frame(stray: str) -> None:
    found = frame_files([stray, *numbered("%05d.jpg")])
    assert (found.names, found.left_out) == (numbered("%05d.jpg"), {stray.partition(".")[0].lower(): 1})


@pytest.mark.parametrize(
    "names",
    [
        numbered("%d.jpg"),
        numbered("x_%d.jpg"),  # one direction alone is only a name
        numbered("overflow_%d.jpg"),
        numbered("2020-01-01 12-00-%02d.png"),
        ["u.jpg", "v.jpg", "x.jpg", "y.jpg", "z.jpg"],
        ["1.png", "2.jpg"],
        ["IMG_1.JPG", "img_2.jpg"],
        ["only.jpg"],
        [],
    ],
)
def test_one_series_is_the_clip_whatever_its_name(names: list[str]) -> None:
    assert frame_files(names) == (names, {})


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        (numbered("left_%d.jpg", "right_%d.jpg"), r"left_# \(3\), right_# \(3\)"),
        (numbered("img_%d.jpg", "warp_%d.jpg"), r"img_# \(3\), warp_# \(3\)"),
        (numbered("img_%d.jpg", "img_%d (1).jpg"), r"img_# \(3\), img_# \(#\) \(3\)"),
        (numbered("img_%d.jpg", "rgb_%d.jpg", "mask_%d.jpg"), r"img_# \(3\), rgb_# \(3\)"),
        ([f"{letter}{number}.jpg" for letter in "abcdefg" for number in (1, 2)], r"a# \(2\),.* and 3 more"),
    ],
)
def test_several_series_are_named_not_mixed(names: list[str], seen: str) -> None:
    with pytest.raises(VideoError, match=f"holds several series of pictures: {seen}"):
        frame_files(names)


@pytest.mark.parametrize("names", [numbered("flow_x_%d.jpg", "flow_y_%d.jpg"), numbered("u_%d.jpg", "v_%d.jpg")])
def test_flow_alone_is_no_clip(names: list[str]) -> None:
    with pytest.raises(
        VideoError, match=r"holds optical flow and no pictures: \w+_# \(3\), \w+_# \(3\); name a folder of"
    ):
        frame_files(names)


def test_a_folder_may_say_that_it_holds_flow() -> None:
    assert all(map(is_flow, ("flow", "Flow_x", "tvl1_flow", "optical_flow", "flow-u", "opticalflow")))
    assert not any(map(is_flow, ("overflow", "flower", "flowing", "x", "cashflows_2", "rgb")))
