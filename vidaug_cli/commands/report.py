"""`vidaug report`: shards, runs and sweeps as a page to look at."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from vidaug_cli.commands.options import DEVICE
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import OutPath, argument, as_command, option


@as_command
def command(
    sources: tuple[Path, ...] = argument("OUT|RUN|SWEEP..."),
    *,
    out: Path = option(
        "Page to write.", "-o", type=OutPath("report.html", dir_okay=False), default=Path("report.html"), metavar="FILE"
    ),
    clips: int = option("Moving clips of each OUT.", type=click.IntRange(0, 60), default=24),
    worst: int = option("Clips of each RUN that its network gets most wrong.", type=click.IntRange(0, 60), default=6),
    device: str = DEVICE,
    output: Output,
) -> None:
    """Write a page about shards, runs and sweeps.

    It is one file of HTML that a browser opens from disk, with clips that play, and loads nothing from elsewhere. Of
    OUT, a folder of shards, it shows what was made, how classes, mixes and magnitudes are spread, clips over their
    weights, and what was left out. Of RUN, a folder of 'vidaug train', the curves, and from its scores.h5 the accuracy,
    what is taken for what, and how much of it is left on disturbed videos; several runs are compared. Of SWEEP, its
    table.

    \b
    vidaug report shards -o report.html
    vidaug report runs/plain runs/mixed -o runs.html
    """
    from vidaug_cli.report.build import Request, write_report

    request = Request(clips=clips, worst=worst, device=device, progress=not output.quiet)
    words = map(str, [*sources, "-o", out])
    write_report(sources, out, request, shlex.join(["vidaug", "report", *words]))
    output.note(f"wrote {out}")
    output.print({"wrote": [out]})
