"""Shards made around a GPU, without one: the bytes are those of one worker, and whatever ends it ends all of it."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from console import vidaug

from vidaug_cli.augment import finish
from vidaug_cli.augment.finish import choose_workers, devices_of
from vidaug_cli.augment.part import Part
from vidaug_cli.augment.pipeline import BehindWriter, one_ahead, pinned, render_ahead, render_shard
from vidaug_cli.augment.plan import Plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import run
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.format import DoneRecord, Record, shard_path
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.errors import DiskSpaceError, UnwritableError, VideoError
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.workers import at_once

LOST = "class_1/video_04.avi"


@pytest.fixture(scope="module")
def videos(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(video_folder, tmp_path_factory.mktemp("videos") / "videos"))


@pytest.fixture(scope="module")
def plan(videos: Path) -> Plan:
    """36 videos in three groups, five copies in two rounds, and originals; one video is lost after the scan."""
    rows, spec = tuple(read_input(str(videos)).rows), ClipSpec(frames=4, size=32)
    plan = Plan(
        rows=rows, recipe=load_recipe("fademixup"), spec=spec, copies=5, keep_original=True, clips_per_shard=128
    )
    (videos / LOST).write_bytes(b"not a video any more")
    return plan


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out/shards").mkdir(parents=True)
    return tmp_path / "out"


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("[0-9]*/*")}


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    before = set(threading.enumerate())  # other tests may have left some
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("decoders", [1, 3])
def test_the_bytes_are_those_of_one_worker(plan: Plan, out: Path, tmp_path: Path, decoders: int) -> None:
    assert max(len(plan.groups(index)) for index in range(plan.shard_count)) > 1
    made = render_ahead(plan, out, range(plan.shard_count), Engine(batch=3), decoders)
    records = [record for record in made if isinstance(record, DoneRecord)]
    assert [record.shard for record in records] == list(range(plan.shard_count))
    assert sum(len(record.failures) for record in records) == 6
    alone = tmp_path / "alone"
    alone.mkdir()
    assert [at_once(render_shard, plan, alone, index, Engine()) for index in range(plan.shard_count)] == records
    assert files(out) == files(alone)


def test_ended_early_it_leaves_whole_shards(plan: Plan, out: Path) -> None:
    with closing(render_ahead(plan, out, range(plan.shard_count), Engine(), 2)) as records:
        assert next(records).shard == 0
    names = set(files(out))
    assert names >= {"shard-00000.h5", "shard-00000.json"}
    assert not [name for name in names if name.startswith(".")]
    assert {name.replace(".h5", ".json") for name in names if name.endswith(".h5")} <= names


def test_a_video_that_must_not_fail(plan: Plan, out: Path) -> None:
    with pytest.raises(VideoError, match="--on-error skip leaves it out"):
        list(render_ahead(plan, out, range(plan.shard_count), Engine(), 2, "fail"))
    assert not [name for name in files(out) if name.startswith(".")]


def test_a_disk_that_takes_no_more(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said by a later clip, or when the shard is closed."""
    append = ShardWriter.append

    def full(self: ShardWriter, record: Record) -> None:
        append(self, record)
        if len(self._rows) == 20:
            self._sink.error = OSError(28, "No space left on device")

    monkeypatch.setattr(ShardWriter, "append", full)
    for shards in (range(1), range(plan.shard_count)):
        with pytest.raises(DiskSpaceError, match="cannot be written: No space left on device"):
            list(render_ahead(plan, out, shards, Engine(), 2))
        assert files(out) == {}
    shutil.rmtree(out)
    with pytest.raises(UnwritableError, match="cannot be written"):
        list(render_ahead(plan, out, range(1), Engine(), 2))


