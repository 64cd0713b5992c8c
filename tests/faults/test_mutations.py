"""Videos with bytes that are none of theirs: rendered twice with the same pixels, or refused twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import write_video
from numpy.typing import NDArray

from faults.runs import LONG, mutated
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.reader import ClipRequest
from vidaug_cli.errors import VideoError

FORMATS = [("avi", "mpeg4"), ("mp4", "h264"), ("mkv", "h264"), ("mpg", "mpeg2video"), ("flv", "flv1"), ("webm", "vp9")]
EACH = 100 * LONG // len(FORMATS) if LONG else 50  # 5,000 in all at VIDAUG_FAULTS=50


def rendered(guard: Guard, path: Path) -> NDArray[np.uint8] | VideoError:
    """The pixels, or why there are none."""
    try:
        (clip,), _ = guard.read_clips(path, [ClipRequest(np.arange(0, 30, 3, dtype=np.int32))], 16)
        return clip.copy()
    except VideoError as error:
        return error


@pytest.fixture(scope="module")
def guard() -> Iterator[Guard]:
    with Guard() as one:
        yield one


@pytest.mark.parametrize(("suffix", "codec"), FORMATS)
def test_a_mutated_video_is_the_same_twice(tmp_path: Path, guard: Guard, suffix: str, codec: str) -> None:
    good = write_video(tmp_path / f"good.{suffix}", frames=30, codec=codec).read_bytes()
    draw, path, refused = np.random.default_rng(len(suffix)), tmp_path / f"bad.{suffix}", 0
    for _ in range(EACH):
        path.write_bytes(mutated(good, draw))
        first, second = rendered(guard, path), rendered(guard, path)
        if isinstance(first, VideoError):
            assert str(first) == str(second)
            assert str(first).isprintable()
            assert not first.passing  # what may pass is of the machine
            refused += 1
        else:
            assert not isinstance(second, VideoError)
            assert (first == second).all()
    assert 0 < refused < EACH
