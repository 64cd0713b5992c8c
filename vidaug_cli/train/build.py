"""Build a run: refuse what cannot work, make its parts new or as an earlier run left them, and note what is odd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from vidaug_cli.data.sampling import speed_note, thinning
from vidaug_cli.device import Amp, training_amp
from vidaug_cli.errors import CheckpointError, RunError, SettingError, UnfitError
from vidaug_cli.rng import Step, generator
from vidaug_cli.train.batches import MIDDLE, ClipLoader, ClipSampler, CropDataset, SampleIndex, reading_note
from vidaug_cli.train.checkpoint import Checkpoint, read_checkpoint
from vidaug_cli.train.distributed import World
from vidaug_cli.train.history import EpochMetrics
from vidaug_cli.train.pretrained import Initialised, initialise, read_foreign
from vidaug_cli.train.run import ShardFolders, TrainingRun
from vidaug_cli.train.settings import LENGTH, budget_of
from vidaug_cli.train.slowfast import Architecture, SlowFast
from vidaug_cli.train.state import Parts, WeightAverage, restore
from vidaug_cli.words import change, count

DIFF_CLIPS = 64  # that the spread of differences is measured on
MAX_THREADS = 4096  # more in a checkpoint are not believed
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


def check_run(
    run: TrainingRun, world: World, *, overwrite: bool, validation_follows: bool = False, extend: bool = False
) -> tuple[Checkpoint | None, Amp]:
    """Return the checkpoint to continue from, None for a new run, and the precision to train in.

    Args:
        run: what to train, whose own parts fit each other.
        world: the processes to train it.
        overwrite: whether a run in the folder is to be replaced.
        validation_follows: whether the validation clips are yet to be made. As that may take hours, weights to start
            from are looked at before.
        extend: whether a run in the folder may be of another length.

    Raises VidaugError, in this order, when these processes cannot train it, when the folder holds another run, and when
    weights to start from do not fit.
    """
    settings = run.settings
    if settings.batch_size % world.size:
        what = f"batch_size = {settings.batch_size} cannot be shared among {world.size} processes"
        raise SettingError(what, hint=f"take a multiple of {world.size}")
    if settings.sync_bn and world.size > 1 and torch.device(world.device).type == "cpu":
        raise SettingError("--sync-bn needs GPUs: torch has it for nothing else", hint="leave it out")
    if (clips := len(run.shards.dataset)) < world.size:
        raise UnfitError(f"{count(clips, 'clip')} are too few for {world.size} processes", where=run.shards.folders[0])
    amp = training_amp(world.device, settings.amp, frames=run.pathway_frames, size=run.clip.size)
    if run.last.exists() and not overwrite:
        checkpoint = read_checkpoint(run.last)
        same = {name: checkpoint.settings.get(name) == value for name, value in run.identity.items()}
        if extend:
            same |= dict.fromkeys(LENGTH, True)
        if validation_follows:
            same["validation"] = bool(checkpoint.settings.get("validation"))
        if all(same.values()):  # else that of the classes would be no news
            same["the order of classes"] = checkpoint.classes == run.classes
        if other := [name for name, equal in same.items() if not equal]:
            differing = ", ".join(change(name, checkpoint.settings.get(name), run.identity.get(name)) for name in other)
            hint = "choose another folder, or --overwrite"
            raise RunError(f"holds another run, which differs in {differing}", where=run.folder, hint=hint)
        return checkpoint, amp
    if run.init is not None and validation_follows:
        read_foreign(run.init, run.architecture, run.classes)
    return None, amp


def build(
    run: TrainingRun,
    world: World,
    *,
    workers: int = 0,
    threads: int | None = None,
    compiled: bool = False,
    overwrite: bool = False,
    validation_follows: bool = False,
    extend: bool = False,
) -> Parts:
    """Return the parts of a run: new, or as an earlier run of the same identity left them in its folder.

    Args:
        run: what to train.
        world: this process among those that train together.
        workers: processes that read ahead.
        threads: that compute; None: as many as before in a run that continues, else `World.default_threads`.
        compiled: whether torch compiles the network first.
        overwrite: whether to begin anew where the folder holds a run, whose files are replaced after the first epoch.
        validation_follows: whether the validation clips are yet to be made, and the run is only tried.
        extend: whether a run in the folder may be of another length. It goes on at the rate that the new length has
            there.

    Raises VidaugError as `check_run` does, when the checkpoint cannot be continued, and when more epochs are done than
    are asked for.
    """
    settings = run.settings
    checkpoint, amp = check_run(run, world, overwrite=overwrite, validation_follows=validation_follows, extend=extend)
    seed_torch(settings.seed, 0, 0)
    stride, pairs = settings.stride or 1, run.shards.pairs if run.cuts_time and run.shards.mixed else None
    crops = CropDataset(
        run.shards.dataset, run.shape, stride=stride, flip=settings.flip, seed=settings.seed, pairs=pairs
    )
    architecture = checkpoint.architecture if checkpoint else with_diff_std(run.architecture, crops)
    network, initialised, average = SlowFast(architecture, len(run.classes)), None, None
    if run.init is not None and checkpoint is None:
        initialised = initialise(network, run.init, run.classes)
    network.to(world.device)
    if settings.sync_bn and world.size > 1:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    # Fused: one by one, the dozen passes over the weights take over a third of a step of R50 on the CPU.
    options: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay, "fused": True}
    if settings.optimizer == "sgd":
        options |= {"momentum": settings.momentum, "nesterov": settings.momentum > 0}
    optimizer = OPTIMIZERS[settings.optimizer](network.parameters(), **options)
    if settings.ema is not None:
        average = WeightAverage(network, settings.ema)
    history: list[EpochMetrics] = []
    threads_before: int | None = None
    steps: int | None = None
    clips = len(run.shards.dataset)
    if checkpoint is not None:
        try:
            history = restore(checkpoint, network, optimizer, average)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            hint = "was it best.safetensors? --overwrite starts anew"
            raise CheckpointError("lacks what continuing needs", where=run.last, hint=hint) from error
        stated = checkpoint.state.get("threads")
        threads_before = stated if type(stated) is int and 0 < stated <= MAX_THREADS else None
        stated = checkpoint.state.get("steps")
        steps = stated if type(stated) is int and 0 < stated <= clips else None
    budget = budget_of(settings, clips, world.size, steps)
    if len(history) > budget.epochs:
        what = f"has {count(len(history), 'epoch')} done, more than the {budget.epochs} asked for"
        raise RunError(what, where=run.folder, hint="give more with --epochs or --clips-seen")

    order = ClipSampler(clips, budget.batch, world.rank, world.size, seed=settings.seed, steps=budget.steps)
    if compiled:
        network.compile()
    return Parts(
        run=run,
        budget=budget,
        world=world,
        amp=amp,
        network=network,
        parallel=world.parallel(network),
        optimizer=optimizer,
        average=average,
        batches=_loader(crops, order, world, workers),
        validation=middle_loader(run, run.validation, budget.batch, world, workers) if run.validation else None,
        history=history,
        threads=threads or threads_before or world.default_threads,
        notes=[
            *_clip_notes(run, world, budget.batch, initialised),
            *_thread_notes(run, world, threads_before, threads),
            *filter(None, [reading_note(workers)]),
        ],
    )


def middle_loader(run: TrainingRun, clips: ShardFolders, batch: int, world: World, workers: int) -> ClipLoader:
    """Return what reads each of some clips by its middle, as a test after an epoch does."""
    middles = CropDataset(clips.dataset, run.shape, stride=thinning(clips.spec, run.clip), classes=run.classes)
    return _loader(middles, ClipSampler(len(middles), batch, world.rank, world.size, shuffle=False), world, workers)


def _loader(crops: CropDataset, order: ClipSampler, world: World, workers: int) -> ClipLoader:
    several = world.size > 1  # then threads that average gradients come and go
    return ClipLoader(crops, order, workers=workers, pin=world.device.startswith("cuda"), afresh=several)


def with_diff_std(architecture: Architecture, crops: CropDataset) -> Architecture:
    """Return the architecture with the spread of the differences of frames in the clips, of 64 of them at most.

    Of a clip that is cut it is the middle that counts, at the mean stride: frames further apart differ more.

    It is the root of their mean square, in levels, so that what a network sees has a spread of 1; and 1 at the least.
    """
    if "diff" not in architecture.input:
        return architecture
    some = range(0, len(crops), -(-len(crops) // DIFF_CLIPS))
    clips = (crops[SampleIndex(MIDDLE, 0, clip)][0].short() for clip in some)
    spread = torch.tensor([float(clip.diff(dim=0).float().square().mean()) for clip in clips if len(clip) > 1])
    return replace(architecture, diff_std=round(max(1.0, float(spread.mean().sqrt()) if len(spread) else 1.0), 3))


def seed_torch(seed: int, epoch: int, stream: int) -> None:
    """Seed torch's own generator, which dropout and new weights draw from, by seed, epoch and process."""
    torch.manual_seed(int(generator(seed, epoch, stream, Step.NETWORK).integers(2**63)))


