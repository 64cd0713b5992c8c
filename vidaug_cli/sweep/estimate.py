"""How long a sweep would take, by a few steps of training."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from vidaug_cli.ops.clips import Clips
from vidaug_cli.recipe.batch import draw_and_apply
from vidaug_cli.sweep.plan import Sweep
from vidaug_cli.train.build import build
from vidaug_cli.train.distributed import World, torch_threads
from vidaug_cli.train.loop import train_step
from vidaug_cli.train.run import TrainingRun
from vidaug_cli.train.settings import budget_of

STEPS = 2  # that are timed; one before them is not
START = 4.0  # seconds that a run takes beside its steps: a process, files, scores


def estimate_seconds(sweep: Sweep, *, workers: int, threads: int, device: str) -> float:
    """Return about how many seconds all runs take, with so many side by side.

    A step of each configuration is timed by itself: runs side by side on a busy machine take longer. Reading clips and
    validation are not counted. Raises VidaugError as `build` does.
    """
    runs = [sweep.trainings[each.number, sweep.parts[0]] for each in sweep.configurations]
    costs: dict[object, float] = {}
    total = 0.0
    for run in runs:
        kind = run.architecture, run.shape, run.recipe and run.recipe.text, run.settings.batch_size
        if kind not in costs:
            costs[kind] = _seconds_per_clip(run, World(device), threads)
        for rung in sweep.rungs:
            share = rung.configurations / len(runs)  # of the configurations, any of which may be in it
            budget = budget_of(rung.settings(run.settings), len(run.shards.dataset))
            total += share * (START + budget.clips_seen * costs[kind])
    return total * sweep.seeds * len(sweep.parts) / workers


def _seconds_per_clip(run: TrainingRun, world: World, threads: int) -> float:
    """Time steps on noise: a network's cost does not depend on what it sees."""
    with TemporaryDirectory() as folder, torch_threads(threads):
        parts = build(replace(run, folder=Path(folder)), world, threads=threads)
        batch = parts.batches.clip_sampler.batch
        shape = batch, *run.shape, 3
        video = torch.randint(0, 256, shape, dtype=torch.uint8, device=world.device)
        target = torch.full((batch, len(run.classes)), 1 / len(run.classes), device=world.device)
        weights = torch.ones(batch, run.shape.t, device=world.device)
        began = 0.0
        for step in range(STEPS + 1):
            clips = Clips(video, target, weights)
            if run.recipe is not None:
                clips = draw_and_apply(run.recipe, clips, seed=0, epoch=step, first_clip=0)
            float(train_step(parts, clips.video, clips.target, run.settings.lr)[0])  # waits for the device
            if step == 0:
                began = time.perf_counter()
        return (time.perf_counter() - began) / (STEPS * batch)
