"""Shards that are damaged, foreign or out to do harm: refused in one line, before anything is allocated or followed."""

from __future__ import annotations

import io
import json
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from shard_makers import header_of, record_of, write_shard

from vidaug_cli.data.shard.check import check_shard
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.format import done_path, file_xxh3, read_done
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.errors import ShardError

Change = Callable[[Any, Path], object]


def made(path: Path, **header: Any) -> Path:
    """A good shard of two clips."""
    write_shard(path, header_of(**header), [record_of(header_of(**header), number) for number in range(2)])
    return path


def put(name: str, shape: tuple[int, ...], dtype: Any, **options: Any) -> Change:
    """Another dataset in place of ours; otherwise made as ours are."""
    pixels = name in ("clips", "data")
    usual = {"chunks": (1, *shape[1:]), "maxshape": (None, *shape[1:]), "fletcher32": None if pixels else True}

    def change(file: Any, folder: Path) -> None:
        del file[name]
        file.create_dataset(name, shape, dtype, **{key: v for key, v in (usual | options).items() if v is not None})

    return change


def link(name: str, to: Any) -> Change:
    def change(file: Any, folder: Path) -> None:
        file.move(name, "moved") if isinstance(to, h5py.SoftLink) else file.__delitem__(name)
        file[name] = to

    return change


def external_storage(file: Any, folder: Path) -> None:
    (folder / "secret").write_bytes(b"s" * 8192)
    put("clips", (2, 4, 16, 16, 3), "u1", chunks=None, maxshape=None, fletcher32=None, external=str(folder / "secret"))(
        file, folder
    )


def virtual(file: Any, folder: Path) -> None:
    del file["weights"]
    layout = h5py.VirtualLayout((2, 4), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (2, 4))
    file.create_virtual_dataset("weights", layout)


def attribute(name: str, value: Any, dtype: Any = None) -> Change:
    return lambda file, folder: file.attrs.create(name, value, dtype=dtype)


def text(value: str) -> np.bytes_:
    return np.bytes_(value.encode())


