"""Rendering: the bytes of a shard follow from the plan alone, whatever fails, stops or runs beside it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from console import vidaug

from vidaug_cli.augment import output, render
from vidaug_cli.augment import replay as replaying
from vidaug_cli.augment.claims import lock_path
from vidaug_cli.augment.inspect import summarise
from vidaug_cli.augment.lock import lock_file
from vidaug_cli.augment.part import Part
from vidaug_cli.augment.plan import ORIGINAL, Plan
from vidaug_cli.augment.render import Engine, draw_cut, draw_mixture, render_group
from vidaug_cli.augment.replay import replay_clips
from vidaug_cli.augment.run import Report, run
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.format import Failure, Record, done_path, shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.device import resolve_device
from vidaug_cli.errors import OccupiedError, ShardError, VidaugError, VideoError
from vidaug_cli.recipe.loading import load_recipe

SPEC = ClipSpec(frames=8, size=32)


def make_plan(folder: Path, *recipes: str, **settings: Any) -> Plan:
    rows = tuple(read_input(str(folder)).rows)
    return Plan(rows=rows, recipe=load_recipe(*recipes), spec=SPEC, clips_per_shard=32, **settings)


def shard_bytes(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("[0-9]*/*"))}


def rendered(plan: Plan, out: Path, **how: Any) -> Report:
    engine = Engine(batch=how.pop("batch", 8))
    return run(plan, out, engine, **how)


@pytest.fixture(scope="module")
def mixed(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards of a plan with everything in it."""
    out = tmp_path_factory.mktemp("mixed") / "out"
    rendered(make_plan(video_folder, "vipriors2020", "cutout", copies=2, keep_original=True), out)
    return out


@pytest.mark.parametrize("how", [{"workers": 2}, {"batch": 1}, {"batch": 100}], ids=str)
def test_workers_and_batch_size_change_no_byte(
    video_folder: Path, mixed: Path, tmp_path: Path, how: dict[str, int]
) -> None:
    rendered(make_plan(video_folder, "vipriors2020", "cutout", copies=2, keep_original=True), tmp_path / "out", **how)
    assert shard_bytes(tmp_path / "out") == shard_bytes(mixed)


