"""Values from outside become dataclasses, or an error that names every fault and its place."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.errors import RecipeError, ShardError, VidaugError
from vidaug_cli.schema import check, parse, type_fault
from vidaug_cli.words import shown


@dataclass(frozen=True)
class Failure:
    clip: int
    reason: str = ""

    def __post_init__(self) -> None:
        check(self, {"clip": (self.clip >= 0, "0 or more")})


@dataclass(frozen=True)
class Report:
    name: str
    share: float
    mode: Literal["full", "header"] = "full"
    failures: tuple[Failure, ...] = ()
    worst: Failure | None = None
    by_class: dict[str, Failure] = field(default_factory=dict)
    runs: tuple[tuple[int, float], ...] | None = None
    size: tuple[int, int] = (0, 0)
    names: list[str] = field(default_factory=list)
    anything: Any = None
    made: bool = field(default=True, init=False)


GOOD = {"name": "a", "share": 0.5}


def faults(content: object, **how: Any) -> list[str]:
    with pytest.raises(ShardError) as caught:
        parse(Report, content, where="here", hint="make it anew", error=ShardError, **how)
    assert (caught.value.where, caught.value.hint) == ("here", "make it anew")
    return caught.value.what.split("\n")


def test_every_fault_has_its_place() -> None:
    content = {
        "share": True,
        "mode": "heeder",
        "failures": [{"clip": 1}, {"clip": "a"}, 7, {"clips": 3}],
        "worst": {"reason": None},
        "by_class": {"run": {}, "walk": {"clip": 1.5}},
        "runs": [[1, 0.5], [2.5, "x"], [1, 2, 3]],
        "size": [1],
        "names": ["a", 3],
        "made": False,
        "nmae": "a",
    }
    assert faults(content) == [
        "made: unknown key; did you mean 'mode'?",
        "nmae: unknown key; did you mean 'name'?",
        "name: is missing",
        "share: True should be a number",
        "mode: 'heeder' should be 'full' or 'header'; did you mean 'header'?",
        "failures.1.clip: 'a' should be a whole number",
        "failures.2: 7 should be an object with keys",
        "failures.3.clips: unknown key; did you mean 'clip'?",
        "failures.3.clip: is missing",
        "worst.clip: is missing",
        "worst.reason: None should be a string",
        "by_class.run.clip: is missing",
        "by_class.walk.clip: 1.5 should be a whole number",
        "runs.1.0: 2.5 should be a whole number",
        "runs.1.1: 'x' should be a number",
        "runs.2: [1, 2, 3] should have 2 entries",
        "size: [1] should have 2 entries",
        "names.1: 3 should be a string",
    ]


@pytest.mark.parametrize("content", [[], "a", None, 3, [GOOD]])
def test_what_is_not_an_object(content: object) -> None:
    (fault,) = faults(content)
    assert fault == f"{shown(content)} should be an object with keys"


def test_keys_of_newer_releases_are_passed_over() -> None:
    newer = GOOD | {"mood": "blue", "failures": [{"clip": 1, "since": 3}], "worst": {"clip": 2, "since": 3}}
    assert parse(Report, newer, extra=True) == Report("a", 0.5, failures=(Failure(1),), worst=Failure(2))
    assert faults(newer) == [
        "mood: unknown key; did you mean 'mode'?", "failures.0.since: unknown key", "worst.since: unknown key",
    ]  # fmt: skip


def test_a_rule_of_a_dataclass_within_is_an_error_of_the_whole() -> None:
    with pytest.raises(RecipeError, match="here: clip = -1 should be 0 or more; mend it"):
        parse(Report, GOOD | {"worst": {"clip": -1}}, where="here", hint="mend it", error=RecipeError)


def nested(depth: int) -> Any:
    content: Any = []
    for _ in range(depth):
        content = [content]
    return content


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), 10**400, 10**5000, nested(5000), "1", {}],
    ids=["nan", "inf", "-inf", "large", "larger", "deep", "text", "object"],
)
def test_hostile_values_are_faults_in_a_line(value: object) -> None:
    for key in ("share", "mode", "size", "runs", "worst", "by_class"):
        for fault in faults(GOOD | {key: value}) if (key, value) != ("by_class", {}) else ():
            assert fault.startswith(key)
            assert len(fault) < 300


@dataclass(frozen=True)
class Nothing:
    """A dataclass without fields."""


def test_a_dataclass_may_have_no_fields() -> None:
    assert parse(Nothing, {}) == Nothing()
    with pytest.raises(VidaugError, match="a: unknown key"):
        parse(Nothing, {"a": 1})


def test_values_of_any_type_stay_as_they_are() -> None:
    deep = nested(900)
    assert parse(Report, GOOD | {"anything": deep}).anything is deep


def test_a_value_may_be_of_one_of_several_types() -> None:
    assert type_fault(None, int | str | None) == ""
    assert type_fault(1.5, int | str) == "1.5 should be a whole number or 1.5 should be a string"
    assert type_fault(True, int) == "True should be a whole number"
    assert type_fault(1, bool) == "1 should be true or false"
    assert type_fault(3, float) == type_fault("a", Any) == ""


failures = st.builds(Failure, st.integers(0), st.text())
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        Report,
        name=st.text(),
        share=numbers,
        mode=st.sampled_from(["full", "header"]),
        failures=st.lists(failures).map(tuple),
        worst=st.none() | failures,
        by_class=st.dictionaries(st.text(), failures),
        runs=st.none() | st.lists(st.tuples(st.integers(), numbers)).map(tuple),
        size=st.tuples(st.integers(), st.integers()),
        names=st.lists(st.text()),
        anything=st.none() | st.lists(st.integers()),
    )
)
def test_what_is_written_is_read_back(report: Report) -> None:
    content = {key: value for key, value in asdict(report).items() if key != "made"}
    assert parse(Report, json.loads(json.dumps(content))) == report


def test_check_names_each_broken_rule() -> None:
    rules = {"clip": (False, "1 to 3"), "reason": (True, "any text")}
    with pytest.raises(VidaugError, match=r"^there: clip = 9 should be 1 to 3; try it$"):
        check(Failure(9), rules, where="there", hint="try it")
