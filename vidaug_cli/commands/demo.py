"""`vidaug demo`: the whole road on videos the program makes itself."""

from __future__ import annotations

import io
import shlex
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import click

from vidaug_cli.commands import augment, inspect, preview, report, sample, scan
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import OutPath, argument, as_command


@as_command
def command(
    folder: Path = argument("DIR", type=OutPath("vidaug-demo"), default="vidaug-demo"), *, output: Output
) -> None:
    """Try it all on sample videos made in DIR.

    Runs sample, scan, augment, inspect, preview and report in less than a minute. Every step is shown as the command
    that does it, to be copied and changed. DIR is vidaug-demo unless given.
    """
    videos, manifest, shards, page = (folder / name for name in ("videos", "manifest.jsonl", "shards", "report.html"))
    made = shlex.split("--recipe fademixup --flip 0 --copies 2 --codec jpeg")
    steps: list[tuple[click.Command, list[object]]] = [
        (scan.command, [videos, "-o", manifest]),
        (augment.command, [manifest, "-o", shards, *made]),
        (inspect.command, [shards]),
        (preview.command, [shards, "-o", folder / "preview.png", "-o", folder / "preview.webp"]),
        (report.command, [shards, "-o", page]),
    ]
    if not videos.exists():  # a second demo looks again at what the first made
        steps.insert(0, (sample.command, [videos]))
    context, commands = click.get_current_context(), []
    quiet = ["-q"] if output.quiet else []
    for step, arguments in steps:
        name = step.callback.__module__.rpartition(".")[2] if step.callback else ""
        words = list(map(str, arguments))
        commands.append(shlex.join(["vidaug", name, *words]))
        output.note(f"\n$ {commands[-1]}")
        try:
            with redirect_stdout(io.StringIO()) if output.json else nullcontext():
                step.main([*words, *quiet], prog_name=f"vidaug {name}", parent=context, standalone_mode=False)
        except SystemExit as end:
            if end.code:
                raise
    output.note(f"\nOpen {page} in a browser: there the clips move. All else is in {folder}, too.")
    result = {"folder": folder, "report": page, "commands": commands}
    output.print(result, str(page), next=("scan", "VIDEOS", "-o", "manifest.jsonl"))
