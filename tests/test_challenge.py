"""Submissions to the letter, and their score against counting by hand and against the challenge's own lists."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from console import vidaug
from score_makers import CLASSES, scores_of, shares

from vidaug_cli.errors import VidaugError
from vidaug_cli.scores.challenge import class_numbers, score, vipriors2020
from vidaug_cli.scores.file import Failed, Scores, write_scores

CLASSIND = "".join(
    f"{number} {name}\n" for number, name in zip((100, 1, 48, 7, 3, 20, 9), (*CLASSES, "more"), strict=True)
)
TWO = scores_of(
    videos=("test/v1.avi", "v2.avi"),
    labels=np.array([-1, -1]),
    scores=shares([0.3, 0.05, 0.1, 0.1, 0.25, 0.2], [0, 0, 0, 0, 0, 1]),
    shape=np.zeros((2, 3), np.int32),
    failures=(),
)
LINES = "v1.avi 100 3 20 48 7\nv2.avi 20 100 1 48 7\n"  # equal scores in label order


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with scores, a classInd and annotations."""
    write_scores(tmp_path / "scores.h5", TWO)
    (tmp_path / "classInd.txt").write_text(CLASSIND, "utf-8")
    (tmp_path / "truth.txt").write_bytes(b"v1.avi 3\r\nv2.avi 20\r\nv3.avi 20\r\nv4.avi 9\r\n")
    return tmp_path


def test_the_format_to_the_letter(folder: Path) -> None:
    out = folder / "submission.txt"
    done = vidaug("submit", folder / "scores.h5", "-o", out, "--classes", folder / "classInd.txt")
    assert (done.code, done.out) == (0, "")
    assert out.read_bytes() == LINES.encode()
    assert f"class numbers are taken from {folder}" in done.err
    done = vidaug("score", out, "--annotations", folder / "truth.txt", "--classes", folder / "classInd.txt", "--json")
    assert done.code == 0
    # v1 is second, v2 first, v3 and v4 missing: classes 3, 20, 9 have 0/1, 1/2, 0/1, and 1/1 within three.
    assert done.result == {
        "videos": 4,
        "missing": 2,
        "top1": 0.25,
        "top3": 0.5,
        "top5": 0.5,
        "mean_class_top1": pytest.approx(1 / 6),
        "mean_class_top3": pytest.approx(1 / 2),
        "mean_class_top5": pytest.approx(1 / 2),
    }
    assert "missing: v3.avi\nmissing: v4.avi\n" in done.err


def test_failed_videos_are_named_and_missing(folder: Path) -> None:
    failures = (Failed("test/\x1b[31m.avi", -1, "holds no frame"),)
    scores = scores_of(2, failures=failures)
    write_scores(folder / "scores.h5", scores)
    for kind in ("vipriors2020", "csv", "json"):
        done = vidaug("submit", folder / "scores.h5", "-o", folder / "out", "--format", kind)
        assert done.code == 3
        assert "left out: test/\\x1b[31m.avi: holds no frame\n1 video without scores have no line" in done.err
    assert vidaug("submit", folder / "scores.h5", "-o", folder / "out", "-q").err == ""


def test_csv_and_json(folder: Path) -> None:
    write_scores(folder / "scores.h5", scores_of(3, classes=("a,b", 'c"d', "é")))
    assert vidaug("submit", folder / "scores.h5", "-o", folder / "out", "--format", "csv").code == 3
    scores = scores_of(3, classes=("a,b", 'c"d', "é")).scores
    rows = list(csv.reader(io.StringIO((folder / "out").read_text("utf-8"))))
    assert rows[0] == ["video", "rank1", "rank2", "rank3", "score1", "score2", "score3"]
    assert [row[0] for row in rows[1:]] == ["a/v00.avi", "a/v01.avi", "a/v02.avi"]
    assert sorted(rows[1][1:4]) == ["a,b", 'c"d', "é"]
    np.testing.assert_allclose([float(cell) for cell in rows[1][4:]], np.sort(scores[0])[::-1], atol=1e-6)
    assert vidaug("submit", folder / "scores.h5", "-o", folder / "out", "--format", "json").code == 3
    found = json.loads((folder / "out").read_text("utf-8"))
    assert [entry["video"] for entry in found] == ["a/v00.avi", "a/v01.avi", "a/v02.avi"]
    assert list(found[0]["scores"]) == ["a,b", 'c"d', "é"]
    np.testing.assert_allclose([list(entry["scores"].values()) for entry in found], scores, atol=1e-6)


