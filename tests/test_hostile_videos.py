"""Hostile input: limits hold, no other file is read, nothing stays open."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeVideo
from PIL import Image
from video_makers import FIRST, paint, write, write_sound

from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.video.limits import Limits
from vidaug_cli.data.video.reader import probe, read_clip
from vidaug_cli.errors import VideoError


def test_limits(make_video: MakeVideo) -> None:
    path = make_video(frames=20, size=(64, 48))
    assert probe(path, limits=Limits(frames=20, pixels=64 * 48)).frames == 20
    with pytest.raises(VideoError, match="holds more than 19 frames; cut it into clips"):
        probe(path, limits=Limits(frames=19))
    with pytest.raises(VideoError, match="frames of 64 x 48, above the limit of 3071 pixels; scale it down"):
        probe(path, limits=Limits(pixels=64 * 48 - 1))
    with pytest.raises(VideoError, match="above the limit"):
        read_clip(path, FIRST, None, 8, limits=Limits(pixels=100))


def test_a_name_too_long_for_the_file_system_is_one_bad_video(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="cannot be read: File name too long"):
        probe(tmp_path / ("a" * 300 + ".avi"))


def test_frame_numbers_far_past_the_end_cost_nothing(make_video: MakeVideo) -> None:
    far = np.full(4, 2**31 - 1, np.int32)
    assert read_clip(make_video(frames=5), far, None, 8)[1].tolist() == [4] * 4


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
