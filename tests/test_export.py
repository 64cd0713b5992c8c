"""`vidaug export`: each format as its own library reads it, what a killed run leaves, what is refused; cards."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from console import Done, vidaug
from numpy.typing import NDArray

from vidaug_cli.augment.card import is_ours
from vidaug_cli.augment.output import shard_files
from vidaug_cli.data.shard.reader import Shard

SHAPE = ["-r", "fademixup", "--frames", "8", "--size", "32", "--clips-per-shard", "16", "-j", "1", "-q"]
FORMATS = ["webdataset", "videofolder", "hf"]
LEAST = 30.0  # dB between the pixels of a shard and those of an export, of H.264 at quality 95 with half the colours


class Stored(NamedTuple):
    video: NDArray[np.uint8]
    label: NDArray[np.float32]
    weights: NDArray[np.float32]
    params: dict[str, Any]
    sources: int


@pytest.fixture(scope="module", autouse=True)
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`datasets` asks no network, and keeps what it makes in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        yield


@pytest.fixture(scope="module")
def made(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of 36 clips in three shards, for two codecs."""
    folder = tmp_path_factory.mktemp("made")
    for codec in ("raw", "video"):
        words = ["-o", folder / codec, "--codec", codec, "--license", "CC-BY-4.0", *SHAPE]
        assert vidaug("augment", video_folder, *words).code == 0
    return folder


def export(source: Path, out: Path, kind: str, *words: object) -> Done:
    return vidaug("export", source, "-o", out, "--format", kind, "-j", "1", "-q", "--json", *words)


def stored(source: Path) -> dict[int, Stored]:
    """What the shards hold, by the number of the clip."""
    found = {}
    for path in shard_files(source):
        with Shard(path) as shard:
            for record in map(shard.record, range(len(shard))):
                there = sum(row >= 0 for row in record.sources)
                found[record.clip] = Stored(record.video, record.label, record.weights, record.params, there)
    return found


def frames_of(mp4: bytes) -> NDArray[np.uint8]:
    with av.open(io.BytesIO(mp4), "r") as container:
        return np.array([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], np.uint8)


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.square(one.astype(float) - other).mean())))


def hold_against(clips: Iterable[tuple[bytes, dict[str, Any]]], wanted: dict[int, Stored], least: float) -> None:
    """All clips are there, once, with their labels, weights, numbers and frames."""
    seen = []
    for mp4, about in clips:
        seen.append(about["clip"])
        there = wanted[about["clip"]]
        assert about["label"] == pytest.approx(there.label, abs=1e-6)
        assert about["weights"] == pytest.approx(there.weights, abs=1e-6)
        assert json.loads(about["params"]) == there.params
        assert len(about["sources"]) == len(about["source_classes"]) == len(about["frames"]) == there.sources
        video = frames_of(mp4)
        assert video.shape == there.video.shape
        assert psnr(video, there.video) > least
    assert sorted(seen) == sorted(wanted)


def loaded(*words: Any, **options: Any) -> Any:
    """What `datasets` loads, with videos as bytes or paths: to decode them it would need FFmpeg's own libraries."""
    from datasets import Video, load_dataset

    clips = load_dataset(*words, split="train", **options)
    column = next(name for name, kind in clips.features.items() if isinstance(kind, Video))
    return clips.cast_column(column, Video(decode=False))


def bytes_of(video: dict[str, Any]) -> bytes:
    return video["bytes"] or Path(video["path"]).read_bytes()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("codec", ["raw", "video"])
def test_webdataset_reads_the_tars(made: Path, tmp_path: Path, codec: str) -> None:
    import webdataset

    assert export(made / codec, tmp_path / "tars", "webdataset").code == 0
    tars = sorted(map(str, (tmp_path / "tars").glob("*.tar")))
    assert len(tars) == 3
    clips = list(webdataset.WebDataset(tars, shardshuffle=False).decode())
    assert clips[0]["__key__"] == "clip-00000000"
    hold_against(((clip["mp4"], clip["json"]) for clip in clips), stored(made / codec), LEAST)
    again = loaded("webdataset", data_files=str(tmp_path / "tars/*.tar"))
    hold_against(((bytes_of(clip["mp4"]), clip["json"]) for clip in again), stored(made / codec), LEAST)


@pytest.mark.filterwarnings("ignore")
def test_datasets_reads_the_folder_of_videos(made: Path, tmp_path: Path) -> None:
    assert export(made / "raw", tmp_path / "folder", "videofolder").code == 0
    for clips in (loaded("videofolder", data_dir=str(tmp_path / "folder")), loaded(str(tmp_path / "folder"))):
        hold_against(((bytes_of(clip["video"]), clip) for clip in clips), stored(made / "raw"), LEAST)


