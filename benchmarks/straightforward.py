"""The straightforward way to the same clips, as one would write it in an afternoon: the yardstick of `augment.py`.

Frames to RGB by PyAV, crop, resize and ops by Pillow frame by frame, mixing in numpy, h5py with one chunk a clip.
It draws nothing itself: it takes the numbers of the plan, so that both ways make the same clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import h5py
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from vidaug_cli.augment.plan import Plan, read_plan
from vidaug_cli.augment.render import Cut, clip_shape, draw_cut, draw_mixture
from vidaug_cli.ops.blend import UNMIXED, frame_weights
from vidaug_cli.ops.clips import ramp
from vidaug_cli.ops.frame_ops import OPS
from vidaug_cli.ops.randaugment import RandAugmentT


def affine(image: Image.Image, *coefficients: float) -> Image.Image:
    """Return the picture as its affine transform, by Pillow's six coefficients."""
    return image.transform(image.size, Image.Transform.AFFINE, coefficients)


PILLOW: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "identity": lambda image, value: image,
    "autocontrast": lambda image, value: ImageOps.autocontrast(image),
    "equalize": lambda image, value: ImageOps.equalize(image),
    "invert": lambda image, value: ImageOps.invert(image),
    "rotate": lambda image, value: image.rotate(value),
    "shear_x": lambda image, value: affine(image, 1, value, 0, 0, 1, 0),
    "shear_y": lambda image, value: affine(image, 1, 0, 0, value, 1, 0),
    "translate_x": lambda image, value: affine(image, 1, 0, value * image.width, 0, 1, 0),
    "translate_y": lambda image, value: affine(image, 1, 0, 0, 0, 1, value * image.height),
    "posterize": lambda image, value: ImageOps.posterize(image, max(1, int(value))),
    "solarize": lambda image, value: ImageOps.solarize(image, math.ceil(value)),
    "color": lambda image, value: ImageEnhance.Color(image).enhance(value),
    "contrast": lambda image, value: ImageEnhance.Contrast(image).enhance(value),
    "brightness": lambda image, value: ImageEnhance.Brightness(image).enhance(value),
    "sharpness": lambda image, value: ImageEnhance.Sharpness(image).enhance(value),
}


def read_frames(path: Path, wanted: NDArray[np.int32], careful: bool) -> list[Image.Image]:
    """Return frames: of the whole video made an array, or (careful) with no frame converted that is not taken."""
    frames = {}
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if not careful or number in wanted:
                frames[number] = frame.to_ndarray(format="rgb24")
            if careful and number == wanted.max():
                break
    return [Image.fromarray(frames[number]) for number in wanted.tolist()]


def make_clip(plan: Plan, cut: Cut, careful: bool) -> NDArray[np.uint8]:
    """Return a clip of a plan before it is mixed, (T, H, W, 3)."""
    crop, size = cut.sample.crop, (plan.spec.size, plan.spec.size)
    box = (crop.x, crop.y, crop.x + crop.side, crop.y + crop.side)
    images = read_frames(plan.rows[cut.slot.row].file, cut.frames, careful)
    images = [image.crop(box).resize(size, Image.Resampling.BILINEAR) for image in images]
    if cut.sample.flip:
        images = [ImageOps.mirror(image) for image in images]
    for step, draw in zip(plan.recipe.augment, cut.augment, strict=True):
        assert isinstance(step.op, RandAugmentT)  # of the recipes of augment.py, nothing else augments
        for layer in draw["layers"] if draw else ():
            scale = OPS[layer["op"]].scales[step.op.table]
            values = scale.values(ramp(layer["first"], layer["last"], len(images)), layer["sign"]).tolist()
            op = PILLOW[layer["op"]]
            images = [op(image, value) for image, value in zip(images, values, strict=True)]
    return np.stack([np.asarray(image) for image in images])


def make_shard(out: Path, index: int, folder: Path, careful: bool) -> int:
    """Write one shard of the plan that lies in `out` into `folder`; return the number of clips."""
    plan = read_plan(out)
    groups = plan.groups(index)
    count = len(plan.slots(index))
    shape = (*clip_shape(plan), 3)
    with h5py.File(folder / f"{index}.h5", "w") as file:
        clips = file.create_dataset("clips", (count, *shape), np.uint8, chunks=(1, *shape), fletcher32=True)
        labels = file.create_dataset("labels", (count, len(plan.classes)), np.float32)
        place = 0
        for ring in (ring for group in groups for ring in group):
            cuts = [draw_cut(plan, slot) for slot in ring]
            made = [make_clip(plan, cut, careful) for cut in cuts]
            for (a, own), (b, partner) in pairwise([*zip(cuts, made, strict=True), (cuts[0], made[0])]):
                mixture = draw_mixture(plan, a.slot)
                blend = mixture.blend if mixture else UNMIXED
                if mixture:
                    field = np.empty((*clip_shape(plan), 1), np.float32)
                    field[:] = ramp(blend.first, blend.last, len(field))[:, None, None, None]
                    field[blend.box.slices] = blend.inside
                    own = (field * own + (1 - field) * partner).round().astype(np.uint8)
                clips[place] = own
                share = frame_weights(blend, clip_shape(plan)).mean()
                labels[place, plan.labels[a.slot.row]] += share
                labels[place, plan.labels[b.slot.row]] += 1 - share
                place += 1
    return count


def make_shards(out: Path, folder: Path, processes: int, careful: bool) -> int:
    """Write all shards of the plan that lies in `out` into `folder`; return the number of clips."""
    plan = read_plan(out)
    tasks = (delayed(make_shard)(out, index, folder, careful) for index in range(plan.shard_count))
    return sum(Parallel(n_jobs=processes)(tasks))
