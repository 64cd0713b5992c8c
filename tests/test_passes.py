"""Several cuts of a video in one pass of the decoder: the pixels of each read alone, for less work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from test_real_videos import USED
from video_makers import paint, write

from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.scan import scan
from vidaug_cli.data.video.decoder import OpenVideo
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.limits import Limits
from vidaug_cli.data.video.reader import ClipRequest, Pictures, probe, read_clip, read_clips
from vidaug_cli.errors import VideoError


def cuts_of(path: Path, seed: int = 0) -> list[ClipRequest]:
    """Seven cuts: whole and square, mirrored, in and out of order, some beyond the end, some of the same frames."""
    found, rng = probe(path), np.random.default_rng(seed)
    side = max(1, min(found.width, found.height) * 2 // 3)
    squares = [
        Crop(x=int(rng.integers(found.width - side + 1)), y=int(rng.integers(found.height - side + 1)), side=side)
        for _ in range(3)
    ]
    numbers = [rng.integers(0, found.frames + 3, 12).astype(np.int32) for _ in range(3)]
    numbers.append(np.minimum(int(rng.integers(found.frames)) + np.arange(12, dtype=np.int32), found.frames))
    return [
        ClipRequest(numbers[0], squares[0]),
        ClipRequest(numbers[1], squares[0], True),
        ClipRequest(np.sort(numbers[0]), squares[0]),
        ClipRequest(numbers[2], squares[1], True),
        ClipRequest(numbers[3], squares[2]),
        ClipRequest(numbers[3][:1], None),
        ClipRequest(numbers[3].repeat(2), None, True),
    ]


def assert_as_alone(path: Path, requests: Sequence[ClipRequest], guard: Guard | None = None) -> None:
    clips, taken = (guard.read_clips if guard else read_clips)(path, requests, 16)
    for clip, numbers, (frames, crop, flip) in zip(clips, taken, requests, strict=True):
        expected, expected_numbers = read_clip(path, frames, crop, 16, flip=flip)
        assert (clip == expected).all()
        assert (numbers == expected_numbers).all()


@pytest.mark.parametrize("name", USED)
def test_real_videos(real_data: Path, name: str) -> None:
    if probe(real_data / name).width * probe(real_data / name).height < 500_000:
        assert_as_alone(real_data / name, cuts_of(real_data / name))


def test_made_videos(make_video: Callable[..., Path], tmp_path: Path) -> None:
    pictures = [np.roll(paint(66, 50), 5 * t, axis=1) for t in range(8)]
    (tmp_path / "images").mkdir()
    for number in range(9):
        Image.fromarray(np.roll(paint(40, 30), 3 * number, axis=1)).save(tmp_path / f"images/{number}.png")
    paths = [
        make_video(size=(64, 48)),
        make_video("one.mp4", frames=1),
        make_video("two.avi", frames=2),
        write(tmp_path / "ten_bits.mkv", pictures, "ffv1", "yuv420p10le"),
        tmp_path / "images",
    ]
    with Guard() as guard:
        for seed, path in enumerate(paths):
            assert_as_alone(path, cuts_of(path, seed), guard)


def test_a_frame_is_decoded_once_and_converted_once_for_each_cut(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[str] = Counter()
    decode, picture = OpenVideo._decode, Pictures.__call__

    def decoded(self: OpenVideo, *args: Any) -> list[av.VideoFrame]:
        found = decode(self, *args)
        seen["decoded"] += len(found)
        return found

    def converted(self: Pictures, frame: av.VideoFrame) -> NDArray[np.uint8]:
        seen["converted"] += 1
        return picture(self, frame)

    monkeypatch.setattr(OpenVideo, "_decode", decoded)
    monkeypatch.setattr(Pictures, "__call__", converted)
    numbers, other = np.array([3, 3, 9, 5], np.int32), np.array([12, 9], np.int32)
    square = Crop(x=1, y=2, side=20)
    same = [ClipRequest(numbers, square), ClipRequest(other, square)]
    read_clips(make_video(), [*same, ClipRequest(numbers, square, True), ClipRequest(other, None)], 8)
    assert seen == {"decoded": 13, "converted": 4 + 3 + 2}


def test_the_results_lie_in_out(make_video: Callable[..., Path]) -> None:
    path, numbers = make_video(), np.array([7, 1], np.int32)
    requests = [ClipRequest(numbers, None), ClipRequest(numbers[:1], None, True)]
    with Guard() as guard:
        for read in (read_clips, guard.read_clips):
            out = [np.zeros((2, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.uint8)]
            clips, _ = read(path, requests, 8, out=out)
            assert clips[0] is out[0]
            assert (out[0] == read_clip(path, numbers, None, 8)[0]).all()
            assert (out[1][0] == out[0][0, :, ::-1]).all()


def test_one_cut_that_fails_fails_the_video(make_video: Callable[..., Path], tmp_path: Path) -> None:
    make_video("a/x.mp4")
    (row,) = scan(tmp_path, cache=False, workers=1, progress=False).rows
    good = ClipRequest(np.array([2], np.int32), None)
    with Guard() as guard:
        guard.read_clips(row, [good, good], 8)
        with pytest.raises(VideoError, match=r"has frames of .* which do not hold the square of 9999"):
            guard.read_clips(row, [good, good._replace(crop=Crop(x=0, y=0, side=9999))], 8)
        longer = replace(row, frames=row.frames + 1)
        with pytest.raises(VideoError, match=r"a/x.mp4: has 20 frames, and the manifest says 21"):
            guard.read_clips(longer, [good, good._replace(frames=np.array([20], np.int32))], 8)


def test_several_cuts_may_take_as_long_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidaug_cli.data.video.limits.PATIENCE", 200)
    with Guard(Limits(seconds=0.3)) as guard:
        work = range(10**7)  # some 0.5 s
        guard._call(sum, work, times=8)
        with pytest.raises(VideoError, match=r"took more than 0\.6 s of CPU time"):
            guard._call(sum, range(10**12), times=2)
