"""`vidaug doctor`: whether this machine can do the work."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap

from vidaug_cli.commands.options import FOLDER
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import as_command, option

_MARKS = {"good": "ok", "note": "note", "bad": "BAD"}


@as_command
def command(
    *,
    folder: Path = option(
        "Where shards would be written.  [default: here]", type=FOLDER, default=Path(), metavar="DIR"
    ),
    output: Output,
) -> None:
    """Say whether this machine can do the work.

    Versions, cores, memory, disks, limits and GPUs, with what each finding means and what to do. Exit code 1
    if something would not work; a note is no such thing.
    """
    from vidaug_cli.doctor import examine, works

    findings = list(examine(folder))
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.state]:4}  {finding.name:{width}}  {finding.found}")
        lines += wrap(finding.means, 79, initial_indent=" " * 6, subsequent_indent=" " * 6)
    good = works(findings)
    lines.append("everything works" if good else "something would not work: see BAD above")
    output.print({"works": good, "findings": findings}, *lines, next=("demo",) if good else ())
    if not good:
        raise SystemExit(1)
