"""Damage to what was written: `verify` finds every bit of it."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from console import vidaug

from faults.runs import LONG, SMALL, Whole, mutated
from vidaug_cli.augment import plan
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.shard.format import DoneRecord, done_path, finished_shards, read_done, shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import VidaugError

MUTATED = {  # files of a folder, and how often each is mutated with each of three codecs: shards 2,000 times in the end
    "000/shard-00000.h5": 40 * LONG // 3 + 1 if LONG else 17,
    **dict.fromkeys(("000/shard-00000.json", "manifest.jsonl", "manifest.index", "plan.json"), 4 * LONG or 6),
}


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
            moved = a.read_bytes()
            a.write_bytes(b.read_bytes())
            b.write_bytes(moved)
        assert (found(made, one), found(made, other)) == (wrong, wrong)
    good = {path: path.read_bytes() for path in (other, done_path(other))}
    shutil.copy(one, other)
    shutil.copy(done_path(one), done_path(other))
    assert found(made, other)
    for path, content in good.items():
        path.write_bytes(content)


def content(out: Path) -> tuple[list[bytes], list[DoneRecord]]:
    """All that the clips say, and the records."""
    shards = finished_shards(out).values()
    clips = []
    for path in shards:
        with Shard(path) as shard:
            for number in range(len(shard)):
                clips.append(pickle.dumps(shard.record(number)))
    return clips, [read_done(done_path(path)) for path in shards]


def wrong(out: Path) -> bool:
    """Whether `verify` finds anything; an error that is not meant for the user passes through."""
    plan._read_once.cache_clear()  # as in a process that begins
    try:
        return bool(verify(out, workers=1)[0])
    except VidaugError:
        return True


@pytest.mark.parametrize("name", MUTATED)
def test_a_file_that_was_mutated(made: Path, name: str) -> None:
    """It is found, or says the same as before."""
    path, draw, found = made / name, np.random.default_rng(len(name)), 0
    good, before = path.read_bytes(), content(made)
    try:
        for number in range(MUTATED[name]):
            path.write_bytes(mutated(good, draw))
            if wrong(made):
                found += 1
            else:
                assert content(made) == before, number
    finally:
        path.write_bytes(good)  # the next tests have the folder, too
    assert not wrong(made)
    assert found > MUTATED[name] // 2 or name == "manifest.index"  # which is made again from the manifest


def edited(key: str, value: object) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | {key: value}).encode()


@pytest.mark.parametrize(
    "edit",
    [
        edited("bytes", 7), edited("xxh3", "0" * 32), edited("clips", 3), edited("shard", 1), edited("failures", [{}]),
        edited("version", 2), edited("extremes", None), edited("of a later release", 1),
        lambda content: content[:-9], lambda _: b"",
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
