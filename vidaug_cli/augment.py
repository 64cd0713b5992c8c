"""The main job from end to end: videos or a manifest in, a plan, and shards out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vidaug_cli import output
from vidaug_cli.data.listing.candidates import count
from vidaug_cli.data.shard.done import Failure
from vidaug_cli.data.summary import printable
from vidaug_cli.output import Part, human_bytes
from vidaug_cli.plan import Plan
from vidaug_cli.render import Engine, OnError, render_group, render_shards

LISTED = 20  # failures that are named one by one
TRIAL = 8  # clips that are rendered to estimate the time


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run made."""

    out: Path
    videos: int
    classes: int
    clips: int  # in the folder, with those of earlier runs
    shards: int
    planned_shards: int
    bytes: int
    seconds: float
    rendered: int  # clips of this run
    failures: tuple[Failure, ...]

    @property
    def text(self) -> str:
        rate = f", {self.rendered / self.seconds:.1f} clips/s" if self.rendered else ""
        lines = [
            f"{self.out}: {_amount(self)}, {self.shards} of {count(self.planned_shards, 'shard')}, "
            f"{human_bytes(self.bytes)}; {count(self.rendered, 'clip')} rendered in {self.seconds:.1f} s{rate}"
        ]
        if self.failures:
            lines.append(f"{count(len(self.failures), 'clip')} left out, as {self.out / 'failures.jsonl'} lists:")
            reasons = dict.fromkeys(f"  {printable(failure.path)}: {failure.reason}" for failure in self.failures)
            lines += list(reasons)[:LISTED]
            if len(reasons) > LISTED:
                lines.append(f"  ... and {len(reasons) - LISTED} more")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name not in ("out", "failures")}
        return plain | {"out": str(self.out), "failures": [vars(failure) for failure in self.failures]}


def run(
    plan: Plan,
    out: Path,
    engine: Engine,
    *,
    part: Part | None = None,
    workers: int = 1,
    on_error: OnError = "skip",
    overwrite: bool = False,
    force: bool = False,
    progress: bool = False,
) -> Report:
    """Render what is left of the plan into `out`; each shard is there whole or not at all.

    Raises ShardError when `out` is another's, VidaugError when the disk is too small (unless `force`), VideoError when
    a video fails and `on_error` is "fail".
    """
    part = part or Part()
    started = time.monotonic()
    if not force:
        output.check_room(plan.bytes * len(part.shards(plan)) // len(plan.shards) - output.shard_bytes(out), out)
    output.prepare(plan, out, overwrite=overwrite)
    done = output.finished(plan, out)
    todo = [index for index in part.shards(plan) if index not in done]
    before = sum(record.clips for record in done.values())
    with tqdm(total=plan.clips, initial=before, unit="clip", disable=not progress, smoothing=0.05) as bar:
        try:
            for record in render_shards(out, todo, engine, workers=workers, on_error=on_error):
                done[record.shard] = record
                bar.update(record.clips + len(record.failures))
        finally:
            if part.count == 1:  # else the temporary files may be another process's, still at work
                output.remove_leftovers(out)
    failures = output.write_failures(out, done)
    return Report(
        out=out,
        videos=len(plan.rows),
        classes=len(plan.classes),
        clips=sum(record.clips for record in done.values()),
        shards=len(done),
        planned_shards=len(plan.shards),
        bytes=sum(record.bytes for record in done.values()),
        seconds=time.monotonic() - started,
        rendered=sum(record.clips for record in done.values()) - before,
        failures=failures,
    )


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run would make."""

    videos: int
    classes: int
    clips: int
    shards: int
    bytes: int
    free: int
    seconds: float

    @property
    def text(self) -> str:
        weight = f"{human_bytes(self.bytes)} ({human_bytes(self.free)} free)"
        return f"{_amount(self)}, {count(self.shards, 'shard')}, about {weight}, about {_duration(self.seconds)}"

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


def estimate(plan: Plan, out: Path, engine: Engine, workers: int, *, overwrite: bool = False) -> Estimate:
    """Size of a run from the plan, and its time from rendering a few clips, which are thrown away.

    Raises ShardError when `run` would refuse `out`.
    """
    output.check_place(plan, out, overwrite=overwrite)
    trial = plan.shards[0][0][:TRIAL]
    for _ in range(2):  # the first time pays for starting up
        started = time.monotonic()
        made = len(list(render_group(plan, engine, trial, [])))
    per_clip = (time.monotonic() - started) / max(1, made)
    return Estimate(
        videos=len(plan.rows),
        classes=len(plan.classes),
        clips=plan.clips,
        shards=len(plan.shards),
        bytes=plan.bytes,
        free=output.free_bytes(out),
        seconds=per_clip * plan.clips / min(workers, len(plan.shards)),
    )


def _amount(made: Report | Estimate) -> str:
    classes = "1 class" if made.classes == 1 else f"{made.classes} classes"
    return f"{count(made.clips, 'clip')} of {count(made.videos, 'video')} in {classes}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
