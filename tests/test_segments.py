"""A segment of a file is a video: it is found in seconds, named by them, and nothing outside it is ever shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console import vidaug
from network_makers import random_network, save
from video_makers import seconds_of, write_at
from xxhash import xxh3_64_intdigest

from vidaug_cli.augment.plan import read_plan
from vidaug_cli.augment.verify import _within_videos
from vidaug_cli.data import scan as scanning
from vidaug_cli.data.listing.candidates import Candidate, Listing
from vidaug_cli.data.manifest import Row, read_rows, row_hash, rows_text
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.scan import Scan, scan
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.errors import VidaugError
from vidaug_cli.scores.file import read_scores

EVEN = [number / 25 for number in range(250)]  # ten seconds
VARIED = [*(number / 10 for number in range(40)), *(4 + number / 40 for number in range(160))]  # eight seconds
ScanSegments = Callable[..., Scan]


@pytest.fixture
def scan_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScanSegments:
    """Scan segments of `even.mp4`, `varied.mkv`, `packed.avi` and `still.mp4` as a list would name them."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_at(folder / "even.mp4", EVEN)
    write_at(folder / "varied.mkv", VARIED)
    write_at(folder / "still.mp4", [0.0])

    def run(*segments: tuple[str, float | None, float | None], **options: Any) -> Scan:
        listed = [Candidate(path, "ab"[number % 2], None, None, *span) for number, (path, *span) in enumerate(segments)]
        monkeypatch.setattr(scanning, "list_inputs", lambda *_: ("list", folder, Listing(candidates=listed)))
        return scan(folder, **{"cache": tmp_path / "cache.sqlite3"} | options)

    return run


def test_the_frames_of_a_segment_are_those_of_its_seconds(scan_segments: ScanSegments) -> None:
    found = scan_segments(
        ("even.mp4", 2.0, 4.0), ("even.mp4", 4.0, None), ("even.mp4", None, 2.0), ("even.mp4", None, None),
        ("even.mp4", 1.01, 1.1), ("varied.mkv", 3.0, 5.0), ("varied.mkv", 4.0, 8.0), ("varied.mkv", None, None),
    )  # fmt: skip
    rows: list[Any] = [(row.name, row.first, row.frames, row.fps) for row in found.rows]
    assert rows == [
        ("even.mp4#t=0,2", 0, 50, pytest.approx(25, abs=0.2)),
        ("even.mp4", 0, 250, pytest.approx(25, abs=0.2)),
        ("even.mp4#t=1.01,1.1", 26, 2, pytest.approx(25, abs=0.2)),  # frames at 1.04 and 1.08
        ("even.mp4#t=2,4", 50, 50, pytest.approx(25, abs=0.2)),
        ("even.mp4#t=4", 100, 150, pytest.approx(25, abs=0.2)),
        ("varied.mkv", 0, 200, pytest.approx(25, abs=0.2)),
        ("varied.mkv#t=3,5", 30, 50, pytest.approx(25, abs=0.2)),
        ("varied.mkv#t=4,8", 40, 160, pytest.approx(40, abs=0.1)),  # even by itself
    ]
    assert [row.durations for row in found.rows[:5]] == [None] * 5
    assert [row.durations and row.durations[0] for row in found.rows[5:]] == [(40, 0.1), (10, 0.1), None]
    assert not found.quarantined


@pytest.mark.parametrize("how", ["packets", "header"])
def test_an_estimate_finds_segments_too(scan_segments: ScanSegments, how: Any) -> None:
    (row,) = scan_segments(("even.mp4", 2.0, 4.0), probe=how).rows
    assert row.first == pytest.approx(50, abs=1)
    assert (row.frames, row.probe) == (50, how)


def test_time_stamps_that_jump_about_are_not_believed(
    scan_segments: ScanSegments, tmp_path: Path, real_data: Path
) -> None:
    packed = real_data / "originals/ucf101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"
    (tmp_path / "data/packed.avi").write_bytes(packed.read_bytes())
    (row,) = scan_segments(("packed.avi", 1.0, 3.0)).rows
    assert (row.first, row.frames, row.durations) == (25, 50, None)


