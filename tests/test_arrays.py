"""Which part of a plan a task of a job array is, and the line that makes what is missing."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from console import vidaug
from test_parts import WORDS, files

from vidaug_cli.augment.command import Command, ranges, read_command
from vidaug_cli.augment.part import SCHEDULERS, Part, scheduler_of
from vidaug_cli.data.shard.format import finished_shards
from vidaug_cli.errors import VidaugError

SLURM = "SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_MAX SLURM_ARRAY_TASK_STEP SLURM_ARRAY_TASK_COUNT"
GRID = "SGE_TASK_ID SGE_TASK_FIRST SGE_TASK_LAST SGE_TASK_STEPSIZE"
LSF = "LSB_JOBINDEX LSB_JOBINDEX_END LSB_JOBINDEX_STEP"


def environment(names: str, values: str) -> dict[str, str]:
    """The variables of a task; `-` is one that is not there."""
    pairs = zip(names.split(), values.split(), strict=True)
    return {name: value for name, value in pairs if value != "-"} | {"PATH": "/bin", "SLURM_JOB_ID": "7"}


@pytest.mark.parametrize(
    ("scheduler", "names", "values", "part"),
    [
        ("Slurm", SLURM, "0 0 3 1 4", "0/4"),  # sbatch --array=0-3
        ("Slurm", SLURM, "3 0 3 1 4", "3/4"),
        ("Slurm", SLURM, "5 5 5 1 1", "0/1"),  # --array=5
        ("Slurm", SLURM, "8 1 8 1 8", "7/8"),  # --array=1-8
        ("Slurm", SLURM, "4 0 6 2 4", "2/4"),  # --array=0-6:2
        ("Slurm", SLURM, "3 1 3 1 2", "1/2"),  # --array=1,3, of which Slurm says that the step is 1
        ("Slurm", SLURM, "4 1 7 - -", "3/7"),
        ("Slurm", SLURM, "4 0 8 4 -", "1/3"),
        ("Grid Engine", GRID, "1 1 10 1", "0/10"),
        ("Grid Engine", GRID, "10 2 10 4", "2/3"),
        ("LSF", LSF, "7 12 1", "6/12"),
        ("LSF", LSF, "7 9 2", "3/5"),
        ("LSF", LSF, "7 12 -", "6/12"),
    ],
)
def test_a_task_is_a_part(scheduler: str, names: str, values: str, part: str) -> None:
    found = scheduler_of(environment(names, values))
    assert found is not None
    assert found.name == scheduler
    assert found.part(environment(names, values)) == Part.parse(part)


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("PATH", "/bin"),
        (GRID, "undefined undefined undefined undefined"),
        (LSF, "0 0 0"),
        (SLURM, "4294967294 - - - -"),
        ("PBS_ARRAY_INDEX", "-"),
    ],
)
def test_a_job_that_is_no_array_is_no_part(names: str, values: str) -> None:
    assert scheduler_of(environment(names, values)) is None


@pytest.mark.parametrize(
    ("names", "values", "what"),
    [
        ("PBS_ARRAY_INDEX", "3", "PBS_ARRAY_INDEX is 3, and nothing says of how many tasks; give --part I/N, such as "),
        ("PBS_ARRAYID", "3", r"such as --part \$\(\(PBS_ARRAYID - 0\)\)/8, or --part 0/1 for all shards"),
        ("SLURM_ARRAY_TASK_ID", "3", "SLURM_ARRAY_TASK_ID is 3, and nothing says of how many"),
        ("LSB_JOBINDEX", "3", "LSB_JOBINDEX is 3, and nothing says of how many"),
        (
            SLURM,
            "1 1 4 1 3",
            "SLURM_ARRAY_TASK_ID is 1, and the 3 tasks from 1 to 4 are not evenly spaced; give",
        ),
        (SLURM, "9 0 3 1 4", "are not evenly spaced"),
        (SLURM, "3 9 0 1 4", "are not evenly spaced"),
        (GRID, "3 1 x 1", "nothing says of how many"),
    ],
)
def test_a_task_whose_place_cannot_be_told_is_refused(names: str, values: str, what: str) -> None:
    scheduler = scheduler_of(environment(names, values))
    assert scheduler is not None
    with pytest.raises(VidaugError, match=what):
        scheduler.part(environment(names, values))


def test_no_two_tasks_of_a_list_are_the_same_part_and_if_one_is_missing_a_task_says_so() -> None:
    """Slurm's `--array=0,1,4`: whatever the numbers are, it says least, greatest and how many."""
    slurm = SCHEDULERS[0]
    for bits in range(1, 2**9):
        tasks = [number for number in range(9) if bits >> number & 1]
        told, refused = [], 0
        for task in tasks:
            try:
                told.append(slurm.part(environment(SLURM, f"{task} {tasks[0]} {tasks[-1]} 1 {len(tasks)}")))
            except VidaugError:
                refused += 1
        assert len(set(told)) == len(told)
        assert all(part.count == len(tasks) for part in told)
        assert refused or len(told) == len(tasks)


