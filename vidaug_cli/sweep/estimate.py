"""How long a sweep would take, by a few steps of training."""

from __future__ import annotations

from vidaug_cli.sweep.plan import Sweep
from vidaug_cli.train.build import build
from vidaug_cli.train.distributed import World
from vidaug_cli.train.estimate import measure_steps
from vidaug_cli.train.settings import budget_of

START = 4.0  # seconds that a run takes beside its steps: a process, files, scores


def estimate_seconds(sweep: Sweep, *, workers: int, threads: int, device: str, readers: int) -> float:
    """Return about how many seconds all runs take, with so many side by side.

    Steps of each configuration are timed by themselves: runs side by side on a busy machine take longer. Validation is
    not counted. Nothing is written. Raises VidaugError as `build` does.
    """
    runs = [sweep.trainings[each.number, sweep.parts[0]] for each in sweep.configurations]
    costs: dict[object, float] = {}
    total = 0.0
    for run in runs:
        kind = run.architecture, run.shape, run.recipe and run.recipe.text, run.settings.batch_size
        if kind not in costs:
            parts = build(run, World(device), workers=readers, threads=threads, overwrite=True)
            costs[kind] = measure_steps(parts).step_seconds / parts.budget.batch
        for rung in sweep.rungs:
            share = rung.configurations / len(runs)  # of the configurations, any of which may be in it
            budget = budget_of(rung.settings(run.settings), len(run.shards.dataset))
            total += share * (START + budget.clips_seen * costs[kind])
    return total * sweep.seeds * len(sweep.parts) / workers
