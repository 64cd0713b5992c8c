"""What a run will take, by some steps, a test and a checkpoint of its own, of which nothing stays."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count as counted
from itertools import islice

import torch

from vidaug_cli.augment.output import check_place
from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import estimate as estimate_clips
from vidaug_cli.data.manifest import Row
from vidaug_cli.errors import SettingError
from vidaug_cli.train.batches import AHEAD, ClipLoader
from vidaug_cli.train.build import build, middle_loader
from vidaug_cli.train.checkpoint import as_bytes
from vidaug_cli.train.distributed import World, torch_threads
from vidaug_cli.train.job import first_lines
from vidaug_cli.train.loop import HELD, Taken, take_steps, validate
from vidaug_cli.train.memory import children_memory, peak_memory
from vidaug_cli.train.run import TrainingRun, check_folder, held_videos, validation_plan
from vidaug_cli.train.state import CheckpointWriter, Parts
from vidaug_cli.words import count, duration, human_bytes, percent
from vidaug_cli.workers import free_memory, worker_count

SECONDS = 3.0  # that steps are timed for, and ...
LEAST = 2  # ... as many steps, at least
PATIENCE = 30.0  # seconds after which one is content with less
TESTED = 3  # batches of a test that is timed


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast steps go that read their clips, once a run has started."""

    steps: int  # that were timed
    step_seconds: float
    waiting: float  # share of that in which the clips were not there yet
    start_seconds: float  # that the steps before took longer: processes start, and a network is compiled