HOSTILE: dict[str, tuple[Change, str]] = {
    "soft link": (link("labels", h5py.SoftLink("/moved")), "datasets"),
    "external link": (link("labels", h5py.ExternalLink("/etc/passwd", "/x")), "link to somewhere else"),
    "dangling soft link": (lambda file, _: (file.pop("copy"), file.update({"copy": h5py.SoftLink("/no")})), "link to"),
    "group": (lambda file, _: (file.pop("copy"), file.create_group("copy")), "not a dataset"),
    "extra dataset": (lambda file, _: file.create_dataset("x\n\x1b[31m", data=1), "foreign"),
    "dataset missing": (lambda file, _: file.__delitem__("sources"), "missing"),
    "external storage": (external_storage, "not stored in this file"),
    "virtual dataset": (virtual, "not stored in this file"),
    "scalar": (lambda file, _: (file.pop("clip"), file.create_dataset("clip", data=3)), "not a dataset"),
    "null": (lambda file, _: (file.pop("clip"), file.create_dataset("clip", data=h5py.Empty("i8"))), "not a dataset"),
    "object references": (put("clip", (2,), h5py.ref_dtype), "should be int64"),
    "compound": (put("sources", (2, 2), np.dtype([("a", "i4"), ("b", "i4")])), "should be int64"),
    "enum": (put("copy", (2,), h5py.enum_dtype({"a": 0}, "i4")), "should be int32"),
    "other type": (put("labels", (2, 2), "f8"), "should be float32"),
    "big-endian": (put("labels", (2, 2), ">f4"), "should be float32"),
    "other shape": (put("weights", (2, 5), "f4"), r"should be float32 \(2, 4\)"),
    "other count": (put("weights", (3, 4), "f4"), r"should be float32 \(2, 4\)"),
    "contiguous": (put("labels", (2, 2), "f4", chunks=None, maxshape=None, fletcher32=None), "one chunk per clip"),
    "other chunks": (put("labels", (2, 2), "f4", chunks=(2, 2)), "one chunk per clip"),
    "pixels with a filter": (put("clips", (2, 4, 16, 16, 3), "u1", fletcher32=True), "should have no filter"),
    "compressed pixels": (put("clips", (2, 4, 16, 16, 3), "u1", compression="gzip"), "should have no filter"),
    "other chunks of pixels": (put("clips", (2, 4, 16, 16, 3), "u1", chunks=(1, 4, 16, 16, 1)), "one chunk per clip"),
    "gzip": (put("labels", (2, 2), "f4", compression="gzip"), "no other filter"),
    "no checksum": (put("labels", (2, 2), "f4", fletcher32=None), "should have a checksum"),
    "params of free length": (put("params", (2,), h5py.string_dtype(), fletcher32=None), "'params' is object"),
    "params of 1 GiB": (put("params", (2,), h5py.string_dtype("utf-8", 2**30)), "'params' is"),
    "nothing stored": (put("clips", (2, 4, 16, 16, 3), "u1"), "not in the file"),
    "attribute of free length": (attribute("recipe", "x"), "fixed length"),
    "attribute of 2 MB": (attribute("recipe", text("x" * 2**21)), "fixed length"),
    "attribute table": (attribute("seed", [1, 2]), "64-bit integer"),
    "attribute null": (attribute("seed", h5py.Empty("i8")), "64-bit integer"),
    "attribute too many": (attribute("more", 1), "more: unknown key"),
    "attribute with a usual value missing": (lambda file, _: file.attrs.__delitem__("codec"), "codec: is missing"),
    "classes missing": (lambda file, _: file.attrs.__delitem__("classes"), "classes: "),
    "classes a number": (attribute("classes", 3), "classes: 3 should be a list"),
    "attribute missing": (lambda file, _: file.attrs.__delitem__("seed"), "seed: is missing"),
    "seed is text": (attribute("seed", text("x")), "seed: 'x' should be a whole number"),
    "classes no JSON": (attribute("classes", text("[")), "not JSON"),
    "classes deep": (attribute("classes", text("[" * 60_000)), "not JSON"),
    "classes no list": (attribute("classes", text("{}")), "JSON list"),
    "classes not names": (attribute("classes", text("[1, 2]")), r"classes\.0: 1 should be a string"),
    "no UTF-8": (attribute("recipe", np.bytes_(b"\xff\xfe")), "damaged"),
    "frames of 0": (attribute("frames", 0), "1 to 4096"),
    "later version": (attribute("version", 2), "update vidaug-cli"),
    "foreign format": (attribute("format", text("pascal")), "not a shard of vidaug"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(tmp_path: Path, name: str) -> None:
    refused(made(tmp_path / "shard.h5"), *HOSTILE[name])


HOSTILE_DATA: dict[str, tuple[Change, str]] = {
    "other chunks": (put("data", (4000,), "u1", chunks=(4000,)), "chunks of 3072 bytes"),
    "gzip": (put("data", (4000,), "u1", chunks=(3072,), compression="gzip"), "should have no filter"),
    "contiguous": (put("data", (4000,), "u1", chunks=None, maxshape=None), "chunks of 3072 bytes"),
    "nothing stored": (put("data", (4000,), "u1", chunks=(3072,)), "declares 4000 bytes, which are not in the file"),
    "more declared": (lambda file, _: file["data"].resize(2**40, axis=0), "declares 1099511627776 bytes, which"),
    "a chunk more declared": (lambda file, _: file["data"].resize(len(file["data"]) + 3072, 0), "not in the file"),
    "data missing": (lambda file, _: file.__delitem__("data"), "missing"),
    "text": (put("data", (4000,), "S1", chunks=(3072,)), "'data' is"),
    "two dimensions": (put("data", (4000, 1), "u1", chunks=(3072, 1)), "should be uint8"),
    "one stream a clip": (put("offsets", (2, 2), "i8"), r"should be int64 \(2, 5\)"),
    "offsets of other clips": (put("offsets", (3, 5), "i8"), r"should be int64 \(2, 5\)"),
    "unsigned offsets": (put("offsets", (2, 5), "u8"), "should be int64"),
    "offsets without a checksum": (put("offsets", (2, 5), "i8", fletcher32=None), "should have a checksum"),
    "raw clips too": (lambda file, _: file.create_dataset("clips", data=1), "foreign"),
    "crc32 of each picture": (put("crc32", (2, 4), "u4"), r"should be uint32 \(2,\)"),
    "says raw": (attribute("codec", text("raw")), "missing or foreign"),
    "an unknown codec": (attribute("codec", text("png")), "'png' should be 'raw', 'jpeg' or 'video'"),
}


@pytest.mark.parametrize("name", HOSTILE_DATA)
def test_a_hostile_file_of_jpegs_is_refused(tmp_path: Path, name: str) -> None:
    refused(made(tmp_path / "shard.h5", codec="jpeg"), *HOSTILE_DATA[name])


def refused(path: Path, change: Change, message: str) -> None:
    """Change a shard and see that it cannot be opened, in one line and at no cost."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        change(file, path.parent)
    tracemalloc.start()
    with pytest.raises(ShardError, match=message) as caught:
        Shard(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(check_shard(path)) == 1


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_a_small_file_that_declares_terabytes(tmp_path: Path, codec: str) -> None:
    path = made(tmp_path / "shard.h5", codec=codec)
    with h5py.File(path, "r+") as file:
        for dataset in file.values():
            dataset.resize(2**31, axis=0)
    assert path.stat().st_size < 60_000
    with pytest.raises(ShardError, match=r"declares 2147483648 (clips|bytes), which are not in the file"):
        Shard(path)


def test_an_external_link_is_not_followed(tmp_path: Path) -> None:
    other, path = made(tmp_path / "other.h5"), made(tmp_path / "shard.h5")
    with h5py.File(path, "r+") as file:
        link("labels", h5py.ExternalLink(str(other), "/labels"))(file, tmp_path)
        assert file["labels"].shape == (2, 2)  # that is: the link is a good one
    with pytest.raises(ShardError, match="link to somewhere else"):
        Shard(path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "damaged"), (b"x" * 9000, "damaged"), (b"\x89HDF\r\n\x1a\n" * 99, "damaged")]
)
def test_what_is_not_hdf5(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "shard.h5"
    path.write_bytes(content)
    with pytest.raises(ShardError, match=message):
        Shard(path)


def test_what_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="does not exist"):
        Shard(tmp_path / "no.h5")
    with pytest.raises(ShardError, match="cannot be read: Is a directory; name a file"):
        Shard(tmp_path)
    done = write_shard(tmp_path / "shard.h5", header_of(), [])
    assert check_shard(tmp_path / "no.h5", done) == ["does not exist"]


@pytest.mark.parametrize("params", ["[]", "{", '{"a": NaN}', '{"a":' * 30_000, "\udcff"])
def test_params_that_are_no_json_object(tmp_path: Path, params: str) -> None:
    path = made(tmp_path / "shard.h5")
    data = params.encode(errors="surrogateescape")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        put("params", (2,), h5py.string_dtype("utf-8", len(data)))(file, tmp_path)
        file["params"][:] = np.array([data, data], file["params"].dtype)
    assert [fault.split(" is ")[0].split(" should ")[0] for fault in check_shard(path)] == [
        "clip 0: params",
        "clip 1: params",
    ]


def picture(size: tuple[int, int] = (16, 16), kind: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, kind, **options)
    return stream.getvalue()


BOMBS = {
    "larger": (picture((64, 64)), "64 x 64, not RGB of 16 x 16"),
    "a bomb": (picture((15_000, 15_000), progressive=True), "not a JPEG that can be decoded"),
    "grey": (picture(mode="L"), "it is L"),
    "CMYK": (picture(mode="CMYK"), "it is CMYK"),
    "PNG": (picture(kind="PNG"), "not a JPEG that can be decoded"),
    "progressive": (picture(progressive=True), "progressive"),
    "truncated": (picture()[:-30], "not a JPEG that can be decoded"),
    "empty": (b"", "too small"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_frame_that_is_not_the_jpeg_it_should_be(tmp_path: Path, name: str) -> None:
    data, message = BOMBS[name]
    path = made(tmp_path / "shard.h5", codec="jpeg")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        first, second = pictures_of(file, 0), pictures_of(file, 1)
        put_pictures(file, [first, [*second[:2], data, second[3]]])
    tracemalloc.start()
    with Shard(path) as shard, pytest.raises(ShardError, match=message) as caught:
        shard.video(1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert "clip 1" in str(caught.value)
    with Shard(path) as shard:
        assert shard.video(0).shape == (4, 16, 16, 3)


def pictures_of(file: Any, clip: int) -> list[bytes]:
    """The JPEGs of a clip."""
    return [file["data"][start:end].tobytes() for start, end in pairwise(file["offsets"][clip])]


def put_pictures(file: Any, clips: list[list[bytes]]) -> None:
    """Other JPEGs in place of those that are there, all else as it should be."""
    data = b"".join(picture for clip in clips for picture in clip)
    file["data"].resize(len(data), axis=0)
    file["data"][:] = np.frombuffer(data, np.uint8)
    file["crc32"][:] = [zlib.crc32(b"".join(clip)) for clip in clips]
    start = 0
    for number, clip in enumerate(clips):
        file["offsets"][number] = start + np.cumsum([0, *map(len, clip)])
        start += sum(map(len, clip))


OFFSETS: dict[str, tuple[Callable[[Any, int], Any], str]] = {
    "decreasing": (lambda good, end: good[[0, 2, 1, 3, 4]], "decrease"),
    "backwards": (lambda good, end: good[::-1], "decrease"),
    "decreasing by more than int64 holds": (lambda good, end: [0, 2**63 - 1, -(2**63), 2**63 - 1, end], "decrease"),
    "beyond the end": (lambda good, end: [*good[:4], end + 1], "outside"),
    "huge": (lambda good, end: [*good[:4], 2**63 - 1], "outside"),
    "all huge": (lambda good, end: [2**63 - 1] * 5, "outside"),
    "negative": (lambda good, end: [-1, *good[1:]], "outside"),
    "from the end": (lambda good, end: good - end, "outside"),
    "lowest": (lambda good, end: [-(2**63), *good[1:]], "outside"),
    "nothing": (lambda good, end: good[[0, 0, 0, 0, 0]], "too small"),
    "one picture of nothing": (lambda good, end: good[[0, 1, 1, 3, 4]], "too small"),
    "another clip's": (lambda good, end: good - good[0], "checksum is wrong"),
    "within the pictures": (lambda good, end: good - [0, 1, 1, 1, 0], "not a JPEG that can be decoded"),
}


@pytest.mark.parametrize("name", OFFSETS)
def test_offsets_that_cannot_be(tmp_path: Path, name: str) -> None:
    change, message = OFFSETS[name]
    path = made(tmp_path / "shard.h5", codec="jpeg")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        file["offsets"][1] = change(file["offsets"][1], len(file["data"]))
    tracemalloc.start()
    with Shard(path) as shard, pytest.raises(ShardError, match=message) as caught:
        shard.video(1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert str(caught.value).startswith(f"{path}, clip 1: ")
    for deep in (True, False) if message in ("decrease", "outside", "too small") else (True,):
        (fault,) = check_shard(path, deep=deep)
        assert fault.startswith("clip 1: ")


def test_offsets_at_random(tmp_path: Path) -> None:
    path, rng = made(tmp_path / "shard.h5", codec="jpeg"), np.random.default_rng(4)
    with Shard(path) as shard:
        wanted = shard.video(1)
    for _ in range(100):
        with h5py.File(path, "r+", libver=("v110", "v110")) as file:
            good = file["offsets"][1]
            most = int(rng.choice([3, len(file["data"]), 2**40]))
            file["offsets"][1] = changed = good + rng.integers(-most, most, 5) * rng.integers(0, 2, 5)
        with Shard(path) as shard:
            if (changed != good).any():
                with pytest.raises(ShardError):
                    shard.video(1)
            else:
                np.testing.assert_array_equal(shard.video(1), wanted)
        with h5py.File(path, "r+", libver=("v110", "v110")) as file:
            file["offsets"][1] = good


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_one_flipped_bit_of_a_picture_is_found(tmp_path: Path, codec: str) -> None:
    """Also where the done record was made to agree with the file: the record is not what finds it."""
    path = made(tmp_path / "shard.h5", codec=codec)
    done, data = read_done(done_path(path)), bytearray(path.read_bytes())
    with h5py.File(path) as file:
        if codec == "raw":
            place = file["clips"].id.get_chunk_info_by_coord((1, 0, 0, 0, 0)).byte_offset + 300
        else:
            position = int(file["offsets"][1, 2:4].mean())
            chunk = file["data"].id.get_chunk_info_by_coord((position,))
            place = chunk.byte_offset + position % file["data"].chunks[0]
    data[place] ^= 4
    path.write_bytes(data)
    assert check_shard(path, done) == ["has other bytes than when it was written: its hash is not that in its .json"]
    replace(done, xxh3=file_xxh3(path)).write(done_path(path))
    assert check_shard(path, read_done(done_path(path))) == ["clip 1: has damaged pixels: their checksum is wrong"]
    with Shard(path) as shard:
        assert shard.video(0).shape == (4, 16, 16, 3)
    if codec == "raw":
        with Shard(path, check=False) as shard:
            assert (shard.video(1) != record_of(shard.header, 1).video).sum() == 1


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_a_wrong_crc32(tmp_path: Path, codec: str) -> None:
    path = made(tmp_path / "shard.h5", codec=codec)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        file["crc32"][1] += 1
    assert check_shard(path) == ["clip 1: has damaged pixels: their checksum is wrong"]
    with Shard(path, check=False) as unchecked, Shard(path) as shard:
        for read in (shard.video, shard.record):
            with pytest.raises(ShardError, match=r", clip 1: has damaged pixels: their checksum is wrong; "):
                read(1)
        np.testing.assert_array_equal(unchecked.video(0), shard.video(0))
        assert unchecked.video(1).shape == (4, 16, 16, 3)
    for check in (True, False):
        data = ShardDataset(path, check=check)
        assert data[0][0].shape == (4, 16, 16, 3)
        with pytest.raises(ShardError, match="checksum is wrong") if check else nullcontext():
            data[1]


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_a_shard_of_before_the_first_release_is_refused(tmp_path: Path, codec: str) -> None:
    """It had the same version, with Fletcher-32 on raw clips, and JPEGs as values of free length."""
    path = made(tmp_path / "shard.h5", codec=codec)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        if codec == "raw":
            put("clips", (2, 4, 16, 16, 3), "u1", fletcher32=True)(file, tmp_path)
            del file["crc32"]
        else:
            del file["data"], file["offsets"]
            file.create_dataset("clips", (2, 4), h5py.vlen_dtype(np.uint8), maxshape=(None, 4), chunks=(1, 4))
            put("crc32", (2, 4), "u4")(file, tmp_path)
    with pytest.raises(ShardError, match=r"missing or foreign: \['c.*\]; ") as caught:
        Shard(path)
    assert str(caught.value).isprintable()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "sum": ({"label": np.array([0.4, 0.4], np.float32)}, "does not sum to 1"),
    "not a number": ({"label": np.array([np.nan, 1], np.float32)}, "does not sum to 1"),
    "negative": ({"label": np.array([-0.1, 1.1], np.float32)}, "label outside 0 to 1"),
    "weight": ({"weights": np.array([0.2, 0.2, 0.2, 1.1], np.float32)}, "weight outside 0 to 1"),
    "share": ({"label": np.array([0.5, 0.5], np.float32)}, "does not agree with the weights"),
    "turned round": ({"label": np.array([0.6, 0.4], np.float32)}, "does not agree with the weights"),
    "row": ({"sources": (0, 4)}, "no row of the manifest"),
    "own row": ({"sources": (-1, 0)}, "no row of the manifest"),
    "frame": ({"frames": np.full((2, 4), -1, np.int32)}, "frame number below 0"),
    "copy": ({"copy": -2}, "copy below -1"),
    "clip": ({"clip": 0}, "negative or taken"),
}


@pytest.mark.parametrize("name", WRONG)
def test_numbers_that_cannot_be(tmp_path: Path, name: str) -> None:
    values, message = WRONG[name]
    header, path = header_of(), tmp_path / "shard.h5"
    write_shard(path, header, [record_of(header, 0), replace(record_of(header, 1), **values)])
    faults = check_shard(path, row_labels=[0, 1, 1, 0], deep=False)
    assert any(fault.startswith("clip 1: ") and message in fault for fault in faults), faults


def test_labels_of_repeated_classes_and_of_clips_without_a_partner(tmp_path: Path) -> None:
    header, path = header_of(), tmp_path / "shard.h5"
    mixed = record_of(header)
    frames = mixed.frames.copy()
    frames[1] = -1
    same = replace(mixed, sources=(1, 2), label=np.array([0, 1], np.float32), clip=1)
    label = np.array([1, 0], np.float32)
    alone = replace(mixed, sources=(0, -1), label=label, weights=np.ones(4, np.float32), frames=frames, clip=2, copy=-1)
    write_shard(path, header, [mixed, same, alone])
    assert check_shard(path, row_labels=[0, 1, 1]) == []
    assert check_shard(path) == []
    assert check_shard(path, row_labels=[0, 1, 0]) == ["clip 1: label that does not agree with the weights"]
    write_shard(path, header, [replace(alone, weights=mixed.weights)])
    assert check_shard(path, row_labels=[0]) == ["clip 0: weight below 1 without a partner"]


def test_a_file_that_is_not_its_record_s_is_not_opened(tmp_path: Path) -> None:
    path = made(tmp_path / "shard.h5")
    done = read_done(done_path(path))
    assert check_shard(path, replace(done, clips=3)) == ["is shard 0 of 2 clips, and its .json says 0 of 3"]
    assert check_shard(path, replace(done, bytes=3))[0].endswith("its .json says 3")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert check_shard(path, done) == ["has other bytes than when it was written: its hash is not that in its .json"]


@pytest.mark.parametrize(
    "change",
    [{"bytes": "1"}, {"clips": True}, {"xxh3": "x"}, {"shard": -1}, {"failures": [{"clip": 1}]}, {"version": 2}],
)
def test_a_done_record_that_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    path = done_path(made(tmp_path / "shard.h5"))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ShardError, match="does not say that a shard is done"):
        read_done(path)
    for text_ in ("", "[]", "\0"):
        path.write_text(text_)
        with pytest.raises(ShardError, match="does not say that a shard is done"):
            read_done(path)
    path.unlink()
    with pytest.raises(ShardError, match="cannot be read"):
        read_done(path)


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four bytes changed, or the end cut off."""
    if rng.random() < 0.2:
        return data[: rng.integers(len(data))]
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(len(data))] ^= rng.integers(1, 256)
    return bytes(changed)


def read_all(path: Path) -> list[Any] | str:
    """Everything in a shard as comparable values, or the error."""
    try:
        with Shard(path) as shard:
            records = [vars(shard.record(i)) for i in range(len(shard))]
            return [shard.header, *({key: np.asarray(v).tolist() for key, v in record.items()} for record in records)]
    except ShardError as error:
        return str(error)


@pytest.mark.parametrize("codec", ["raw", "jpeg", "video"])
def test_damage_is_reported_or_harmless(tmp_path: Path, codec: str) -> None:
    path = made(tmp_path / "shard.h5", codec=codec)
    done, good, wanted = read_done(done_path(path)), path.read_bytes(), read_all(path)
    rng = np.random.default_rng(2)
    for _ in range(150):
        path.write_bytes(bad := damage(good, rng))
        assert bad == good or check_shard(path, done)
        found = read_all(path)
        if check_shard(path):
            assert isinstance(found, str)
            assert found.isprintable()
        else:
            assert found == wanted
