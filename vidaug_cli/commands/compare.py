"""`vidaug compare`: which runs are better, and whether that is more than chance."""

from __future__ import annotations

from pathlib import Path

import click

from vidaug_cli.commands.options import CLASSES, TRUTH, write_text
from vidaug_cli.commands.output import Output, terminal_width
from vidaug_cli.commands.signature import OutPath, argument, as_command, option
from vidaug_cli.words import either, printable


@as_command
def command(
    runs: tuple[str, ...] = argument("RUN|SCORES|NAME=GLOB..."),
    *,
    baseline: str | None = option("The row that the others are compared with.  [default: the first]", metavar="NAME"),
    truth: Path | None = TRUTH,
    classes: Path | None = CLASSES,
    per_class: bool = option("Add the differences of each class."),
    markdown: bool = option("Print the table as Markdown."),
    csv: Path | None = option("Write all numbers to FILE.", type=OutPath("table.csv", stdout=True), metavar="FILE"),
    latex: Path | None = option(
        "Write the table to FILE, for the package booktabs.", type=OutPath("table.tex", stdout=True), metavar="FILE"
    ),
    out: Path | None = option(
        "Draw it with error bars: FILE.png, .pdf or .svg.", "-o", type=OutPath("compare.png"), metavar="FILE"
    ),
    output: Output,
) -> None:
    """Compare runs with a baseline on the same videos.

    The table has accuracies with intervals. A run is a file of scores or the folder of a run that has scores.h5; a
    folder of such runs stands for all of them. Runs whose training differs only in its seed, whatever the videos, are
    one row. NAME=GLOB makes a row of what it matches and names it; several patterns have commas between them.

    Intervals of 95 % are from a bootstrap over videos and over runs. Differences pair runs of the same seed and split,
    where there are some, and always videos. p is McNemar's exact test over videos or, for several runs in a split, its
    form in which the sign of each video's sum over runs is up to chance: it speaks of these runs, and the interval of
    others too.

    A row has columns for disturbed videos where its scores have them ('vidaug predict --perturb'), and for localisation
    where the folders have what 'vidaug cam --measure --json' printed, as localisation.json.

    \b
    vidaug compare runs/plain runs/mixed
    vidaug compare 'plain=runs/plain-*' 'fade=runs/fade-*' -o compare.png
    vidaug compare runs --csv table.csv --latex table.tex --json
    """
    from vidaug_cli.draw import plots
    from vidaug_cli.scores import tables
    from vidaug_cli.scores.compare import compare
    from vidaug_cli.scores.runs import find_runs, read_runs
    from vidaug_cli.scores.truth import read_truth

    if classes and not truth:
        raise click.UsageError("--classes says what the numbers of --truth mean: give that, too.")
    if out and out.suffix.lower() not in plots.SUFFIXES:
        raise click.UsageError(f"-o {printable(str(out))} should end in {either(plots.SUFFIXES)}.")
    labels = (lambda names: read_truth(truth, names, classes)) if truth else None
    result = compare(read_runs(find_runs(runs), labels, str(truth)), baseline)
    made = [tables.table(result)] + ([tables.class_table(result)] if per_class else [])
    if csv:
        write_text(csv, tables.as_csv(result))
    if latex:
        write_text(latex, "\n".join(map(tables.as_latex, made)))
    if out:
        plots.intervals(tables.panels(result), out)
    texts = [
        tables.as_markdown(one).rstrip() if markdown else "\n".join(tables.as_text(one, terminal_width()))
        for one in made
    ]
    output.print(result.as_json(), *("\n\n".join(texts).split("\n")))
    output.note(*result.notes, *(f"{row.name}: {row.pairs}" for row in result.rows if row.pairs))
