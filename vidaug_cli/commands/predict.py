"""`vidaug predict`: scores of videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidaug_cli.commands.options import PERTURB, SEED, SKIPPED, InputOptions, LimitOptions, NetworkOptions
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command, option, out_option
from vidaug_cli.words import printable

if TYPE_CHECKING:
    from vidaug_cli.data.sampling import Views

VIEWS: dict[str, Views] = {"1": 1, "10": 10, "30": 30}


@as_command
def command(
    checkpoint: Path = argument("CHECKPOINT"),
    inputs: tuple[str, ...] = argument("INPUT...|SHARDS"),
    *,
    out: Path = out_option("File for the scores, HDF5.", example="scores.h5"),
    views: str | None = option("Views of each video of INPUT.  [default: 10]", type=click.Choice(list(VIEWS))),
    crop: float | None = option(
        "Side of the square a view shows, as a share of the short side.  [default: the least in training]",
        type=click.FloatRange(0, 1, min_open=True),
        metavar="SHARE",
    ),
    perturb: tuple[str, ...] = PERTURB,
    per_view: bool = option("Keep the scores of each view, too."),
    seed: int = SEED,
    choice: InputOptions,
    network: NetworkOptions,
    limits: LimitOptions,
    output: Output,
) -> None:
    """Score the videos of INPUT with the network in CHECKPOINT.

    CHECKPOINT is a file, or a run of 'vidaug train', of which it takes best.safetensors. INPUT is a folder or list of
    videos, a video, a manifest written by 'vidaug scan', or - for a manifest or paths on stdin; or several of them. One
    view is the middle of a video, ten are spread over its length, thirty are these at three places across; a video's
    scores are the mean of their softmax. SHARDS is a folder written by 'vidaug augment': there a video's clips are its
    views.
    With --perturb each clip is also scored as it is disturbed while it plays: turned, dimmed and so on, held over the
    clip or ramped, by draws that are fixed. 'vidaug evaluate' then says how much of the accuracy is kept.
    Exits with 3 when some videos had to be left out; they are listed with the scores.

    \b
    vidaug predict run videos --split 1 --subset test -o scores.h5
    vidaug predict run/best.safetensors clip.mp4 -o scores.h5
    find . -name '*.mp4' | vidaug predict run - -o scores.h5
    """
    from vidaug_cli.data.kinds import is_shards
    from vidaug_cli.ops.disturbances import choose
    from vidaug_cli.predict.predict import predict_shards, predict_videos
    from vidaug_cli.scores.file import check_place, write_scores

    shards = next((Path(source) for source in inputs if is_shards(Path(source))), None)
    if shards and len(inputs) > 1:
        raise click.UsageError(f"{printable(str(shards))} holds shards: give nothing beside them.")
    disturbances = choose(perturb)
    out.parent.mkdir(parents=True, exist_ok=True)
    check_place(out)
    predictor = network.predictor(checkpoint, limits)
    if shards:
        if given := [*choice.given, *["--views"] * (views is not None), *["--crop"] * (crop is not None)]:
            name = printable(str(shards))
            raise click.UsageError(f"{name} holds shards, whose clips are scored as they are: leave {given[0]} out.")
        prediction = predict_shards(
            predictor, shards, disturbances=disturbances, per_view=per_view, progress=not output.quiet
        )
    else:
        rows, everything = choice.videos(inputs, output, seed=seed, workers=predictor.workers, limits=predictor.limits)
        prediction = predict_videos(
            predictor,
            rows,
            views=VIEWS[views or "10"],
            crop=crop,
            disturbances=disturbances,
            per_view=per_view,
            quarantined=everything.quarantined,
            progress=not output.quiet,
        )
    write_scores(out, prediction.scores)
    output.note(*prediction.notes, prediction.text)
    output.print({"wrote": out} | prediction.as_json(), next=("evaluate", out))
    if prediction.scores.failures:
        raise SystemExit(SKIPPED)
