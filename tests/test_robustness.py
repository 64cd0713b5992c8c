"""Scores of disturbed videos: the file, what evaluate makes of them, ensembles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from console import vidaug
from score_makers import scores_of

from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.ops.disturbances import VERSION, choose
from vidaug_cli.scores.ensemble import Member, ensemble
from vidaug_cli.scores.file import Failed, Scores, read_scores, write_scores
from vidaug_cli.scores.robustness import matched, robustness
from vidaug_cli.scores.statistics import bootstrap_ratio

NAMES = ("rotation-held-3", "rotation-ramped-3", "cut-1", "reversed")


def disturbed_scores(names: tuple[str, ...] = NAMES, count: int = 8, seed: int = 0, **values: Any) -> Scores:
    rng = np.random.default_rng(seed + 100)
    disturbed = rng.dirichlet(np.ones(6), (len(names), count)).astype(np.float32)
    return scores_of(count, seed=seed, **{"disturbances": names, "disturbed": disturbed} | values)


def answers(*right: list[int], **values: Any) -> Scores:
    """Videos of class 0 with answers that are right (1) or wrong: undisturbed, and then under each of NAMES."""
    table = np.array(right)
    shares = np.zeros((*table.shape, 6), np.float32)
    shares[..., 0], shares[..., 1] = table, 1 - table
    names = NAMES[: len(right) - 1]
    labels = np.zeros(table.shape[1], np.int64)
    given = {"scores": shares[0], "labels": labels, "failures": ()} | values
    return disturbed_scores(names, table.shape[1], disturbed=shares[1:], **given)


def test_they_are_stored_and_read_again(tmp_path: Path) -> None:
    scores = disturbed_scores()
    write_scores(tmp_path / "s.h5", scores)
    again = read_scores(tmp_path / "s.h5")
    assert again.disturbances == NAMES
    assert again.disturbed is not None
    assert np.array_equal(again.disturbed, scores.disturbed)  # type: ignore[arg-type]
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["disturbed"].shape == (8, 4, 6)  # a row for each video
    plain = scores_of()
    write_scores(tmp_path / "p.h5", plain)
    assert (read_scores(tmp_path / "p.h5").disturbances, read_scores(tmp_path / "p.h5").disturbed) == ((), None)
    with h5py.File(tmp_path / "p.h5") as file:
        assert not {"disturbed", "disturbances"} & {*file, *file.attrs}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"disturbances": ("rotation-held-9", *NAMES[1:])},
            f"'rotation-held-9', which is not in {VERSION}, .*; update",
        ),
        ({"disturbances": NAMES[:1] * 4}, "the disturbance 'rotation-held-3' twice"),
        ({"disturbances": NAMES[:2]}, r"disturbed is float32 \(4, 8, 6\), should be float32 \(2, 8, 6\)"),
        ({"disturbances": ()}, "should be float32"),
        ({"disturbed": None}, "no scores under 'rotation-held-3'"),
        ({"disturbed": np.ones((4, 8, 6), np.float32)}, "'a/v00.avi' has scores under 'rotation-held-3' that"),
        ({"disturbed": np.full((4, 8, 6), np.nan, np.float32)}, "do not sum to 1"),
        ({"source": '{"disturbances": "vidaug-c 2"}'}, "by the table 'vidaug-c 2', and this vidaug has vidaug-c 1"),
    ],
)
def test_what_no_scores_can_have_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ShardError, match=message):
        disturbed_scores(**values)


@pytest.mark.parametrize("damage", ["names", "rows", "attribute", "many", "missing"])
def test_a_damaged_file_is_one_line(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    write_scores(path, disturbed_scores())
    with h5py.File(path, "r+") as file:
        match damage:
            case "names":
                file["disturbances"].resize(3, axis=0)
            case "rows":
                file["disturbed"].resize(7, axis=0)
            case "attribute":
                file.attrs.modify("disturbances", 3)
            case "many":
                file.attrs.modify("disturbances", 2**62)
            case "missing":
                del file["disturbances"]
    done = vidaug("evaluate", path)
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert str(path) in done.err


def test_shares_kept_counted_by_hand() -> None:
    found = robustness(answers([1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0]))
    assert found is not None
    assert found.clean == 0.8
    assert found.accuracy == {"rotation-held-3": 0.6, "rotation-ramped-3": 0.4, "cut-1": 0.0}
    assert {name: round(share, 9) for name, share in found.kept.items()} == {
        "rotation-held-3": 0.75,
        "rotation-ramped-3": 0.5,
        "cut-1": 0.0,
    }
    assert found.held is not None
    assert found.ramped is not None
    assert found.gap is not None
    assert (round(found.held.value, 9), round(found.ramped.value, 9), round(found.gap.value, 9)) == (0.75, 0.5, 0.25)
    assert found.held.low < 0.75 < found.held.high


def test_failed_videos_count_as_wrong_and_unlabelled_ones_not_at_all() -> None:
    labels = np.array([0, 0, 0, -1])
    scores = answers([1, 1, 0, 1], [1, 0, 0, 0], labels=labels, failures=(Failed("x.avi", 0, "broken"),))
    found = robustness(scores)
    assert found is not None
    assert (found.clean, found.accuracy["rotation-held-3"]) == (0.5, 0.25)
    with pytest.raises(VidaugError, match="no video has a label"):
        robustness(answers([1, 1], [1, 0], labels=np.array([-1, -1])))


def test_nothing_to_compare() -> None:
    assert robustness(scores_of()) is None
    found = robustness(answers([0, 0], [1, 0], [1, 1]))  # nothing is right undisturbed: nothing is kept of
    assert found is not None
    assert (found.kept, found.held) == ({}, None)
    found = robustness(answers([1, 0], [1, 0]))  # held alone
    assert found is not None
    assert (found.held, found.gap) == (None, None)
    assert list(found.lines())


def test_only_matched_pairs_are_averaged() -> None:
    chosen = choose(["rotation", "shift-held", "noise-ramped=2", "noise-held=2", "noise-held=3", "cut"])
    names = [one.name for one in chosen]
    expected = {(f"rotation-held-{s}", f"rotation-ramped-{s}") for s in (1, 2, 3)}
    assert set(matched(names)) == expected | {("noise-held-2", "noise-ramped-2")}


def test_the_interval_is_that_of_a_ratio_over_videos() -> None:
    """All right undisturbed: the share kept is a binomial share, whose spread is known."""
    rng = np.random.default_rng(3)
    right = (rng.random(400) < 0.7).astype(int)
    found = robustness(answers([1] * 400, right.tolist(), [1] * 400))
    assert found is not None
    assert found.held is not None
    share = right.mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert abs(found.held.low - (share - half)) < 0.008
    assert abs(found.held.high - (share + half)) < 0.008
    assert found.ramped == (1, 1, 1)


def test_the_interval_of_a_ratio_is_that_of_brute_force() -> None:
    """Both means are of the same drawn videos; resamples in which nothing is right undisturbed do not count."""
    rng = np.random.default_rng(5)
    clean, held = np.array([1, 0, 0, 0, 1.0]), np.array([1, 0.5, 0, 0, 0])
    drawn = rng.integers(0, 5, (200_000, 5))
    under = clean[drawn].mean(1)
    ratios = held[drawn].mean(1)[under > 0] / under[under > 0]
    found = bootstrap_ratio(held, clean, draws=20_000)
    assert found.value == pytest.approx(0.75)
    assert (found.low, found.high) == pytest.approx(np.quantile(ratios, [0.025, 0.975]).tolist(), abs=0.02)


def test_evaluate_prints_disturbed_beside_undisturbed(tmp_path: Path) -> None:
    write_scores(tmp_path / "s.h5", answers([1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 0, 0, 0, 1], [0] * 5, [1] * 5))
    text = vidaug("evaluate", tmp_path / "s.h5").out
    assert "vidaug-c 1: 4 disturbances" in text
    assert "  rotation           60.00 %  40.00 %" in text
    assert "  cut                 0.00 %" in text
    assert "kept, held           75.00 %, " in text
    assert "held - ramped        25.00 %, " in text
    printed = vidaug("evaluate", tmp_path / "s.h5", "--json").result["robustness"]
    assert printed["mean_top1"] == {"rotation-held": 0.6, "rotation-ramped": 0.4, "cut": 0.0, "reversed": 1.0}
    assert printed["mean_kept"]["gap"]["value"] == pytest.approx(0.25)
    write_scores(tmp_path / "p.h5", scores_of())
    assert "robustness" not in vidaug("evaluate", tmp_path / "p.h5", "--json").result


def test_ensembles_average_what_all_have(tmp_path: Path) -> None:
    one, two = disturbed_scores(), disturbed_scores(tuple(reversed(NAMES)), seed=1, labels=disturbed_scores().labels)
    mean, _ = ensemble([Member("one", one, 1), Member("two", two, 3)])
    assert mean.disturbances == NAMES
    expected = (one.disturbed + 3 * two.disturbed[::-1]) / 4  # type: ignore[index]
    assert np.allclose(mean.disturbed, expected, atol=1e-6)  # type: ignore[arg-type]
    assert json.loads(mean.source)["disturbances"] == VERSION
    for name, scores in (("one", one), ("two", scores_of(seed=1, labels=one.labels))):
        write_scores(tmp_path / f"{name}.h5", scores)
    done = vidaug("ensemble", tmp_path / "one.h5", tmp_path / "two.h5", "-o", tmp_path / "e.h5")
    assert "1 file with scores of disturbed videos, and the others have none: these are not kept" in done.err
    assert read_scores(tmp_path / "e.h5").disturbances == ()


def test_a_submission_takes_the_undisturbed_scores(tmp_path: Path) -> None:
    write_scores(tmp_path / "d.h5", disturbed_scores())
    write_scores(tmp_path / "p.h5", scores_of())
    one, two = (vidaug("submit", tmp_path / f"{name}.h5", "-o", "-", "--format", "csv", "-q").out for name in "dp")
    assert one == two != ""
