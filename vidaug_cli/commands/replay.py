"""`vidaug replay`: render stored clips again and compare."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import note


@click.command()
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--clip", "clips", type=click.IntRange(0), multiple=True, help="Number of a clip in the plan; may be repeated."
)
@click.option(
    "--count", type=click.IntRange(1), default=8, show_default=True, help="Without --clip: how many, evenly spread."
)
@click.option("--all", "all_clips", is_flag=True, help="Every clip.")
@click.option(
    "--root", type=click.Path(path_type=Path, file_okay=False), help="Where the videos lie now, if they were moved."
)
@options.device_option
@options.json_option
@options.quiet_option
def command(
    folder: Path,
    clips: tuple[int, ...],
    count: int,
    all_clips: bool,
    root: Path | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Render clips of OUT again from their source videos and stored numbers, and compare.

    On the same kind of device the bytes are equal (of JPEG shards: once encoded again). Exits with 1 where they differ.
    """
    from vidaug_cli.inspection import replay_clips
    from vidaug_cli.render import Engine, resolve_device

    wanted = None if all_clips else list(clips) or count
    engine = Engine(device=resolve_device(device))
    faults = 0
    for result in replay_clips(folder, wanted, engine, root=root, progress=options.show_progress(quiet)):
        faults += not result.equal
        click.echo(json.dumps(vars(result)) if as_json else f"clip {result.clip}: {result.what}")
    note(f"{faults} clips differ" if faults else "every clip is what its numbers say", quiet=quiet)
    if faults:
        raise SystemExit(1)