def test_rendering_leaves_torch_its_threads(video_folder: Path, tmp_path: Path) -> None:
    """Else training after it would take one core, and sum up in another order than a run that is continued."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        rendered(make_plan(video_folder, "none"), tmp_path / "out", workers=1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_parts_together_are_the_whole(video_folder: Path, mixed: Path, tmp_path: Path) -> None:
    plan = make_plan(video_folder, "vipriors2020", "cutout", copies=2, keep_original=True)
    assert rendered(plan, tmp_path / "out", part=Part.parse("1/2")).shards == 2
    assert rendered(plan, tmp_path / "out", part=Part.parse("0/2")).shards == 3
    assert shard_bytes(tmp_path / "out") == shard_bytes(mixed)


def test_a_rerun_renders_only_what_is_missing(video_folder: Path, mixed: Path, tmp_path: Path) -> None:
    plan = make_plan(video_folder, "vipriors2020", "cutout", copies=2, keep_original=True)
    out = tmp_path / "out"
    shutil.copytree(mixed, out)
    assert rendered(plan, out).rendered == 0
    shard_path(out, 1).unlink()
    with shard_path(out, 2).open("ab") as file:
        file.truncate(1000)
    (out / "000" / ".shard-00002.h5.1-abcd.tmp").write_bytes(b"half")
    assert rendered(plan, out).rendered == 48
    assert shard_bytes(out) == shard_bytes(mixed)


def test_verify_finds_the_whole_folder_clean(mixed: Path) -> None:
    assert verify(mixed, workers=1) == ([], 5)


def test_every_clip_is_replayed_with_equal_bytes(mixed: Path) -> None:
    results = list(replay_clips(mixed, None, Engine()))
    assert len(results) == 108
    assert all(result.equal for result in results)


def test_replay_says_how_far_off_a_changed_clip_is(video_folder: Path, tmp_path: Path) -> None:
    """The source changes after rendering: same frames, other grey levels."""
    copy = tmp_path / "videos"
    shutil.copytree(video_folder, copy)
    out = tmp_path / "out"
    plan = make_plan(copy, "none")
    rendered(replace(plan, rows=[replace(row, hash=None) for row in plan.rows]), out)  # else it would not get so far
    with Shard(shard_path(out, 0)) as shard:
        row = int(shard.column("sources")[0, 0])
    rows = read_input(str(copy)).rows
    stranger = next(other for other in rows if other.path != rows[row].path and other.frames == rows[row].frames)
    shutil.copy(stranger.file, rows[row].file)
    (result,) = replay_clips(out, [0], Engine())
    assert not result.equal
    assert result.what.startswith("pixels differ by up to ")
    rows[row].file.unlink()
    (result,) = replay_clips(out, [0], Engine())
    assert not result.equal
    with pytest.raises(ShardError, match="has no clip 99"):
        list(replay_clips(out, [99], Engine()))


def say_device(shard: Path, name: bytes) -> None:
    with h5py.File(shard, "r+") as file:
        file.attrs.create("device", name, dtype=h5py.string_dtype("utf-8", len(name)))


@pytest.mark.parametrize(
    ("codec", "off", "allowed"), [("raw", 1, True), ("raw", 2, False), ("jpeg", 1, True), ("jpeg", 40, False)]
)
def test_replay_across_devices_allows_a_level(
    video_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, off: int, allowed: bool
) -> None:
    """A shard of a GPU, as far as its header says, whose pixels a CPU makes a little otherwise."""
    out = tmp_path / "out"
    rendered(make_plan(video_folder, "fademixup", codec=codec), out)
    say_device(shard_path(out, 0), b"cuda")
    assert all(result.what == "equal bytes" for result in replay_clips(out, 2, Engine()))

    def a_little_otherwise(*args: Any) -> Record:
        record = exact(*args)
        video = record.video.copy()
        video[:, :16, :16] += np.uint8(off)
        return replace(record, video=video, weights=record.weights * np.float32(1 + 1e-7))

    exact = render.replay
    monkeypatch.setattr(replaying, "replay", a_little_otherwise)
    (result,) = replay_clips(out, [0], Engine())
    assert result.equal == allowed
    assert result.what.startswith("pixels differ by up to ")
    than = "no more" if allowed else "more"
    assert result.what.endswith(f" of 255, {than} than cuda, which rendered it, and cpu may")
    say_device(shard_path(out, 0), b"cpu")
    (result,) = replay_clips(out, [0], Engine())
    assert not result.equal  # on the same kind of device a level is too much


def test_records_say_what_was_drawn(video_folder: Path, mixed: Path) -> None:
    plan = make_plan(video_folder, "vipriors2020", "cutout", copies=2, keep_original=True)
    with Shard(shard_path(mixed, 0)) as shard:
        records = [shard.record(index) for index in range(len(shard))]
    slots = plan.slots(0)
    partners = [slot for group in plan.groups(0) for ring in group for slot in (*ring[1:], ring[0])]
    for slot, partner, record in zip(slots, partners, records, strict=True):
        assert (record.clip, record.copy) == (slot.clip, slot.copy)
        assert record.sources == (slot.row, partner.row)
        mixture = draw_mixture(plan, slot)
        assert mixture is not None
        assert record.params["mix"]["op"] == mixture.op
        for params, drawn, numbers in (("own", slot, 0), ("partner", partner, 1)):
            cut = draw_cut(plan, drawn)
            assert record.params[params]["sample"] == json.loads(json.dumps(asdict(cut.sample)))
            assert [step["draw"] for step in record.params[params]["augment"]] == json.loads(json.dumps(cut.augment))
            assert record.frames[numbers].tolist() == cut.frames.tolist()
        own = float(record.weights.astype(np.float64).mean())
        expected = np.zeros(3)
        expected[plan.labels[slot.row]] += own
        expected[plan.labels[partner.row]] += 1 - own
        assert record.label == pytest.approx(expected, abs=1e-6)


def test_frames_are_the_ones_the_numbers_name(video_folder: Path, tmp_path: Path) -> None:
    """Pixels tell which frame was decoded: neighbours are 15 levels apart."""
    plan = make_plan(video_folder, "none")
    rendered(plan, tmp_path / "out")
    with Shard(shard_path(tmp_path / "out", 0)) as shard:
        for index in range(len(shard)):
            record = shard.record(index)
            number = int(plan.rows[record.sources[0]].path[-6:-4])
            expected = 10 + number + 15 * record.frames[0]
            assert np.abs(record.video.mean((1, 2, 3)) - expected).max() < 5
            assert record.sources[1] == -1
            assert (record.frames[1] == -1).all()


def test_originals_are_clean_and_alone(video_folder: Path, tmp_path: Path) -> None:
    plan = make_plan(video_folder, "vipriors2020", copies=0, keep_original=True)
    rendered(plan, tmp_path / "out")
    found = summarise(tmp_path / "out")
    assert (found.clips, found.originals, found.mixed, found.ops) == (36, 36, 0, {})
    with Shard(shard_path(tmp_path / "out", 0)) as shard:
        assert (shard.column("copy") == ORIGINAL).all()
        assert set(shard.column("labels").max(1)) == {1.0}


def test_jpeg_shards_hold_nearly_the_same_pixels(video_folder: Path, tmp_path: Path) -> None:
    plan = make_plan(video_folder, "fademixup")
    rendered(plan, tmp_path / "raw")
    rendered(replace(plan, codec="jpeg"), tmp_path / "jpeg")
    with Shard(shard_path(tmp_path / "raw", 0)) as raw, Shard(shard_path(tmp_path / "jpeg", 0)) as jpeg:
        assert np.abs(raw.video(3).astype(int) - jpeg.video(3)).max() <= 3
    assert verify(tmp_path / "jpeg", workers=1)[0] == []
    assert all(result.equal for result in replay_clips(tmp_path / "jpeg", 5, Engine()))


@pytest.fixture
def broken_folder(video_folder: Path, tmp_path: Path) -> tuple[Path, Plan]:
    """A plan in two copies, two of whose videos break after they were scanned."""
    folder = tmp_path / "videos"
    shutil.copytree(video_folder, folder)
    plan = make_plan(folder, "fademixup", copies=2)
    (folder / "class_1/video_04.avi").write_bytes(b"not a video any more")
    (folder / "class_2/video_08.avi").unlink()
    return folder, plan


def test_a_broken_video_leaves_its_clips_out_and_the_rings_close(
    broken_folder: tuple[Path, Plan], tmp_path: Path
) -> None:
    _, plan = broken_folder
    lost, out = {"class_1/video_04.avi", "class_2/video_08.avi"}, tmp_path / "out"
    report = rendered(plan, out)
    assert report.clips == 68
    clips = [slot.clip for shard in range(3) for slot in plan.slots(shard) if plan.rows[slot.row].path in lost]
    assert [failure.clip for failure in report.failures] == clips  # one for each clip, in plan order
    assert {failure.path for failure in report.failures} == lost
    lines = (out / "failures.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [vars(failure) for failure in report.failures]
    for index in range(3):
        rings = [[slot.row for slot in ring] for group in plan.groups(index) for ring in group]
        whole = [[row for row in ring if plan.rows[row].path not in lost] for ring in rings]
        with Shard(shard_path(out, index)) as shard:
            pairs = [pair for ring in whole for pair in zip(ring, ring[1:] + ring[:1], strict=True)]
            assert [tuple(pair) for pair in shard.column("sources").tolist()] == pairs
    assert verify(out, workers=1)[0] == []
    assert all(result.equal for result in replay_clips(out, None, Engine()))
    rendered(plan, tmp_path / "again", workers=2, batch=5)
    assert shard_bytes(tmp_path / "again") == shard_bytes(out)


def test_on_error_fail_stops_at_the_first(broken_folder: tuple[Path, Plan], tmp_path: Path) -> None:
    _, plan = broken_folder
    with pytest.raises(VideoError, match=r"class_\d/video_0[48]\.avi: .*--on-error skip leaves it out"):
        rendered(plan, tmp_path / "out", on_error="fail")
    assert not list((tmp_path / "out").glob("[0-9]*/*"))


def test_a_group_with_one_good_video_is_not_mixed_with_itself(broken_folder: tuple[Path, Plan], tmp_path: Path) -> None:
    _, plan = broken_folder
    slots = [slot for shard in range(3) for slot in plan.slots(shard)]
    bad = next(slot for slot in slots if plan.rows[slot.row].path == "class_1/video_04.avi")
    good = next(slot for slot in slots if plan.rows[slot.row].path == "class_0/video_00.avi")
    failures: list[Failure] = []
    (record,) = render_group(plan, Engine(), ((good, bad),), failures)
    assert len(failures) == 1
    assert record.sources == (good.row, -1)
    assert record.label.max() == 1


def test_a_video_that_grew_shorter_is_noticed(video_folder: Path, tmp_path: Path) -> None:
    plan = make_plan(video_folder, "none")
    longer = replace(plan, rows=tuple(replace(row, frames=10_000) for row in plan.rows))
    report = rendered(longer, tmp_path / "out")
    assert len(report.failures) == 36
    assert "frames, and the manifest says 10000" in report.failures[0].reason
    assert (report.clips, verify(tmp_path / "out", workers=1)[0]) == (0, [])


def test_an_estimated_length_is_tolerated(video_folder: Path, tmp_path: Path) -> None:
    plan = make_plan(video_folder, "none")
    guessed = replace(plan, rows=tuple(replace(row, frames=row.frames + 2, probe="header") for row in plan.rows))
    assert rendered(guessed, tmp_path / "out").failures == ()
    assert all(result.equal for result in replay_clips(tmp_path / "out", None, Engine()))


def test_another_plan_is_refused_and_overwrite_deletes_only_what_it_wrote(video_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rendered(make_plan(video_folder, "fademixup", copies=2), out)
    (out / "notes.txt").write_text("mine")
    (out / "000" / "mine.h5").write_text("mine too")
    differing = r"copies \(2 there, 1 now\), recipe \(fademixup there, mixup now\)"
    with pytest.raises(ShardError, match=f"another plan, which differs in {differing}; choose another folder"):
        rendered(make_plan(video_folder, "mixup"), out)
    rendered(make_plan(video_folder, "mixup"), out, overwrite=True)
    assert (out / "notes.txt").exists()
    assert sorted(path.name for path in out.glob("[0-9]*/*")) == [
        "mine.h5", "shard-00000.h5", "shard-00000.json", "shard-00001.h5", "shard-00001.json",
    ]  # fmt: skip
    assert [fault.what for fault in verify(out, workers=1)[0]] == ["is not a shard of this plan"]


def test_somebody_elses_folder_is_refused(video_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OccupiedError, match="is not empty and was not written by vidaug"):
        rendered(make_plan(video_folder, "none"), video_folder)
    (tmp_path / "file").touch()
    with pytest.raises(OccupiedError, match="is a file"):
        rendered(make_plan(video_folder, "none"), tmp_path / "file")


def test_a_disk_that_is_too_small_is_refused(
    video_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "free_bytes", lambda out: output.RESERVE + 1000)
    plan = make_plan(video_folder, "none")
    with pytest.raises(VidaugError, match=r"needs about 1.0 MB and 268 MB to spare, and 268 MB are free; --codec jpeg"):
        rendered(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert rendered(plan, tmp_path / "out", force=True).clips == 36


@pytest.mark.parametrize("damage", ["missing", "bit", "short", "record", "swapped"])
def test_verify_lists_damage(mixed: Path, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "out"
    shutil.copytree(mixed, out)
    path = shard_path(out, 1)
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "bit":
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    elif damage == "short":
        path.write_bytes(content[:-100])
    elif damage == "record":
        done_path(path).write_text("{}")
    else:
        for suffix in (".h5", ".json"):
            shutil.copy(shard_path(out, 0).with_suffix(suffix), path.with_suffix(suffix))
    faults, _ = verify(out, workers=1)
    assert len(faults) >= 1
    assert {fault.path for fault in faults} == {str(path)}


SHARDS = 20
LONG = ["-r", "fademixup", "--frames", "8", "--size", "96", "--copies", str(SHARDS), "--clips-per-shard", "32"]


def augment(folder: Path, out: Path) -> None:
    """The command in this process: the tests' own has torch loaded already."""
    assert vidaug("augment", folder, "-o", out, *LONG, "-j", "1").code == 0


