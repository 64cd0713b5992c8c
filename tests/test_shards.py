"""Shards: what is written is what is read, whole or not at all, and the same bytes every time."""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shard_makers import header_of, record_of, write_shard
from torch.utils.data import DataLoader, Dataset
from xxhash import xxh3_128

from vidaug_cli.data import hdf5
from vidaug_cli.data.hdf5 import PlainDataset, open_checked
from vidaug_cli.data.shard.check import check_shard
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.format import Failure, Record, done_path, read_done, shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.errors import ShardError, UnwritableError
from vidaug_cli.files import leftovers, write_text_atomically

DOCUMENT = Path(__file__).parents[1] / "docs" / "shard-format.md"


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_what_is_written_is_what_is_read(tmp_path: Path, codec: str) -> None:
    header = header_of(codec=codec, recipe='summary = "Größe"\n', classes=("walk", "run 走る"))
    records = [record_of(header, number) for number in range(3)]
    path = tmp_path / "shard-00000.h5"
    done = write_shard(path, header, records)
    assert check_shard(path, done, row_labels=[0, 1, 1, 0]) == []
    with Shard(path) as shard:
        assert shard.header == header
        assert len(shard) == 3
        for number, record in enumerate(records):
            found = shard.record(number)
            if codec == "raw":
                np.testing.assert_array_equal(found.video, record.video)
            else:
                error = found.video.astype(float) - record.video
                assert found.video.dtype == np.uint8
                assert 20 * np.log10(255 / np.sqrt((error**2).mean())) > 30
            for name in ("label", "weights", "frames"):
                np.testing.assert_array_equal(getattr(found, name), getattr(record, name))
                assert getattr(found, name).dtype == getattr(record, name).dtype
            for name in ("sources", "params", "copy", "clip"):
                assert getattr(found, name) == getattr(record, name)
        with pytest.raises(IndexError):
            shard.record(3)


@pytest.mark.parametrize("codec", ["jpeg", "video"])
def test_the_quality_is_the_one_that_was_asked_for(tmp_path: Path, codec: str) -> None:
    sizes = []
    for quality in (10, 95):
        header = header_of(codec=codec, quality=quality, size=128)
        write_shard(path := tmp_path / f"{quality}.h5", header, [record_of(header)])
        with h5py.File(path) as file:
            sizes.append(len(file["data"]))
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_a_shard_without_clips_is_whole(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "shard-00000.h5"
    failure = Failure(clip=7, copy=0, path="a/b.avi", reason="has no frames")
    with ShardWriter(path, header_of(codec=codec)) as writer:
        writer.failures.append(failure)
    assert writer.done is not None
    assert writer.done.failures == (failure,)
    assert read_done(done_path(path)) == writer.done
    assert check_shard(path, writer.done, row_labels=[0]) == []
    with Shard(path) as shard:
        assert len(shard) == 0


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from shard_makers import header_of, record_of, write_shard
header = header_of(codec=sys.argv[2])
time.sleep(float(sys.argv[4]))
print(write_shard(Path(sys.argv[3]), header, [record_of(header, number) for number in range(2)]).xxh3)
"""


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_the_same_clips_are_the_same_bytes_in_another_process_at_another_time(tmp_path: Path, codec: str) -> None:
    found = set()
    for wait in ("0", "1.1"):  # seconds: HDF5 would store times in whole ones
        arguments = [str(Path(__file__).parent), codec, str(tmp_path / f"{wait}.h5"), wait]
        made = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
        found.add(made.stdout.strip())
    assert len(found) == 1
    assert re.fullmatch("[0-9a-f]{32}", found.pop())


def test_nothing_is_left_of_a_shard_that_failed(tmp_path: Path) -> None:
    header = header_of()
    held = []

    def clips() -> Iterator[Record]:
        yield record_of(header)
        held.extend(leftovers(tmp_path))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "shard-00000.h5", header, clips())
    assert len(held) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_shard_that_was_there(tmp_path: Path) -> None:
    header = header_of()
    path = tmp_path / "shard-00000.h5"
    done = write_shard(path, header, [record_of(header)])
    with pytest.raises(ValueError, match="weights has the shape"), ShardWriter(path, header) as writer:
        writer.append(replace(record_of(header), weights=np.ones(3, np.float32)))
    assert check_shard(path, done) == []
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": np.zeros((4, 16, 16, 3))}, "float64"),
        ({"video": np.zeros((4, 16, 8, 3), np.uint8)}, r"video is uint8 \(4, 16, 8, 3\), should be"),
        ({"label": np.ones(3, np.float32)}, "labels has the shape"),
        ({"params": {"lambda": float("nan")}}, "JSON"),
        ({"params": {"text": "x" * 2**20}}, "more than 1048576"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    header = header_of()
    with pytest.raises(ValueError, match=message), ShardWriter(tmp_path / "x.h5", header) as writer:
        writer.append(replace(record_of(header), **change))  # type: ignore[arg-type]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [100, 20_000, 51_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    header = header_of(size=64)
    with files_of_at_most(size), pytest.raises(UnwritableError, match="cannot be written") as caught:
        write_shard(tmp_path / "shard-00000.h5", header, [record_of(header)])
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_bytes_do_not_depend_on_when_python_lets_go_of_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another thread may delay it: h5py looks at all objects of the process when it closes a file."""
    header = header_of()
    records = [record_of(header, number) for number in range(12)]
    write_shard(tmp_path / "a.h5", header, records)
    held, add = [], hdf5.add_dataset

    def hold(*arguments: Any) -> Any:
        held.append(add(*arguments))
        return held[-1]

    monkeypatch.setattr(hdf5, "add_dataset", hold)
    write_shard(tmp_path / "b.h5", header, records)
    assert held
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(UnwritableError, match="is the folder there"),
        ShardWriter(tmp_path / "no" / "000" / "x.h5", header_of()),
    ):
        pass


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"classes": ()}, "classes"),
        ({"classes": ("a", "a")}, "classes"),
        ({"codec": "png"}, "raw, jpeg or video"),
        ({"quality": 0}, "1 to 100"),
        ({"device": "tpu"}, "cpu or cuda"),
        ({"plan_sha256": "x"}, "64 hexadecimal"),
        ({"frames": 4096, "size": 2048}, "too large"),
    ],
)
def test_a_header_that_no_shard_can_have(values: dict[str, object], message: str) -> None:
    with pytest.raises(ShardError, match=message):
        header_of(**values)


