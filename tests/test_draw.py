"""Contact sheets and animations: frames and weights lie where they should, and any text fits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import av
import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.GifImagePlugin import GifImageFile

from vidaug_cli.draw import sheet, text
from vidaug_cli.draw.animation import animate
from vidaug_cli.draw.clips import (
    BAR,
    CURVED,
    FPS,
    GAP,
    HEADING,
    LINE,
    MARGIN,
    OWN,
    OWN_WORD,
    PAPER,
    PARTNER,
    PARTNER_WORD,
    Source,
    Strip,
    class_words,
    draw_bar,
    weight_bar,
)
from vidaug_cli.draw.pictures import SUFFIXES, check_suffixes, draw_pictures
from vidaug_cli.draw.sheet import GUTTER, LINED, NARROWEST, contact_sheet
from vidaug_cli.draw.text import INK, OURS, Word, shorten, write, write_words
from vidaug_cli.errors import VidaugError
from vidaug_cli.words import percent

CAPTION = sheet.TICK + sheet.CAPTION  # pixels under a bar
CELL_HEADING = 3 * LINE + GAP  # above the frames of a cell of an animation: classes, and two videos


def strip(
    weights: NDArray[np.floating] | None, frames: int = 64, size: tuple[int, int] = (40, 40), **values: object
) -> Strip:
    """A clip of (height, width) `size` whose frame t is flat grey 2 * t."""
    video = np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None] * 2, (frames, *size, 3))
    told: dict[str, Any] = {"title": "7", "classes": [Word("a", " 50 %"), Word("b", " 50 %")], "own": Source("a.mp4")}
    told["partner"] = Source("b.mp4") if weights is not None else None
    weights = np.ones(frames) if weights is None else weights
    return Strip(video.copy(), weights, **told | values)


def count(column: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((column == colour).all(-1).sum())


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40), st.integers(1, 9), st.integers(1, 60))
def test_bar_is_as_high_as_the_weight_in_every_bin(weights: list[float], bin_width: int, height: int) -> None:
    bar = np.asarray(weight_bar(np.repeat(weights, bin_width), height))
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
    sheet_of_ticks = sheet[bar_top + BAR + 1]
    frames = [round(63 * column / (columns - 1)) for column in range(columns)]
    for column, frame in enumerate(frames):
        middle = MARGIN + column * (thumb + GAP) + thumb // 2
        assert tuple(sheet[bar_top - GAP - thumb // 2, middle]) == (2 * frame,) * 3
        below = sheet[bar_top : bar_top + BAR, middle]
        assert abs(count(below, OWN) / BAR - weights[frame]) < 1.5 / BAR
        assert count(below, OWN) + count(below, PARTNER) == BAR
        ticks = sheet_of_ticks[middle - thumb // 2 : middle + thumb // 2]
        assert np.flatnonzero((ticks == INK).all(-1)).tolist() == [thumb // 2]  # under the middle of its frame, alone


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


def test_time_runs_evenly_between_the_shown_frames() -> None:
    """Where frames in the bar change: halfway between two whose middles are as far apart as their numbers say."""
    times = np.interp(np.arange(300), [50, 150, 250], [0, 10, 40])
    bar = np.asarray(draw_bar(strip(np.arange(64) % 2 * 1.0), times))
    edges = np.flatnonzero((np.diff(bar[0].astype(int), axis=0) != 0).any(-1)) + 1
    assert len(edges) == 40  # from frame 0 to 40
    assert np.abs(np.diff(edges[:10]) - 10).max() <= 1
    assert np.abs(np.diff(edges[11:]) - 100 / 30).max() <= 1


def test_a_clip_that_is_not_mixed_has_no_bar() -> None:
    picture = np.asarray(contact_sheet([strip(None)], 4, 64))
    swatches = count(picture.reshape(-1, 3), OWN)
    assert swatches == 11 * 11  # the square before the name of its video
    assert count(picture.reshape(-1, 3), PARTNER) == 0
    assert (picture[0] == PAPER).all()
    assert contact_sheet([strip(RAMP)], 4, 64).height - len(picture) == BAR + sheet.TICK + LINE + MARGIN  # and a legend


def test_sheet_holds_a_row_per_clip_whatever_their_shapes() -> None:
    clips = [strip(RAMP), strip(RAMP, size=(30, 60)), strip(None, 5, (60, 30))]
    heights = [contact_sheet(clips[:number], 8, 60).height for number in (1, 2, 3)]
    rest = HEADING + LINE + GAP + CAPTION + MARGIN
    assert np.diff(heights).tolist() == [rest + BAR + 30, rest - sheet.TICK + 120]
    assert contact_sheet(clips, 8, 60).width == 2 * MARGIN + 8 * 60 + 7 * GAP
    assert contact_sheet(clips, 2, 40).width == 2 * MARGIN + NARROWEST  # words need room


def test_ops_take_a_line_for_each_video() -> None:
    plain, told = strip(RAMP), strip(RAMP, own=Source("a.mp4", "rotate 3 to 7"))
    assert contact_sheet([told], 4, 64).height - contact_sheet([plain], 4, 64).height == LINE


def test_originals_stand_above_the_clip_with_a_line_in_their_colour() -> None:
    blue, orange = (np.full((64, 40, 40, 3), level, np.uint8) for level in (200, 100))
    made = strip(RAMP, own=Source("a.mp4", "", blue), partner=Source("b.mp4", "", orange))
    picture = np.asarray(contact_sheet([made], 8, 60))
    column = picture[:, MARGIN + 30]
    bar_top = len(picture) - MARGIN - CAPTION - BAR
    tops = [bar_top - GAP - 60 - number * (60 + LINED + GAP) for number in (2, 1, 0)]
    assert [tuple(column[top + 30]) for top in tops] == [(200,) * 3, (100,) * 3, (0,) * 3]
    assert [tuple(column[top + 61]) for top in tops[:2]] == [OWN, PARTNER]


def test_clips_of_a_grid_lie_side_by_side_under_their_heads() -> None:
    clips = [strip(None), strip(RAMP), strip(None, 8), strip(None, 8)]
    picture = np.asarray(contact_sheet(clips, 8, 60, across=2, heads=["one", "two"]))
    pitch = 8 * 60 + 7 * GAP + 2 * MARGIN
    assert picture.shape[1] == 2 * pitch
    top = MARGIN + LINE + MARGIN + HEADING + MARGIN + HEADING + LINE  # below the legend, the heads and a heading
    for left in (MARGIN, MARGIN + pitch):  # the first frame, black, and the last, of 126
        assert (picture[top + 1, left : left + 60] == 0).all()
        assert (picture[top + 1, left + 7 * 64 : left + 7 * 64 + 60] == 126).all()


def test_a_curve_has_an_axis() -> None:
    curved = strip(RAMP, curve=np.linspace(0, 1, 64), scale=(-1.64, 2.28))
    picture = np.asarray(contact_sheet([curved], 8, 60))
    assert picture.shape[1] == GUTTER + 2 * MARGIN + 8 * 60 + 7 * GAP
    bottom = len(picture) - MARGIN - CAPTION
    beside = picture[bottom - CURVED - 6 : bottom + 6, MARGIN : MARGIN + GUTTER - 4]
    written = np.flatnonzero((beside.max(-1) < 200).any(1))
    assert written[0] < 20
    assert written[-1] > len(beside) - 20
    assert not set(range(30, len(beside) - 30)) & set(written.tolist())


@pytest.mark.parametrize("value", [-0.773, -0.00773, -1.234e-5, 123456.7])
def test_the_numbers_of_an_axis_are_whole(value: float) -> None:
    assert FONT.getlength(sheet._number(value)) <= GUTTER - 6


def test_class_words_have_the_colours_of_their_videos() -> None:
    names = ("hug", "kick", "push")
    mixed = class_words(np.array([0.25, 0.75, 0], np.float32), names, "hug", "kick")
    assert mixed == [Word("kick", " 75 %", PARTNER_WORD), Word("hug", " 25 %", OWN_WORD)]
    assert class_words(np.array([0, 1.0, 0]), names, "kick", "kick") == [Word("kick", " 100 %", INK)]
    assert class_words(np.array([0, 1.0, 0]), names, "kick") == [Word("kick", " 100 %", OWN_WORD)]


def test_one_way_to_write_per_cents() -> None:
    shares = (0, 1e-7, 0.004, 0.006, 0.5, 0.994, 0.996, 1 - 1e-7, 1)
    written = ["0 %", "0 %", "<1 %", "1 %", "50 %", "99 %", ">99 %", "100 %", "100 %"]
    assert [percent(share) for share in shares] == written


@pytest.mark.parametrize("colour", [INK, OWN_WORD, PARTNER_WORD, text.FAINT])
def test_words_can_be_read_on_white(colour: tuple[int, int, int]) -> None:
    """WCAG 2.1, 1.4.3: a contrast of 4.5 : 1 at least, with its definition of relative luminance."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
    assert 1.05 / (np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05) >= 4.5


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


