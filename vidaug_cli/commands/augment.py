"""`vidaug augment`: from videos to verified shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import note, show_progress

if TYPE_CHECKING:
    from vidaug_cli.augment import Estimate, Report


@click.command()
@click.argument("source", metavar="INPUT")
@options.out_option("Folder for the shards.")
@options.recipe_option
@options.set_option
@click.option("--copies", type=click.IntRange(0), default=1, show_default=True, help="Clips made of each video.")
@click.option("--keep-original", is_flag=True, help="One clean clip of each video besides the copies.")
@options.seed_option
@options.clip_options
@options.input_options
@click.option(
    "--codec", type=click.Choice(["raw", "jpeg"]), default="raw", show_default=True, help="How pixels are stored."
)
@click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="Of --codec jpeg.")
@click.option("--clips-per-shard", type=int, default=64, show_default=True, help="A multiple of 32.")
@options.workers_option
@options.device_option
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Clips on the device at a time; speed only.",
)
@click.option(
    "--part", metavar="I/N", default="0/1", help="Render only every N-th shard from the I-th, for job arrays."
)
@click.option(
    "--on-error",
    type=click.Choice(["skip", "fail"]),
    default="skip",
    show_default=True,
    help="What a video that cannot be read does.",
)
@click.option("--overwrite", is_flag=True, help="Replace the shards of another plan in the folder.")
@click.option("--force", is_flag=True, help="Start even if the disk seems too small.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, how large and how long, and write nothing.")
@options.json_option
@options.quiet_option
def command(source: str, out: Path, as_json: bool, quiet: bool, dry_run: bool, part: str, **kwargs: Any) -> None:
    """Write augmented clips of the videos of INPUT into HDF5 shards.

    INPUT is a folder, a manifest written by 'vidaug scan', or - for a manifest on stdin. The same command again
    continues where it stopped. Exits with 3 when some videos had to be left out.

    \b
    vidaug augment videos -o shards --recipe fademixup --copies 4
    vidaug scan videos | grep jump | vidaug augment - -o shards -r randaugment_t -r cutmix
    """
    from vidaug_cli.augment import estimate, run
    from vidaug_cli.output import Part

    engine, workers = options.engine(kwargs), options.workers(kwargs)
    how = {name: kwargs.pop(name) for name in ("on_error", "overwrite", "force")}
    plan, quarantined = options.plan(source, kwargs, quiet=quiet)
    if dry_run:
        found: Estimate | Report = estimate(plan, out, engine, workers)
        click.echo(json.dumps(found.as_json()) if as_json else found.text)
        return
    report = run(plan, out, engine, part=Part.parse(part), workers=workers, progress=show_progress(quiet), **how)
    note(report.text, quiet=quiet)
    if as_json:
        click.echo(json.dumps(report.as_json()))
    if report.failures or quarantined:
        raise SystemExit(3)
