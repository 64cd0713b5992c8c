"""`vidaug preview`: pictures of clips in shards, and of clips that never become any."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import MakeVideo
from console import vidaug
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from score_makers import row_of

from vidaug_cli.augment.plan import Plan, read_plan
from vidaug_cli.augment.preview import rendered_strips, stored_strips
from vidaug_cli.augment.render import Engine
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import ClipSpec, clip_fps
from vidaug_cli.data.shard.format import shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import VidaugError
from vidaug_cli.recipe.loading import load_recipe

SMALL = ["--frames", "8", "--size", "32"]


@pytest.fixture(scope="module")
def out(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "out"
    assert vidaug("augment", video_folder, "-o", folder, *SMALL, "-r", "fademixup", "-j", "1", "-q").code == 0
    return folder


def test_every_kind_of_picture(out: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "new" / f"p{suffix}" for suffix in (".png", ".GIF", ".mp4")]
    done = vidaug("preview", out, "--clip", "3", "--clip", "0", *(word for path in paths for word in ("-o", path)))
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [f"wrote {path}" for path in paths]
    with Image.open(paths[0]) as sheet:
        assert sheet.format == "PNG"
        assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 10
    with Image.open(paths[1]) as animation:
        assert isinstance(animation, GifImageFile)
        assert animation.n_frames == 8
    with av.open(str(paths[2])) as video:
        assert sum(1 for _ in video.decode(video=0)) == 8


def test_the_sheet_of_an_input_is_the_sheet_of_its_shards(out: Path, video_folder: Path, tmp_path: Path) -> None:
    """What preview shows is what augment will make; only the last clip of the few has another partner."""
    assert (
        vidaug("preview", video_folder, *SMALL, "-r", "fademixup", "--count", "3", "-o", tmp_path / "a.png").code == 0
    )
    clips = ["--clip", "0", "--clip", "1", "--clip", "2"]
    assert vidaug("preview", out, *clips, "-o", tmp_path / "b.png").code == 0
    with Image.open(tmp_path / "a.png") as rendered, Image.open(tmp_path / "b.png") as stored:
        assert np.array_equal(np.asarray(rendered), np.asarray(stored))
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_strips_name_their_sources(out: Path) -> None:
    with Shard(shard_path(out, 0)) as shard:
        record = shard.record(4)
    (strip,) = stored_strips(out, [4])
    own, partner = (int(path[-6:-4]) for path in (strip.own, str(strip.partner)))
    shares = np.zeros(3)
    shares[own % 3] += record.weights.mean()
    shares[partner % 3] += 1 - record.weights.mean()
    assert record.label == pytest.approx(shares, abs=1e-5)
    assert strip.title.startswith(f"4: class_{shares.argmax()} {shares.max():.0%}")
    assert strip.note == "fademixup"
    assert np.array_equal(strip.weights, record.weights)


def rates(path: Path) -> tuple[float, float]:
    """Frames per second of `path`.gif and `path`.mp4."""
    with Image.open(path.with_suffix(".gif")) as gif:
        assert isinstance(gif, GifImageFile)
        milliseconds = 0
        for number in range(gif.n_frames):
            gif.seek(number)
            milliseconds += gif.info["duration"]
        fps = 1000 * gif.n_frames / milliseconds
    with av.open(str(path.with_suffix(".mp4"))) as video:
        return fps, float(video.streams.video[0].average_rate or 0)


@pytest.mark.parametrize(
    ("options", "wanted"), [([], 15), (["--stride", "4"], 15 / 4), (["--fps", "5"], 5), (["--stride", "2"], 7.5)]
)
def test_clips_play_as_fast_as_their_videos(
    make_video: MakeVideo, tmp_path: Path, options: list[str], wanted: float
) -> None:
    """Those of shards, and those that never become any."""
    for number in range(2):
        make_video(f"videos/a/{number}.mp4", frames=40, fps=15)
    words = [*SMALL, *options, "-r", "none", "-q"]
    assert vidaug("augment", tmp_path / "videos", "-o", tmp_path / "out", *words, "-j", "1").code == 0
    for name, source in (("stored", [tmp_path / "out"]), ("new", [tmp_path / "videos", *words])):
        place = tmp_path / name
        done = vidaug("preview", *source, "-o", place.with_suffix(".gif"), "-o", place.with_suffix(".mp4"), "-q")
        assert (done.code, done.err) == (0, "")
        assert rates(place) == pytest.approx((wanted, wanted), rel=0.02)


@pytest.mark.parametrize(
    ("fps", "spec", "wanted"),
    [
        (30, ClipSpec(stride=4), 7.5),
        (25, ClipSpec(frames=20, short="stretch"), 50),  # its ten frames last for 20 at every half frame
        (0, ClipSpec(stride=4), 0),
        (5e-324, ClipSpec(fps=60), 0),
        (30, ClipSpec(fps=12), 12),
    ],
)
def test_the_rate_of_a_clip_follows_from_its_video_and_step(fps: float, spec: ClipSpec, wanted: float) -> None:
    """Of frame images nobody knows it."""
    assert clip_fps(spec, row_of("a", "x", fps=fps)) == wanted


def test_the_rate_of_a_clip_is_that_of_the_step_drawn_for_it(out: Path) -> None:
    plan = read_plan(out)
    with Shard(shard_path(out, 0)) as shard:
        record = shard.record(4)
    row, step = plan.rows[record.sources[0]], record.params["own"]["sample"]["step"]
    assert clip_fps(plan.spec, row) == row.fps / step > 0
    assert stored_strips(out, [4])[0].fps == row.fps / step


def test_clips_are_spread_evenly(out: Path) -> None:
    assert [int(strip.title.split(":")[0]) for strip in stored_strips(out, 4)] == [0, 12, 23, 35]
    assert len(stored_strips(out, 64)) == 36


def test_nothing_but_broken_videos(video_folder: Path) -> None:
    rows = [row for row in read_input(str(video_folder)).rows if row.label == "class_0"]
    lost = Plan(
        rows=tuple(replace(row, path=f"gone_{row.path}") for row in rows),
        recipe=load_recipe("none"),
        spec=ClipSpec(frames=8, size=32),
    )
    with pytest.raises(VidaugError, match=r"gone_class_0/video_\d\d.avi: cannot be read: No such file or directory"):
        rendered_strips(lost, Engine(), 2)
