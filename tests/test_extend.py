"""A data set that grew: `vidaug augment --extend`, and readers that leave out what is gone."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from conftest import write_video
from console import Done, vidaug

from vidaug_cli.augment.plan import read_plan
from vidaug_cli.augment.verify import verify
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.manifest import read_manifest
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.format import done_path, shard_path
from vidaug_cli.data.shard.reader import Shard

WORDS = ["-r", "mixup", "--frames", "8", "--size", "32", "--copies", "2", "--clips-per-shard", "32", "-j", "1", "-q"]


@pytest.fixture
def folder(video_folder: Path, tmp_path: Path) -> Path:
    """`videos`, of which the first 20 have clips in `out`: 40 in two shards; the manifest is `old.jsonl`."""
    shutil.copytree(video_folder, tmp_path / "videos")
    assert vidaug("scan", tmp_path / "videos", "-o", tmp_path / "all.jsonl", "-q").code == 0
    lines = (tmp_path / "all.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 36
    (tmp_path / "old.jsonl").write_text("".join(lines[:20]))
    assert vidaug("augment", tmp_path / "old.jsonl", "-o", tmp_path / "out", *WORDS).code == 0
    return tmp_path


def extend(folder: Path, manifest: str = "all.jsonl", *words: object) -> Done:
    return vidaug("augment", folder / manifest, "-o", folder / "out", "--extend", *WORDS, *words)


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What is in all files, and when they were written; but for what a run writes anew, card and command."""
    others = ("command.json", "README.md", "croissant.json")
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns * (path.name != "failures.jsonl"))
        for path in folder.rglob("*")
        if path.is_file() and path.name not in others
    }


def shown(out: Path) -> Counter[str]:
    """How often each video of a folder of one plan has a clip."""
    rows, names = read_manifest(out), Counter[str]()
    for shard in sorted(out.glob("[0-9]*/*.h5")):
        with Shard(shard) as file:
            names.update(rows[own].name for own in file.column("sources")[:, 0].tolist())
    return names


def test_only_new_videos_get_clips(folder: Path) -> None:
    before = files(folder / "out")
    done = extend(folder)
    assert done.code == 0
    after = files(folder / "out")
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"part-001"}
    names = [row.name for row in read_manifest(folder / "all.jsonl")]
    assert shown(folder / "out") == dict.fromkeys(names[:20], 2)
    assert shown(folder / "out/part-001") == dict.fromkeys(names[20:], 2)
    assert verify(folder / "out") == ([], 3)
    assert len(ShardDataset(folder / "out")) == 72
    assert sorted(row.name for row in read_manifest(folder / "out")) == sorted(names)


def test_the_same_command_again_makes_nothing(folder: Path) -> None:
    for manifest in ("old.jsonl", "all.jsonl"):
        extend(folder, manifest)
        before = files(folder / "out")
        done = extend(folder, manifest, "--json")
        assert [each["rendered"] for each in done.result["made"]] == [0] * (1 + (manifest == "all.jsonl"))
        assert files(folder / "out") == before


def test_an_unfinished_part_is_finished(folder: Path) -> None:
    assert extend(folder).code == 0
    whole = files(folder / "out")
    for out in (folder / "out", folder / "out/part-001"):
        shard = shard_path(out, 0)
        shard.unlink()
        done_path(shard).unlink()
    assert extend(folder).code == 0
    assert {name: content for name, (content, _) in files(folder / "out").items()} == {
        name: content for name, (content, _) in whole.items()
    }


def test_it_grows_again_and_takes_new_classes(folder: Path) -> None:
    assert extend(folder).code == 0
    for number in range(2):
        write_video(folder / f"videos/a_new_class/{number}.avi", 12, level=lambda frame, n=number: 90 * n + 4 * frame)
    done = vidaug("augment", folder / "videos", "-o", folder / "out", "--extend", *WORDS)
    assert done.code == 0
    assert shown(folder / "out/part-002") == {"a_new_class/0.avi": 2, "a_new_class/1.avi": 2}
    old = ("class_0", "class_1", "class_2")
    assert read_plan(folder / "out/part-002").classes == (*old, "a_new_class")
    data = ShardDataset(folder / "out")
    assert (len(data), data.classes) == (76, (*old, "a_new_class"))
    assert data[75][1].tolist() == [0, 0, 0, 1]


def test_a_folder_without_shards_is_simply_made(folder: Path) -> None:
    shutil.rmtree(folder / "out")
    assert extend(folder).code == 0
    assert shown(folder / "out") == dict.fromkeys((row.name for row in read_manifest(folder / "all.jsonl")), 2)


def test_moved_videos_are_those_that_were_there(folder: Path) -> None:
    """An unfinished shard of the old ones is made from where they lie now."""
    (folder / "videos").rename(folder / "moved")
    done_path(shard_path(folder / "out", 1)).unlink()
    before = shard_path(folder / "out", 1).read_bytes()
    assert extend(folder, "all.jsonl", "--root", folder / "moved").code == 0
    assert shard_path(folder / "out", 1).read_bytes() == before
    assert len(shown(folder / "out/part-001")) == 16


