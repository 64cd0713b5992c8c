"""Where two files meet, classes are matched by name, in whatever order each of them has them; or it is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_video
from console import vidaug
from network_makers import random_network, save
from score_makers import CLASSES, row_of, scores_of

from vidaug_cli.data.manifest import rows_text
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.scores.file import Failed, Scores, read_scores, write_scores

ORDER = [4, 2, 0, 5, 1, 3]  # of the classes in the other file


def reordered(scores: Scores) -> Scores:
    """The same scores with the classes in another order."""
    place = np.append(np.argsort(ORDER), -1)
    return replace(
        scores,
        classes=tuple(scores.classes[c] for c in ORDER),
        scores=scores.scores[:, ORDER],
        labels=place[scores.labels],
        failures=tuple(Failed(failed.video, int(place[failed.label]), failed.reason) for failed in scores.failures),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Scores `a.h5` and, with the classes in another order, `b.h5`; their truth in three forms, in a third order."""
    scores = scores_of(40, failures=())
    write_scores(tmp_path / "a.h5", scores)
    write_scores(tmp_path / "b.h5", reordered(scores))
    numbers = {name: 10 - number for number, name in enumerate(CLASSES)}
    names = [scores.classes[label] for label in scores.labels]
    rows = [row_of(video, name, class_id=numbers[name]) for video, name in zip(scores.videos, names, strict=True)]
    (tmp_path / "rows.jsonl").write_text(rows_text(rows))
    training = [row_of(f"t{number}", rows[number].label, class_id=rows[number].class_id) for number in range(20)]
    (tmp_path / "train.jsonl").write_text(rows_text(training))
    (tmp_path / "classInd.txt").write_text("".join(f"{number} {name}\n" for name, number in numbers.items()))
    annotations = (f"{Path(row.path).name} {row.class_id}\n" for row in rows)
    (tmp_path / "annotations.txt").write_text("".join(annotations))
    return tmp_path


def test_ensemble(folder: Path) -> None:
    assert vidaug("ensemble", folder / "a.h5", folder / "b.h5", "-o", folder / "mean.h5").code == 0
    first, mean = read_scores(folder / "a.h5"), read_scores(folder / "mean.h5")
    assert mean.classes == first.classes
    assert mean.labels.tolist() == first.labels.tolist()
    np.testing.assert_allclose(mean.scores, first.scores, atol=1e-7)


@pytest.mark.parametrize(
    "truth",
    [
        ["--truth", "rows.jsonl"],
        ["--truth", "rows.jsonl", "--classes", "classInd.txt"],
        ["--truth", "annotations.txt", "--classes", "classInd.txt"],
        ["--train", "train.jsonl"],
    ],
)
def test_evaluate(folder: Path, truth: list[str]) -> None:
    words = [folder / word if "." in word else word for word in truth]
    found = []
    for name in ("a.h5", "b.h5"):
        done = vidaug("evaluate", folder / name, *words, "--json")
        assert done.code == 0
        found.append(done.result)
    assert found[0].pop("worst")
    assert found[1].pop("worst")
    one, two = (result.pop("baselines", {"majority_class": None}) for result in found)
    verdicts = [result.pop("verdict") for result in found]
    assert verdicts[0]["advice"] == verdicts[1]["advice"]
    assert found[0] == pytest.approx(found[1])
    assert one.pop("majority_class") == two.pop("majority_class")
    for kind in ("majority", "nearest") if "--train" in truth else ():
        assert one[kind] == pytest.approx(two[kind])
    own = vidaug("evaluate", folder / "a.h5", "--json").result
    plain = {name: value for name, value in own.items() if name not in ("worst", "verdict")}
    assert {name: found[0][name] for name in plain} == pytest.approx(plain)


def test_labels_that_are_not_in_the_scores_come_from_annotations(folder: Path) -> None:
    scores = read_scores(folder / "b.h5")
    write_scores(folder / "bare.h5", replace(scores, labels=np.full(40, -1)))
    words = ["evaluate", folder / "bare.h5", "--truth", folder / "annotations.txt", "--json"]
    said = vidaug(*words).err
    what = "'v00.avi' is of class 10, a number that no class of the scores has"
    assert what.replace("10", str(10 - CLASSES.index(scores.classes[scores.labels[0]]))) in said
    assert "; --classes classInd.txt says which number is which class" in said
    done = vidaug(*words, "--classes", folder / "classInd.txt")
    assert "40 of the labels were found by file name alone" in done.err
    assert done.result["top1"] == vidaug("evaluate", folder / "a.h5", "--json").result["top1"]
    (folder / "few.txt").write_text("7 turn\n")
    assert f"a number that no class of {folder / 'few.txt'} has" in vidaug(*words, "--classes", folder / "few.txt").err
    assert vidaug("evaluate", folder / "a.h5", "--classes", folder / "classInd.txt").code == 2
    numbered = replace(scores, labels=np.full(40, -1), classes=("07", "8", "10", "5", "9", "6"))
    write_scores(folder / "numbered.h5", numbered)  # as 'vidaug scan' calls classes of a list with numbers
    done = vidaug("evaluate", folder / "numbered.h5", "--truth", folder / "annotations.txt", "--json")
    assert done.result["videos"] == 40


