"""What came of a sweep: the table, the best configuration, and its recipe as a file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import compress
from typing import Any

from vidaug_cli.data.sampling import write_stride
from vidaug_cli.files import write_text_atomically
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.schema import plain
from vidaug_cli.scores.compare import Comparison, Run, compare
from vidaug_cli.scores.file import Scores
from vidaug_cli.scores.robustness import right_under
from vidaug_cli.scores.tables import as_csv, as_text, table
from vidaug_cli.sweep.grid import SETTINGS, Configuration
from vidaug_cli.sweep.plan import Sweep, SweepRun, length_text
from vidaug_cli.sweep.run import Standings
from vidaug_cli.words import count

BEST = "best.toml"


@dataclass(frozen=True)
class Result:
    """The rows of all configurations, the best first, each held against it."""

    sweep: Sweep
    best: Configuration
    comparison: Comparison
    failed: dict[str, str]  # the reason by the run's name

    def lines(self, width: int = 0) -> list[str]:
        """Return the table, at most so wide unless that is 0."""
        return list(as_text(table(self.comparison), width))

    @property
    def notes(self) -> Iterator[str]:
        """What to know of it, a line each."""
        yield from self.comparison.notes
        yield from (f"left out, as a run failed: {name}: {reason}" for name, reason in self.failed.items())
        best, others = self.comparison.rows[0], self.comparison.rows[1:]
        top1, where = best.top1, "of --val" if self.sweep.is_given else "held out of training"
        interval = f"{top1.value:.1%}, 95 % interval {top1.low:.1%} to {top1.high:.1%}"
        yield f"best: {best.name}: {interval}, {count(best.runs, 'run')} on {count(best.videos, 'video')} {where}"
        if others:
            near = sum(row.difference is not None and row.difference.high >= 0 for row in others)
            yield f"for {near} of the {count(len(others), 'other')} the difference from it may be chance"
            yield f"the highest of {len(self.comparison.rows)} is optimistic: on new videos expect less"
        if self.sweep.is_given:
            yield "the choice was made on the videos of --val: test it on others"
        yield f"train it on all of {' '.join(self.sweep.shards)}: {self.next_command}"

    @property
    def next_command(self) -> str:
        """How to train the best configuration, but for what it is tested on."""
        values = dict(self.sweep.base.given) | {key: value for key, value in self.best.values if key in SETTINGS}
        words = ["vidaug", "train", *self.sweep.shards, "--preset", self.best.preset]
        words += ["--recipe", str(self.sweep.folder / BEST)] if self.best.recipe else []
        for key, value in values.items():
            flag = f"--{key.replace('_', '-')}"
            said = str(value) if key != "stride" else write_stride(self.best.settings.stride or 1)
            # a number that is 1 or 0 is no flag
            words += {"true": [flag], "false": []}.get(said.lower(), [flag, said])
        words += ["--init", str(self.sweep.init)] if self.sweep.init else []
        return shlex.join(words)

    def as_json(self) -> dict[str, Any]:
        """Return all of it; `schema.plain` makes JSON of it."""
        recipe, settings = str(self.sweep.folder / BEST), asdict(self.best.settings)
        best = {"values": dict(self.best.values), "settings": settings, "recipe": recipe}
        return {"best": best, "schedule": self.sweep.rungs, "failed": self.failed} | self.comparison.as_json()

    def write(self) -> None:
        """Write the table as text, CSV and JSON, and the best recipe. Raises VidaugError."""
        folder = self.sweep.folder
        text = "\n".join([*self.lines(), "", *self.notes, ""])
        write_text_atomically(folder / "table.txt", text)
        write_text_atomically(folder / "table.csv", as_csv(self.comparison))
        write_text_atomically(
            folder / "table.json", json.dumps(plain(self.as_json()), indent=1, ensure_ascii=False) + "\n"
        )
        recipe = self.best.recipe or load_recipe("none")
        write_text_atomically(folder / BEST, f"# the best of 'vidaug sweep': {self.best.name}\n{recipe.text}")


def result_of(sweep: Sweep, standings: Standings) -> Result:
    """Return the table, and the best of the configurations that got the whole budget."""

    def rung(configuration: Configuration) -> int:
        return standings.last[configuration.number][0].rung

    ranked = sorted(standings.ranked(sweep.configurations), key=rung, reverse=True)  # within a rung the better first
    runs = [
        _compared(_row(sweep, run), run, standings.scores[run.folder])
        for each in ranked
        for run in standings.last[each.number]
    ]
    return Result(sweep, ranked[0], compare(runs), standings.failed)


def _row(sweep: Sweep, run: SweepRun) -> str:
    """Return the name of a configuration's row, with its budget where they differ."""
    name = run.configuration.name
    return name if sweep.eta is None else f"{name} ({length_text(run.settings)})"


def _compared(row: str, run: SweepRun, scores: Scores) -> Run:
    """Return a run as `compare` takes it."""
    known = scores.all_labels >= 0
    return Run(
        row=row,
        videos=tuple(compress(scores.all_videos, known)),
        classes=tuple(scores.classes[label] for label in scores.all_labels[known]),
        correct=right_under(scores)[0, known],
        seed=run.settings.seed,
        split=run.part.name,
    )
