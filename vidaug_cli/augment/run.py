"""The main job from end to end: videos or a manifest in, a plan, and shards out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from vidaug_cli.augment import output
from vidaug_cli.augment.claims import WhenBusy, claim_shards
from vidaug_cli.augment.command import Command
from vidaug_cli.augment.finish import finish_all
from vidaug_cli.augment.lock import POLL
from vidaug_cli.augment.part import WHOLE, Part
from vidaug_cli.augment.pipeline import OnError, Unfinished
from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine, render_group
from vidaug_cli.data.shard.extremes import Extremes
from vidaug_cli.data.shard.format import DoneRecord, Failure
from vidaug_cli.words import count, cut, duration, human_bytes, listed, printable, span
from vidaug_cli.workers import Progress

CLASSES = 12  # that an estimate names
TRIAL = 16  # about how many clips are rendered to estimate the time


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much there is in a folder, with what earlier runs made, or would be."""

    videos: int
    classes: int
    clips: int
    shards: int
    bytes: int
    seconds: float

    @property
    def text(self) -> str:
        """The clips, videos and classes for people."""
        return f"{count(self.clips, 'clip')} of {count(self.videos, 'video')} in {count(self.classes, 'class')}"


@dataclass(frozen=True, kw_only=True)
class Report(Amounts):
    """What a run made, or rather: what is there of its part of the plan."""

    out: Path
    part: str  # `I/N`
    planned_shards: int
    extremes: Extremes | None  # clips that are near black or near white; None: not counted
    rendered: int  # clips of this run
    failures: tuple[Failure, ...]  # of this part, with those of earlier runs
    unfinished: tuple[Unfinished, ...]  # as a video could not be read this time
    listed: bool  # whether failures.jsonl lists the failures: once all parts are there

    @property
    def text(self) -> str:
        """The report for people: a line, and one for each reason why clips were left out."""
        rate = f", {self.rendered / self.seconds:.1f} clips/s" if self.rendered else ""
        part = "" if self.part == str(WHOLE) else f"part {self.part}: "
        lines = [
            f"{self.out}: {part}{super().text}, {self.shards} of {count(self.planned_shards, 'shard')}, "
            f"{human_bytes(self.bytes)}; {count(self.rendered, 'clip')} rendered in {self.seconds:.1f} s{rate}"
        ]
        if self.extremes and (told := self.extremes.advice(self.clips) or self.extremes.text(self.clips)):
            lines.append(told)
        if self.failures:
            where = f", as {self.out / 'failures.jsonl'} lists" if self.listed else ""
            lines.append(f"{count(len(self.failures), 'clip')} left out{where}:")
            lines += listed(f"{printable(failure.path)}: {failure.reason}" for failure in self.failures)
        if self.unfinished:
            lines.append(f"{count(len(self.unfinished), 'shard')} unfinished; the same command tries again:")
            lines += listed(f"shard {each.shard}: {printable(each.path)}: {each.reason}" for each in self.unfinished)
        return "\n".join(lines)


