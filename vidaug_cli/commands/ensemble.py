"""`vidaug ensemble`: scores of several networks as one."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

import click

from vidaug_cli.commands.options import read_scores
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import argument, as_command, option, out_option
from vidaug_cli.words import printable


@as_command
def command(
    scores: tuple[Path, ...] = argument("SCORES..."),
    *,
    out: Path = out_option("File of scores to write.", example="scores.h5"),
    weights: str | None = option("A weight above 0 for each file.  [default: all the same]", metavar="W,W,..."),
    allow_missing: bool = option("Let a video that failed in some files have the mean of the others."),
    output: Output,
) -> None:
    """Average two or more files of SCORES.

    They have to hold the same classes and videos, in whatever order. Per-view scores are not kept, those
    of disturbed videos only where all files have the same.
    """
    from vidaug_cli.scores.ensemble import Member, ensemble
    from vidaug_cli.scores.file import check_place, write_scores
    from vidaug_cli.words import count, printable

    if len(scores) < 2:
        raise click.UsageError("an ensemble needs two files of scores or more: give another.")
    shares = [1.0] * len(scores) if weights is None else _weights(weights, len(scores))
    check_place(out)
    members = [Member(str(path), read_scores(path), share) for path, share in zip(scores, shares, strict=True)]
    mean, missing = ensemble(members, allow_missing=allow_missing)
    write_scores(out, mean)
    for video, names in missing.items():
        output.note(f"without {', '.join(names)}: {printable(video)}")
    if not mean.disturbances and (dropped := sum(bool(member.scores.disturbances) for member in members)):
        what = "and the files do not have the same" if dropped == len(members) else "and the others have none"
        output.note(f"{count(dropped, 'file')} with scores of disturbed videos, {what}: these are not kept")
    failed = f", {len(mean.failures)} failed in all" if mean.failures else ""
    output.note(f"{out}: {len(mean.videos)} videos, mean of {len(members)}{failed}")
    result = {"wrote": out, "videos": len(mean.videos), "files": len(members), "failures": mean.failures}
    output.print(result, next=("evaluate", out))


def _weights(text: str, count: int) -> list[float]:
    with suppress(ValueError):  # a word that is not a number
        weights = [float(word) for word in text.split(",")]
        if len(weights) == count and all(math.isfinite(weight) and weight > 0 for weight in weights):
            return weights
    raise click.UsageError(f"--weights {printable(text)} should be {count} numbers above 0, with commas between them.")
