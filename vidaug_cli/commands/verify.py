"""`vidaug verify`: is every shard there, whole, and what the plan says?"""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Any

import click

from vidaug_cli.commands.options import json_option, note, processes, quiet_option, show_progress, workers_option


@click.command()
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Only what needs no reading of pixels: no hashes, no checksums.")
@workers_option
@json_option
@quiet_option
def command(folder: Path, quick: bool, json: bool, quiet: bool, **kwargs: Any) -> None:
    """Check that the shards in OUT are whole and what the plan says.

    Looks at presence, hashes, HDF5 checksums, schema, labels and weights. Faults are listed on stdout, and the exit
    code is 1 if there is one.
    """
    from vidaug_cli.augment.verify import verify
    from vidaug_cli.words import count

    workers = processes(kwargs, quiet=quiet)
    faults, shards = verify(folder, deep=not quick, workers=workers, progress=show_progress(quiet))
    if json:
        click.echo(dumps({"shards": shards, "faults": [vars(fault) for fault in faults]}))
    else:
        for fault in faults:
            click.echo(f"{fault.path}: {fault.what}")
    note(f"{folder}: {count(shards, 'shard')}, {count(len(faults), 'fault')}", quiet=quiet)
    if faults:
        raise SystemExit(1)
