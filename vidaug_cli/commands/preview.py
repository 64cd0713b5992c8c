"""`vidaug preview`: pictures of clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import note


@click.command()
@click.argument("source", metavar="OUT|INPUT")
@click.option(
    "-o",
    "--out",
    type=options.OutPath("look.png", dir_okay=False),
    multiple=True,
    default=(Path("preview.png"),),
    show_default=True,
    help="Picture to write: .png for a contact sheet, .gif or .mp4 for clips playing; may be repeated.",
)
@click.option("--clip", type=click.IntRange(0), multiple=True, help="Number of a clip in OUT; may be repeated.")
@click.option(
    "--count", type=click.IntRange(1, 64), default=6, show_default=True, help="Without --clip: how many clips."
)
@click.option(
    "--columns", type=click.IntRange(2, 64), default=8, show_default=True, help="Frames of a clip on a sheet."
)
@click.option(
    "--thumb", type=click.IntRange(32, 1024), default=128, show_default=True, help="Width of a frame in pixels."
)
@options.recipe_option
@options.set_option
@options.seed_option
@options.clip_options
@options.input_options
@options.device_option
@options.limit_options
@options.quiet_option
def command(
    source: str,
    out: tuple[Path, ...],
    clip: tuple[int, ...],
    count: int,
    columns: int,
    thumb: int,
    quiet: bool,
    **kwargs: Any,
) -> None:
    """Draw clips as a contact sheet or an animation.

    Rows are clips, columns frames; the bar under them shows each video's weight over time. For OUT, clips that lie in
    its shards. For INPUT with --recipe, what the recipe would make, with no shards written.
    """
    from vidaug_cli.augment.preview import rendered_strips, stored_strips
    from vidaug_cli.data.kinds import is_shards
    from vidaug_cli.draw.pictures import check_suffixes, draw_pictures

    check_suffixes(out)
    stored = is_shards(Path(source))
    if stored and kwargs["recipe"]:
        raise click.UsageError(f"{source} holds shards, which are drawn as they are: leave --recipe out.")
    if not stored and clip:
        raise click.UsageError("--clip picks clips of OUT; of INPUT the first --count are drawn.")
    if not stored and not kwargs["recipe"]:
        raise click.UsageError(f"{source} holds no shards; to see what a recipe makes of INPUT, give --recipe NAME.")
    if stored:
        strips = stored_strips(Path(source), list(clip) or count)
    else:
        engine = options.engine(kwargs)
        plan, _ = options.plan([source], kwargs, quiet=quiet, limits=engine.limits)
        strips = rendered_strips(plan, engine, count)
    for path in draw_pictures(strips, out, columns=columns, thumb=thumb):
        note(f"wrote {path}", quiet=quiet)
