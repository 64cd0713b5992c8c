"""`vidaug preview`: pictures of clips in shards, and of clips that never become any."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import MakeVideo
from console import vidaug
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from score_makers import row_of

from vidaug_cli.augment.plan import Plan, read_plan
from vidaug_cli.augment.preview import brightened, rendered_strips, stored_strips
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import run
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import ClipSpec, clip_fps
from vidaug_cli.data.shard.format import shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.draw.clips import OWN_WORD, PARTNER_WORD, Strip
from vidaug_cli.draw.sheet import contact_sheet
from vidaug_cli.errors import VidaugError
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.words import percent

SMALL = ["--frames", "8", "--size", "32"]


@pytest.fixture(scope="module")
def out(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "out"
    assert vidaug("augment", video_folder, "-o", folder, *SMALL, "-r", "fademixup", "-j", "1", "-q").code == 0
    return folder


def test_every_kind_of_picture(out: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "new" / f"p{suffix}" for suffix in (".png", ".GIF", ".mp4", ".webp")]
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
    """What preview shows is what augment will make: every other clip, so that no video is seen twice."""
    words = [*SMALL, "-r", "fademixup", "--count", "3"]
    assert vidaug("preview", video_folder, *words, "-o", tmp_path / "a.png").code == 0
    clips = ["--clip", "0", "--clip", "2", "--clip", "4"]
    assert vidaug("preview", out, *clips, "-o", tmp_path / "b.png").code == 0
    with Image.open(tmp_path / "a.png") as rendered, Image.open(tmp_path / "b.png") as stored:
        assert np.array_equal(np.asarray(rendered), np.asarray(stored))
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_strips_name_their_sources(out: Path) -> None:
    with Shard(shard_path(out, 0)) as shard:
        record = shard.record(4)
    (strip,) = stored_strips(out, [4])
    assert strip.partner is not None
    own, partner = (int(source.name[-6:-4]) for source in (strip.own, strip.partner))
    shares = np.zeros(3)
    shares[own % 3] += record.weights.mean()
    shares[partner % 3] += 1 - record.weights.mean()
    assert record.label == pytest.approx(shares, abs=1e-5)
    assert (strip.title, strip.note) == ("4", "fademixup")
    first = strip.classes[0]
    assert (first.text, first.end) == (f"class_{shares.argmax()}", f" {percent(shares.max())}")
    if own % 3 != partner % 3:
        assert first.colour == {own % 3: OWN_WORD, partner % 3: PARTNER_WORD}[int(shares.argmax())]
    assert np.array_equal(strip.weights, record.weights)


def rendered(video_folder: Path, recipe: str, **how: Any) -> list[Strip]:
    rows = read_input(str(video_folder)).rows
    plan = Plan(rows=tuple(rows), recipe=load_recipe(recipe), spec=ClipSpec(frames=8, size=32))
    return rendered_strips(plan, Engine(), how.pop("count", 3), **how)


def test_originals_are_what_a_clip_was_made_of(video_folder: Path) -> None:
    """Blended as the weights say, they are the clip; of one that nothing happens to, there is none."""
    for strip in rendered(video_folder, "fademixup", originals=True):
        assert strip.partner is not None
        own, partner = strip.own.original, strip.partner.original
        assert own is not None and partner is not None  # noqa: PT018
        share = strip.weights[:, None, None, None]
        assert np.abs(share * own + (1 - share) * partner - strip.video).max() < 1.01
    assert [strip.own.original for strip in rendered(video_folder, "none", originals=True)] == [None] * 3


def test_originals_of_shards_need_their_videos(out: Path, video_folder: Path, tmp_path: Path) -> None:
    limits = Engine().limits
    (plain,), (told,) = stored_strips(out, [2]), stored_strips(out, [2], originals=limits)
    assert plain.own.original is None
    assert told.own.original is not None
    done = vidaug("preview", out, "--clip", 2, "--originals", "--root", tmp_path, "-o", tmp_path / "a.png")
    assert (done.code, "cannot be read: No such file" in done.err) == (1, True)
    assert not list(tmp_path.iterdir())


def test_ops_have_their_magnitudes_at_both_ends(video_folder: Path, tmp_path: Path) -> None:
    """As the parameters of the clip say; ops that are or are not have none."""
    rows = read_input(str(video_folder)).rows
    recipe = load_recipe("randaugment_t", "cutmix")
    plan = Plan(rows=tuple(rows), recipe=recipe, spec=ClipSpec(frames=8, size=32))
    run(plan, tmp_path / "out", Engine())
    told = 0
    for number in range(0, 36, 5):
        (strip,) = stored_strips(tmp_path / "out", [number])
        with Shard(shard_path(tmp_path / "out", 0)) as shard:
            params = shard.params(number)
        for source, side in ((strip.own, params["own"]), (strip.partner, params["partner"])):
            assert source is not None
            layers = side["augment"][0]["draw"]["layers"]
            parts = source.ops.split(", ")
            assert [part.split()[0] for part in parts] == [layer["op"] for layer in layers]
            for part, layer in zip(parts, layers, strict=True):
                if layer["op"] in ("identity", "autocontrast", "equalize", "invert"):
                    assert part == layer["op"]
                    continue
                first, *_, last = 2 * part.replace("\N{MINUS SIGN}", "-").split()[1:]  # one number where both are equal
                ends = [layer["sign"] * layer["first"], layer["sign"] * layer["last"]]
                assert [float(first), float(last)] == pytest.approx(ends, abs=0.0501)
                told += 1
    assert told > 10


def test_gain_shows_dark_clips(video_folder: Path) -> None:
    (strip,) = rendered(video_folder, "fademixup", count=1, originals=True)
    dark = replace(strip, video=strip.video // 8)
    assert np.array_equal(brightened(dark, 4).video, np.minimum(dark.video.astype(int) * 4, 255))
    light = brightened(dark, "auto")
    assert np.percentile(light.video, 99.5) == pytest.approx(255, abs=2)
    assert light.note.endswith(" times as bright")
    assert light.own.original is not None
    assert np.array_equal(brightened(light, "auto").video, light.video)  # what is light already stays


def test_a_grid_has_each_recipe_on_the_same_clips(video_folder: Path, tmp_path: Path) -> None:
    recipes = ["-r", "none", "-r", "cutmix"]
    paths = [tmp_path / "a.png", tmp_path / "a.gif"]
    words = [*SMALL, *recipes, "--grid", "--count", "2", "-o", paths[0], "-o", paths[1]]
    assert vidaug("preview", video_folder, *words).code == 0
    plain, mixed = (rendered(video_folder, recipe, count=2, apart=True) for recipe in ("none", "cutmix"))
    assert [strip.title for strip in plain] == [strip.title for strip in mixed] == ["0", "2"]
    strips = [plain[0], mixed[0], plain[1], mixed[1]]
    heads = ["none", "cutmix"]
    with Image.open(paths[0]) as sheet:
        assert np.array_equal(np.asarray(sheet), np.asarray(contact_sheet(strips, 4, across=2, heads=heads)))
    for wrong in (["-r", "none", "--grid"], [*recipes, "--grid", "--perturb", "ramped"]):
        done = vidaug("preview", video_folder, *wrong, "-o", paths[0])
        assert (done.code, "--grid compares recipes on INPUT" in done.err) == (2, True)


@pytest.mark.parametrize("gain", ["0", "bright", "nan"])
def test_a_gain_is_a_number(out: Path, gain: str) -> None:
    done = vidaug("preview", out, "--gain", gain)
    assert (done.code, "--gain" in done.err) == (2, True)


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


def test_clips_are_spread_evenly_over_videos_that_do_not_repeat(out: Path) -> None:
    strips = stored_strips(out, 6)
    titles = [int(strip.title) for strip in strips]
    assert np.abs(np.array(titles) - np.linspace(0, 35, 6)).max() < 16
    names = [source.name for strip in strips for source, _ in strip.sources]
    assert len(names) == len(set(names)) == 12
    assert titles == sorted(titles)
    every = stored_strips(out, 64)  # and where there are not enough, all
    assert [int(strip.title) for strip in every] == list(range(36))


def test_an_input_of_few_videos_shows_them_all(video_folder: Path) -> None:
    assert [int(strip.title) for strip in rendered(video_folder, "fademixup", count=36)] == list(range(36))


def test_nothing_but_broken_videos(video_folder: Path) -> None:
    rows = [row for row in read_input(str(video_folder)).rows if row.label == "class_0"]
    lost = Plan(
        rows=tuple(replace(row, path=f"gone_{row.path}") for row in rows),
        recipe=load_recipe("none"),
        spec=ClipSpec(frames=8, size=32),
    )
    with pytest.raises(VidaugError, match=r"gone_class_0/video_\d\d.avi: cannot be read: No such file or directory"):
        rendered_strips(lost, Engine(), 2)
