"""`vidaug augment`: from videos to verified shards."""

from __future__ import annotations

import sys
from dataclasses import replace
from os import environ
from pathlib import Path
from typing import Literal

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.signature import argument, as_command, option, out_option

ONE_CLASS = "there is nothing to tell apart; are the folders of the classes further down, or is this a part of a set?"


@as_command
def command(
    inputs: tuple[str, ...] = argument("INPUT..."),
    *,
    out: Path = out_option("Folder for the shards.", example="shards"),
    recipe: options.RecipeOptions,
    copies: int = option("Clips made of each video.", type=click.IntRange(0), default=1),
    copies_per_round: int = option(
        "Copies of a video that are made from one pass of the decoder.", type=click.IntRange(1, 16), default=4
    ),
    keep_original: bool = option("One clean clip of each video besides the copies."),
    seed: int = options.SEED,
    clip: options.ClipOptions,
    choice: options.InputOptions,
    codec: Literal["raw", "jpeg", "video", "auto"] = option(
        "raw is exact and fast; jpeg is far smaller; video (H.264) smallest; auto: the first that the disk takes.",
        default="raw",
    ),
    quality: int = option("Of jpeg and video.", type=click.IntRange(1, 100), default=95),
    clips_per_shard: int = option("A multiple of 16, and at least that for each copy of a round.", default=64),
    workers: int = options.WORKERS,
    device: str = options.DEVICE,
    limits: options.LimitOptions,
    batch_size: int = option("Clips on the device at a time; speed only.", type=click.IntRange(1), default=4),
    part: str | None = option(
        "Only every N-th shard, from I = 0.  [default: the task of a Slurm, Grid Engine or LSF job array, or 0/1]",
        metavar="I/N",
    ),
    scheduler: str = option(
        "Of a Dask cluster: its workers make the shards, each on the device it has. All see OUT and the videos.",
        metavar="ADDRESS",
        default="",
        show_default=False,
    ),
    wait: bool = option("Where another process is at work on the same shards, start once it has ended."),
    join: bool = option("... or make other shards beside it; both end when all are there."),
    on_error: Literal["skip", "fail"] = option(
        "A video that cannot be read: leave its clips out, or end the run.", default="skip"
    ),
    retry_failed: bool = option("Try again the videos that were left out, such as mended ones."),
    extend: bool = option("Keep all clips of the folder, and make those of videos that are new, as a part of it."),
    overwrite: bool = option("Replace the shards of another plan in the folder."),
    force: bool = option("Start even if the disk seems too small."),
    dry_run: bool = option("Say what would be made, how large and how long, and write nothing."),
    report: options.ReportOptions,
) -> None:
    """Write augmented clips of the videos of INPUT into HDF5 shards.

    INPUT is a folder or list of videos, a manifest written by 'vidaug scan', or - for a manifest or paths on stdin; or
    several of them. The same command again continues where it stopped. Exits with 3 when broken videos had to be left
    out, with 4 when shards are unfinished, as a video could not be read this time: the same command tries again.

    \b
    vidaug augment videos -o shards --recipe fademixup --copies 4
    vidaug scan videos | grep jump | vidaug augment - -o shards -r randaugment_t -r cutmix
    """
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
        raise click.UsageError("--extend keeps what is there, and --overwrite does not: give one")
    if wait and join:
        raise click.UsageError("--wait and --join are two ways to deal with another process: give one")
    engine = limits.engine("cpu" if scheduler else device, batch_size)
    array = scheduler_of(environ)
    share = Part.parse(part) if part else array.part(environ) if array else WHOLE
    if array and not part:
        report.note(f"part {share}, as this is a task of a job array of {array.name}; --part 0/1 makes all shards")
    processes = options.processes(workers, report)
    plan = Plan(
        rows=(),
        recipe=recipe.load(),
        spec=clip.spec(),
        seed=seed,
        copies=copies,
        copies_per_round=copies_per_round,
        keep_original=keep_original,
        codec="raw" if codec == "auto" else codec,
        quality=quality,
        clips_per_shard=clips_per_shard,
    )
    plan, quarantined = choice.fill(plan, inputs, report, limits=engine.limits, workers=processes)
    if len(plan.present) == 1:
        report.note(f"all videos are of one class, {printable(plan.classes[plan.present[0]])!r}: {ONE_CLASS}")
    if copies and len(plan.rows) < FEW_VIDEOS:
        report.note(*caution_notes(plan.recipe.cautions, 0))
    if codec == "auto":
        plan, chosen = fit_codec(plan, parts_of(out)[0] if extend else out, overwrite=overwrite)
        report.note(chosen)
    if not workers and not scheduler:
        processes, chosen = choose_workers(plan, engine, processes)
        report.note(chosen)
    jobs = [(plan, out)]
    if extend:
        extension = extended(plan, out)
        jobs = extension.jobs
        report.note(extension.text)
    if dry_run:
        for job, folder in jobs:
            expected = estimate(job, folder, engine, processes, part=share, overwrite=overwrite)
            report.print(expected, expected.text)
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
            say=report.note,
            progress=not report.quiet,
            scheduler=scheduler,
        )
        report.note(made.text)
        report.print(vars(made) | {"quarantined": [video._asdict() for video in quarantined]})
        reports.append(made)
    if failed := any(made.failures for made in reports):
        report.note("the same command leaves them out again; once they are mended, --retry-failed tries them")
    if any(made.unfinished for made in reports):
        raise SystemExit(options.UNFINISHED)
    if failed or quarantined:
        raise SystemExit(options.SKIPPED)