def test_parts_of_a_job_array_extend_together(folder: Path) -> None:
    assert extend(folder).code == 0
    whole = {name: content for name, (content, _) in files(folder / "out").items()}
    shutil.rmtree(folder / "out/part-001")
    for part in ("1/2", "0/2"):
        assert extend(folder, "all.jsonl", "--part", part).code == 0
    assert {name: content for name, (content, _) in files(folder / "out").items()} == whole


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--seed", "1"], "seed (0 there, 1 now)"),
        (["--copies", "3"], "copies (2 there, 3 now)"),
        (["--frames", "9"], "frames (8 there, 9 now)"),
        (["-r", "cutmix"], "recipe (mixup there, mixup+cutmix now)"),
        (["--codec", "jpeg"], "codec (raw there, jpeg now)"),
    ],
)
def test_other_settings_are_refused(folder: Path, words: list[str], what: str) -> None:
    before = files(folder / "out")
    done = extend(folder, "all.jsonl", *words)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert f"{folder / 'out'}: was made with other settings: {what}; --extend makes clips like those" in done.err
    assert files(folder / "out") == before


def test_a_mix_needs_two_new_videos(folder: Path) -> None:
    lines = (folder / "all.jsonl").read_text().splitlines(keepends=True)
    (folder / "one.jsonl").write_text("".join(lines[:21]))
    done = extend(folder, "one.jsonl")
    assert (done.code, done.err.count("\n")) == (1, 1)
    name = json.loads(lines[20])["path"]
    assert f"{name} is the one new video, and recipe mixup mixes two; add it together with the next ones" in done.err
    assert not (folder / "out/part-001").exists()


def test_extend_and_overwrite_contradict_each_other(folder: Path) -> None:
    done = extend(folder, "all.jsonl", "--overwrite")
    assert done.code == 2
    assert "--extend keeps what is there, and --overwrite does not" in done.err


def test_a_merged_folder_can_be_extended(folder: Path, video_folder: Path) -> None:
    assert vidaug("merge", folder / "out", "-o", folder / "merged", "-q").code == 0
    words = [folder / "all.jsonl", "-o", folder / "merged", *WORDS]
    assert "has parts, and no plan of its own; choose another folder, or --extend" in vidaug("augment", *words).err
    assert vidaug("augment", *words, "--extend", "--codec", "auto").code == 0
    assert len(shown(folder / "merged/part-002")) == 16
    assert len(ShardDataset(folder / "merged")) == 72


def gone(folder: Path) -> list[list[str]]:
    """What `status` says of each part, to programs and, in short, to people."""
    words = ("status", folder / "out", "--among", folder / "now.jsonl")
    found: list[list[str]] = [part["gone"] for part in vidaug(*words, "--json").result["folders"]]
    for names in filter(None, found):
        heading = f"gone, or another by now: {len(names)} video{'s' * (len(names) > 1)}"
        assert "\n  ".join([heading, *names]) + "\n" in vidaug(*words).out
    return found


def test_what_is_gone_is_named_and_left_out(folder: Path) -> None:
    """One video is deleted, and one is another by now: clips of either are left out, be it their own or the partner."""
    videos = sorted((folder / "videos").rglob("*.avi"))
    first = read_manifest(folder / "old.jsonl")
    deleted, changed = first[3], first[11]
    deleted.file.unlink()
    write_video(changed.file, 30)
    assert vidaug("scan", folder / "videos", "-o", folder / "now.jsonl", "-q").code == 0
    assert gone(folder) == [[deleted.name, changed.name]]
    write_video(videos[0].with_name("new.avi"), 10)
    done = vidaug("augment", folder / "videos", "-o", folder / "out", "--extend", *WORDS[:-1])
    assert "/out: 18 new videos, 18 are there already, and 2 there are not in INPUT, or were others then" in done.err
    rows = read_input(str(folder / "videos")).rows
    assert gone(folder) == [[deleted.name, changed.name], [f"{videos[0].parent.name}/new.avi"]]  # since that scan
    assert {changed.name, f"{videos[0].parent.name}/new.avi"} < shown(folder / "out/part-001").keys()

    with_gone = 0
    for shard in sorted((folder / "out").glob("[0-9]*/*.h5")):
        with Shard(shard) as file:
            with_gone += sum(bool({3, 11} & set(pair)) for pair in file.column("sources").tolist())
    assert with_gone >= 4
    assert len(ShardDataset(folder / "out")) == 40 + 36
    data = ShardDataset(folder / "out", videos=rows)
    assert len(data) == 40 + 36 - with_gone
    assert len(data.only([0, 1])) == 2
    assert vidaug("scan", folder / "videos", "-o", folder / "now.jsonl", "-q").code == 0
    assert gone(folder) == [[deleted.name, changed.name], []]
    found = vidaug("inspect", folder / "out", "--among", folder / "now.jsonl", "--json").result
    assert found["clips"] == len(data)
    assert found["mixed"] == sum(found["own_weight"]) == sum(found["ops"].values())
    assert list(found["label_mass"].values()) == pytest.approx(data.column("labels").sum(0).tolist())
