"""Damage to what was written: `verify` finds every bit of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from console import vidaug

from faults.runs import LONG, SMALL, Whole
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.shard.format import done_path, finished_shards, shard_path


@pytest.fixture(scope="module", params=["raw", "jpeg", "video"])
def made(request: pytest.FixtureRequest, whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of each codec."""
    out = tmp_path_factory.mktemp(request.param) / "out"
    words = (*SMALL[:-1], 2, "--codec", request.param, "-j", 1, "-q")
    assert vidaug("augment", whole.manifest, "-o", out, *words).code == 0
    return out


def found(out: Path, path: Path) -> bool:
    return any(fault.path == str(path) for fault in verify(out, workers=1)[0])


def test_a_flipped_bit_in_each_kilobyte(made: Path) -> None:
    path, draw = shard_path(made, 0), np.random.default_rng(0)
    good = path.read_bytes()
    for start in range(0, len(good), 1024):
        bad = bytearray(good)
        bad[min(start + int(draw.integers(1024)), len(bad) - 1)] ^= 1 << int(draw.integers(8))
        path.write_bytes(bad)
        assert found(made, path), start
    path.write_bytes(good)
    assert verify(made, workers=1)[0] == []


def test_a_cut_at_any_length(made: Path) -> None:
    path, draw = shard_path(made, 0), np.random.default_rng(0)
    good = path.read_bytes()
    for length in [0, len(good) - 1, *draw.integers(0, len(good), LONG or 10).tolist()]:
        path.write_bytes(good[:length])
        assert found(made, path), length
    path.write_bytes(good + b"\0")
    assert found(made, path)
    path.write_bytes(good)


def test_two_shards_that_changed_places(made: Path) -> None:
    """With their records, so that each is whole in itself."""
    one, other = (shard_path(made, number) for number in (0, 1))
    for wrong in (True, False):
        for a, b in ((one, other), (done_path(one), done_path(other))):
            content = a.read_bytes()
            a.write_bytes(b.read_bytes())
            b.write_bytes(content)
        assert (found(made, one), found(made, other)) == (wrong, wrong)
    shutil.copy(one, other)
    shutil.copy(done_path(one), done_path(other))
    assert found(made, other)


def edited(key: str, value: object) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | {key: value}).encode()


@pytest.mark.parametrize(
    "edit",
    [
        edited("bytes", 7), edited("xxh3", "0" * 32), edited("clips", 3), edited("shard", 1), edited("failures", [{}]),
        edited("version", 2), lambda content: content[:-9], lambda _: b"",
    ],
)  # fmt: skip
def test_a_record_that_was_edited(whole: Whole, tmp_path: Path, edit: Callable[[bytes], bytes]) -> None:
    shutil.copytree(whole.manifest.parent / "out", tmp_path / "out")
    path = shard_path(tmp_path / "out", 0)
    done_path(path).write_bytes(edit(done_path(path).read_bytes()))
    assert found(tmp_path / "out", path)


def test_every_row_of_a_manifest_that_was_edited(whole: Whole, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole.manifest.parent / "out", out)
    manifest = out / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    for place, line in enumerate(lines):
        for old, new in (('"frames": 8', '"frames": 7'), ("class_", "klass_"), ('"width": 64', '"width": 46')):
            assert old in line
            manifest.write_text("".join([*lines[:place], line.replace(old, new), *lines[place + 1 :]]))
            done = vidaug("verify", out, "-j", 1)
            assert done.code == 1, (place, old)
            assert "Traceback" not in done.err
    manifest.write_text("".join(lines))
    assert vidaug("verify", out, "-j", 1).code == 0
    assert len(finished_shards(out)) == len(whole.files) // 2
