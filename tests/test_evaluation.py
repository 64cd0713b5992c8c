"""Accuracies, confusion and baselines against what can be counted by hand."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from console import vidaug
from hypothesis import given, settings
from hypothesis import strategies as st
from score_makers import row_of, scores_of, shares

from vidaug_cli.data.manifest import Row, rows_text
from vidaug_cli.errors import VidaugError
from vidaug_cli.scores.evaluation import baselines, evaluate, nearest_rows, ranking, standard_error
from vidaug_cli.scores.file import Failed, Scores, write_scores
from vidaug_cli.scores.truth import Truth, read_truth, with_truth

THREE = ("walk", "run", "jump")
HAND = Scores(
    classes=THREE,
    videos=("w1", "w2", "w3", "r1", "?"),
    labels=np.array([0, 0, 0, 1, -1]),
    scores=shares([0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.1, 0.6, 0.3], [0.3, 0.6, 0.1], [1, 0, 0]),
    shape=np.array([[10, 64, 48]] * 5, np.int32),
    failures=(Failed("r2", 1, "broken"), Failed("??", -1, "broken")),
)


def test_by_hand() -> None:
    found = evaluate(HAND)
    assert (len(found.labels), found.failed, found.unlabelled) == (5, 1, 2)
    # Places of the truth: 1, 2, 3 of walk; 1 and failed of run; jump does not occur.
    assert found.rates() == pytest.approx(
        {"top1": 2 / 5, "top3": 4 / 5, "mean_class_top1": (1 / 3 + 1 / 2) / 2, "mean_class_top3": (3 / 3 + 1 / 2) / 2}
    )
    assert found.confusion.tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]
    assert found.confusion.dtype == np.int64
    assert found.worst(5) == [("walk", pytest.approx(1 / 3), 3, "run"), ("run", 0.5, 2, None)]
    assert found.worst(1) == found.worst(5)[:1]


def test_failed_videos_are_the_last_of_all() -> None:
    assert HAND.all_videos == ("w1", "w2", "w3", "r1", "?", "r2", "??")
    assert HAND.all_labels.tolist() == [0, 0, 0, 1, -1, 1, -1]
    assert HAND.all_labels.dtype == replace(HAND, failures=()).all_labels.dtype == np.int64
    other = HAND.relabelled(np.array([2, 1, 0, -1, 2, 0, 1]))
    assert other.labels.tolist() == [2, 1, 0, -1, 2]
    assert other.failures == (Failed("r2", 0, "broken"), Failed("??", 1, "broken"))


def test_of_six_classes_five_ranks_count() -> None:
    scores = scores_of(1, scores=shares([0.3, 0.25, 0.2, 0.15, 0.07, 0.03]), failures=())
    for label, wanted in enumerate([(1, 1, 1), (0, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 1), (0, 0, 0)]):
        rates = evaluate(replace(scores, labels=np.array([label]))).rates()
        assert tuple(rates[f"top{k}"] for k in (1, 3, 5)) == wanted
        assert tuple(rates[f"mean_class_top{k}"] for k in (1, 3, 5)) == wanted


@pytest.mark.parametrize(("count", "names"), [(1, ["top1"]), (2, ["top1", "top2"]), (4, ["top1", "top3", "top4"])])
def test_ranks_end_at_the_number_of_classes(count: int, names: list[str]) -> None:
    rates = evaluate(scores_of(4, classes=tuple("abcd"[:count]), failures=())).rates()
    assert list(rates) == names + [f"mean_class_{name}" for name in names]
    assert rates[names[-1]] == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_equal_scores_help_nobody(labels: list[int]) -> None:
    same = np.full((len(labels), 6), 1 / 6, np.float32)
    rates = evaluate(scores_of(len(labels), labels=np.array(labels), scores=same, failures=())).rates()
    assert rates["top1"] == pytest.approx(labels.count(0) / len(labels))
    assert rates["mean_class_top1"] == pytest.approx((0 in labels) / len(set(labels)))
    assert rates["mean_class_top3"] == pytest.approx(len({0, 1, 2} & set(labels)) / len(set(labels)))


def test_equal_scores_stand_in_label_order() -> None:
    assert ranking(shares([0.2, 0.4, 0.0, 0.4, 0.0])).tolist() == [[1, 3, 0, 2, 4]]


def test_standard_error() -> None:
    assert standard_error(np.array([True] * 9 + [False] * 27)) == pytest.approx(0.0721687836)  # sqrt(1/4 * 3/4 / 36)
    assert standard_error(np.array([True])) == 0


def test_nothing_to_hold_scores_against() -> None:
    with pytest.raises(VidaugError, match="no video has a label; --truth"):
        evaluate(replace(HAND, labels=np.full(5, -1), failures=()))


# Labels from elsewhere


def truth_of(rows: list[Row]) -> Truth:
    return [(row.name, row.label) for row in rows]


def test_labels_from_a_manifest() -> None:
    unknown = replace(
        HAND,
        videos=("a/w1", "a/w2", "a/w3", "a/r1", "b/w1"),
        labels=np.full(5, -1),
        failures=(Failed("a/r2", -1, "broken"),),
    )
    rows = [row_of("a/w1", "walk"), row_of("x/w2", "walk"), row_of("y/w2", "walk"), row_of("y/w3", "walk")]
    rows += [row_of("z/w3", "run"), row_of("c/r1", None), row_of("c/r2", "run"), row_of("other", "swim")]
    found, by_name = with_truth(unknown, truth_of(rows), "truth.jsonl")
    # b/w1: another scored video is called w1 too; w3: two rows disagree; r1: has no label.
    assert found.labels.tolist() == [0, 0, -1, -1, -1]
    assert [failed.label for failed in found.failures] == [1]
    assert by_name == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row_of("w1", "run")], "t.jsonl: 'w1' is 'run' here, and 'walk' in the scores"),
        ([row_of("?", "runs")], "t.jsonl: class 'runs' of '?' is none of the scores' classes; did you mean 'run'?"),
        ([row_of("z", "run")], "t.jsonl: has no label for any of the 7 scored videos"),
        ([row_of("w1", None)], "t.jsonl: has no label for any"),
    ],
)
def test_labels_that_do_not_fit(rows: list[Row], message: str) -> None:
    with pytest.raises(VidaugError) as caught:
        with_truth(HAND, truth_of(rows), "t.jsonl")
    assert message in str(caught.value)


def test_videos_of_one_path_in_two_folders(tmp_path: Path) -> None:
    """They are called as 'vidaug predict' calls them; a scored video of both folders' path is neither."""
    rows = [row_of("x/w1", "walk", root="/d/one"), row_of("x/w1", "run", root="/d/two"), row_of("x/r1", "run")]
    (tmp_path / "m.jsonl").write_text(rows_text(rows))
    names = ("one/x/w1", "two/x/w1", "x/r1", "x/w1")
    scores = replace(
        HAND, videos=names, labels=np.full(4, -1), scores=HAND.scores[:4], shape=HAND.shape[:4], failures=()
    )
    found, by_name = with_truth(scores, read_truth(tmp_path / "m.jsonl", scores.classes), "m.jsonl")
    assert (found.labels.tolist(), by_name) == ([0, 1, 1, -1], 0)
    training = [*rows, row_of("t", "walk")]
    assert baselines(found, training, "train").shared == names


