"""The training loop: shards in, checkpoints and a history out; a run that was cut off continues where it stood."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vidaug_cli.device import autocast
from vidaug_cli.errors import DivergedError, VidaugError
from vidaug_cli.ops.clips import Clips, Target, Video
from vidaug_cli.recipe.batch import draw_and_apply
from vidaug_cli.train.batches import ClipLoader
from vidaug_cli.train.build import seed_torch
from vidaug_cli.train.distributed import torch_threads, without_sync
from vidaug_cli.train.history import EpochMetrics, MetricsLog
from vidaug_cli.train.run import TrainingRun
from vidaug_cli.train.settings import lr_share
from vidaug_cli.train.state import CheckpointWriter, Parts
from vidaug_cli.workers import Progress

HELD = 5  # first steps of a run whose batches are all there beforehand: what they take is a step without reading
WARM_UP = 2  # of these, which do not count
LOSS_INTERVAL = 10  # steps from one look at the loss to the next: looking waits for the device


class Taken(NamedTuple):
    """A step that was taken, by this process."""

    sums: Tensor  # over its clips, of the loss and of hits, float32 (2,)
    clips: int
    lr: float
    there: float  # when the batch was there, by time.perf_counter
    waited: float  # seconds for that


def train(parts: Parts, *, log: MetricsLog | None = None, progress: bool = False) -> list[EpochMetrics]:
    """Train to the end, from where the history of the parts ends.

    Args:
        parts: from `build`.
        log: of the first process.
        progress: whether to draw a bar.

    Returns the history, the metrics of each epoch.

    Raises VidaugError when the loss or the weights are not finite any more, and when a checkpoint cannot be written.
    """
    torch.backends.cudnn.benchmark = True  # every batch has one shape: let cuDNN try what is fastest for it
    run, world = parts.run, parts.world
    history, done, checkpoints = list(parts.history), len(parts.history), CheckpointWriter(parts)
    epochs, steps, batch = parts.budget.epochs, parts.budget.steps, parts.budget.batch
    if log:
        log.begin(history, parts.notes, epochs)
    held: list[float] = []  # seconds of each step on a batch that was there
    bar = Progress(epochs * steps, "step", "train", done=done * steps, show=progress)
    with torch_threads(parts.threads), bar:
        for epoch in range(done, epochs):
            sums = torch.zeros(2, device=world.device)  # of the loss, and of the hits, over this process's clips
            began, waited = time.perf_counter(), 0.0
            for step, taken in enumerate(take_steps(parts, epoch, HELD if epoch == done else 0)):
                sums += taken.sums
                waited += taken.waited
                if epoch == done and step < HELD:
                    float(sums[0])  # waits for the device
                    held.append(time.perf_counter() - taken.there)
                if step % LOSS_INTERVAL == LOSS_INTERVAL - 1 or step == steps - 1:
                    loss, seconds = float(sums[0]), time.perf_counter() - began
                    if not math.isfinite(loss):
                        raise _diverged(run, f"the loss is {loss} in epoch {epoch + 1}, step {step + 1}")
                    mean, speed = loss / ((step + 1) * taken.clips), (step + 1) * batch / seconds
                    bar.set_postfix_str(f"loss {mean:.3f}, {speed:.1f} clips/s, {waited / seconds:.0%} waiting")
                bar.update()
            seconds = time.perf_counter() - began
            loss, top1 = (world.all_reduce(sums) / (steps * batch)).tolist()
            metrics: EpochMetrics = {"epoch": epoch + 1, "lr": taken.lr, "loss": loss, "top1": top1}
            world.broadcast_buffers(parts.tested)
            if parts.validation is not None:
                metrics |= validate(parts, parts.validation)
            metrics |= {
                "clips_per_second": steps * batch / seconds,
                "waiting": waited / seconds,
                "step_seconds": seconds / steps,
                "held_step_seconds": median(held[WARM_UP:] or held[-1:]),
                "seconds": seconds,
            }
            check_finite(parts, metrics)
            history.append(metrics)
            if world.is_first:
                checkpoints.save(history)
            if log:
                with bar.aside():
                    log.add_epoch(history)
    if log:
        log.draw_curves(history)
    return history


def take_steps(parts: Parts, epoch: int, held: int = 0) -> Iterator[Taken]:
    """Take the steps of an epoch, one whenever the next is asked for.

    Nothing waits for the device. The batches of the first steps, `held` of them, are all there before the first step.
    """
    run, world, settings = parts.run, parts.world, parts.run.settings
    steps, total = parts.budget.steps, parts.budget.epochs * parts.budget.steps
    seed_torch(settings.seed, epoch, 1 + world.rank)
    parts.batches.clip_sampler.epoch = epoch
    parts.network.train()
    batches = read_batches(parts, held)
    for step in range(steps):
        asked = time.perf_counter()
        clips = next(batches)
        there = time.perf_counter()
        if run.recipe is not None:
            first = step * parts.budget.batch + world.rank * len(clips)
            clips = draw_and_apply(run.recipe, clips, seed=settings.seed, epoch=epoch, first_clip=first)
        lr = settings.lr * lr_share(epoch * steps + step, total, parts.budget.warmup)
        yield Taken(train_step(parts, clips.video, clips.target, lr), len(clips), lr, there, there - asked)


def read_batches(parts: Parts, held: int) -> Iterator[Clips]:
    """Yield the batches of an epoch, on the device; the first ones, `held` of them, once all of these are there.

    These are copies, which stay. Any other is good until the next one is asked for.
    """
    arriving = iter(parts.batches)

    def clips(batch: Sequence[Tensor], copy: bool) -> Clips:
        return Clips(*(part.to(parts.world.device, non_blocking=True, copy=copy) for part in batch))

    first = deque(clips(batch, copy=True) for batch in islice(arriving, held))
    while first:
        yield first.popleft()
    for batch in arriving:
        yield clips(batch, copy=False)


def train_step(parts: Parts, video: Video, target: Target, lr: float) -> Tensor:
    """Take one step of the optimizer, and return the sums over clips of the loss and of hits, float32 (2,).

    The clips are uint8 (B, T, H, W, 3), their soft labels float32 (B, K), both on this process's device.
    """
    settings, device = parts.run.settings, parts.world.device
    sums = torch.zeros(2, device=device)
    chunks = list(zip(video.chunk(settings.accumulate), target.chunk(settings.accumulate), strict=True))
    for number, (clips, labels) in enumerate(chunks, 1):
        with nullcontext() if number == len(chunks) else without_sync(parts.parallel):
            with autocast(device, parts.amp):
                logits = parts.parallel(clips)
            loss = cross_entropy(logits, labels, label_smoothing=settings.smoothing)
            (loss * (len(clips) / len(video))).backward()
        hits = (logits.argmax(1) == labels.argmax(1)).sum()
        sums += torch.stack([loss.detach() * len(clips), hits])
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(parts.network.parameters(), settings.clip_norm)
    for group in parts.optimizer.param_groups:
        group["lr"] = lr
    parts.optimizer.step()
    parts.optimizer.zero_grad()
    if parts.average is not None:
        parts.average.update(parts.network)
    return sums


@torch.inference_mode()
def validate(parts: Parts, clips: ClipLoader) -> EpochMetrics:
    """Return loss, top-1 and mean-class top-1 of the tested network over the clips, each by its middle."""
    network, world = parts.tested.eval(), parts.world
    shape = len(clips.crops), len(clips.crops.classes)
    logits, targets = (torch.zeros(shape, device=world.device) for _ in range(2))
    for indices, (video, target, _) in zip(clips.clip_sampler, clips, strict=True):
        rows = slice(indices[0].clip, indices[-1].clip + 1)
        with autocast(world.device, parts.amp):
            logits[rows] = network(video.to(world.device, non_blocking=True))
        targets[rows] = target.to(world.device, non_blocking=True)
    logits, targets = world.all_reduce(logits), world.all_reduce(targets)
    loss = cross_entropy(logits, targets)
    labels, answers = torch.stack([targets.argmax(1), logits.argmax(1)]).cpu().numpy()  # or each class would wait
    hits = answers == labels
    return {
        "val_loss": float(loss),
        "val_top1": float(hits.mean()),
        "val_mean_class": float(np.mean([hits[labels == label].mean() for label in np.unique(labels)])),
    }


def check_finite(parts: Parts, metrics: EpochMetrics) -> None:
    """Raise VidaugError when metrics or tested weights are not finite, so that no checkpoint holds them."""
    weights = torch.stack([value.isfinite().all() for value in parts.tested.state_dict().values()])  # for one wait
    if not (all(map(math.isfinite, metrics.values())) and bool(weights.all())):
        raise _diverged(parts.run, f"weights or losses are not finite after epoch {metrics['epoch']}")


def _diverged(run: TrainingRun, what: str) -> VidaugError:
    hint = "start again with a lower --lr, a longer --warmup, --clip-norm 1 or --amp off"
    return DivergedError(what, where=run.folder, hint=hint)
