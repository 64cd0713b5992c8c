"""Decoding: true order and count, upright, right colours, true reasons; never another file, nothing left open."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.videos import Limits, probe, read_clip
from vidaug_cli.errors import VideoError

MakeVideo = Callable[..., Path]
QUADRANTS = np.array([[(200, 40, 40), (40, 180, 60)], [(50, 60, 200), (230, 220, 70)]], np.uint8)
FIRST = np.zeros(1, np.int32)


def paint(width: int, height: int, colours: NDArray[np.uint8] = QUADRANTS) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): red, green over blue, yellow."""
    return colours[np.arange(height) * 2 // height][:, np.arange(width) * 2 // width]


def write(
    path: Path,
    pictures: list[NDArray[np.uint8]],
    codec: str,
    pix_fmt: str,
    *,
    source: str = "rgb24",
    options: dict[str, str] | None = None,
    **tags: int,
) -> Path:
    """Encode pictures given as `source`; `tags` are colour properties of the frames and the stream."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        first = av.VideoFrame.from_ndarray(pictures[0], format=source)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, pix_fmt
        stream.bit_rate = 8_000_000
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format=source)
            frame = frame if source == pix_fmt else frame.reformat(format=pix_fmt)
            for name, value in tags.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def corners(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (2, 2, 3): the middle of each quadrant, far from the edges that scaling blurs."""
    quarter = len(picture) // 4
    return picture[quarter :: 2 * quarter, quarter :: 2 * quarter][:2, :2]


def assert_colours(found: NDArray[np.uint8], expected: NDArray[np.uint8], within: int) -> None:
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= within, (found.tolist(), expected.tolist())


# Which frames


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 27), min_size=1, max_size=12))
def test_any_frames_in_any_order(shared_video: Path, wanted: list[int]) -> None:
    clip, taken = read_clip(shared_video, np.array(wanted, np.int32), None, 8)
    expected = np.minimum(wanted, 19)
    assert taken.tolist() == expected.tolist()
    assert np.abs(clip.mean(axis=(1, 2, 3)) - (20 + 8 * expected)).max() < 3


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


# Colours


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


def test_a_crop_outside_the_picture_is_an_error(shared_video: Path) -> None:
    with pytest.raises(
        VideoError, match=r"frames of 64 x 48, which do not hold the square of 48 at 17, 0; scan it again"
    ):
        read_clip(shared_video, FIRST, Crop(x=17, y=0, side=48), 8)


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


# Folders of frame images


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