# Baselines


def test_baselines_by_hand() -> None:
    shape = np.array([[10, 64, 48], [20, 64, 48], [10, 64, 48], [21, 64, 48], [1, 1, 1]], np.int32)
    training = [row_of("t1", "run", (10, 64, 48)), row_of("t2", "walk", (22, 64, 48))]
    training += [row_of("t3", "run", (90, 64, 48)), row_of("t4", None), row_of("t5", "swim")]
    found = baselines(replace(HAND, shape=shape), [*training, row_of("w1", "walk"), row_of("r2", "run")], "train")
    assert (found.rows, found.shared, found.majority) == (3, ("r2", "w1"), "run")
    # Always run: r1 of w1 w2 w3 r1 r2(failed).  Nearest: w1 run, w2 walk, w3 run, r1 walk.
    assert found.rates["majority"] == pytest.approx({"top1": 1 / 5, "mean_class_top1": 1 / 4})
    assert found.rates["nearest"] == pytest.approx({"top1": 1 / 5, "mean_class_top1": 1 / 6})
    unknown = replace(HAND, shape=shape * np.array([[1]] * 4 + [[0]], np.int32))
    assert list(baselines(unknown, training, "train").rates) == ["majority"]
    assert any("no nearest" in line for line in baselines(unknown, training, "train").notes())


def test_a_training_manifest_of_another_data_set() -> None:
    with pytest.raises(VidaugError, match="train: none of its 2 videos is of a class of the scores"):
        baselines(HAND, [row_of("x", "swim"), row_of("w1", "walk")], "train")


def test_nearest_by_hand() -> None:
    # Standard deviations 4 and 1: of (4, 0) both corners (0, 0) and (8, 0) are 1 away, (0, 2) further off.
    training = np.array([[8, 0, 5], [0, 0, 5], [8, 2, 5], [0, 2, 5]])
    videos = np.array([[4, 0, 7], [3, 0, 5], [0, 1, 5], [4, 2, 5]], np.int32)
    assert nearest_rows(training, videos).tolist() == [0, 1, 1, 2]
    assert nearest_rows(np.array([[3, 3, 3]] * 2), videos).tolist() == [0, 0, 0, 0]


