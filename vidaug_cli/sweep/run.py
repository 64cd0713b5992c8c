"""Do the runs of a sweep, side by side in processes: each as `vidaug train` and `vidaug predict` would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidaug_cli.device import explain_torch_errors
from vidaug_cli.errors import SweepError, VidaugError, explain_memory
from vidaug_cli.predict.predict import predict_shards
from vidaug_cli.predict.predictor import read_predictor
from vidaug_cli.scores.file import Scores, read_scores, write_scores
from vidaug_cli.scores.robustness import right_under
from vidaug_cli.scores.runs import SCORES
from vidaug_cli.sweep.grid import Configuration
from vidaug_cli.sweep.plan import Job, Sweep, SweepRun
from vidaug_cli.train.distributed import World
from vidaug_cli.train.job import train_run
from vidaug_cli.train.run import held_videos, render_validation
from vidaug_cli.words import count
from vidaug_cli.workers import Progress, in_processes

LOG = "log.txt"  # what a run said
SPARE = "lower --batch-size, raise --accumulate, lower --frames, lower --size, or have fewer side by side with -j"


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
    """Return the share of the labelled videos whose best class is theirs; one without scores counts as wrong."""
    return float(right_under(scores)[0, scores.all_labels >= 0].mean())


def render_clips(sweep: Sweep, *, root: Path | None, where: object, progress: bool) -> Iterator[str]:
    """Render the clips to choose on, for each kind and part once for all runs; yield a line about each that is new.

    Args:
        sweep: which videos are held out, or given.
        root: where the videos held out lie now, if they were moved.
        where: what an error calls the origin of the videos.
        progress: whether to draw a bar.

    Raises VidaugError as `held_videos` and `render_validation`.
    """
    runs = [sweep.rendered(each, part) for part in sweep.parts for each in sweep.configurations]
    for run in {run.folder: run for run in runs}.values():
        run.folder.mkdir(parents=True, exist_ok=True)
        rows = held_videos(run, root) if sweep.videos is None else sweep.videos
        report = render_validation(run, rows, where=where, overwrite=False, progress=progress)
        yield from (f"{run.folder.name}: {note}" for note in [*run.shards.notes, report.text])


def thread_share(device: str, workers: int) -> int:
    """Return how many threads each of so many runs side by side takes, where nobody says it."""
    return max(1, World(device).default_threads // workers)


def run_sweep(
    sweep: Sweep,
    *,
    workers: int,
    threads: int,
    device: str,
    readers: int,
    say: Callable[[str], None],
    progress: bool,
) -> Standings:
    """Do all runs that are not done yet, rung after rung. One that fails is noted, and its configuration drops out.

    Args:
        sweep: what to do, in a folder that this process holds.
        workers: runs side by side.
        threads: that compute, in each.
        device: where.
        readers: processes that read clips, for each.
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
            tasks = [(index, sweep.job(run), device, threads, readers) for index, run in left]
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
                name, reason = next(iter(standings.failed.items()))
                raise SweepError(f"a run of every configuration failed; {name}: {reason}", where=sweep.folder)
    return standings


def do_run(index: int, job: Job, device: str, threads: int, readers: int) -> tuple[int, str]:
    """Train, from where an earlier try stopped, and score the validation clips.

    Returns the index, and why the run failed; empty if it did not.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    with (job.folder / LOG).open("a", encoding="utf-8") as log:

        def say(line: str) -> None:
            print(line, file=log, flush=True)

        try:
            with explain_torch_errors(job.folder), explain_memory(lambda _: SPARE):
                run = job.training
                train_run(
                    run,
                    World(device),
                    preset=job.preset,
                    command=job.command,
                    workers=readers,
                    threads=threads,
                    say=say,
                )
                predictor = read_predictor(run.folder, device=device, amp=run.settings.amp)
                prediction = predict_shards(predictor, job.validation)
        except VidaugError as error:
            say(f"error: {error}")
            return index, error.reason if error.where == str(job.folder) else str(error)
        say(prediction.text)
    write_scores(job.folder / SCORES, prediction.scores)  # last: where they are there, the run is finished
    return index, ""
