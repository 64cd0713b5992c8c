"""What a sweep is made of: its runs, in which folder each lies, and what tells it from every other sweep."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vidaug_cli.data.holdout import HoldOut
from vidaug_cli.data.manifest import Row, hash_rows, row_hash
from vidaug_cli.data.sampling import mean_stride
from vidaug_cli.errors import SettingError
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.rng import MAX_SEED
from vidaug_cli.schema import check
from vidaug_cli.sweep.grid import Axis, Base, Configuration, configurations
from vidaug_cli.sweep.halving import Rung, length_of, schedule
from vidaug_cli.train.run import ShardFolders, TrainingRun
from vidaug_cli.train.settings import Settings, budget_of
from vidaug_cli.words import count

SPLIT = "{split}"  # in a path of shards


def length_text(settings: Settings) -> str:
    """Return how long a run is, for a person: `10 epochs`."""
    name = length_of(settings)
    return f"{getattr(settings, name):,} {name.replace('_', ' ')}"


@dataclass(frozen=True)
class Part:
    """What the runs of one seed differ in beside their configuration: the split they train on, and what is held out."""

    split: str  # empty: the shards are the same for all
    fold: int | None  # None: nothing is held out

    @property
    def name(self) -> str:
        """Its folder's part of a name."""
        return ",".join([*[f"split={self.split}"] * bool(self.split), *[f"fold={self.fold}"] * (self.fold is not None)])


