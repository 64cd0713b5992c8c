"""Shards that are damaged, foreign or out to do harm: refused in one line, before anything is allocated or followed."""

from __future__ import annotations

import io
import json
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from shard_makers import header_of, record_of, write_shard

from vidaug_cli.data.shard.check import check_shard
from vidaug_cli.data.shard.done import done_path, read_done
from vidaug_cli.data.shard.file import Shard
from vidaug_cli.data.shard.layout import as_row
from vidaug_cli.errors import ShardError

Change = Callable[[Any, Path], object]


def made(path: Path, **header: Any) -> Path:
    """A good shard of two clips."""
    write_shard(path, header_of(**header), [record_of(header_of(**header), number) for number in range(2)])
    return path


def put(name: str, shape: tuple[int, ...], dtype: Any, **options: Any) -> Change:
    """Another dataset in place of ours; otherwise made as ours are."""
    usual = {"chunks": (1, *shape[1:]), "maxshape": (None, *shape[1:]), "fletcher32": True}

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
    "gzip": (put("labels", (2, 2), "f4", compression="gzip"), "no other filter"),
    "no checksum": (put("labels", (2, 2), "f4", fletcher32=None), "should have a checksum"),
    "params of free length": (put("params", (2,), h5py.string_dtype(), fletcher32=None), "'params' is object"),
    "params of 1 GiB": (put("params", (2,), h5py.string_dtype("utf-8", 2**30)), "'params' is"),
    "nothing stored": (put("clips", (2, 4, 16, 16, 3), "u1"), "not in the file"),
    "attribute of free length": (attribute("recipe", "x"), "fixed length"),
    "attribute of 2 MB": (attribute("recipe", text("x" * 2**21)), "fixed length"),
    "attribute table": (attribute("seed", [1, 2]), "64-bit integer"),
    "attribute null": (attribute("seed", h5py.Empty("i8")), "64-bit integer"),
    "attribute too many": (attribute("more", 1), "should have the attributes"),
    "attribute missing": (lambda file, _: file.attrs.__delitem__("seed"), "should have the attributes"),
    "seed is text": (attribute("seed", text("x")), "should be int"),
    "classes no JSON": (attribute("classes", text("[")), "not JSON"),
    "classes deep": (attribute("classes", text("[" * 60_000)), "not JSON"),
    "classes no list": (attribute("classes", text("{}")), "JSON list"),
    "classes not names": (attribute("classes", text("[1, 2]")), "list of names"),
    "no UTF-8": (attribute("recipe", np.bytes_(b"\xff\xfe")), "damaged"),
    "frames of 0": (attribute("frames", 0), "1 to 4096"),
    "later version": (attribute("version", 2), "update vidaug-cli"),
    "foreign format": (attribute("format", text("pascal")), "not a shard of vidaug"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(tmp_path: Path, name: str) -> None:
    change, message = HOSTILE[name]
    path = made(tmp_path / "shard.h5")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        change(file, tmp_path)
    tracemalloc.start()
    with pytest.raises(ShardError, match=message) as caught:
        Shard(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(check_shard(path)) == 1


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_a_small_file_that_declares_terabytes(tmp_path: Path, codec: str) -> None:
    path = made(tmp_path / "shard.h5", codec=codec)
    with h5py.File(path, "r+") as file:
        for dataset in file.values():
            dataset.resize(2**31, axis=0)
    assert path.stat().st_size < 60_000
    with pytest.raises(ShardError, match="declares 2147483648 clips"):
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
        pictures = [file["clips"][1, frame].tobytes() for frame in range(4)]
        pictures[2] = data
        put("clips", (2, 4), h5py.vlen_dtype(np.uint8), fletcher32=None)(file, tmp_path)
        file["clips"][0] = file["clips"][1] = as_row([*pictures[:1] * 3, pictures[1] + b"\0"])
        for frame in range(4):
            file["clips"][1, frame] = np.frombuffer(pictures[frame], np.uint8)
        file["crc32"][1] = [zlib.crc32(each) for each in pictures]
    tracemalloc.start()
    with Shard(path) as shard, pytest.raises(ShardError, match=message) as caught:
        shard.video(1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert "clip 1" in str(caught.value)


def test_a_jpeg_that_claims_gigabytes_is_not_allocated(tmp_path: Path) -> None:
    path = made(tmp_path / "shard.h5", codec="jpeg")
    with h5py.File(path) as file:
        where = file["clips"].id.get_chunk_info(1).byte_offset
    data = bytearray(path.read_bytes())
    data[where : where + 4] = (2**32 - 1).to_bytes(4, "little")
    path.write_bytes(data)
    with Shard(path) as shard, pytest.raises(ShardError, match="damaged heap"):
        shard.video(1)


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_one_flipped_bit_of_a_picture_is_found(tmp_path: Path, codec: str) -> None:
    path = made(tmp_path / "shard.h5", codec=codec)
    with h5py.File(path) as file:
        stored = file["clips"][1]
    data = bytearray(path.read_bytes())
    data[data.index((stored if codec == "raw" else stored[2]).tobytes()) + 300] ^= 4
    path.write_bytes(data)
    (fault,) = check_shard(path)
    assert fault.startswith("clip 1: ")
    with Shard(path) as shard:
        assert shard.video(0).shape == (4, 16, 16, 3)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "sum": ({"label": np.float32([0.4, 0.4])}, "does not sum to 1"),
    "not a number": ({"label": np.float32([np.nan, 1])}, "does not sum to 1"),
    "negative": ({"label": np.float32([-0.1, 1.1])}, "label outside 0 to 1"),
    "weight": ({"weights": np.float32([0.2, 0.2, 0.2, 1.1])}, "weight outside 0 to 1"),
    "share": ({"label": np.float32([0.5, 0.5])}, "does not agree with the weights"),
    "turned round": ({"label": np.float32([0.6, 0.4])}, "does not agree with the weights"),
    "row": ({"sources": (0, 4)}, "not a row of the manifest"),
    "own row": ({"sources": (-1, 0)}, "not a row of the manifest"),
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
    same = replace(mixed, sources=(1, 2), label=np.float32([0, 1]), clip=1)
    alone = replace(
        mixed, sources=(0, -1), label=np.float32([1, 0]), weights=np.ones(4, np.float32), frames=frames, clip=2, copy=-1
    )
    write_shard(path, header, [mixed, same, alone])
    assert check_shard(path, row_labels=[0, 1, 1]) == []
    assert check_shard(path) == []
    assert check_shard(path, row_labels=[0, 1, 0]) == ["clip 1: label that does not agree with the weights"]
    write_shard(path, header, [replace(alone, weights=mixed.weights)])
    assert check_shard(path, row_labels=[0]) == ["clip 0: weight below 1 without a partner"]


def test_a_file_that_is_not_its_record_s_is_not_opened(tmp_path: Path) -> None:
    path = made(tmp_path / "shard.h5")
    done = read_done(done_path(path))
    assert check_shard(path, replace(done, clips=3)) == ["is shard 0 of 2 clips, not 0 of 3"]
    assert check_shard(path, replace(done, bytes=3))[0].endswith("its done record says 3")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert check_shard(path, done) == ["has another sha256 than its done record says"]


@pytest.mark.parametrize(
    "change",
    [{"bytes": "1"}, {"clips": True}, {"sha256": "x"}, {"shard": -1}, {"failures": [{"clip": 1}]}, {"version": 2}],
)
def test_a_done_record_that_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    path = done_path(made(tmp_path / "shard.h5"))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ShardError, match="is not a done record"):
        read_done(path)
    for text_ in ("", "[]", "\0"):
        path.write_text(text_)
        with pytest.raises(ShardError, match="is not a done record"):
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


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
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


def test_the_end_of_a_heap_on_which_hdf5_loops_for_ever(tmp_path: Path) -> None:
    path = made(tmp_path / "shard.h5", codec="jpeg")
    wanted, data = read_all(path), bytearray(path.read_bytes())
    free = data.index(b"GCOL")
    start, size = free + 16, int.from_bytes(data[free + 8 : free + 16], "little")
    while number := int.from_bytes(data[start : start + 2], "little"):
        assert number < 100
        start += 16 + (int.from_bytes(data[start + 8 : start + 16], "little") + 7) // 8 * 8
    assert start < free + size
    data[start + 8 : start + 16] = bytes(8)
    path.write_bytes(data)
    assert read_all(path) == wanted
