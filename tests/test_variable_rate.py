"""Videos whose rate varies are sampled by the time at which frames are shown; those of an even rate as ever."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from conftest import MakeVideo
from console import vidaug
from hypothesis import given
from hypothesis import strategies as st
from network_makers import random_network, save
from PIL import Image
from video_makers import seconds_of, write_at

from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.manifest import Row, rows_text
from vidaug_cli.data.sampling import ClipSpec, Short, check_rates, clean_sample, draw_sample, frame_numbers, views
from vidaug_cli.data.scan import scan
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.timing import Clock, Runs
from vidaug_cli.data.video.reader import probe, read_clip
from vidaug_cli.errors import VidaugError, VideoError
from vidaug_cli.predict.views import read_ahead, readings

TEN_THEN_SIXTY: Runs = ((20, 0.1), (120, 1 / 60))  # four seconds
ROW = Row(path="v.mp4", root="/", label="a", frames=140, fps=35.0, width=64, height=48, codec="h264")
VARIED = replace(ROW, durations=TEN_THEN_SIXTY)


def times_of(numbers: Any, video: Row = VARIED) -> Any:
    clock = Clock(video.durations or ())
    return np.array([clock.time_of(int(number) - video.first) for number in numbers])


def samples(spec: ClipSpec, video: Row) -> list[Any]:
    rng = np.random.default_rng(0)
    drawn = [draw_sample(rng, spec, video) for _ in range(50)]
    return [*drawn, clean_sample(spec, video), *views(spec, video, 10), *views(spec, video, 1)]


@pytest.mark.parametrize("fps", [5, 10, 12.5, 30])
@pytest.mark.parametrize("first", [0, 1000])
def test_frames_are_those_seen_at_even_times(fps: float, first: int) -> None:
    spec, video = ClipSpec(frames=16, fps=fps, size=32), replace(VARIED, first=first)
    for sample in samples(spec, video):
        numbers = frame_numbers(sample, spec, video)
        begin = times_of(numbers[:1], video)[0]
        wanted = begin + np.arange(16) / fps
        following = [Clock(TEN_THEN_SIXTY).time_of(int(number) - first + 1) for number in numbers]
        assert (times_of(numbers, video) <= wanted + 1e-6).all()
        last = (numbers == first + 139) & (wanted > 4 - 1 / 60)  # repeated at the end of the video
        assert ((wanted < following) | last | np.isclose(wanted, following)).all()


def test_starts_are_spread_evenly_over_time_not_over_frames() -> None:
    spec = ClipSpec(frames=2, fps=10)
    rng = np.random.default_rng(0)
    starts = times_of([draw_sample(rng, spec, VARIED).start for _ in range(2000)])
    assert np.mean(starts < 2) == pytest.approx(0.51, abs=0.04)
    assert starts.max() > 3.8
    assert times_of([view.start for view in views(spec, VARIED, 10)]) == pytest.approx(
        np.linspace(0, 3.89, 10), abs=0.1
    )
    assert times_of([clean_sample(spec, VARIED).start])[0] == pytest.approx(1.95, abs=0.1)


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("repeat", [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 3.983, 3.983]),
        ("loop", [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 0, 0.5]),
        ("stretch", [0, 0.2, 0.5, 0.7, 1, 1.2, 1.5, 1.7, 2, 2.25]),
    ],
)
def test_short_videos_of_a_varying_rate(short: Short, expected: list[float]) -> None:
    spec = ClipSpec(frames=10, fps=2, short=short)
    sample = views(spec, VARIED, 10)[0]
    assert times_of(frame_numbers(sample, spec, VARIED)) == pytest.approx(expected, abs=1e-3)


@given(
    runs=st.lists(st.tuples(st.integers(1, 40), st.floats(0.004, 1)), min_size=1, max_size=5),
    fps=st.one_of(st.floats(0.1, 100), st.sampled_from([1e-300, 5e-324, 1e300])),
    stride=st.integers(1, 1024),
    short=st.sampled_from(get_args(Short)),
    first=st.integers(0, 2**30),
    by_time=st.booleans(),
)
def test_no_clip_leaves_its_segment(
    runs: list[tuple[int, float]], fps: float, stride: int, short: Short, first: int, by_time: bool
) -> None:
    frames = sum(count for count, _ in runs)
    for durations in (tuple(runs), None):
        video = replace(ROW, frames=frames, first=first, durations=durations)
        spec = ClipSpec(frames=12, stride=stride, fps=fps if by_time else None, short=short)
        for sample in samples(spec, video)[-12:]:
            numbers = frame_numbers(sample, spec, video)
            assert first <= numbers.min() <= numbers.max() < first + frames
            assert short == "loop" or (np.diff(numbers) >= 0).all()


def test_the_largest_steps_and_videos_are_no_error() -> None:
    longest = replace(ROW, frames=2**31 - 1)
    for spec in (ClipSpec(fps=1e-300), ClipSpec(fps=1e300), ClipSpec(stride=1024, frames=4096), ClipSpec(fps=1e-9)):
        for short in get_args(Short):
            for sample in samples(replace(spec, short=short), longest):
                assert frame_numbers(sample, replace(spec, short=short), longest).min() >= 0
    with pytest.raises(VidaugError, match="stride = 9999999999999999999999 should be 1 to 1024"):
        ClipSpec(stride=9999999999999999999999)


def test_an_even_rate_is_sampled_by_frames(make_video: MakeVideo) -> None:
    """The formula that older shards were made with, for every container that rounds its time stamps in its own way."""
    for name in ("a.mp4", "a.mkv", "a.avi"):
        path = make_video(f"data/a/{name}", frames=50, fps=30)
        (row,) = (row for row in scan(path.parent.parent, cache=False).rows if row.path.endswith(name))
        assert row.durations is None
        spec = ClipSpec(frames=8, fps=12)
        for sample in samples(spec, row):
            by_rate = sample.start + np.floor(np.arange(8) * row.fps / 12 + 1e-6).astype(int)
            assert frame_numbers(sample, spec, row).tolist() == np.minimum(by_rate, 49).tolist()


def irregular(count: int) -> list[float]:
    durations = np.random.default_rng(1).choice([0.02, 0.04, 0.1, 0.3], count)
    return list(accumulate(durations.tolist(), initial=0.0))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("how", ["full", "packets"])
def test_frames_of_a_file_come_at_their_time(tmp_path: Path, suffix: str, how: Any) -> None:
    times = irregular(60)
    (tmp_path / "data/a").mkdir(parents=True)
    path = write_at(tmp_path / f"data/a/v.{suffix}", times)
    found = probe(path, how)
    assert found.runs is not None
    clock = Clock(found.runs, found.begin)
    assert [clock.time_of(frame) for frame in range(61)] == pytest.approx(times, abs=2e-3)
    (row,) = scan(tmp_path / "data", probe=how, cache=False).rows
    assert row.durations == found.runs
    spec = ClipSpec(frames=12, fps=4, size=16)
    for sample in samples(spec, row)[-12:]:
        numbers = frame_numbers(sample, spec, row)
        clip, _ = read_clip(path, numbers, None, 16)
        begin = times[sample.start]
        seen = [max(time for time in times if time <= begin + step / 4 + 2e-3) for step in range(12)]
        assert seconds_of(clip) == pytest.approx(seen, abs=0.06)


def test_augment_and_predict_take_frames_by_time(tmp_path: Path) -> None:
    """By the mean rate, a tenth of a second was three and a half frames: 0.35 s first, and 0.06 s in the end."""
    times = [*(number / 10 for number in range(20)), *(2 + number / 60 for number in range(120))]
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        write_at(tmp_path / "data" / label / "v.mp4", times)
    words = ["-r", "none", "--copies", 3, "--keep-original", "--frames", 12, "--size", 16, "--fps", 10, "-j", 1]
    assert vidaug("augment", tmp_path / "data", "-o", tmp_path / "out", *words).code == 0
    with Shard(tmp_path / "out/000/shard-00000.h5") as shard:
        for index in range(len(shard)):
            told = seconds_of(shard.record(index).video)
            assert told - told[0] == pytest.approx(np.arange(12) / 10, abs=0.06)
    rows = read_input(str(tmp_path / "data")).rows
    spec = ClipSpec(frames=12, fps=10, size=16)
    for reading, frames in read_ahead(readings(spec, rows, 10, None), spec):
        assert not isinstance(frames, VideoError)
        told, samples = seconds_of(frames), views(spec, reading.row, 10)
        for places, numbers in zip(reading.places, reading.cuts, strict=True):
            begin = times[samples[places[0]].start]
            assert told[numbers] == pytest.approx(begin + np.arange(12) / 10, abs=0.06)
        assert told.min() < 0.2
        assert told.max() > 3.7


def test_without_a_rate_no_clip_is_taken_by_time(tmp_path: Path) -> None:
    for name, count in (("a/clip", 5), ("b/clip", 5), ("b/still", 1)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (64, 48), (9 * number,) * 3).save(tmp_path / "data" / name / f"{number}.png")
    what = (
        "clips at 10 fps need each video's rate, and of 2 of 3 none is known, such as a/clip; "
        "write their fps into the manifest, or take every n-th frame: --stride in place of --fps"
    )
    words = ["-r", "none", "--frames", 4, "--size", 16, "-j", 1]
    done = vidaug("augment", tmp_path / "data", "-o", tmp_path / "out", *words, "--fps", 10)
    assert (done.code, done.err.splitlines()[-1]) == (1, f"vidaug: error: {what}")
    assert not (tmp_path / "out").exists()
    checkpoint = save(tmp_path / "c.pt", random_network(2), ("a", "b"), ClipSpec(frames=8, size=32, fps=10))
    done = vidaug("predict", checkpoint, tmp_path / "data", "-o", tmp_path / "s.h5", "-j", 1)
    assert (done.code, done.err.splitlines()[-1]) == (1, f"vidaug: error: {what}")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(rows_text(replace(row, fps=20.0) for row in read_input(str(tmp_path / "data")).rows))
    assert vidaug("augment", manifest, "-o", tmp_path / "out", *words, "--fps", 10).code == 0
    with Shard(tmp_path / "out/000/shard-00000.h5") as shard:
        records = [shard.record(index) for index in range(3)]
    steps = {record.sources[0]: np.diff(record.frames[0]).tolist() for record in records}
    assert steps == {0: [2, 2, 0], 1: [2, 2, 0], 2: [0, 0, 0]}


def test_a_single_frame_has_every_rate() -> None:
    check_rates(ClipSpec(fps=10), [replace(ROW, frames=1, fps=0.0), ROW, replace(VARIED, fps=0.0)])
    check_rates(ClipSpec(), [replace(ROW, fps=0.0)])
    with pytest.raises(VidaugError, match=r"of 1 of 2 none is known, such as v\.mp4; write"):
        check_rates(ClipSpec(fps=10), [ROW, replace(ROW, fps=0.0)])
