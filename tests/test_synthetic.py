"""The sample: what its classes may and may not give away, and what lands on disk."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from console import vidaug
from numpy.typing import NDArray

from vidaug_cli.data.synthetic import FORMATS, MOTIONS, Scene, draw_scene, render_frame, write_synthetic
from vidaug_cli.data.video.encode import OPTIONS, write_video
from vidaug_cli.errors import VidaugError

PER_CLASS = 3


def scene(seed: int, width: int = 160, height: int = 120) -> Scene:
    return draw_scene(np.random.default_rng(seed), width, height)


def things(of: Scene, motion: str, seconds: float) -> NDArray[np.float64]:
    """How far each pixel is from the bare background, (H, W)."""
    return np.asarray(np.abs(render_frame(of, motion, seconds) - np.asarray(of.background, float)).sum(2))


def read(path: Path) -> tuple[NDArray[np.uint8], float, str]:
    """Frames (T, H, W, 3), frames per second, codec."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
        return frames.astype(np.uint8), float(stream.average_rate or 0), stream.codec_context.name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "sample"
    assert len(list(write_synthetic(folder, PER_CLASS))) == PER_CLASS * len(MOTIONS)
    return folder


@pytest.mark.parametrize("seed", range(3))
def test_first_frame_is_the_same_in_every_class(seed: int) -> None:
    first = [render_frame(scene(seed), motion, 0) for motion in MOTIONS]
    assert all(np.array_equal(first[0], other) for other in first)


@pytest.mark.parametrize("motion", MOTIONS)
def test_classes_differ_later(motion: str) -> None:
    later = render_frame(scene(0), motion, 0.5)
    assert all(not np.array_equal(later, render_frame(scene(0), other, 0.5)) for other in set(MOTIONS) - {motion})


@pytest.mark.parametrize(("motion", "opposite"), [("left", "right"), ("up", "down")])
def test_played_backwards_it_is_the_opposite(motion: str, opposite: str) -> None:
    for seconds in (0.3, 1.0, 4.1):
        forwards, backwards = render_frame(scene(1), motion, seconds), render_frame(scene(1), opposite, -seconds)
        assert np.abs(forwards.astype(int) - backwards).mean() < 0.01  # rounding of the pose apart, the same picture


def features(motion: str, seconds: float, seeds: range) -> NDArray[np.float64]:
    """What a frame could give away, sorted, (features, scenes): how much there is of the things, and where they are."""
    shown = np.stack([things(scene(seed, 64, 48), motion, seconds) for seed in seeds])
    rows, columns = shown.mean(2), shown.mean(1)
    middles = [(profile @ np.arange(profile.shape[1])) / profile.sum(1) for profile in (rows, columns)]
    return np.sort([shown.mean((1, 2)), (shown > 60).mean((1, 2)), shown.max((1, 2)), *middles])


@pytest.fixture(scope="module")
def first_frames() -> NDArray[np.float64]:
    return features("left", 0, range(400))


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_late_frame_has_the_distribution_of_a_first_frame(motion: str, first_frames: NDArray[np.float64]) -> None:
    """Kolmogorov-Smirnov, at the 0.1 % point 1.95 sqrt(2 / n), against the first frames, which all classes share.

    1.4 seconds are about half a cycle: what does not stay uniform is then farthest from where it began.
    """
    for first, late in zip(first_frames, features(motion, 1.4, range(400, 800)), strict=True):
        points = np.concatenate([first, late])
        gap = np.searchsorted(first, points, side="right") - np.searchsorted(late, points, side="right")
        assert np.abs(gap).max() / 400 < 1.95 * np.sqrt(2 / 400)


@pytest.mark.parametrize(("motion", "axis", "sign"), [("left", 1, -1), ("right", 1, 1), ("up", 0, -1), ("down", 0, 1)])
def test_things_go_where_the_class_says(folder: Path, motion: str, axis: int, sign: int) -> None:
    """By the shift that makes two frames of the encoded file agree best, away from their still background."""
    frames = read(folder / motion / f"{motion}_000.mp4")[0].astype(float)
    still = np.median(frames[::4], axis=0)
    first, second = (np.abs(frames[n] - still).sum(2) for n in (30, 33))
    shifts = range(-25, 26)
    agreement = [float((np.roll(first, shift, axis) * second).sum()) for shift in shifts]
    shift = shifts[int(np.argmax(agreement))]
    assert sign * shift >= 3


def test_growing_things_grow() -> None:
    one = scene(0)
    alone = Scene(one.background, one.textures[:1], np.array([[0.5, 0.5, 0.25, 0.1]]), one.speed, one.frames)
    area = [(things(alone, "grow", seconds) > 20).sum() for seconds in (0, 0.4, 0.8)]
    assert area[1] > 1.2 * area[0]
    assert area[2] > 1.2 * area[1]


