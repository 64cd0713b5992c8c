"""`vidaug compare`: which runs belong together, where numbers come from, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console import vidaug
from score_makers import scores_of, shares

from vidaug_cli.errors import VidaugError
from vidaug_cli.ops.disturbances import DISTURBANCES
from vidaug_cli.scores.file import Failed, write_scores
from vidaug_cli.scores.robustness import by_course
from vidaug_cli.scores.runs import find_runs, read_runs
from vidaug_cli.scores.source import Source, source_of

THREE = ("walk", "run", "jump")


def made(folder: Path, right: str, *, seed: int = 0, videos: str = "v", training: Any = (), **values: Any) -> Path:
    """A run's folder with scores: of each video, `1` in `right` is right, `0` wrong and `x` failed."""
    folder.mkdir(parents=True, exist_ok=True)
    number = {name: place % 3 for place, name in enumerate(f"{videos}{n}" for n in range(len(right)))}
    read = [name for name, how in zip(number, right, strict=True) if how != "x"]
    classes = [(number[name] + (right[int(name[len(videos) :])] == "0")) % 3 for name in read]
    source = {"views": 1, "crop": 0.5, "training": {"lr": 1e-3, "seed": seed, **dict(training)}}
    scores = scores_of(
        len(read),
        classes=THREE,
        videos=tuple(read),
        scores=np.eye(3, dtype=np.float32)[classes],
        failures=tuple(Failed(name, number[name], "broken") for name in number if name not in read),
        **{"source": json.dumps(source), "labels": np.array([number[name] for name in read])} | values,
    )
    write_scores(folder / "scores.h5", scores)
    return folder


def rows_of(*words: object) -> dict[str, int]:
    """Rows by name, and how many runs each has."""
    runs = read_runs(find_runs([str(word) for word in words]))
    return {run.row: sum(other.row == run.row for other in runs) for run in runs}


def test_runs_that_differ_by_seed_and_split_are_one_row(tmp_path: Path) -> None:
    for split in "12":
        for seed in (0, 1):
            made(tmp_path / f"plain-{split}-{seed}", "1101", seed=seed, videos=f"s{split}-")
            made(tmp_path / f"fade-split{split}-seed{seed}", "1111", seed=seed, videos=f"s{split}-", training={"lr": 2})
    wanted = {"fade": 4, "plain": 4}
    assert rows_of(tmp_path) == wanted
    assert rows_of(*sorted(tmp_path.iterdir())) == rows_of(*sorted(tmp_path.glob("*/scores.h5"))) == wanted
    runs = read_runs(find_runs([str(tmp_path)]))
    assert [(run.seed, run.split) for run in runs] == [(0, "1"), (1, "1"), (0, "2"), (1, "2")] * 2
    done = vidaug("compare", tmp_path, "--baseline", "plain", "--json")
    found = done.result
    assert [(row["name"], row["splits"], row["seeds"], row["videos"]) for row in found["rows"]] == [
        ("fade", 2, 2, 8),
        ("plain", 2, 2, 8),
    ]
    assert found["rows"][0]["differences"]["top-1"] == {
        **{"value": 0.25, "better": 2, "worse": 0, "p": 0.5, "videos": 8},
        **{end: found["rows"][0]["differences"]["top-1"][end] for end in ("low", "high")},
    }


@pytest.mark.parametrize(
    "other", [{"training": {"recipe": "x"}}, {"source": '{"training": {"lr": 1e-3, "seed": 1}, "views": 10}'}]
)
def test_other_settings_are_another_row(tmp_path: Path, other: dict[str, Any]) -> None:
    made(tmp_path / "a-0", "10")
    made(tmp_path / "a-1", "11", seed=1, **other)
    assert rows_of(tmp_path) == {"a-0": 1, "a-1": 1}


def test_scores_that_do_not_say_their_training_stand_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        made(tmp_path / name, "10", source="{}")
    assert rows_of(tmp_path) == {"a": 1, "b": 1}
    made(tmp_path / "below" / "a", "10", source="{}")
    assert rows_of(tmp_path / "a", tmp_path / "below" / "a") == {"a": 1, "a (2)": 1}