def test_text_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_text_atomically(path, "one\r\nß\n")
    assert path.read_bytes() == "one\r\nß\n".encode()
    with pytest.raises(UnicodeEncodeError):
        write_text_atomically(path, "two \ud800")
    assert path.read_bytes() == "one\r\nß\n".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for number, clips in enumerate((3, 0, 2)):
        header = header_of(shard=number)
        write_shard(shard_path(tmp_path, number), header, [record_of(header, 10 * number + i) for i in range(clips)])
    return tmp_path


def test_a_folder_of_shards_is_a_data_set(out: Path) -> None:
    data = ShardDataset(out, with_weights=True)
    assert len(data) == 5
    assert data.classes == ("walk", "run")
    for index, number in enumerate((0, 1, 2, 20, 21)):
        record = record_of(header_of(), number)
        for found, wanted in zip(data[index], (record.video, record.label, record.weights), strict=True):
            assert torch.equal(found, torch.from_numpy(wanted))
    assert torch.equal(data[-1][0], data[4][0])
    with pytest.raises(IndexError):
        data[5]


def test_a_data_set_works_with_workers_and_pickles_after_use(out: Path) -> None:
    data = ShardDataset([shard_path(out, 0), shard_path(out, 2)])
    wanted = torch.stack([data[i][0] for i in range(5)])
    loader = DataLoader(pickle.loads(pickle.dumps(data)), batch_size=2, num_workers=2)
    batches = list(loader)
    assert torch.equal(torch.cat([video for video, _ in batches]), wanted)
    assert torch.cat([target for _, target in batches]).sum().item() == pytest.approx(5)


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_many_shards_are_checked_once_each_and_few_files_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    """Forty shards, read at random by a process that may open eight files, of which a data set takes two."""
    for number in range(40):
        header = header_of(shard=number, codec=codec)
        write_shard(shard_path(tmp_path, number), header, [record_of(header, 2 * number + clip) for clip in range(2)])
    wanted = []
    for number in range(40):
        with Shard(shard_path(tmp_path, number)) as shard:
            wanted += [shard.video(0), shard.video(1)]
    data = ShardDataset(tmp_path, with_weights=True)
    checked: list[Path] = []

    def check(path: Path, *kind: Any) -> Any:
        checked.append(path)
        return open_checked(path, *kind)

    monkeypatch.setattr("vidaug_cli.data.shard.reader.open_checked", check)
    monkeypatch.setattr("vidaug_cli.data.shard.dataset.open_files", lambda: 8)
    before = descriptors()
    for index in np.random.default_rng(0).permutation(np.tile(np.arange(80), 3)):
        video, label, weights = data[index]
        record = record_of(header_of(), int(index))
        np.testing.assert_array_equal(video, wanted[index])
        np.testing.assert_array_equal(label, record.label)
        np.testing.assert_array_equal(weights, record.weights)
        label.zero_()  # what is given away is not what is kept
        assert descriptors() <= before + 2
    assert descriptors() == before + 2
    assert sorted(checked) == data.paths
    restored = pickle.loads(pickle.dumps(data))
    assert torch.equal(restored[7][0], data[7][0])


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_processes_that_were_forked_read_files_of_their_own(out: Path) -> None:
    """Else the place in a file at which one reads would be moved by another."""
    data = ShardDataset(out)
    wanted = torch.stack([data[i % 5][0] for i in range(200)])
    loader: DataLoader[Any] = DataLoader(Repeated(data), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert torch.equal(torch.stack([video for video, _ in loader]), wanted)
    assert torch.equal(data[3][0], wanted[3])


class Repeated(Dataset[tuple[torch.Tensor, ...]]):
    """Five clips, forty times."""

    def __init__(self, data: ShardDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        return self.data[index % 5]


@given(rows=st.integers(1, 40), chunk=st.integers(1, 9), wide=st.booleans(), ends=st.tuples(*[st.integers(0, 45)] * 2))
def test_bytes_are_read_without_hdf5_as_with_it(rows: int, chunk: int, wide: bool, ends: tuple[int, int]) -> None:
    values = np.random.default_rng(rows).integers(0, 256, (rows, 3, 2) if wide else (rows,), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bytes.h5")
        with h5py.File(path, "w") as file:
            file.create_dataset("other", data=values[::-1], chunks=(1, *values.shape[1:]))
            file.create_dataset("values", data=values, chunks=(min(rows, chunk), *values.shape[1:]))
            plain = PlainDataset(path, file["values"])
        assert len(plain) == rows
        np.testing.assert_array_equal(plain[slice(*ends)], values[slice(*ends)])
        np.testing.assert_array_equal(plain[rows - 1], values[-1])
        plain.close()
        np.testing.assert_array_equal(plain[0], values[0])
        plain.close()


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda path: os.truncate(path, path.stat().st_size // 2), "clip 2: ends within its pixels; "),
        (
            lambda path: path.write_bytes(path.read_bytes()[::-1]),
            "clip 2: has damaged pixels: their checksum is wrong",
        ),
        (lambda path: path.unlink(), "clip 2: does not exist"),
    ],
)
def test_a_shard_that_changes_while_it_is_read_is_an_error_of_one_line(
    out: Path, damage: Callable[[Path], object], what: str
) -> None:
    data = ShardDataset(out)
    data._shard(data.paths[0])  # is checked, and its file not open yet
    damage(data.paths[0])
    with pytest.raises(ShardError, match=re.escape(f"{data.paths[0]}, {what}")):
        data[2]


def test_a_shard_without_its_record_is_not_finished(out: Path) -> None:
    done_path(shard_path(out, 0)).unlink()
    assert len(ShardDataset(out)) == 2
    with pytest.raises(ShardError, match="no finished shard"):
        ShardDataset(out / "000")


def test_a_data_set_does_not_mix_shapes(out: Path) -> None:
    header = header_of(shard=3, size=8)
    write_shard(shard_path(out, 3), header, [record_of(header)])
    with pytest.raises(ShardError, match="another shape of clip"):
        ShardDataset(out)


@pytest.mark.parametrize("package", ["torch", "PIL", "av"])
def test_reading_and_writing_raw_shards_does_not_import(tmp_path: Path, package: str) -> None:
    write_shard(tmp_path / "shard.h5", header_of(), [record_of(header_of())])
    code = (
        "import sys; from pathlib import Path; from vidaug_cli.data.shard import check, writer;"
        f"faults = check.check_shard(Path(sys.argv[1])); sys.exit({package!r} in sys.modules or bool(faults))"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "shard.h5"], check=False).returncode == 0


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_the_programs_in_the_document_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], codec: str
) -> None:
    programs = dict(
        zip(("raw", "jpeg", "video"), re.findall("```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL), strict=True)
    )
    assert programs[codec].count("\n") <= 11
    header = header_of(codec=codec)
    write_shard(shard_path(tmp_path, 0), header, [record_of(header, number) for number in range(2)])
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(programs[codec].replace("OUT/", ""), str(DOCUMENT), "exec"), names)
    with Shard(shard_path(tmp_path, 0)) as shard:
        off = np.abs(names["video"].astype(int) - shard.video(1))
    assert off.mean() <= 3 if codec == "video" else not off.any()  # PyAV's own way to RGB repeats chroma
    printed = capsys.readouterr().out
    assert printed.count("(4, 16, 16, 3)") == 2
    assert ("walk" in printed) == (codec == "raw")


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_the_layout_is_as_the_document_says(tmp_path: Path, codec: str) -> None:
    """Chunks, filters, types and the places of pictures: what a program without vidaug relies on."""
    large, small = header_of(codec=codec, frames=64, size=80), header_of(codec=codec)
    for header, chunk in ((large, 2**20), (small, 4 * 16 * 16 * 3)):
        records = [record_of(header, number) for number in range(3)]
        path = tmp_path / f"{header.size}.h5"
        write_shard(path, header, records)
        with h5py.File(path) as file:
            for name, dataset in file.items():
                pixels = {"clips": (1, *header.shape), "data": (chunk,)}
                assert dataset.chunks == pixels.get(name, (1, *dataset.shape[1:])), name
                assert dataset.fletcher32 == (name not in pixels), name
                assert dataset.compression is None, name
                assert dataset.maxshape == (None, *dataset.shape[1:]), name
            if codec == "raw":
                stored = [file["clips"][i].tobytes() for i in range(3)]
                assert stored == [record.video.tobytes() for record in records]
            else:
                offsets = file["offsets"][:]
                assert offsets.shape == (3, header.frames + 1)
                assert (offsets[0, 0], offsets[-1, -1]) == (0, len(file["data"]))
                assert (offsets[1:, 0] == offsets[:-1, -1]).all()
                stored = [file["data"][row[0] : row[-1]].tobytes() for row in offsets]
                for i, t in ((0, 0), (1, 2), (2, header.frames - 1)):
                    jpeg = file["data"][offsets[i, t] : offsets[i, t + 1]].tobytes()
                    whole = (jpeg[:2], jpeg[-2:]) == (b"\xff\xd8", b"\xff\xd9")
                    assert whole if codec == "jpeg" else jpeg[:4] == b"\0\0\0\1"
            assert file["crc32"][:].tolist() == [zlib.crc32(each) for each in stored]
            assert file["crc32"].dtype == np.uint32


def test_an_error_of_the_block_is_not_taken_for_one_of_the_disk(tmp_path: Path) -> None:
    error = OSError(24, "Too many open files")
    with pytest.raises(OSError, match="Too many open files") as caught, ShardWriter(tmp_path / "x.h5", header_of()):
        raise error
    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_a_record_may_have_keys_of_a_later_release_if_its_check_says_so(out: Path) -> None:
    """Without a check such a key is a damaged one of ours; the check is as the document defines it."""
    header = header_of()
    write_shard(out / "a.h5", header, [record_of(header)])
    path = done_path(out / "a.h5")
    written, content = read_done(path), json.loads(path.read_bytes())
    check = content.pop("check")
    assert check == xxh3_128(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(content))
    assert read_done(path) == written
    later = content | {"mood": "good"}
    for said in (None, check):
        path.write_text(json.dumps(later | ({"check": said} if said else {})))
        with pytest.raises(ShardError, match="check does not fit" if said else "mood: unknown key"):
            read_done(path)
    path.write_text(json.dumps(later | {"check": xxh3_128(json.dumps(later, sort_keys=True).encode()).hexdigest()}))
    assert read_done(path) == written


def test_the_document_names_every_dataset_and_attribute(out: Path) -> None:
    text = DOCUMENT.read_text()
    for codec in ("raw", "jpeg", "video"):
        header = header_of(codec=codec)
        write_shard(out / f"{codec}.h5", header, [record_of(header)])
        with h5py.File(out / f"{codec}.h5") as file:
            for name in (*file, *file.attrs):
                assert f"| `{name}` |" in text, name
    for name in json.loads(done_path(out / "jpeg.h5").read_text()):
        assert f"`{name}`" in text, name
