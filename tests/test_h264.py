"""Clips as H.264 streams: how near they come back, and what is refused."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import write_video
from console import vidaug
from numpy.typing import NDArray

from vidaug_cli.augment import output
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.video.h264 import decode_clip, encode_clip, qp_of
from vidaug_cli.errors import VideoError

Clip = NDArray[np.uint8]
SMALL = ("--frames", 4, "--size", 32, "-j", 1)


def gradients(frames: int, size: int) -> Clip:
    """Waves that move, of all colours."""
    time, rows, columns, channels = np.ogrid[:frames, :size, :size, :3]
    waves = 128 + 100 * np.sin((rows + 2 * columns + 3 * time) / 25 + 2 * channels)
    return np.asarray(waves, np.uint8)


def noise(frames: int, size: int) -> Clip:
    return np.random.default_rng(1).integers(0, 256, (frames, size, size, 3), np.uint8)


def psnr(clip: Clip, quality: int) -> float:
    back = decode_clip(encode_clip(clip, quality), clip.shape[1])
    assert (back.dtype, back.shape) == (clip.dtype, clip.shape)
    return float(10 * np.log10(255**2 / ((back.astype(float) - clip) ** 2).mean()))


@pytest.mark.parametrize(("frames", "size"), [(1, 8), (1, 9), (3, 33), (16, 64), (5, 161), (64, 160)])
def test_smooth_clips_come_back(frames: int, size: int) -> None:
    assert psnr(gradients(frames, size), 95) > 38


def test_more_quality_is_nearer_and_larger() -> None:
    clip = gradients(8, 64) // 2 + noise(8, 64) // 8
    qualities = (1, 20, 50, 70, 85, 95, 100)
    found = [psnr(clip, quality) for quality in qualities]
    sizes = [sum(map(len, encode_clip(clip, quality))) for quality in qualities]
    assert found == sorted(found)
    assert sizes == sorted(set(sizes))
    assert (qp_of(1), qp_of(100)) == (51, 10)


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize(
    "colour", [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 0, 255), (17, 200, 90), (200, 180, 10)]
)
def test_flat_colours_stay(colour: tuple[int, int, int], size: int) -> None:
    clip = np.broadcast_to(np.array(colour, np.uint8), (4, size, size, 3))
    off = decode_clip(encode_clip(np.ascontiguousarray(clip), 95), size).astype(int) - clip
    assert abs(off).max() <= (0 if len({*colour}) == 1 else 2)


@pytest.mark.parametrize("size", [64, 65])
def test_no_channel_gets_brighter(size: int) -> None:
    clip = gradients(16, size)
    off = decode_clip(encode_clip(clip, 100), size).astype(float) - clip
    assert abs(off.mean((0, 1, 2))).max() < 0.3


@pytest.mark.parametrize(("size", "pixels"), [(32, "yuv420p"), (33, "yuv444p")])
def test_the_stream_says_what_it_is(size: int, pixels: str) -> None:
    """As FFmpeg's demuxer finds it, which knows nothing of packets: one key frame, no reordering, matrix and range."""
    packets = encode_clip(gradients(6, size), 95)
    assert len(packets) == 6
    with av.open(io.BytesIO(b"".join(packets)), "r", format="h264") as stream:
        frames = list(stream.decode(video=0))
    assert [frame.key_frame for frame in frames] == [True] + [False] * 5
    seen = {(frame.width, frame.format.name, int(frame.colorspace), int(frame.color_range)) for frame in frames}
    assert seen == {(size, pixels, 5, 1)}  # BT.470BG, whose matrix is BT.601's; limited


def test_the_same_clip_is_the_same_bytes_again() -> None:
    clip = noise(5, 48)
    first, strided = encode_clip(clip, 90), np.repeat(clip, 2, axis=2)[:, :, ::2]
    assert encode_clip(clip.copy(), 90) == first == encode_clip(np.ascontiguousarray(strided), 90)


