"""Shared fixtures: tiny videos made with PyAV, and the real ones where VIDAUG_TEST_DATA names them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from vidaug_cli import workers as progress

MakeVideo = Callable[..., Path]


def write_video(
    path: Path,
    frames: int = 20,
    size: tuple[int, int] = (64, 48),
    fps: int = 30,
    codec: str = "mpeg4",
    pix_fmt: str = "yuv420p",
    level: Callable[..., int] = lambda number: 20 + 8 * (number % 28),
) -> Path:
    """A video of (width, height) `size` whose frame n is flat grey `level(n)`, so that a test can tell frames apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        for number in range(frames):
            picture = np.full((height, width, 3), level(number), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """`write_video` with paths below the test's own folder."""

    def make(name: str = "video.mp4", **options: Any) -> Path:
        return write_video(tmp_path / name, **options)

    return make


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Ctrl-C reaches what the tests start, even where a shell runs them in the background and has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real videos; the test is skipped where VIDAUG_TEST_DATA does not name one."""
    folder = os.environ.get("VIDAUG_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("VIDAUG_TEST_DATA names no folder of real videos")
    return Path(folder)


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device that ops run on; the GPU's turn is skipped where there is none."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    return torch.device(request.param)


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 tiny videos in 3 classes, a group and a bit; frame f of video n is flat grey 10 + n + 15 f."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(36):
        name = f"class_{number % 3}/video_{number:02d}.avi"
        write_video(folder / name, frames=9 + number % 5, level=lambda frame, number=number: 10 + number + 15 * frame)
    return folder


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Scans keep what they find in a folder of the tests, not of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def silent_progress() -> Iterator[None]:
    """What commands say on stderr does not depend on how busy this machine is; test_progress has its own mind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "APART", 1e9)
        patch.setattr(progress, "EVERY", 1e9)
        yield