Size = tuple[int, int, int]
sizes = st.lists(st.tuples(*[st.integers(1, 6)] * 3), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(sizes, sizes)
def test_nearest_is_what_looking_at_every_row_finds(training: list[Size], videos: list[Size]) -> None:
    rows, wanted = np.array(training), np.array(videos, np.int32)
    deviation = rows.std(0)
    for video, found in zip(wanted, nearest_rows(rows, wanted), strict=True):
        far = [sum(((v - t) / s) ** 2 for v, t, s in zip(video, row, deviation, strict=True) if s) for row in rows]
        assert far[found] == pytest.approx(min(far), abs=1e-12)
        assert training.index(training[found]) == found  # of equal rows the first


# The command


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    write_scores(tmp_path / "scores.h5", HAND)
    return tmp_path / "scores.h5"


def test_json(scores: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text(rows_text([row_of("t1", "run"), row_of("t2", "walk", (90, 64, 48))]))
    done = vidaug("evaluate", scores, "--train", tmp_path, "--worst", 1, "--json")
    assert done.code == 0
    found = done.result
    assert found["videos"] == 5
    assert found["top1"] == pytest.approx(0.4)
    assert found["worst"] == [{"name": "walk", "accuracy": pytest.approx(1 / 3), "videos": 3, "taken_for": "run"}]
    assert found["baselines"]["majority_class"] == "walk"
    assert found["baselines"]["nearest"]["top1"] == pytest.approx(1 / 5)


def test_text(scores: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(rows_text([row_of("w1", "walk"), row_of("t1", "run")]))
    done = vidaug("evaluate", scores, "--train", tmp_path / "t.jsonl")
    assert done.code == 0
    *lines, verdict, advice = done.out.splitlines()
    assert verdict.startswith(
        "verdict             no better than the blind baselines: +20.00 points from the best of them, 1.1 "
    )
    assert advice.startswith(
        "                    to try: see what it takes for what: vidaug evaluate SCORES --wrong wrong.png "
    )
    assert lines == [
        "videos              5 videos with a label",
        "                    1 of them failed and count as wrong",
        "                    2 besides without a label, left out",
        "top-1                40.00 % +- 21.91 (standard error)",
        "top-3                80.00 %",
        "mean class top-1     41.67 %",
        "mean class top-3     75.00 %",
        "worst classes        33.33 % of 3 videos walk, most often taken for run",
        "                     50.00 % of 2 videos run",
        "baselines            20.00 %, mean class 25.00 %: always run",
        "                     20.00 %, mean class 25.00 %: nearest by length and size",
    ]
    assert "has 1 scored video in it, such as 'w1', left out here" in done.err
    assert vidaug("evaluate", scores, "--train", tmp_path / "t.jsonl", "-q").err == ""


def test_truth(scores: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(rows_text([row_of("a/?", "walk")]))
    done = vidaug("evaluate", scores, "--truth", tmp_path / "t.jsonl", "--json")
    assert done.result["unlabelled"] == 1
    assert "1 of the labels were found by file name alone" in done.err


def test_confusion_as_json(scores: Path, tmp_path: Path) -> None:
    assert vidaug("evaluate", scores, "--confusion", tmp_path / "c.json").code == 0
    found = json.loads((tmp_path / "c.json").read_text())
    assert found == {"classes": list(THREE), "rows": "truth", "matrix": [[1, 2, 0], [0, 1, 0], [0, 0, 0]]}
    done = vidaug("evaluate", scores, "--confusion", tmp_path / "c.txt")
    assert (done.code, done.err.count("\n")) == (1, 1)


def test_confusion_as_a_picture(scores: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    odd = replace(HAND, classes=("$walk_{", "走る", "a\n\x1b[31m" + "w" * 500))
    write_scores(scores, odd)
    done = vidaug("evaluate", scores, "--confusion", tmp_path / "c.png")
    assert (done.code, done.err) == (0, "")
    with Image.open(tmp_path / "c.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or ()}
    assert {(247, 251, 255), (8, 48, 107)} <= colours  # the ends of ColorBrewer's Blues: none and all of a class
    assert not list(tmp_path.glob("*.tmp"))


def test_without_matplotlib(scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = vidaug("evaluate", scores, "--confusion", tmp_path / "c.png")
    assert done.code == 1
    assert (
        done.err
        == "vidaug: error: a plot needs matplotlib, which is not installed; python -m pip install 'vidaug-cli[plots]'\n"
    )
