"""What cannot be used says why, and what is only damaged is used as far as it goes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import MakeVideo
from numpy.typing import NDArray
from video_makers import paint, write, write_sound

from vidaug_cli.data.video.reader import probe, read_clip
from vidaug_cli.errors import VideoError


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
    with pytest.raises(VideoError, match=r"pipe\.avi: is not a plain file$"):
        probe(tmp_path / "pipe.avi")


def test_streams_that_damage_made_up_are_left_out(make_video: MakeVideo) -> None:
    """PyAV raises IndexError at a packet of a stream that begins on the way; the rest of the video comes after it."""
    path = make_video("v.ts", frames=300, size=(320, 240))
    packets = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 188).copy()  # of MPEG-TS
    pids = packets[:, 1].astype(int) % 32 * 256 + packets[:, 2]
    frames = np.flatnonzero((pids == 0x100) & (packets[:, 1] & 0x40 > 0))  # packets in which a frame begins
    assert len(frames) == 300
    packets[frames[200], 2] = 0x77
    path.write_bytes(packets.tobytes())
    assert 295 <= probe(path).frames < 300


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
