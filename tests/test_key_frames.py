"""Long videos: reading starts at key frames that a scan noted, with the pixels of decoding from the first frame."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from console import vidaug
from PIL import Image
from test_real_videos import USED

from vidaug_cli.data.manifest import Row, read_rows, rows_text
from vidaug_cli.data.scan import scan
from vidaug_cli.data.video import keyframes
from vidaug_cli.data.video.decoder import OpenVideo
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.reader import ClipRequest, probe, read_clips
from vidaug_cli.errors import VidaugError

GROUPS = {"g": "20", "sc_threshold": "0"}
OPEN = {"g": "20", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}
MADE: dict[str, tuple[str, dict[str, str], bool]] = {  # codec, options, whether key frames are of use
    "h264.mp4": ("libx264", GROUPS | {"bf": "2"}, True),
    "open.mp4": ("libx264", OPEN, True),
    "open.mkv": ("libx264", OPEN, True),
    "open.ts": ("libx264", OPEN, True),
    "h264.flv": ("libx264", GROUPS | {"bf": "2"}, True),
    "stamps_missing.avi": ("libx264", GROUPS | {"bf": "2"}, False),
    "asp.avi": ("mpeg4", {"g": "20"}, True),
    "asp.mp4": ("mpeg4", GROUPS | {"bf": "2"}, True),
    "mpeg2.ts": ("mpeg2video", {"g": "15", "bf": "2"}, True),
    "mpeg2.mpg": ("mpeg2video", {"g": "15", "bf": "2"}, True),
    "mjpeg.avi": ("mjpeg", {}, True),
    "one_key_frame.mp4": ("libx264", {"g": "999", "sc_threshold": "0"}, False),
    "refreshed_by_columns.mp4": ("libx264", {"g": "20", "x264-params": "intra-refresh=1:scenecut=0"}, False),
}


@pytest.fixture(autouse=True)
def short_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LONG": 6, "APART": 16, "GAP": 2}.items():
        monkeypatch.setattr(keyframes, name, value)


def write_moving(
    path: Path,
    options: dict[str, str] = GROUPS,
    *,
    codec: str = "libx264",
    frames: int = 120,
    times: Callable[[int], int] = int,
) -> Path:
    """A video in which noise moves and every frame is another; `times` are in 25ths of a second."""
    noise = np.random.default_rng(0).integers(0, 256, (120, 150, 3), np.uint8) // 2
    with av.open(str(path), "w", format="vob" if path.suffix == ".mpg" else None) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 500_000
        stream.gop_size, stream.codec_context.max_b_frames = int(options.get("g", 12)), int(options.get("bf", 0))
        for number in range(frames):
            y, x = round(25 + 25 * math.sin(number / 7)), round(25 + 25 * math.cos(number / 5))
            picture = noise[y : y + 64, x : x + 96] + abs(number % 64 - 32)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = times(number), Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def row_of(path: Path) -> Row:
    known = {name: value for name, value in asdict(probe(path)).items() if name in Row.__dataclass_fields__}
    return Row(path=path.name, root=str(path.parent), label=None, **known)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count seeks, and frames that come out of the decoder."""
    counted: Counter[str] = Counter()
    decode, go_to = OpenVideo._decode, OpenVideo._go_to

    def counted_decode(self: OpenVideo, *args: Any) -> list[av.VideoFrame]:
        found = decode(self, *args)
        counted["frames"] += len(found)
        return found

    def counted_go_to(self: OpenVideo, stamp: int) -> None:
        counted["seeks"] += 1
        go_to(self, stamp)

    monkeypatch.setattr(OpenVideo, "_decode", counted_decode)
    monkeypatch.setattr(OpenVideo, "_go_to", counted_go_to)
    return counted


