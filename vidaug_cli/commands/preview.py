"""`vidaug preview`: pictures of clips."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command, given_options, option
from vidaug_cli.words import printable


def parse_gain(text: float | str) -> float | Literal["auto"]:
    """Return a number or `auto`. Raises click.BadParameter."""
    if text == "auto":
        return "auto"
    with suppress(ValueError):
        if 0.1 <= (gain := float(text)) <= 100:
            return gain
    raise click.BadParameter(f"{text!r} is neither a number from 0.1 to 100 nor auto.")


@as_command
def command(
    source: str = argument("OUT|INPUT"),
    *,
    out: tuple[Path, ...] = options.picture_option("clips", default="preview.png", example="look.png"),
    clip: tuple[int, ...] = option("Number of a clip in OUT; may be repeated.", type=click.IntRange(0)),
    count: int = option("Without --clip: how many clips.", type=click.IntRange(1, 64), default=6),
    columns: int | None = option(
        "Frames of a clip on a sheet.  [default: 8; fewer with --grid]", type=click.IntRange(2, 64)
    ),
    thumb: int = options.THUMB,
    gain: float | Literal["auto"] = option(
        "Show dark clips so many times as bright; auto: each so that its lightest parts are white.",
        type=parse_gain,
        default=1,
        metavar="X|auto",
    ),
    originals: bool = option("Draw also the frames that each clip was made of: its own video's and its partner's."),
    grid: bool = option("Each --recipe by itself, side by side on the same clips of INPUT."),
    perturb: tuple[str, ...] = options.PERTURB,
    recipe: options.RecipeOptions,
    seed: int = options.SEED,
    spec: options.ClipOptions,
    choice: options.InputOptions,
    device: str = options.DEVICE,
    limits: options.LimitOptions,
    output: Output,
) -> None:
    """Draw clips as a contact sheet or an animation.

    Rows are clips, columns frames; the bar under them shows each video's weight over time. For OUT, clips that lie in
    its shards. For INPUT with --recipe, what the recipe would make, with no shards written. With --perturb each clip is
    also drawn as disturbed, with the strength over time as a line; INPUT then needs no recipe.

    \b
    vidaug preview videos -r fademixup -o look.png --originals
    vidaug preview videos -r none -r cutmix -r framecutmix --grid -o compare.gif
    """
    from vidaug_cli.augment.plan import Plan
    from vidaug_cli.augment.preview import DISTURBED, brightened, disturbed_strips, rendered_strips, stored_strips
    from vidaug_cli.data.kinds import is_shards
    from vidaug_cli.data.shard.extremes import Extremes
    from vidaug_cli.draw.clips import LEGEND
    from vidaug_cli.draw.pictures import check_suffixes, draw_pictures
    from vidaug_cli.ops.disturbances import choose

    check_suffixes(out)
    stored = is_shards(Path(source))
    if stored and "recipe" in given_options(click.get_current_context()):
        raise click.UsageError(f"{printable(source)} holds shards, which are drawn as they are: leave --recipe out.")
    if not stored and clip:
        raise click.UsageError("--clip picks clips of OUT; of INPUT the first are drawn: give --count.")
    disturbances = choose(perturb)
    if grid and (stored or disturbances or len(recipe.recipe) < 2):
        raise click.UsageError("--grid compares recipes on INPUT: give --recipe NAME twice or more, and no --perturb.")
    if not stored and not recipe.recipe and disturbances:
        recipe = options.RecipeOptions(recipe=("none",), set=recipe.set)
    if not stored and not recipe.recipe:
        what = "holds no shards" if source == "-" or Path(source).exists() else "does not exist"
        raise click.UsageError(f"{printable(source)} {what}; to see what a recipe makes of INPUT, give --recipe NAME.")
    heads: tuple[str, ...] = ()
    if stored:
        limit = limits.limits() if originals else None
        strips = stored_strips(Path(source), list(clip) or count, originals=limit, root=choice.root)
    else:
        engine = limits.engine(device)
        heads = recipe.recipe if grid else ()
        recipes = recipe.each() if grid else [recipe.load()]
        plan = Plan(rows=(), recipe=recipes[0], spec=spec.spec(), seed=seed)
        plan, _ = choice.fill(plan, [source], output, limits=engine.limits)
        apart = any(each.mix for each in recipes)
        how = {"originals": originals, "apart": apart}
        made = [rendered_strips(replace(plan, recipe=each), engine, count, **how) for each in recipes]
        strips = [strip for clips in zip(*made, strict=True) for strip in clips]
    extremes = Extremes.sum(Extremes.of(strip.video) for strip in strips)
    if told := extremes and extremes.text(len(strips)):
        output.note(told)
    if disturbances:
        strips = list(disturbed_strips(strips, disturbances))
    if gain != 1:
        strips = [brightened(strip, gain) for strip in strips]
    columns = columns or (max(3, 8 // len(heads)) if heads else 8)
    legend = DISTURBED if disturbances else LEGEND
    wrote = []
    for path in draw_pictures(strips, out, columns=columns, thumb=thumb, legend=legend, heads=heads):
        output.note(f"wrote {path}")
        wrote.append(path)
    output.print({"wrote": wrote})
