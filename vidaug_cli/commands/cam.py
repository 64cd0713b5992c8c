"""`vidaug cam`: where and when in a clip a network sees its classes."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Any

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import note, show_progress


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("shards", type=click.Path(path_type=Path))
@click.option("--clip", type=click.IntRange(0), help="Number of a clip to draw.")
@click.option(
    "-o",
    "--out",
    type=options.OutPath("cam.png", dir_okay=False),
    multiple=True,
    default=(Path("cam.png"),),
    show_default=True,
    help="Picture to write: .png for a contact sheet, .gif or .mp4 for the clip playing; may be repeated.",
)
@click.option("--columns", type=click.IntRange(2, 64), default=10, show_default=True, help="Frames on a sheet.")
@click.option(
    "--thumb", type=click.IntRange(32, 1024), default=128, show_default=True, help="Width of a frame in pixels."
)
@click.option("--measure", is_flag=True, help="Measure temporal localisation over all mixed clips.")
@options.network_options
@options.json_option
@options.quiet_option
def command(
    checkpoint: Path,
    shards: Path,
    clip: int | None,
    out: tuple[Path, ...],
    columns: int,
    thumb: int,
    measure: bool,
    json: bool,
    quiet: bool,
    **kwargs: Any,
) -> None:
    """Draw what a network sees in a clip, or measure it.

    What is drawn are class activation maps of the network in CHECKPOINT on a clip of SHARDS, a folder written by
    'vidaug augment'. A row is a class of the clip and a column a frame, with the map as heat; the line under them is
    the class's activation over time, over the share of its video in each frame.

    --measure gives the number behind the pictures: the rank correlation over time between a class's activation and its
    true share, averaged over the clips whose shares change over time, such as those of fademixup and framecutmix. A
    network that does not see when a class is there has 0.

    \b
    vidaug cam run/best.safetensors shards --clip 7 -o cam.png -o cam.mp4
    vidaug cam run/best.safetensors shards --measure
    """
    from vidaug_cli.augment.preview import check_suffixes, draw_pictures
    from vidaug_cli.predict import cam
    from vidaug_cli.predict.cam_sheet import LEGEND, look, strips

    if clip is None and not measure:
        raise click.UsageError("--clip says which clip to draw; --measure measures all of them.")
    check_suffixes(out)
    predictor = options.predictor(checkpoint, kwargs)
    printed: dict[str, Any] = {}
    if clip is not None:
        video, classes = look(predictor, shards, clip)
        for path in draw_pictures(strips(video, classes), out, columns=columns, thumb=thumb, legend=LEGEND):
            note(f"wrote {path}", quiet=quiet)
        printed["classes"] = [seen.as_json() for seen in classes]
    if measure:
        for line in predictor.notes:
            note(line, quiet=quiet)
        found = cam.measure(predictor, shards, progress=show_progress(quiet))
        printed["localisation"] = found.as_json()
        if not json:
            click.echo(found.text)
    if json:
        click.echo(dumps(printed, ensure_ascii=False))
