"""The folder of a sweep: whose it is, and what has to be the same for it to go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidaug_cli.augment.lock import lock_file
from vidaug_cli.errors import OccupiedError, SweepError, VersionError
from vidaug_cli.files import check_is_folder, write_text_atomically
from vidaug_cli.schema import parse, parse_json
from vidaug_cli.sweep.plan import Sweep
from vidaug_cli.words import change, changes

FORMAT, VERSION = "vidaug-sweep", 1
STATE, LOCK = "sweep.json", ".sweep.lock"
BEFORE_THE_STATE = {LOCK, "clips"}  # what may be there when a sweep was cut off before its state was written
HINT = "choose another folder, or --overwrite"


@dataclass(frozen=True, kw_only=True)
class State:
    """What `sweep.json` says."""

    format: str
    version: int
    threads: int  # of each run: sums depend on them, so those of a sweep all have as many
    schedule: list[dict[str, Any]]  # configurations and share of the budget of each rung
    sweep: dict[str, Any]  # its identity


@contextmanager
def hold_folder(folder: Path, *, overwrite: bool) -> Iterator[None]:
    """Keep the folder of a sweep for this process until the block ends, without an old sweep if it is to go.

    Raises VidaugError when it is something else, or when another process is at work there.
    """
    check_is_folder(folder)
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if STATE not in there and there - BEFORE_THE_STATE:
        raise OccupiedError("is not empty, and is no sweep", where=folder, hint="choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder / LOCK):
        if overwrite:
            (folder / STATE).unlink(missing_ok=True)
            for name in ("runs", "clips"):
                if (folder / name).exists():
                    shutil.rmtree(folder / name)
        yield


def begin(sweep: Sweep, threads: int | None, usual: int) -> State:
    """Return the state of a sweep, new or as it was begun; `threads` are those asked for, `usual` those of a new one.

    Raises VidaugError when the folder holds another sweep.
    """
    path, identity = sweep.folder / STATE, json.loads(json.dumps(sweep.identity()))
    rungs = [asdict(rung) for rung in sweep.rungs]
    if not path.exists():
        state = State(format=FORMAT, version=VERSION, threads=threads or usual, schedule=rungs, sweep=identity)
        write_text_atomically(path, json.dumps(asdict(state), indent=1, ensure_ascii=False) + "\n")
        return state
    before = parse(
        State, parse_json(path.read_bytes(), dict, "the state of the sweep"), where=path, hint=HINT, error=SweepError
    )
    if (before.format, before.version) != (FORMAT, VERSION):
        raise VersionError(f"is not of format {FORMAT!r}, version {VERSION}", where=path, hint=HINT)
    differing = sorted(changes(before.sweep, identity))
    if threads and threads != before.threads:
        differing.append(change("threads", before.threads, threads))
    if differing:
        raise SweepError(f"holds another sweep, which differs in {', '.join(differing)}", where=sweep.folder, hint=HINT)
    return before
