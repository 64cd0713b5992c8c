"""`vidaug evaluate`: how good scores are."""

from __future__ import annotations

from pathlib import Path

import click

from vidaug_cli.commands.options import CLASSES, TRUTH, read_scores
from vidaug_cli.commands.output import Output, fitted
from vidaug_cli.commands.signature import OutPath, argument, as_command, option
from vidaug_cli.words import printable

EXISTING = click.Path(path_type=Path, exists=True)


@as_command
def command(
    scores: Path = argument("SCORES"),
    *,
    train: Path | None = option(
        "What was trained on: adds what its most frequent class and its nearest video by length and size achieve.",
        type=EXISTING,
        metavar="MANIFEST|OUT",
    ),
    truth: Path | None = TRUTH,
    classes: Path | None = CLASSES,
    confusion: Path | None = option(
        "Write it as FILE.json, or draw it as FILE.png, .pdf or .svg.", type=OutPath("matrix.png"), metavar="FILE"
    ),
    wrong: Path | None = option(
        "Write the misclassified videos: FILE.txt, .csv or .jsonl is a list, FILE.png a sheet, and DIR gets both.",
        type=OutPath("wrong.png"),
        metavar="DIR|FILE",
    ),
    videos: Path | None = option(
        "Where the scored videos are, for the sheet of --wrong: their manifest, or the folder that was predicted.",
        type=EXISTING,
        metavar="MANIFEST|OUT|DIR",
    ),
    worst: int = option("How many of the worst classes to list.", type=click.IntRange(0), default=5),
    output: Output,
) -> None:
    """Say how good SCORES are.

    Top-k accuracies, their means over classes, the worst classes; what is left of top-1 on disturbed videos, where
    'vidaug predict --perturb' made SCORES. Videos that could not be read count as wrong, those without a label are left
    out. Where the baselines of --train come near, the split is leaky or lopsided.
    --classes says which number is which class, for a --truth that has numbers.

    The verdict says whether the network is above the best of the baselines by two standard errors, whether it learnt
    its training clips, and what to try.
    """
    from vidaug_cli.data.manifest import read_manifest
    from vidaug_cli.scores.evaluation import baselines, evaluate, write_confusion
    from vidaug_cli.scores.robustness import robustness
    from vidaug_cli.scores.source import source_of
    from vidaug_cli.scores.truth import read_truth, with_truth
    from vidaug_cli.scores.verdict import chosen_note, judge

    if classes and not truth:
        raise click.UsageError("--classes says what the numbers of --truth mean: give that, too.")
    if wrong and wrong.suffix.lower() == ".png" and not videos:
        raise click.UsageError(f"--wrong {printable(str(wrong))} shows frames: --videos says where the videos are.")
    if videos and not wrong:
        raise click.UsageError("--videos says where the frames for --wrong are: give that, too.")
    scored = read_scores(scores)
    if truth:
        scored, by_name = with_truth(scored, read_truth(truth, scored.classes, classes), str(truth))
        if by_name:
            output.note(f"{truth}: {by_name} of the labels were found by file name alone")
    result = evaluate(scored)
    trivial = baselines(scored, read_manifest(train), str(train)) if train else None
    if confusion:
        write_confusion(result, confusion)
    verdict = judge(result, trivial, source_of(scored))
    printed, lines = result.as_json(worst) | {"verdict": verdict}, [*result.lines(worst)]
    if trivial:
        printed["baselines"] = trivial.as_json()
        lines += trivial.lines()
    if disturbed := robustness(scored):
        printed["robustness"] = disturbed.as_json()
        lines += disturbed.lines()
    lines += verdict.lines()
    said = []
    if wrong:  # first, so that what cannot be written is said alone
        from vidaug_cli.scores.wrong import write_wrong  # only here: it loads what decodes and draws

        said = write_wrong(scored, wrong, videos)
    output.print(printed, *fitted(lines, 20))
    output.note(*(f"{train}: {line}" for line in (trivial.notes() if trivial else ())))
    if note := chosen_note(source_of(scored), len(scored.all_videos)):
        output.note(note)
    output.note(*said)