def test_files_are_as_their_format_says_and_alike_in_all_classes(folder: Path) -> None:
    for number in range(PER_CLASS):
        kind = FORMATS[number]
        lengths = set()
        for label in MOTIONS:
            frames, fps, codec = read(folder / label / f"{label}_{number:03}{kind.suffix}")
            assert (frames.shape[2], frames.shape[1], fps, codec) == (kind.width, kind.height, kind.fps, kind.codec)
            lengths.add(len(frames))
        assert len(lengths) == 1
        assert min(lengths) >= 64


def test_encoded_frames_are_the_rendered_ones_in_order(folder: Path) -> None:
    made = draw_scene(np.random.default_rng([0, 1]), FORMATS[1].width, FORMATS[1].height)
    frames, fps, _ = read(folder / "turn" / "turn_001.avi")
    assert len(frames) == made.frames
    for number in (0, 40, len(frames) - 1):
        wanted = render_frame(made, "turn", number / fps).astype(int)
        assert np.abs(frames[number] - wanted).mean() < 8


def test_formats_mix_codecs_sizes_and_rates() -> None:
    assert {kind.codec for kind in FORMATS} == set(OPTIONS)
    assert sum((kind.width, kind.height) == (320, 240) for kind in FORMATS) > len(FORMATS) / 2
    assert len({(kind.width, kind.height) for kind in FORMATS}) >= 3
    assert len({kind.fps for kind in FORMATS}) >= 3


def test_split_lists_hold_every_video_once_and_no_scene_on_both_sides(folder: Path) -> None:
    numbered, trained, test = (
        (folder / "splits" / name).read_text().split() for name in ("classInd.txt", "trainlist01.txt", "testlist01.txt")
    )
    classes = dict(zip(numbered[1::2], numbered[::2], strict=True))
    train = dict(zip(trained[::2], trained[1::2], strict=True))
    assert all(classes[Path(name).parent.name] == number for name, number in train.items())
    on_disk = {path.relative_to(folder).as_posix() for path in folder.glob("*/*_*.*")}
    assert sorted([*train, *test]) == sorted(on_disk)
    scenes = [{Path(name).stem.split("_")[1] for name in names} for names in (train, test)]
    assert all(scenes)
    assert not scenes[0] & scenes[1]


def test_same_seed_same_bytes_other_seed_other_videos(tmp_path: Path, folder: Path) -> None:
    for seed in (0, 1):
        list(write_synthetic(tmp_path / str(seed), 1, seed))
    for label in MOTIONS:
        again, other = (tmp_path / seed / label / f"{label}_000.mp4" for seed in "01")
        first = (folder / label / again.name).read_bytes()
        assert again.read_bytes() == first
        assert other.read_bytes() != first


def test_refuses_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    mine = tmp_path / "left" / "holiday.mp4"
    mine.write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(VidaugError, match=r"left/holiday\.mp4.*name a new or an empty folder"):
            list(write_synthetic(tmp_path, 1, overwrite=overwrite))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    with pytest.raises(VidaugError, match="is a file; name a new folder"):
        list(write_synthetic(mine, 1))


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "left").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VidaugError, match="'left'"):
        list(write_synthetic(tmp_path / "sample", 1, overwrite=True))


def test_overwrites_its_own_when_told(tmp_path: Path) -> None:
    list(write_synthetic(tmp_path, 1))
    before = (tmp_path / "up" / "up_000.mp4").read_bytes()
    with pytest.raises(VidaugError, match="--overwrite"):
        list(write_synthetic(tmp_path, 1, seed=1))
    assert (tmp_path / "up" / "up_000.mp4").read_bytes() == before
    list(write_synthetic(tmp_path, 1, seed=1, overwrite=True))
    assert (tmp_path / "up" / "up_000.mp4").read_bytes() != before


def test_command_prints_the_folder_and_what_to_try_next(tmp_path: Path) -> None:
    done = vidaug("sample", tmp_path / "new", "--per-class", 1)
    assert done.out == f"{tmp_path / 'new'}\n"
    assert done.next == f"vidaug scan {tmp_path / 'new'} -o manifest.jsonl"


@pytest.mark.parametrize("codec", OPTIONS)
def test_encoder_keeps_colours_and_sides(tmp_path: Path, codec: str) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[24:, 32:] = (200, 30, 30), (30, 30, 200)
    write_video(tmp_path / "a.mp4", np.stack([picture] * 5), 29.97, codec)  # type: ignore[arg-type]
    frames, fps, _ = read(tmp_path / "a.mp4")
    assert len(frames) == 5
    assert fps == pytest.approx(29.97, abs=1e-3)
    assert np.abs(frames[:, 4:20, 4:28] - np.array([200.0, 30, 30])).mean() < 6
    assert np.abs(frames[:, 28:44, 36:60] - np.array([30.0, 30, 200])).mean() < 6


def test_encoder_says_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(VidaugError, match=r"missing/a\.mp4: cannot be written"):
        write_video(tmp_path / "missing" / "a.mp4", np.zeros((2, 16, 16, 3), np.uint8), 30)
