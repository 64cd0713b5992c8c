"""Settings of training: what is refused and how it is said, the presets, and the rate over the steps."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.settings import PRESETS, Settings, lr_share, preset_settings
from vidaug_cli.train.slowfast import ARCHITECTURES

REFUSED: list[tuple[str, Any, str]] = [
    ("input", "flow", "rgb, diff, rgb+diff or slow-rgb-fast-diff"),
    ("epochs", 0, "1 or more"),
    ("epochs", 1_000_001, "1 or more"),
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
    assert (found.epochs, found.batch_size, found.warmup) == (150, 16, 15)
    assert (found.smoothing, found.clip_norm, found.ema, found.dropout) == (0, None, None, None)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_a_network_and_settings_that_may_be_changed(preset: str) -> None:
    found = preset_settings(preset, {"epochs": 33, "seed": 7})
    assert found.network in ARCHITECTURES
    assert (found.epochs, found.seed) == (33, 7)
    assert replace(found, epochs=PRESETS[preset].epochs, seed=0) == PRESETS[preset]
    assert json.loads(json.dumps(asdict(found))) == asdict(found)


def test_a_preset_that_there_is_not_names_the_nearest() -> None:
    with pytest.raises(VidaugError, match=r"^no preset 'vipriors'; did you mean 'vipriors2020'\?; there is "):
        preset_settings("vipriors", {})


@pytest.mark.parametrize(("preset", "epochs"), [("vipriors2020", 1), ("vipriors2020", 15), ("small", 1)])
def test_a_warm_up_that_nobody_asked_for_leaves_something_of_a_short_run(preset: str, epochs: int) -> None:
    usual, found = preset_settings(preset, {}), preset_settings(preset, {"epochs": epochs})
    assert found.warmup / found.epochs == pytest.approx(usual.warmup / usual.epochs)
    assert 0 < found.warmup < found.epochs


def test_a_warm_up_is_otherwise_as_asked_for() -> None:
    assert preset_settings("vipriors2020", {"epochs": 16}).warmup == 15
    assert preset_settings("vipriors2020", {"epochs": 9, "warmup": 9.0}).warmup == 9
    for preset in PRESETS:
        with pytest.raises(VidaugError, match=r"warmup = 15\.0 should be 0 to the number of epochs"):
            preset_settings(preset, {"epochs": 14, "warmup": 15.0})
    with pytest.raises(VidaugError, match=r"^training: epochs = 0 should be 1 or more\n"):
        preset_settings("vipriors2020", {"epochs": 0})


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