@dataclass(frozen=True, kw_only=True)
class RunEstimate:
    """What a run of training takes, or what is left of one that goes on, on this machine as busy as it was."""

    clips: int  # to train on
    classes: int
    tested: int  # clips of the test after each epoch; 0: no test
    network: str
    parameters: int
    batch: int  # clips of a step
    frames: int  # of a clip as it goes into the network
    slow_frames: int  # of these, how many its Slow pathway sees
    fast_frames: int
    size: int  # rows, and columns, of a frame
    epochs: int  # of the whole run
    epochs_done: int  # of these, done by an earlier command
    steps_per_epoch: int
    steps: int  # that are left, in all epochs
    step_seconds: float  # of a step, with reading
    waiting: float  # share of it in which the clips were not there yet
    test_seconds: float  # of the test after an epoch; 0: no test
    start_seconds: float  # before steps are at their pace: clips to test on are rendered, a network is compiled
    seconds: float  # of all that is left; without writing checkpoints
    memory_bytes: int  # the most that the process had, in the steps, the test and the making of a checkpoint
    readers_bytes: int | None  # what the processes that read have for themselves; None: the system does not say
    free_bytes: int | None  # of the machine, or of the container, before all this; None: the system does not say
    gpu_bytes: int | None  # the most that tensors took of the GPU; None: there is none
    gpu_total_bytes: int | None  # that it has
    device: str
    threads: int  # that compute
    workers: int  # processes that read
    timed_steps: int  # that `step_seconds` is the mean of

    @property
    def epoch_seconds(self) -> float:
        """Of an epoch with its test."""
        return self.steps_per_epoch * self.step_seconds + self.test_seconds

    @property
    def lines(self) -> list[str]:
        """The estimate for people."""
        tested = f", and {self.tested:,} to test on" if self.tested else ""
        are = "is" if self.epochs_done == 1 else "are"
        left = f"of which {self.epochs_done} {are} done and {count(self.steps, 'step')} left"
        test = f", a test {_seconds(self.test_seconds)}" if self.tested else ""
        readers = f" and {human_bytes(self.readers_bytes)} in those that read" if self.readers_bytes else ""
        free = f" ({human_bytes(self.free_bytes)} free)" if self.free_bytes is not None else ""
        of_gpu = human_bytes(self.gpu_total_bytes or 0)
        gpu = "" if self.gpu_bytes is None else f"; of the GPU's {of_gpu} about {human_bytes(self.gpu_bytes)}"
        return [
            f"{count(self.clips, 'clip')} of {count(self.classes, 'class')} to train on{tested}",
            f"{self.network}, {self.parameters / 1e6:.2f} M parameters: a step takes {count(self.batch, 'clip')} of "
            f"{self.frames} x {self.size} x {self.size}, of which Slow sees {self.slow_frames} frames and Fast "
            f"{self.fast_frames}",
            f"{count(self.epochs, 'epoch')} of {count(self.steps_per_epoch, 'step')}, "
            f"{self.epochs * self.steps_per_epoch:,} in all{f', {left}' if self.epochs_done else ''}",
            f"a step takes {_seconds(self.step_seconds)} ({percent(self.waiting)} waiting for clips){test}, "
            f"an epoch {_seconds(self.epoch_seconds)}; all that is left about {duration(self.seconds)}",
            f"memory: about {human_bytes(self.memory_bytes)} in this process{readers}{free}{gpu}",
            f"measured on {self.device} in {count(self.timed_steps, 'step')} after the first ones, with "
            f"{count(self.threads, 'thread')} and {count(self.workers, 'process')} to read clips",
        ]


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def estimate_run(
    run: TrainingRun,
    world: World,
    *,
    preset: str = "",
    videos: Callable[[], Sequence[Row]] | None = None,
    where: object = "",
    workers: int | None = None,
    threads: int | None = None,
    compiled: bool = False,
    overwrite: bool = False,
    extend: bool = False,
    say: Callable[[str], None] = print,
) -> RunEstimate:
    """Return what `train_run` would take with the same arguments, by some of its steps; nothing is written.

    Memory is that of this process since it began, whatever else it did before. Raises VidaugError as `train_run`, and
    where several processes train together.
    """
    if world.size > 1:
        share = max(1, run.settings.batch_size // world.size)
        hint = f"start it without torchrun, and with --batch-size {share}, the share of one of them"
        raise SettingError(f"--dry-run is for one process, and there are {world.size}", hint=hint)
    if videos is None and run.validation is None and run.shards.hold_out is not None:
        videos = partial(held_videos, run)
    check_folder(run.folder)
    free = free_memory()
    workers = world.default_workers if workers is None else workers
    parts = build(
        run,
        world,
        workers=workers,
        threads=threads,
        compiled=compiled,
        overwrite=overwrite,
        validation_follows=videos is not None,
        extend=extend,
    )
    tested = len(run.validation.dataset) if run.validation else 0
    rendering = 0.0
    if videos is not None:
        plan = validation_plan(run, videos(), where=where)
        tested, rendering = plan.clips, _rendering_seconds(plan, run, overwrite=overwrite)
        # The clips are not there: those to train on, of the same shape, are as much work.
        parts = replace(parts, validation=middle_loader(run, run.shards, parts.budget.batch, world, workers))
    for line in [*run.shards.notes, *first_lines(parts, preset, extend=extend), *parts.notes]:
        say(line)
    pace = measure_steps(parts)
    test = measure_test(parts, parts.validation) * tested if parts.validation else 0.0
    CheckpointWriter(parts, write=lambda path, checkpoint: as_bytes(checkpoint)).save([{"epoch": 1}])  # for its memory
    epochs, done, steps = parts.budget.epochs, len(parts.history), parts.budget.steps
    start = rendering + pace.start_seconds
    slow, fast = run.pathway_frames
    on_gpu = world.device.startswith("cuda")
    return RunEstimate(
        clips=len(run.shards.dataset),
        classes=len(run.classes),
        tested=tested,
        network=run.settings.network,
        parameters=sum(weight.numel() for weight in parts.network.parameters()),
        batch=parts.budget.batch,
        frames=run.clip.frames,
        slow_frames=slow,
        fast_frames=fast,
        size=run.clip.size,
        epochs=epochs,
        epochs_done=done,
        steps_per_epoch=steps,
        steps=(epochs - done) * steps,
        step_seconds=pace.step_seconds,
        waiting=pace.waiting,
        test_seconds=test,
        start_seconds=start,
        seconds=start + (epochs - done) * (steps * pace.step_seconds + test) if done < epochs else 0.0,
        memory_bytes=peak_memory(),
        readers_bytes=children_memory(),
        free_bytes=int(free) if math.isfinite(free) else None,
        gpu_bytes=torch.cuda.max_memory_allocated(world.device) if on_gpu else None,
        gpu_total_bytes=torch.cuda.mem_get_info(world.device)[1] if on_gpu else None,
        device=world.device,
        threads=parts.threads,
        workers=parts.batches.num_workers,
        timed_steps=pace.steps,
    )


def _rendering_seconds(plan: Plan, run: TrainingRun, *, overwrite: bool) -> float:
    """Return how long clips to test on take to be made, once for all epochs. Raises ShardError as `augment`."""
    differing = check_place(plan, run.validation_folder, overwrite=overwrite)
    if run.is_rendered and not differing:
        return 0.0
    return estimate_clips(plan, run.validation_folder, Engine(), worker_count(0), overwrite=overwrite).seconds


def measure_steps(parts: Parts) -> Pace:
    """Take steps of a run, as many as say how long the others take. The parts are good for no training afterwards.

    What waits in memory when a run begins hides how long reading takes: first its steps are taken. Steps that take
    long are fewer: `HELD` before those that are timed.
    """
    torch.backends.cudnn.benchmark = True  # as in training
    steps, workers = _steps(parts), parts.batches.num_workers
    began, before = time.perf_counter(), 0

    def take(number: int) -> list[Taken]:
        taken = list(islice(steps, number))
        float(taken[-1].sums[0])  # waits for the device
        return taken

    with torch_threads(parts.threads):
        while before < HELD or (before < HELD + AHEAD * workers and time.perf_counter() - began < PATIENCE):
            before += len(take(1))
        started = time.perf_counter()
        timed = take(LEAST)
        while (passed := time.perf_counter() - started) < (SECONDS if len(timed) >= workers else PATIENCE):
            timed += take(LEAST)
    each = passed / len(timed)
    return Pace(
        steps=len(timed),
        step_seconds=each,
        waiting=sum(step.waited for step in timed) / passed,
        start_seconds=max(0.0, started - began - before * each),
    )


def _steps(parts: Parts) -> Iterator[Taken]:
    """Yield steps without an end, from where the run stands, beyond its last epoch too."""
    for epoch in counted(len(parts.history)):
        yield from take_steps(parts, epoch, HELD if epoch == len(parts.history) else 0)


def measure_test(parts: Parts, clips: ClipLoader) -> float:
    """Return the seconds of a test of the clips by each of them, from a few batches."""
    order = clips.clip_sampler
    batches = min(len(order), max(TESTED, clips.num_workers))
    with torch_threads(parts.threads):
        for order.steps in (1, batches):  # the first time pays for starting up
            began = time.perf_counter()
            validate(parts, clips)
    return (time.perf_counter() - began) / min(order.clips, batches * order.batch)
