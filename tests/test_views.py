"""Which cuts of a video a test sees: places by hand, and what holds for any video."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, Views, frame_numbers, views
from vidaug_cli.errors import VidaugError


def video_of(frames: int = 154, width: int = 320, height: int = 240, fps: float = 30.0) -> Row:
    return Row(path="a.avi", root="/", label="a", frames=frames, fps=fps, width=width, height=height, codec="mpeg4")


SPEC = ClipSpec()  # 64 frames, and the least crop is 2/3: 160 of 240 pixels


def test_one_view_is_the_middle() -> None:
    (view,) = views(SPEC, video_of(), 1)
    assert (view.start, view.step, view.flip) == (45, 1.0, False)
    assert (view.crop.x, view.crop.y, view.crop.side) == (80, 40, 160)


def test_ten_views_are_spread_over_the_video() -> None:
    found = views(SPEC, video_of(), 10)
    assert [view.start for view in found] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert {(view.crop.x, view.crop.y) for view in found} == {(80, 40)}
    assert frame_numbers(found[-1], SPEC, video_of()).max() == 153


@pytest.mark.parametrize(
    ("size", "corners"), [((320, 240), [(0, 40), (80, 40), (160, 40)]), ((240, 320), [(40, 0), (40, 80), (40, 160)])]
)
def test_thirty_views_go_along_the_longer_side(size: tuple[int, int], corners: list[tuple[int, int]]) -> None:
    found = views(SPEC, video_of(width=size[0], height=size[1]), 30)
    assert [(view.crop.x, view.crop.y) for view in found] == [corner for corner in corners for _ in range(10)]
    assert [view.start for view in found] == [10 * clip for clip in range(10)] * 3


@pytest.mark.parametrize("frames", [1, 63, 64])
def test_a_video_no_longer_than_a_clip_is_seen_from_its_first_frame(frames: int) -> None:
    assert len(set(views(SPEC, video_of(frames), 10))) == 1
    assert views(SPEC, video_of(frames), 10)[0].start == 0


def test_a_slowed_video_still_ends_with_its_last_view() -> None:
    spec = ClipSpec(short="stretch")  # 40 frames last for 64 at every half frame: 32 frames of the video
    found = views(spec, video_of(frames=40), 10)
    assert [view.start for view in found] == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert frame_numbers(found[-1], spec, video_of(frames=40)).max() == 39


@given(
    frames=st.integers(1, 400),
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    fps=st.sampled_from([0.0, 12.5, 29.97, 60.0]),
    count=st.sampled_from(get_args(Views)),
    share=st.one_of(st.none(), st.floats(0.01, 1)),
    clip=st.fixed_dictionaries(
        {
            "frames": st.integers(1, 70),
            "short": st.sampled_from(["repeat", "loop", "stretch"]),
        },
        optional={"stride": st.integers(1, 5), "fps": st.floats(5, 60)},
    ),
)
def test_views_of_any_video_lie_inside_it(
    frames: int, width: int, height: int, fps: float, count: Views, share: float | None, clip: dict[str, Any]
) -> None:
    video, spec = video_of(frames, width, height, fps), ClipSpec(**clip)
    found = views(spec, video, count, share)
    assert len(found) == count
    for view in found:
        numbers = frame_numbers(view, spec, video)
        assert 0 <= numbers.min() <= numbers.max() < frames
        assert min(view.crop.x, view.crop.y) >= 0
        assert view.crop.x + view.crop.side <= width
        assert view.crop.y + view.crop.side <= height
    if count > 1:
        assert found[0].start == 0
        reached = max(int(frame_numbers(view, spec, video).max()) for view in found)
        assert reached == frames - 1 or len(set(found[:10])) == 1


@pytest.mark.parametrize(("count", "crop"), [(3, None), (1, 0.0), (1, 1.5)])
def test_other_counts_and_shares_are_refused(count: Any, crop: float | None) -> None:
    with pytest.raises(VidaugError, match="should be"):
        views(SPEC, video_of(), count, crop)
