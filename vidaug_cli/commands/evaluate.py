"""`vidaug evaluate`: how good scores are."""

from __future__ import annotations

from json import dumps
from pathlib import Path

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import OutPath, json_option, note, quiet_option


@click.command()
@click.argument("scores", metavar="SCORES", type=click.Path(path_type=Path))
@click.option(
    "--train",
    type=click.Path(path_type=Path, exists=True),
    metavar="MANIFEST|OUT",
    help="What was trained on: adds what its most frequent class and its nearest video by length and size achieve.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True),
    metavar="MANIFEST|OUT|FILE",
    help="Take labels from here, by path or, where it is unique, by file name. In FILE, a line is 'NAME.avi 100'.",
)
@options.classes_option
@click.option("--confusion", type=OutPath("matrix.png"), metavar="FILE", help="Write it as FILE.json or FILE.png.")
@click.option(
    "--worst", type=click.IntRange(0), default=5, show_default=True, help="How many of the worst classes to list."
)
@json_option
@quiet_option
def command(
    scores: Path,
    train: Path | None,
    truth: Path | None,
    classes: Path | None,
    confusion: Path | None,
    worst: int,
    json: bool,
    quiet: bool,
) -> None:
    """Say how good SCORES are.

    Top-k accuracies, their means over classes, the worst classes. Videos that could not be read count as wrong, those
    without a label are left out. Where the baselines of --train come near, the split is leaky or lopsided.
    --classes says which number is which class, for a --truth that has numbers.
    """
    from vidaug_cli.data.manifest import read_manifest
    from vidaug_cli.scores.baselines import baselines
    from vidaug_cli.scores.evaluation import evaluate, write_confusion
    from vidaug_cli.scores.truth import read_truth, with_truth

    if classes and not truth:
        raise click.UsageError("--classes says what the numbers of --truth mean: give that, too.")
    found = options.scores(scores)
    if truth:
        found, by_name = with_truth(found, read_truth(truth, found.classes, classes), str(truth))
        note(f"{truth}: {by_name} of the labels were found by file name alone", quiet=quiet or not by_name)
    result = evaluate(found)
    trivial = baselines(found, read_manifest(train), str(train)) if train else None
    if confusion:
        write_confusion(result, confusion)
    if json:
        click.echo(dumps(result.as_json(worst) | ({"baselines": trivial.as_json()} if trivial else {})))
    else:
        for line in [*result.lines(worst), *(trivial.lines() if trivial else [])]:
            click.echo(line)
    for line in trivial.notes() if trivial else []:
        note(f"{train}: {line}", quiet=quiet)