def _clip_notes(run: TrainingRun, world: World, batch: int, initialised: Initialised | None) -> Iterator[str]:
    """Yield what is other than one may think of the first weights and of steps of `batch` clips, a line each."""
    clips, parts = len(run.shards.dataset), run.settings.accumulate
    asked, share = run.settings.batch_size, batch // world.size
    if initialised:
        yield from (f"{run.init}: {note}" for note in (initialised, *initialised.notes))
    if run.validation and (note := speed_note(run.validation.spec, run.clip)):
        yield f"{run.validation.folders[0]}: {note}"
    if batch < asked:
        among = f", and {world.size} processes share them evenly" if world.size > 1 else ""
        yield f"--batch-size {asked} is more than the {count(clips, 'clip')} there are{among}: a step takes {batch}"
    if (left_out := clips % batch) * 10 >= clips:
        what = f"{left_out} of {count(clips, 'clip')}, others in each epoch, are left out"
        yield f"{what}, as they fill no batch of {batch}"
    if (made := len(range(0, share, -(-share // parts)))) < parts:
        yield f"--accumulate {parts} makes {count(made, 'part')} of the {count(share, 'clip')} of a step"
    if len(labels := run.shards.labels) == 1:
        yield f"every clip is of one class, {labels.pop()!r}: there is nothing to tell apart, and the loss says nothing"


def _thread_notes(run: TrainingRun, world: World, before: int | None, threads: int | None) -> Iterator[str]:
    """Yield how the threads asked for differ from those before, where sums are rounded otherwise with other threads."""
    if before and torch.device(world.device).type == "cpu":
        if threads is None and before != (usual := world.default_threads):
            what = f"goes on with {count(before, 'thread')}, as it began"
            yield f"{run.folder}: {what}; a new run would take {usual}, which --threads {usual} does here"
        elif threads is not None and threads != before:
            what = f"computed with {count(before, 'thread')} so far"
            yield f"{run.folder}: {what}: with {threads}, weights end a little different from an unbroken run's"
