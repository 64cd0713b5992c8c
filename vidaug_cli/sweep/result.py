"""What came of a sweep: the table, the best configuration, and its recipe as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vidaug_cli.files import write_text_atomically
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.scores.compare import Comparison, Run, compare
from vidaug_cli.scores.file import Scores
from vidaug_cli.scores.tables import as_csv, as_text, table
from vidaug_cli.sweep.grid import Configuration
from vidaug_cli.sweep.plan import Sweep, SweepRun
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

    @property
    def lines(self) -> list[str]:
        """The table."""
        return list(as_text(table(self.comparison)))

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
            yield f"the difference from the best may be chance for {near} of the {count(len(others), 'other')}"
            yield f"the highest of {len(self.comparison.rows)} is optimistic: on new videos expect less"
        if self.sweep.is_given:
            yield "the choice was made on the videos of --val: test it on others"

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        recipe, settings = str(self.sweep.folder / BEST), asdict(self.best.settings)
        best = {"values": dict(self.best.values), "settings": settings, "recipe": recipe}
        rungs = [asdict(rung) for rung in self.sweep.rungs]
        return {"best": best, "schedule": rungs, "failed": self.failed} | self.comparison.as_json()

    def write(self) -> None:
        """Write the table as text, CSV and JSON, and the best recipe. Raises VidaugError."""
        folder = self.sweep.folder
        text = "\n".join([*self.lines, "", *self.notes, ""])
        write_text_atomically(folder / "table.txt", text)
        write_text_atomically(folder / "table.csv", as_csv(self.comparison))
        write_text_atomically(folder / "table.json", json.dumps(self.as_json(), indent=1, ensure_ascii=False) + "\n")
        recipe = self.best.recipe or load_recipe("none")
        write_text_atomically(folder / BEST, f"# the best of 'vidaug sweep': {self.best.name}\n{recipe.text}")


def result_of(sweep: Sweep, standings: Standings) -> Result:
    """Return the table and the best of the configurations that got the whole budget."""
    finalists = sweep.rungs[-1].settings
    whole = [each for each in sweep.configurations if _budget(standings, each) == finalists(each.settings).epochs]
    best = standings.ranked(whole)[0]
    rest = [each for each in standings.ranked(sweep.configurations) if each is not best]
    order = [best, *sorted(rest, key=lambda each: -_budget(standings, each))]  # stable: within a rung the better first
    runs = [
        _compared(_row(sweep, standings, each), run, standings.scores[run.folder])
        for each in order
        for run in standings.last[each.number]
    ]
    return Result(sweep, best, compare(runs), standings.failed)


def _budget(standings: Standings, configuration: Configuration) -> int:
    """Return the epochs of a configuration's last runs."""
    return standings.last[configuration.number][0].settings.epochs


def _row(sweep: Sweep, standings: Standings, configuration: Configuration) -> str:
    """Return the name of a configuration's row: those that dropped out say when."""
    epochs = _budget(standings, configuration)
    return configuration.name if sweep.eta is None else f"{configuration.name} ({count(epochs, 'epoch')})"


def _compared(row: str, run: SweepRun, scores: Scores) -> Run:
    """Return a run as `compare` takes it; a video without scores counts as wrong."""
    right = np.zeros(len(scores.all_videos), bool)
    right[: len(scores.videos)] = scores.scores.argmax(1) == scores.labels
    names = tuple(scores.classes[label] if label >= 0 else "" for label in scores.all_labels.tolist())
    seed = run.settings.seed
    return Run(row=row, videos=scores.all_videos, classes=names, correct=right, seed=seed, split=run.part.name)
