"""`vidaug merge`: what a merged folder holds, what is refused, and what a run that was broken off leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from console import Done, vidaug

from vidaug_cli.augment import merge as merging
from vidaug_cli.augment.lock import lock_file
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.kinds import parts_of
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.format import done_path, shard_path

SHAPE = ["-r", "mixup", "--frames", "8", "--size", "32", "--clips-per-shard", "16", "-j", "1", "-q"]


@pytest.fixture(scope="module")
def made(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `one` and `two` of 36 clips in three shards each, with their classes in opposite order."""
    folder = tmp_path_factory.mktemp("made")
    for seed, (name, order) in enumerate({"one": (0, 1, 2), "two": (2, 1, 0)}.items()):
        (folder / "classes").write_text("".join(f"class_{number}\n" for number in order))
        words = ["-o", folder / name, "--classes", folder / "classes", "--seed", seed, *SHAPE]
        assert vidaug("augment", video_folder, *words).code == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "made"))


def merge(folder: Path, *words: object) -> Done:
    return vidaug("merge", folder / "one", folder / "two", "-o", folder / "all", "--json", *words)


def files(folder: Path) -> dict[str, bytes]:
    """All files but the typed command, which makes another folder than a merged one, and the card of that."""
    others = ("command.json", "README.md", "croissant.json")
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in others)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("copy", [False, True])
def test_a_merged_folder_holds_all_files_of_each(folder: Path, copy: bool) -> None:
    done = merge(folder, *["--copy"] * copy)
    assert done.code == 0
    found = done.result
    count = len(files(folder / "one")) + len(files(folder / "two"))
    assert (found["linked"], found["copied"]) == ((0, count) if copy else (count, 0))
    assert (found["parts"], found["shards"], found["clips"]) == (2, 6, 72)
    for part, name in (("part-001", "one"), ("part-002", "two")):
        assert files(folder / "all" / part) == files(folder / name)
        pairs = ((folder / "all" / part / file, folder / name / file) for file in files(folder / name))
        assert {one.samefile(other) for one, other in pairs} == {not copy}
    assert verify(folder / "all") == ([], 6)
    assert sorted(path.name for path in folder.iterdir()) == ["all", "classes", "one", "two"]


def test_a_merged_folder_is_the_data_set_of_its_folders(folder: Path) -> None:
    assert merge(folder).code == 0
    merged, both = ShardDataset(folder / "all"), ShardDataset([folder / "one", folder / "two"])
    assert (merged.classes, len(merged)) == (both.classes, 72)
    for clip in (0, 20, 50, 71):
        assert all((one == other).all() for one, other in zip(merged[clip], both[clip], strict=True))
    assert vidaug("replay", folder / "all", "--count", "4", "-q").code == 0


def test_the_same_command_again_does_nothing(folder: Path) -> None:
    assert merge(folder).code == 0
    before = {path: path.stat().st_mtime_ns for path in (folder / "all").rglob("*")}
    found = merge(folder).result
    assert (found["linked"], found["copied"], found["clips"]) == (0, 0, 72)
    assert {path: path.stat().st_mtime_ns for path in (folder / "all").rglob("*")} == before


@pytest.mark.parametrize(("copy", "files_done"), [(False, 1), (False, 12), (True, 12)])
def test_a_merge_goes_on_where_it_was_broken_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch, copy: bool, files_done: int
) -> None:
    """Nothing is seen before all is there, and no file is made twice."""
    put, calls = merging._put, 0

    def broken(source: Path, target: Path, **how: bool) -> object:
        nonlocal calls
        calls += 1
        if calls > files_done:
            raise KeyboardInterrupt
        return put(source, target, **how)

    words = ["--copy"] * copy
    monkeypatch.setattr(merging, "_put", broken)
    assert merge(folder, *words).code == 130
    assert not (folder / "all").exists()
    monkeypatch.undo()
    found = merge(folder, *words).result
    count = len(files(folder / "one")) + len(files(folder / "two"))
    assert found["linked"] + found["copied"] == count - files_done
    assert verify(folder / "all") == ([], 6)
    assert files(folder / "all/part-002") == files(folder / "two")
    assert sorted(path.name for path in folder.iterdir()) == ["all", "classes", "one", "two"]


KILLED = """
import os, shutil, signal, sys
from vidaug_cli.main import main
copied, copy2 = 0, shutil.copy2
def killed(source, target):
    global copied
    copied += 1
    copy2(source, target)
    if copied == 9:
        os.kill(os.getpid(), signal.SIGKILL)
shutil.copy2 = killed
main()
"""


