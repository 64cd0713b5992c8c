"""`vidaug merge`: several folders of shards as one."""

from __future__ import annotations

from pathlib import Path

from vidaug_cli.commands.options import CardOptions
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command, option, out_option


@as_command
def command(
    folders: tuple[Path, ...] = argument("OUT..."),
    *,
    out: Path = out_option("Folder for all of them, each as a part.", example="all"),
    copy: bool = option("Copy all files, where links would do."),
    card: CardOptions,
    output: Output,
) -> None:
    """Put several folders of shards into one.

    They have to be finished, and to have clips of one shape and the same classes, in whatever order. Files are linked
    where the disk can do that, which takes no room, and copied elsewhere. The new folder is there whole or not at all;
    the same command again goes on where it was broken off.

    \b
    vidaug merge monday tuesday -o week
    """
    from vidaug_cli.augment.card import about_of, write_shard_card
    from vidaug_cli.augment.merge import merge

    merged = merge(folders, out, copy=copy, progress=not output.quiet)
    write_shard_card(out, card.about().or_else(about_of(folders[0])))
    output.note(merged.text)
    output.print(merged, next=("inspect", out))
