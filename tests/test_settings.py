"""Settings of training: what is refused and how it is said, the presets, and the rate over the steps."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.settings import PRESETS, Budget, Settings, budget_of, lr_share, preset_settings, with_settings
from vidaug_cli.train.slowfast import ARCHITECTURES

REFUSED: list[tuple[str, Any, str]] = [
    ("input", "flow", "rgb, diff, rgb+diff or slow-rgb-fast-diff"),
    ("epochs", 0, "1 or more"),
    ("epochs", 1_000_001, "1 or more"),
    ("clips_seen", 0, "1 or more, in place of epochs"),
    ("clips_seen", 100, "1 or more, in place of epochs"),
    ("batch_size", 0, "1 to 65536"),
    ("accumulate", 0, "1 to batch_size"),
    ("accumulate", 17, "1 to batch_size"),
    ("optimizer", "adamax", "sgd, adam or adamw"),
    ("lr", 0.0, "a number above 0"),
    ("lr", -1.0, "a number above 0"),
    ("lr", math.nan, "a number above 0"),
    ("lr", math.inf, "a number above 0"),
    ("weight_decay", -1e-9, "a number, 0 or above"),
    ("weight_decay", math.nan, "a number, 0 or above"),
    ("momentum", 1.0, "0 to below 1"),
    ("warmup", 151.0, "0 to the number of epochs"),
    ("warmup", -1.0, "0 to the number of epochs"),
    ("dropout", 1.0, "0 to below 1"),
    ("smoothing", 1.0, "0 to below 1"),
    ("smoothing", math.nan, "0 to below 1"),
    ("clip_norm", 0.0, "a number above 0"),
    ("clip_norm", math.inf, "a number above 0"),
    ("clip_norm", math.nan, "a number above 0"),
    ("ema", 0.0, "between 0 and 1"),
    ("ema", 1.0, "between 0 and 1"),
    ("frames", 0, "1 to 4096"),
    ("stride", 0.5, "1 to 1024, or a range in there, its lower end first"),
    ("size", 7, "8 to 2048"),
    ("flip", 1.1, "a chance, 0 to 1"),
    ("amp", "fp16", "auto, bf16 or off"),
    ("seed", -1, f"0 to {2**32 - 1}"),
    ("seed", 2**32, f"0 to {2**32 - 1}"),
]


@pytest.mark.parametrize(("name", "value", "good"), REFUSED)
def test_a_setting_out_of_range_is_named_with_what_is_good(name: str, value: Any, good: str) -> None:
    with pytest.raises(VidaugError) as caught:
        Settings(**{name: value})
    assert str(caught.value).splitlines()[0] == f"training: {name} = {value!r} should be {good}"


def test_every_setting_with_a_range_is_in_the_table() -> None:
    assert {name for name, _, _ in REFUSED} == {field.name for field in fields(Settings)} - {"network", "sync_bn"}


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(VidaugError, match=r"epochs = 0 (.|\n)*flip = 2 "):
        Settings(epochs=0, flip=2)


def test_the_default_is_the_released_protocol() -> None:
    """arXiv:2008.05721's release: Adam 1e-4, weight decay 1e-5, 150 epochs of batches of 16, 15 of them warm-up."""
    found = preset_settings("vipriors2020", {})
    assert found == Settings()
    assert (found.network, found.optimizer, found.lr, found.weight_decay) == ("r50-4x16", "adam", 1e-4, 1e-5)
    assert (found.epochs, found.batch_size) == (150, 16)
    assert budget_of(found, 4795) == Budget(epochs=150, steps=299, batch=16, warmup=15 * 299)
    assert (found.smoothing, found.clip_norm, found.ema, found.dropout) == (0, None, None, None)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_a_network_and_settings_that_may_be_changed(preset: str) -> None:
    found = preset_settings(preset, {"epochs": 33, "seed": 7})
    assert found.network in ARCHITECTURES
    assert (found.epochs, found.clips_seen, found.seed) == (33, None, 7)
    usual = PRESETS[preset]
    assert replace(found, epochs=usual.epochs, clips_seen=usual.clips_seen, seed=0) == usual
    assert preset_settings(preset, {"clips_seen": 5}) == replace(usual, epochs=None, clips_seen=5)
    assert json.loads(json.dumps(asdict(found))) == asdict(found)


def test_a_preset_that_there_is_not_names_the_nearest() -> None:
    with pytest.raises(VidaugError, match=r"^no preset 'vipriors'; did you mean 'vipriors2020'\? there are "):
        preset_settings("vipriors", {})


def test_one_setting_says_how_long_a_run_is() -> None:
    with pytest.raises(VidaugError, match=r"^training: clips_seen = None should be 1 or more, in place of epochs"):
        Settings(epochs=None)
    with pytest.raises(VidaugError, match=r"clips_seen = 5 should be 1 or more, in place of epochs"):
        preset_settings("small", {"epochs": 3, "clips_seen": 5})
    longer = with_settings(Settings(epochs=3), {"clips_seen": 9, "seed": 2})
    assert (longer.epochs, longer.clips_seen, longer.seed) == (None, 9, 2)
    assert with_settings(longer, {"seed": 3}).clips_seen == 9


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("epochs", [1, 15, 16, 1000])
def test_a_warm_up_that_nobody_asked_for_is_a_tenth_of_the_run(preset: str, epochs: int) -> None:
    found = budget_of(preset_settings(preset, {"epochs": epochs}), 100)
    assert found.warmup == pytest.approx(epochs * found.steps / 10)


