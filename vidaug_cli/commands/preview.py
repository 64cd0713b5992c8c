"""`vidaug preview`: pictures of clips."""

from __future__ import annotations

from pathlib import Path

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.signature import argument, as_command, option


@as_command
def command(
    source: str = argument("OUT|INPUT"),
    *,
    out: tuple[Path, ...] = options.picture_option("clips", default="preview.png", example="look.png"),
    clip: tuple[int, ...] = option("Number of a clip in OUT; may be repeated.", type=click.IntRange(0)),
    count: int = option("Without --clip: how many clips.", type=click.IntRange(1, 64), default=6),
    columns: int = option("Frames of a clip on a sheet.", type=click.IntRange(2, 64), default=8),
    thumb: int = options.THUMB,
    perturb: tuple[str, ...] = options.PERTURB,
    recipe: options.RecipeOptions,
    seed: int = options.SEED,
    spec: options.ClipOptions,
    choice: options.InputOptions,
    device: str = options.DEVICE,
    limits: options.LimitOptions,
    messages: options.MessageOptions,
) -> None:
    """Draw clips as a contact sheet or an animation.

    Rows are clips, columns frames; the bar under them shows each video's weight over time. For OUT, clips that lie in
    its shards. For INPUT with --recipe, what the recipe would make, with no shards written. With --perturb each clip is
    also drawn as it is disturbed in a test, with the strength over time as a line; INPUT then needs no recipe.
    """
    from vidaug_cli.augment.plan import Plan
    from vidaug_cli.augment.preview import DISTURBED, disturbed_strips, rendered_strips, stored_strips
    from vidaug_cli.data.kinds import is_shards
    from vidaug_cli.data.shard.extremes import Extremes
    from vidaug_cli.draw.clips import LEGEND, check_suffixes, draw_pictures
    from vidaug_cli.ops.disturbances import choose

    check_suffixes(out)
    stored = is_shards(Path(source))
    if stored and recipe.recipe:
        raise click.UsageError(f"{source} holds shards, which are drawn as they are: leave --recipe out.")
    if not stored and clip:
        raise click.UsageError("--clip picks clips of OUT; of INPUT the first --count are drawn.")
    disturbances = choose(perturb)
    if not stored and not recipe.recipe and disturbances:
        recipe = options.RecipeOptions(recipe=("none",), set=recipe.set)
    if not stored and not recipe.recipe:
        raise click.UsageError(f"{source} holds no shards; to see what a recipe makes of INPUT, give --recipe NAME.")
    if stored:
        strips = stored_strips(Path(source), list(clip) or count)
    else:
        engine = limits.engine(device)
        plan = Plan(rows=(), recipe=recipe.load(), spec=spec.spec(), seed=seed)
        plan, _ = choice.fill(plan, [source], messages, limits=engine.limits)
        strips = rendered_strips(plan, engine, count)
    extremes = Extremes.sum(Extremes.of(strip.video) for strip in strips)
    if told := extremes and extremes.text(len(strips)):
        messages.note(told)
    if disturbances:
        strips = list(disturbed_strips(strips, disturbances))
    legend = DISTURBED if disturbances else LEGEND
    for path in draw_pictures(strips, out, columns=columns, thumb=thumb, legend=legend):
        messages.note(f"wrote {path}")