def test_webp_plays_in_order_and_loops(tmp_path: Path) -> None:
    animate([strip(RAMP, fps=25)], tmp_path / "a.webp", thumb=80)
    with Image.open(tmp_path / "a.webp") as picture:
        assert (picture.format, getattr(picture, "n_frames", 1), picture.info["loop"]) == ("WEBP", 64, 0)
        for frame in (0, 31, 63):
            picture.seek(frame)
            pixels = np.asarray(picture.convert("RGB")).astype(int)
            assert picture.info["duration"] == 40
            inside = pixels[MARGIN + CELL_HEADING + 10 :][:60, MARGIN + 10 : MARGIN + 70]
            assert abs(inside.mean() - 2 * frame) < 8  # WebP leaves small changes out


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
    ("clips", "columns", "wanted"), [(1, None, 1), (3, None, 3), (4, None, 2), (9, None, 3), (40, None, 4), (4, 4, 4)]
)
def test_animation_lays_clips_in_a_grid(tmp_path: Path, clips: int, columns: int | None, wanted: int) -> None:
    animate([strip(None, 2)] * clips, tmp_path / "a.gif", columns=columns, thumb=48)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.width == wanted * (48 + MARGIN) + MARGIN
        cell = CELL_HEADING - LINE + 48 + GAP + BAR + CAPTION + MARGIN
        assert gif.height in (length := math.ceil(clips / wanted) * cell + MARGIN, length + 1)


