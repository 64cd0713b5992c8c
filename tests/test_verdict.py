"""The verdict of `vidaug evaluate`, and whether it knows on which videos a network was chosen."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console import vidaug
from score_makers import row_of, scores_of
from train_makers import NETWORK, make_shards

from vidaug_cli.data.manifest import rows_text
from vidaug_cli.scores.evaluation import Evaluation, baselines, evaluate
from vidaug_cli.scores.file import Scores, read_scores, write_scores
from vidaug_cli.scores.source import Source
from vidaug_cli.scores.verdict import chosen_note, judge
from vidaug_cli.train.slowfast import ARCHITECTURES

CLASSES = ("walk", "run")


def scored(right: int, of: int, **values: Any) -> Scores:
    """Videos of which half are of each class; the first ones are right."""
    labels = np.arange(of) % 2
    answers = np.where(np.arange(of) < right, labels, 1 - labels)
    base: dict[str, Any] = {
        "classes": CLASSES,
        "labels": labels,
        "scores": np.eye(2, dtype=np.float32)[answers],
        "failures": (),
    }
    return scores_of(of, **base | values)


def judged(right: int, of: int, **source: Any) -> Any:
    """The verdict beside a majority of 50 %, without nearest neighbours."""
    scores = scored(right, of, shape=np.zeros((of, 3), np.int32))
    blind = baselines(scores, [row_of("t", "walk")], "t")
    return judge(evaluate(scores), blind, Source(**source))


@pytest.mark.parametrize(
    ("right", "beside"), [(40, "above"), (30, "above"), (22, "no better than"), (20, "no better than"), (4, "below")]
)
def test_beside_the_baseline(right: int, beside: str) -> None:
    found = judged(right, 40)
    assert (found.beside, found.baseline) == (beside, "majority")
    # The baseline is right for walk: there they differ in what is wrong, and for run in what is right.
    wrong, gained = sum(n % 2 == 0 for n in range(right, 40)), sum(n % 2 == 1 for n in range(right))
    mean, square = (gained - wrong) / 40, (gained + wrong) / 40
    error = math.sqrt((square - mean**2) / 40)
    assert found.points == pytest.approx(mean)
    assert found.margin == pytest.approx(mean / error)
    assert found.fit is None
    assert ("--wrong" in found.advice) == (beside != "above")


def test_a_difference_without_spread_has_no_margin() -> None:
    scores = scored(10, 10, labels=np.zeros(10, np.int64), scores=np.eye(2, dtype=np.float32)[[1] * 10])
    found = judge(evaluate(scores), baselines(scores, [row_of("t", "walk", (2, 3, 4))], "t"), Source())
    assert (found.beside, found.points, found.margin) == ("below", -1, None)
    assert next(found.lines()) == "verdict             below the blind baselines: -100.00 points from the best of them"


@pytest.mark.parametrize(
    ("training", "right", "fit"),
    [
        (0.98, 83, "overfitted"),  # crop and flip of docs/results.md, and the others of its table
        (0.89, 84, "fits"),
        (0.36, 51, "underfitted"),
        (0.76, 80, "fits"),
        (0.98, 93, "fits"),  # hardly behind
        (None, 83, None),
        (7.0, 83, None),  # a foreign file
    ],
)
def test_how_it_fits(training: float | None, right: int, fit: str | None) -> None:
    found = judge(evaluate(scored(right, 100)), None, Source(top1=training))
    assert found.fit == fit
    assert (found.beside, found.points, found.baseline) == (None, None, None)
    lines = list(found.lines())
    assert len(lines) == (0 if fit is None else 2)
    assert fit is None or f"{100 * (training or 0):.2f} % of its training clips right, {right}.00 % of" in lines[0]


def test_few_videos_are_not_taken_for_a_gap() -> None:
    of: dict[int, Evaluation] = {count: evaluate(scored(count * 8 // 10, count)) for count in (10, 40)}
    assert [judge(each, None, Source(top1=0.96)).fit for each in of.values()] == ["fits", "overfitted"]


def test_the_advice_names_twice_the_budget() -> None:
    for training, option in (({"epochs": 8}, "--epochs 16"), ({"epochs": None, "clips_seen": 99}, "--clips-seen 198")):
        found = judge(evaluate(scored(5, 10)), None, Source(top1=0.3, training=training))
        assert f"vidaug train SHARDS {option} -o RUN" in found.advice
    assert "--epochs N" in judge(evaluate(scored(5, 10)), None, Source(top1=0.3)).advice
    # Below a baseline, but not trained for long: that comes first.
    assert judged(4, 40, top1=0.2).advice.startswith("train for longer")


def test_motion_is_not_advised_where_it_is_the_input() -> None:
    for training, option in (({}, "--input diff"), ({"input": "rgb"}, "--input diff"), ({"input": "diff"}, "--recipe")):
        found = judge(evaluate(scored(50, 100)), None, Source(top1=0.99, training=training))
        assert f"vidaug train SHARDS {option}" in found.advice


def test_it_is_printed(tmp_path: Path) -> None:
    write_scores(tmp_path / "s.h5", scored(30, 40, source='{"top1": 0.99, "training": {"epochs": 3}}'))
    (tmp_path / "t.jsonl").write_text(rows_text([row_of("t", "walk")]))
    lines = vidaug("evaluate", tmp_path / "s.h5", "--train", tmp_path / "t.jsonl").out.splitlines()
    assert lines[-3].startswith(
        "verdict             above the blind baselines: +25.00 points from the best of them, 2.4"
    )
    assert lines[-2].startswith("                    overfitted: 99.00 % of its training clips right, 75.00 %")
    assert "to try: " in lines[-1]
    printed = vidaug("evaluate", tmp_path / "s.h5", "--json").result
    assert (printed["verdict"]["fit"], printed["verdict"]["beside"]) == ("overfitted", None)
    write_scores(tmp_path / "s.h5", replace(scored(26, 40), source="{}"))
    assert "verdict" not in vidaug("evaluate", tmp_path / "s.h5").out


def test_it_is_known_which_videos_chose_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)
    shards = make_shards(tmp_path / "shards", ("a", "b"))
    clean = make_shards(tmp_path / "clean", ("a", "b"), videos=5)
    words = ["--network", "tiny", "--epochs", 2, "--batch-size", 4, "--warmup", 0.5, "--amp", "off", "-q"]
    for name, more in (("chosen", ["--val", clean]), ("free", [])):
        assert vidaug("train", shards, "-o", tmp_path / name, *words, *more).code == 0
    found = {}
    for run, clips in (("chosen", clean), ("chosen/last.safetensors", clean), ("free", clean)):
        out = tmp_path / "s.h5"
        assert vidaug("predict", tmp_path / run, clips, "-o", out, "-q").code == 0
        found[run] = json.loads(read_scores(out).source)
        said = vidaug("evaluate", out).err
        assert ("5 of the 5 scored videos chose this network" in said) == (run == "chosen")
    assert {run: source.get("chosen_on") for run, source in found.items()} == {
        "chosen": 5,
        "chosen/last.safetensors": None,
        "free": None,
    }
    training = found["free"]["training"]
    assert (training["epochs"], training["recipe"], training["made"][0]["size"]) == (2, None, 32)
    assert "validation_videos" not in training
    assert 0 <= found["free"]["top1"] <= 1


def test_an_ensemble_is_as_chosen_as_its_members() -> None:
    members = Source(ensemble=(Source(), Source(chosen_on=3)))
    assert chosen_note(members, 4).startswith("3 of the 4 scored videos chose this network")
    assert chosen_note(Source(), 4) == ""