def test_a_killed_merge_leaves_nothing_in_the_end(folder: Path) -> None:
    """It dies with a file that has no name yet, and with its lock."""
    words = ["merge", folder / "one", folder / "two", "-o", folder / "all", "--copy", "-q"]
    dead = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], check=False)
    assert dead.returncode == -signal.SIGKILL
    assert len(list(folder.rglob("*.tmp"))) == 1
    assert merge(folder, "--copy").code == 0
    assert files(folder / "all/part-001") == files(folder / "one")
    assert files(folder / "all/part-002") == files(folder / "two")
    assert sorted(path.name for path in folder.iterdir()) == ["all", "classes", "one", "two"]


def test_a_file_that_changed_since_is_taken_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "take_place", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert merge(folder, "--copy").code == 130
    monkeypatch.undo()
    record = done_path(shard_path(folder / "two", 1))
    record.write_text(record.read_text().replace("\n", "\n\n", 1))
    assert merge(folder, "--copy").result["copied"] == 1
    assert files(folder / "all/part-002") == files(folder / "two")


def test_files_are_copied_where_there_are_no_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_disk(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_disk)
    found = merge(folder).result
    assert found["linked"] == 0
    assert found["copied"] == len(files(folder / "one")) + len(files(folder / "two"))
    assert verify(folder / "all") == ([], 6)


def test_a_merged_folder_can_be_merged(folder: Path, video_folder: Path) -> None:
    assert merge(folder).code == 0
    assert vidaug("augment", video_folder, "-o", folder / "three", "--seed", "7", *SHAPE).code == 0
    assert vidaug("merge", folder / "three", folder / "all", "-o", folder / "more", "-q").code == 0
    assert [path.name for path in parts_of(folder / "more")] == ["part-001", "part-002", "part-003"]
    assert len(ShardDataset(folder / "more")) == 108


def unfinished(folder: Path) -> None:
    done_path(shard_path(folder / "two", 2)).unlink()


def same_plan(folder: Path) -> None:
    shutil.rmtree(folder / "two")
    shutil.copytree(folder / "one", folder / "two")


def other_shape(folder: Path) -> None:
    shutil.rmtree(folder / "two")
    videos = json.loads((folder / "one/manifest.jsonl").read_text().splitlines()[0])["root"]
    assert vidaug("augment", videos, "-o", folder / "two", *SHAPE, "--frames", "9").code == 0


def other_classes(folder: Path) -> None:
    shutil.rmtree(folder / "two")
    videos = json.loads((folder / "one/manifest.jsonl").read_text().splitlines()[0])["root"]
    (folder / "classes").write_text("class_0\nclass_1\nclass_2\nclass_3\n")
    words = ["-o", folder / "two", "--classes", folder / "classes", *SHAPE]
    assert vidaug("augment", videos, *words).code == 0


def no_shards(folder: Path) -> None:
    shutil.rmtree(folder / "two")
    (folder / "two").mkdir()


def something_there(folder: Path) -> None:
    (folder / "all").mkdir()
    (folder / "all/mine.txt").touch()


def another_merge(folder: Path) -> None:
    assert vidaug("merge", folder / "two", folder / "one", "-o", folder / "all", "-q").code == 0


def another_begun(folder: Path) -> None:
    (folder / ".all.merging").mkdir()
    shutil.copytree(folder / "two", folder / ".all.merging/part-001")


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "unfinished": (unfinished, "{0}/two: holds 2 of 3 shards; the same 'vidaug augment' command makes the others"),
    "same plan": (same_plan, "{0}/two: has the plan of {0}/one; its clips would count twice"),
    "shape": (other_shape, "{0}/two: has clips of 9 frames of 32 pixels, and {0}/one has 8 of 32; train on each"),
    "classes": (
        other_classes,
        "{0}/two: has a class 'class_3', and {0}/one has not; 'vidaug augment --classes FILE'",
    ),
    "no shards": (no_shards, "{0}/two: is a folder without videos; a folder of shards is wanted here"),
    "there": (something_there, "{0}/all: holds something else than these folders; choose another folder"),
    "another merge": (another_merge, "{0}/all: holds something else than these folders; choose another folder"),
    "another begun": (
        another_begun,
        "{0}/.all.merging: holds a merge of other folders, which was broken off; ",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_leaves_nothing(folder: Path, change: Callable[[Path], None], message: str) -> None:
    change(folder)
    before = files(folder)
    done = merge(folder)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith("vidaug: error: " + message.format(folder))
    assert files(folder) == before


def test_a_full_disk_is_said_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "free_bytes", lambda _: 10**6)
    done = merge(folder, "--copy")
    assert done.code == 1
    assert "/all: needs " in done.err
    assert " to spare, and 1.0 MB are free; links take no room" in done.err
    assert not (folder / ".all.merging").exists()
    assert merge(folder).code == 0  # links need no room


def test_two_merges_at_once(folder: Path) -> None:
    with lock_file(folder / ".all.merging.lock"):
        assert f"{folder}: is being written by process {os.getpid()}" in merge(folder).err
    assert merge(folder).code == 0
