"""`vidaug submit`: scores in the format of those who judge them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from vidaug_cli.commands.options import CLASSES, SKIPPED, read_scores, write_text
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import STDOUT, argument, as_command, option, out_option


@as_command
def command(
    scores: Path = argument("SCORES"),
    *,
    out: Path = out_option("File to write; - is stdout.", example="submission.txt", stdout=True),
    format: Literal["vipriors2020", "csv", "json"] = option("What the file looks like.", default="vipriors2020"),  # noqa: A002
    classes: Path | None = CLASSES,
    output: Output,
) -> None:
    """Write SCORES as a submission.

    vipriors2020 has a line 'NAME.avi c1 c2 c3 c4 c5' for each video, the best class first, by the numbers in --classes.
    csv has the best five classes by name and their scores, json all scores. Videos that failed are left out and listed,
    and the exit code is then 3: they count as wrong.
    """
    from vidaug_cli.scores.challenge import as_csv, as_json, class_numbers, vipriors2020
    from vidaug_cli.words import count, printable

    if classes and format != "vipriors2020":
        raise click.UsageError(f"--classes goes with --format vipriors2020; {format} has class names.")
    if out != STDOUT and out.exists() and scores.exists() and out.samefile(scores):
        raise click.UsageError("-o names the file of scores itself: give another name.")
    scored = read_scores(scores)
    if format == "vipriors2020":
        numbers, source = class_numbers(scored.classes, classes)
        output.note(f"class numbers are taken {source}")
        text = vipriors2020(scored, numbers)
    else:
        text = {"csv": as_csv, "json": as_json}[format](scored)
    write_text(out, text)
    output.note(f"{'stdout' if out == STDOUT else out}: {count(len(scored.videos), 'video')}")
    output.note(*(f"left out: {printable(failed.video)}: {printable(failed.reason)}" for failed in scored.failures))
    if scored.failures:
        output.note(f"{count(len(scored.failures), 'video')} without scores have no line, and will count as wrong")
    following = () if out == STDOUT else ("score", out, "--annotations", "TRUTH")
    result = {"wrote": out, "videos": len(scored.videos), "failures": scored.failures}
    output.print(result, next=following)
    if scored.failures:
        raise SystemExit(SKIPPED)
