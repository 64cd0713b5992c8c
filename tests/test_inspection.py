"""What inspect, verify and replay say about an output folder, to people and to programs."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
from console import vidaug
from score_makers import scores_of
from shard_makers import header_of, write_shard

from vidaug_cli.augment.inspect import BARS, Summary, summarise
from vidaug_cli.data.shard.format import done_path, shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.scores.file import write_scores

WORDS = ["--frames", "8", "--size", "32", "-j", "1", "-q"]


@pytest.fixture(scope="module")
def out(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """72 clips of two copies of 36 videos, and 36 clean ones, in two shards."""
    folder = tmp_path_factory.mktemp("inspected")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        words = ["-r", "vipriors2020", "--copies", "2", "--keep-original", "--seed", "7", "--clips-per-shard", "96"]
        assert vidaug("augment", video_folder, "-o", folder / "out", *words, *WORDS).code == 0
        yield folder / "out"


@pytest.fixture
def copy(out: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(out, tmp_path / "copy"))


def test_inspect_adds_up_what_lies_in_the_shards(out: Path) -> None:
    found = vidaug("inspect", out, "--json").result
    assert found.keys() == Summary.__dataclass_fields__.keys()
    assert (found["clips"], found["originals"], found["mixed"], found["shards"]) == (108, 36, 72, 2)
    assert (found["planned_shards"], found["devices"]) == (2, {"cpu": 2})
    assert (found["frames"], found["size"], found["codecs"], found["seeds"]) == (8, 32, ["raw"], [7])
    assert found["bytes"] == sum(shard_path(out, index).stat().st_size for index in range(2))
    assert sum(found["label_mass"].values()) == pytest.approx(108)
    assert found["label_mass"].keys() == {"class_0", "class_1", "class_2"}
    assert sum(found["own_weight"]) == 72
    with Shard(shard_path(out, 0)) as one, Shard(shard_path(out, 1)) as other:
        members = [shard.params(i)["mix"] for shard in (one, other) for i in range(len(shard))]
        mass = one.column("labels").sum(0) + other.column("labels").sum(0)
    assert list(found["label_mass"].values()) == pytest.approx(mass.tolist(), abs=1e-4)
    for name in {member["op"] for member in members if member}:
        assert found["ops"][name] == sum(bool(member) and member["op"] == name for member in members)
    assert found["recipes"] == [vidaug("inspect", out, "--recipe").out]
    assert found["plans"] == 1


def test_inspect_in_words(out: Path) -> None:
    text = vidaug("inspect", out).out
    assert text.startswith(f"{out}: 108 clips in 2 shards, ")
    assert "clips: 8 x 32 x 32, raw, 72 mixed, 36 clean originals; seed 7, rendered on " in text
    assert "clips per class (soft) of 3 classes" in text
    own = vidaug("inspect", out, "--json").result["own_weight"]
    (scale,) = re.findall(r"^ +0 (.{10}) 1  tallest: (\d+) clips of (\S+) to (\S+)$", text, re.MULTILINE)
    assert set(scale[0]) <= set(BARS)
    assert [bar == " " for bar in scale[0]] == [number == 0 for number in own]
    tallest = own.index(max(own))
    assert scale[0][tallest] == BARS[-1]
    assert [float(number) for number in scale[1:]] == pytest.approx([max(own), tallest / 10, (tallest + 1) / 10])
    assert summarise(shard_path(out, 0)).clips < 108
    assert vidaug("inspect", shard_path(out, 0)).out.startswith(f"{shard_path(out, 0)}: ")


def test_inspect_says_how_much_of_the_plan_is_there(copy: Path) -> None:
    done_path(shard_path(copy, 1)).unlink()
    assert vidaug("inspect", copy).out.startswith(f"{copy}: 72 clips in 1 of 2 shards, ")
    found = vidaug("inspect", copy, "--json").result
    assert (found["shards"], found["planned_shards"]) == (1, 2)
    alone = vidaug("inspect", shard_path(copy, 0), "--json").result
    assert (alone["shards"], alone["planned_shards"]) == (1, None)
    done_path(shard_path(copy, 0)).unlink()
    done = vidaug("inspect", copy)
    assert done.err == (
        f"vidaug: error: {copy}: holds no finished shard yet; the same 'vidaug augment' command makes them\n"
    )


@pytest.mark.parametrize("name", ["manifest.jsonl", "plan.json"])
def test_a_damaged_plan_leaves_the_number_of_planned_shards_open(copy: Path, name: str) -> None:
    text = (copy / name).read_text()
    changed = text.replace('"seed": 7', '"seed": 8').replace('"fps": 30', '"fps": 31', 1)
    assert changed != text
    (copy / name).write_text(changed)
    found = vidaug("inspect", copy, "--json").result
    assert (found["shards"], found["planned_shards"]) == (2, None)


def test_inspect_counts_shards_by_device(tmp_path: Path) -> None:
    for number, device in enumerate(("cuda", "cpu", "cuda")):
        header = header_of(shard=number, device=device)
        path = shard_path(tmp_path, number)
        path.parent.mkdir(exist_ok=True)
        write_shard(path, header, [])
    found = vidaug("inspect", tmp_path, "--json").result
    assert found["devices"] == {"cpu": 1, "cuda": 2}
    assert "rendered on cpu (1 shard) and cuda (2 shards)" in vidaug("inspect", tmp_path).out


def test_shards_of_two_plans_in_one_folder_are_told(copy: Path, tmp_path: Path) -> None:
    shard = shard_path(copy, 1)
    shard.unlink()
    write_shard(shard, header_of(shard=1), [])
    message = f"{shard}: is of another plan than shard 0; each output folder holds the shards of one plan"
    assert message in vidaug("inspect", copy).err


def test_inspect_says_what_else_a_path_is(tmp_path: Path, video_folder: Path) -> None:
    """And which command takes it; nothing that is not surely a damaged shard of ours is to be deleted."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run/best.safetensors").touch()
    (tmp_path / "empty").mkdir()
    write_scores(tmp_path / "scores.h5", scores_of())
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file.create_dataset("x", data=[1])
    (tmp_path / "damaged.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (tmp_path / "m.jsonl").write_text('{"path": "a.avi"}\n')
    (tmp_path / "r.toml").write_text("summary = 'x'\n")
    wanted = {
        "run": "holds no run.toml; a run is a folder that 'vidaug train' wrote",
        "scores.h5": "is a file of scores, and not a folder of shards; 'vidaug evaluate', 'compare', 'ensemble' and",
        "foreign.h5": "is an HDF5 file of another program, and not a folder of shards; name a folder written by ",
        "damaged.h5": "is damaged or not a shard (",
        "m.jsonl": "is a manifest, and not a folder of shards; 'vidaug augment', 'preview' and 'predict' take it",
        "r.toml": "is a recipe, and not a folder of shards; 'vidaug recipes check' and --recipe take it",
        "empty": "is a folder without videos, and not a folder of shards; name a folder written by 'vidaug augment'",
        "gone": "does not exist; name a folder written by 'vidaug augment', or a shard in it",
        str(video_folder): "is a folder of videos, and not a folder of shards; 'vidaug scan', 'augment' and 'predict' ",
    }
    for name, message in wanted.items():
        done = vidaug("inspect", tmp_path / name)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"vidaug: error: {tmp_path / name}: {message}")
        assert not re.search("delete|remove", done.err)


