"""`vidaug replay`: render stored clips again and compare."""

from __future__ import annotations

from pathlib import Path

import click

from vidaug_cli.commands.options import DEVICE, ROOT, LimitOptions
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command, option


@as_command
def command(
    folder: Path = argument("OUT"),
    *,
    clip: tuple[int, ...] = option("Number of a clip in the plan; may be repeated.", type=click.IntRange(0)),
    count: int = option("Without --clip: how many, evenly spread.", type=click.IntRange(1), default=8),
    all: bool = option("Every clip."),  # noqa: A002
    root: Path | None = ROOT,
    device: str = DEVICE,
    limits: LimitOptions,
    output: Output,
) -> None:
    """Render clips of OUT again and compare.

    They are made from their source videos and the stored numbers; nothing is drawn. On the same kind of device the
    bytes are equal (of jpeg and video shards: once encoded again); between CPU and CUDA pixels may differ by a level of
    255, of which a codec makes a few. Exits with 1 where they differ by more.
    """
    from vidaug_cli.augment.replay import replay_clips

    wanted = None if all else list(clip) or count
    engine = limits.engine(device)
    found = []
    for result in replay_clips(folder, wanted, engine, root=root, progress=not output.quiet):
        found.append(result)
        output.lines(f"clip {result.clip}: {result.what}")
    equal = sum(result.equal for result in found)
    output.note(f"{equal} of {len(found)} clips are what their numbers say")
    output.print({"clips": found})
    if equal < len(found):
        raise SystemExit(1)