def requests_of(row: Row, seed: int = 0, count: int = 12) -> Iterator[list[ClipRequest]]:
    """Cuts in runs and in jumps, one alone and several together; some repeat frames and go back."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        starts = rng.integers(0, row.frames, 3)
        yield [ClipRequest(np.minimum(start + np.arange(5), row.frames - 1).astype(np.int32)) for start in starts]
        yield [ClipRequest(rng.integers(0, row.frames, 4).astype(np.int32))]


def assert_as_from_the_first_frame(row: Row, count: int = 12) -> None:
    every = ClipRequest(np.arange(row.frames, dtype=np.int32))
    (clip,), (reached,) = read_clips(row.file, [every], 16)
    ends = [[ClipRequest(np.array([end - 1, end], np.int32))] for end, _ in row.keys or ()]
    for requests in [*requests_of(row, count=count), *ends]:
        for request, found, taken in zip(requests, *read_clips(row.file, requests, 16, row=row), strict=True):
            assert (found == clip[request.frames]).all()
            assert (taken == reached[request.frames]).all()


@pytest.mark.parametrize("name", MADE)
def test_made_videos(tmp_path: Path, name: str, work: Counter[str]) -> None:
    codec, options, useful = MADE[name]
    row = row_of(write_moving(tmp_path / name, options, codec=codec))
    assert (row.frames, bool(row.keys)) == (120, useful)
    work.clear()
    read_clips(row.file, [ClipRequest(np.array([115], np.int32))], 8, row=row)
    assert (work["seeks"], work["frames"] < 60) == (useful, useful)
    assert_as_from_the_first_frame(row)


def test_an_uneven_rate(tmp_path: Path) -> None:
    row = row_of(write_moving(tmp_path / "v.mp4", times=lambda number: number + max(0, number - 60) * 2))
    assert len(probe(row.file).runs or ()) == 2
    assert row.keys
    assert_as_from_the_first_frame(row)


@pytest.mark.parametrize("name", USED)
def test_real_videos(real_data: Path, name: str) -> None:
    row = row_of(real_data / name)
    if row.keys:
        assert_as_from_the_first_frame(row, count=4)


def test_gaps_between_cuts_are_left_out(tmp_path: Path, work: Counter[str]) -> None:
    row = row_of(write_moving(tmp_path / "v.mp4", frames=200))
    assert [frame for frame, _ in row.keys or ()] == list(range(20, 200, 20))
    for wanted, seeks, frames in (([3], 0, 4), ([45], 1, 6), ([3, 185], 1, 10), ([41, 79, 190], 3, 2 + 20 + 11)):
        work.clear()
        read_clips(row.file, [ClipRequest(np.array([each], np.int32)) for each in wanted], 8, row=row)
        assert work["seeks"] == seeks
        assert frames <= work["frames"] <= frames + 8  # a few more wait inside the decoder


def changed(row: Row, how: str) -> Row:
    keys = row.keys or ()
    if how == "stamps":
        return replace(row, keys=tuple((frame, stamp + 1) for frame, stamp in keys))
    if how == "far":
        return replace(row, keys=((40, 2**61),))
    if how == "before":
        return replace(row, keys=((40, -(2**61)),))
    return replace(row, bytes=row.bytes + 1)


@pytest.mark.parametrize("how", ["stamps", "far", "before", "bytes"])
def test_what_does_not_fit_the_file_is_read_from_the_first_frame(tmp_path: Path, how: str) -> None:
    row = changed(row_of(write_moving(tmp_path / "v.mp4", GROUPS | {"bf": "2"})), how)
    assert_as_from_the_first_frame(row, count=3)


def test_a_file_that_was_damaged_since_is_read_from_the_first_frame(tmp_path: Path) -> None:
    row = replace(row_of(write_moving(tmp_path / "v.avi", codec="mpeg4")), hash=None)  # which would tell that it was
    data = bytearray(row.file.read_bytes())
    index = data.rindex(b"idx1")
    for place in range(index + 16, len(data) - 16, 16):  # each place in the file, of the index at its end
        data[place] ^= 0x55
    row.file.write_bytes(data)
    assert_as_from_the_first_frame(row, count=3)
    assert_as_from_the_first_frame(row_of(row.file), count=3)


def test_a_damaged_video_has_none(tmp_path: Path) -> None:
    path = write_moving(tmp_path / "v.mp4")
    data = bytearray(path.read_bytes())
    for place in range(3000, 40_000, 1500):
        data[place] ^= 0xFF
    path.write_bytes(data)
    row = row_of(path)
    assert row.corrupt
    assert row.keys is None


def test_only_long_videos_have_some_and_not_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_moving(tmp_path / "v.mp4", {"g": "1"}, codec="mpeg4")
    assert [frame for frame, _ in probe(path).keys or ()] == list(range(16, 120, 16))
    monkeypatch.setattr(keyframes, "MOST", 3)
    assert [frame for frame, _ in probe(path).keys or ()] == [40, 80]
    monkeypatch.setattr(keyframes, "LONG", 121)
    assert probe(path).keys is None
    assert probe(path, "packets").keys is None


def test_of_a_folder_of_images_only_those_wanted_are_decoded(tmp_path: Path, work: Counter[str]) -> None:
    rng = np.random.default_rng(0)
    for suffix in ("jpg", "png"):
        folder = tmp_path / suffix / "class/clip"
        folder.mkdir(parents=True)
        for number in range(30):
            Image.fromarray(rng.integers(0, 256, (32, 40, 3), np.uint8)).save(folder / f"{number:03d}.{suffix}")
        (row,) = scan(tmp_path / suffix, cache=False, workers=1, progress=False).rows
        assert_as_from_the_first_frame(row)
        work.clear()
        wanted = np.array([28, 3, 29], np.int32)
        whole, _ = read_clips(row.file, [ClipRequest(wanted)], 8)
        assert work["frames"] == 30
        clips, _ = read_clips(row.file, [ClipRequest(wanted)], 8, row=row)
        assert work["frames"] == 33
        assert (clips[0] == whole[0]).all()
        lost = folder / f"005.{suffix}"
        lost.unlink()  # the numbers of all later frames are others now
        _, (taken,) = read_clips(row.file, [ClipRequest(wanted)], 8, row=replace(row, hash=None))
        assert taken.tolist() == [28, 3, 28]


def test_through_manifest_cache_guard_and_segments(tmp_path: Path) -> None:
    """With the true limits, in the processes that users have."""
    (tmp_path / "a").mkdir()
    write_moving(tmp_path / "a/long.mp4", {"g": "100", "sc_threshold": "1000000000"}, codec="mpeg4", frames=1300)
    (tmp_path / "list.csv").write_text("path,label,start,end\na/long.mp4,a,21,\na/long.mp4,a,0,30\n")
    for words in ([], ["--no-cache"], []):
        assert vidaug("scan", tmp_path / "list.csv", "-o", tmp_path / "m.jsonl", *words).code == 0
        early, late = read_rows((tmp_path / "m.jsonl").read_bytes().splitlines(), "m")
        assert [frame for frame, _ in early.keys or ()] == [300, 600]
        assert [frame for frame, _ in late.keys or ()] == [300, 600, 900, 1200]
    assert rows_text([late]).count('"keys": [[300, ') == 1
    for how in ("packets", "header"):
        assert '"keys"' not in vidaug("scan", tmp_path / "a/long.mp4", "--probe", how).out
    requests = [ClipRequest(np.arange(start, start + 20, dtype=np.int32)) for start in (1270, 700)]
    with Guard() as guard:
        assert guard.probe(late.file).keys == late.keys
        found, _ = guard.read_clips(late, requests, 16)
        expected, _ = read_clips(late.file, requests, 16)
        assert (np.stack(found) == np.stack(expected)).all()


@pytest.mark.parametrize(
    "keys", [[[300]], [[300, "x"]], [[300, 1], [300, 2]], [[300, 2], [400, 2]], [[-1, 2]], [[1, 2**62]], 7, [[1.5, 2]]]
)
def test_malformed_keys_are_one_clear_line(keys: object) -> None:
    row = Row(path="a.mp4", root="/", label="a", frames=900, fps=25.0, width=8, height=8, codec="h264")
    content = json.loads(rows_text([row])) | {"keys": keys}
    with pytest.raises(VidaugError, match=r"^m:1: keys") as caught:
        read_rows([json.dumps(content)], "m")
    assert "\n" not in str(caught.value)
