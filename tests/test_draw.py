"""Contact sheets and animations: frames and weights lie where they should, and any text fits."""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.GifImagePlugin import GifImageFile

from vidaug_cli.draw.clips import (
    BAR,
    CAPTION,
    CELL_HEADING,
    FPS,
    GAP,
    HEADING,
    MARGIN,
    OWN,
    PARTNER,
    SUFFIXES,
    Strip,
    animate,
    check_suffixes,
    contact_sheet,
    draw_pictures,
    weight_bar,
)
from vidaug_cli.draw.text import shorten, write
from vidaug_cli.errors import VidaugError


def strip(
    weights: NDArray[np.floating] | None, frames: int = 64, size: tuple[int, int] = (40, 40), **values: object
) -> Strip:
    """A clip of (height, width) `size` whose frame t is flat grey 2 * t."""
    video = np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None] * 2, (frames, *size, 3))
    given_names = {"title": "a 50 % + b 50 %", "own": "a.mp4", "partner": "b.mp4" if weights is not None else None}
    weights = np.ones(frames) if weights is None else weights
    return Strip(video.copy(), weights, **given_names | values)  # type: ignore[arg-type]


def count(column: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((column == colour).all(-1).sum())


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40), st.integers(1, 9), st.integers(1, 60))
def test_bar_is_as_high_as_the_weight_in_every_bin(weights: list[float], bin_width: int, height: int) -> None:
    bar = np.asarray(weight_bar(np.array(weights), len(weights) * bin_width, height))
    assert bar.shape == (height, len(weights) * bin_width, 3)
    for frame, weight in enumerate(weights):
        for column in (frame * bin_width, (frame + 1) * bin_width - 1):
            own = count(bar[:, column], OWN)
            assert abs(own - weight * height) <= 0.5 + 1e-9
            assert count(bar[:, column], PARTNER) == height - own
            assert own == 0 or tuple(bar[-1, column]) == OWN  # from below


RAMP = np.linspace(0.9, 0.1, 64)
CUT = np.where((np.arange(64) >= 20) & (np.arange(64) < 41), 0.0, 1.0)


@pytest.mark.parametrize("weights", [RAMP, RAMP[::-1], CUT], ids=["fade", "fade in", "cut"])
@pytest.mark.parametrize("columns", [5, 8])
def test_sheet_shows_evenly_spread_frames_and_their_weights_below(weights: NDArray[np.floating], columns: int) -> None:
    thumb = 100
    sheet = np.asarray(contact_sheet([strip(weights)], columns, thumb))
    bar_top = sheet.shape[0] - MARGIN - CAPTION - BAR
    frames = [round(63 * column / (columns - 1)) for column in range(columns)]
    for column, frame in enumerate(frames):
        middle = MARGIN + column * (thumb + GAP) + thumb // 2
        assert tuple(sheet[bar_top - GAP - thumb // 2, middle]) == (2 * frame,) * 3
        below = sheet[bar_top : bar_top + BAR, middle]
        assert abs(count(below, OWN) / BAR - weights[frame]) < 1.5 / BAR
        assert count(below, OWN) + count(below, PARTNER) == BAR


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 128])
def test_sheet_of_any_length_ends_on_the_last_frame(frames: int) -> None:
    clip = strip(None, frames)
    sheet = np.asarray(contact_sheet([clip], 8, 64))
    middle = sheet.shape[0] - MARGIN - CAPTION - BAR - GAP - 32
    shown = min(frames, 8)
    levels = [int(sheet[middle, MARGIN + column * (64 + GAP) + 32, 0]) for column in range(shown)]
    assert levels[0] == 0
    assert levels[-1] == clip.video[-1, 0, 0, 0]
    assert levels == sorted(levels)


