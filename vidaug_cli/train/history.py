"""What a run leaves for people and programs: a row for each epoch, as JSON Lines, CSV, curves and for TensorBoard."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from vidaug_cli.errors import VidaugError
from vidaug_cli.files import write_text_atomically

Row = dict[str, float]  # name of a figure and its value; `epoch` counts the finished ones


class Log:
    """The history of a run in its folder, and a line an epoch for a person.

    Raises VidaugError when TensorBoard is asked for and not installed.
    """

    def __init__(
        self, run: Path, epochs: int, *, say: Callable[[str], None] = print, tensorboard: bool = False
    ) -> None:
        self.run, self.epochs, self.say = run, epochs, say
        self._tensorboard = _tensorboard(run) if tensorboard else None

    def write(self, rows: Sequence[Row]) -> None:
        """A new epoch, the last of these rows."""
        self.keep(rows)
        if self._tensorboard is not None:
            self._tensorboard(rows[-1])
        self.say(_line(rows[-1], self.epochs))

    def keep(self, rows: Sequence[Row]) -> None:
        """All epochs so far, whole files each time: a run that was cut off has no half line, and none twice."""
        write_text_atomically(self.run / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        table = io.StringIO()
        writer = csv.DictWriter(table, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text_atomically(self.run / "metrics.csv", table.getvalue())

    def draw(self, rows: Sequence[Row]) -> None:
        """The curves of the run, where matplotlib is installed."""
        if find_spec("matplotlib"):
            from vidaug_cli.draw.plots import curves

            curves(rows, self.run / "curves.png")


def _line(row: Row, epochs: int) -> str:
    """An epoch in words."""
    said = [f"epoch {row['epoch']}/{epochs}", f"loss {row['loss']:.3f}", f"top-1 {row['top1']:.3f}"]
    if "val_top1" in row:
        said += [f"validation: loss {row['val_loss']:.3f}", f"top-1 {row['val_top1']:.3f}"]
    return "  ".join([*said, f"{row['clips_per_second']:.1f} clips/s", f"{row['waiting']:.0%} waiting for data"])


def _tensorboard(run: Path) -> Callable[[Row], None]:
    """Writes a row for TensorBoard; of an epoch that was written before, the later one counts."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise VidaugError("TensorBoard is not installed", hint="pip install 'vidaug-cli[tensorboard]'") from error

    def write(row: Row) -> None:
        with SummaryWriter(str(run / "tensorboard"), purge_step=int(row["epoch"])) as writer:
            for name, value in row.items():
                writer.add_scalar(name, value, int(row["epoch"]))

    return write
