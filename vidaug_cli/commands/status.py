"""`vidaug status`: how far is a folder, who is at work in it, and what makes the rest?"""

from __future__ import annotations

from pathlib import Path

from vidaug_cli.commands import options
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command


@as_command
def command(
    folder: Path = argument("OUT"),
    *,
    among: Path | None = options.AMONG,
    output: Output,
) -> None:
    """Say how far OUT is, and print the command for the rest.

    Lists the processes that are at work, on this machine and on others, and the videos that were left out. Where OUT
    was made by a Slurm job array, the command is the 'sbatch' line with the tasks that are missing. With --json
    `folders` are OUT and the parts that it was extended by.
    """
    from vidaug_cli.augment.status import status
    from vidaug_cli.data.kinds import parts_of
    from vidaug_cli.data.manifest import read_manifest

    videos = read_manifest(among) if among else None
    found = [status(part, videos) for part in parts_of(folder)]
    output.print({"folders": found}, *(each.text for each in found))