@pytest.mark.filterwarnings("ignore")
def test_datasets_reads_its_own_format(made: Path, tmp_path: Path) -> None:
    assert export(made / "raw", tmp_path / "hf", "hf").code == 0
    clips = loaded(str(tmp_path / "hf"))
    hold_against(((bytes_of(clip["video"]), clip) for clip in clips), stored(made / "raw"), LEAST)
    names = clips.features["source_classes"].feature.names
    assert names == json.loads((tmp_path / "hf/classes.json").read_text()) == ["class_0", "class_1", "class_2"]
    own = [names[clip["source_classes"][0]] for clip in clips]
    assert own == [Path(clip["sources"][0]).parent.name for clip in clips]


@pytest.mark.filterwarnings("ignore")
def test_datasets_reads_raw_shards(made: Path) -> None:
    from datasets import load_dataset

    there = stored(made / "raw")
    files = str(made / "raw/*/*.h5")
    for clips in (
        load_dataset("hdf5", data_files=files, split="train"),
        load_dataset(str(made / "raw"), split="train"),
    ):
        assert sorted(clips["clip"]) == sorted(there)
        for clip in clips.with_format("numpy"):
            wanted = there[int(clip["clip"])]
            assert np.array_equal(clip["clips"], wanted.video)
            assert clip["labels"] == pytest.approx(wanted.label, abs=1e-6)
            assert json.loads(bytes(clip["params"])) == wanted.params


def test_shards_of_video_are_not_encoded_again(made: Path, tmp_path: Path) -> None:
    export(made / "video", tmp_path / "same", "videofolder")
    export(made / "video", tmp_path / "less", "videofolder", "--quality", "20")
    size = {name: sum(path.stat().st_size for path in (tmp_path / name).rglob("*.mp4")) for name in ("same", "less")}
    assert size["less"] < 0.9 * size["same"]
    with Shard(shard_files(made / "video")[0]) as shard:
        packets = shard.pieces(0)
    mp4 = next(iter(sorted((tmp_path / "same").rglob("*.mp4")))).read_bytes()
    with av.open(io.BytesIO(mp4), "r") as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    assert len(sizes) == len(packets)
    assert sizes[1:] == [len(packet) for packet in packets[1:]]  # each start code of four bytes is a length of four


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", FORMATS)
def test_processes_change_no_byte(made: Path, tmp_path: Path, kind: str) -> None:
    """... of the clips; with cards that name the folder, which is of one name in both."""
    for workers in ("1", "2"):
        export(made / "raw", tmp_path / workers / "out", kind, "-j", workers)
    assert files(tmp_path / "1/out") == files(tmp_path / "2/out")
    found = export(made / "raw", tmp_path / "1/out", kind).result
    assert (found["clips"], found["files"], found["made"]) == (36, 3, 0)


