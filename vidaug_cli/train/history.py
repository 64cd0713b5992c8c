"""What a run leaves for people and programs: metrics of each epoch as JSON Lines, CSV, curves and for TensorBoard."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from vidaug_cli.errors import RunError, missing_package
from vidaug_cli.files import write_text_atomically
from vidaug_cli.schema import from_json, type_fault

EpochMetrics = dict[str, float]  # values by name; `epoch` counts the finished ones
_AGAIN = "'vidaug train --resume RUN' writes it again"


def merit(metrics: EpochMetrics) -> tuple[float, float]:
    """Return what the best epoch has most of: accuracy, then little loss; without validation, it is the last epoch."""
    return metrics.get("val_top1", metrics["epoch"]), -metrics.get("val_loss", 0.0)


def read_history(folder: Path) -> list[EpochMetrics]:
    """Return the epochs in `metrics.jsonl`, none where it is missing. Raises VidaugError when it is damaged."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    try:
        history = [from_json(line) for line in path.read_bytes().splitlines()]
    except (OSError, ValueError) as error:
        raise RunError("cannot be read, or is not JSON", where=path, hint=_AGAIN) from error
    fault = type_fault(history, list[EpochMetrics])
    if fault or [row.get("epoch") for row in history] != list(range(1, len(history) + 1)):
        raise RunError(fault or "has epochs out of order", where=path, hint=_AGAIN)
    return history


class MetricsLog:
    """The history of a run in its folder, and a line for each epoch to read along.

    Raises VidaugError when TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, say: Callable[[str], None] = print, tensorboard: bool = False) -> None:
        self.folder, self.epochs, self.say, self.tensorboard = folder, 0, say, tensorboard
        if tensorboard and not find_spec("tensorboard"):
            raise missing_package("--tensorboard", "TensorBoard", "tensorboard")

    def begin(self, history: Sequence[EpochMetrics], notes: Sequence[str], epochs: int) -> None:
        """Say what of so many epochs is done already, and the notes if anything is left to do."""
        self.epochs = epochs
        if history:
            self.say(f"{self.folder}: {len(history)} of {epochs} epochs are done")
            self.write_files(history)  # a run may have been cut off after its checkpoint
        for note in notes if len(history) < epochs else ():
            self.say(note)

    def add_epoch(self, history: Sequence[EpochMetrics]) -> None:
        """Write and say the last epoch of the history."""
        self.write_files(history)
        if self.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            epoch = int(history[-1]["epoch"])  # where it was written before, the later one counts
            with SummaryWriter(str(self.folder / "tensorboard"), purge_step=epoch) as writer:
                for name, value in history[-1].items():
                    writer.add_scalar(name, value, epoch)
        self.say(_line(history[-1], self.epochs))

    def write_files(self, history: Sequence[EpochMetrics]) -> None:
        """Write all epochs, whole files each time: a run that was cut off has no half line, and none twice."""
        write_text_atomically(self.folder / "metrics.jsonl", "".join(json.dumps(metrics) + "\n" for metrics in history))
        table = io.StringIO()
        writer = csv.DictWriter(table, list(history[-1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text_atomically(self.folder / "metrics.csv", table.getvalue())

    def draw_curves(self, history: Sequence[EpochMetrics]) -> None:
        """Draw loss and top-1 over the epochs, with the best one, where matplotlib is installed."""
        if find_spec("matplotlib"):
            from vidaug_cli.draw.plots import curves

            best = int(max(history, key=merit)["epoch"])
            curves(history, self.folder / "curves.png", name=self.folder.name, best=best)


def _line(metrics: EpochMetrics, epochs: int) -> str:
    """Return an epoch in words that fit into a terminal of 80 columns."""
    words = [f"epoch {metrics['epoch']}/{epochs}", f"loss {metrics['loss']:.3f}", f"top-1 {metrics['top1']:.3f}"]
    if "val_top1" in metrics:
        words.append(f"val {metrics['val_loss']:.3f}, {metrics['val_top1']:.3f}")
    speed = metrics["clips_per_second"]
    return "  ".join([*words, f"{speed:.{0 if speed >= 100 else 1}f} clips/s", f"{metrics['waiting']:.0%} idle"])
