"""Which shards of a plan one of several processes makes that share it, such as the tasks of a job array."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

from vidaug_cli.augment.plan import Plan
from vidaug_cli.errors import SettingError, TasksError


@dataclass(frozen=True)
class Part:
    """One of several processes that share a plan."""

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        """Return `I/N`."""
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """Return the part that `I/N` means, with I from 0. Raises VidaugError."""
        numbers = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
        if numbers is None or int(numbers[1]) >= int(numbers[2]):
            raise SettingError(f"--part {text:.40} should be I/N, with I from 0 to N - 1", hint="such as --part 0/4")
        return cls(int(numbers[1]), int(numbers[2]))

    def shards(self, plan: Plan) -> range:
        """Return the shard numbers that are this part's."""
        return range(self.index, plan.shard_count, self.count)

    def overlaps(self, other: Part) -> bool:
        """Return whether both parts have a shard in common, in a plan with enough of them."""
        return (self.index - other.index) % gcd(self.count, other.count) == 0


WHOLE = Part()


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """In which variables of the environment a task of a job array finds who it is; empty: it does not say."""

    name: str
    task: str
    least: int = 0  # number of a task; a smaller one is of a job that is no array
    first: str = ""  # without one, that of the first is `least`
    last: str = ""
    step: str = ""  # from one number to the next
    count: str = ""  # of tasks

    def runs(self, environment: Mapping[str, str]) -> bool:
        """Return whether a process with that environment is a task of an array of this scheduler."""
        task = _number(environment, self.task)
        return task is not None and task >= self.least

    def part(self, environment: Mapping[str, str]) -> Part:
        """Return which part such a task is. Raises VidaugError where its place among the tasks cannot be told."""
        task, last = _number(environment, self.task), _number(environment, self.last)
        first = _number(environment, self.first) if self.first else self.least
        hint = f"give --part I/N, such as --part $(({self.task} - {self.least}))/8, or --part 0/1 for all shards"
        if task is None or first is None or last is None:
            raise TasksError(f"{self.task} is {task}, and nothing says of how many tasks", hint=hint)
        count = _number(environment, self.count) or (last - first) // (_number(environment, self.step) or 1) + 1
        # Of a list, such as `--array=1,3,4`, only the number of its tasks is known.
        step, rest = divmod(last - first, max(1, count - 1))
        place, beside = divmod(task - first, max(1, step))
        if rest or beside or not 0 <= place < count:
            what = f"{self.task} is {task}, and the {count} tasks from {first} to {last} are not evenly spaced"
            raise TasksError(what, hint=hint)
        return Part(place, count)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


SCHEDULERS = (
    Scheduler(
        name="Slurm",
        task="SLURM_ARRAY_TASK_ID",
        first="SLURM_ARRAY_TASK_MIN",
        last="SLURM_ARRAY_TASK_MAX",
        step="SLURM_ARRAY_TASK_STEP",
        count="SLURM_ARRAY_TASK_COUNT",
    ),
    Scheduler(
        name="Grid Engine",
        task="SGE_TASK_ID",  # `undefined` where there is no array
        least=1,
        first="SGE_TASK_FIRST",
        last="SGE_TASK_LAST",
        step="SGE_TASK_STEPSIZE",
    ),
    Scheduler(name="LSF", task="LSB_JOBINDEX", least=1, last="LSB_JOBINDEX_END", step="LSB_JOBINDEX_STEP"),
    Scheduler(name="PBS", task="PBS_ARRAY_INDEX"),
    Scheduler(name="Torque", task="PBS_ARRAYID"),
)


def scheduler_of(environment: Mapping[str, str]) -> Scheduler | None:
    """Return the scheduler that runs a process with that environment as a task of an array; None where none does."""
    return next((each for each in SCHEDULERS if each.runs(environment)), None)
