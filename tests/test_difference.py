"""What is said of two plans that are not the same: values of settings, and how many videos came and went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from score_makers import row_of

from vidaug_cli.augment.difference import difference
from vidaug_cli.augment.plan import Plan, read_header, write_plan
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.words import change, changes

ROWS = tuple(row_of(f"{label}/{number}.mp4", label) for label in ("run", "walk") for number in range(3))
PLAN = Plan(rows=ROWS, recipe=load_recipe("fademixup"), spec=ClipSpec())
BETA = load_recipe("fademixup", overrides=["fademixup.beta=0.4"])
MOVED = replace(ROWS[0], frames=11)
OTHERS = {
    "which differs in seed (0 there, 7 now)": replace(PLAN, seed=7),
    "which differs in copies (1 there, 2 now), stride (1 there, 2 to 6 now)": replace(
        PLAN, copies=2, spec=ClipSpec(stride=(2, 6))
    ),
    "which differs in fps (none there, 10 now)": replace(PLAN, spec=ClipSpec(fps=10)),
    "which differs in keep_original (no there, yes now)": replace(PLAN, keep_original=True),
    "which differs in copies_of, copies_per_round (4 there, 1 now)": replace(
        PLAN, copies_of={"run": 3}, copies_per_round=1
    ),
    "which differs in recipe (fademixup there, cutmix now)": replace(PLAN, recipe=load_recipe("cutmix")),
    "which differs in mix.0.beta (1 there, 0.4 now)": replace(PLAN, recipe=BETA),
    "which differs in recipe": replace(PLAN, recipe=replace(BETA, mix=PLAN.recipe.mix, summary="mine")),
    "which differs in the order of classes": replace(PLAN, classes=("walk", "run")),
    "which differs in classes (1 added, 0 removed)": replace(PLAN, classes=("run", "walk", "jump")),
    "made from other videos (0 added, 1 removed)": replace(PLAN, rows=ROWS[1:]),
    "made from other videos (1 added, 1 removed), which differs in seed (0 there, 7 now)": replace(
        PLAN, rows=(MOVED, *ROWS[1:]), seed=7
    ),
    "made from the same videos in another order, or as another scan describes them": replace(PLAN, rows=ROWS[::-1]),
}


@pytest.mark.parametrize("words", OTHERS)
def test_what_differs_is_said_by_its_value(words: str, tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path)
    assert difference(OTHERS[words], tmp_path, read_header(tmp_path)) == words


def test_a_damaged_manifest_leaves_the_number_of_videos_open(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path)
    (tmp_path / "manifest.jsonl").write_text("?\n")
    header = read_header(tmp_path)
    assert difference(replace(PLAN, rows=ROWS[1:]), tmp_path, header) == "made from other videos"


def test_only_values_that_say_something_are_said() -> None:
    assert change("lr", 0.001, 0.01) == "lr (0.001 there, 0.01 now)"
    assert change("crop", (2 / 3, 5 / 6), [0.5, 1]) == "crop (0.6667 to 0.8333 there, 0.5 to 1 now)"
    assert change("flip", 0.50001, 0.50002) == "flip"  # which look the same
    assert change("init", "0" * 64, None) == "init"
    assert change("shards", ["0" * 64, 3], ["1" * 64, 3]) == "shards"
    assert change("hold_out", {"share": 0.2}, None) == "hold_out"
    assert changes({"seed": 1, "gone": 2}, {"seed": 1, "new": 3}) == [
        "new (none there, 3 now)",
        "gone (2 there, none now)",
    ]
