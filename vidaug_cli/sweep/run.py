"""Do the runs of a sweep, side by side in processes: each as `vidaug train` and `vidaug predict` would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vidaug_cli.data.manifest import Row
from vidaug_cli.device import explain_torch_errors
from vidaug_cli.errors import VidaugError
from vidaug_cli.predict.held_out import predict_validation
from vidaug_cli.scores.file import Scores, read_scores, write_scores
from vidaug_cli.sweep.grid import Configuration
from vidaug_cli.sweep.plan import Job, Sweep, SweepRun
from vidaug_cli.train.distributed import World
from vidaug_cli.train.job import train_run
from vidaug_cli.train.run import render_validation
from vidaug_cli.words import count
from vidaug_cli.workers import Progress, in_processes

SCORES = "scores.h5"  # of a run, written last: where it is there, the run is finished
LOG = "log.txt"  # what a run said


@dataclass
class Standings:
    """What came of the runs so far."""

    scores: dict[Path, Scores] = field(default_factory=dict)  # by the run's folder
    failed: dict[str, str] = field(default_factory=dict)  # the reason by the run's name
    last: dict[int, list[SweepRun]] = field(default_factory=dict)  # those of a configuration with its largest budget

    def accuracy(self, configuration: Configuration) -> float | None:
        """Return the mean over a configuration's runs of the share of videos they have right; None where one failed."""
        runs = self.last[configuration.number]
        if any(run.folder not in self.scores for run in runs):
            return None
        return sum(share_right(self.scores[run.folder]) for run in runs) / len(runs)

    def ranked(self, configurations: Sequence[Configuration]) -> list[Configuration]:
        """Return those whose runs all succeeded, the best first; the simpler of two that are as good."""
        known = [(self.accuracy(each), each) for each in configurations]
        good = [(-accuracy, each.simplicity, each) for accuracy, each in known if accuracy is not None]
        return [each for *_, each in sorted(good, key=lambda entry: entry[:2])]


def share_right(scores: Scores) -> float:
    """Return the share of the videos whose best class is theirs; one without scores counts as wrong."""
    right = int((scores.scores.argmax(1) == scores.labels).sum())
    return right / len(scores.all_videos)


def render_videos(sweep: Sweep, rows: Sequence[Row], *, where: object, progress: bool) -> str:
    """Render the videos to choose on, once for all runs, as large as the largest clip of any; return a line about it.

    Raises VidaugError as `render_validation`.
    """
    runs = sweep.trainings()
    frames, size = (max(getattr(run.clip, name) for run in runs) for name in ("frames", "size"))
    largest = replace(runs[0], settings=replace(runs[0].settings, frames=frames, size=size))
    return render_validation(largest, rows, where=where, overwrite=False, progress=progress).text


def run_sweep(
    sweep: Sweep,
    *,
    workers: int,
    threads: int,
    device: str,
    say: Callable[[str], None],
    progress: bool,
) -> Standings:
    """Do all runs that are not done yet, rung after rung. One that fails is noted, and its configuration drops out.

    Args:
        sweep: what to do, in a folder that this process holds.
        workers: runs side by side.
        threads: that compute, in each.
        device: where.
        say: takes lines for a person.
        progress: whether to show how far it is.

    Raises VidaugError when all runs of a rung failed, with the reason of the first.
    """
    standings, chosen = Standings(), sweep.configurations
    with Progress(sweep.total, "run", "sweep", show=progress) as bar:
        for number, rung in enumerate(sweep.rungs):
            chosen = sorted(chosen[: rung.configurations], key=lambda each: each.number)
            runs = sweep.runs(number, chosen)
            for configuration in chosen:
                standings.last[configuration.number] = sweep.runs(number, [configuration])
            done = [run for run in runs if (run.folder / SCORES).is_file()]
            if done:
                with bar.aside():
                    say(f"{sweep.folder}: {len(done)} of {count(len(runs), 'run')} are done")
            standings.scores |= {run.folder: read_scores(run.folder / SCORES) for run in done}
            bar.update(len(done))
            left = [(index, run) for index, run in enumerate(runs) if run.folder not in standings.scores]
            tasks = [(index, sweep.job(run), device, threads) for index, run in left]
            for index, fault in in_processes(do_run, tasks, workers):
                run = runs[index]
                if fault:
                    standings.failed[run.name] = fault
                else:
                    standings.scores[run.folder] = read_scores(run.folder / SCORES)
                with bar.aside():
                    say(f"{run.name}: {fault or f'top-1 {share_right(standings.scores[run.folder]):.3f}'}")
                bar.update()
            chosen = standings.ranked(chosen)
            if not chosen:
                raise VidaugError(
                    "every configuration failed", where=sweep.folder, hint=next(iter(standings.failed.values()))
                )
    return standings


def do_run(index: int, job: Job, device: str, threads: int) -> tuple[int, str]:
    """Train, from where an earlier try stopped, and score the validation part; return the index, and why it failed."""
    job.folder.mkdir(parents=True, exist_ok=True)
    with (job.folder / LOG).open("a", encoding="utf-8") as log:

        def say(line: str) -> None:
            print(line, file=log, flush=True)

        try:
            with explain_torch_errors(job.folder):
                run = job.training
                train_run(run, World(device), threads=threads, say=say)
                prediction = predict_validation(run, device)
        except VidaugError as error:
            say(f"error: {error}")
            return index, str(error)
        say(prediction.text)
    write_scores(job.folder / SCORES, prediction.scores)
    return index, ""