@dataclass(frozen=True, kw_only=True)
class SweepRun:
    """One run of training among those of a sweep."""

    configuration: Configuration
    rung: int
    settings: Settings
    part: Part
    folder: Path

    @property
    def name(self) -> str:
        """What it is, for a person."""
        return f"{self.configuration.name} seed={self.settings.seed} {self.part.name}".strip()


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run as it goes to another process: paths and numbers, from which that one reads the clips."""

    folder: Path
    shards: tuple[Path, ...]
    preset: str
    settings: Settings
    recipe: Recipe | None
    init: Path | None
    hold_out: HoldOut | None
    validation: Path  # shards: rendered from what is held out, or given
    command: str

    @property
    def training(self) -> TrainingRun:
        """The run as `vidaug train` knows it. Raises VidaugError where its parts do not fit each other."""
        return TrainingRun(
            folder=self.folder,
            settings=self.settings,
            shards=ShardFolders(self.shards, self.hold_out),
            validation=ShardFolders([self.validation]),
            recipe=self.recipe,
            init=self.init,
        )


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A grid of configurations, the seeds and parts of each, and what they are trained on.

    Raises VidaugError on values that make no sense, and where the grid does not.
    """

    folder: Path
    shards: tuple[str, ...]  # folders, with `{split}` where splits are given
    axes: tuple[Axis, ...] = ()
    base: Base = Base()  # noqa: RUF009 (frozen)
    seeds: int = 1
    splits: tuple[str, ...] = ()
    hold_out: float = 0.25
    folds: int = 1
    val: Path | None = None  # shards to choose on, in place of what is held out
    videos: tuple[Row, ...] | None = None  # ... or videos
    init: Path | None = None
    command: str = ""  # what the user typed, for what runs say of themselves
    eta: int | None = None  # of successive halving; None: every configuration gets the whole budget

    def __post_init__(self) -> None:
        first = self.first_seed
        parts = round(1 / max(1e-3, self.hold_out))
        rules = {
            "seeds": (1 <= self.seeds <= 1000 and first + self.seeds - 1 <= MAX_SEED, "1 to 1000"),
            "hold_out": (0 < self.hold_out <= 0.5, "a share above 0, and 0.5 at most"),
            "folds": (1 <= self.folds <= parts, f"1 to {parts}, the parts that hold_out makes"),
            "splits": (len(set(self.splits)) == len(self.splits), "different from each other"),
        }
        check(self, rules, where="sweep")
        named = any(SPLIT in path for path in self.shards)
        if named != bool(self.splits):
            what = f"SHARDS has {SPLIT}, and --splits is not given" if named else f"--splits needs {SPLIT} in SHARDS"
            raise SettingError(what, hint=f"such as 'clips-{SPLIT}' --splits 1,2,3")
        if self.is_given and self.folds > 1:
            raise SettingError("--folds parts what is held out, and with --val nothing is", hint="give one of them")

    @property
    def is_given(self) -> bool:
        """Whether what to choose on is given, and nothing held out."""
        return self.val is not None or self.videos is not None

    @property
    def first_seed(self) -> int:
        """The seed of the first run of each configuration; the next ones count up from it."""
        return int(dict(self.base.given).get("seed", 0))

    @cached_property
    def configurations(self) -> list[Configuration]:
        """All points of the grid."""
        return configurations(self.axes, self.base)

    @cached_property
    def rungs(self) -> list[Rung]:
        """Which budgets so many configurations get: without halving all of them the whole."""
        points = len(self.configurations)
        if self.eta is None:
            return [Rung(points, 1.0)]
        budgets = [budget_of(run.settings, len(run.shards.dataset)) for run in self.trainings.values()]
        return schedule(points, min(budget.epochs for budget in budgets), self.eta)

    @property
    def parts(self) -> list[Part]:
        """What each seed of a configuration is trained on, one run for each."""
        folds = [None] if self.is_given else range(self.folds)
        return [Part(split, fold) for split in self.splits or [""] for fold in folds]

    @property
    def total(self) -> int:
        """How many runs there are, over all rungs."""
        return sum(rung.configurations for rung in self.rungs) * len(self.parts) * self.seeds

    def runs(self, rung: int, chosen: Sequence[Configuration]) -> list[SweepRun]:
        """Return the runs of some configurations with the budget of a rung."""
        return [run for configuration in chosen for run in self._runs(rung, configuration)]

    def _runs(self, rung: int, configuration: Configuration) -> Iterator[SweepRun]:
        settings = self.rungs[rung].settings(configuration.settings)
        words = re.sub(r"[^\w.+=-]+", ",", configuration.name)[:100]
        folder = self.runs_folder / f"{configuration.number:0{len(str(len(self.configurations)))}d}-{words}"
        length = length_of(settings)
        budget = f"{length}={getattr(settings, length)}," if self.eta else ""
        for part in self.parts:
            for seed in range(self.first_seed, self.first_seed + self.seeds):
                name = ",".join(filter(None, [f"{budget}seed={seed}", part.name]))
                seeded = replace(settings, seed=seed)
                yield SweepRun(configuration=configuration, rung=rung, settings=seeded, part=part, folder=folder / name)

    @property
    def runs_folder(self) -> Path:
        """Where the runs lie."""
        return self.folder / "runs"

    def shards_of(self, split: str) -> tuple[Path, ...]:
        """Return the folders of shards of a split."""
        return tuple(Path(path.replace(SPLIT, split)) for path in self.shards)

    def hold_out_of(self, part: Part) -> HoldOut | None:
        """Return what a part leaves out of training."""
        return None if part.fold is None else HoldOut(self.hold_out, part.fold)

    def job(self, run: SweepRun) -> Job:
        """Return what a process needs to know to do a run."""
        return Job(
            folder=run.folder,
            shards=self.shards_of(run.part.split),
            preset=run.configuration.preset,
            settings=run.settings,
            recipe=run.configuration.recipe,
            init=self.init,
            hold_out=self.hold_out_of(run.part),
            validation=self.val or self.rendered(run.configuration, run.part).validation_folder,
            command=self.command,
        )

    @cached_property
    def trainings(self) -> dict[tuple[int, Part], TrainingRun]:
        """Every configuration, by its number, on the shards of every part; without the clips to choose on.

        Raises VidaugError where one does not fit its shards, and where these are not there, not finished, or cannot be
        parted.
        """
        runs = {}
        for part in self.parts:
            shards = ShardFolders(self.shards_of(part.split), self.hold_out_of(part))
            for each in self.configurations:
                runs[each.number, part] = TrainingRun(
                    folder=self.folder, settings=each.settings, shards=shards, recipe=each.recipe, init=self.init
                )
        return runs

    def rendered(self, configuration: Configuration, part: Part) -> TrainingRun:
        """Return a run into whose folder the clips to choose on are rendered, once for all runs that take the same."""
        run = self.trainings[configuration.number, part]
        stride = run.settings.stride  # how fast the clips are
        speed = None if stride is None else f"stride={mean_stride(stride):g}"
        name = ",".join(filter(None, [part.name, f"frames={run.clip.frames},size={run.clip.size}", speed]))
        return replace(run, folder=self.folder / "clips" / name)

    @property
    def lines(self) -> list[str]:
        """How many runs there are, in words, a line for each rung."""
        runs = len(self.parts) * self.seeds
        each = f"{count(runs, 'run')} of each ({count(self.seeds, 'seed')}, {count(len(self.parts), 'part')})"
        lines = []
        for rung in self.rungs:
            settings = [rung.settings(configuration.settings) for configuration in self.configurations]
            lengths = dict.fromkeys(length_text(one) for one in settings)
            lines.append(f"{count(rung.configurations, 'configuration')}, {each}, {' or '.join(lengths)}")
        return [lines[0], *(f"the best {line}" for line in lines[1:])]

    def identity(self) -> dict[str, Any]:
        """Return what the table follows from, as JSON: only a sweep of the same identity is continued."""
        points = self.configurations
        return {
            "grid": {axis.key: axis.values for axis in self.axes},
            "settings": [asdict(each.settings) for each in points],
            "recipe": [each.recipe and each.recipe.text for each in points],
            "seeds": self.seeds,
            "splits": self.splits,
            "shards": [self.trainings[0, part].shards.identity for part in self.parts],
            "hold_out": None if self.is_given else self.hold_out,
            "folds": self.folds,
            "val": ShardFolders([self.val]).identity
            if self.val
            else self.videos and hash_rows(map(row_hash, self.videos)),
            "init": self.init and hashlib.sha256(self.init.read_bytes()).hexdigest(),
            "halving": self.eta,
        }
