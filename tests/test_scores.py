"""Scores: what is written is read again, what cannot be is refused; and the mean of several."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console import vidaug
from hypothesis import given, settings
from hypothesis import strategies as st
from score_makers import CLASSES, scores_of, shares

from vidaug_cli.data import hdf5
from vidaug_cli.errors import DiskSpaceError, ShardError, UnwritableError, VidaugError
from vidaug_cli.scores.ensemble import Member, ensemble
from vidaug_cli.scores.file import Failed, Scores, check_place, read_scores, write_scores


def contents(scores: Scores) -> dict[str, Any]:
    """Everything in scores as comparable values."""
    return {
        name: (str(value.dtype), value.tolist()) if isinstance(value, np.ndarray) else value
        for name, value in vars(scores).items()
    }


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=30, deadline=None)
@given(
    classes=st.lists(TEXT, min_size=1, max_size=5, unique=True),
    videos=st.lists(TEXT, max_size=7, unique=True),
    failed=st.integers(0, 3),
    views=st.none() | st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory,
    classes: list[str],
    videos: list[str],
    failed: int,
    views: int | None,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    own = videos[failed:]
    per_view = rng.dirichlet(np.ones(len(classes)), (len(own), views or 1)).astype(np.float32)
    scores = Scores(
        classes=tuple(classes),
        videos=tuple(own),
        labels=rng.integers(-1, len(classes), len(own)),
        scores=per_view.mean(1),
        views=per_view if views else None,
        shape=rng.integers(0, 2**31 - 1, (len(own), 3), np.int32),
        failures=tuple(Failed(video, -1, f"because of {video}") for video in videos[:failed]),
        source='{"checkpoint": "bëst.pt", "views": 10}',
    )
    path = tmp_path_factory.mktemp("scores") / "scores.h5"
    write_scores(path, scores)
    assert contents(read_scores(path)) == contents(scores)
    assert [file.name for file in path.parent.iterdir()] == ["scores.h5"]


def test_the_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write_scores(tmp_path / name, scores_of())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_more_classes_than_an_attribute_of_hdf5_can_hold(tmp_path: Path) -> None:
    classes = tuple(f"class {number} {'x' * 60}" for number in range(2000))
    write_scores(tmp_path / "scores.h5", scores_of(3, classes=classes))
    assert read_scores(tmp_path / "scores.h5").classes == classes


GOOD = scores_of(2)
RAISED = GOOD.scores.copy()
RAISED[1, 2] += 0.002
VIEWS = np.stack([GOOD.scores] * 2, 1)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "sum": ({"scores": RAISED}, "'a/v01.avi' has scores that are negative or do not sum to 1"),
    "not a number": ({"scores": np.where(GOOD.scores < RAISED, np.nan, GOOD.scores)}, "'a/v01.avi' has scores"),
    "infinite": ({"scores": shares([np.inf, -np.inf, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0])}, "'a/v00.avi' has scores"),
    "negative": ({"scores": shares([1.5, -0.5, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0])}, "'a/v00.avi' has scores"),
    "float64": ({"scores": GOOD.scores.astype(float)}, "should be float32 (2, 6)"),
    "other classes": ({"classes": CLASSES[:5]}, "should be float32 (2, 5)"),
    "no class": ({"classes": ()}, "has no class"),
    "class twice": ({"classes": (*CLASSES[:5], "walk")}, "has the class 'walk' twice"),
    "class without name": ({"classes": (*CLASSES[:5], "")}, "without a name"),
    "video twice": ({"videos": ("x", "x")}, "has the video 'x' twice"),
    "failed and not": ({"failures": (Failed("a/v00.avi", 0, ""),)}, "has the video 'a/v00.avi' twice"),
    "zero in a name": ({"videos": ("x", "y\0")}, "should be UTF-8 of at most"),
    "half a surrogate pair": ({"videos": ("x", "\udcff")}, "should be UTF-8 of at most"),
    "too few labels": ({"labels": GOOD.labels[:1]}, "labels is int64 (1,), should be int64 (2,)"),
    "label": ({"labels": np.array([0, 6])}, "'a/v01.avi' has a label that is not -1 to 5"),
    "label below": ({"labels": np.array([-2, 0])}, "'a/v00.avi' has a label that is not -1 to 5"),
    "label of a failure": ({"failures": (Failed("x", 6, ""),)}, "'x' has a label"),
    "size": ({"shape": -GOOD.shape}, "'a/v00.avi' has a negative size"),
    "views of other videos": ({"views": VIEWS[:1]}, "views is float32 (1, 2, 6), should be float32 (2, 2, 6)"),
    "no view": ({"views": VIEWS[:, :0]}, "should be float32 (2, 1, 6)"),
    "views without axis": ({"views": VIEWS[0, 0]}, "should be float32 (2, 1, 6)"),
    "sum of a view": ({"views": VIEWS * np.float32(1.01)}, "'a/v00.avi' has scores of a view"),
    "source": ({"source": "[]"}, "source should be a JSON object"),
    "source no JSON": ({"source": "best.pt"}, "source is not JSON"),
    "long source": ({"source": f'{{"a": "{"x" * 60_000}"}}'}, "of at most 60000 bytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_scores_that_cannot_be(name: str) -> None:
    values, message = WRONG[name]
    with pytest.raises(ShardError) as caught:
        replace(GOOD, **values)
    assert message in str(caught.value)


def test_a_sum_within_the_tolerance() -> None:
    assert scores_of(1, scores=shares([0.9995, 0, 0, 0, 0, 0])).scores[0, 0] < 1


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UnwritableError, match=r"no/scores\.h5: cannot be written"):
        write_scores(tmp_path / "no" / "scores.h5", scores_of())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.h5"
    write_scores(path, scores_of(1))
    before = path.read_bytes()

    class Full(hdf5.Sink):
        def write(self, data: Any) -> int:
            self.error = OSError(errno.ENOSPC, "No space left on device")
            return len(data)

    monkeypatch.setattr(hdf5, "Sink", Full)
    with pytest.raises(DiskSpaceError, match="No space left"):
        write_scores(path, scores_of(2))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["scores.h5"]


def test_the_place_is_checked_beforehand(tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.h5", scores_of())
    check_place(tmp_path / "scores.h5")
    check_place(tmp_path / "new.h5")
    (tmp_path / "other.h5").write_text("other")
    for path, message in ((tmp_path / "other.h5", "not a file of scores"), (tmp_path, "not a file of scores")):
        with pytest.raises(VidaugError, match=message):
            check_place(path)
    with pytest.raises(VidaugError, match="does not exist; make this folder first"):
        check_place(tmp_path / "no" / "scores.h5")


TWO = ("walk", "run")
A = Scores(
    classes=TWO,
    videos=("x", "y"),
    labels=np.array([0, -1]),
    scores=shares([0.9, 0.1], [0.5, 0.5]),
    shape=np.array([[9, 8, 7], [0, 0, 0]], np.int32),
)
# The same videos and classes, both the other way round; y is known to be walk.
B = replace(
    A,
    classes=TWO[::-1],
    videos=("y", "x"),
    labels=np.array([1, 1]),
    scores=shares([0.3, 0.7], [1, 0]),
    shape=A.shape[::-1],
)


def test_an_ensemble_by_hand() -> None:
    mean, missing = ensemble([Member("a", A), Member("b", B)])
    assert (mean.classes, mean.videos, missing) == (TWO, ("x", "y"), {})
    np.testing.assert_allclose(mean.scores, [[0.45, 0.55], [0.6, 0.4]], atol=1e-7)
    assert mean.labels.tolist() == [0, 0]
    assert mean.shape.tolist() == [[9, 8, 7], [0, 0, 0]]
    weighted, _ = ensemble([Member("a", A, 3), Member("b", B, 1)])
    np.testing.assert_allclose(weighted.scores, [[0.675, 0.325], [0.55, 0.45]], atol=1e-7)


def test_an_ensemble_with_itself_is_itself() -> None:
    scores = scores_of()
    mean, _ = ensemble([Member("a", scores, 2), Member("b", scores), Member("c", scores)])
    np.testing.assert_allclose(mean.scores, scores.scores, atol=1e-7)
    assert mean.failures == scores.failures


DIFFERENT: dict[str, tuple[Scores, str]] = {
    "class": (replace(B, classes=("run", "jump")), "b.h5: has no class 'walk', and a.h5 has"),
    "video less": (replace(B, videos=("z", "x")), "b.h5: has no video 'y', and a.h5 has"),
    "video more": (replace(B, failures=(Failed("z", -1, "x"),)), "a.h5: has no video 'z', and b.h5 has"),
    "label": (replace(B, labels=np.array([1, 0])), "b.h5: 'x' is 'run' here and 'walk' in another file"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_first_difference_is_named(name: str) -> None:
    other, message = DIFFERENT[name]
    with pytest.raises(VidaugError) as caught:
        ensemble([Member("a.h5", A), Member("b.h5", other)])
    assert message in str(caught.value)


def test_videos_that_only_some_could_read() -> None:
    lost = replace(
        A,
        videos=("y",),
        labels=A.labels[1:],
        scores=A.scores[1:],
        shape=A.shape[1:],
        failures=(Failed("x", -1, "broken"),),
    )
    with pytest.raises(VidaugError, match=r"^c: 'x' failed here and has scores in another file; --allow-missing"):
        ensemble([Member("c", lost), Member("b", B)])
    mean, missing = ensemble([Member("c", lost), Member("a", A, 3), Member("b", B)], allow_missing=True)
    assert missing == {"x": ["c"]}
    assert mean.videos == ("y", "x")
    np.testing.assert_allclose(mean.scores, [[0.54, 0.46], [0.675, 0.325]], atol=1e-7)
    both, missing = ensemble([Member("c", lost), Member("d", replace(lost, failures=(Failed("x", 1, "?"),)))])
    assert (both.videos, both.failures, missing) == (("y",), (Failed("x", 1, "broken"),), {})


def test_the_command(tmp_path: Path) -> None:
    for name, scores in (("a.h5", A), ("b.h5", B)):
        write_scores(tmp_path / name, scores)
    files = [tmp_path / "a.h5", tmp_path / "b.h5", "-o", tmp_path / "mean.h5"]
    done = vidaug("ensemble", *files, "--weights", "3,1")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("mean.h5: 2 videos, mean of 2\n")
    np.testing.assert_allclose(read_scores(tmp_path / "mean.h5").scores, [[0.675, 0.325], [0.55, 0.45]], atol=1e-7)
    for weights in ("1", "1,2,3", "1,x", "1,0", "1,-1", "nan,1", "inf,1"):
        assert vidaug("ensemble", *files, "--weights", weights).code == 2
    assert vidaug("ensemble", tmp_path / "a.h5", "-o", tmp_path / "one.h5").code == 2
    (tmp_path / "notes.txt").write_text("mine")
    done = vidaug("ensemble", *files[:2], "-o", tmp_path / "notes.txt")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert (tmp_path / "notes.txt").read_text() == "mine"