# Which number is which class


def numbered(*classes: str, file: Path | None = None) -> list[int]:
    return class_numbers(classes, file)[0]


def test_class_numbers(tmp_path: Path) -> None:
    file = tmp_path / "classInd.txt"
    file.write_bytes(b"\xef\xbb\xbf100 Apply Eye\r\n\r\n7 Walk\r\n")
    assert numbered("Walk", "Apply Eye", file=file) == [7, 100]
    assert numbered("100", "7", "007000") == [100, 7, 7000]
    assert numbered("Walk", "Apply") == [1, 2]
    assert class_numbers(("Walk", "Apply"), None)[1].endswith("1 is 'Walk', 2 is 'Apply'")


@pytest.mark.parametrize(
    ("classes", "lines", "message"),
    [
        (("Apply", "Walk"), None, "alphabetical order, which says nothing of the challenge's numbers; give --classes"),
        (("Apply", "walk", "Yawn"), None, "alphabetical order"),
        (("Walk",), None, "alphabetical order"),
        (("1", "01"), None, "have the same number"),
        (("Walks",), "7 Walk\n", "does not name the class 'Walks'; did you mean 'Walk'?"),
        (("Walk",), "7 Walk\n7 Run\n", "classInd.txt:2: '7 Run' has a number or name that was there before"),
        (("Walk",), "7 Walk\n8 Walk\n", "classInd.txt:2: '8 Walk' has a number or name that was there before"),
        (("Walk",), "7\n", "classInd.txt:1: '7' should be a class number and a name"),
        (("Walk",), "Walk 7\n", "should be a class number and a name"),
        (("Walk",), f"{'9' * 5000} Walk\n", "should be a class number and a name"),
        (("Walk",), "\u0667 Walk\n", "should be a class number and a name"),
        (("Walk",), "", "names no class"),
        (("Walk",), "7 W\0alk\n", "is not a text file"),
    ],
)
def test_class_numbers_that_would_be_guesses(
    tmp_path: Path, classes: tuple[str, ...], lines: str | None, message: str
) -> None:
    file = tmp_path / "classInd.txt"
    if lines is not None:
        file.write_text(lines, "utf-8")
    with pytest.raises(VidaugError) as caught:
        class_numbers(classes, file if lines is not None else None)
    assert message in str(caught.value)


def named(*videos: str) -> Scores:
    return scores_of(len(videos), videos=videos, failures=())


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (named("a/x.avi", "b/x.avi"), "'a/x.avi' and 'b/x.avi' would have the same line"),
        (named("a/x y.avi"), "has a blank in its name"),
        (named("a/x\n.avi"), "has a blank in its name"),
        (scores_of(1, classes=("a", "b", "c", "d"), failures=()), "a line names 5 classes, and there are 4"),
    ],
)
def test_what_the_format_cannot_hold(scores: Scores, message: str) -> None:
    with pytest.raises(VidaugError) as caught:
        vipriors2020(scores, range(1, 7))
    assert message in str(caught.value)


def test_wrong_usage(folder: Path) -> None:
    given = ["submit", folder / "scores.h5", "--classes", folder / "classInd.txt"]
    assert vidaug(*given, "-o", folder / "out", "--format", "csv").code == 2
    assert vidaug(*given, "-o", folder / "scores.h5").code == 2
    assert vidaug(*given, "-o", folder / "no" / "out").code == 1
    assert sorted(path.name for path in folder.iterdir()) == ["classInd.txt", "scores.h5", "truth.txt"]


