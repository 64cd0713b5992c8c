"""The figures as a table and as JSON, with what limits and how far to trust them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vidaug_cli.bench.measure import MORE, WIDE, Figure
from vidaug_cli.bench.setting import Setting
from vidaug_cli.bench.verdict import DECODE, WHOLE, Known, verdict
from vidaug_cli.words import count, wrapped
from vidaug_cli.workers import worker_count

FREE = 0.8  # of the cores: with less of them free, the clock says little


@dataclass(frozen=True)
class Result:
    """What was measured, on what."""

    figures: list[Figure]
    known: Known
    machine: dict[str, Any]
    clips: dict[str, Any]
    notes: list[str]

    @classmethod
    def of(cls, setting: Setting, free_cores: float | None) -> Result:
        """Return what is known by now; `free_cores` are those that other programs left before."""
        figures, plan, cores = setting.figures, setting.plan, worker_count(0)
        cuda = setting.engine.kind == "cuda"
        return cls(
            figures,
            Known.of(figures, plan.codec, setting.processes),
            {
                "cores": cores,
                "free_cores": free_cores,
                "load": os.getloadavg()[0],
                "device": torch.cuda.get_device_name(setting.engine.device) if cuda else "cpu",
                "system": platform.platform(terse=True),
                "python": platform.python_version(),
                "torch": torch.__version__,
            },
            {
                "frames": plan.spec.frames,
                "size": plan.spec.size,
                "videos": len(plan.rows),
                "copies": plan.copies,
                "recipe": plan.recipe.name,
                "preset": setting.preset,
            },
            list(_notes(figures, cores, free_cores)),
        )

    @property
    def verdict(self) -> str:
        """What limits, in a sentence."""
        return verdict(self.known)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        return {
            "machine": self.machine,
            "clips": self.clips,
            "figures": self.figures,
            "stages": dict(self.known.stages),
            "verdict": self.verdict,
            "notes": self.notes,
        }

    def lines(self, width: int = 0) -> list[str]:
        """Return the table for people, what the parts come to, and what limits, at most so wide unless that is 0."""
        clips, machine = self.clips, self.machine
        about = (
            f"clips of {clips['frames']} x {clips['size']} x {clips['size']}, {count(clips['videos'], 'video')}, "
            f"recipe {clips['recipe']}; {count(machine['cores'], 'core')}, device {machine['device']}"
        )
        told = [*self._sum, *filter(None, [self.verdict])]
        return [
            *wrapped(about, width, 2),
            *_table(self.figures, width),
            *(part for line in told for part in wrapped(line, width, 2)),
        ]

    @property
    def _sum(self) -> list[str]:
        """The whole beside its stages, where they were measured."""
        known, total = self.known, sum(self.known.stages.values())
        if known.whole is None:
            return []
        parts = ", ".join(f"{name} {ms:.2f}" for name, ms in known.stages.items())
        share = f"its stages alone {total:.2f} ({total / known.whole:.0%}): {parts}"
        cpu = {figure.what: figure.cpu_ms for figure in self.figures if figure.part == "augment" and figure.cpu_ms}
        whole = cpu.pop(WHOLE, None)
        cpu.pop(DECODE, None)  # is in the reading, too
        by_cpu = f"; by CPU time {sum(cpu.values()) / whole:.0%}" if whole else ""
        return [f"all of it takes {known.whole:.2f} ms a clip, {share}{by_cpu}"]


def _notes(figures: Sequence[Figure], cores: int, free: float | None) -> list[str]:
    """Return what to know before one trusts the figures."""
    notes = []
    if free is not None and free < FREE * cores:
        notes.append(f"other programs leave {free:.1f} of {count(cores, 'core')}: compare CPU times, not the clock's")
    if wide := [figure for figure in figures if figure.wide]:
        what = f"{len(wide)} of {count(len(figures), 'figure')} spread widely (most above {WIDE} times the least)"
        notes.append(f"{what}, such as {wide[0].what!r}: more --seconds, or a quieter machine, would narrow them")
    return notes


def _table(figures: Sequence[Figure], width: int) -> Iterator[str]:
    """Yield lines of columns, each part under its name; the last column stands below where it has no room."""
    head = ("ms a clip", "median", "least", "most", "CPU", "n", "")
    rows: list[tuple[str, ...]] = [head]
    part = ""
    for figure in figures:
        if figure.part != part:
            part = figure.part
            rows.append((part, *[""] * 6))
        cpu = "" if figure.cpu_ms is None else f"{figure.cpu_ms:.2f}"
        times = (f"{value:.2f}" for value in (figure.ms, figure.least, figure.most))
        more = ", ".join(MORE[key].format(value) for key, value in figure.more.items())
        rows.append((f"  {figure.what}", *times, cpu, str(figure.repeats), more))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        start = "  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:-1], widths[1:-1])))
        line = f"{start}  {row[-1]}".rstrip()
        yield from [line] if not width or len(line) <= width else [start, f"    {row[-1]}"]
