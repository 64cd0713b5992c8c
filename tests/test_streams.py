"""Of several video streams the one that players show, wherever it lies; and metadata of any bytes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from vidaug_cli.data.video.reader import probe, read_clip

Stream = dict[str, Any]
FILM: Stream = {"size": (64, 48), "frames": 30, "level": 200}
STILL: Stream = {"size": (320, 240), "frames": 1, "level": 20}
SMALL: Stream = {"size": (32, 24), "frames": 30, "level": 20}
DEAD: Stream = {"size": (320, 240), "frames": 0, "level": 20}


def write_streams(path: Path, *streams: Stream) -> Path:
    """A file with a stream for each: flat frames of one level, shown 25 a second, or over the whole of the first."""
    with av.open(str(path), "w") as container:
        made = []
        for about in streams:
            stream = container.add_stream("mpeg4", rate=25)
            (stream.width, stream.height), stream.pix_fmt = about["size"], "yuv420p"
            stream.time_base = Fraction(1, 25)
            stream.disposition = about.get("marks", Disposition.default).value
            made.append(stream)
        for number in range(max(about["frames"] for about in streams)):
            for stream, about in zip(made, streams, strict=True):
                if number < about["frames"]:
                    picture = np.full((stream.height, stream.width, 3), about["level"], np.uint8)
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    frame.pts, frame.time_base = number, Fraction(1, 25)
                    container.mux(stream.encode(frame))
        for stream in made:
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "avi"])
@pytest.mark.parametrize(
    "others",
    [
        [STILL],
        [STILL, STILL, SMALL],
        [SMALL],
        [DEAD],
        [FILM | {"frames": 12, "level": 20}],
        [FILM | {"size": (320, 240), "level": 20, "marks": Disposition.original}],
    ],
    ids=["still", "stills and preview", "preview", "dead", "shorter", "unmarked"],
)
@pytest.mark.parametrize("last", [False, True])
def test_the_film_is_read(tmp_path: Path, suffix: str, others: list[Stream], last: bool) -> None:
    if suffix != "mp4" and any(about["frames"] == 12 or "marks" in about for about in others):
        pytest.skip("the container does not say so")
    path = write_streams(tmp_path / f"v.{suffix}", *([*others, FILM] if last else [FILM, *others]))
    with av.open(str(path)) as container:
        if len(container.streams.video) == 1:
            pytest.skip("the container holds no stream without frames")
    found = probe(path)
    assert (found.frames, found.width, found.height) == (30, 64, 48)
    clip, _ = read_clip(path, np.array([0, 29], np.int32), None, 8)
    assert clip.min() > 190


def test_stills_alone_are_read_as_ever(tmp_path: Path) -> None:
    found = probe(write_streams(tmp_path / "v.mkv", STILL, STILL | {"size": (64, 48)}))
    assert (found.frames, found.width) == (1, 320)


@pytest.mark.parametrize(
    ("name", "frames", "width"),
    [
        ("reports/videos/still_first_noflag.mkv", 40, 128),
        ("odd-more/torchcodec__nasa_13013.mp4", 390, 480),  # the second is larger; torchcodec's tests take it as well
        ("odd-more/androidx__sample_empty_track.mp4", 30, 1080),
    ],
)
def test_real_files_with_several_streams(real_data: Path, name: str, frames: int, width: int) -> None:
    found = probe(real_data / name)
    assert (found.frames, found.width) == (frames, width)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "avi"])
def test_metadata_of_any_bytes_are_no_obstacle(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v.{suffix}"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLE-TITLE"
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["title"] = "TITLE-TITLE"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        container.mux(stream.encode())
    content = path.read_bytes()
    assert b"TITLE-TITLE" in content
    path.write_bytes(content.replace(b"TITLE-TITLE", b"\xff\xfe\x80\xc3(\xa0\xe9LE\xd0\xd0"))
    assert probe(path).frames == 3
