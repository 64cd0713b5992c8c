"""`vidaug predict`: scores of videos."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Any

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import note, show_progress


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("inputs", metavar="INPUT...|SHARDS", nargs=-1, required=True)
@options.out_option("File for the scores, HDF5.", example="scores.h5")
@click.option("--views", type=click.Choice(["1", "10", "30"]), help="Views of each video of INPUT.  [default: 10]")
@click.option(
    "--crop",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="Side of the square a view shows, as a share of the short side.  [default: the least in training]",
)
@click.option("--per-view", is_flag=True, help="Keep the scores of each view, too.")
@options.seed_option
@options.input_options
@options.network_options
@options.limit_options
@options.json_option
@options.quiet_option
def command(
    checkpoint: Path,
    inputs: tuple[str, ...],
    out: Path,
    views: str | None,
    crop: float | None,
    json: bool,
    quiet: bool,
    **kwargs: Any,
) -> None:
    """Score the videos of INPUT with the network in CHECKPOINT.

    CHECKPOINT is a file, or a run of 'vidaug train', of which it takes best.safetensors. INPUT is a folder or list of
    videos, a video, a manifest written by 'vidaug scan', or - for a manifest or paths on stdin; or several of them. One
    view is the middle of a video, ten are spread over its length, thirty are these at three places across; a video's
    scores are the mean of their softmax. SHARDS is a folder written by 'vidaug augment': there a video's clips are its
    views.
    Exits with 3 when some videos had to be left out; they are listed with the scores.

    \b
    vidaug predict run videos --split 1 --subset test -o scores.h5
    vidaug predict run/best.safetensors clip.mp4 -o scores.h5
    find . -name '*.mp4' | vidaug predict run - -o scores.h5
    """
    from vidaug_cli.predict.predict import predict_shards, predict_videos
    from vidaug_cli.scores.file import check_place, write_scores
    from vidaug_cli.train.run import is_shards

    shards = next((Path(source) for source in inputs if is_shards(Path(source))), None)
    if shards and len(inputs) > 1:
        raise click.UsageError(f"{shards} holds shards: give nothing beside them.")
    out.parent.mkdir(parents=True, exist_ok=True)
    check_place(out)
    predictor = options.predictor(checkpoint, kwargs)
    how: dict[str, Any] = {"per_view": kwargs.pop("per_view"), "progress": show_progress(quiet)}
    if shards:
        given = options.given_inputs(kwargs)
        given += [name for name, value in (("--views", views), ("--crop", crop)) if value is not None]
        if given:
            raise click.UsageError(f"{shards} holds shards, whose clips are scored as they are: leave {given[0]} out.")
        found = predict_shards(predictor, shards, **how)
    else:
        seed, how["views"] = kwargs.pop("seed"), int(views or 10)
        about: dict[str, Any] = {"workers": predictor.workers, "limits": predictor.limits}
        rows, whole = options.videos(inputs, kwargs, seed=seed, quiet=quiet, **about)
        found = predict_videos(predictor, rows, crop=crop, quarantined=whole.quarantined, **how)
    write_scores(out, found.scores)
    for line in (*found.notes, found.text):
        note(line, quiet=quiet)
    if json:
        click.echo(dumps(found.as_json()))
    if found.scores.failures:
        raise SystemExit(options.SKIPPED)