def test_suffixes_that_can_be_written_are_named(tmp_path: Path) -> None:
    check_suffixes([tmp_path / name for name in ("a.png", "b.GIF", "c.mp4", "d.webp")])
    with pytest.raises(VidaugError, match=r"clips\.webm: is not a picture .* end it in \.png, \.gif, \.webp or \.mp4"):
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


FONT = ImageFont.truetype(OURS, 13)


def test_long_names_keep_both_ends() -> None:
    line = shorten("first" + "x" * 300 + "last.mp4", FONT, 200)
    start, end = line.split("…")
    assert start.startswith("first")
    assert end.endswith("last.mp4")
    assert 170 < FONT.getlength(line) <= 200
    assert shorten("short", FONT, 200) == "short"


def test_our_font_has_the_letters_of_names() -> None:
    """Latin with the marks of the languages that are written in it, Greek and Cyrillic."""
    names = "ÅÄÖßéèçñłżščřğışțđæøœ Ệữ αβγδΩήύ Жщыїєґљ АЯ …±\N{MINUS SIGN}\N{MULTIPLICATION SIGN}\N{EN DASH}"
    missing = FONT.getmask("\U0010ffff")
    assert [letter for letter in names if letter != " " and bytes(FONT.getmask(letter)) == bytes(missing)] == []
    assert OURS.stat().st_size < 250_000


