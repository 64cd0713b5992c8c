"""A small labelled folder of videos made by the program, so that everything can be tried with no download.

A few textured things lie over a textured background. The pose of a thing (x, y, size, angle) is a point on a torus:
what leaves on one side comes back on the other, and what has grown to the largest size begins again at the smallest.
Poses are drawn uniformly, and a class is nothing but the direction in which all of them flow. A uniform point that
flows around a torus stays uniform, so **a frame at any time has the same distribution in every class**; one has to
look over time to tell them apart, and left played backwards is right. Background, things, first frame, speed, length,
picture size, rate and codec follow from the video's number alone and are the same for every class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vidaug_cli.data.video.encode import VideoCodec, write_video
from vidaug_cli.errors import OccupiedError

MOTIONS = {  # cycles of (x, y, size, angle), y downwards, angle clockwise
    "left": (-1, 0, 0, 0),
    "right": (1, 0, 0, 0),
    "up": (0, -1, 0, 0),
    "down": (0, 1, 0, 0),
    "grow": (0, 0, 1, 0),
    "turn": (0, 0, 0, 1),
}
SMALL, LARGE = 0.14, 0.42  # side of a thing, as a share of the picture's short side
TEXTURE = 64  # pixels
REACH = 0.61  # from the middle of a square with these round corners to its farthest point, as a share of its side


class Format(NamedTuple):
    """What a file looks like from outside."""

    width: int
    height: int
    fps: int
    codec: VideoCodec
    suffix: str


FORMATS = (  # video n has format n, around and around
    Format(320, 240, 30, "h264", ".mp4"),
    Format(320, 240, 30, "mpeg4", ".avi"),
    Format(428, 312, 30, "h264", ".mp4"),
    Format(320, 240, 25, "mpeg4", ".avi"),
    Format(240, 320, 30, "h264", ".mp4"),
    Format(320, 240, 15, "mpeg4", ".avi"),
    Format(320, 240, 25, "h264", ".mp4"),
    Format(320, 240, 30, "mpeg4", ".avi"),
)


@dataclass(frozen=True)
class Scene:
    """Everything of a video but its class."""

    background: Image.Image
    textures: list[Image.Image]  # RGBA
    poses: NDArray[np.float64]  # (things, 4), uniform in [0, 1): x, y, size, angle at time 0
    speed: float  # cycles per second
    frames: int


def draw_scene(rng: np.random.Generator, width: int, height: int) -> Scene:
    """Draw a scene of 72 to 120 frames."""
    things = int(rng.integers(8, 11))
    return Scene(
        background=_background(rng, width, height),
        textures=[_texture(rng) for _ in range(things)],
        poses=rng.random((things, 4)),
        speed=rng.uniform(0.25, 0.4),
        frames=int(rng.integers(72, 121)),
    )


def render_frame(scene: Scene, motion: str, seconds: float) -> NDArray[np.uint8]:
    """Return the scene at a time, before or after 0, as uint8 (H, W, 3)."""
    picture = scene.background.copy()
    poses = (scene.poses + scene.speed * seconds * np.array(MOTIONS[motion])) % 1
    for texture, pose in zip(scene.textures, poses, strict=True):
        _place(picture, texture, *pose.tolist())
    return np.asarray(picture)


def write_synthetic(folder: Path, per_class: int = 8, seed: int = 0, *, overwrite: bool = False) -> Iterator[Path]:
    """Write `folder/CLASS/CLASS_000.mp4` and so on, one for each step of the iterator, and then UCF101 split lists.

    A quarter of the scenes is held out for testing, in all classes. The same arguments give the same frames.

    Raises VidaugError when the folder holds anything that this call would not write, or, without `overwrite`, would
    write again.
    """
    videos = [(label, number) for number in range(per_class) for label in MOTIONS]
    lists = _split_lists(per_class)
    _check_folder(folder, {_video_name(*video) for video in videos} | set(lists), overwrite)
    for name in (*MOTIONS, "splits"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:  # encoding lets go of Python's lock, drawing mostly not: more gain nothing
        yield from pool.map(lambda video: _write_one(folder, seed, *video), videos)
    for name, lines in lists.items():
        (folder / name).write_text("\n".join(lines) + "\n")


def _write_one(folder: Path, seed: int, label: str, number: int) -> Path:
    kind = FORMATS[number % len(FORMATS)]
    scene = draw_scene(np.random.default_rng([seed, number]), kind.width, kind.height)
    frames = (render_frame(scene, label, frame / kind.fps) for frame in range(scene.frames))
    path = folder / _video_name(label, number)
    write_video(path, frames, kind.fps, kind.codec)
    return path


def _video_name(label: str, number: int) -> str:
    return f"{label}/{label}_{number:03}{FORMATS[number % len(FORMATS)].suffix}"


def _split_lists(per_class: int) -> dict[str, list[str]]:
    """Return the lines of the files of the UCF101 recognition task, by name."""
    held_out = min(per_class - 1, max(1, per_class // 4))
    train, test = range(per_class - held_out), range(per_class - held_out, per_class)
    return {
        "splits/classInd.txt": [f"{number} {label}" for number, label in enumerate(MOTIONS, 1)],
        "splits/trainlist01.txt": [f"{_video_name(label, n)} {i}" for i, label in enumerate(MOTIONS, 1) for n in train],
        "splits/testlist01.txt": [_video_name(label, n) for label in MOTIONS for n in test],
    }


def _check_folder(folder: Path, own: set[str], overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OccupiedError("is a file", where=folder, hint="name a new folder")
    files = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    for path in files:
        if (name := path.relative_to(folder).as_posix()) not in own or path.is_symlink():
            what = f"holds {name!r}, which is not one of the files to be written"
            raise OccupiedError(what, where=folder, hint="name a new or an empty folder")
    if files and not overwrite:
        what = "holds the synthetic videos, or some of them"
        raise OccupiedError(what, where=folder, hint="use them, or write them anew with --overwrite")


def _background(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw muted blotches with finer ones on top."""
    coarse, fine = (
        Image.fromarray(rng.integers(70, 186, (*shape, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        for shape in ((3, 4), (24, 32))
    )
    return Image.blend(coarse, fine, 0.3)


def _texture(rng: np.random.Generator) -> Image.Image:
    """Draw a square with round corners, of 3 x 3 blocks of any colour."""
    blocks = Image.fromarray(rng.integers(0, 256, (3, 3, 3), np.uint8))
    picture = blocks.resize((TEXTURE, TEXTURE), Image.Resampling.NEAREST)
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rounded_rectangle((1, 1, TEXTURE - 2, TEXTURE - 2), radius=TEXTURE // 4, fill=255)
    picture.putalpha(mask)
    return picture


def _place(picture: Image.Image, texture: Image.Image, x: float, y: float, size: float, angle: float) -> None:
    """Paste a thing by its pose on the torus, with sub-pixel accuracy so that slow motion is smooth.

    Near both ends of the sizes it is faint, in every class, so that a growing one fades in and out and does not jump.
    """
    short = min(picture.size)
    side = short * SMALL * (LARGE / SMALL) ** size
    margin = short * LARGE * REACH  # far enough outside for the largest to be out of sight
    span = zip((x, y), picture.size, strict=True)
    centre_x, centre_y = (-margin + place * (length + 2 * margin) for place, length in span)
    reach = math.ceil(side * REACH) + 1
    if not (-reach < centre_x < picture.width + reach and -reach < centre_y < picture.height + reach):
        return
    left, top = math.floor(centre_x) - reach, math.floor(centre_y) - reach
    cos, sin = (TEXTURE / side * turn(2 * math.pi * angle) for turn in (math.cos, math.sin))
    dx, dy = centre_x - left, centre_y - top
    to_texture = (cos, sin, TEXTURE / 2 - cos * dx - sin * dy, -sin, cos, TEXTURE / 2 + sin * dx - cos * dy)
    window = (2 * reach + 1, 2 * reach + 1)
    patch = texture.transform(window, Image.Transform.AFFINE, to_texture, Image.Resampling.BILINEAR)
    opacity = min(1.0, 6 * size, 6 * (1 - size))
    picture.paste(patch, (left, top), patch.getchannel("A").point(lambda level: level * opacity))
