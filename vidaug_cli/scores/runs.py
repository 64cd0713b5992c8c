"""Runs to compare, from paths: which files of scores they are, which belong to one row, and which to one split."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import glob
from os.path import commonprefix
from pathlib import Path

from natsort import natsorted

from vidaug_cli.data.kinds import Kind, expect, kind_of
from vidaug_cli.errors import MissingPathError, ScoresError, TruthError, VidaugError
from vidaug_cli.schema import parse, parse_json
from vidaug_cli.scores.compare import Run
from vidaug_cli.scores.file import Scores, read_scores
from vidaug_cli.scores.robustness import by_course, right_under
from vidaug_cli.scores.source import source_of
from vidaug_cli.scores.truth import Truth, with_truth

SCORES = "scores.h5"  # of a run, in its folder
LOCALISATION = "localisation.json"  # beside it: what `vidaug cam --measure --json` prints
_ENDING = re.compile(r"(?:[-_. ]+(?:split|seed|fold|s)?[-_. ]*\d*)+$", re.IGNORECASE)  # of names of runs of one row


@dataclass(frozen=True, kw_only=True)
class Given:
    """A file of scores that is compared."""

    file: Path
    row: str | None  # as the user calls it; None: by its settings

    @property
    def name(self) -> str:
        """What the run is called: its folder, where the file has the usual name."""
        return self.file.absolute().parent.name if self.file.name == SCORES else self.file.stem


def find_runs(words: Sequence[str]) -> list[Given]:
    """Return the files that words stand for: a file, a run's folder, a folder of such, or `NAME=GLOB[,GLOB...]`.

    Raises VidaugError where nothing is there, or something else.
    """
    found = []
    for word in words:
        name, equals, patterns = word.partition("=")
        if not equals or Path(word).exists():
            found += [Given(file=file, row=None) for file in _files(Path(word))]
            continue
        for pattern in patterns.split(","):
            paths = [pattern] if Path(pattern).exists() else natsorted(glob(pattern, recursive=True))  # noqa: PTH207
            if not paths or not name:
                hint = "NAME=GLOB names the runs of a row; quote it where the shell would read it first"
                raise MissingPathError("matches nothing" if name else "has no name before the =", where=word, hint=hint)
            found += [Given(file=file, row=name) for path in paths for file in _files(Path(path))]
    return found


def _files(path: Path) -> list[Path]:
    """Return the files of scores that a path stands for. Raises VidaugError where there is none."""
    if not path.is_dir():
        expect(path, Kind.SCORES)
        return [path]
    if (path / SCORES).is_file():
        return [path / SCORES]
    if below := natsorted(path.glob(f"*/{SCORES}")):
        return below
    run = kind_of(path) is Kind.RUN
    hint = f"'vidaug predict {path} VIDEOS -o {path / SCORES}' writes it"
    raise ScoresError(
        f"has no {SCORES}",
        where=path,
        hint=hint if run else "give a run's folder, a folder of such, or files of scores",
    )


def read_runs(
    given: Sequence[Given], truth: Callable[[Sequence[str]], Truth] | None = None, where: str = ""
) -> list[Run]:
    """Return the runs as `compare` takes them. `truth` finds the labels that scores lack, and `where` it has them from.

    Runs whose training differs by its seed alone, whatever the videos, are one row, named by what their names have in
    common. Runs that have half of their videos in common are of one split. Scores of disturbed videos give the measures
    `held` and `ramped`, of the disturbances that all of them have. Where a run's folder has what `vidaug cam --measure
    --json` printed, its rank correlation is the number `localised`.

    Raises VidaugError where a file is damaged or has no label.
    """
    read = [read_scores(one.file) for one in given]
    if truth is not None:
        read = [with_truth(scores, truth(scores.classes), where)[0] for scores in read]
    rows, splits = _rows(given, read), _splits([frozenset(_labelled(scores)) for scores in read])
    tested = [scores.disturbances for scores in read if scores.disturbances]
    shared = [name for name in tested[0] if all(name in names for names in tested)] if tested else []
    runs = []
    for one, scores, row, split in zip(given, read, rows, splits, strict=True):
        known = scores.all_labels >= 0
        if not known.any():
            raise TruthError("no video has a label", where=one.file, hint="--truth MANIFEST says which class each is")
        runs.append(
            Run(
                row=row,
                videos=_labelled(scores),
                classes=tuple(scores.classes[label] for label in scores.all_labels[known]),
                correct=right_under(scores)[0, known],
                seed=source_of(scores).seed,
                split=split,
                measures={name: values[known] for name, values in by_course(scores, shared).items()}
                if scores.disturbances
                else {},
                numbers=_localisation(one.file.parent / LOCALISATION) if one.file.name == SCORES else {},
            )
        )
    return runs


def _labelled(scores: Scores) -> tuple[str, ...]:
    """Return the videos with a label."""
    return tuple(video for video, label in zip(scores.all_videos, scores.all_labels, strict=True) if label >= 0)


def _rows(given: Sequence[Given], read: Sequence[Scores]) -> list[str]:
    """Return the row of each run: the name that the user gave, or one for those of the same training."""
    members: dict[tuple[str | None, str], list[int]] = {}
    for number, (one, scores) in enumerate(zip(given, read, strict=True)):
        recipe = source_of(scores).recipe
        alike = json.dumps(recipe, sort_keys=True) if recipe else str(one.file)
        members.setdefault((one.row, "" if one.row else alike), []).append(number)
    rows, used = [""] * len(given), {one.row for one in given}
    for numbers in members.values():
        first = given[numbers[0]]
        name = first.row or _common_name([given[number].name for number in numbers])
        if first.row is None and name in used:
            name = next(f"{name} ({n})" for n in range(2, len(given) + 2) if f"{name} ({n})" not in used)
        used.add(name)
        for number in numbers:
            rows[number] = name
    return rows


def _common_name(names: Sequence[str]) -> str:
    """Return how names begin, without the numbers of splits and seeds; of a single one, all of it."""
    if len(set(names)) == 1:
        return names[0]
    shared = commonprefix(list(names))  # noqa: RUF071 (of letters)
    return _ENDING.sub("", shared) or " + ".join(names[:2]) + (" ..." if len(names) > 2 else "")


def _splits(videos: Sequence[frozenset[str]]) -> list[str]:
    """Return the number of each run's split, in the order in which they come; empty where there is but one."""
    firsts: list[frozenset[str]] = []
    places = []
    for own in videos:
        like = [
            place for place, first in enumerate(firsts) if 2 * len(own & first) >= max(1, min(len(own), len(first)))
        ]
        places.append(like[0] if like else len(firsts))
        firsts += [] if like else [own]
    return [str(place + 1) if len(firsts) > 1 else "" for place in places]


@dataclass(frozen=True)
class _Localisation:
    correlation: float | None  # None: there was nothing to measure


@dataclass(frozen=True)
class _Measured:
    localisation: _Localisation


def _localisation(path: Path) -> dict[str, float]:
    """Return the number that `vidaug cam --measure --json` found, if it is there. Raises VidaugError."""
    if not path.is_file():
        return {}
    hint = "'vidaug cam RUN SHARDS --measure --json' prints it"
    try:
        content = parse_json(path.read_bytes(), dict, "it")
        measured = parse(_Measured, content.get("result", content), extra=True)  # before, it was printed without more
    except VidaugError as error:
        raise ScoresError(error.what, where=path, hint=hint) from error
    correlation = measured.localisation.correlation
    return {} if correlation is None else {"localised": correlation}
