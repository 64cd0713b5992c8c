"""The command that a folder is made by, kept there, and the lines that make what is missing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from vidaug_cli.errors import VidaugError
from vidaug_cli.files import write_text_atomically
from vidaug_cli.schema import parse, parse_json

NAME = "command.json"
CONFIG = "VIDAUG_CONFIG"  # the same as --config, which stands before the name of the command
ONCE = {"--wait", "--join", "--overwrite", "--dry-run", "--force"}  # what is said of one run, with --part
ARRAYS = {"Slurm": ("sbatch --array={tasks} --wrap {command}", "$SLURM_ARRAY_TASK_ID")}  # how one is given some tasks


@dataclass(frozen=True, kw_only=True)
class Command:
    """What was typed, and where."""

    words: tuple[str, ...]  # without what is said of one run only
    folder: str
    variables: dict[str, str]  # of the environment, which options came from
    parts: int = 1
    scheduler: str = ""  # that ran them as an array

    @classmethod
    def typed(
        cls, words: Sequence[str], folder: Path, environment: Mapping[str, str], parts: int, scheduler: str
    ) -> Command:
        """Return the command of a process that makes one of so many parts."""
        kept: list[str] = []
        given = dict(environment)
        left = iter(words)
        for word in left:
            if word == "--":
                kept += [word, *left]
            elif word == "--part":
                next(left, None)
            elif word == "--config":
                given[CONFIG] = next(left)
            elif word.startswith("--config="):
                given[CONFIG] = word.partition("=")[2]
            elif word not in ONCE and not word.startswith("--part="):
                kept.append(word)
        once = {f"VIDAUG_AUGMENT_{word.strip('-').replace('-', '_').upper()}" for word in [*ONCE, "--part"]}
        variables = {
            name: value
            for name, value in sorted(given.items())
            if name.startswith(("VIDAUG_AUGMENT_", CONFIG)) and name not in once
        }
        return cls(words=tuple(kept), folder=str(folder), variables=variables, parts=parts, scheduler=scheduler)

    def write(self, out: Path) -> None:
        """Keep it in the folder, where it is not kept already."""
        if read_command(out) != self:
            write_text_atomically(out / NAME, json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n")

    def lines(self, parts: Iterable[int]) -> list[str]:
        """Return the lines for a shell that make what is missing of these parts: one where that is possible."""
        missing = sorted(parts)
        if not missing or self.parts == 1 or (len(missing) == self.parts and self.scheduler not in ARRAYS):
            return [self._line("")] if missing else []
        if self.scheduler not in ARRAYS:
            return [self._line(f"{part}/{self.parts}") for part in missing]
        array, task = ARRAYS[self.scheduler]
        # A task that was cut off with its node is waited for, until its lock counts as left.
        return [array.format(tasks=ranges(missing), command=shlex.quote(self._line(f"{task}/{self.parts} --wait")))]

    def _line(self, part: str) -> str:
        """Return the line for a shell, with this part."""
        variables = [f"{name}={shlex.quote(value)} " for name, value in self.variables.items()]
        program, options = shlex.join(self.words[:2]), shlex.join(self.words[2:])
        return f"cd {shlex.quote(self.folder)} && {''.join(variables)}{program}{part and f' --part {part}'} {options}"


def read_command(out: Path) -> Command | None:
    """Return the command that is kept in the folder; None where there is none."""
    with suppress(VidaugError, OSError):
        return parse(Command, parse_json((out / NAME).read_bytes(), dict, "a command"))
    return None


def ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers as schedulers take them: `0,2-5`."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), key=lambda each: each[1] - each[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
