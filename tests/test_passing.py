"""Reasons that may pass (time, memory, a disk that fails) are told from faults of the file, and remembered nowhere."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import MakeVideo
from console import vidaug
from network_makers import random_network, save
from video_makers import FIRST

from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.scan import scan
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.limits import Limits
from vidaug_cli.data.video.reader import probe, read_clip
from vidaug_cli.errors import VidaugError, VideoError


def failure(number: int) -> av.FFmpegError:
    kind = av.error.MemoryError if number == errno.ENOMEM else av.error.OSError
    return kind(number, os.strerror(number), "v.avi")


def fail(*_: object, **__: object) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


class FailingFile:
    """A file of a disk that fails after the first bytes."""

    def __init__(self, *_: object) -> None:
        self.reads = 0

    def __enter__(self) -> FailingFile:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, count: int) -> bytes:
        self.reads += 1
        return b"RIFF" if count == 256 else fail()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES])
def test_a_machine_that_cannot_open_is_not_the_files_fault(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = make_video("v.avi")

    def refuse(*_: object, **__: object) -> Any:
        raise failure(number)

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(VideoError, match=rf"v\.avi: cannot be read: {os.strerror(number)}") as caught:
        probe(path)
    assert caught.value.passing


@pytest.mark.parametrize("midway", [False, True])
@pytest.mark.parametrize("broken", ["disk", "file"])
def test_the_disk_is_blamed_only_when_it_fails(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, broken: str, midway: bool
) -> None:
    """FFmpeg says "Input/output error" of damaged files as well."""
    path = make_video("v.avi")
    opened = av.open

    class Container:
        def __init__(self, *words: Any, **options: Any) -> None:
            if not midway:
                raise failure(errno.EIO)
            self.found = opened(*words, **options)

        def __enter__(self) -> Container:
            return self

        def __exit__(self, *_: object) -> None:
            self.found.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.found, name)

        def demux(self, stream: Any) -> Iterator[Any]:
            for number, packet in enumerate(self.found.demux(stream)):
                if number == 7:
                    raise failure(errno.EIO)
                yield packet

    monkeypatch.setattr(av, "open", Container)
    if broken == "disk":
        monkeypatch.setattr(Path, "open", FailingFile)
        with pytest.raises(VideoError, match=r"v\.avi: cannot be read: Input/output error") as caught:
            probe(path)
        assert caught.value.passing
    elif midway:
        found = probe(path)
        assert (found.frames, found.corrupt) == (7, 1)
    else:
        with pytest.raises(VideoError, match="is a damaged or cut AVI file") as caught:
            probe(path)
        assert not caught.value.passing


@pytest.mark.parametrize("short", [False, True])
def test_memory_is_blamed_only_when_there_is_none(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    path = make_video("v.avi")

    def refuse(*_: object, **__: object) -> Any:
        raise failure(errno.ENOMEM)

    monkeypatch.setattr(av, "open", refuse)
    if short:
        monkeypatch.setattr(mmap, "mmap", fail)
    with pytest.raises(
        VideoError, match="there is not enough memory" if short else "is a damaged or cut AVI"
    ) as caught:
        probe(path)
    assert caught.value.passing is short


def test_a_file_that_is_not_there_may_come_back(make_video: MakeVideo, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"cannot be read: No such file") as caught:
        read_clip(tmp_path / "gone.avi", FIRST, None, 8)
    assert caught.value.passing
    (tmp_path / "text.avi").write_text("text")
    with pytest.raises(VideoError, match="is not a video") as caught:
        probe(tmp_path / "text.avi")
    assert not caught.value.passing
    with Guard() as guard, pytest.raises(VideoError) as caught:
        guard.probe(tmp_path / "gone.avi")
    assert caught.value.passing


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, a little CPU time may take long on the clock."""
    monkeypatch.setattr("vidaug_cli.data.video.limits.PATIENCE", 5000)


@pytest.mark.usefixtures("patient")
def test_a_scan_remembers_no_time_limit(make_video: MakeVideo, tmp_path: Path) -> None:
    make_video("data/a/long.mp4", frames=3000, size=(320, 240))
    make_video("data/b/short.mp4", frames=2, size=(16, 16))
    found = scan(tmp_path / "data", limits=Limits(seconds=0.02))
    what = "took more than 0.08 s of CPU time and was stopped; --time-limit gives it longer"
    assert ("a/long.mp4", f"could not be read this time, at try 3 of 3: {what}") in found.quarantined
    again = scan(tmp_path / "data")
    assert [row.frames for row in again.rows] == [3000, 2]
    assert scan(tmp_path / "data", limits=Limits(seconds=7)).cached == 2  # a limit of time changes no result


def test_limits_are_options_of_what_decodes(make_video: MakeVideo, tmp_path: Path) -> None:
    for name in ("a/1.mp4", "b/2.mp4"):
        make_video(f"data/{name}", frames=12)
    data, manifest = tmp_path / "data", tmp_path / "m.jsonl"
    checkpoint = save(tmp_path / "c.pt", random_network(2), ("a", "b"), ClipSpec(frames=8, size=32))
    words = ["-r", "none", "--frames", 8, "--size", 16, "-j", 1]
    frames = "holds more than 5 frames; cut it into clips or raise --max-frames"
    pixels = "has frames of 64 x 48, above the limit of 99 pixels; scale it down or raise --max-pixels"
    assert vidaug("scan", data, "-o", manifest).code == 0
    for option, reason in ((("--max-frames", 5), frames), (("--max-pixels", 99), pixels)):
        done = vidaug("scan", data, *option)
        assert done.code == 1
        assert f"a/1.mp4: {reason}" in done.err
        done = vidaug("augment", manifest, "-o", tmp_path / option[0], *words, *option, "--json")
        assert [failed["reason"] for failed in done.made["failures"]] == [reason] * 2
        done = vidaug("predict", checkpoint, manifest, "-o", tmp_path / "s.h5", "-j", 1, *option)
        assert f"left out: a/1.mp4: {reason}" in done.err
    done = vidaug("augment", data, "-o", tmp_path / "new", *words, "--max-frames", 5)
    assert f"a/1.mp4: {frames}" in done.err
    done = vidaug("scan", data, "--time-limit", 0)
    assert done.code == 2
    assert "Invalid value for '--time-limit': 0.0 is not in the range 0.01<=x<=100000." in done.err


@pytest.mark.parametrize("limit", [{"seconds": float("nan")}, {"seconds": 1e9}, {"frames": 0}, {"pixels": 2**40}])
def test_limits_that_make_no_sense(limit: dict[str, Any]) -> None:
    with pytest.raises(VidaugError, match=r"limits: .* should be"):
        Limits(**limit)


@pytest.mark.usefixtures("patient")
def test_a_clip_of_a_video_that_fails_for_now_is_left_out_with_that_reason(make_video: MakeVideo) -> None:
    path = make_video("v.mp4", frames=3000, size=(320, 240))
    with Guard(Limits(seconds=0.02)) as guard, pytest.raises(VideoError, match=r"took more than 0\.08 s") as caught:
        guard.read_clip(path, np.array([2999], np.int32), None, 8)
    assert caught.value.passing