def run(
    plan: Plan,
    out: Path,
    engine: Engine,
    *,
    part: Part = WHOLE,
    workers: int = 1,
    on_error: OnError = "skip",
    overwrite: bool = False,
    retry_failed: bool = False,
    force: bool = False,
    when_busy: WhenBusy = "stop",
    command: Command | None = None,
    say: Callable[[str], object] = lambda _: None,
    progress: bool = False,
    scheduler: str = "",
) -> Report:
    """Render what is left of the plan into `out`, and return what is there then: all shards of the part.

    Each shard is there whole or not at all: one with a video that could not be read this time stays unfinished. One
    that lacks clips of broken videos is made anew with `retry_failed`, once one of them can be read. Where another
    process is at work on some of these shards, `when_busy` and `say` count, as for `claim_shards`, which keeps the
    `command`; those that it is making at the end are waited for, and made here if it dies. With a `scheduler`, its
    address, workers of that Dask cluster make the shards, on the device that each has: `engine` may say `auto`.

    Raises ShardError when `out` is another's, VidaugError when another process is at work on the same shards or the
    disk is too small (unless `force`), VideoError when a video fails and `on_error` is "fail".
    """
    started = time.monotonic()
    output.check_start(plan, out, part, overwrite=overwrite, retry_failed=retry_failed, force=force)
    how = {"overwrite": overwrite, "retry_failed": retry_failed}
    with claim_shards(plan, out, part, **how, when_busy=when_busy, command=command, say=say) as claims:
        unfinished: list[Unfinished] = []
        before, rendered = {record.xxh3 for record in claims.done.values()}, 0
        total = output.clips_in(plan, part.shards(plan))
        ready, to_make = total - output.clips_in(plan, claims.todo), len(claims.todo)
        with Progress(total, "clip", "augment", done=ready, show=progress) as bar:

            def count_in(record: DoneRecord) -> None:
                bar.update(record.clips + len(record.failures))

            def count_begun(shards: float) -> None:
                bar.begun(shards * (total - ready) / max(1, to_make))

            while claims.todo:
                most, tasks = len(claims.todo), claims.tasks(count_in)
                results = finish_all(out, plan.sha256, engine, on_error, workers, tasks, most, scheduler, count_begun)
                with closing(results):
                    for result in results:
                        if isinstance(result, Unfinished):
                            claims.leave(result.shard)
                            unfinished.append(result)
                            continue
                        claims.finish(result)
                        count_in(result)
                        rendered += result.clips if result.xxh3 not in before else 0
                claims.let_go()
                if claims.others:
                    holder = next(iter(claims.others.values()))
                    bar.set_postfix_str(f"waits for {count(len(claims.others), 'shard')} of {holder.text}")
                    time.sleep(POLL)
        listed = output.write_failures(out, plan.shard_count)
    return Report(
        out=out,
        videos=len(plan.rows),
        classes=len(plan.present),
        part=str(part),
        clips=sum(record.clips for record in claims.done.values()),
        shards=len(claims.done),
        planned_shards=len(part.shards(plan)),
        bytes=sum(record.bytes for record in claims.done.values()),
        seconds=time.monotonic() - started,
        extremes=Extremes.sum(record.extremes for record in claims.done.values()),
        rendered=rendered,
        failures=tuple(failure for index in sorted(claims.done) for failure in claims.done[index].failures),
        unfinished=tuple(sorted(unfinished, key=attrgetter("shard"))),
        listed=listed,
    )


@dataclass(frozen=True, kw_only=True)
class Estimate(Amounts):
    """What a run would make."""

    free: int  # bytes on the disk
    part: str  # `I/N`, of which all but the next are
    clips_by_class: dict[str, int]  # of the whole plan

    @property
    def text(self) -> str:
        """The estimate for people, in two lines."""
        weight = f"{human_bytes(self.bytes)} ({human_bytes(self.free)} free)"
        amounts = f"{super().text}, {count(self.shards, 'shard')}, about {weight}, about {duration(self.seconds)}"
        return f"{amounts}\nclips per class{'' if self.part == str(WHOLE) else ' of the whole plan'}: {self._each}"

    @property
    def _each(self) -> str:
        """The numbers of clips of the classes, the most first where they differ."""
        clips = sorted(self.clips_by_class.items(), key=lambda item: -item[1])
        if len(set(self.clips_by_class.values())) < 2:
            return span(self.clips_by_class.values())
        names = [f"{printable(cut(name))} {number}" for name, number in clips]
        more = [f"{len(names) - CLASSES} more"] if len(names) > CLASSES else []
        return f"{span(self.clips_by_class.values())} ({', '.join(names[:CLASSES] + more)})"


def estimate(
    plan: Plan, out: Path, engine: Engine, workers: int, *, part: Part = WHOLE, overwrite: bool = False
) -> Estimate:
    """Return the size of a run as the plan says, and its time as rendering a few clips says, which are thrown away.

    Raises ShardError when `run` would refuse `out`.
    """
    output.check_start(plan, out, part, overwrite=overwrite, force=True)
    shards = part.shards(plan)
    clips = output.clips_in(plan, shards)
    group = plan.groups(shards[0])[0] if shards else ()
    videos = {slot.row for slot in group[0][: max(2, TRIAL // len(group))]} if group else set()
    trial = tuple(tuple(slot for slot in ring if slot.row in videos) for ring in group)
    for _ in range(2):  # the first time pays for starting up
        started = time.monotonic()
        made = len(list(render_group(plan, engine, trial, [])))
    per_clip = (time.monotonic() - started) / max(1, made)
    return Estimate(
        videos=len(plan.rows),
        classes=len(plan.present),
        clips=clips,
        shards=len(shards),
        bytes=plan.bytes * clips // plan.clips,
        free=output.free_bytes(out),
        part=str(part),
        clips_by_class=plan.clips_by_class,
        seconds=per_clip * clips / max(1, min(workers, len(shards))),
    )
