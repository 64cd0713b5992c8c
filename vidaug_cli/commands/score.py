"""`vidaug score`: what a submission is worth."""

from __future__ import annotations

from pathlib import Path

from vidaug_cli.commands.options import CLASSES, SUBSET
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command, option

LISTED = 20  # missing videos that are named


@as_command
def command(
    submission: Path = argument("SUBMISSION"),
    *,
    annotations: Path = option(
        "The truth: a line 'NAME.avi 100' for each video, or a manifest.", metavar="FILE|MANIFEST|OUT", required=True
    ),
    subset: str | None = SUBSET,
    classes: Path | None = CLASSES,
    output: Output,
) -> None:
    """Score SUBMISSION as the VIPriors 2020 action challenge does.

    The challenge ranks by the mean over classes of the accuracy of each. A video without a line is wrong; a line that
    is not as it should be, an unknown video or class, and a video or class that comes twice end it with an error. Class
    numbers are those of --classes, or all between the lowest and highest of the annotations.
    """
    from vidaug_cli.scores.challenge import score
    from vidaug_cli.scores.evaluation import rate_line
    from vidaug_cli.words import count, printable

    result, source = score(submission, annotations, classes, subset)
    videos = f"{'videos':18}  {result.videos}, {len(result.missing)} of them missing and wrong"
    output.print(result.as_json(), videos, *(rate_line(name, rate) for name, rate in result.rates.items()))
    output.note(f"class numbers allowed: {source}")
    output.note(*(f"missing: {printable(name)}" for name in result.missing[:LISTED]))
    if len(result.missing) > LISTED:
        output.note(f"... {count(len(result.missing), 'video')} are missing")
