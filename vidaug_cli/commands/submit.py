"""`vidaug submit`: scores in the format of those who judge them."""

from __future__ import annotations

from pathlib import Path

import click

from vidaug_cli.commands import options
from vidaug_cli.commands.options import SKIPPED, STDOUT, note, out_option, quiet_option

FORMATS = ("vipriors2020", "csv", "json")


@click.command()
@click.argument("scores", metavar="SCORES", type=click.Path(path_type=Path))
@out_option("File to write; - is stdout.", example="submission.txt", stdout=True)
@click.option(
    "--format", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True, help="What the file looks like."
)
@options.classes_option
@quiet_option
def command(scores: Path, out: Path, format: str, classes: Path | None, quiet: bool) -> None:  # noqa: A002
    """Write SCORES as a submission.

    vipriors2020 has a line 'NAME.avi c1 c2 c3 c4 c5' for each video, the best class first, by the numbers in --classes.
    csv has the best five classes by name and their scores, json all scores. Videos that failed are left out and listed,
    and the exit code is then 3: they count as wrong.
    """
    from vidaug_cli.files import write_text_atomically
    from vidaug_cli.scores.challenge import as_csv, as_json, class_numbers, vipriors2020
    from vidaug_cli.words import count, printable

    if classes and format != "vipriors2020":
        raise click.UsageError(f"--classes goes with --format vipriors2020; {format} has class names.")
    if out != STDOUT and out.exists() and scores.exists() and out.samefile(scores):
        raise click.UsageError("-o names the file of scores itself.")
    found = options.scores(scores)
    if format == "vipriors2020":
        numbers, origin = class_numbers(found.classes, classes)
        note(f"class numbers are taken {origin}", quiet=quiet)
        text = vipriors2020(found, numbers)
    else:
        text = {"csv": as_csv, "json": as_json}[format](found)
    if out == STDOUT:
        click.echo(text.encode(), nl=False)
    else:
        write_text_atomically(out, text)
    note(f"{'stdout' if out == STDOUT else out}: {count(len(found.videos), 'video')}", quiet=quiet)
    for failed in found.failures:
        note(f"left out: {printable(failed.video)}: {printable(failed.reason)}", quiet=quiet)
    if found.failures:
        note(f"{count(len(found.failures), 'video')} without scores have no line, and will count as wrong", quiet=quiet)
        raise SystemExit(SKIPPED)
