"""`run.toml`: what a run is, for people and for `vidaug train --resume`. Loads no torch."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from vidaug_cli.data.holdout import HoldOut
from vidaug_cli.errors import RunError, VersionError, cannot_read
from vidaug_cli.files import write_text_atomically
from vidaug_cli.schema import check, parse
from vidaug_cli.train.history import EpochMetrics, merit, read_history
from vidaug_cli.words import count, printable, shown

NAME = "run.toml"
FORMAT = "vidaug-run"
VERSION = 1
_HINT = "remove it, and the same 'vidaug train' command writes it again"


@dataclass(frozen=True, kw_only=True)
class Clips:
    """A folder of shards."""

    path: str  # absolute, or below the run's folder
    plan_sha256: str


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A file of weights to start from."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Length:
    """What the settings came to on these clips."""

    clips: int  # to train on
    batch: int  # clips in a step
    steps: int  # in an epoch
    epochs: int
    clips_seen: int  # over all epochs


@dataclass(frozen=True, kw_only=True)
class Start:
    """When and by what the run was started or continued."""

    at: str  # ISO 8601, in UTC
    command: str
    epoch: int  # epochs that were done
    device: str
    processes: int
    threads: int
    versions: dict[str, str]  # of Python, vidaug-cli and what it computes with


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What `run.toml` holds. A key whose value is None is absent in the file."""

    preset: str  # where settings started; empty: at no preset
    recipe: str | None = None  # for each batch, as TOML
    settings: dict[str, Any]
    length: Length
    hold_out: HoldOut | None = None
    init: Weights | None = None
    validation: Clips | None = None
    shards: tuple[Clips, ...]
    started: tuple[Start, ...]  # the first time, and each continuation

    def __post_init__(self) -> None:
        check(self, {name: (bool(getattr(self, name)), "one or more") for name in ("shards", "started")})

    def after(self, earlier: RunRecord) -> RunRecord:
        """Return the record of a run that goes on: it began with the weights and the starts of `earlier`."""
        return replace(self, init=earlier.init, started=(*earlier.started, *self.started))


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `run.toml` whole or not at all. Raises VidaugError."""
    content = _present({"format": FORMAT, "version": VERSION} | asdict(record))
    write_text_atomically(folder / NAME, tomli_w.dumps(content, multiline_strings=True))


def _present(value: Any) -> Any:
    """Return a value as TOML can hold it, without keys whose values are None."""
    if isinstance(value, Mapping):
        return {key: _present(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()  # paths may be of bytes that are no text
    return [_present(entry) for entry in value] if isinstance(value, list | tuple) else value


def read_record(folder: Path) -> RunRecord:
    """Return what `run.toml` of a run says. Raises VidaugError when it is missing, damaged or of another version."""
    path = folder / NAME
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        what = f"holds no {NAME}" if folder.is_dir() else "does not exist" if not folder.exists() else "is a file"
        raise RunError(what, where=folder, hint="a run is a folder that 'vidaug train' wrote") from error
    except OSError as error:
        raise cannot_read(error, path, kind=RunError) from error
    except (ValueError, RecursionError) as error:
        raise RunError("is not TOML", where=path, hint=_HINT) from error
    if content.get("format") != FORMAT:
        raise RunError("is no record of a run of vidaug", where=path, hint=_HINT)
    if content.get("version") != VERSION:
        what = f"is version {shown(content.get('version'))}, and this vidaug reads {VERSION}"
        raise VersionError(what, where=path, hint="use the vidaug that wrote it")
    return parse(RunRecord, content, where=path, hint=_HINT, error=RunError, extra=True)


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a run is and how far it has come."""

    source: str
    epochs_done: int
    best: EpochMetrics | None  # of the epoch whose network is kept
    last: EpochMetrics | None
    run: RunRecord

    @property
    def recipe(self) -> str | None:
        """What is applied to each batch, as TOML; None: nothing."""
        return self.run.recipe

    @property
    def text(self) -> str:
        """The summary for people, of several lines."""
        run, length = self.run, self.run.length
        first, latest = run.started[0], run.started[-1]
        tested = f"on {run.validation.path}" if run.validation else "on nothing: the best epoch is the last"
        if run.hold_out:
            tested = f"on fold {run.hold_out.fold} of the videos, a share of {run.hold_out.share:g}, held out"
        lines = [
            f"{self.source}: {self.epochs_done} of {count(length.epochs, 'epoch')}, {length.clips_seen:,} clips seen: "
            f"{count(length.clips, 'clip')}, {count(length.steps, 'step')} of {length.batch} in an epoch",
            *_metrics("best", self.best),
            *_metrics("last", self.last if self.last != self.best else None),
            f"trained on {', '.join(clips.path for clips in run.shards)}",
            f"tested {tested}",
            *([f"from {run.init.path}"] if run.init else []),
            f"{count(len(run.started), 'start')}; the latest {latest.at} on {latest.device}, "
            f"{count(latest.processes, 'process')}, {count(latest.threads, 'thread')}: {latest.command}",
            *([f"the first {first.at}: {first.command}"] if first != latest else []),
            ", ".join(f"{name} {version}" for name, version in latest.versions.items()),
            "",
            f"settings, from the preset {run.preset}" if run.preset else "settings",
            *(f"  {name:13} {value}" for name, value in run.settings.items()),
        ]
        if run.recipe is not None:
            lines += ["", "recipe for each batch", *(f"  {line}" for line in run.recipe.splitlines())]
        return "\n".join(printable(line).rstrip() for line in lines)


def _metrics(name: str, metrics: EpochMetrics | None) -> list[str]:
    if metrics is None:
        return []
    words = [f"{key} {value:.3g}" for key, value in metrics.items() if key not in ("epoch", "lr")]
    return [f"{name}: epoch {metrics['epoch']:g}  {'  '.join(words)}"]


def summarise_run(folder: Path) -> RunSummary:
    """Return what a run is and how far it has come. Raises VidaugError when its files are missing or damaged."""
    record, history = read_record(folder), read_history(folder)
    return RunSummary(
        source=str(folder),
        epochs_done=len(history),
        best=max(history, key=merit, default=None),
        last=history[-1] if history else None,
        run=record,
    )