@pytest.mark.parametrize("kind", ["webdataset", "videofolder"])
def test_a_killed_export_goes_on(made: Path, tmp_path: Path, kind: str) -> None:
    export(made / "raw", tmp_path / "whole/out", kind)
    script = (
        "import os, signal\nfrom vidaug_cli.export import run\nfrom vidaug_cli.main import main\n"
        "write, left = run._write_piece, [2]\n"
        "def killed(*words):\n"
        "    left[0] -= 1\n"
        "    if not left[0]:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return write(*words)\n"
        "run._write_piece = killed\nmain()\n"
    )
    words = ["export", made / "raw", "-o", tmp_path / "cut/out", "--format", kind, "-j", "1"]
    done = subprocess.run([sys.executable, "-c", script, *map(str, words)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut/out").exists()
    other = export(made / "raw", tmp_path / "cut/out", "hf")
    assert other.code == 1
    assert "holds another export, which was broken off; finish it with the command that began it" in other.err
    assert export(made / "raw", tmp_path / "cut/out", kind).result["made"] == 2
    assert files(tmp_path / "cut/out") == files(tmp_path / "whole/out")
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["out"]


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_no_folder_and_the_next_run_goes_on(made: Path, tmp_path: Path, workers: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal, time\nfrom pathlib import Path\nfrom vidaug_cli.export import run\n"
        "from vidaug_cli.__main__ import run as begin\n"
        "write, main = run._write_piece, int(os.environ.setdefault('MAIN', str(os.getpid())))\n"
        "def slow(kind, place, *words):\n"
        "    if list(place.glob('*.tar')):\n"
        "        os.kill(main, signal.SIGINT)\n"
        "        time.sleep(30 if os.getpid() != main else 0)\n"
        "    return write(kind, place, *words)\n"
        "run._write_piece = slow\nif __name__ == '__main__':\n    begin()\n"
    )
    words = ["export", made / "raw", "-o", tmp_path / "cut/out", "--format", "webdataset", "-j", workers, "-q"]
    done = subprocess.run(
        [sys.executable, program, *map(str, words)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (130, "vidaug: interrupted; what is finished is kept")
    assert not (tmp_path / "cut/out").exists()
    assert not list((tmp_path / "cut").rglob("*.tmp"))
    assert 0 < export(made / "raw", tmp_path / "cut/out", "webdataset").result["made"] < 3
    export(made / "raw", tmp_path / "whole/out", "webdataset")
    assert files(tmp_path / "cut/out") == files(tmp_path / "whole/out")


def test_another_export_is_only_replaced_when_asked(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(made / "raw", out, "webdataset").code == 0
    before = files(out)
    done = export(made / "video", out, "videofolder", "--quality", "50")
    assert done.err == (
        f"vidaug: error: {out}: holds another export, which differs in --format, --quality, its shards; "
        "choose another folder, or --overwrite\n"
    )
    (out / "notes.txt").touch()
    done = export(made / "raw", out, "videofolder", "--overwrite")
    assert "out: holds notes.txt, which no export wrote, or was edited; choose another folder" in done.err
    (out / "notes.txt").unlink()
    assert files(out) == before
    assert export(made / "raw", out, "webdataset", "--overwrite").result["made"] == 0
    assert export(made / "raw", out, "videofolder", "--overwrite").code == 0
    export(made / "raw", tmp_path / "new/out", "videofolder")
    assert files(out) == files(tmp_path / "new/out")


def test_the_old_export_stays_until_the_new_one_is_whole(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export(made / "raw", out, "webdataset")
    before = files(out)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vidaug_cli.export.run.write_card", interrupted)
        assert export(made / "raw", out, "videofolder", "--overwrite").code == 130
    assert files(out) == before
    done = export(made / "raw", out, "hf", "--overwrite")
    assert done.code == 0  # what was left of the other one is gone, too
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (out / "data").is_dir()


def test_what_is_refused(made: Path, tmp_path: Path, video_folder: Path) -> None:
    shutil.copytree(made / "raw", tmp_path / "raw")
    (tmp_path / "raw/000/shard-00001.json").unlink()
    done = export(tmp_path / "raw", tmp_path / "out", "hf")
    assert done.err.endswith("raw: holds 2 of 3 shards; the same 'vidaug augment' command makes the others\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    done = export(made / "raw", tmp_path / "out", "webdataset")
    assert done.err.endswith("out: is not empty, and is no export; choose another folder\n")
    done = export(video_folder, tmp_path / "new", "hf")
    assert "is a folder of videos; a folder of shards is wanted here: 'vidaug augment' writes one" in done.err
    assert not (tmp_path / "new").exists()


def test_parts_are_exported_with_the_classes_of_all(made: Path, video_folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "videos"
    for name in ("class_2", "class_0"):
        shutil.copytree(video_folder / name, few / name)
    out = tmp_path / "shards"
    assert vidaug("augment", few, "-o", out, *SHAPE).code == 0
    shutil.copytree(video_folder / "class_1", few / "class_1")
    assert vidaug("augment", few, "-o", out, *SHAPE, "--extend").code == 0
    assert export(out, tmp_path / "folder", "videofolder").code == 0
    classes = json.loads((tmp_path / "folder/classes.json").read_text())
    assert classes == ["class_0", "class_2", "class_1"]
    lines = [
        json.loads(line) for path in (tmp_path / "folder").rglob("*.jsonl") for line in path.read_text().splitlines()
    ]
    assert {line["part"] for line in lines} == {"", "part-001"}
    for line in lines:
        shares = dict.fromkeys(classes, 0.0)
        own, partner = line["source_classes"]
        shares[own] += np.mean(line["weights"])
        shares[partner] += 1 - np.mean(line["weights"])
        assert line["label"] == pytest.approx([shares[name] for name in classes], abs=1e-5)


# Cards


def validated(folder: Path) -> Any:
    """What mlcroissant makes of the description, which is without a fault by its own command's rules."""
    import mlcroissant

    return mlcroissant.Dataset(jsonld=folder / "croissant.json")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FORMATS)
def test_the_description_of_an_export_is_valid(made: Path, tmp_path: Path, kind: str) -> None:
    export(made / "raw", tmp_path / "out", kind, "--creator", "The lab", "--url", "https://example.org/data")
    description = validated(tmp_path / "out")
    assert description.metadata.license[0].name == "CC-BY-4.0"  # as that of the shards says
    assert [creator.name for creator in description.metadata.creators] == ["The lab"]
    classes = list(description.records("classes"))
    assert [row["classes/name"] for row in classes] == ["class_0", "class_1", "class_2"]
    assert [row["classes/videos"] for row in classes] == [12, 12, 12]
    if kind != "webdataset":  # of a set of archives mlcroissant reads nothing
        wanted = stored(made / "raw")
        rows = list(description.records("clips"))
        assert sorted(row["clips/clip"] for row in rows) == sorted(wanted)
        for row in rows:
            assert row["clips/label"] == pytest.approx(wanted[row["clips/clip"]].label, abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_the_description_of_shards_is_valid(made: Path) -> None:
    description = validated(made / "raw")
    paths = [row["videos-0/path"].decode() for row in description.records("videos-0")]
    assert paths == [json.loads(line)["path"] for line in (made / "raw/manifest.jsonl").read_text().splitlines()]
    content = json.loads((made / "raw/croissant.json").read_text())
    assert content["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    (plan,) = content["prov:wasGeneratedBy"]["prov:qualifiedAssociation"]
    stored_plan = json.loads((made / "raw/plan.json").read_text())
    assert plan["prov:hadPlan"]["prov:value"] == stored_plan["recipe"]
    assert plan["prov:hadPlan"]["@id"].endswith(stored_plan["plan_sha256"])


def test_the_card_says_what_there_is(made: Path) -> None:
    text = (made / "raw/README.md").read_text()
    assert "| clips | 36 |" in text
    assert "| licence of the videos | CC-BY-4.0 |" in text
    assert json.loads((made / "raw/plan.json").read_text())["recipe"] in text
    assert "| class_1 | 12 |" in text


@pytest.mark.parametrize("name", ["README.md", "croissant.json"])
def test_an_edited_card_stays(made: Path, video_folder: Path, tmp_path: Path, name: str) -> None:
    out = Path(shutil.copytree(made / "raw", tmp_path / "raw"))
    words = ["augment", video_folder, "-o", out, "--license", "CC0-1.0", *SHAPE[:-1]]
    assert vidaug(*words).code == 0
    assert all("CC0-1.0" in (out / file).read_text() for file in ("README.md", "croissant.json"))
    assert vidaug(*[word for word in words if word not in ("--license", "CC0-1.0")]).code == 0
    assert "CC0-1.0" in (out / name).read_text()  # said once, it holds
    edited = (out / name).read_text().replace("soft label", "label")
    (out / name).write_text(edited)
    assert not is_ours(out / name)
    done = vidaug(*words[:4], "--license", "MIT", *SHAPE[:-1])
    assert done.code == 0
    assert f"{out / name} was edited, and stays as it is" in done.err
    assert (out / name).read_text() == edited


def test_the_last_part_writes_the_card(video_folder: Path, tmp_path: Path) -> None:
    words = ["augment", video_folder, "-o", tmp_path / "out", *SHAPE]
    (tmp_path / "out").mkdir()
    (tmp_path / "out/croissant.json").write_text("{}")
    assert vidaug(*words, "--part", "0/2").code == 0
    assert not (tmp_path / "out/README.md").exists()
    assert vidaug(*words, "--part", "1/2").code == 0
    assert "| clips | 36 |" in (tmp_path / "out/README.md").read_text()
    assert (tmp_path / "out/croissant.json").read_text() == "{}"
    assert vidaug("verify", tmp_path / "out", "-q").code == 0


# Documents

EXPORT, FORMAT = (Path(__file__).parents[1] / "docs" / name for name in ("export.md", "shard-format.md"))


@pytest.mark.filterwarnings("ignore")
def test_the_lines_of_the_document_read_the_exports(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").symlink_to(made / "raw")
    for words in re.findall(r"vidaug (export .*)$", EXPORT.read_text(), re.MULTILINE):
        assert vidaug(*words.split(), "-j", "1", "-q").code == 0
    programs = re.findall("```python\n(.*?)```", EXPORT.read_text(), re.DOTALL)
    assert len(programs) == 4
    for program in programs:
        names: dict[str, Any] = {}
        exec(compile(program, str(EXPORT), "exec"), names)
        label, video = names["label"], names["video"]
        assert sum(label) == pytest.approx(1)
        if not isinstance(video, np.ndarray):
            video = frames_of(video if isinstance(video, bytes) else Path(video).read_bytes())
        assert video.shape == (8, 32, 32, 3)


def keys(value: Any) -> set[str]:
    """The keys in a value, however deep."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()


def test_the_document_names_every_key_of_params(video_folder: Path, tmp_path: Path) -> None:
    text = FORMAT.read_text().split("## Params", 1)[1].split("\n## ", 1)[0]
    found = set()
    for number, recipe in enumerate(("randaugment_t", "randaugment_temporal", "cutout", "cubecutmixup")):
        out = tmp_path / str(number)
        assert vidaug("augment", video_folder, "-o", out, "-r", recipe, *SHAPE[2:]).code == 0
        found |= set().union(*(keys(clip.params) for clip in stored(out).values()))
    assert {"layers", "inside", "box"} <= found
    assert [key for key in sorted(found) if f"`{key}`" not in text] == []
