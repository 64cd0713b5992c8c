"""`vidaug export`: the clips of shards as files that other libraries read."""

from __future__ import annotations

from pathlib import Path

import click

from vidaug_cli.commands.options import WORKERS, CardOptions, processes
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command, option, out_option
from vidaug_cli.export.formats import FormatName


@as_command
def command(
    folder: Path = argument("OUT"),
    *,
    out: Path = out_option("Folder for the export.", example="exported"),
    format: FormatName = option(  # noqa: A002
        "Tars for webdataset; MP4 files and metadata.jsonl; or Parquet for Hugging Face's datasets.", required=True
    ),
    quality: int | None = option(
        "Quality of the H.264.  [default: the stream of shards of --codec video as it is, else 95]",
        type=click.IntRange(1, 100),
    ),
    shard_size: int = option(
        "Megabytes of a tar or Parquet file at most.", type=click.IntRange(1, 100_000), default=100
    ),
    overwrite: bool = option("Replace another export in the folder."),
    card: CardOptions,
    workers: int = WORKERS,
    output: Output,
) -> None:
    """Write the clips of OUT as MP4 files that other libraries read.

    With each clip goes its soft label, the weights of its frames, its sources and every number drawn. The new folder is
    there whole or not at all; the same command again goes on where it was broken off.

    \b
    vidaug export shards -o tars --format webdataset
    """
    from vidaug_cli.export.run import export

    made = export(
        folder,
        out,
        format,
        quality=quality,
        piece_bytes=shard_size * 1_000_000,
        overwrite=overwrite,
        about=card.about(),
        workers=processes(workers, output),
        progress=not output.quiet,
    )
    output.note(made.text)
    output.print(made)
