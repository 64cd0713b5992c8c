"""What is refused and what is said before anything costly is done for a run."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from vidaug_cli.device import Amp, training_amp
from vidaug_cli.errors import VidaugError
from vidaug_cli.train.checkpoint import Checkpoint, read_checkpoint
from vidaug_cli.train.distributed import Processes
from vidaug_cli.train.pretrained import read_foreign
from vidaug_cli.train.run import Job
from vidaug_cli.words import count

MAX_THREADS = 4096  # that a checkpoint is believed


def check_share(job: Job, here: Processes) -> Amp:
    """The precision to train in. Raises VidaugError when a job cannot be trained by these processes."""
    settings = job.settings
    if settings.batch_size % here.size:
        what = f"batch_size = {settings.batch_size} cannot be shared among {here.size} processes"
        raise VidaugError(what, hint=f"take a multiple of {here.size}")
    if settings.sync_bn and here.size > 1 and torch.device(here.device).type == "cpu":
        raise VidaugError("--sync-bn needs GPUs: torch has it for nothing else", hint="leave it out")
    if (clips := len(job.shards.clips)) < here.size:
        raise VidaugError(f"{clips} clips are too few for {here.size} processes", where=job.shards.folders[0])
    return training_amp(here.device, settings.amp, frames=job.pathway_frames, size=job.clip.size)


def refuse_another(job: Job, checkpoint: Checkpoint, *, validated: bool = True) -> None:
    """Raise VidaugError when the checkpoint in the job's folder is another job's.

    Args:
        validated: whether the job has its validation clips already.
    """
    told = job.told if validated else {key: value for key, value in job.told.items() if key != "validation"}
    differing = [key for key, value in told.items() if checkpoint.settings.get(key) != value]
    if not validated and not checkpoint.settings.get("validation"):
        differing.append("validation")
    if not differing and checkpoint.classes != job.classes:
        differing.append("the order of classes")
    if differing:
        raise VidaugError(
            f"holds another run, which differs in {', '.join(differing)}",
            where=job.run,
            hint="choose another folder, or --overwrite",
        )


def check(job: Job, here: Processes, *, overwrite: bool) -> None:
    """Raise VidaugError for what would keep a job from being trained once its validation clips are there."""
    check_share(job, here)
    if job.last.exists() and not overwrite:
        refuse_another(job, read_checkpoint(job.last), validated=False)
    elif job.init is not None:
        read_foreign(job.init, job.architecture, job.classes)


def notes(job: Job, here: Processes, batch: int) -> Iterator[str]:
    """What a run does otherwise than one may think, a line each; `batch` is the clips of a step, over all processes."""
    clips, share, parts = len(job.shards.clips), batch // here.size, job.settings.accumulate
    if batch < job.settings.batch_size:
        among = f", and {here.size} processes share them evenly" if here.size > 1 else ""
        asked = job.settings.batch_size
        yield f"--batch-size {asked} is more than the {count(clips, 'clip')} there are{among}: a step takes {batch}"
    if (left_out := clips % batch) * 10 >= clips:
        what = f"{left_out} of {count(clips, 'clip')}, others in each epoch, are left out"
        yield f"{what}, as they fill no batch of {batch}"
    if (made := len(range(0, share, -(-share // parts)))) < parts:
        yield f"--accumulate {parts} makes {count(made, 'part')} of the {count(share, 'clip')} of a step"
    if len(seen := job.shards.labels) == 1:
        yield f"every clip is of one class, {seen.pop()!r}: there is nothing to tell apart, and the loss says nothing"


def threads_before(checkpoint: Checkpoint) -> int | None:
    """How many threads computed until now; None where the checkpoint does not say, or nonsense."""
    found = checkpoint.state.get("threads")
    return found if type(found) is int and 0 < found <= MAX_THREADS else None


def thread_notes(job: Job, here: Processes, before: int, asked: int | None) -> Iterator[str]:
    """What is to be said when a run goes on: on the CPU, sums are rounded otherwise with another number of threads.

    Args:
        before: how many computed until now.
        asked: how many the user wants; None: as many as before.
    """
    if torch.device(here.device).type != "cpu":
        return
    if asked is not None and asked != before:
        what = f"computed with {count(before, 'thread')} so far"
        yield f"{job.run}: {what}: with {asked}, weights end a little different from an unbroken run's"
    elif asked is None and before != here.threads:
        what = f"goes on with {count(before, 'thread')}, as it began"
        yield f"{job.run}: {what}; a new run would take {here.threads}, which --threads {here.threads} does here"
