"""Copies that are made together: their files whatever fails, stops or runs beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidaug_cli.augment.part import WHOLE, Part
from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine, draw_cut
from vidaug_cli.augment.replay import replay_clips
from vidaug_cli.augment.run import run
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.format import Record
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.reader import ClipRequest
from vidaug_cli.errors import VideoError
from vidaug_cli.recipe.loading import load_recipe


def plan_of(folder: Path, recipe: str = "fademixup", **settings: Any) -> Plan:
    rows = tuple(read_input(str(folder)).rows)
    return Plan(rows=rows, recipe=load_recipe(recipe), spec=ClipSpec(frames=8, size=32), **settings)


def made(plan: Plan, out: Path, batch: int = 4, workers: int = 1, part: Part = WHOLE) -> dict[str, bytes]:
    """The files of a run."""
    run(plan, out, Engine(batch=batch), workers=workers, part=part)
    return {path.name: path.read_bytes() for path in sorted(out.glob("[0-9]*/*"))}


def test_copies_of_a_round_fail_and_are_tried_together(
    video_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one of the two cuts cannot be read: both clips are left out, and no rerun takes the other for mended."""
    plan = plan_of(video_folder, copies=3, copies_per_round=2, clips_per_shard=32)
    out, lost = tmp_path / "out", "class_1/video_04.avi"
    slots = [slot for shard in range(plan.shard_count) for slot in plan.slots(shard)]
    clips = {slot.copy: slot for slot in slots if plan.rows[slot.row].path == lost}
    bad, read, calls = draw_cut(plan, clips[1]), Guard.read_clips, list[tuple[str, int]]()

    def one_is_bad(self: Guard, video: Row, requests: Sequence[ClipRequest], size: int, **how: Any) -> object:
        calls.append((video.path, len(requests)))
        if video.path == lost and any(request.crop == bad.sample.crop for request in requests):
            raise VideoError("broken in the middle", where=video.name)
        return read(self, video, requests, size, **how)

    whole = made(plan, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(Guard, "read_clips", one_is_bad)
        report = run(plan, out, Engine())
        left_out = sorted(clips[copy].clip for copy in (0, 1))
        assert [(failure.clip, failure.path) for failure in report.failures] == [(clip, lost) for clip in left_out]
        assert report.clips == 106  # copy 2 is of another round
        assert sorted(calls) == sorted((row.path, number) for row in plan.rows for number in (2, 1))
        before = {path: path.stat().st_mtime_ns for path in out.glob("[0-9]*/*")}
        calls.clear()
        assert run(plan, out, Engine(), retry_failed=True).rendered == 0
        assert calls == [(lost, 2)]
        assert {path: path.stat().st_mtime_ns for path in out.glob("[0-9]*/*")} == before
    run(plan, out, Engine(), retry_failed=True)
    assert made(plan, out) == whole


def stopped_at(clip: int) -> Callable[[ShardWriter, Record], None]:
    append = ShardWriter.append

    def stop(self: ShardWriter, record: Record) -> None:
        if record.clip == clip:
            raise KeyboardInterrupt
        append(self, record)

    return stop


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    recipe=st.sampled_from(["fademixup", "vipriors2020", "randaugment_mix", "none"]),
    copies=st.integers(1, 5),
    together=st.integers(1, 5),
    clips_per_shard=st.sampled_from([16, 48, 80]),
    original=st.booleans(),
    seed=st.integers(0, 9),
    lost=st.sets(st.integers(0, 35), max_size=2),
)
def test_workers_batches_parts_and_stops_change_no_byte(
    video_folder: Path, tmp_path_factory: pytest.TempPathFactory, recipe: str, copies: int, together: int,
    clips_per_shard: int, original: bool, seed: int, lost: set[int],
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("any")
    counts = {"copies": copies, "copies_per_round": together, "clips_per_shard": clips_per_shard}
    plan = plan_of(video_folder, recipe, seed=seed, keep_original=original, **counts)
    wrong = {row: replace(plan.rows[row], frames=plan.rows[row].frames + 1000) for row in lost}  # not what they were
    plan = replace(plan, rows=tuple(wrong.get(number, row) for number, row in enumerate(plan.rows)))
    whole = made(plan, folder / "whole")
    failures = [json.loads(line) for line in (folder / "whole" / "failures.jsonl").read_text().splitlines()]
    assert {failure["path"] for failure in failures} <= {row.path for row in wrong.values()}
    assert made(plan, folder / "1", batch=1) == whole
    assert made(plan, folder / "3", batch=3, workers=2) == whole
    assert made(plan, folder / "64", batch=64) == whole
    made(plan, folder / "parts", part=Part(1, 2))
    assert made(plan, folder / "parts", part=Part(0, 2)) == whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardWriter, "append", stopped_at(plan.clips // 2))
        with suppress(KeyboardInterrupt):
            made(plan, folder / "stopped")
    assert made(plan, folder / "stopped") == whole
    assert verify(folder / "stopped", workers=1) == ([], plan.shard_count)
    assert all(result.equal for result in replay_clips(folder / "stopped", 5, Engine()))
