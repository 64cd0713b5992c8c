"""Rows of a manifest read one by one: whatever became of its index, they are those that were written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from console import vidaug
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.augment.plan import Plan, read_plan, write_plan
from vidaug_cli.data.manifest import Row, read_row, read_rows, row_hash, row_line
from vidaug_cli.data.rows import INDEX, MANIFEST, StoredRows
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.recipe.loading import load_recipe

CLASSES = ("a", "b", "ü")
# The path holds what UTF-8 writes in several bytes and JSON in escapes: lines are found by bytes, not by characters.
ROWS = tuple(
    Row(
        path=f"{n} 'ü\u2028\"\\.mp4",
        root="/data",
        label=CLASSES[n % 3],
        frames=70 + n,
        fps=25,
        width=9,
        height=9,
        codec="-",
    )
    for n in range(50)
)
PLAN = Plan(rows=ROWS, recipe=load_recipe("cutmix"), spec=ClipSpec())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    write_plan(PLAN, tmp_path)
    return tmp_path


def test_rows_are_those_that_were_written(out: Path) -> None:
    rows = StoredRows(out, CLASSES)
    assert len(rows) == 50
    assert tuple(rows) == ROWS == rows[:]
    assert [rows[3], rows[-1], *rows[10:20:4]] == [ROWS[3], ROWS[-1], *ROWS[10:20:4]]
    assert rows.labels.tolist() == [CLASSES.index(str(row.label)) for row in ROWS]
    assert rows.hashes.tolist() == [row_hash(row) for row in ROWS]
    with pytest.raises(IndexError):
        rows[50]


def test_a_process_reads_only_the_rows_it_needs(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def noted(line: bytes, where: str) -> Row:
        read.append(where)
        return read_row(line, where)

    monkeypatch.setattr("vidaug_cli.data.rows.read_row", noted)
    plan = read_plan(out)
    for _ in range(3):
        assert plan.rows[20] == ROWS[20]
    assert [where.rpartition(":")[2] for where in read] == ["1", "50", "21"]  # the outermost tell an old index


def without(out: Path) -> None:
    (out / INDEX).unlink()


def cut(out: Path) -> None:
    (out / INDEX).write_bytes((out / INDEX).read_bytes()[:-7])


def zeros(out: Path) -> None:
    (out / INDEX).write_bytes(bytes(2000))


def another(out: Path) -> None:
    np.arange(50).tofile(out / INDEX)


def of_fewer(out: Path) -> None:
    (out / INDEX).write_bytes((out / INDEX).read_bytes()[:-20])


def none_at_all(out: Path) -> None:
    (out / INDEX).write_bytes(b"")


def of_rows_that_lay_elsewhere(out: Path) -> None:
    manifest = (out / MANIFEST).read_bytes()
    (out / MANIFEST).write_bytes(manifest.replace(b'"/data"', b'"/mnt/data"'))


def blank_lines(out: Path) -> None:
    manifest = (out / MANIFEST).read_bytes()
    (out / MANIFEST).write_bytes(manifest.replace(b"\n", b"\n\n"))


@pytest.mark.parametrize(
    "change", [without, cut, zeros, another, of_fewer, none_at_all, of_rows_that_lay_elsewhere, blank_lines]
)
def test_an_index_that_is_of_no_use_is_done_without(out: Path, change: Callable[[Path], None]) -> None:
    change(out)
    plan = read_plan(out)
    assert tuple(replace(row, root="/data") for row in plan.rows) == ROWS
    assert plan.labels.tolist() == PLAN.labels.tolist()
    assert plan.sha256 == PLAN.sha256


def test_the_same_plan_writes_the_index_again_and_leaves_the_manifest(out: Path) -> None:
    before = (out / MANIFEST).stat().st_mtime_ns, (out / INDEX).read_bytes()
    write_plan(PLAN, out)
    assert (out / MANIFEST).stat().st_mtime_ns == before[0]
    for change in (without, cut, zeros, another, of_fewer, none_at_all):
        change(out)
        write_plan(PLAN, out)
        assert (out / INDEX).read_bytes() == before[1]
        assert (out / MANIFEST).stat().st_mtime_ns == before[0]


@pytest.mark.parametrize(("place", "found"), [(0, "read_plan"), (30, "rows"), (49, "read_plan")])
def test_a_changed_row_is_noticed(out: Path, place: int, found: str) -> None:
    """By whoever reads it: the outermost at once, as another index is looked for; others when they are needed."""
    manifest = (out / MANIFEST).read_bytes()
    (out / MANIFEST).write_bytes(manifest.replace(b'"frames": %d' % (70 + place), b'"frames": %d' % (71 + place)))
    if found == "read_plan":
        with pytest.raises(ShardError, match=r"was changed since it was made \(manifest.jsonl\)"):
            read_plan(out)
        return
    plan = read_plan(out)
    assert plan.rows[place - 1] == ROWS[place - 1]
    with pytest.raises(ShardError) as error:
        plan.rows[place]
    assert str(error.value).startswith(f"{out / MANIFEST}:{place + 1}: was changed since the plan was made; ")


def test_verify_names_a_changed_row(out: Path) -> None:
    manifest = (out / MANIFEST).read_bytes()
    (out / MANIFEST).write_bytes(manifest.replace(b'"frames": 99', b'"frames": 98'))
    done = vidaug("verify", out)
    assert done.code == 1
    assert f"{out / MANIFEST}:30: was changed since the plan was made" in done.out + done.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lists no video"),
        (b"\n", "lists no video"),
        (b'{"path": 3}\n', ":1: path: 3 should be a string"),
        (None, "cannot be read"),
    ],
)
def test_a_manifest_that_is_none(out: Path, content: bytes | None, message: str) -> None:
    (out / MANIFEST).unlink() if content is None else (out / MANIFEST).write_bytes(content)
    with pytest.raises(VidaugError, match=message):
        read_plan(out)


ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
SECONDS = st.floats(1e-3, 1e3)


@given(
    path=ANY, root=ANY, label=st.none() | ANY, class_id=st.none() | st.integers(0, 2**40), split=st.none() | ANY,
    frames=st.integers(1, 2**31 - 1), fps=st.floats(0, 1e4) | st.integers(0, 100), start=st.none() | SECONDS,
    keys=st.none() | st.just(((300, 12), (600, 40))), durations=st.none() | st.lists(SECONDS, min_size=1, max_size=3),
)  # fmt: skip
def test_every_row_survives_its_line(
    frames: int, durations: list[float] | None, start: float | None, **rest: object
) -> None:
    runs = durations and tuple((place + 1, seconds) for place, seconds in enumerate(durations))
    row = Row(
        width=2, height=3, codec="h264", start=start, first=0 if start is None else 7,
        frames=sum(count for count, _ in runs) if runs else min(frames, 2**31 - 8), durations=runs or None, **rest,  # type: ignore[arg-type]
    )  # fmt: skip
    (again,) = read_rows([row_line(row)], "memory")
    assert again == row
    assert row_hash(again) == row_hash(row)
    (other,) = read_rows([json.dumps(json.loads(row_line(row)))], "memory")  # as any other program may write it
    assert other == row


def test_two_rows_of_one_video_are_refused_however_its_path_is_written() -> None:
    lines = [row_line(replace(ROWS[0], path=path)) for path in ("a/b.mp4", "a/c.mp4", "./a//b.mp4")]
    with pytest.raises(VidaugError, match=r"m:4: \./a//b\.mp4 stands in line 1 already"):
        read_rows([lines[0], lines[1], b"\n", lines[2]], "m")
    assert len(read_rows([lines[0], lines[1], row_line(replace(ROWS[0], path="a/..b.mp4"))], "m")) == 3