def test_an_array_makes_the_whole(video_folder: Path, tmp_path: Path) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    words = [*WORDS, "--copies", "5"]
    assert vidaug("augment", video_folder, "-o", alone, *words).code == 0
    for task in range(3):
        variables = environment(SLURM, f"{task} 0 2 1 3")
        done = vidaug("augment", video_folder, "-o", out, *words, **variables)
        assert done.code == 0
        assert f"part {task}/3, as this is a task of a job array of Slurm; --part 0/1 makes all shards\n" in done.err
        assert f"{out}: part {task}/3: " in done.err
        assert (out / "failures.jsonl").exists() == (task == 2)
    assert files(out) == files(alone)
    given = vidaug("augment", video_folder, "-o", out, *words, "--part", "0/1", "--json", **variables)
    assert "job array" not in given.err
    assert (given.made["part"], given.made["shards"]) == ("0/1", 5)


def test_a_refused_task_writes_nothing(video_folder: Path, tmp_path: Path) -> None:
    done = vidaug("augment", video_folder, "-o", tmp_path / "out", *WORDS, PBS_ARRAY_INDEX="3")
    assert done.code == 1
    assert "--part 0/1 for all shards" in done.err
    assert not (tmp_path / "out").exists()
    assert (
        vidaug("augment", video_folder, "-o", tmp_path / "out", *WORDS, "--part", "1/2", PBS_ARRAY_INDEX="3").code == 0
    )
    assert finished_shards(tmp_path / "out") == {}


# The line that makes what is missing


def typed(*words: str, parts: int = 1, scheduler: str = "", **variables: str) -> Command:
    return Command.typed(["vidaug", "augment", *words], Path("/data/my set"), variables, parts, scheduler)


def test_what_is_said_of_one_run_only_is_not_kept() -> None:
    once = ["--wait", "--join", "--overwrite", "--force", "--part", "0/4", "--part=0/4"]
    command = typed(
        "in", *once, "-o", "out", "--", "--part", VIDAUG_AUGMENT_PART="1/4", VIDAUG_AUGMENT_WORKERS="3", A="b"
    )
    assert command.words == ("vidaug", "augment", "in", "-o", "out", "--", "--part")
    assert command.variables == {"VIDAUG_AUGMENT_WORKERS": "3"}
    (line,) = command.lines([0])
    assert line == "cd '/data/my set' && VIDAUG_AUGMENT_WORKERS=3 vidaug augment in -o out -- --part"


def test_lines_are_for_the_parts_that_are_missing() -> None:
    start = "cd '/data/my set' && vidaug augment"
    assert typed("a b").lines([]) == []
    assert typed("a b", parts=4).lines([0, 1, 2, 3]) == [f"{start} 'a b'"]
    assert typed("a b", parts=4).lines([3, 1]) == [f"{start} --part {part}/4 'a b'" for part in (1, 3)]
    (line,) = typed("a b", parts=9, scheduler="Slurm").lines([1, 4, 5, 6])
    array, _, command = line.partition(" --wrap ")
    assert array == "sbatch --array=1,4-6"
    assert shlex.split(command) == [f"{start} --part $SLURM_ARRAY_TASK_ID/9 --wait 'a b'"]
    assert typed("a b", parts=4, scheduler="PBS").lines([2]) == [f"{start} --part 2/4 'a b'"]


def test_ranges_as_schedulers_take_them() -> None:
    assert ranges([0]) == "0"
    assert ranges([0, 1]) == "0-1"
    assert ranges([0, 2, 3, 4, 7]) == "0,2-4,7"


def test_the_command_is_kept_in_the_folder(video_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["augment", video_folder, "-o", out, *WORDS, "--copies", "2"]
    assert vidaug(*words, "--part", "1/2").code == 0
    first = read_command(out)
    assert first is not None
    assert first.words == ("vidaug", *map(str, words))
    assert (first.folder, first.parts, first.scheduler) == (str(Path.cwd()), 2, "")
    seen = (out / "command.json").stat().st_mtime_ns
    assert vidaug(*words, "--part", "0/2").code == 0
    assert (out / "command.json").stat().st_mtime_ns == seen
    assert vidaug(*words[:-1], "1", "--overwrite").code == 0
    again = read_command(out)
    assert again is not None
    assert (again.words[-1], again.parts) == ("1", 1)
    (out / "command.json").write_text("{}")
    assert read_command(out) is None
    assert vidaug(*words[:-1], "1").code == 0
    assert read_command(out) == again
