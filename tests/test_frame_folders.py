"""A folder of frame images is a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_makers import FIRST, QUADRANTS, assert_colours, corners, paint

from vidaug_cli.data.video.reader import probe, read_clip
from vidaug_cli.errors import VideoError


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".JPG"])
def test_a_folder_of_images_in_natural_order(tmp_path: Path, suffix: str) -> None:
    for number in range(12):
        Image.fromarray(np.full((48, 64, 3), 20 * number, np.uint8)).save(tmp_path / f"frame{number}{suffix}")
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / f"._frame0{suffix}").write_bytes(b"what macOS leaves")
    for how in ("full", "packets", "header"):
        found = probe(tmp_path, how)
        assert (found.frames, found.fps, found.width, found.height, found.corrupt) == (12, 0.0, 64, 48, 0)
    assert found.bytes == sum(file.stat().st_size for file in tmp_path.glob(f"frame*{suffix}"))
    clip, _ = read_clip(tmp_path, np.arange(12, dtype=np.int32), None, 8)
    assert np.abs(clip.mean(axis=(1, 2, 3)) - np.arange(0, 240, 20)).max() < 3


def test_image_colours_and_names_that_look_like_patterns(tmp_path: Path) -> None:
    Image.fromarray(paint(64, 48)).save(tmp_path / "%03d*.png")
    clip, _ = read_clip(tmp_path, FIRST, None, 32)
    assert_colours(corners(clip[0]), QUADRANTS, 1)


def test_exif_rotation_of_images_is_undone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    Image.fromarray(paint(64, 48)).save(tmp_path / "1.jpg", exif=exif, quality=95)
    found = probe(tmp_path)
    assert (found.width, found.height) in [(48, 64)]


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([], "holds no JPEG or PNG images"),
        ([("flow_x_1.png", (8, 8)), ("flow_y_1.png", (8, 8))], "holds optical flow and no pictures"),
        ([("left1.png", (8, 8)), ("right1.png", (8, 8))], r"several series of pictures: left# \(1\), right# \(1\)"),
        ([("1.png", (8, 8)), ("2.jpg", (8, 8))], "mixes JPEG and PNG images"),
        ([("1.png", (8, 8)), ("2.png", (8, 10))], r"changes its frame size from 8 x 8 to 8 x 10; scale it to one size"),
    ],
)
def test_folders_that_are_no_video(tmp_path: Path, images: list[tuple[str, tuple[int, int]]], reason: str) -> None:
    for name, size in images:
        Image.new("RGB", size).save(tmp_path / name)
    with pytest.raises(VideoError, match=reason):
        probe(tmp_path)


def test_an_image_that_is_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "1.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(VideoError, match="lies outside"):
        probe(tmp_path / "clip")


def test_an_image_that_is_a_link_to_nothing_is_one_line(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(VideoError, match=r"gone\.png: cannot be read: No such file") as caught:
        probe(tmp_path)
    assert caught.value.passing


def test_broken_images_are_counted(tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGB", (8, 8), (60 * number,) * 3).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "2.png").write_bytes(b"not a picture")
    found = probe(tmp_path)
    assert (found.frames, found.corrupt) == (2, 2)


def test_flow_and_covers_are_no_frames_of_the_clip(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (8, 8), (50 * number,) * 3).save(tmp_path / f"img_{number:05d}.png")
        for way in "xy":
            Image.new("L", (4, 4), 128).save(tmp_path / f"flow_{way}_{number:05d}.jpg")
    Image.new("RGB", (90, 90)).save(tmp_path / "cover.jpg")
    found = probe(tmp_path)
    assert (found.frames, found.width, found.codec) == (5, 8, "png")
    assert found.bytes == sum(file.stat().st_size for file in tmp_path.glob("img_*"))
    clip, taken = read_clip(tmp_path, np.arange(6, dtype=np.int32), None, 8)
    assert taken.tolist() == [0, 1, 2, 3, 4, 4]
    assert clip[:5].mean(axis=(1, 2, 3)).tolist() == [0, 50, 100, 150, 200]