def test_rows_may_be_named(tmp_path: Path) -> None:
    for seed in range(2):
        for name in ("plain", "cut", "fade"):
            made(tmp_path / f"{name}-{seed}", "110", seed=seed, training={"recipe": name})
    assert rows_of(f"A={tmp_path}/plain-*", f"B={tmp_path}/cut-0,{tmp_path}/fade-1") == {"A": 2, "B": 2}
    assert rows_of(f"fade={tmp_path}/plain-0", tmp_path / "fade-0") == {"fade": 1, "fade-0": 1}
    assert rows_of(f"A={tmp_path}/plain-0", f"A={tmp_path}/cut-1") == {"A": 2}
    named = tmp_path / "n=1"
    made(named, "110")
    assert rows_of(named) == {"n=1": 1}  # a path that is there is a path


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("A=none-*", "A=none-.*: matches nothing"),
        ("=plain", "=plain: has no name before the ="),
        ("missing", "missing: does not exist"),
        (".", "has no scores.h5; give a run's folder"),
        ("run", "run: has no scores.h5; 'vidaug predict run VIDEOS -o run/scores.h5' writes it"),
        ("file.txt", "is a text file"),
    ],
)
def test_words_that_stand_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("text")
    Path("run").mkdir()
    Path("run/run.toml").touch()
    with pytest.raises(VidaugError, match=message):
        find_runs([word])


def test_videos_that_failed_count_as_wrong(tmp_path: Path) -> None:
    (run,) = read_runs(find_runs([str(made(tmp_path / "a", "1x01"))]))
    assert dict(zip(run.videos, run.correct.tolist(), strict=True)) == {"v0": 1, "v1": 0, "v2": 0, "v3": 1}
    assert dict(zip(run.videos, run.classes, strict=True)) == {"v0": "walk", "v1": "run", "v2": "jump", "v3": "walk"}


def test_localisation_is_read_from_the_run(tmp_path: Path) -> None:
    for name, correlation in (("a", 0.25), ("b", None)):
        made(tmp_path / name, "10", training={"recipe": name})
        measured = {"localisation": {"correlation": correlation, "clips": 4}}
        (tmp_path / name / "localisation.json").write_text(json.dumps(measured))
    assert [dict(run.numbers) for run in read_runs(find_runs([str(tmp_path)]))] == [{"localised": 0.25}, {}]
    (tmp_path / "a" / "localisation.json").write_text('{"localisation": 3}')
    with pytest.raises(VidaugError, match=r"localisation\.json: localisation: 3 should be"):
        read_runs(find_runs([str(tmp_path)]))


def test_disturbed_videos_are_measures(tmp_path: Path) -> None:
    """Of two kinds in both courses, and one that is only held and does not count."""
    kinds = [("rotation", 1), ("rotation", 2), ("shift", 1)]
    pairs = [f"{kind}-{course}-{severity}" for kind, severity in kinds for course in ("held", "ramped")]
    names = tuple(name for name in pairs if name != "shift-ramped-1")
    assert set(names) < set(DISTURBANCES)
    right, wrong = [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]
    one = {name: shares(right, right if "held" in name else wrong) for name in names}
    one["rotation-held-2"] = shares(wrong, right)
    values = {"classes": THREE, "labels": np.array([1, 1]), "scores": shares(right, right)}
    scores = scores_of(2, **values, disturbances=names, disturbed=np.stack([one[name] for name in names]))
    found = by_course(scores, names)
    assert {name: values.tolist() for name, values in found.items()} == {"held": [0.5, 1, 0], "ramped": [1, 0, 0]}
    write_scores(tmp_path / "a.h5", scores)
    done = vidaug("compare", tmp_path / "a.h5", "--json")
    measures = done.result["rows"][0]["measures"]
    assert {name: each["value"] for name, each in measures.items()} == pytest.approx(
        {"top-1": 2 / 3, "held": 1.5 / 3, "ramped": 1 / 3}
    )


def test_disturbances_that_only_one_file_has_do_not_count(tmp_path: Path) -> None:
    """Held and ramped are of the same kinds and severities in all rows: other ones are not to be compared."""
    right, wrong = [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]
    one = {"rotation-held-1": right, "rotation-ramped-1": right, "shift-held-3": wrong, "shift-ramped-3": wrong}
    values = {"classes": THREE, "labels": np.array([1, 1]), "scores": shares(right, right), "failures": ()}
    for name, names in (("few", list(one)[:2]), ("more", list(one)), ("none", [])):
        disturbed = np.stack([shares(one[each], one[each]) for each in names]) if names else None
        write_scores(tmp_path / f"{name}.h5", scores_of(2, **values, disturbances=tuple(names), disturbed=disturbed))
    runs = read_runs(find_runs([str(tmp_path / f"{name}.h5") for name in ("few", "more", "none")]))
    found = [{name: each.tolist() for name, each in run.measures.items()} for run in runs]
    assert found == [{"held": [1, 1], "ramped": [1, 1]}] * 2 + [{}]