def test_submit_and_score(folder: Path) -> None:
    for name in ("a", "b"):
        words = [folder / f"{name}.h5", "--classes", folder / "classInd.txt"]
        assert vidaug("submit", *words, "-o", folder / f"{name}.txt").code == 0
    assert (folder / "a.txt").read_text() == (folder / "b.txt").read_text()
    own = vidaug("evaluate", folder / "b.h5", "--json").result
    given = ["score", folder / "a.txt", "--json", "--annotations"]
    classes = ["--classes", folder / "classInd.txt"]
    for truth in ("annotations.txt", "rows.jsonl"):
        for more in ([], classes):  # a manifest has its own numbers
            found = vidaug(*given, folder / truth, *more).result
            assert {name: found[name] for name in ("top1", "mean_class_top5")} == pytest.approx(
                {name: own[name] for name in ("top1", "mean_class_top5")}
            )
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    more = [row | {"split": "Test"} for row in rows] + [row | {"path": "t/9", "split": "train"} for row in rows[:1]]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in more))
    assert vidaug(*given, folder / "more.jsonl").result["missing"] == 1
    assert vidaug(*given, folder / "more.jsonl", "--subset", "test").result["missing"] == 0
    assert (
        "has no splits; --subset goes with a manifest"
        in vidaug(*given, folder / "annotations.txt", "--subset", "x").err
    )
    for wrong, what in (
        ({"class_id": None}, "is of class 'walk', without a number; --classes classInd.txt says which"),
        ({"path": "b/v01.avi"}, "has two videos called 'v01.avi', which a submission cannot tell apart"),
    ):
        (folder / "wrong.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in [rows[0] | wrong | {"label": "walk"}, rows[1]])
        )
        assert what in vidaug(*given, folder / "wrong.jsonl").err


def test_predict(tmp_path: Path) -> None:
    """A network whose classes stand in another order than those of the videos and of the shards."""
    labels = ("c", "a", "b")
    for number, label in enumerate(2 * labels):
        write_video(tmp_path / "videos" / label / f"{number}.avi", 9, level=lambda frame, n=number: 40 * n + 3 * frame)
    save(tmp_path / "net.pt", random_network(3), labels, ClipSpec(frames=8, size=32))
    words = ["augment", tmp_path / "videos", "-o", tmp_path / "shards", "-r", "none", "-j", 1]
    assert vidaug(*words, "--frames", 8, "--size", 32).code == 0
    assert ShardDataset(tmp_path / "shards").classes == ("a", "b", "c")
    for source in ("videos", "shards"):
        assert vidaug("predict", tmp_path / "net.pt", tmp_path / source, "-o", tmp_path / "s.h5").code == 0
        scores = read_scores(tmp_path / "s.h5")
        assert scores.classes == labels
        assert [labels[label] for label in scores.labels] == [video[0] for video in scores.videos]
    done = vidaug("evaluate", tmp_path / "s.h5", "--truth", tmp_path / "shards")
    assert done.code == 0  # another label than the scores' own would be an error


def test_shards_are_one_data_set_whatever_the_order(tmp_path: Path) -> None:
    """The one video is of class a: with classes b and a its label has its one in the last place."""
    for name, classes in (("one", "b\na\n"), ("two", "a\nb\n")):
        (tmp_path / "classes").write_text(classes)
        write_video(tmp_path / "videos/a/1.avi", 9)
        words = ["augment", tmp_path / "videos", "-o", tmp_path / name, "--classes", tmp_path / "classes"]
        assert vidaug(*words, "-r", "none", "--frames", 8, "--size", 32, "-j", 1).code == 0
    for folders, order, label in ((["one", "two"], "ba", [0, 1]), (["two", "one"], "ab", [1, 0])):
        clips = ShardDataset([tmp_path / each for each in folders])
        assert clips.classes == tuple(order)
        assert [clips[clip][1].tolist() for clip in range(2)] == [label, label]
