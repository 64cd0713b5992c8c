"""The training loop: shards in, checkpoints and a history out; a run that was cut off goes on where it stood."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vidaug_cli.device import autocast
from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.clips import Clips, Target, Video
from vidaug_cli.recipe.batch import draw_and_apply
from vidaug_cli.rng import Step, generator
from vidaug_cli.train.batches import ALONE, Cuts, Order, loader
from vidaug_cli.train.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from vidaug_cli.train.checks import check_share, notes, refuse_another, thread_notes, threads_before
from vidaug_cli.train.distributed import Processes, computing
from vidaug_cli.train.history import Log, Row
from vidaug_cli.train.pretrained import Initialised, initialise
from vidaug_cli.train.resume import restore, training_tensors
from vidaug_cli.train.run import Job
from vidaug_cli.train.settings import Settings, lr_share
from vidaug_cli.train.slowfast import SlowFast
from vidaug_cli.workers import Progress

# Fused: apart, the dozen of passes over the weights take over a third of a step of R50 on the CPU.
OPTIMIZERS: dict[str, Callable[[Any, Settings], Optimizer]] = {
    "sgd": lambda weights, s: SGD(
        weights, s.lr, s.momentum, weight_decay=s.weight_decay, nesterov=s.momentum > 0, fused=True
    ),
    "adam": lambda weights, s: Adam(weights, s.lr, weight_decay=s.weight_decay, fused=True),
    "adamw": lambda weights, s: AdamW(weights, s.lr, weight_decay=s.weight_decay, fused=True),
}
SLOW, SPARED = 1.0, 20  # a checkpoint that takes so many seconds is written after so many times as long at the earliest
CHECKED = 10  # steps from one look at the loss to the next: looking waits for the device


class Trainer:
    """A network and what steps it: one job in one process."""

    def __init__(
        self,
        job: Job,
        here: Processes,
        *,
        workers: int = 0,
        threads: int | None = None,
        compiled: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Raises VidaugError when the job's folder holds another run, and it is not to be overwritten."""
        self.job, self.here, self.settings = job, here, job.settings
        self.device = torch.device(here.device)
        self.amp = check_share(job, here)
        clips, going_on = len(job.shards.clips), job.last.exists() and not overwrite
        self.batch = min(self.settings.batch_size, clips // here.size * here.size)
        self.notes = list(notes(job, here, self.batch))  # what is otherwise than one may think
        self._seed(0, 0)
        network = SlowFast(job.architecture, len(job.classes))
        self.initialised: Initialised | None = None
        if job.init is not None and not going_on:
            self.initialised = initialise(network, job.init, job.classes)
            self.notes += [f"{job.init}: {note}" for note in self.initialised.notes]
        network.to(self.device)
        if self.settings.sync_bn and here.size > 1:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        self.network = network
        self.optimizer = OPTIMIZERS[self.settings.optimizer](network.parameters(), self.settings)
        self.average: AveragedModel | None = None
        if self.settings.ema is not None:
            decay = get_ema_multi_avg_fn(self.settings.ema)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(network, multi_avg_fn=decay, use_buffers=True)
        self.history: list[Row] = []
        self._best: Checkpoint | None = None  # of the best epoch, until it is written
        self._written, self._cost = -math.inf, 0.0  # when the checkpoints were, and the seconds that took
        self.threads = threads or here.threads
        if going_on:
            kept = read_checkpoint(job.last)
            self._restore(kept)
            if before := threads_before(kept):
                self.threads = threads or before
                self.notes += thread_notes(job, here, before, threads)
        if compiled:
            network.compile()
        self.parallel = here.parallel(network)
        pin = self.device.type == "cuda"
        self.order = Order(clips, self.batch, rank=here.rank, size=here.size, seed=self.settings.seed)
        cuts = Cuts(job.shards.clips, job.shape, flip=self.settings.flip, seed=self.settings.seed)
        self.batches = loader(cuts, self.order, workers=workers, pin=pin)
        self.notes += [ALONE] * (self.batches.num_workers < workers)
        if job.validation is not None:
            cuts = Cuts(job.validation.clips, job.shape, classes=job.classes)
            self.held_out_order = Order(len(cuts), self.batch, rank=here.rank, size=here.size, shuffle=False)
            self.held_out = loader(cuts, self.held_out_order, workers=workers, pin=pin)

    @property
    def tested(self) -> SlowFast:
        """The network that is tested and kept: the average, if there is one."""
        return self.network if self.average is None else cast(SlowFast, self.average.module)

    def epoch(self, bar: Progress) -> Row:
        """One pass over the shards, and a look at the validation clips."""
        number, steps = len(self.history), len(self.order)
        self.order.epoch = number
        self._seed(number, 1 + self.here.rank)
        self.network.train()
        sums = torch.zeros(2, device=self.device)  # of the loss, and of the hits, over clips
        began, waited = time.perf_counter(), 0.0
        arriving = iter(self.batches)
        for step in range(steps):
            asked = time.perf_counter()
            video, target, weights = (part.to(self.device, non_blocking=True) for part in next(arriving))
            waited += time.perf_counter() - asked
            video, target = self._augment(Clips(video, target, weights), step)
            share = lr_share(number * steps + step, self.settings.epochs * steps, self.settings.warmup * steps)
            sums += self.step(video, target, self.settings.lr * share)
            if step % CHECKED == CHECKED - 1 or step == steps - 1:
                self._check(float(sums[0]), step)
                seen, seconds = (step + 1) * self.batch, time.perf_counter() - began
                loss = float(sums[0]) / (seen / self.here.size)
                bar.set_postfix_str(f"loss {loss:.3f}, {seen / seconds:.1f} clips/s, {waited / seconds:.0%} waiting")
            bar.update()
        seconds = time.perf_counter() - began
        loss, hits = (self.here.sum(sums) / (steps * self.batch)).tolist()
        row = {"epoch": number + 1, "lr": self.settings.lr * share, "loss": loss, "top1": hits}
        self.here.share_statistics(self.tested)
        speed = {"clips_per_second": steps * self.batch / seconds, "waiting": waited / seconds, "seconds": seconds}
        return row | (self.validate() if self.job.validation else {}) | speed

    def step(self, video: Video, target: Target, lr: float) -> Tensor:
        """One step of the optimizer; returns the sums over clips of the loss and of hits, float32 (2,)."""
        sums = torch.zeros(2, device=self.device)
        parts = list(zip(video.chunk(self.settings.accumulate), target.chunk(self.settings.accumulate), strict=True))
        for number, (part, labels) in enumerate(parts, 1):
            with nullcontext() if number == len(parts) else self.here.apart(self.parallel):
                with autocast(self.here.device, self.amp):
                    logits = self.parallel(part)
                loss = cross_entropy(logits, labels, label_smoothing=self.settings.smoothing)
                (loss * (len(part) / len(video))).backward()  # type: ignore[no-untyped-call]
            hits = (logits.argmax(1) == labels.argmax(1)).sum()
            sums += torch.stack([loss.detach() * len(part), hits])
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return sums

    @torch.inference_mode()
    def validate(self) -> Row:
        """Loss, top-1 and mean-class top-1 over the validation clips, each by its middle."""
        network = self.tested.eval()
        shape = self.held_out_order.clips, len(self.job.classes)
        logits, targets = (torch.zeros(shape, device=self.device) for _ in range(2))
        for places, (video, target, _) in zip(self.held_out_order, self.held_out, strict=True):
            rows = slice(places[0].clip, places[-1].clip + 1)
            with autocast(self.here.device, self.amp):
                logits[rows] = network(video.to(self.device, non_blocking=True))
            targets[rows] = target.to(self.device)
        logits, targets = self.here.sum(logits), self.here.sum(targets)
        truth = targets.argmax(1)
        hits = (logits.argmax(1) == truth).double()
        of_class = [hits[truth == label].mean() for label in set(truth.tolist())]
        return {
            "val_loss": float(cross_entropy(logits, targets)),
            "val_top1": float(hits.mean()),
            "val_mean_class": float(torch.stack(of_class).mean()),
        }

    def save(self, row: Row) -> None:
        """Add a row to the history, and write the checkpoints if they are due.

        They are always written together: what is on the disk is a run as it stood after one epoch. Raises VidaugError
        when they would hold no numbers.
        """
        tested = self.tested.state_dict()
        if not all(map(math.isfinite, row.values())) or not all(value.isfinite().all() for value in tested.values()):
            raise self._diverged(f"weights or losses are no numbers any more after epoch {len(self.history) + 1}")
        better = "val_top1" not in row or _merit(row) > max(map(_merit, self.history), default=(-1.0, 0.0))
        self.history.append(row)
        if not self.here.first:
            return
        weights = {name: value.cpu() for name, value in tested.items()}
        kept = Checkpoint(
            architecture=self.job.architecture,
            classes=self.job.classes,
            clip=self.job.clip,
            weights=weights,
            epoch=len(self.history),
            settings=self.job.told,
            metrics=row,
        )
        if better:
            self._best = kept
        began = time.perf_counter()
        spared = self._cost > SLOW and began - self._written < SPARED * self._cost
        if spared and len(self.history) < self.settings.epochs:
            if better:  # training goes on with the same tensors
                self._best = replace(kept, weights={name: value.clone() for name, value in weights.items()})
            return
        if self._best is not None:
            write_checkpoint(self.job.best, self._best)
        tensors = training_tensors(self.network, self.optimizer, self.average)
        state = {"history": self.history, "threads": torch.get_num_threads()}
        write_checkpoint(self.job.last, replace(kept, training=tensors, state=state))
        self._best, self._written = None, time.perf_counter()
        self._cost = self._written - began

    def _restore(self, checkpoint: Checkpoint) -> None:
        refuse_another(self.job, checkpoint)
        try:
            self.history = restore(checkpoint, self.network, self.optimizer, self.average)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            hint = "was it best.safetensors? --overwrite starts anew"
            raise VidaugError("lacks what continuing needs", where=self.job.last, hint=hint) from error

    def _augment(self, clips: Clips, step: int) -> tuple[Video, Target]:
        """The recipe on one batch of this process."""
        if self.job.recipe is not None:
            first = step * self.batch + self.here.rank * (self.batch // self.here.size)
            at = {"seed": self.settings.seed, "epoch": len(self.history), "first_clip": first}
            clips = draw_and_apply(self.job.recipe, clips, **at)
        return clips.video, clips.target

    def _check(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise self._diverged(f"the loss is {loss} in epoch {len(self.history) + 1}, step {step + 1}")

    def _diverged(self, what: str) -> VidaugError:
        hint = "start again with a lower --lr, a longer --warmup, --clip-norm 1 or --amp off"
        return VidaugError(what, where=self.job.run, hint=hint)

    def _seed(self, epoch: int, stream: int) -> None:
        """Torch's own generator, which dropout and new weights draw from: a function of seed, epoch and process."""
        torch.manual_seed(int(generator(self.settings.seed, epoch, stream, Step.NETWORK).integers(2**63)))


def train(
    job: Job,
    here: Processes,
    *,
    workers: int = 0,
    threads: int | None = None,
    compiled: bool = False,
    overwrite: bool = False,
    log: Log | None = None,
    progress: bool = False,
) -> list[Row]:
    """Train to the end, from where an earlier run of the same job in the same folder stood.

    Args:
        job: what to train.
        here: this process among those that train together.
        workers: processes that read ahead.
        threads: that compute; None: as many as before in a run that goes on, else as `Processes.threads`.
        compiled: whether torch compiles the network first.
        overwrite: whether to begin anew where the folder holds a run, whose files are replaced after the first epoch.
        log: of the first process.
        progress: whether to draw a bar.

    Returns the history, a row for each epoch.

    Raises VidaugError when the folder holds another run, and when the loss is no number any more.
    """
    torch.backends.cudnn.benchmark = True  # every batch has one shape: let cuDNN try what is fastest for it
    trainer = Trainer(job, here, workers=workers, threads=threads, compiled=compiled, overwrite=overwrite)
    if log and trainer.initialised:
        log.say(f"{job.init}: {trainer.initialised}")
    done, steps, epochs = len(trainer.history), len(trainer.order), job.settings.epochs
    if log and done:
        log.say(f"{job.run}: {done} of {epochs} epochs are done")
        log.keep(trainer.history)  # a run may have been cut off after its checkpoint
    if log and done < epochs:
        for line in trainer.notes:
            log.say(line)
    with (
        computing(trainer.threads),
        Progress(epochs * steps, "step", "train", done=done * steps, show=progress) as bar,
    ):
        for _ in range(done, epochs):
            trainer.save(trainer.epoch(bar))
            if log:
                with bar.aside():
                    log.write(trainer.history)
    if log:
        log.draw(trainer.history)
    return trainer.history


def _merit(row: Row) -> tuple[float, float]:
    return row["val_top1"], -row["val_loss"]
