"""`vidaug replay`: render stored clips again and compare."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Any

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import note


@click.command()
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--clip", type=click.IntRange(0), multiple=True, help="Number of a clip in the plan; may be repeated.")
@click.option(
    "--count", type=click.IntRange(1), default=8, show_default=True, help="Without --clip: how many, evenly spread."
)
@click.option("--all", is_flag=True, help="Every clip.")
@options.root_option
@options.device_option
@options.limit_options
@options.json_option
@options.quiet_option
def command(
    folder: Path,
    clip: tuple[int, ...],
    count: int,
    all: bool,  # noqa: A002
    root: Path | None,
    json: bool,
    quiet: bool,
    **kwargs: Any,
) -> None:
    """Render clips of OUT again and compare.

    They are made from their source videos and the stored numbers; nothing is drawn. On the same kind of device the
    bytes are equal (of JPEG shards: once encoded again); between CPU and CUDA pixels may differ by a level of 255, of
    which JPEG makes a few. Exits with 1 where they differ by more.
    """
    from vidaug_cli.augment.replay import replay_clips

    wanted = None if all else list(clip) or count
    engine = options.engine(kwargs)
    equal = []
    for result in replay_clips(folder, wanted, engine, root=root, progress=options.show_progress(quiet)):
        equal.append(result.equal)
        click.echo(dumps(vars(result)) if json else f"clip {result.clip}: {result.what}")
    note(f"{sum(equal)} of {len(equal)} clips are what their numbers say", quiet=quiet)
    if False in equal:
        raise SystemExit(1)
