"""The yardstick of `benchmarks/augment.py` makes the clips that `vidaug augment` does, else their times say nothing."""

from __future__ import annotations

import runpy
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from video_makers import write

from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import run
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.format import shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.recipe.loading import load_recipe

STRAIGHTFORWARD = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks/straightforward.py"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth patterns that move, a video of each in two classes: how one scales them makes little difference."""
    folder = tmp_path_factory.mktemp("smooth")
    y, x = np.mgrid[:72, :96] / 72
    for number in range(6):
        (folder / str(number % 2)).mkdir(exist_ok=True)
        waves = [
            np.stack([np.sin(a * x + b * y + t / 5 + number) for a, b in ((4, 1), (2, 5), (1, 3))], -1)
            for t in range(14)
        ]
        pictures: list[NDArray[np.uint8]] = [(128 + 90 * wave).astype(np.uint8) for wave in waves]
        write(folder / str(number % 2) / f"{number}.mp4", pictures, "mpeg4", "yuv420p")
    return folder


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize(("recipe", "most"), [("fademixup", 2), ("randaugment_t", 4)])
def test_it_makes_the_same_clips(videos: Path, tmp_path: Path, recipe: str, most: float, careful: bool) -> None:
    spec = ClipSpec(frames=8, size=48)
    rows = tuple(read_input(str(videos)).rows)
    plan = Plan(rows=rows, recipe=load_recipe(recipe), spec=spec, copies=3, copies_per_round=2)
    run(plan, tmp_path / "out", Engine())
    differences, others = [], []
    for index in range(plan.shard_count):
        STRAIGHTFORWARD["make_shard"](tmp_path / "out", index, tmp_path, careful)
        with Shard(shard_path(tmp_path / "out", index)) as shard, h5py.File(tmp_path / f"{index}.h5") as plain:
            ours = np.stack([shard.video(clip) for clip in range(len(shard))]).astype(float)
            theirs = plain["clips"][:].astype(float)
            np.testing.assert_allclose(plain["labels"][:], shard.column("labels"), atol=1e-6)
        assert ours.shape == theirs.shape
        differences += np.abs(ours - theirs).mean((1, 2, 3, 4)).tolist()
        others += np.abs(ours - np.roll(theirs, 1, 0)).mean((1, 2, 3, 4)).tolist()
    assert len(differences) == plan.clips
    assert np.median(differences) < most  # levels; colours are converted and scaled in other ways
    assert np.median(others) > 5 * most
