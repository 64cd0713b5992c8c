"""What is refused and what is said before anything costly is done for a run."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from vidaug_cli.device import Amp, training_amp
from vidaug_cli.errors import VidaugError
from vidaug_cli.train.batches import reading_note
from vidaug_cli.train.checkpoint import Checkpoint, read_checkpoint
from vidaug_cli.train.distributed import World
from vidaug_cli.train.pretrained import Initialised, read_foreign
from vidaug_cli.train.run import TrainingRun
from vidaug_cli.words import count

MAX_THREADS = 4096  # more in a checkpoint are not believed


def check_run(
    run: TrainingRun, world: World, *, overwrite: bool, validation_follows: bool = False
) -> tuple[Checkpoint | None, Amp]:
    """Return the checkpoint to continue from, None for a new run, and the precision to train in.

    Args:
        run: what to train, whose own parts fit each other.
        world: the processes to train it.
        overwrite: whether a run in the folder is to be replaced.
        validation_follows: whether the validation clips are yet to be made. As that may take hours, weights to start
            from are looked at before.

    Raises VidaugError, in this order, when these processes cannot train it, when the folder holds another run, and when
    weights to start from do not fit.
    """
    settings = run.settings
    if settings.batch_size % world.size:
        what = f"batch_size = {settings.batch_size} cannot be shared among {world.size} processes"
        raise VidaugError(what, hint=f"take a multiple of {world.size}")
    if settings.sync_bn and world.size > 1 and torch.device(world.device).type == "cpu":
        raise VidaugError("--sync-bn needs GPUs: torch has it for nothing else", hint="leave it out")
    if (clips := len(run.shards.dataset)) < world.size:
        raise VidaugError(f"{clips} clips are too few for {world.size} processes", where=run.shards.folders[0])
    amp = training_amp(world.device, settings.amp, frames=run.pathway_frames, size=run.clip.size)
    if run.last.exists() and not overwrite:
        checkpoint = read_checkpoint(run.last)
        _check_same(run, checkpoint, validation_follows)
        return checkpoint, amp
    if run.init is not None and validation_follows:
        read_foreign(run.init, run.architecture, run.classes)
    return None, amp


def _check_same(run: TrainingRun, checkpoint: Checkpoint, validation_follows: bool) -> None:
    """Raise VidaugError when the checkpoint in the run's folder is another run's."""
    differing = [name for name, value in run.identity.items() if checkpoint.settings.get(name) != value]
    if validation_follows:
        differing = [name for name in differing if name != "validation"]
        differing += ["validation"] * (not checkpoint.settings.get("validation"))
    if not differing and checkpoint.classes != run.classes:
        differing.append("the order of classes")
    if differing:
        what, hint = f"holds another run, which differs in {', '.join(differing)}", "choose another folder, or "
        raise VidaugError(what, where=run.folder, hint=hint + "--overwrite")


def step_size(run: TrainingRun, world: World) -> int:
    """Return the clips of a step over all processes: as asked for, or as many as there are."""
    return min(run.settings.batch_size, len(run.shards.dataset) // world.size * world.size)


def threads_before(checkpoint: Checkpoint | None) -> int | None:
    """Return how many threads computed until now; None where the checkpoint does not say, or says nonsense."""
    threads = checkpoint and checkpoint.state.get("threads")
    return threads if type(threads) is int and 0 < threads <= MAX_THREADS else None


def notes(
    run: TrainingRun,
    world: World,
    checkpoint: Checkpoint | None,
    initialised: Initialised | None,
    *,
    workers: int,
    threads: int | None,
) -> Iterator[str]:
    """Yield what is other than one may think, a line each.

    Args:
        run: what is trained.
        world: the processes that train it.
        checkpoint: what it continues from.
        initialised: what it got from a file of weights.
        workers: processes that were asked to read clips.
        threads: how many were asked for to compute; None: as many as before.
    """
    clips, batch, parts = len(run.shards.dataset), step_size(run, world), run.settings.accumulate
    asked, share = run.settings.batch_size, batch // world.size
    if initialised:
        yield f"{run.init}: {initialised}"
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
    if initialised:
        yield from (f"{run.init}: {note}" for note in initialised.notes)
    before = threads_before(checkpoint)
    if before and torch.device(world.device).type == "cpu":  # where sums are rounded otherwise with other threads
        if threads is None and before != (usual := world.default_threads):
            what = f"goes on with {count(before, 'thread')}, as it began"
            yield f"{run.folder}: {what}; a new run would take {usual}, which --threads {usual} does here"
        elif threads is not None and threads != before:
            what = f"computed with {count(before, 'thread')} so far"
            yield f"{run.folder}: {what}: with {threads}, weights end a little different from an unbroken run's"
    if note := reading_note(workers):
        yield note