def test_what_is_printed_and_written(tmp_path: Path) -> None:
    made(tmp_path / "a", "1100110011", training={"recipe": "a"})
    made(tmp_path / "b", "1111111111", training={"recipe": "b"})
    files = ["--csv", tmp_path / "t.csv", "--latex", tmp_path / "t.tex"]
    done = vidaug("compare", tmp_path, *files, "--per-class")
    lines = done.out.splitlines()
    assert lines[0].split() == ["runs", "top-1", "more", "than", "a", "p"]
    assert lines[2].startswith("b     1  100.0 [100.0, 100.0]  +40.0 [")
    assert lines[2].endswith("  0.12")  # 2 / 2 ** 4
    assert [line.split()[0] for line in lines[4:]] == ["class", "walk", "run", "jump"]
    assert done.err == "b: 1 pair of runs of the same seed and split\n"
    assert (tmp_path / "t.csv").read_text().startswith("row,runs,splits,seeds,videos,")
    assert (tmp_path / "t.tex").read_text().count("\\begin{tabular}") == 2
    assert vidaug("compare", tmp_path, "--markdown", "-q").out.startswith("|  | runs | top-1 |")
    assert vidaug("compare", tmp_path, "--csv", "-", "-q").out.startswith("row,runs,")
    assert vidaug("compare", tmp_path, "--baseline", "c").err.startswith("vidaug: error: no row 'c'")
    assert vidaug("compare", tmp_path, "-o", "x.gif").code == 2
    assert vidaug("compare", tmp_path, "--classes", tmp_path / "t.csv").code == 2


def test_it_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert vidaug("compare", made(tmp_path / "a", "110"), "-o", tmp_path / "c.png").code == 0
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_other_videos_are_refused_or_named(tmp_path: Path) -> None:
    made(tmp_path / "a", "1100", training={"recipe": "a"})
    made(tmp_path / "b", "110", training={"recipe": "b"})
    made(tmp_path / "c", "110", videos="w", training={"recipe": "c"})
    some = vidaug("compare", tmp_path / "a", tmp_path / "b")
    assert "b: compared on the 3 videos that both have; 1 of one alone is left out" in some.err
    none = vidaug("compare", tmp_path / "a", tmp_path / "c")
    assert (none.code, "error: c: has no video in common with the baseline; " in none.err) == (1, True)


def test_labels_may_come_later(tmp_path: Path) -> None:
    blind = made(tmp_path / "a", "110", labels=np.array([-1] * 3))
    failed = vidaug("compare", blind)
    assert (failed.code, "no video has a label" in failed.err) == (1, True)
    (tmp_path / "t.txt").write_text("v0 1\nv1 2\nv2 2\n")
    (tmp_path / "c.txt").write_text("1 walk\n2 run\n3 jump\n")
    done = vidaug("compare", blind, "--truth", tmp_path / "t.txt", "--classes", tmp_path / "c.txt", "--json")
    assert done.result["rows"][0]["measures"]["top-1"]["value"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("text", ["{}", '{"training": 3}', '{"checkpoint": "a", "seed": [1]}', '{"ensemble": [{}, 2]}'])
def test_sources_of_other_programs_say_nothing(text: str) -> None:
    source = source_of(scores_of(source=text))
    assert (source.training, source.seed, source.recipe, source.top1) == ({}, None, None, None)


def test_the_part_held_out_is_a_split() -> None:
    held = [Source(training={"lr": 1, "hold_out": {"share": 0.2, "fold": fold}}).recipe for fold in (0, 1)]
    assert held[0] == held[1] != Source(training={"lr": 1, "hold_out": None}).recipe
    assert Source(training={"lr": 1, "hold_out": None}).recipe == Source(training={"lr": 1}).recipe
    assert list(Source(ensemble=(Source(epoch=1), Source(ensemble=(Source(epoch=2),)))).networks()) == [
        Source(epoch=1),
        Source(epoch=2),
    ]