# Scoring

GOOD = "v1.avi 3 4 5 6 7"
BAD: dict[str, tuple[str, str]] = {
    "four classes": (f"{GOOD}\nv2.avi 3 4 5 6\n", "sub.txt:2: 'v2.avi 3 4 5 6' should be 'NAME c1 c2 c3 c4 c5'"),
    "six classes": (f"{GOOD} 8\n", "sub.txt:1:"),
    "blank at the end": (f"{GOOD} \n", "with single blanks and nothing else"),
    "two blanks": ("v1.avi  3 4 5 6 7\n", "with single blanks"),
    "tab": ("v1.avi\t3 4 5 6 7\n", "with single blanks"),
    "carriage return": (f"{GOOD}\r\n", "with single blanks"),
    "empty line": (f"{GOOD}\n\n", "sub.txt:2: ''"),
    "no last newline": (f"{GOOD}\n{GOOD.replace('1', '2', 1)}", "sub.txt:2: the line has no end"),
    "nothing but half a line": ("v1", "sub.txt:1: the line has no end"),
    "out of range": ("v1.avi 3 4 5 6 21\n", "sub.txt:1: there is no class 21"),
    "from 0": ("v1.avi 0 4 5 6 7\n", "sub.txt:1: there is no class 0"),
    "negative": ("v1.avi -3 4 5 6 7\n", "with single blanks"),
    "names": ("v1.avi walk run jump sit bow\n", "with single blanks"),
    "long number": (f"v1.avi {'3' * 5000} 4 5 6 7\n", "with single blanks"),
    "other digits": ("v1.avi \u0663 4 5 6 7\n", "with single blanks"),
    "class twice": ("v1.avi 3 4 5 6 3\n", "sub.txt:1: names a class twice"),
    "video twice": (f"{GOOD}\n{GOOD}\n", "sub.txt:2: 'v1.avi' has a line already"),
    "unknown video": (f"{GOOD}\nv5.avi 3 4 5 6 7\n", "sub.txt:2: 'v5.avi' is not one of the 4 annotated videos"),
    "path": ("test/v1.avi 3 4 5 6 7\n", "'test/v1.avi' is not one of"),
    "binary": ("\0\x1b[31m\n", "'\\x00\\x1b[31m' should be"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_line_is_refused_with_its_number(folder: Path, name: str) -> None:
    text, message = BAD[name]
    (folder / "sub.txt").write_bytes(text.encode())
    done = vidaug("score", folder / "sub.txt", "--annotations", folder / "truth.txt")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert message in done.err


def test_an_empty_submission_is_wrong_throughout(folder: Path) -> None:
    (folder / "sub.txt").write_bytes(b"")
    done = vidaug("score", folder / "sub.txt", "--annotations", folder / "truth.txt")
    assert done.code == 0
    assert done.out.splitlines()[0] == "videos              4, 4 of them missing and wrong"
    assert done.out.count("  0.00 %") == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v1.avi\n", "truth.txt:1: 'v1.avi' should be a file name and a class number; a test list has no classes"),
        ("v1.avi 1\nv1.avi 2\n", "truth.txt:2: 'v1.avi' was there before"),
        ("v1.avi x\n", "should be a file name and a class number"),
        ("", "names no video"),
        ("v1.avi 1\nv2.avi 5\n", "'v2.avi' is of class 5, which"),
    ],
)
def test_annotations_that_are_none(folder: Path, text: str, message: str) -> None:
    (folder / "truth.txt").write_text(text)
    (folder / "sub.txt").write_bytes(b"")
    with pytest.raises(VidaugError) as caught:
        score(folder / "sub.txt", folder / "truth.txt", folder / "classInd.txt")
    assert message in str(caught.value)


