"""The parts of a run: a network, what moves its weights, and the batches; new, or as an earlier run left them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vidaug_cli.device import Amp
from vidaug_cli.errors import VidaugError
from vidaug_cli.rng import Step, generator
from vidaug_cli.train.batches import ClipLoader, ClipSampler, CropDataset
from vidaug_cli.train.checkpoint import Checkpoint
from vidaug_cli.train.checks import check_run, notes, step_size, threads_before
from vidaug_cli.train.distributed import World
from vidaug_cli.train.history import EpochMetrics
from vidaug_cli.train.pretrained import initialise
from vidaug_cli.train.resume import restore
from vidaug_cli.train.run import TrainingRun
from vidaug_cli.train.slowfast import SlowFast

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the loop works with."""

    run: TrainingRun
    world: World
    amp: Amp
    network: SlowFast
    parallel: nn.Module  # the network, with gradients averaged over the processes
    optimizer: Optimizer
    average: AveragedModel | None  # of the weights over steps
    batches: ClipLoader
    validation: ClipLoader | None
    history: list[EpochMetrics]  # of the epochs that an earlier run of the same identity has finished
    threads: int  # that compute
    notes: list[str]  # what is other than one may think

    @property
    def tested(self) -> SlowFast:
        """The network that is tested and kept: the average, if there is one."""
        return self.network if self.average is None else cast(SlowFast, self.average.module)


def build(
    run: TrainingRun,
    world: World,
    *,
    workers: int = 0,
    threads: int | None = None,
    compiled: bool = False,
    overwrite: bool = False,
) -> Parts:
    """Return the parts of a run: new, or as an earlier run of the same identity left them in its folder.

    Args:
        run: what to train.
        world: this process among those that train together.
        workers: processes that read ahead.
        threads: that compute; None: as many as before in a run that continues, else `World.default_threads`.
        compiled: whether torch compiles the network first.
        overwrite: whether to begin anew where the folder holds a run, whose files are replaced after the first epoch.

    Raises VidaugError as `check_run` does, and when the checkpoint cannot be continued.
    """
    settings, (checkpoint, amp) = run.settings, check_run(run, world, overwrite=overwrite)
    seed_torch(settings.seed, 0, 0)
    network, initialised, average = SlowFast(run.architecture, len(run.classes)), None, None
    if run.init is not None and checkpoint is None:
        initialised = initialise(network, run.init, run.classes)
    network.to(world.device)
    if settings.sync_bn and world.size > 1:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    # Fused: one by one, the dozen passes over the weights take over a third of a step of R50 on the CPU.
    options: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay, "fused": True}
    if settings.optimizer == "sgd":
        options |= {"momentum": settings.momentum, "nesterov": settings.momentum > 0}
    if settings.ema is not None:
        decay = get_ema_multi_avg_fn(settings.ema)
        average = AveragedModel(network, multi_avg_fn=decay, use_buffers=True)

    def loader(crops: CropDataset, *, shuffle: bool) -> ClipLoader:
        batch, ranks = step_size(run, world), (world.rank, world.size)
        sampler = ClipSampler(len(crops), batch, *ranks, seed=settings.seed, shuffle=shuffle)
        return ClipLoader(crops, sampler, workers=workers, pin=world.device.startswith("cuda"))

    crops = CropDataset(run.shards.dataset, run.shape, flip=settings.flip, seed=settings.seed)
    validation = None
    if run.validation is not None:
        validation = loader(CropDataset(run.validation.dataset, run.shape, classes=run.classes), shuffle=False)
    parts = Parts(
        run=run,
        world=world,
        amp=amp,
        network=network,
        parallel=world.parallel(network),
        optimizer=OPTIMIZERS[settings.optimizer](network.parameters(), **options),
        average=average,
        batches=loader(crops, shuffle=True),
        validation=validation,
        history=[],
        threads=threads or threads_before(checkpoint) or world.default_threads,
        notes=list(notes(run, world, checkpoint, initialised, workers=workers, threads=threads)),
    )
    if checkpoint is not None:
        parts = replace(parts, history=_restored(parts, checkpoint))
    if compiled:
        network.compile()
    return parts


def _restored(parts: Parts, checkpoint: Checkpoint) -> list[EpochMetrics]:
    """Put parts into the state of a checkpoint, and return its history. Raises VidaugError when it is incomplete."""
    try:
        return restore(checkpoint, parts.network, parts.optimizer, parts.average)
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        hint = "was it best.safetensors? --overwrite starts anew"
        raise VidaugError("lacks what continuing needs", where=parts.run.last, hint=hint) from error


def seed_torch(seed: int, epoch: int, stream: int) -> None:
    """Seed torch's own generator, which dropout and new weights draw from, by seed, epoch and process."""
    torch.manual_seed(int(generator(seed, epoch, stream, Step.NETWORK).integers(2**63)))
