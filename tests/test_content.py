"""A video that was changed, with its length and times kept, is refused and never taken for the one that was scanned."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xxhash
from conftest import write_video
from console import vidaug
from PIL import Image

from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.video.content import END, SAMPLE, SAMPLES, content_hash
from vidaug_cli.errors import VideoError

WORDS = ("-r", "none", "--frames", 4, "--size", 16, "-j", 1)


def swapped(path: Path, change: Callable[[bytearray], None]) -> None:
    """Change a file and keep its length and its times."""
    about, content = path.stat(), bytearray(path.read_bytes())
    change(content)
    assert len(content) == about.st_size
    path.write_bytes(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four videos, and one of images."""
    for number in range(4):
        write_video(tmp_path / f"videos/{'ab'[number % 2]}/{number}.avi", frames=8)
    return tmp_path / "videos"


def scanned(folder: Path, *words: object) -> Path:
    manifest = folder.parent / "manifest.jsonl"
    assert vidaug("scan", folder, "-o", manifest, "--no-cache", *words).code == 0
    return manifest


@pytest.mark.parametrize("kind", ["samples", "full"])
def test_a_changed_video_is_left_out_with_its_reason(folder: Path, tmp_path: Path, kind: str) -> None:
    """Also when it is as good a video as before: another one of the same length."""
    manifest = scanned(folder, "--hash", kind)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert all(row["hash"].startswith(f"{kind}:") for row in rows)
    whole = vidaug("augment", manifest, "-o", tmp_path / "out", *WORDS)
    assert whole.code == 0, whole.err

    def another(content: bytearray) -> None:
        content[:] = content.replace(b"Lavf", b"LAVF") if b"Lavf" in content else content[::-1]

    swapped(folder / "a/2.avi", another)
    done = vidaug("augment", manifest, "-o", tmp_path / "again", *WORDS)
    assert done.code == 3
    assert "a/2.avi: is another video than was scanned: its bytes have changed; scan it again" in done.err
    replayed = vidaug("replay", tmp_path / "out", "--all")
    assert replayed.code == 1
    assert "its bytes have changed" in replayed.out
    rescanned = vidaug("augment", scanned(folder), "-o", tmp_path / "third", *WORDS)
    assert rescanned.code == 0


def test_a_manifest_without_hashes_is_used_as_before(folder: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in scanned(folder).read_text().splitlines()]
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(row | {"hash": None}) + "\n" for row in rows))
    assert vidaug("augment", tmp_path / "old.jsonl", "-o", tmp_path / "out", *WORDS).code == 0
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(row | {"hash": "md5:12"}) + "\n" for row in rows))
    done = vidaug("augment", tmp_path / "odd.jsonl", "-o", tmp_path / "odd", *WORDS)
    assert done.code == 1
    assert "odd.jsonl:1: hash = 'md5:12' should be samples: or full: and 16 hexadecimal digits" in done.err


def test_the_hash_is_the_one_that_other_programs_find(tmp_path: Path) -> None:
    content = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()
    (tmp_path / "a").write_bytes(content)
    told = f"\0{len(content)}\0".encode()
    assert content_hash(tmp_path / "a", "full") == "full:" + xxhash.xxh3_64_hexdigest(told + content)
    step = (len(content) - 2 * END - SAMPLE) / (SAMPLES - 1)
    middle = b"".join(content[END + int(place * step) :][:SAMPLE] for place in range(SAMPLES))
    sampled = told + content[:END] + middle + content[-END:]
    assert content_hash(tmp_path / "a") == "samples:" + xxhash.xxh3_64_hexdigest(sampled)
    (tmp_path / "short").write_bytes(content[: 2 * END])
    short = content_hash(tmp_path / "short"), content_hash(tmp_path / "short", "full")
    assert [text.partition(":")[2] for text in short] == [
        xxhash.xxh3_64_hexdigest(f"\0{2 * END}\0".encode() + content[: 2 * END])
    ] * 2


@pytest.mark.parametrize(("place", "seen"), [(0, True), (END - 1, True), (1_500_000, False), (2_999_999, True)])
def test_samples_see_head_and_tail(tmp_path: Path, place: int, seen: bool) -> None:
    (tmp_path / "a").write_bytes(bytes(3_000_000))
    before = content_hash(tmp_path / "a"), content_hash(tmp_path / "a", "full")
    swapped(tmp_path / "a", lambda content: content.__setitem__(place, 1))
    assert (content_hash(tmp_path / "a") != before[0]) == seen
    assert content_hash(tmp_path / "a", "full") != before[1]


def test_frame_images(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(40):
            path = tmp_path / f"frames/{name}/clip/{number:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 24), (number, 0, 0)).save(path)
    (row, _) = read_input(str(tmp_path / "frames")).rows
    assert row.hash is not None
    assert row.hash.startswith("samples:")
    known = content_hash(row.file, "full")
    first = row.file / "00000.png"
    swapped(first, lambda content: content.__setitem__(-20, content[-20] ^ 1))
    assert content_hash(row.file) != row.hash
    assert content_hash(row.file, "full") != known
    swapped(first, lambda content: content.__setitem__(-20, content[-20] ^ 1))
    assert content_hash(row.file) == row.hash
    (row.file / "00039.png").rename(row.file / "00040.png")  # names count
    assert content_hash(row.file) != row.hash


def test_a_file_that_is_changed_between_two_clips_is_noticed(folder: Path) -> None:
    from vidaug_cli.data.video.reader import ClipRequest, read_clips

    row = read_input(str(folder)).rows[0]
    request = ClipRequest(np.arange(4, dtype=np.int32), None)
    read_clips(row.file, [request], 16, row=row)
    swapped(row.file, lambda content: content.__setitem__(-1, content[-1] ^ 1))
    with pytest.raises(VideoError, match="its bytes have changed") as error:
        read_clips(row.file, [request], 16, row=row)
    assert not error.value.passing