def test_letters_that_our_font_lacks_come_from_one_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Armenian, from the DejaVu Sans that matplotlib brings; without it, as Python escapes it."""
    dejavu = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    monkeypatch.setattr(text, "WIDER_FONTS", ("no such font.ttf", str(dejavu)))
    recorder = Recorder()
    write(recorder, (0, 5), "Հայերեն", size=13, colour=INK, width=500)
    write_words(recorder, (0, 5), [Word("Հայ", " 5 %"), Word("plain")], size=13, width=500)
    monkeypatch.setattr(text, "WIDER_FONTS", ())
    write(recorder, (0, 5), "Հa", size=13, colour=INK, width=500)
    assert recorder.parts == ["Հայերեն", "Հայ", " 5 %", "plain", "", "\\u0540a"]
    assert recorder.fonts == ["DejaVu Sans"] * 2 + ["Noto Sans"] * 4


def test_a_mark_that_no_font_has_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """DejaVu Sans has no vowels of Hindi, but the circle that a layout puts under them."""
    dejavu = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    monkeypatch.setattr(text, "WIDER_FONTS", (str(dejavu),))
    recorder = Recorder()
    write(recorder, (0, 5), "हि◌", size=13, colour=INK, width=500)
    assert recorder.parts == ["\\u0939\\u093f◌"]


class Recorder(ImageDraw.ImageDraw):
    """Draws, and notes the texts and their fonts."""

    def __init__(self) -> None:
        super().__init__(Image.new("RGB", (2000, 30)))
        self.parts: list[str] = []
        self.fonts: list[str] = []

    def text(self, xy: Any, text: Any, *args: Any, **how: Any) -> None:
        self.parts.append(text)
        self.fonts.append(how["font"].getname()[0])
        super().text(xy, text, *args, **how)


def drawn_words(words: list[Word], width: float) -> tuple[list[str], int]:
    """The parts of a line in the order in which they are drawn, and the pixels that it says it takes."""
    recorder = Recorder()
    taken = write_words(recorder, (0, 5), words, size=13, width=width)
    return recorder.parts, taken


def test_percentages_stay_where_names_are_cut() -> None:
    words = [Word("short", " 1 %"), Word("begin" + "x" * 200 + "end", " 62 %"), Word("y" * 300, " 37 %")]
    parts, taken = drawn_words(words, 400)
    assert 350 < taken <= 400
    assert parts[0::2][0] == "short"
    assert parts[1::2] == [" 1 %", " 62 %", " 37 %"]
    assert parts[2].startswith("begin")
    assert parts[2].endswith("end")
    assert "…" in parts[2]
    assert abs(FONT.getlength(parts[2]) - FONT.getlength(parts[4])) < 12  # as much room for each that wants more
    assert drawn_words(words, 5000)[0][2] == words[1].text


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=6)), max_size=5), st.integers(0, 300))
def test_any_words_are_drawn_within_their_width(words: list[tuple[str, str]], width: int) -> None:
    picture = Image.new("RGB", (800, 40))
    coloured = [Word(*each, (255, 255, 255)) for each in words]
    taken = write_words(ImageDraw.Draw(picture), (20, 8), coloured, size=13, width=width)
    assert taken <= width
    assert not np.asarray(picture)[:, 20 + width + 4 :].any()


def test_odd_names_do_not_stop_a_sheet() -> None:
    odd = strip(
        RAMP,
        title="漢字 \n\t \udcff" * 30,
        own=Source("ü" * 400, "op " * 90),
        partner=Source(""),
        note="عربي" * 200,
    )
    assert contact_sheet([odd], 2, 40).width == contact_sheet([strip(RAMP)], 2, 40).width
