"""A report of some folders: what each is decides what is shown of it; several runs are compared as well.

Each kind loads what it needs when it is shown: a folder of shards needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidaug_cli.data.kinds import Kind, expect, kind_of
from vidaug_cli.errors import KindError
from vidaug_cli.files import write_text_atomically
from vidaug_cli.report.page import render
from vidaug_cli.report.pieces import Report


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a page is to show."""

    clips: int = 24  # moving ones of each folder of shards
    worst: int = 6  # clips of each run that its network gets most wrong
    device: str = "auto"  # where that is found out
    progress: bool = False


def _shards(source: Path, request: Request) -> Report:
    from vidaug_cli.report.shards import report_shards

    return report_shards(source, request.clips, progress=request.progress)


def _run(source: Path, request: Request) -> Report:
    from vidaug_cli.report.runs import report_run

    return report_run(source, request.worst, device=request.device, progress=request.progress)


def _sweep(source: Path, request: Request) -> Report:
    from vidaug_cli.report.sweeps import report_sweep

    return report_sweep(source)


KINDS: dict[Kind, Callable[[Path, Request], Report]] = {Kind.SHARDS: _shards, Kind.RUN: _run, Kind.SWEEP: _sweep}


def write_report(sources: Sequence[Path], out: Path, request: Request, command: str) -> None:
    """Write a page about folders of shards, runs and sweeps; `command` is what the user typed.

    Raises VidaugError where a folder is none of these, before anything is read, and where one is damaged.
    """
    kinds = [kind_of(source) for source in sources]
    for kind, source in zip(kinds, sources, strict=True):
        expect(source, *KINDS)
        if kind not in KINDS:
            raise KindError("cannot be looked into", where=source, hint="name a folder of shards, a run or a sweep")
    reports = [KINDS[kind](source, request) for kind, source in zip(kinds, sources, strict=True)]
    runs = [source for kind, source in zip(kinds, sources, strict=True) if kind is Kind.RUN]
    if len(runs) > 1:
        from vidaug_cli.report.comparison import compare_runs

        reports = [*([compared] if (compared := compare_runs(runs)) else []), *reports]  # what one looks for first
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(out, render(reports, command))
