"""`vidaug augment`: from videos to verified shards."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.output import Output, without_dry_run
from vidaug_cli.commands.signature import argument, as_command, option, out_option

if TYPE_CHECKING:
    from vidaug_cli.augment.plan import Plan

ONE_CLASS = "there is nothing to tell apart; are the folders of the classes further down, or is this a part of a set?"


class Copies(NamedTuple):
    """How many copies of each video, of a class or (`""`) of all that are not named."""

    of: str
    number: int


def parse_copies(text: str) -> Copies:
    """Return what `4` or `walk=10` says. Raises click.BadParameter."""
    name, _, number = text.rpartition("=")
    if not (number.isascii() and number.isdecimal() and len(number) < 10) or text.startswith("="):
        raise click.BadParameter(f"{text!r} is neither a number such as 4 nor one for a class such as walk=10.")
    return Copies(name, int(number))


@dataclass(frozen=True)
class CopyOptions:
    """How many clips are made of which videos."""

    copies: tuple[Copies, ...] = option(
        "Clips made of each video; CLASS=N: of each of that class; may be repeated.",
        type=parse_copies,
        default=("1",),
        metavar="N|CLASS=N",
    )
    balance: bool = option("As many clips of each class as of the one that gets most: some videos get more copies.")
    per_class: int | None = option(
        "Just this many clips of each class, in place of --copies: of its videos as many each, or one more.",
        type=click.IntRange(1, 2**31 - 1),
        metavar="N",
    )
    copies_per_round: int | None = option(
        "Copies of a video that are made from one pass of the decoder.  [default: 4; 1 where classes get different"
        " numbers]",
        type=click.IntRange(1, 16),
    )
    keep_original: bool = option("One clean clip of each video besides the copies.")

    def settings(self) -> dict[str, Any]:
        """Return them as a plan has them, but for --balance. Raises click.UsageError where they exclude each other."""
        of_all = next((each.number for each in reversed(self.copies) if not each.of), 1)
        number = {each.of: each.number for each in self.copies if each.of}
        unequal = bool(number or self.balance or self.per_class)
        if self.per_class and (self.balance or number or of_all != 1):
            what = "--balance" if self.balance else "--copies"
            raise click.UsageError(f"--per-class and {what} both say how many clips a class has: give one of them.")
        if self.balance and not any([of_all, *number.values()]):
            raise click.UsageError("--balance makes copies, and --copies 0 asks for none: leave one out.")
        return {
            "copies": of_all,
            "copies_of": number,
            "per_class": self.per_class or 0,
            "copies_per_round": self.copies_per_round or (1 if unequal else 4),
            "keep_original": self.keep_original,
        }

    def balanced(self, plan: Plan) -> Plan:
        """Return the plan, which has its videos, with as many clips of each class where --balance asks for that."""
        if not self.balance:
            return plan
        return replace(plan, per_class=int(plan.copies_by_class.max()), copies=1, copies_of={})


@as_command
def command(
    inputs: tuple[str, ...] = argument("INPUT..."),
    *,
    out: Path = out_option("Folder for the shards.", example="shards"),
    recipe: options.RecipeOptions,
    copies: CopyOptions,
    seed: int = options.SEED,
    clip: options.ClipOptions,
    choice: options.InputOptions,
    codec: Literal["raw", "jpeg", "video", "auto"] = option(
        "raw is exact and fast; jpeg is far smaller; video (H.264) smallest; auto: the first that the disk takes.",
        default="raw",
    ),
    quality: int = option("Quality of jpeg and video.", type=click.IntRange(1, 100), default=95),
    clips_per_shard: int = option(
        "Clips in a shard: a multiple of 16, and at least 16 for each copy of a round.", default=64
    ),
    workers: int = options.WORKERS,
    device: str = options.DEVICE,
    limits: options.LimitOptions,
    batch_size: int = option("Clips on the device at a time; speed only.", type=click.IntRange(1), default=4),
    part: str | None = option(
        "Make only every N-th shard, beginning with number I, from 0.  [default: the task of a Slurm, Grid Engine or"
        " LSF job array, or 0/1]",
        metavar="I/N",
    ),
    scheduler: str = option(
        "Address of a Dask cluster, whose workers make the shards, each on the device it has. All need to see OUT and"
        " the videos.",
        metavar="ADDRESS",
        default="",
        show_default=False,
    ),
    wait: bool = option("Where another process is at work on the same shards, start once it has ended."),
    join: bool = option(
        "Where another process is at work on the same shards, make others beside it until all are there."
    ),
    on_error: Literal["skip", "fail"] = option(
        "A video that cannot be read: leave its clips out, or end the run.", default="skip"
    ),
    retry_failed: bool = option("Try again the videos that were left out, such as mended ones."),
    extend: bool = option("Keep all clips of the folder, and make those of videos that are new, as a part of it."),
    overwrite: bool = option("Replace the shards of another plan in the folder."),
    force: bool = option("Start even if the disk seems too small."),
    card: options.CardOptions,
    dry_run: bool = option("Say what would be made, how large and how long, and write nothing."),
    output: Output,
) -> None:
    """Write augmented clips of the videos of INPUT into HDF5 shards.

    INPUT is a folder or list of videos, a manifest written by 'vidaug scan', or - for a manifest or paths on stdin; or
    several of them. The same command again continues where it stopped. Exits with 3 when broken videos had to be left
    out, with 4 when shards are unfinished, as a video could not be read this time: the same command tries again.

    \b
    vidaug augment videos -o shards --recipe fademixup --copies 4
    vidaug scan videos | grep jump | vidaug augment - -o shards -r cutmix
    """
    from vidaug_cli.augment.card import write_shard_card
    from vidaug_cli.augment.command import Command
    from vidaug_cli.augment.extend import extend as extended
    from vidaug_cli.augment.finish import choose_workers
    from vidaug_cli.augment.output import check_start, fit_codec
    from vidaug_cli.augment.part import WHOLE, Part, scheduler_of
    from vidaug_cli.augment.plan import Plan
    from vidaug_cli.augment.run import estimate, run
    from vidaug_cli.data.kinds import parts_of
    from vidaug_cli.recipe.notes import FEW_VIDEOS, caution_notes
    from vidaug_cli.words import printable

    if extend and overwrite:
        raise click.UsageError("--extend keeps what is there, and --overwrite does not: give one of them.")
    if extend and (copies.balance or copies.per_class):
        raise click.UsageError(
            "--extend adds clips of new videos only, which makes no classes equal: give --copies CLASS=N."
        )
    if wait and join:
        raise click.UsageError("--wait and --join are two ways to deal with another process: give one of them.")
    engine = limits.engine("cpu" if scheduler else device, batch_size)
    array = scheduler_of(environ)
    share = Part.parse(part) if part else array.part(environ) if array else WHOLE
    if array and not part:
        output.note(f"part {share}, as this is a task of a job array of {array.name}; --part 0/1 makes all shards")
    processes = options.processes(workers, output)
    plan = Plan(
        rows=(),
        recipe=recipe.load(),
        spec=clip.spec(),
        seed=seed,
        **copies.settings(),
        codec="raw" if codec == "auto" else codec,
        quality=quality,
        clips_per_shard=clips_per_shard,
    )
    plan, quarantined = choice.fill(plan, inputs, output, limits=engine.limits, workers=processes)
    plan = copies.balanced(plan)
    if without := plan.without_clip:
        output.note(f"{without} of {len(plan.rows)} videos get no clip: their classes are to have fewer than videos")
    if len(plan.present) == 1:
        output.note(f"all videos are of one class, {printable(plan.classes[plan.present[0]])!r}: {ONE_CLASS}")
    if plan.rounds.copies and len(plan.rows) < FEW_VIDEOS:
        output.note(*caution_notes(plan.recipe.cautions, 0))
    if codec == "auto":
        plan, chosen = fit_codec(plan, parts_of(out)[0] if extend else out, overwrite=overwrite)
        output.note(chosen)
    if not workers and not scheduler:
        processes, chosen = choose_workers(plan, engine, processes)
        output.note(chosen)
    jobs = [(plan, out)]
    if extend:
        extension = extended(plan, out)
        jobs = extension.jobs
        output.note(extension.text)
    if dry_run:
        planned = [estimate(job, folder, engine, processes, part=share, overwrite=overwrite) for job, folder in jobs]
        output.print({"planned": planned}, *(each.text for each in planned), next=without_dry_run())
        for job, folder in jobs:
            check_start(job, folder, share, overwrite=overwrite, retry_failed=retry_failed, force=force)
        return
    words, run_by = ["vidaug", *sys.argv[1:]], array.name if array else ""
    reports = []
    for job, folder in jobs:
        made = run(
            job,
            folder,
            replace(engine, device=device) if scheduler else engine,
            part=share,
            workers=processes,
            on_error=on_error,
            overwrite=overwrite,
            retry_failed=retry_failed,
            force=force,
            when_busy="wait" if wait else "join" if join else "stop",
            command=Command.typed(words, Path.cwd(), environ, share.count, run_by),
            say=output.note,
            progress=not output.quiet,
            scheduler=scheduler,
        )
        output.note(made.text)
        reports.append(made)
    if listed := all(made.listed for made in reports):  # else others are still at it, and the last one writes it
        kept = write_shard_card(out, card.about())
        output.note(*(f"{out / name} was edited, and stays as it is" for name in kept))
    if failed := any(made.failures for made in reports):
        output.note("the same command leaves them out again; once they are mended, --retry-failed tries them")
    unfinished = any(made.unfinished for made in reports)
    look = ("report", out, "-o", "report.html") if listed else ("status", out)
    output.print({"made": reports, "quarantined": quarantined}, next=sys.argv[1:] if unfinished else look)
    if unfinished:
        raise SystemExit(options.UNFINISHED)
    if failed or quarantined:
        raise SystemExit(options.SKIPPED)
