"""`vidaug demo`: the whole road on videos the program makes itself."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from vidaug_cli.commands import augment, inspect, preview, report, sample, scan
from vidaug_cli.commands.options import note
from vidaug_cli.commands.signature import OutPath, argument, as_command


@as_command
def command(folder: Path = argument("DIR", type=OutPath("vidaug-demo"), default="vidaug-demo")) -> None:
    """Try it all on sample videos made in DIR.

    Runs sample, scan, augment, inspect, preview and report in less than a minute. Every step is shown as the command
    that does it, to be copied and changed. DIR is vidaug-demo unless given.
    """
    videos, manifest, shards = folder / "videos", folder / "manifest.jsonl", folder / "shards"
    made = shlex.split("--recipe fademixup --flip 0 --copies 2 --codec jpeg")
    steps: list[tuple[click.Command, list[object]]] = [
        (scan.command, [videos, "-o", manifest]),
        (augment.command, [manifest, "-o", shards, *made]),
        (inspect.command, [shards]),
        (preview.command, [shards, "-o", folder / "preview.png", "-o", folder / "preview.gif"]),
        (report.command, [shards, "-o", folder / "report.html"]),
    ]
    if not videos.exists():  # a second demo looks again at what the first made
        steps.insert(0, (sample.command, [videos]))
    for step, arguments in steps:
        name = step.callback.__module__.rpartition(".")[2] if step.callback else ""
        words = list(map(str, arguments))
        note(f"\n$ vidaug {shlex.join([name, *words])}")
        try:
            step.main(words, prog_name=f"vidaug {name}", standalone_mode=False)
        except SystemExit as end:
            if end.code:
                raise
    note(f"\nOpen {folder / 'report.html'} in a browser: there the clips move. All else is in {folder}, too.")
    click.echo(folder)