def test_only_a_damaged_shard_of_ours_is_to_be_deleted(copy: Path, tmp_path: Path) -> None:
    shard = shard_path(copy, 0)
    whole = shard.read_bytes()
    shard.write_bytes(whole[:5000])
    advice = "delete it with its .json and run the same 'vidaug augment' command again\n"
    assert vidaug("inspect", copy).err.endswith(advice)
    with h5py.File(shard, "w") as file:
        file.attrs["format"] = "somebody else's"
    done = vidaug("inspect", copy)
    assert "delete" not in done.err
    assert done.err.endswith("; move it elsewhere, and run the same 'vidaug augment' command again\n")
    shard.write_bytes(whole[:5000])
    alone = Path(shutil.copy(shard, tmp_path / "shard-00000.h5"))
    done = vidaug("inspect", alone)
    assert done.err.startswith(f"vidaug: error: {alone}: is damaged or not a shard (")
    assert done.err.endswith("; a shard is what 'vidaug augment' writes\n")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.EACCES, errno.ENOMEM])
def test_a_disk_that_does_not_answer_is_no_reason_to_delete(
    copy: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, f"Unable to synchronously open file (errno = {number})")

    monkeypatch.setattr(h5py, "File", fail)
    done = vidaug("inspect", copy)
    assert done.err.startswith(f"vidaug: error: {shard_path(copy, 0)}: cannot be read: {os.strerror(number)}; ")
    assert "delete" not in done.err