@pytest.fixture(scope="module")
def unbroken(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("unbroken") / "out"
    augment(video_folder, out)
    return shard_bytes(out)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_in_the_middle_and_continued(
    video_folder: Path, unbroken: dict[str, bytes], tmp_path: Path, number: int, code: int, workers: int
) -> None:
    """The same command continues and ends with the bytes of an unbroken run; nothing half-written stays.

    Its last shard is held by this process, for which it waits at the end: so it is killed before that, however late.
    """
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "vidaug_cli", "augment", str(video_folder), "-o", str(out), *LONG, "--join"]
    with lock_file(lock_path(out, SHARDS - 1)):
        process = subprocess.Popen([*command, "-j", str(workers)], stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        while len(list(out.glob("[0-9]*/*.json"))) < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        os.kill(process.pid, number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    assert len(list(out.glob("[0-9]*/*.json"))) < SHARDS
    if number != signal.SIGKILL:
        assert not list(out.rglob(".*"))
        assert "what is finished is kept" in stderr
    augment(video_folder, out)
    assert shard_bytes(out) == unbroken
    assert not list(out.rglob(".*"))


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    with pytest.raises(VidaugError, match="no device 'cuda:999") as error:
        resolve_device("cuda:" + "9" * 5000)
    assert len(str(error.value)) < 100
    for name in ("cuda", "cuda:0", "cuda:x", "tpu", "cpu:0", "cuda:²", "cuda:٣", "cuda:", "cuda:-1"):
        with pytest.raises(VidaugError, match=f"no device '{name}'"):
            resolve_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [resolve_device(name) for name in ("auto", "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
