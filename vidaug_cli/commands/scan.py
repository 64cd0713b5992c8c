"""`vidaug scan`: a folder or list of videos becomes a manifest."""

from __future__ import annotations

from contextlib import suppress
from json import dumps, loads
from pathlib import Path
from typing import Literal

import click

from vidaug_cli.commands.options import SKIPPED, WORKERS, LimitOptions, ScanOptions, write_text
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import STDOUT, OutPath, argument, as_command, option, out_option
from vidaug_cli.errors import MissingPathError, OccupiedError


@as_command
def command(
    inputs: tuple[Path, ...] = argument("INPUT..."),
    *,
    out: Path | None = out_option(
        "Manifest to write; without it, rows go to stdout.", example="manifest.jsonl", stdout=True, required=False
    ),
    listing: ScanOptions,
    probe: Literal["full", "packets", "header"] = option(
        "How a video is probed: decode every frame (full), or estimate their number from the packets or the header.",
        default="full",
    ),
    hash: Literal["samples", "full"] = option(  # noqa: A002 (the name of the option)
        "What tells later that a video was changed: samples of its bytes, or all (full), then read each time.",
        default="samples",
    ),
    workers: int = WORKERS,
    cache: Path | None = option(
        "Keep probes here, not in your cache folder.", type=OutPath("probes.db"), metavar="FILE"
    ),
    no_cache: bool = option("Keep no probes: probe every video anew."),
    limits: LimitOptions,
    quarantine: Path | None = option("List unusable videos here.", type=OutPath("unusable.jsonl"), metavar="FILE"),
    output: Output,
    verbose: bool = option("List every unusable video.", "-v"),
) -> None:
    """Probe every video of INPUT and write a manifest.

    A manifest is text with one JSON line for each video, so that grep may pick lines. INPUT is a folder (class folders
    of videos or of frame images, UCF101, HMDB51, Kinetics, VIPriors) or a list with 'path label' on each line, - for
    one on stdin. Several become one data set, with classes matched by name. What cannot be used is left out, with the
    reason, and the exit code is then 3.
    """
    from vidaug_cli.data.manifest import rows_text
    from vidaug_cli.data.scan import scan
    from vidaug_cli.data.scan_summary import describe, summarise

    out = out or STDOUT
    if output.json and out == STDOUT:
        raise click.UsageError("--json needs -o FILE: without it the manifest goes to stdout.")
    if cache and no_cache:
        raise click.UsageError("--cache and --no-cache exclude each other: give one of them.")
    for file, keys in ((out, {"path", "frames"}), (quarantine, {"path", "reason"})):
        if file and file != STDOUT:
            _check_place(file, keys)
    scanned = scan(
        *inputs,
        **listing.finding,
        probe=probe,
        workers=workers,
        cache=cache or not no_cache,
        progress=not output.quiet,
        limits=limits.limits(),
        hashing=hash,
    )
    output.note(*describe(scanned, verbose))
    if quarantine:
        lines = (dumps(entry._asdict(), ensure_ascii=False) + "\n" for entry in scanned.quarantined)
        write_text(quarantine, "".join(lines))
    write_text(out, rows_text(scanned.usable()))
    following = () if out == STDOUT else ("preview", out, "-r", "fademixup", "-o", "look.png")
    output.print(summarise(scanned), next=following)
    if scanned.quarantined:
        raise SystemExit(SKIPPED)


def _check_place(file: Path, keys: set[str]) -> None:
    """Before hours of work: the folder is there, and nothing is overwritten but what an earlier scan wrote."""
    if not file.parent.is_dir():
        raise MissingPathError("does not exist", where=file.parent, hint="make this folder first")
    if file.is_dir():
        raise OccupiedError("is a folder", where=file, hint="name a file in it")
    if not file.is_file() or not file.stat().st_size:
        return
    with file.open(encoding="utf-8", errors="replace") as lines:
        first = lines.readline(1_000_000)
    with suppress(ValueError, AttributeError):  # not JSON, or not an object
        if keys <= loads(first).keys():
            return
    raise OccupiedError("exists, and no scan wrote it", where=file, hint="choose another name")
