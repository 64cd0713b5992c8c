"""`--classes map.toml`: classes merged, renamed and dropped."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import write_video
from console import vidaug
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.data.class_choice import ClassMap, MapFile, read_choice
from vidaug_cli.data.manifest import Row, classes_of, read_manifest
from vidaug_cli.errors import VidaugError

MAP = """
drop = ["idle"]
[classes]
walk = ["walking", "slow walk"]
jump = "jumping"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("map")
    for label in ("idle", "jumping", "run", "slow walk", "walking"):
        for number in range(2):
            write_video(root / "videos" / label / f"{number}.mp4", frames=8)
    (root / "map.toml").write_text(MAP)
    return root


def row_of(label: str | None, number: int | None = None) -> Row:
    about = {"label": label, "class_id": number, "codec": "mpeg4", "fps": 30.0, "width": 64, "height": 48, "frames": 70}
    return Row(path=f"{label}.mp4", root="/data", **dict[str, Any](about))


def labels(rows: list[Row]) -> list[tuple[str | None, str | None, int | None]]:
    return [(row.label, row.source_label, row.class_id) for row in rows]


def test_classes_are_merged_renamed_and_dropped(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(MAP)
    rows = [row_of(*pair) for pair in [("walking", 7), ("idle", 3), ("run", 1), ("slow walk", 2), ("jumping", 9)]]
    fitted, said = read_choice(tmp_path / "map.toml").fit([*rows, row_of(None)])
    assert labels(fitted) == [
        ("walk", "walking", None),
        ("run", None, None),
        ("walk", "slow walk", None),
        ("jump", "jumping", None),
        (None, None, None),
    ]
    assert classes_of(fitted) == ["jump", "run", "walk"]
    assert said == [f"{tmp_path / 'map.toml'}: 5 classes became 3, 1 video of idle left out"]


NAMES = st.sampled_from("abcdef")


@given(
    rows=st.lists(NAMES, min_size=1, max_size=30),
    new=st.dictionaries(NAMES, NAMES | st.none()),
    others=st.sampled_from(["keep", "drop"]),
)
def test_counts_are_sums_and_twice_is_once(rows: list[str], new: dict[str, str | None], others: str) -> None:
    new = {old: name for old, name in new.items() if old in rows}
    classes = {name: tuple(old for old in new if new[old] == name) for name in set(new.values()) - {None}}
    file = MapFile(classes=classes, drop=tuple(old for old in new if new[old] is None), others=others)  # type: ignore[arg-type]
    chosen, expected = ClassMap(file, Path("map.toml")), Counter(new.get(old, old) for old in rows)
    if others == "drop":
        expected = Counter(new[old] for old in rows if old in new)
    del expected[None]
    if not expected:
        with pytest.raises(VidaugError, match=r"map\.toml: drops all classes"):
            chosen.fit([*map(row_of, rows)])
        return
    fitted, _ = chosen.fit([*map(row_of, rows)])
    assert Counter(row.label for row in fitted) == expected
    if None not in new.values() and others == "keep":  # what was dropped is not there to be named again
        assert chosen.fit(fitted)[0] == fitted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[classes]\nwalk = "walkin"',
            "names a class 'walkin' that no video is of; did you mean 'walking'? there are ",
        ),
        ('drop = ["idel", "rnu"]', "names a class 'idel' (and 1 more) that no video is of; did you mean 'idle'?"),
        ('drop = ["run"]\n[classes]\nwalk = ["run"]', "class 'run' is named twice; each goes to one class"),
        ('[classes]\nwalk = ""', "a class has an empty name"),
        ("[classes]\nwalk = 3", "classes.walk: 3 should be"),
        ('[clases]\nwalk = "walking"', "clases: unknown key; did you mean 'classes'?"),
        ('others = "merge"', "others: 'merge' should be 'keep' or 'drop'"),
        ('others = "drop"', "drops all classes"),
        ("walk = [", "is not TOML"),
        ("\udcff", "is not TOML"),
    ],
)
def test_a_map_that_cannot_be(folder: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "map.toml").write_bytes(text.encode(errors="surrogateescape"))
    done = vidaug("scan", folder / "videos", "--classes", tmp_path / "map.toml", "-o", tmp_path / "all.jsonl")
    assert done.code == 1
    assert message in done.err
    assert f"{tmp_path / 'map.toml'}: " in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "all.jsonl").exists()


SMALL = ["-r", "none", "--frames", "4", "--size", "16", "--seed", "5", "-j", "1"]


def test_the_manifest_and_the_plan_know_the_names_of_the_data_set(folder: Path, tmp_path: Path) -> None:
    """By scan, or by augment of a folder or a manifest: the same clips, and the same plan when it is run again."""
    mapped = ["--classes", folder / "map.toml"]
    done = vidaug("scan", folder / "videos", *mapped, "-o", tmp_path / "mapped.jsonl")
    assert done.code == 0
    assert "5 classes became 3, 2 videos of idle left out" in done.err
    assert vidaug("scan", folder / "videos", "-o", tmp_path / "plain.jsonl").code == 0
    rows = read_manifest(tmp_path / "mapped.jsonl")
    assert Counter(row.label for row in rows) == {"walk": 4, "jump": 2, "run": 2}
    assert Counter(row.source_label for row in rows) == {None: 2, "jumping": 2, "walking": 2, "slow walk": 2}
    inputs: dict[str, list[object]] = {
        "by-scan": [tmp_path / "mapped.jsonl"],
        "manifest": [tmp_path / "plain.jsonl", *mapped],
        "folder": [folder / "videos", *mapped],
    }
    for name, words in inputs.items():
        assert vidaug("augment", *words, *SMALL, "-o", tmp_path / name).code == 0
    plans = [json.loads((tmp_path / name / "plan.json").read_text()) for name in inputs]
    assert [plan["classes"] for plan in plans] == [["jump", "run", "walk"]] * 3
    assert len({plan["plan_sha256"] for plan in plans}) == 1
    lines = (tmp_path / "folder" / "manifest.jsonl").read_text().splitlines()
    stored = [json.loads(line).get("source_label") for line in lines]
    assert stored == [row.source_label for row in rows]
    other = vidaug("augment", tmp_path / "plain.jsonl", *SMALL, "-o", tmp_path / "folder")
    assert other.code == 1
    assert "made from other videos (8 added, 6 removed), which differs in classes (4 added, 2 removed)" in other.err


def test_commands_on_scores_say_that_a_map_is_not_theirs(folder: Path, tmp_path: Path) -> None:
    submission = tmp_path / "submission.txt"
    submission.write_text("0.mp4 1\n")
    done = vidaug("score", submission, "--annotations", submission, "--classes", folder / "map.toml")
    assert done.code == 1
    assert "is a map of classes, which changes videos, not scores" in done.err