GOOD = encode_clip(noise(4, 16), 95)
WRONG = {
    "another size": (encode_clip(noise(4, 64), 95), "frame 0 (is 64 x 64, not 16 x 16|cannot be decoded)"),
    "a large size": (encode_clip(gradients(4, 512), 95), "frame 0 (is 512 x 512, not 16 x 16|cannot be decoded)"),
    "a size that changes": ([*GOOD[:3], encode_clip(noise(1, 18), 95)[0]], "frame 3 is 18 x 18"),
    "no stream": ([b"\0" * 20] * 4, "cannot be decoded"),
    "random bytes": ([noise(1, 16).tobytes()] * 4, "cannot be decoded"),
    "no key frame": ([GOOD[1], *GOOD[1:]], "cannot be decoded|is damaged|holds"),
    "cut": ([GOOD[0][:-200], *GOOD[1:]], "cannot be decoded|is damaged"),
    "cut in the middle": ([*GOOD[:2], GOOD[2][:-100], GOOD[3]], "cannot be decoded|is damaged"),
    "all in one packet": ([b"".join(GOOD)] * 4, "cannot be decoded|holds|is damaged"),
    "only parameters": ([GOOD[0], b"\0\0\0\1\x09\xf0", *GOOD[2:]], "holds 3 frames|cannot be decoded|is damaged"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_stream_that_is_not_the_clip_is_refused(name: str) -> None:
    packets, message = WRONG[name]
    with pytest.raises(VideoError, match=message) as caught:
        decode_clip(packets, 16)
    assert "\n" not in str(caught.value)


def test_damage_gives_a_clip_or_one_line() -> None:
    """Without the CRC-32, which finds every one of these first."""
    rng = np.random.default_rng(3)
    for _ in range(150):
        packets = [bytearray(packet) for packet in GOOD]
        for _ in range(rng.integers(1, 4)):
            packet = packets[rng.integers(4)]
            packet[rng.integers(len(packet))] ^= int(rng.integers(1, 256))
        with suppress(VideoError):
            assert decode_clip([bytes(packet) for packet in packets], 16).shape == (4, 16, 16, 3)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Four videos of two classes."""
    for number in range(4):
        write_video(tmp_path / f"videos/class_{number % 2}/{number}.avi", frames=6)
    return tmp_path / "videos"


def test_the_commands_take_shards_of_video(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("augment", videos, "-o", out, "-r", "mixup", "--copies", 2, "--codec", "video", "--quality", 80, *SMALL)
    assert vidaug(*words).code == 0
    bytes_of = {path.name: path.read_bytes() for path in out.glob("[0-9]*/*.h5")}
    assert (vidaug("verify", out).code, vidaug("replay", out, "--all").code) == (0, 0)
    assert vidaug("inspect", out, "--json").result["codecs"] == ["video"]
    assert vidaug("preview", out, "-o", tmp_path / "look.png").code == 0
    assert vidaug(*(tmp_path / "again" if word == out else word for word in words)).code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").glob("[0-9]*/*.h5")} == bytes_of
    trained = vidaug("train", out, "-o", tmp_path / "run", "--preset", "tiny", "--clips-seen", 8, "-r", "fademixup")
    assert trained.code == 0, trained.err
    clean = tmp_path / "clean"
    assert vidaug("augment", videos, "-o", clean, "-r", "none", "--codec", "video", *SMALL).code == 0
    assert vidaug("predict", tmp_path / "run", clean, "-o", tmp_path / "scores.h5", "-j", 1).code == 0


@pytest.mark.parametrize(("free", "codec"), [(10**9, "raw"), (60_000, "jpeg"), (0, "video")])
def test_auto_takes_the_first_codec_that_fits(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, codec: str
) -> None:
    out = tmp_path / "out"
    words = ("augment", videos, "-o", out, "-r", "none", "--codec", "auto", "--force", *SMALL)
    monkeypatch.setattr(output, "free_bytes", lambda out: output.RESERVE + free)
    made = vidaug(*words)
    assert made.code == 0
    assert f"--codec auto: {codec}, " in made.err
    assert ("raw needs about" in made.err) == (codec != "raw")
    monkeypatch.setattr(output, "free_bytes", lambda out: output.RESERVE + 10**9)
    again = vidaug(*words, "--overwrite")
    assert f"--codec auto: {codec}, with which the folder was begun" in again.err
    assert vidaug("verify", out).code == 0
    with Shard(next(out.glob("[0-9]*/*.h5"))) as shard:
        assert shard.header.codec == codec
    other = vidaug(*words, "--overwrite", "--seed", 3)
    assert "--codec auto: raw, about" in other.err