def test_files_that_are_none(folder: Path) -> None:
    (folder / "sub.txt").write_bytes(b"")
    for path, what in ((folder, "is a folder without videos"), (folder / "no.txt", "does not exist")):
        wanted = "a file of annotations, a manifest or a folder of shards is wanted here"
        with pytest.raises(VidaugError, match=f"{path}: {what}; {wanted}"):
            score(folder / "sub.txt", path)
    for path, what in ((folder, "Is a directory; name a file"), (folder / "no.txt", "is the name right?")):
        done = vidaug("score", path, "--annotations", folder / "truth.txt")
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert done.err.startswith(f"vidaug: error: {path}: ")
        assert what in done.err


def test_class_numbers_may_be_huge(folder: Path) -> None:
    (folder / "truth.txt").write_text("v1.avi 1\nv2.avi 999999999\n")
    (folder / "sub.txt").write_text("v2.avi 999999999 2 3 4 5\n")
    found, _ = score(folder / "sub.txt", folder / "truth.txt")
    assert found.rates["mean_class_top1"] == 0.5


# The challenge's own lists


def random_scores(lists: Path, split: str) -> Scores:
    """Random scores of a mod-UCF101 list, classes in the order of their numbers as a scan has them."""
    pairs = [line.split(" ", 1) for line in (lists / "mod-ucf101-classInd.txt").read_text().splitlines()]
    classes = tuple(name for _, name in sorted(pairs, key=lambda pair: int(pair[0])))
    videos = [line.split(" ")[0] for line in (lists / f"mod-ucf101-{split}.txt").read_text().splitlines()]
    return scores_of(
        len(videos),
        classes=classes,
        videos=tuple(f"videos/{video}" for video in videos),
        labels=np.full(len(videos), -1),
        failures=(),
    )


def test_random_scores_of_the_challenge_are_at_chance(real_data: Path, tmp_path: Path) -> None:
    lists = real_data / "splits" / "vipriors2020"
    classes = ["--classes", lists / "mod-ucf101-classInd.txt"]
    out = tmp_path / "submission.txt"
    write_scores(tmp_path / "scores.h5", random_scores(lists, "validation"))
    assert vidaug("submit", tmp_path / "scores.h5", "-o", out, *classes).code == 0
    by_name = out.read_bytes()
    assert vidaug("submit", tmp_path / "scores.h5", "-o", out).code == 0
    assert out.read_bytes() == by_name  # the order of a scan's classes is that of the numbers
    annotations = lists / "mod-ucf101-validation.txt"
    crlf = tmp_path / "crlf.txt"
    crlf.write_bytes(annotations.read_bytes().replace(b"\n", b"\r\n"))
    done = vidaug("score", out, "--annotations", annotations, *classes, "--json")
    assert done.code == 0
    assert vidaug("score", out, "--annotations", crlf, "--json").out == done.out
    found = done.result
    assert (found["videos"], found["missing"]) == (4742, 0)
    for k in (1, 3, 5):
        chance = k / 101
        noise = (chance * (1 - chance) / 4742) ** 0.5
        assert abs(found[f"top{k}"] - chance) < 4 * noise
        assert abs(found[f"mean_class_top{k}"] - chance) < 4 * noise


def test_random_scores_of_the_test_list_are_well_formed(real_data: Path, tmp_path: Path) -> None:
    lists = real_data / "splits" / "vipriors2020"
    write_scores(tmp_path / "scores.h5", random_scores(lists, "test"))
    out = tmp_path / "submission.txt"
    classes = ["--classes", lists / "mod-ucf101-classInd.txt"]
    assert vidaug("submit", tmp_path / "scores.h5", "-o", out, *classes).code == 0
    lines = out.read_bytes().decode("ascii").split("\n")
    assert lines.pop() == ""
    assert [line.split(" ")[0] for line in lines] == (lists / "mod-ucf101-test.txt").read_text().split()
    assert len(lines) == 3783
    for line in lines:
        numbers = [int(number) for number in line.split(" ")[1:]]
        assert len(set(numbers)) == len(numbers) == 5
        assert set(numbers) <= set(range(1, 102))
    done = vidaug("score", out, "--annotations", lists / "mod-ucf101-test.txt")
    assert "a test list has no classes, and cannot be scored" in done.err
