"""`vidaug verify`: is every shard there, whole, and what the plan says?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidaug_cli.commands.options import json_option, note, quiet_option, show_progress, workers_option


@click.command()
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Only what needs no reading of pixels: no hashes, no checksums.")
@workers_option
@json_option
@quiet_option
def command(folder: Path, quick: bool, workers: int, as_json: bool, quiet: bool) -> None:
    """Check the shards in OUT: presence, hashes, HDF5 checksums, schema, labels, weights, and the plan.

    Faults are listed on stdout, and the exit code is 1 if there is one.
    """
    from vidaug_cli.inspection import verify

    faults, shards = verify(folder, deep=not quick, workers=workers, progress=show_progress(quiet))
    if as_json:
        click.echo(json.dumps({"shards": shards, "faults": [vars(fault) for fault in faults]}))
    else:
        for fault in faults:
            click.echo(f"{fault.path}: {fault.what}")
    note(f"{folder}: {shards} shards, {len(faults)} faults", quiet=quiet)
    if faults:
        raise SystemExit(1)