def test_broken_images_are_counted(tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGB", (8, 8), (60 * number,) * 3).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "2.png").write_bytes(b"not a picture")
    found = probe(tmp_path)
    assert (found.frames, found.corrupt) == (2, 2)


# True reasons


def test_reasons(make_video: MakeVideo, tmp_path: Path) -> None:
    whole = {name: make_video(f"whole.{name}").read_bytes() for name in ("avi", "mp4", "mkv")}
    samples = {
        b"": "is empty",
        b"hello": "is not a video of a known container",
        bytes(5000): "is not a video of a known container",
        b"<!DOCTYPE html><html>404 not found</html>": "is not a video of a known container",
        b"ffconcat version 1.0\nfile whole.avi\n": "is a list of other files, not a video",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nwhole.avi\n": "is a list of other files, not a video",
        whole["avi"][:100]: "is a damaged or cut AVI file",
        whole["mp4"][:40]: "is a damaged or cut MP4 or MOV file",
        whole["mp4"][: len(whole["mp4"]) // 2]: "is a damaged or cut MP4 or MOV file",
        whole["mkv"][:60]: "is a damaged or cut Matroska or WebM file",
        b"FLV\x01\x05" + bytes(8): "is a damaged or cut FLV file",
    }
    for suffix in (".avi", ".mp4", ".m3u8"):
        path = tmp_path / f"bad{suffix}"
        for content, reason in samples.items():
            path.write_bytes(content)
            with pytest.raises(VideoError) as caught:
                probe(path)
            assert str(caught.value) == f"{path}: {reason}"


def test_reasons_that_are_not_in_the_bytes(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"missing\.avi: cannot be read: No such file or directory$"):
        probe(tmp_path / "missing.avi")
    os.mkfifo(tmp_path / "pipe.avi")
    with pytest.raises(VideoError, match=r"pipe\.avi: is not a regular file$"):
        probe(tmp_path / "pipe.avi")


def write_sound(path: Path, cover: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        picture = container.add_stream("mjpeg", rate=1) if cover else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic.value
            container.mux(picture.encode(av.VideoFrame.from_ndarray(paint(64, 48)).reformat(format="yuvj420p")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


@pytest.mark.parametrize("cover", [False, True])
def test_sound_with_or_without_cover_art_is_no_video(tmp_path: Path, cover: bool) -> None:
    path = write_sound(tmp_path / "sound.mp4", cover)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == cover
    with pytest.raises(VideoError, match=r"holds no video stream$"):
        probe(path)


def test_frames_that_change_size(tmp_path: Path) -> None:
    """MPEG-2 streams glued together, as some broken recorders do."""
    parts = []
    for size in ((64, 48), (80, 48)):
        part = write(tmp_path / f"{size[0]}.m2v", [paint(*size)] * 5, "mpeg2video", "yuv420p")
        parts.append(part.read_bytes())
    path = tmp_path / "both.m2v"
    path.write_bytes(b"".join(parts))
    with pytest.raises(VideoError, match="changes its frame size from 64 x 48 to 80 x 48"):
        probe(path)


def test_a_cut_video_is_as_long_as_what_can_be_decoded(make_video: MakeVideo) -> None:
    path = make_video("cut.avi", frames=60, level=lambda number: number * 4, size=(320, 240))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found = probe(path)
    assert 20 < found.frames < 60
    _, taken = read_clip(path, np.arange(60, dtype=np.int32), None, 8)
    assert taken.max() == found.frames - 1


def noise(count: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(count)]


def test_damage_in_the_middle_is_counted_and_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", noise(30), "mpeg4", "yuv420p")
    data = bytearray(path.read_bytes())
    start = data.index(b"movi") + len(data) // 3
    data[start : start + 3000 : 7] = bytes(len(data[start : start + 3000 : 7]))
    path.write_bytes(data)
    found = probe(path)
    assert found.corrupt > 0
    assert found.frames > 20


def test_nothing_that_can_be_decoded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", noise(3), "mjpeg", "yuvj420p")
    path.write_bytes(
        re.sub(
            rb"(?s)(00dc....).*?(?=00dc|idx1)", lambda chunk: chunk[1].ljust(len(chunk[0]), b"\0"), path.read_bytes()
        )
    )
    with pytest.raises(VideoError, match=r"holds no frame that can be decoded"):
        probe(path)


# Hostile input


def test_limits(make_video: MakeVideo) -> None:
    path = make_video(frames=20, size=(64, 48))
    assert probe(path, limits=Limits(frames=20, pixels=64 * 48)).frames == 20
    with pytest.raises(VideoError, match="holds more than 19 frames; cut it into clips"):
        probe(path, limits=Limits(frames=19))
    with pytest.raises(VideoError, match="frames of 64 x 48, above the limit of 3071 pixels; scale it down"):
        probe(path, limits=Limits(pixels=64 * 48 - 1))
    with pytest.raises(VideoError, match="above the limit"):
        read_clip(path, FIRST, None, 8, limits=Limits(pixels=100))


def test_a_tiny_file_of_huge_frames_is_refused_before_they_are_made(tmp_path: Path) -> None:
    image = Image.new("1", (9_000, 9_000))
    (tmp_path / "clip").mkdir()
    image.save(tmp_path / "clip" / "1.png")
    assert (tmp_path / "clip" / "1.png").stat().st_size < 100_000
    with pytest.raises(VideoError, match=r"decoded, or of no more than 35389440 pixels"):
        probe(tmp_path / "clip")
    path = write(tmp_path / "a.avi", [paint(64, 48)], "rawvideo", "bgr24")
    data = bytearray(path.read_bytes())
    struct.pack_into("<ii", data, data.index(b"strf") + 12, 60_000, 60_000)
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"decoded, or of no more than 35389440 pixels"):
        probe(path)


def write_names(folder: Path, content: bytes) -> Iterator[Path]:
    for name in (
        "-i.avi", "a:b.avi", "concat:real.avi", "subfile,,start,0,end,9,,:x.avi", "a%03d.avi", "a*.avi", "a b & c.avi",
        "ünïcode 名前.avi", "new\nline.avi", "http:", "pipe:0", "x.jpg", "x.m3u8", "x.txt", "'quoted\".avi", "a\\b.avi",
    ):  # fmt: skip
        (folder / name).write_bytes(content)
        yield folder / name


@pytest.mark.parametrize("relative", [False, True])
def test_a_name_is_only_a_name(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    content = make_video("real.avi", frames=7).read_bytes()
    (tmp_path / "names").mkdir()
    monkeypatch.chdir(tmp_path / "names")
    for path in write_names(tmp_path / "names", content):
        assert probe(Path(path.name) if relative else path).frames == 7, path


LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile real.avi\n",
    "concat": "file 'real.avi'\n",
    "m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nreal.avi\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?><MPD><BaseURL>real.avi</BaseURL></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("suffix", ["avi", "mp4", "m3u8", "ffconcat", "mpd", "txt"])
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_of_files_is_never_followed(make_video: MakeVideo, tmp_path: Path, kind: str, suffix: str) -> None:
    make_video("real.avi")
    path = tmp_path / f"list.{suffix}"
    path.write_text(LISTS[kind])
    with pytest.raises(VideoError, match=r"is a list of other files|is not a video of a known container"):
        probe(path)


def test_nothing_stays_open(make_video: MakeVideo, tmp_path: Path) -> None:
    good, cut, empty, text = make_video("a.mp4"), tmp_path / "cut.mp4", tmp_path / "empty.avi", tmp_path / "text.avi"
    cut.write_bytes(good.read_bytes()[:100])
    empty.touch()
    text.write_text("text")
    sound = write_sound(tmp_path / "sound.mp4")

    def read_all() -> None:
        for path in (good, cut, empty, text, sound):
            with suppress(VideoError):
                probe(path)
            with suppress(VideoError):
                read_clip(path, FIRST, Crop(x=60, y=0, side=40), 8)

    def open_files() -> list[Any]:
        return sorted(file.name for file in Path("/proc/self/fd").iterdir())

    read_all()
    before = open_files()
    for _ in range(10):
        read_all()
    assert open_files() == before