def test_without_a_partner_the_bar_is_all_own() -> None:
    sheet = np.asarray(contact_sheet([strip(None)], 4, 64))
    bar = sheet[sheet.shape[0] - MARGIN - CAPTION - BAR // 2, MARGIN + 32 : -MARGIN - 32]
    assert (bar == OWN).all()


def test_sheet_holds_a_row_per_clip_whatever_their_shapes() -> None:
    clips = [strip(None), strip(RAMP, size=(30, 60)), strip(None, 5, (60, 30))]
    heights = [contact_sheet(clips[:number], 4, 60).height for number in (0, 1, 2, 3)]
    rest = HEADING + GAP + BAR + CAPTION + MARGIN
    assert np.diff(heights).tolist() == [rest + 60, rest + 30, rest + 120]
    assert contact_sheet(clips, 4, 60).width == 2 * MARGIN + 4 * 60 + 3 * GAP


def marker(picture: NDArray[np.uint8], thumb: int) -> float:
    """Where the marker stands in the first cell, as a share of its width: the middle of the columns with its edges."""
    below = picture[MARGIN + CELL_HEADING + thumb + GAP + BAR + 3, MARGIN : MARGIN + thumb]  # just under the bar
    return float(np.flatnonzero((below < 100).all(-1)).mean() + 0.5) / thumb


def test_gif_has_every_frame_plays_in_order_and_marks_the_time(tmp_path: Path) -> None:
    path, thumb = tmp_path / "clips.gif", 80
    animate(
        [strip(weights, frames, fps=25) for weights, frames in ((CUT, 64), (None, 10), (RAMP, 64))], path, thumb=thumb
    )
    with Image.open(path) as gif:
        assert isinstance(gif, GifImageFile)
        assert gif.n_frames == 64
        assert gif.info["loop"] == 0
        for frame in (0, 31, 63):
            gif.seek(frame)
            assert gif.info["duration"] == 40
            picture = np.asarray(gif.convert("RGB"))
            top = MARGIN + CELL_HEADING
            inside = picture[top + 10 : top + 70, MARGIN + 10 : MARGIN + 70].astype(int)
            assert abs(inside.mean() - 2 * frame) < 2
            second = picture[top + 10 : top + 70, 2 * MARGIN + thumb + 10 : 2 * MARGIN + thumb + 70].astype(int)
            assert abs(second.mean() - 2 * min(frame, 9)) < 2  # the short one waits on its last frame
            assert abs(marker(picture, thumb) - (frame + 0.5) / 64) < 1.5 / thumb
            bar = picture[top + thumb + GAP + BAR // 2, MARGIN : MARGIN + thumb]
            assert tuple(bar[2 if frame else -2]) == OWN  # exactly, in the GIF's palette too
            assert tuple(bar[28 if frame else 40]) == PARTNER


def test_mp4_has_every_frame_and_even_sides(tmp_path: Path) -> None:
    path = tmp_path / "clips.MP4"
    animate([strip(RAMP, 30, fps=15)], path, thumb=81)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert float(stream.average_rate or 0) == 15
    assert len(frames) == 30
    assert frames[0].shape[0] % 2 == frames[0].shape[1] % 2 == 0
    for number in (0, 15, 29):
        inside = frames[number][MARGIN + CELL_HEADING + 10 :][:60, MARGIN + 10 : MARGIN + 70]
        assert abs(inside.mean() - 2 * number) < 4


def durations(path: Path) -> list[int]:
    """Milliseconds that each picture of a GIF lasts, as the file says."""
    with Image.open(path) as gif:
        found = []
        for number in range(getattr(gif, "n_frames", 1)):
            gif.seek(number)
            found.append(gif.info["duration"])
    return found


@pytest.mark.parametrize(
    ("fps", "wanted"),
    [
        (7.5, [130, 140, 130, 130, 140, 130, 130, 140]),  # 13.33 hundredths: no error adds up
        (15, [70, 60, 70, 70, 60, 70, 70, 60]),
        (25, [40] * 8),
        (30000 / 1001, [30, 40, 30, 30, 40, 30, 30, 40]),
        (50, [20] * 8),
        (60, [20, 30, 20, 30, 20, 20]),  # a browser takes 10 for 100: what would come too soon is skipped
        (240, [20, 20]),
        (0.2, [5000] * 8),
    ],
)
def test_gif_is_as_fast_as_its_clip(tmp_path: Path, fps: float, wanted: list[int]) -> None:
    animate([strip(RAMP[:8], 8, fps=fps)], tmp_path / "a.gif", thumb=48)
    found = durations(tmp_path / "a.gif")
    assert len(found) == len(wanted)
    assert min(found) >= 20
    assert sum(found) == pytest.approx(8000 / fps, abs=10)
    assert max(abs(one - other) for one, other in zip(np.cumsum(found), np.cumsum(wanted), strict=True)) <= 10


@pytest.mark.parametrize("fps", [7.5, 15, 6000 / 1001, 25 / 3, 60, 120])
def test_mp4_is_as_fast_as_its_clip(tmp_path: Path, fps: float) -> None:
    animate([strip(RAMP, 12, fps=fps)], tmp_path / "a.mp4", thumb=48)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate or 0) == pytest.approx(fps, rel=1e-6)
        assert sum(1 for _ in container.decode(stream)) == 12


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_clips_of_different_rates_share_a_clock(tmp_path: Path, suffix: str) -> None:
    """30 fps beside 10: a second after the start the one is at frame 30 and the other at frame 10."""
    path, thumb = tmp_path / f"a{suffix}", 80
    animate([strip(RAMP, 64, fps=30), strip(None, 20, fps=10)], path, thumb=thumb)
    middle = MARGIN + CELL_HEADING + thumb // 2
    with av.open(str(path)) as container:
        shown = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert len(shown) == 64
    for seconds, picture in shown:
        one, other = (int(picture[middle, left + thumb // 2, 0]) for left in (MARGIN, 2 * MARGIN + thumb))
        assert abs(one / 2 - seconds * 30) < 2.2  # grey level 2 a frame, and a codec's error
        assert abs(other / 2 - min(19, np.floor(seconds * 10 + 0.1))) < 2.2


def test_nonsense_rates_are_played_all_the_same(tmp_path: Path) -> None:
    assert strip(None, fps=0).rate == FPS
    for name, rate in (("slow", 1e-300), ("fast", 1e300), ("nothing", 0.0)):
        animate([strip(None, 3, fps=rate)], tmp_path / f"{name}.gif", thumb=48)
        animate([strip(None, 3, fps=rate)], tmp_path / f"{name}.mp4", thumb=48)
    assert durations(tmp_path / "slow.gif") == [10_000] * 3


@pytest.mark.parametrize(
    ("clips", "columns", "wanted"), [(1, None, 1), (4, None, 2), (9, None, 3), (40, None, 4), (4, 4, 4)]
)
def test_animation_lays_clips_in_a_grid(tmp_path: Path, clips: int, columns: int | None, wanted: int) -> None:
    animate([strip(None, 2)] * clips, tmp_path / "a.gif", columns=columns, thumb=48)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.width == wanted * (48 + MARGIN) + MARGIN
        cell = CELL_HEADING + 48 + GAP + BAR + CAPTION + MARGIN
        assert gif.height in (length := math.ceil(clips / wanted) * cell + MARGIN, length + 1)


def test_suffixes_that_can_be_written_are_named(tmp_path: Path) -> None:
    check_suffixes([tmp_path / name for name in ("a.png", "b.GIF", "c.mp4")])
    with pytest.raises(VidaugError, match=r"clips\.webm: is not a picture .* end it in \.png or \.gif or \.mp4"):
        check_suffixes([tmp_path / "a.png", tmp_path / "clips.webm"])


@pytest.mark.parametrize("name", ["missing/a.gif", "missing/a.mp4"])
def test_animation_says_where_it_cannot_write(tmp_path: Path, name: str) -> None:
    with pytest.raises(VidaugError, match="cannot be written"):
        animate([strip(None, 2)], tmp_path / name, thumb=48)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_is_whole_or_not_there(tmp_path: Path, suffix: str) -> None:
    path, taken = tmp_path / "new" / f"a{suffix}", tmp_path / f"b{suffix}"
    taken.mkdir()
    drawn = draw_pictures([strip(None, 2)], [path, taken], columns=2, thumb=48)
    assert next(drawn) == path
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with pytest.raises(VidaugError, match=f"b{suffix}: cannot be written"):
        next(drawn)
    assert {file.name for file in tmp_path.iterdir()} == {"new", taken.name}


@given(st.text(st.characters(exclude_categories=[]), max_size=30), st.integers(0, 200))
def test_any_text_is_drawn_within_its_width(text: str, width: int) -> None:
    picture = Image.new("L", (300, 30))
    taken = write(ImageDraw.Draw(picture), (20, 8), text, size=13, colour=255, width=width)  # type: ignore[arg-type]
    assert taken <= width
    assert not np.asarray(picture)[:, 20 + width + 4 :].any()


@pytest.mark.parametrize("text", ["gröw", "漢字", "зя", "a\nb", "\udcff"])
def test_odd_names_leave_something_to_read(text: str) -> None:
    def drawn(what: str) -> NDArray[np.uint8]:
        picture = Image.new("L", (300, 30))
        write(ImageDraw.Draw(picture), (0, 5), what, size=13, colour=255, width=300)  # type: ignore[arg-type]
        return np.asarray(picture)

    assert drawn(text).any()
    assert not np.array_equal(drawn(text), drawn("\U0010ffff" * len(text)))


def test_long_names_keep_both_ends() -> None:
    font = ImageFont.load_default(13)
    line = shorten("first" + "x" * 300 + "last.mp4", font, 200)
    start, end = line.split("…")
    assert start.startswith("first")
    assert end.endswith("last.mp4")
    assert 170 < font.getlength(line) <= 200
    assert shorten("short", font, 200) == "short"


def test_odd_names_do_not_stop_a_sheet() -> None:
    odd = strip(RAMP, title="漢字 \n\t \udcff" * 30, own="ü" * 400, partner="", note="عربي" * 200)
    assert contact_sheet([odd], 2, 40).width == contact_sheet([strip(RAMP)], 2, 40).width
