"""What several processes do against one, beside processes that only copy memory, once they are started."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from itertools import product
from operator import truediv
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from vidaug_cli.augment.plan import read_plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import run
from vidaug_cli.bench.measure import LEAST, Figure, Taken, figure, timed
from vidaug_cli.workers import in_processes

POLL = 0.002  # seconds
COPIED = 60_000_000  # bytes, more than a cache holds


class Phase(NamedTuple):
    """A time in which the first `processes` processes do the same, and the others wait."""

    work: str  # a key of `WORK`
    processes: int


class Done(NamedTuple):
    """What one process did in a phase."""

    units: int
    taken: Taken


class Together:
    """One process and several at each kind of work, in turns."""

    def __init__(self, plan: Path, folder: Path, engine: Engine, processes: int, names: dict[Phase, str]) -> None:
        """Take a folder with a plan, whose clips are made over and over; one for what is written; and the phases."""
        self.plan, self.folder, self.engine, self.processes, self.names = plan, folder, engine, processes, names
        self.figures: list[Figure] = []

    def run(self, seconds: float) -> None:
        """Measure, a phase for so long at least."""
        phases, clips = list(self.names), read_plan(self.plan).clips
        tasks = [
            (place, self.processes, phases, seconds, self.plan, self.folder, self.engine)
            for place in range(self.processes)
        ]
        each = list(in_processes(take_part, tasks, self.processes))
        rates: dict[Phase, list[float]] = {}
        for phase, what in self.names.items():
            turns = [[done[phase][turn] for done in each if phase in done] for turn in range(LEAST)]
            # Each at its own pace: the one that is done first does not wait for the other.
            rates[phase] = [sum(done.units / done.taken.clock for done in turn) for turn in turns]
            taken = [Taken(1 / rate, _cpu(turn)) for rate, turn in zip(rates[phase], turns, strict=True)]
            alone = rates[phase._replace(processes=1)]
            more = {"gain": median(map(truediv, rates[phase], alone))} if phase.processes > 1 else {}
            self.figures.append(figure("processes", what, taken, clips if phase.work == "augment" else 1, more))


def _cpu(turn: list[Done]) -> float | None:
    """Return the CPU seconds of one unit of work."""
    seconds = [done.taken.cpu for done in turn if done.taken.cpu is not None]
    return sum(seconds) / sum(done.units for done in turn) if len(seconds) == len(turn) else None


def take_part(
    place: int, processes: int, phases: list[Phase], seconds: float, plan: Path, folder: Path, engine: Engine
) -> dict[Phase, list[Done]]:
    """Return what process number `place` did in each turn of the phases it took part in."""
    works = {name: make(plan, folder / f"own-{place}", engine) for name, make in WORK.items()}
    for work in works.values():  # warm
        work()
    done: dict[Phase, list[Done]] = {}
    for turn, phase in product(range(LEAST), phases):
        _meet(folder / f"{turn}-{phase.work}-{phase.processes}", place, processes)
        if place < phase.processes:
            done.setdefault(phase, []).append(_work(works[phase.work], seconds))
    return done


def _work(work: Callable[[], object], seconds: float) -> Done:
    units, until = 0, time.perf_counter() + seconds

    def several() -> None:
        nonlocal units
        while not units or time.perf_counter() < until:
            work()
            units += 1

    taken = timed(several)
    return Done(units, taken)


def _meet(place: Path, number: int, processes: int) -> None:
    """Wait until all processes are here. Where one has ended by an error, `in_processes` ends the others."""
    place.mkdir(parents=True, exist_ok=True)
    (place / str(number)).touch()
    while sum(1 for _ in place.iterdir()) < processes:
        time.sleep(POLL)


def _augment(plan: Path, own: Path, engine: Engine) -> Callable[[], object]:
    made = read_plan(plan)

    def augment() -> None:
        run(made, own, engine)
        shutil.rmtree(own)

    return augment


def _copy(plan: Path, own: Path, engine: Engine) -> Callable[[], object]:
    source = np.ones(COPIED, np.uint8)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


WORK: dict[str, Callable[[Path, Path, Engine], Callable[[], object]]] = {"augment": _augment, "copying": _copy}
