"""`vidaug score`: what a submission is worth."""

from __future__ import annotations

from json import dumps
from pathlib import Path

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import json_option, note, quiet_option

LISTED = 20  # missing videos that are named


@click.command()
@click.argument("submission", type=click.Path(path_type=Path))
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    metavar="FILE|MANIFEST|OUT",
    required=True,
    help="The truth: a line 'NAME.avi 100' for each video, or a manifest.",
)
@options.subset_option
@options.classes_option
@json_option
@quiet_option
def command(
    submission: Path, annotations: Path, subset: str | None, classes: Path | None, json: bool, quiet: bool
) -> None:
    """Score SUBMISSION as the VIPriors 2020 action challenge does.

    The challenge ranks by the mean over classes of the accuracy of each. A video without a line is wrong; a line that
    is not as it should be, an unknown video or class, and a video or class that comes twice end it with an error. Class
    numbers are those of --classes, or all between the lowest and highest of the annotations.
    """
    from vidaug_cli.scores.challenge import score
    from vidaug_cli.scores.evaluation import rate_line
    from vidaug_cli.words import count, printable

    found, allowed = score(submission, annotations, classes, subset)
    if json:
        click.echo(dumps(found.as_json()))
    else:
        click.echo(f"{'videos':18}  {found.videos}, {len(found.missing)} of them missing and wrong")
        for name, rate in found.rates.items():
            click.echo(rate_line(name, rate))
    note(f"class numbers allowed: {allowed}", quiet=quiet)
    for name in found.missing[:LISTED]:
        note(f"missing: {printable(name)}", quiet=quiet)
    if len(found.missing) > LISTED:
        note(f"... {count(len(found.missing), 'video')} are missing", quiet=quiet)
