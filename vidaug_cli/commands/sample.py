"""`vidaug sample`: videos to try everything with."""

from __future__ import annotations

from pathlib import Path

import click

from vidaug_cli.commands.options import SEED
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import OutPath, argument, as_command, option


@as_command
def command(
    folder: Path = argument("DIR", type=OutPath("sample")),
    *,
    per_class: int = option("Videos of each class.", type=click.IntRange(1, 1000), default=8),
    seed: int = SEED,
    overwrite: bool = option("Write a sample that is there already anew."),
    output: Output,
) -> None:
    """Write a small labelled folder of videos made by the program.

    Prints the folder's path. Six classes (left, right, up, down, grow, turn) that single frames do not tell apart, only
    their order does. Most are 320x240, some of another size or rate, H.264 and MPEG-4; with split lists as UCF101 has
    them.
    """
    from vidaug_cli.data.synthetic import MOTIONS, write_synthetic
    from vidaug_cli.workers import track

    videos = write_synthetic(folder, per_class, seed, overwrite=overwrite)
    written = list(track(videos, len(MOTIONS) * per_class, "video", "sample", show=not output.quiet))
    output.note(f"{len(written)} videos in {len(MOTIONS)} classes")
    output.note("A flip turns left into right: augment these with --flip 0 if you mean to train on them.")
    result = {"folder": folder, "videos": len(written), "classes": list(MOTIONS)}
    output.print(result, str(folder), next=("scan", folder, "-o", "manifest.jsonl"))
