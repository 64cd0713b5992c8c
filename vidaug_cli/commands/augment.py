"""`vidaug augment`: from videos to verified shards."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Any

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import note, show_progress

ONE_CLASS = "there is nothing to tell apart; are the folders of the classes further down, or is this a part of a set?"


@click.command()
@options.input_argument
@options.out_option("Folder for the shards.", example="shards")
@options.recipe_option
@options.set_option
@click.option("--copies", type=click.IntRange(0), default=1, show_default=True, help="Clips made of each video.")
@click.option("--keep-original", is_flag=True, help="One clean clip of each video besides the copies.")
@options.seed_option
@options.clip_options
@options.input_options
@click.option(
    "--codec",
    type=click.Choice(["raw", "jpeg"]),
    default="raw",
    show_default=True,
    help="raw is exact and fast; jpeg is far smaller.",
)
@click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="JPEG quality.")
@click.option(
    "--clips-per-shard", type=int, default=64, show_default=True, help="A multiple of 32; without effect on the clips."
)
@options.workers_option
@options.device_option
@options.limit_options
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Clips on the device at a time; speed only.",
)
@click.option("--part", metavar="I/N", default="0/1", help="Only every N-th shard, counted from I = 0, for job arrays.")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "fail"]),
    default="skip",
    show_default=True,
    help="A video that cannot be read: leave its clips out, or end the run.",
)
@click.option("--retry-failed", is_flag=True, help="Try all videos again that failed, not only what may pass.")
@click.option("--overwrite", is_flag=True, help="Replace the shards of another plan in the folder.")
@click.option("--force", is_flag=True, help="Start even if the disk seems too small.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, how large and how long, and write nothing.")
@options.json_option
@options.quiet_option
def command(
    inputs: tuple[str, ...], out: Path, json: bool, quiet: bool, dry_run: bool, part: str, **kwargs: Any
) -> None:
    """Write augmented clips of the videos of INPUT into HDF5 shards.

    INPUT is a folder or list of videos, a manifest written by 'vidaug scan', or - for a manifest or paths on stdin; or
    several of them. The same command again continues where it stopped. Exits with 3 when some videos had to be left
    out.

    \b
    vidaug augment videos -o shards --recipe fademixup --copies 4
    vidaug scan videos | grep jump | vidaug augment - -o shards -r randaugment_t -r cutmix
    """
    from vidaug_cli.augment.output import Part, check_start
    from vidaug_cli.augment.run import estimate, run
    from vidaug_cli.words import printable

    engine, workers, share = options.engine(kwargs), options.processes(kwargs, quiet=quiet), Part.parse(part)
    how = {name: kwargs.pop(name) for name in ("overwrite", "retry_failed", "force")}
    on_error = kwargs.pop("on_error")
    plan, quarantined = options.plan(inputs, kwargs, quiet=quiet, workers=workers, limits=engine.limits)
    if len(set(plan.labels)) == 1:
        note(f"all videos are of one class, {printable(plan.classes[plan.labels[0]])!r}: {ONE_CLASS}", quiet=quiet)
    if dry_run:
        found = estimate(plan, out, engine, workers, part=share, overwrite=how["overwrite"])
        click.echo(dumps(found.as_json()) if json else found.text)
        check_start(plan, out, share, **how)
        return
    progress = show_progress(quiet)
    report = run(plan, out, engine, part=share, workers=workers, on_error=on_error, progress=progress, **how)
    note(report.text, quiet=quiet)
    if any(failure.passing for failure in report.failures):
        note("the same command tries again what may have passed by then; --retry-failed tries all", quiet=quiet)
    elif report.failures:
        note("the same command leaves them out again; once they are mended, --retry-failed tries them", quiet=quiet)
    if json:
        click.echo(dumps(report.as_json() | {"quarantined": [video._asdict() for video in quarantined]}))
    if report.failures or quarantined:
        raise SystemExit(options.SKIPPED)
