"""Disturbances: the table, the statistics of their draws, and their pixels against Pillow, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from vidaug_cli.errors import ClipsError, VidaugError
from vidaug_cli.ops.disturb import PIXELS, ClipKey, Playing, disturb, disturb_clip, dropped, frozen
from vidaug_cli.ops.disturbances import (
    DISTURBANCES,
    KINDS,
    ClipDraw,
    Disturbance,
    choose,
    draw,
    strengths,
)

FRAMES = 9
MANY = 3000  # clips
NUMBERED = [f"class/video_{number}.avi" for number in range(MANY)]


def clips(count: int = 3, frames: int = FRAMES, height: int = 24, width: int = 32, seed: int = 0) -> torch.Tensor:
    shape = count, frames, height, width, 3
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def drawn(sign: int = 1, **values: object) -> ClipDraw:
    base = {"sign": sign, "across": False, "rises": True, "level": 0.5, "chances": np.full(FRAMES, 0.5), "seed": 1}
    return ClipDraw(**base | values)  # type: ignore[arg-type]


def pixels(kind: str, video: torch.Tensor, value: object, **values: object) -> NDArray[np.uint8]:
    """What a kind makes of clips, all frames of which have one strength, or each its own."""
    given_values = np.broadcast_to(np.asarray(value, float), video.shape[:2]).copy()
    chance = [drawn(chances=np.full(video.shape[1], 0.5)) if not values else drawn(**values)] * len(video)  # type: ignore[arg-type]
    found: NDArray[np.uint8] = PIXELS[kind](Playing(video, chance), given_values).numpy()
    return found


def test_every_kind_has_pixels_and_three_rising_severities_or_none() -> None:
    assert list(PIXELS) == list(KINDS)
    for kind in KINDS.values():
        assert len(kind.strongest) in (0, 3)
        assert list(kind.strongest) == sorted(set(kind.strongest))
    assert len(DISTURBANCES) == 11 * 2 * 3 + 3 + 2
    assert all(name == one.name for name, one in DISTURBANCES.items())


def test_the_table_of_version_1_stays_as_it_is() -> None:
    """A change here is a new VERSION; numbers of different people are compared by it."""
    assert {name: kind.strongest for name, kind in KINDS.items()} == {
        "rotation": (5, 10, 20),
        "shift": (0.0625, 0.125, 0.25),
        "zoom": (0.15, 0.3, 0.6),
        "brightness": (0.175, 0.35, 0.7),
        "contrast": (0.2, 0.4, 0.8),
        "colour": (0.25, 0.5, 1),
        "noise": (0.05, 0.1, 0.2),
        "flicker": (0.2, 0.4, 0.8),
        "blur": (0.01, 0.02, 0.04),
        "frozen": (0.2, 0.4, 0.8),
        "dropped": (0.2, 0.4, 0.8),
        "cut": (0.125, 0.25, 0.5),
        "shuffled": (),
        "reversed": (),
    }
    found = draw("rotation", "hug/a.avi", 2, 4)
    assert (found.sign, found.across, found.rises, found.seed) == (-1, False, False, 1910911440)
    numbers = [0.7792463642985165, 0.36152302, 0.82063803, 0.53407007, 0.45373391]
    assert np.allclose([found.level, *found.chances], numbers)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["rotation-ramped=3"], ["rotation-ramped-3"]),
        (["rotation-ramped-3"], ["rotation-ramped-3"]),
        (["rotation=2"], ["rotation-held-2", "rotation-ramped-2"]),
        (["rotation-held"], [f"rotation-held-{s}" for s in (1, 2, 3)]),
        (["reversed,cut=1"], ["cut-1", "reversed"]),
        (["cut", "cut=2"], ["cut-1", "cut-2", "cut-3"]),
        (["ramped=1"], [f"{kind}-ramped-1" for kind in list(KINDS)[:11]]),
        (["all"], list(DISTURBANCES)),
        ([], []),
    ],
)
def test_words_name_disturbances(words: list[str], names: list[str]) -> None:
    assert [one.name for one in choose(words)] == names


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("rotatoin", "did you mean 'rotation'"),
        ("rotation=4", "did you mean"),
        ("", "at a severity as rotation=1"),
        ("3", "'all'"),
    ],
)
def test_other_words_are_refused(word: str, advice: str) -> None:
    with pytest.raises(VidaugError, match="unknown disturbance") as error:
        choose([word])
    assert advice in str(error.value)


def values_of(name: str) -> NDArray[np.float64]:
    """Strengths of many clips, (clips, frames)."""
    one = DISTURBANCES[name]
    return np.stack([strengths(one, draw(one.kind, video, 0, FRAMES)) for video in NUMBERED])


@pytest.mark.parametrize("kind", ["rotation", "noise"])
def test_held_and_ramped_are_equally_strong_and_differ_in_their_course_alone(kind: str) -> None:
    """In each frame: the same mean, nearly the same spread, the same range."""
    top, both = KINDS[kind].strongest[2], 1 + KINDS[kind].signed
    held, ramped = (abs(values_of(f"{kind}-{course}-3")) / top for course in ("held", "ramped"))
    for course in (held, ramped):
        assert abs(course.mean() - 0.5) < 0.02
        assert 0 <= course.min() < 0.01
        assert 0.99 < course.max() <= 1
    # The grid of nine steps from 0 to 1 spreads by sqrt((9 + 1) / (9 - 1) / 12), uniform numbers by sqrt(1 / 12).
    assert abs(held.std() - np.sqrt(1 / 12)) < 0.01
    assert abs(ramped.std() - np.sqrt(10 / 8 / 12)) < 1e-6
    assert np.ptp(held, 1).max() == 0
    assert np.allclose(np.ptp(ramped, 1), 1)
    assert np.allclose(abs(np.diff(ramped, axis=1)), 1 / (FRAMES - 1))
    rising = ramped[:, 0] == 0
    assert abs(rising.mean() - 0.5) < 0.04
    signs = np.sign(values_of(f"{kind}-held-3")[:, 0])
    assert abs((signs > 0).mean() - 1 / both) < 0.04
    assert (np.sign(values_of(f"{kind}-ramped-3")[:, 4]) == signs).all()
    if both == 2:
        assert abs(np.corrcoef(signs, rising)[0, 1]) < 0.06


def test_severities_differ_in_strength_alone() -> None:
    for course in ("held", "ramped"):
        weak, strong = (values_of(f"shift-{course}-{severity}") for severity in (1, 3))
        assert np.allclose(4 * weak, strong)


def test_draws_depend_on_video_view_and_kind() -> None:
    base = draw("rotation", "a.avi", 0, 5)
    assert base.seed == draw("rotation", "a.avi", 0, 5).seed
    others = [draw("shift", "a.avi", 0, 5), draw("rotation", "b.avi", 0, 5), draw("rotation", "a.avi", 1, 5)]
    assert len({base.seed, *(other.seed for other in others)}) == 4


@pytest.mark.parametrize("name", [name for name in DISTURBANCES if not name.endswith(("-1", "-2"))])
def test_a_clip_does_not_know_its_batch(name: str, device: torch.device) -> None:
    video, others = clips().to(device), clips(seed=1).to(device)
    before = video.clone()
    keys = [ClipKey("a.avi"), ClipKey("b.avi", 3), ClipKey("c.avi")]
    one = DISTURBANCES[name]
    together = disturb(video, one, keys, others)
    assert (together.dtype, together.shape, together.device) == (video.dtype, video.shape, video.device)
    assert torch.equal(video, before)
    assert not torch.equal(together, video)
    backwards = disturb(video.flip(0), one, keys[::-1], others.flip(0)).flip(0)
    assert torch.equal(together, backwards)
    for number, key in enumerate(keys):
        alone = disturb_clip(video[number].cpu().numpy(), one, key, others[number].cpu().numpy())
        apart = abs(alone.astype(int) - together[number].cpu().numpy())
        assert apart.max() <= (1 if one.kind == "blur" else 0)  # sums of floats, in another order


@pytest.mark.parametrize("kind", [kind for kind, row in KINDS.items() if len(row.courses) == 2])
def test_no_strength_changes_nothing(kind: str) -> None:
    video = clips()
    assert (pixels(kind, video, 0.0) == video.numpy()).all()


def test_rotation_and_zoom_as_pillow() -> None:
    """Away from the edge, to a rounding, on smooth pictures."""
    y, x = np.mgrid[:24, :32]
    scene = np.stack([128 + 90 * np.sin(x / 5), 128 + 90 * np.cos(y / 4), 4.0 * x + 4 * y], -1).astype(np.uint8)
    video = torch.from_numpy(np.stack([scene] * 2))[None]
    turned = pixels("rotation", video, [[13.0, -20]])[0]
    for angle, ours in zip((13, -20), turned, strict=True):
        theirs = np.asarray(Image.fromarray(scene).rotate(angle, Image.Resampling.BILINEAR))
        assert abs(ours.astype(int) - theirs).mean() < 0.5
    larger = pixels("zoom", video, 1.0)[0, 0]  # twice as large: the middle half
    theirs = np.asarray(Image.fromarray(scene).resize((32, 24), Image.Resampling.BILINEAR, (8, 6, 24, 18)))
    assert abs(larger.astype(int) - theirs)[2:-2, 2:-2].max() <= 2
    smaller = pixels("zoom", video, -1.0)[0, 0]  # half as large, within black
    assert (smaller[:5] == 0).all()
    assert abs(smaller[7:17, 9:23].astype(int) - scene[3:22:2, 3:30:2]).mean() < 20
    assert np.asarray(smaller[6:18, 8:24]).min(-1).max() > 0


def test_a_shift_moves_by_pixels_and_fills_with_black() -> None:
    video = clips(1)
    moved = pixels("shift", video, 0.25)[0]  # of 32 columns, to the left
    assert (moved[:, :, :-8] == video[0, :, :, 8:].numpy()).all()
    assert (moved[:, :, -8:] == 0).all()
    moved = pixels("shift", video, -0.25, across=True, chances=np.zeros(FRAMES))[0]  # of 24 rows, down
    assert (moved[:, 6:] == video[0, :, :-6].numpy()).all()
    assert (moved[:, :6] == 0).all()


@pytest.mark.parametrize(
    ("kind", "enhance"), [("brightness", "Brightness"), ("contrast", "Contrast"), ("colour", "Color")]
)
def test_factors_as_pillow(kind: str, enhance: str) -> None:
    video = clips(1, frames=2)
    ours = pixels(kind, video, [[0.7, -0.35]])[0]
    for frame, value, found in zip(video[0].numpy(), (0.7, -0.35), ours, strict=True):
        theirs = np.asarray(getattr(ImageEnhance, enhance)(Image.fromarray(frame)).enhance(1 + value))
        assert abs(found.astype(int) - theirs).max() <= 1


def test_flicker_is_a_gain_of_each_frame() -> None:
    video = torch.full((1, FRAMES, 4, 4, 3), 100, dtype=torch.uint8)
    chances = np.linspace(0, 1, FRAMES)
    found = pixels("flicker", video, 0.8, chances=chances)[0]
    assert abs(found[:, 0, 0, 0] - 100 * (1 + 0.8 * (2 * chances - 1))).max() <= 1
    assert (found == found[:, :1, :1, :1]).all()


def test_noise_has_its_deviation_and_no_mean(device: torch.device) -> None:
    grey = torch.full((1, 8, 64, 64, 3), 128, dtype=torch.uint8, device=device)
    found = PIXELS["noise"](Playing(grey, [drawn()]), np.full((1, 8), 0.05)).cpu().numpy().astype(float)
    assert abs(found.std() - 0.05 * 255) < 0.2
    assert abs(found.mean() - 128) < 0.2
    assert abs(np.corrcoef(found[0, 0].ravel(), found[0, 1].ravel())[0, 1]) < 0.05  # new in every frame


def test_blur_is_a_gaussian_and_keeps_flat_frames() -> None:
    dot = torch.zeros((1, 1, 41, 41, 3), dtype=torch.uint8)
    dot[0, 0, 20, 20] = 255
    sigma = 2.0
    found = pixels("blur", dot, sigma / 41)[0, 0, :, :, 0]
    offsets = np.arange(-20, 21)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    expected = 255 * np.outer(weights, weights) / weights.sum() ** 2
    assert abs(found - expected).max() <= 0.51
    flat = torch.full((2, 3, 12, 20, 3), 77, dtype=torch.uint8)
    assert (pixels("blur", flat, 0.3) == 77).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_frozen_and_dropped_frames_frame_by_frame(pairs: list[tuple[float, float]]) -> None:
    chances, strength = map(np.array, zip(*pairs, strict=True))
    shown: list[int] = []
    kept: list[int] = []
    for number, (chance, value) in enumerate(pairs):
        lost = number > 0 and chance < value
        shown.append(shown[-1] if lost else number)
        kept += [] if lost else [number]
    assert frozen(chances, strength).tolist() == shown
    assert dropped(chances, strength).tolist() == kept + [kept[-1]] * (len(pairs) - len(kept))


def test_a_cut_shows_another_clip_for_its_share() -> None:
    video, others = clips(40, 16), clips(40, 16, seed=1)
    keys = [ClipKey(name) for name in NUMBERED[:40]]
    starts = set()
    for severity, length in ((1, 2), (2, 4), (3, 8)):
        found = disturb(video, Disturbance("cut", None, severity), keys, others)
        strange = (found == others).flatten(2).all(-1)
        own = (found == video).flatten(2).all(-1)
        assert (strange ^ own).all()
        assert (strange.sum(1) == length).all()
        assert (strange[:, 1:] != strange[:, :-1]).sum(1).max() <= 2  # in one stretch
        starts |= set(strange.int().argmax(1).tolist())
    assert {0, 8, 14} <= starts
    with pytest.raises(ClipsError, match="another class"):
        disturb(video, Disturbance("cut", None, 1), keys)


def test_probes_are_exact() -> None:
    video, keys = clips(8), [ClipKey(name) for name in NUMBERED[:8]]
    assert torch.equal(disturb(video, Disturbance("reversed"), keys), video.flip(1))
    shuffled = disturb(video, Disturbance("shuffled"), keys)
    orders = set()
    for clip, mixed in zip(video, shuffled, strict=True):
        order = [next(n for n, frame in enumerate(clip) if torch.equal(frame, other)) for other in mixed]
        assert sorted(order) == list(range(FRAMES))
        orders.add(tuple(order))
    assert len(orders) == 8
