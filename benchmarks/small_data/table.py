"""The table of docs/results.md out of results.jsonl: `python benchmarks/small_data/table.py`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

BASE = "crop and flip"
Run = dict[str, Any]


def read(path: Path) -> dict[str, list[Run]]:
    """Return the runs of each recipe, recipes in the order in which they first came."""
    found: dict[str, list[Run]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        run = json.loads(line)
        found[run["recipe"]].append(run)
    return found


def top1(run: Run) -> float:
    """Return the top-1 accuracy of a run on held-out videos."""
    return float(run["evaluation"]["top1"])


def spread(values: Sequence[float]) -> str:
    """Return mean and standard error over runs, in per cent."""
    error = f" ± {100 * stdev(values) / len(values) ** 0.5:.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{error}"


def gains(runs: Iterable[Run], base: Iterable[Run]) -> list[float]:
    """Return each run's top-1 less that of the plain run of the same split and seed."""
    plain = {(run["split"], run["seed"]): top1(run) for run in base}
    return [top1(run) - plain[key] for run in runs if (key := (run["split"], run["seed"])) in plain]


def located(runs: Sequence[Run], mixture: str) -> str:
    """Return mean and standard error of the localisation of a mixture."""
    values = [run["localisation"][mixture]["correlation"] for run in runs]
    return f"{mean(values):.2f}" + (f" ± {stdev(values) / len(values) ** 0.5:.2f}" if len(values) > 1 else "")


def table() -> str:
    """Return the table in Markdown, the highest top-1 first."""
    found = read(Path(__file__).with_name("results.jsonl"))
    head = ["recipe", "runs", "top-1", "more than plain", "lowest, highest", "in training", "localised: fade", "cut"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, runs in sorted(found.items(), key=lambda item: -mean(map(top1, item[1]))):
        values = [top1(run) for run in runs]
        cells = [
            name,
            str(len(runs)),
            spread(values),
            "" if name == BASE else spread(gains(runs, found[BASE])),
            f"{100 * min(values):.0f}, {100 * max(values):.0f}",
            f"{100 * mean(run['train_top1'] for run in runs):.0f}",
            located(runs, "fademixup"),
            located(runs, "framecutmix"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