def test_class_names_cannot_write_on_the_terminal() -> None:
    names = {"two\nlines": 1.0, "red \x1b[31m %s": 2.0, "l" * 300: 3.0}
    fields: dict[str, Any] = {
        "source": "o",
        "codecs": ["raw"],
        "devices": {"cpu": 1},
        "recipes": [""],
        "seeds": [1],
        "ops": {},
        "extremes": None,
    }
    fields |= dict.fromkeys(
        ("plans", "shards", "planned_shards", "clips", "originals", "bytes", "frames", "size"), 1
    ) | {"mixed": 0}
    lines = Summary(**fields, label_mass=names, own_weight=[0] * 10).text.splitlines()
    assert [line.strip().rsplit("  ", 2)[0].strip() for line in lines[4:7]] == [
        "l" * 300, r"red \x1b[31m %s", r"two\nlines",
    ]  # fmt: skip
    assert len(lines[5]) < 80


def test_verify_in_words_and_for_programs(copy: Path) -> None:
    done = vidaug("verify", copy, "-j", "1")
    assert (done.code, done.out, done.err, done.next) == (
        0,
        "",
        f"{copy}: 2 shards, 0 faults\n",
        f"vidaug replay {copy}",
    )
    assert vidaug("verify", copy, "-j", "1", "--json").result == {"shards": 2, "faults": []}
    shard = shard_path(copy, 1)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    done = vidaug("verify", copy, "-j", "1")
    assert (done.code, done.err) == (1, f"{copy}: 2 shards, 1 fault\n")
    assert done.out == f"{shard}: has other bytes than when it was written: its hash is not that in its .json\n"
    quiet = vidaug("verify", copy, "-j", "1", "--json", "-q")
    fault = {"path": str(shard), "what": "has other bytes than when it was written: its hash is not that in its .json"}
    assert (quiet.code, quiet.err, quiet.result) == (1, "", {"shards": 2, "faults": [fault]})
    assert vidaug("verify", copy, "-j", "1", "--quick").code == 0  # reads no pixels, so it sees none that changed
    done_path(shard).unlink()
    assert (
        "is not finished; the same 'vidaug augment' command continues"
        in vidaug("verify", copy, "-j", "1", "--quick").out
    )


def test_replay_in_words_and_for_programs(out: Path) -> None:
    done = vidaug("replay", out, "--count", "3")
    assert done.out == "clip 0: equal bytes\nclip 54: equal bytes\nclip 107: equal bytes\n"
    assert (done.code, done.err) == (0, "3 of 3 clips are what their numbers say\n")
    done = vidaug("replay", out, "--clip", "5", "--clip", "2", "--json", "-q")
    assert done.result["clips"] == [{"clip": number, "equal": True, "what": "equal bytes"} for number in (5, 2)]


def test_replay_of_other_videos_exits_1(out: Path, video_folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(video_folder, tmp_path / "videos"))
    for path in other.rglob("*.avi"):  # each video becomes its neighbour: same length, another grey
        number = int(path.stem[-2:])
        shutil.copy(video_folder / f"class_{(number + 5) % 36 % 3}" / f"video_{(number + 5) % 36:02d}.avi", path)
    done = vidaug("replay", out, "--root", other, "--count", "4")
    assert done.code == 1
    assert done.err == "0 of 4 clips are what their numbers say\n"
    assert all(
        ": is another video than was scanned: its bytes have changed; scan it again" in line
        for line in done.out.splitlines()
    )