def test_a_warm_up_is_otherwise_as_asked_for() -> None:
    assert budget_of(preset_settings("vipriors2020", {"epochs": 9, "warmup": 9.0}), 32).warmup == 9 * 2
    for preset in PRESETS:
        with pytest.raises(VidaugError, match=r"warmup = 15\.0 should be 0 to the number of epochs"):
            preset_settings(preset, {"epochs": 14, "warmup": 15.0})
    clips_seen = preset_settings("small", {"clips_seen": 1200, "warmup": 2.0})
    assert budget_of(clips_seen, 600).warmup == 2 * 50
    with pytest.raises(VidaugError, match=r"^training: warmup = 2 should be 0 to the number of epochs, 1$"):
        budget_of(clips_seen, 1200)


@pytest.mark.parametrize(
    ("clips_seen", "clips", "epochs", "steps"),
    [
        (16_800, 1_680, 10, 140),  # what the preset small was chosen with
        (16_800, 336, 50, 28),
        (16_800, 50_000, 1, 1400),  # a part of a pass
        (16_800, 12_000, 2, 700),  # 1.4 passes
        (16_800, 1_000, 17, 82),  # of 83 that a pass has: 16,728 clips
        (16_800, 5, 3_360, 1),  # in steps of five
        (1, 1_680, 1, 1),
    ],
)
def test_clips_seen_are_parted_into_epochs(clips_seen: int, clips: int, epochs: int, steps: int) -> None:
    found = budget_of(preset_settings("small", {"clips_seen": clips_seen}), clips)
    assert (found.epochs, found.steps, found.batch) == (epochs, steps, min(12, clips))


@settings(deadline=None)
@given(
    clips_seen=st.integers(1, 10**6),
    clips=st.integers(4, 10**4),
    batch=st.integers(1, 64).map(lambda n: 4 * n),
    processes=st.sampled_from([1, 2, 4]),
)
def test_clips_seen_are_met_within_half_an_epochs_rounding(
    clips_seen: int, clips: int, batch: int, processes: int
) -> None:
    asked_for = preset_settings("small", {"clips_seen": clips_seen, "batch_size": batch})
    found = budget_of(asked_for, clips, processes)
    assert found.batch % processes == 0
    assert 1 <= found.steps <= clips // found.batch
    asked = max(1, clips_seen / found.batch)
    assert abs(found.epochs * found.steps - asked) <= found.epochs / 2 + 0.5
    assert abs(found.epochs * found.steps - asked) <= found.steps / 2 + 0.5  # never worse than whole passes
    longer = budget_of(replace(asked_for, clips_seen=2 * clips_seen), clips, processes, found.steps)
    assert longer.steps == found.steps
    assert abs(longer.epochs * longer.steps - 2 * asked) <= found.steps / 2 + 0.5 or longer.epochs == 1


@pytest.mark.parametrize(
    ("preset", "given", "clips", "said"),
    [
        ("small", {}, 336, "16,800 clips seen = 50 passes over 336 clips; small was tuned at 16,800 clips seen"),
        ("small", {"epochs": 1}, 336, "336 clips seen = 1 pass over 336 clips; small was tuned at 16,800 clips seen"),
        ("small", {}, 1000, "16,728 clips seen = 16.7 passes over 1000 clips; small was tuned at 16,800 clips seen"),
        ("vipriors2020", {}, 160, "24,000 clips seen = 150 passes over 160 clips; vipriors2020 is a protocol of 150 "
         "passes"),
        ("small", {"clips_seen": 16_800_000}, 12, "16,800,000 clips seen = 1,400,000 passes over 12 clips; small was "
         "tuned at 16,800 clips seen"),
    ],
)  # fmt: skip
def test_a_budget_is_said_beside_what_the_preset_is_meant_for(
    preset: str, given: dict[str, Any], clips: int, said: str
) -> None:
    assert budget_of(preset_settings(preset, given), clips).text(clips, preset) == said
    assert budget_of(preset_settings(preset, given), clips).text(clips) == said.split(";")[0]


@pytest.mark.parametrize(
    ("step", "share"),
    [
        (0, 1 / 10),  # a tenth of the way up
        (4, 5 / 10),
        (8, 9 / 10),
        (9, 1),  # the warm-up's end
        (10, 1),  # where the cosine begins
        (35, 0.5 * (1 + math.cos(math.pi / 4))),
        (60, 0.5),  # halfway from there to the end
        (109, 0.5 * (1 + math.cos(math.pi * 99 / 100))),  # a step before the rate is 0
    ],
)
def test_the_rate_goes_up_in_a_line_and_down_in_half_a_cosine(step: int, share: float) -> None:
    assert lr_share(step, 110, 10) == pytest.approx(share, abs=1e-12)


def test_a_warm_up_may_end_between_two_steps() -> None:
    assert [lr_share(step, 10, 2.5) for step in range(3)] == [1 / 2.5, 2 / 2.5, 1]
    assert lr_share(3, 10, 2.5) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.5 / 7.5)))


def test_without_warm_up_it_only_falls_and_with_nothing_else_only_rises() -> None:
    expected = [0.5 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]
    assert [lr_share(step, 4, 0) for step in range(4)] == pytest.approx(expected)
    assert [lr_share(step, 4, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1]


@settings(deadline=None)
@given(steps=st.integers(1, 300), part=st.floats(0, 1))
@example(steps=1, part=0)
@example(steps=1, part=0.5)
@example(steps=300, part=5e-324)
def test_the_rate_rises_then_falls_and_no_step_does_nothing(steps: int, part: float) -> None:
    shares = [lr_share(step, steps, part * steps) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    assert max(shares) == 1
    top = shares.index(1)
    assert shares == sorted(shares[: top + 1]) + sorted(shares[top + 1 :], reverse=True)
    assert abs(top + 1 - part * steps) <= 1


def test_the_last_of_very_many_steps_does_something() -> None:
    """A million epochs of a hundred thousand steps."""
    assert lr_share(10**11 - 1, 10**11, 15e5) > 0