def test_clips_wait_only_up_to_a_limit(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidaug_cli.augment.pipeline.WAITING", 2 * 4 * 32 * 32 * 3)
    going, written = threading.Event(), list[object]()

    def append(_: ShardWriter, record: Record) -> None:
        going.wait(20)
        written.append(record)

    monkeypatch.setattr(ShardWriter, "append", append)
    writer = BehindWriter(ShardWriter(shard_path(out, 0), plan.shard_header(0, "cpu")))
    ahead = threading.Thread(target=lambda: [*map(writer.append, range(5))])  # type: ignore[arg-type]
    ahead.start()
    ahead.join(0.3)
    assert ahead.is_alive()
    assert len(writer._begun) == 2
    going.set()
    ahead.join()
    writer.give_up()
    assert written[:3] == [0, 1, 2]
    assert files(out) == {}


def test_each_is_made_before_the_one_before_is_used() -> None:
    seen: list[str] = []

    def made() -> Iterator[int]:
        for number in range(3):
            seen.append(f"made {number}")
            yield number

    for number in one_ahead(made()):
        seen.append(f"used {number}")
    assert seen == ["made 0", "made 1", "used 0", "made 2", "used 1", "used 2"]
    assert list(one_ahead(iter(()))) == []
    assert list(one_ahead(iter("a"))) == ["a"]


def test_memory_is_pinned_while_a_gpu_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, pixels = [], np.empty((1, 2, 3, 4, 4, 3), np.uint8)

    class Runtime:
        def cudaHostRegister(self, *what: int) -> int:  # noqa: N802
            calls.append(what)
            return 0

        def cudaHostUnregister(self, *what: int) -> int:  # noqa: N802
            calls.append(what)
            return 0

    monkeypatch.setattr(torch.cuda, "cudart", Runtime)
    with pinned(pixels, Engine()):
        assert calls == []
    with pinned(pixels, Engine(device="cuda:0")):
        assert calls == [(pixels.ctypes.data, pixels.nbytes, 1)]
    assert calls[1:] == [(pixels.ctypes.data,)]


@pytest.mark.parametrize("gpus", [1, 2])
def test_a_run_on_gpus(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    """The CPU stands for each of them. What is done stays, and failures are tried again as on the CPU."""
    run(plan, tmp_path / "alone", Engine())
    monkeypatch.setattr(finish, "devices_of", lambda _: ["cpu"] * gpus)
    monkeypatch.setattr(finish, "IN_A_ROW", 1)
    out, engine = tmp_path / "out", Engine(device="cuda")
    first = run(plan, out, engine, workers=3, part=Part(0, 2))
    assert first.rendered > 0
    whole = run(plan, out, engine, workers=3)
    assert files(out) == files(tmp_path / "alone")
    assert (whole.rendered + first.rendered, len(whole.failures)) == (35 * 6, 6)
    assert run(plan, out, engine, workers=3, retry_failed=True).rendered == 0
    with pytest.raises(VideoError, match="--on-error skip leaves it out"):
        run(plan, out, engine, workers=3, retry_failed=True, on_error="fail")


def test_what_is_chosen_is_said(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "free_memory", lambda: 4.1e9)
    assert choose_workers(plan, Engine(), 4) == (4, "4 workers on 4 cores")
    assert choose_workers(plan, Engine(), 1) == (1, "1 worker on 1 core")
    assert choose_workers(plan, Engine(), 16) == (6, "6 workers on 16 cores, as 4.1 GB of memory are free")
    large = replace(plan, spec=ClipSpec(frames=64, size=160))
    assert choose_workers(large, Engine(), 16)[0] == 3
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    said = "16 processes to decode, one for each core, for cuda:0, cuda:1"
    assert choose_workers(plan, Engine(device="cuda"), 16) == (16, said)
    assert devices_of(Engine(device="cuda:1")) == ["cuda:1"]


def test_the_command_says_it_only_where_nobody_did(videos: Path, tmp_path: Path) -> None:
    words = ["augment", videos, "--frames", 4, "--size", 32, "-r", "none"]
    assert re.search(r"^[0-9]+ workers? on [0-9]+ cores?", vidaug(*words, "-o", tmp_path / "a").err, re.MULTILINE)
    assert "worker" not in vidaug(*words, "-o", tmp_path / "b", "-j", 1).err
