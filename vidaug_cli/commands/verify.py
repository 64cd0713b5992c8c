"""`vidaug verify`: is every shard there, whole, and what the plan says?"""

from __future__ import annotations

from pathlib import Path

from vidaug_cli.commands.options import WORKERS, processes
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command, option


@as_command
def command(
    folder: Path = argument("OUT"),
    *,
    quick: bool = option("Only what needs no reading of pixels: no hashes, no checksums."),
    workers: int = WORKERS,
    output: Output,
) -> None:
    """Check that the shards in OUT are whole and what the plan says.

    Looks at presence, hashes, HDF5 checksums, schema, labels and weights. Faults are listed on stdout, and the exit
    code is 1 if there is one.
    """
    from vidaug_cli.augment.verify import verify
    from vidaug_cli.words import count

    faults, shards = verify(folder, deep=not quick, workers=processes(workers, output), progress=not output.quiet)
    output.note(f"{folder}: {count(shards, 'shard')}, {count(len(faults), 'fault')}")
    result = {"shards": shards, "faults": faults}
    output.print(
        result, *(f"{fault.path}: {fault.what}" for fault in faults), next=() if faults else ("replay", folder)
    )
    if faults:
        raise SystemExit(1)
