"""Pictures as they are shown: right colours of every pixel format, exact crops, upright."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from conftest import MakeVideo
from PIL import Image
from video_makers import FIRST, QUADRANTS, assert_colours, corners, paint, write

from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.video.reader import probe, read_clip
from vidaug_cli.errors import VideoError


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name", "within"),
    [
        ("ffv1", "yuv420p", "a.mkv", 3),
        ("ffv1", "yuv422p", "a.mkv", 3),
        ("ffv1", "yuv444p", "a.mkv", 3),
        ("ffv1", "yuv420p10le", "a.mkv", 3),
        ("ffv1", "yuv444p16le", "a.mkv", 3),
        ("ffv1", "yuva420p", "a.mkv", 3),
        ("ffv1", "bgr0", "a.mkv", 1),
        ("ffv1", "bgra", "a.mkv", 1),
        ("ffv1", "gbrp10le", "a.mkv", 1),
        ("rawvideo", "bgr24", "a.avi", 1),
        ("rawvideo", "rgb555le", "a.avi", 8),
        ("mjpeg", "yuvj420p", "a.avi", 6),
        ("mjpeg", "yuvj444p", "a.mov", 6),
        ("gif", "rgb8", "a.gif", 40),
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (61, 47)])
def test_colours_of_every_pixel_format(
    tmp_path: Path, codec: str, pix_fmt: str, name: str, within: int, size: tuple[int, int]
) -> None:
    path = write(tmp_path / name, [paint(*size)] * 2, codec, pix_fmt)
    clip, _ = read_clip(path, np.array([1], np.int32), None, 32)
    assert_colours(corners(clip[0]), QUADRANTS, within)


@pytest.mark.parametrize("pix_fmt", ["gray", "gray16le"])
def test_grey_has_three_equal_channels(tmp_path: Path, pix_fmt: str) -> None:
    greys = np.repeat(np.array([[[20], [90]], [[160], [240]]], np.uint8), 3, axis=2)
    path = write(tmp_path / "grey.mkv", [paint(64, 48, greys)], "ffv1", pix_fmt)
    clip, _ = read_clip(path, FIRST, None, 32)
    assert_colours(corners(clip[0]), greys, 2)


MATRICES = {"bt709": (1, 0.2126, 0.0722), "bt601": (6, 0.299, 0.114), "unknown": (2, 0.299, 0.114)}  # tag, Kr, Kb


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_matrix_and_range_follow_the_file(tmp_path: Path, matrix: str, full_range: bool) -> None:
    """The YUV values are computed here by the definition (ITU-R BT.601-7 2.5, BT.709-6 3), not by FFmpeg."""
    tag, kr, kb = MATRICES[matrix]
    rgb = paint(64, 64).astype(float) / 255
    luma = rgb @ [kr, 1 - kr - kb, kb]
    chroma = [(rgb[..., 2] - luma) / (2 - 2 * kb), (rgb[..., 0] - luma) / (2 - 2 * kr)]
    steps, black, chroma_steps = (255, 0, 255) if full_range else (219, 16, 224)
    planes = [black + steps * luma, *(128 + chroma_steps * plane for plane in chroma)]
    yuv = np.stack(planes).round().astype(np.uint8)
    path = tmp_path / "yuv.mkv"
    write(path, [yuv], "ffv1", "yuv444p", source="yuv444p", colorspace=tag, color_range=2 if full_range else 1)
    clip, _ = read_clip(path, FIRST, None, 32)
    assert_colours(corners(clip[0]), QUADRANTS, 3)


# Where in the picture


def test_the_crop_is_exact(tmp_path: Path) -> None:
    """Every pixel of the source has its own colour; at equal size, nothing is interpolated."""
    rows, columns = np.mgrid[0:48, 0:64].astype(np.uint8)
    picture = np.stack([columns * 4, rows * 5, rows + columns], axis=-1)
    path = write(tmp_path / "a.mkv", [picture], "ffv1", "bgr0")
    for x, y, side in ((0, 0, 48), (7, 3, 31), (16, 0, 48), (33, 17, 16)):
        expected = picture[y : y + side, x : x + side]
        clip, _ = read_clip(path, FIRST, Crop(x=x, y=y, side=side), side)
        assert (clip[0] == expected).all()
        clip, _ = read_clip(path, FIRST, Crop(x=x, y=y, side=side), side, flip=True)
        assert (clip[0] == expected[:, ::-1]).all()


def test_scaling_agrees_with_pillow(tmp_path: Path) -> None:
    smooth = np.asarray(Image.fromarray(paint(8, 8)).resize((128, 96), Image.Resampling.BICUBIC))
    path = write(tmp_path / "a.mkv", [smooth], "ffv1", "bgr0")
    clip, _ = read_clip(path, FIRST, Crop(x=10, y=5, side=90), 40)
    expected = Image.fromarray(smooth[5:95, 10:100]).resize((40, 40), Image.Resampling.BILINEAR)
    assert np.abs(clip[0].astype(int) - np.asarray(expected)).mean() < 1


@pytest.mark.parametrize("x", [0, 1, 2, 3])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv411p", "yuv420p10le", "yuv444p10le", "nv12", "yuyv422"])
def test_a_crop_at_any_column_keeps_the_colours(tmp_path: Path, pix_fmt: str, x: int) -> None:
    codec = "rawvideo" if pix_fmt in ("nv12", "yuyv422") else "ffv1"
    path = write(tmp_path / "a.avi" if codec == "rawvideo" else tmp_path / "a.mkv", [paint(80, 64)], codec, pix_fmt)
    clip, _ = read_clip(path, FIRST, Crop(x=x, y=0, side=28), 28)
    assert_colours(clip[0, 2:-2, 2:-2], np.broadcast_to(QUADRANTS[0, 0], (24, 24, 3)), 2)


def test_white_is_white_and_black_black(tmp_path: Path) -> None:
    ends = np.repeat(np.array([[[0], [255]], [[255], [0]]], np.uint8), 3, axis=2)
    path = write(tmp_path / "a.mkv", [paint(96, 96, ends)], "ffv1", "yuv420p")
    clip, _ = read_clip(path, FIRST, None, 32)
    assert (corners(clip[0]) == ends).all()


def test_a_crop_outside_the_picture_is_an_error(make_video: MakeVideo) -> None:
    with pytest.raises(
        VideoError, match=r"frames of 64 x 48, which do not hold the square of 48 at 17, 0; scan it again"
    ):
        read_clip(make_video(), FIRST, Crop(x=17, y=0, side=48), 8)


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Overwrite the display matrix in the track header of an MP4 file (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    one = 1 << 16
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


TURNS = [(a, b, c, d) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1) for d in (-1, 0, 1) if a * d - b * c
         and abs(a) + abs(b) == 1 and abs(c) + abs(d) == 1]  # fmt: skip


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turn", TURNS)
def test_every_display_matrix_is_undone(tmp_path: Path, turn: tuple[int, int, int, int], flip: bool) -> None:
    """Where a stored pixel (x, y) is shown is worked out here from the matrix: (a x + c y, b x + d y)."""
    stored = paint(80, 48)
    path = write(tmp_path / "a.mp4", [stored], "mpeg4", "yuv420p")
    set_matrix(path, *turn)
    a, b, c, d = turn
    upright = np.zeros((80, 48, 3) if b else (48, 80, 3), np.uint8)
    y, x = np.mgrid[0:48, 0:80]
    across, down = a * x + c * y, b * x + d * y
    upright[down - down.min(), across - across.min()] = stored
    found = probe(path)
    assert (found.width, found.height) == (upright.shape[1], upright.shape[0])
    whole, _ = read_clip(path, FIRST, None, 32, flip=flip)
    shown = upright[:, ::-1] if flip else upright
    height, width = shown.shape[:2]
    assert_colours(corners(whole[0]), shown[height // 4 :: height // 2, width // 4 :: width // 2][:2, :2], 12)
    crop = Crop(x=found.width - 34, y=5, side=32)
    clip, _ = read_clip(path, FIRST, crop, 32, flip=flip)
    expected = upright[crop.y : crop.y + 32, crop.x : crop.x + 32]
    difference = np.abs(clip[0].astype(int) - (expected[:, ::-1] if flip else expected)).max(axis=2)
    assert (difference > 40).mean() < 0.15  # all but the blurred edge between two colours


def test_rotation_is_what_turns_the_picture_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [paint(80, 48)], "mpeg4", "yuv420p")
    for matrix, degrees in (((1, 0, 0, 1), 0), ((0, -1, 1, 0), 90), ((-1, 0, 0, -1), 180), ((0, 1, -1, 0), 270)):
        set_matrix(path, *matrix)
        assert probe(path).rotation == degrees
        clip, _ = read_clip(path, FIRST, None, 32)
        assert_colours(corners(clip[0]), np.rot90(QUADRANTS, degrees // 90), 12)
