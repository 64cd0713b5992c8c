"""Frame ops against Pillow, frame by frame, and what holds for every row of the table."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from vidaug_cli.errors import VidaugError
from vidaug_cli.ops import geometric
from vidaug_cli.ops.clips import Shape
from vidaug_cli.ops.frame_ops import OPS, MagnitudeTable, Ramp, op_names
from vidaug_cli.ops.geometric import Sampling

Picture = Image.Image
FACTORS = ("color", "contrast", "brightness", "sharpness")
MOVING = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
TABLES: tuple[MagnitudeTable, ...] = ("official", "monotone")
ROWS = [(table, name) for table in TABLES for name in op_names(table)]
MAGNITUDES = (0.0, 3.7, 11.0, 15.0, 22.5, 30.0)


def affine(picture: Picture, *map_: float, resample: Image.Resampling = Image.Resampling.NEAREST) -> Picture:
    return picture.transform(picture.size, Image.Transform.AFFINE, map_, resample)


# How Pillow does it: (picture, value in the op's own units) -> picture.
PILLOW: dict[str, Callable[[Picture, float], Picture]] = {
    "identity": lambda picture, _: picture,
    "autocontrast": lambda picture, _: ImageOps.autocontrast(picture),
    "equalize": lambda picture, _: ImageOps.equalize(picture),
    "invert": lambda picture, _: ImageOps.invert(picture),
    "rotate": lambda picture, value: picture.rotate(value),
    "shear_x": lambda picture, value: affine(picture, 1, value, 0, 0, 1, 0),
    "shear_y": lambda picture, value: affine(picture, 1, 0, 0, value, 1, 0),
    "translate_x": lambda picture, value: affine(picture, 1, 0, value * picture.width, 0, 1, 0),
    "translate_y": lambda picture, value: affine(picture, 1, 0, 0, 0, 1, value * picture.height),
    "posterize": lambda picture, value: ImageOps.posterize(picture, max(1, int(value))),
    "solarize": lambda picture, value: ImageOps.solarize(picture, int(np.ceil(value))),
    "color": lambda picture, value: ImageEnhance.Color(picture).enhance(value),
    "contrast": lambda picture, value: ImageEnhance.Contrast(picture).enhance(value),
    "brightness": lambda picture, value: ImageEnhance.Brightness(picture).enhance(value),
    "sharpness": lambda picture, value: ImageEnhance.Sharpness(picture).enhance(value),
}


def pictures(channels: int, height: int = 61, width: int = 84) -> NDArray[np.uint8]:
    """Frames (N, H, W, C) of different kinds: noise, a smooth dim scene, few levels, one level, black and white."""
    rng = np.random.default_rng(7)
    size = (height, width, channels)
    y, x = np.mgrid[:height, :width][..., None]
    scene = 70 + 40 * np.sin(x / 9 + np.arange(channels)) + 25 * np.cos(y / 7)
    kinds = [rng.integers(0, 256, size), scene, rng.integers(90, 97, size), np.full(size, 131)]
    kinds += [255 * rng.integers(0, 2, size), np.where(x > 40, scene, 9), 255 * (rng.random(size) < 0.001)]
    return np.stack(kinds).astype(np.uint8)


def by_pillow(name: str, frames: NDArray[np.uint8], values: NDArray[np.float64]) -> NDArray[np.uint8]:
    done = [
        np.asarray(PILLOW[name](Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame), value))
        for frame, value in zip(frames, values.tolist(), strict=True)
    ]
    return np.stack(done).reshape(frames.shape)


def run(name: str, frames: NDArray[np.uint8], values: NDArray[np.float64], device: torch.device) -> NDArray[np.uint8]:
    result: NDArray[np.uint8] = OPS[name](torch.from_numpy(frames).to(device), values).cpu().numpy()
    return result


def test_every_op_has_a_golden_reference() -> None:
    assert list(PILLOW) == list(OPS)
    assert len(ROWS) == 29
    assert {name for name, op in OPS.items() if op.moves} == set(MOVING)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("table", "name"), ROWS)
def test_pillow_gives_the_same_pixels(table: str, name: str, channels: int, device: torch.device) -> None:
    scale = OPS[name].scales[table]  # type: ignore[index]
    frames = pictures(channels)
    for magnitude in MAGNITUDES if scale.lo != scale.hi else (0.0,):
        for sign in (1, -1) if scale.signed else (1,):
            values = scale.values(np.full(len(frames), magnitude), sign)
            ours, theirs = run(name, frames, values, device), by_pillow(name, frames, values)
            if name in MOVING:  # Pillow's own shortcuts differ where a sample falls on the edge of a cell
                assert (ours != theirs).any(-1).mean() < 0.005, (magnitude, sign)
            else:
                apart = np.abs(ours.astype(int) - theirs)
                assert apart.max() <= (1 if name in FACTORS else 0), (magnitude, sign)
                assert (apart > 0).mean() < 0.001, (magnitude, sign)


@pytest.mark.parametrize("name", ["autocontrast", "equalize", "contrast"])
def test_every_range_of_levels_as_pillow(name: str, device: torch.device) -> None:
    rng = np.random.default_rng(2)
    darkest = rng.integers(0, 256, 600)
    brightest = rng.integers(darkest, 256)
    levels = rng.integers(0, 256, (600, 24, 40, 3)).clip(darkest.reshape(-1, 1, 1, 1), brightest.reshape(-1, 1, 1, 1))
    frames, factors = levels.astype(np.uint8), rng.uniform(0.1, 1.9, 600)
    assert (run(name, frames, factors, device) == by_pillow(name, frames, factors)).all()


@pytest.mark.parametrize("name", MOVING)
def test_bilinear_as_pillow(name: str, device: torch.device) -> None:
    frames = pictures(3)
    for value in np.array([0.07, -0.21]) * (100 if name == "rotate" else 1):
        values = np.full(len(frames), value)
        sampling = Sampling("bilinear")
        ours = OPS[name](torch.from_numpy(frames).to(device), values, sampling).cpu().numpy()
        theirs = []
        for frame in frames:
            picture = Image.fromarray(frame)
            if name == "rotate":
                theirs.append(np.asarray(picture.rotate(value, Image.Resampling.BILINEAR)))
            else:
                map_ = np.eye(2, 3)
                row, column = {"shear_x": (0, 1), "shear_y": (1, 0), "translate_x": (0, 2), "translate_y": (1, 2)}[name]
                map_[row, column] = value * {"translate_x": 84, "translate_y": 61}.get(name, 1)
                theirs.append(np.asarray(affine(picture, *map_.ravel(), resample=Image.Resampling.BILINEAR)))
        apart = np.abs(ours.astype(int) - np.stack(theirs)).max(-1)
        assert (apart > 2).mean() < 0.005  # a sample on the very edge of the frame may count as in or out
        assert (ours != frames).any()


@pytest.mark.parametrize(("angle", "quarter_turns"), [(90.0, 1), (180.0, 2), (-90.0, 3), (360.0, 0)])
def test_right_angles_lose_nothing(angle: float, quarter_turns: int, device: torch.device) -> None:
    frames = pictures(3, 32, 32)
    assert (run("rotate", frames, np.full(len(frames), angle), device) == np.rot90(frames, quarter_turns, (1, 2))).all()


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize(("fill", "colour"), [((9,), (9, 9, 9)), ((200, 100, 50), (200, 100, 50))])
def test_fill_stands_outside(
    fill: tuple[int, ...], colour: tuple[int, ...], interpolation: geometric.Interpolation, device: torch.device
) -> None:
    frames = torch.full((2, 20, 30, 3), 255, dtype=torch.uint8, device=device)
    moved = OPS["translate_x"](frames, np.array([0.5, -0.5]), Sampling(interpolation, fill)).cpu()
    assert (moved[0, :, 15:] == torch.tensor(colour)).all()
    assert (moved[1, :, :15] == torch.tensor(colour)).all()
    assert (moved[0, :, :15] == 255).all()
    assert (moved[1, :, 15:] == 255).all()


def test_frames_have_their_own_values_and_statistics(device: torch.device) -> None:
    frames = pictures(3)
    for name in OPS:
        values = OPS[name].scales["official"].values(np.linspace(2, 28, len(frames)), 1)
        together = run(name, frames, values, device)
        for i in range(len(frames)):
            assert (run(name, frames[i : i + 1], values[i : i + 1], device) == together[i : i + 1]).all(), name


def test_bits_are_whole_and_at_least_one() -> None:
    frames = pictures(3)[:4]
    found = run("posterize", frames, np.array([0.0, 1.9, 3.999, 9.0]), torch.device("cpu"))
    assert [bin(int(np.bitwise_or.reduce(frame, axis=None))) for frame in found] == [
        "0b10000000",  # noise, whose highest bit occurs
        bin(int(np.bitwise_or.reduce(frames[1] & 128, axis=None))),
        bin(int(np.bitwise_or.reduce(frames[2] & 224, axis=None))),
        bin(131),
    ]


ramps = st.sampled_from(list(OPS)).flatmap(
    lambda name: st.builds(
        Ramp,
        name=st.just(name),
        first=st.floats(*OPS[name].limits),
        last=st.floats(*OPS[name].limits),
        interpolation=st.sampled_from(["nearest", "bilinear"]),
        fill=st.sampled_from([0, 255]),
    )
)
sizes = st.tuples(*[st.integers(1, top) for top in (3, 6, 24, 24)], st.sampled_from([1, 3]))


@settings(max_examples=150, deadline=None)
@given(op=ramps, size=sizes, seed=st.integers(0, 1000), permuted=st.booleans())
def test_any_shape_and_value(op: Ramp, size: tuple[int, ...], seed: int, permuted: bool) -> None:
    rng = np.random.default_rng(seed)
    video = torch.from_numpy(rng.integers(0, 256, size, dtype=np.uint8))
    strided = video.permute(0, 4, 1, 2, 3).contiguous().permute(0, 2, 3, 4, 1) if permuted else video
    before = strided.clone()
    draws = [json.loads(json.dumps(op.draw(rng, Shape(*size[1:4])))) for _ in range(size[0])]
    made = op.apply(strided, draws)
    assert made.shape == video.shape
    assert made.dtype == torch.uint8
    assert torch.equal(strided, before)
    assert made.data_ptr() != strided.data_ptr()
    assert torch.equal(made, op.apply(video, draws))
    for i in range(size[0]):
        assert torch.equal(op.apply(video[i : i + 1], draws[i : i + 1]), made[i : i + 1])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("name", list(OPS))
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_devices_agree(name: str, interpolation: geometric.Interpolation) -> None:
    low, high = OPS[name].limits
    op = Ramp(name=name, first=low, last=high, interpolation=interpolation, fill=77)
    video = torch.from_numpy(pictures(3))[None]
    draws = [op.draw(np.random.default_rng(0), Shape(*video.shape[1:4]))]
    assert torch.equal(op.apply(video.cuda(), draws).cpu(), op.apply(video, draws))


def test_wrong_ramps_name_every_fault() -> None:
    with pytest.raises(VidaugError, match="name = 'rotat' should be a frame op; did you mean 'rotate'"):
        Ramp(name="rotat")
    with pytest.raises(VidaugError, match=r"a frame op \(there are identity, autocontrast"):
        Ramp(name="zzz")
    with pytest.raises(VidaugError) as caught:
        Ramp(name="shear_x", first=-3, last=7, fill=300)
    assert str(caught.value).splitlines() == [
        "fill = 300 should be 0 to 255, one level or three",
        "first = -3 should be -2 to 2",
        "last = 7 should be -2 to 2",
    ]