def test_where_no_frame_is_there_is_no_segment(scan_segments: ScanSegments) -> None:
    found = scan_segments(
        ("even.mp4", 10.0, 20.0), ("even.mp4", 1.01, 1.03), ("even.mp4", 8.0, 20.0), ("even.mp4", 9.0, 10.2),
        ("still.mp4", 0.0, 1.0),
    )  # fmt: skip
    assert [(row.name, row.first, row.frames) for row in found.rows] == [
        ("even.mp4#t=8,20", 200, 50), ("even.mp4#t=9,10.2", 225, 25)
    ]  # fmt: skip
    hint = "if the file holds nothing but the segment, list it without start and end"
    seen = f"has no frame in this segment: they are shown from 0 to 10 s; {hint}"
    assert found.quarantined == [
        ("even.mp4#t=1.01,1.03", seen),
        ("even.mp4#t=10,20", seen),
        ("still.mp4#t=0,1", "has no frame rate, so nothing tells where this segment begins"),
    ]
    assert found.notes == ["1 segment cut where the video ends, such as even.mp4#t=8,20"]


def test_a_file_is_looked_into_once_for_all_its_segments(
    scan_segments: ScanSegments, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    probe = Guard.probe

    def noted(self: Guard, path: Path, *how: Any) -> Any:
        opened.append(path.name)
        return probe(self, path, *how)

    monkeypatch.setattr(Guard, "probe", noted)
    assert len(scan_segments(("even.mp4", 2.0, 4.0), ("even.mp4", 4.0, 6.0)).rows) == 2
    assert opened == ["even.mp4"]
    found = scan_segments(("even.mp4", 5.0, 6.0), ("even.mp4", None, None), ("varied.mkv", 1.0, 2.0))
    assert opened == ["even.mp4", "varied.mkv"]
    assert [(row.name, row.first, row.frames) for row in found.rows] == [
        ("even.mp4", 0, 250), ("even.mp4#t=5,6", 125, 25), ("varied.mkv#t=1,2", 10, 10)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "clip", [("--stride", 3, "--short", "loop"), ("--fps", 10), ("--fps", 4, "--short", "stretch")]
)
def test_clips_never_leave_their_segment(scan_segments: ScanSegments, tmp_path: Path, clip: tuple[object, ...]) -> None:
    rows = scan_segments(
        ("even.mp4", 2.0, 4.0), ("even.mp4", 6.0, 6.5), ("varied.mkv", 3.0, 5.0), ("varied.mkv", 6.0, 7.0)
    ).rows
    (tmp_path / "m.jsonl").write_text(rows_text(rows))
    words = ["-r", "fademixup", "--copies", 3, "--keep-original", "--frames", 12, "--size", 16, *clip]
    done = vidaug("augment", tmp_path / "m.jsonl", "-o", tmp_path / "out", *words, "-j", 1)
    assert (done.code, done.err.count("16 clips")) == (0, 2)
    spans = np.array([(row.first, row.first + row.frames) for row in rows])
    seconds = np.array([(row.start, row.end) for row in rows])
    with Shard(tmp_path / "out/000/shard-00000.h5") as shard:
        for index in range(len(shard)):
            record = shard.record(index)
            for source, frames in zip(record.sources, record.frames, strict=True):
                assert source < 0 or (spans[source][0] <= frames.min() <= frames.max() < spans[source][1])
            if record.copy < 0:
                told = seconds_of(record.video)
                begin, end = seconds[record.sources[0]]
                assert begin - 0.05 < told.min() <= told.max() < end + 0.02
    assert vidaug("verify", tmp_path / "out").code == 0
    assert vidaug("replay", tmp_path / "out", "--count", 4).code == 0


def test_verify_sees_frames_of_another_segment(scan_segments: ScanSegments, tmp_path: Path) -> None:
    rows = scan_segments(("even.mp4", 2.0, 4.0), ("even.mp4", 6.0, 8.0)).rows
    (tmp_path / "m.jsonl").write_text(rows_text(rows))
    words = ["-r", "none", "--frames", 4, "--size", 16, "-j", 1]
    assert vidaug("augment", tmp_path / "m.jsonl", "-o", tmp_path / "out", *words).code == 0
    plan = read_plan(tmp_path / "out")
    frames = np.full((1, 2, 4), 60, np.int32)
    assert _within_videos(plan, np.array([[0, -1]]), frames)
    assert not _within_videos(plan, np.array([[1, -1]]), frames)
    assert not _within_videos(plan, np.array([[0, 1]]), frames)


def test_scores_and_failures_name_segments(scan_segments: ScanSegments, tmp_path: Path) -> None:
    rows = scan_segments(("even.mp4", 2.0, 4.0), ("even.mp4", 6.0, 8.0)).rows
    gone = replace(rows[1], first=300, start=12.0, end=14.0)
    (tmp_path / "m.jsonl").write_text(rows_text([*rows, gone]))
    checkpoint = save(tmp_path / "c.pt", random_network(2), ("a", "b"), ClipSpec(frames=8, size=32, fps=10))
    done = vidaug("predict", checkpoint, tmp_path / "m.jsonl", "-o", tmp_path / "s.h5", "-j", 1, "--views", 1)
    assert done.code == 3
    scores = read_scores(tmp_path / "s.h5")
    assert scores.videos == ("even.mp4#t=2,4", "even.mp4#t=6,8")
    assert [failed.video for failed in scores.failures] == ["even.mp4#t=12,14"]
    reason = "has 250 frames, and the manifest says 350; scan it again"
    assert f"left out: even.mp4#t=12,14: {reason}" in done.err
    words = ["-r", "none", "--frames", 4, "--size", 16, "-j", 1, "--json"]
    done = vidaug("augment", tmp_path / "m.jsonl", "-o", tmp_path / "out", *words)
    ((failure),) = done.made["failures"]
    assert (failure["path"], failure["reason"]) == ("even.mp4#t=12,14", reason)


GOOD = {"path": "a.mp4", "root": "/", "label": "a", "frames": 3, "fps": 25, "width": 8, "height": 8, "codec": "h264"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": -1}, "start = -1 should be 0 seconds or more"),
        ({"start": 5, "end": 5}, "end = 5 should be seconds, more than start"),
        ({"start": 5, "end": 2}, "end = 2 should be seconds, more than start"),
        ({"end": 0}, "end = 0 should be seconds, more than start"),
        ({"start": float("nan")}, "start: nan should be a number"),
        ({"end": float("inf")}, "end: inf should be a number"),
        ({"start": float("inf")}, "start: inf should be a number"),
        ({"end": 10**400}, "end: 1000000.* should be a number"),
        ({"start": "3"}, "start: '3' should be a number"),
        ({"start": 1}, "has a start, but not the first frame; a list with start and end makes segments"),
        ({"end": 2, "frames": 60}, r"frames = 60 take 2\.4 s, more than from start to end; a list with"),
        ({"first": -1}, "first = -1 should be the number of a frame"),
        ({"first": 2**31 - 2}, "first = 2147483646 should be the number of a frame, 0 to 2147483647 - frames"),
        ({"fps": 10**400}, "fps: 1000000.* should be a number"),
        ({"durations": [[2, 0.1]]}, "for 3 frames in all"),
        ({"durations": []}, r"durations = \(\) should be pairs .* for 3 frames in all"),
        ({"durations": [[3, 0.0]]}, r"durations = \(\(3, 0.0\),\) should be pairs"),
        ({"durations": [[3, float("inf")]]}, r"durations\.0\.1: inf should be a number"),
        ({"durations": [[4, 0.1], [-1, 0.1]]}, "should be pairs of a number of frames and the seconds"),
        ({"durations": [[1.5, 0.1], [1.5, 0.1]]}, r"durations\.0\.0: 1\.5 should be a whole number"),
        ({"durations": "3"}, "durations: '3' should be a list"),
        ({"durations": {"3": 0.1}}, "durations: .* should be a list"),
    ],
)
def test_rows_that_are_no_segment(change: dict[str, Any], message: str) -> None:
    with pytest.raises(VidaugError, match=f"m:1: .*{message}"):
        read_rows([json.dumps(GOOD | change)], "m")


def test_a_segment_survives_the_manifest_and_others_look_as_before() -> None:
    (plain,) = read_rows([json.dumps(GOOD)], "m")
    content = json.loads(rows_text([plain]))
    assert not {"start", "end", "first", "durations"} & content.keys()
    said = {name: value for name, value in content.items() if name != "root"}
    assert row_hash(plain) == xxh3_64_intdigest(json.dumps(said).encode())
    segment = replace(plain, start=1.5, end=2.0, first=37, durations=((1, 0.04), (2, 0.1)))
    assert read_rows(rows_text([segment, plain]).splitlines(), "m") == [segment, plain]


def test_a_file_of_which_segments_overlap_is_used_as_listed() -> None:
    rows = [Row(**dict[str, Any](GOOD), start=start, end=start + 2) for start in (0.0, 1.0)]
    assert read_rows(rows_text(rows).splitlines(), "m") == rows
    with pytest.raises(VidaugError, match=r"m:2: a\.mp4#t=0,2 stands in line 1 already"):
        read_rows(rows_text([rows[0]] * 2).splitlines(), "m")
