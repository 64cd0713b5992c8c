"""`vidaug scan`: a folder or list of videos becomes a manifest."""

from __future__ import annotations

from dataclasses import replace
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidaug_cli.commands.options import (
    SKIPPED,
    STDOUT,
    OutPath,
    json_option,
    limit_options,
    limits,
    links,
    note,
    out_option,
    quiet_option,
    scan_options,
    workers_option,
)
from vidaug_cli.errors import VidaugError

if TYPE_CHECKING:
    from vidaug_cli.data.manifest import ProbeMode


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@out_option("Manifest to write; without it, rows go to stdout.", example="manifest.jsonl", stdout=True, required=False)
@scan_options
@click.option(
    "--probe",
    type=click.Choice(["full", "packets", "header"]),
    default="full",
    show_default=True,
    help="Decode every frame; or estimate their number from the packets or the header.",
)
@workers_option
@click.option("--cache", type=OutPath("probes.db"), metavar="FILE", help="Keep probes here, not in your cache folder.")
@click.option("--no-cache", is_flag=True, help="Keep nothing, and look into every video anew.")
@limit_options
@click.option("--quarantine", type=OutPath("unusable.jsonl"), metavar="FILE", help="List unusable videos here.")
@json_option
@quiet_option
@click.option("-v", "--verbose", is_flag=True, help="List every unusable video.")
def command(
    inputs: tuple[Path, ...],
    out: Path | None,
    layout: str | None,
    split: int | None,
    lists: Path | None,
    root: Path | None,
    classes: Path | None,
    follow_links: str | None,
    probe: ProbeMode,
    workers: int,
    cache: Path | None,
    no_cache: bool,
    quarantine: Path | None,
    json: bool,
    quiet: bool,
    verbose: bool,
    **kwargs: Any,
) -> None:
    """Look into every video of INPUT and write a manifest.

    A manifest is text with one JSON line for each video, so that grep may pick lines. INPUT is a folder (class folders
    of videos or of frame images, UCF101, HMDB51, Kinetics, VIPriors) or a list with 'path label' on each line, - for
    one on stdin. Several become one data set, with classes matched by name. What cannot be used is left out, with the
    reason, and the exit code is then 3.
    """
    from vidaug_cli.data.classes import read_classes
    from vidaug_cli.data.manifest import rows_text
    from vidaug_cli.data.scan import scan
    from vidaug_cli.data.scan_summary import describe, summarise
    from vidaug_cli.data.selection import renumber

    out = None if out == STDOUT else out
    if json and out is None:
        raise click.UsageError("--json needs -o FILE: without it the manifest goes to stdout.")
    if cache and no_cache:
        raise click.UsageError("--cache and --no-cache exclude each other.")
    for file, keys in ((out, {"path", "frames"}), (quarantine, {"path", "reason"})):
        if file is not None:
            _check_place(file, keys)
    numbers = read_classes(classes) if classes else None
    found = scan(
        *inputs,
        layout=layout,
        split=split,
        lists=lists,
        root=root,
        follow_links=links(follow_links),
        probe=probe,
        workers=workers,
        cache=cache or not no_cache,
        progress=not quiet,
        limits=limits(kwargs),
    )
    if numbers is not None:
        found = replace(found, rows=renumber(found.rows, numbers, classes))
    for line in describe(found, verbose):
        note(line, quiet=quiet)
    if quarantine:
        lines = (dumps(entry._asdict(), ensure_ascii=False) + "\n" for entry in found.quarantined)
        _write(quarantine, "".join(lines))
    manifest = rows_text(found.usable())
    if out is None:
        click.echo(manifest.encode(), nl=False)
    else:
        _write(out, manifest)
    if json:
        click.echo(dumps(summarise(found), ensure_ascii=False, indent=2))
    if found.quarantined:
        raise SystemExit(SKIPPED)


def _check_place(file: Path, keys: set[str]) -> None:
    """Before hours of work: the folder is there, and nothing is overwritten but what an earlier scan wrote."""
    if not file.parent.is_dir():
        raise VidaugError("no such folder", where=file.parent)
    if file.is_dir():
        raise VidaugError("is a folder", where=file, hint="name a file in it")
    if not file.is_file() or not file.stat().st_size:
        return
    with file.open(encoding="utf-8", errors="replace") as lines:
        first = lines.readline(1_000_000)
    try:
        ours = keys <= loads(first).keys()
    except (ValueError, AttributeError):
        ours = False
    if not ours:
        raise VidaugError("exists, and no scan wrote it", where=file, hint="choose another name")


def _write(file: Path, text: str) -> None:
    from vidaug_cli.files import write_text_atomically

    if file.exists() and not file.is_file():  # a pipe or /dev/null has no place to be renamed into
        file.write_text(text, encoding="utf-8")
    else:
        write_text_atomically(file, text)
