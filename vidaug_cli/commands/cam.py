"""`vidaug cam`: where and when in a clip a network sees its classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidaug_cli.commands.options import THUMB, NetworkOptions, picture_option
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command, option


@as_command
def command(
    checkpoint: Path = argument("CHECKPOINT"),
    shards: Path = argument("SHARDS"),
    *,
    clip: int | None = option("Number of a clip to draw.", type=click.IntRange(0)),
    out: tuple[Path, ...] = picture_option("the clip", default="cam.png", example="cam.png"),
    columns: int = option("Frames on a sheet.", type=click.IntRange(2, 64), default=10),
    thumb: int = THUMB,
    measure: bool = option("Measure temporal localisation over all mixed clips."),
    network: NetworkOptions,
    output: Output,
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
    from vidaug_cli.draw.pictures import check_suffixes, draw_pictures
    from vidaug_cli.predict import cam

    if clip is None and not measure:
        raise click.UsageError("give --clip N, the clip to draw, or --measure, which measures all clips.")
    check_suffixes(out)
    predictor = network.predictor(checkpoint)
    printed: dict[str, Any] = {"wrote": []}
    lines = []
    if clip is not None:
        classes = cam.class_activations(predictor, shards, clip)
        strips, legend = cam.strips_of(classes), cam.legend_of(classes)
        for path in draw_pictures(strips, out, columns=columns, thumb=thumb, legend=legend):
            output.note(f"wrote {path}")
            printed["wrote"].append(path)
        printed["classes"] = [one.as_json() for one in classes]
    if measure:
        output.note(*predictor.notes)
        printed["localisation"] = measured = cam.measure(predictor, shards, progress=not output.quiet)
        lines.append(measured.text)
    output.print(printed, *lines)
