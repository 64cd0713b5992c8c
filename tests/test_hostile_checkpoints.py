"""Checkpoints that are damaged, foreign or out to do harm: one line, no code run, no memory filled, no crash."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import time
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_makers import CLASSES, TINY, made, network_of
from safetensors.torch import load, save, save_file
from test_checkpoint import parts_of, pyslowfast_name, same, write_parts
from test_foreign_weights import array, caffe2_name, python2_pickle, string

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.checkpoint import checksum, read_checkpoint, skeleton
from vidaug_cli.train.pretrained import read_foreign
from vidaug_cli.train.slowfast import Architecture
from vidaug_cli.train.torch_file import read_torch_file

ROUNDS = int(os.environ.get("VIDAUG_FUZZ", "200"))  # 2,000 take about a minute
Records = dict[str, bytes]
Damage = Callable[[bytes, np.random.Generator], bytes]


@pytest.fixture(autouse=True)
def one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """To name the networks that would fit takes as long as to make them all; the first one has torch import much."""
    skeleton(TINY, 1)
    monkeypatch.setattr("vidaug_cli.train.pretrained.ARCHITECTURES", {"tiny": TINY})


def records_of(path: Path) -> Records:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_records(path: Path, records: Records, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)


@contextmanager
def little_memory() -> Iterator[None]:
    """What is done within takes less than 200 MB of Python's memory at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def outcome(read: Callable[[Path], Any], path: Path) -> Any:
    """What was read, or the error."""
    try:
        return read(path)
    except VidaugError as error:
        return error


def foreign(path: Path) -> Any:
    return read_foreign(path, TINY, CLASSES)


def refusal(path: Path, read: Callable[[Path], Any] = foreign) -> str:
    """The one line that a reader refuses the file with."""
    with pytest.raises(VidaugError) as caught:
        read(path)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    assert caught.value.hint
    assert len(message) < len(str(path)) + 400
    return message.removeprefix(f"{path}: ")


def torch_made(path: Path) -> Path:
    """A good file of another program."""
    torch.save({"epoch": 3, "state_dict": network_of().state_dict()}, path)
    return path


# Crafted pickles


class Call:
    """Pickled as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.arguments, *([self.state] if self.state is not None else []))


class Stored:
    """Pickled as a storage with the given name and number of elements; before torch 1.6 it might be a view of one."""

    def __init__(self, elements: Any, key: Any = "0", kind: Any = torch.FloatStorage, view: Any = None) -> None:
        self.identity, self.view = ("storage", kind, key, "cpu", elements), view


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return value.identity if isinstance(value, Stored) else None


def pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(value)
    return buffer.getvalue()


def tensor(stored: Any, offset: Any = 0, size: Any = (4,), stride: Any = (1,), *more: Any) -> Call:
    return Call(torch._utils._rebuild_tensor_v2, stored, offset, size, stride, False, OrderedDict(), *more)


def write_pickle(path: Path, content: bytes) -> Path:
    """A file of torch.save with this pickle and one record of four floats."""
    write_records(path, {"a/data.pkl": content, "a/byteorder": b"little", "a/data/0": bytes(16), "a/version": b"3\n"})
    return path


GOOD = Stored(4)
MISFIT = "is damaged or cut short; "  # torch finds that the record is not so long
HOSTILE: dict[str, tuple[Any, str]] = {
    "bytes": (Call(bytearray, 10**12), "holds '__builtin__.bytearray', and only tensors and plain values are read"),
    "bytes in protocol 2": (Call(bytearray, "x", "latin-1"), "holds '__builtin__.bytearray'"),
    "tensor of a size": (Call(torch.Tensor, 10**12), "holds 'torch.Tensor'"),
    "storage of a size": (Call(torch.UntypedStorage, 10**12), "holds 'torch.storage.UntypedStorage'"),
    "typed storage of a size": (Call(torch.FloatStorage, 10**12), "holds 'torch.FloatStorage'"),
    "counter": (Counter("abc"), "holds 'collections.Counter'"),
    "set": ({1, 2}, "holds '__builtin__.set'"),
    "numpy number": (np.float64(1), "holds 'numpy"),
    "too many elements": (tensor(Stored(10**9), 0, (10**9,)), MISFIT),
    "too few elements": (tensor(Stored(3)), MISFIT),
    "negative elements": (tensor(Stored(-4)), "is damaged or cut short; "),
    "no such record": (tensor(Stored(4, "1")), MISFIT),
    "record outside data": (tensor(Stored(4, "../data.pkl")), MISFIT),
    "number as a name": (tensor(Stored(4, 0)), "holds more than tensors and plain values (pickle's"),
    "tuple as a name": (tensor(Stored(4, (1, (2, 3)))), "holds more than tensors and plain values (pickle's"),
    "other type": (tensor(Stored(4, kind=torch.DoubleStorage)), MISFIT),
    "no storage type": (tensor(Stored(4, kind=OrderedDict)), "holds more than tensors and plain values (pickle's"),
    "more elements than there are": (tensor(GOOD, 0, (5,)), MISFIT),
    "expanded": (
        {"slow.stem.0.weight": tensor(GOOD, 0, (10**6, 10**6), (0, 0))},
        "does not fit the network: slow.stem",
    ),
    "overflowing": (tensor(GOOD, 0, (2**40, 2**40), (2**40, 2**40)), MISFIT),
    "long stride": (tensor(GOOD, 0, (2, 2), (2**62, 1)), MISFIT),
    "negative stride": (tensor(GOOD, 3, (4,), (-1,)), MISFIT),
    "offset": (tensor(GOOD, 1), MISFIT),
    "negative offset": (tensor(GOOD, -1, (1,)), MISFIT),
    "negative size": (tensor(GOOD, 0, (-2, -2), (1, 1)), MISFIT),
    "text as a size": (tensor(GOOD, 0, "4", "1"), "is damaged or cut short; "),
    "no storage": (tensor(None), "is damaged or cut short; "),
    "a method": (
        Call(OrderedDict, state={"items": 1, "_metadata": 2}),
        "holds more than tensors and plain values (pickle's BUILD)",
    ),
    "metadata": (tensor(GOOD, 0, (4,), (1,), {"a": 1}), "holds more than tensors and plain values (pickle's"),
    "state of a tensor": (
        Call(torch._utils._rebuild_parameter, tensor(GOOD), False, OrderedDict(), state=(GOOD, 0, (9,), (1,))),
        "holds more than tensors and plain values (pickle's",
    ),
    "call of a number": (Call(Call(OrderedDict)), "holds more than tensors and plain values (pickle's"),
    "list as a key": (Call(OrderedDict, [([], 1)]), "holds more than tensors and plain values (pickle's"),
    "tuple as a key": ({(1, 2): 3}, "holds a key that is neither text nor a number"),
    "number too large": ({2**300: 2**300}, "holds no weights of a SlowFast network"),
    "half a surrogate pair": ({"\ud800": "\ud800"}, "holds no weights of a SlowFast network"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_pickles_that_ask_for_more_than_there_is(tmp_path: Path, name: str) -> None:
    value, message = HOSTILE[name]
    if isinstance(value, Call) and value.function is not OrderedDict and isinstance(value.function, Call):
        content = pickled(OrderedDict())[:-1] + b")R."  # pickle itself calls no such thing
    else:
        content = pickled(value)
    write_pickle(tmp_path / "x.pt", content)
    with little_memory():
        assert refusal(tmp_path / "x.pt").startswith(message)


def test_a_tensor_as_it_should_be(tmp_path: Path) -> None:
    """The same makers with good sizes: what they are refused for is not how they are made."""
    for size, stride in [((4,), (1,)), ((2, 2), (1, 2)), ((), ()), ((0,), (99,)), ((2,), (3,))]:
        path = write_pickle(tmp_path / "x.pt", pickled({"x": tensor(GOOD, 0, size, stride)}))
        assert read_torch_file(path, "")["x"].shape == size


@pytest.mark.parametrize(
    "function",
    [os.system, eval, exec, open, __import__, getattr, Path, torch.load, torch.hub.load_state_dict_from_url],
    ids=lambda function: function.__name__,
)
def test_no_code_is_run(tmp_path: Path, function: Any) -> None:
    marker = tmp_path / "marker"
    argument = f"touch {marker}" if function is os.system else f"open({str(marker)!r}, 'w')"
    path = write_pickle(tmp_path / "x.pt", pickled({"format": Call(function, argument)}))
    assert refusal(path).startswith("holds ")
    assert not marker.exists()


def loops(path: Path) -> dict[str, bytes]:
    laughs: Any = ["ha"]
    for _ in range(40):
        laughs = [laughs, laughs]
    endless: list[Any] = []
    endless.append(endless)
    return {
        "a list a billion times": pickled(laughs),
        "a list in itself": pickled(endless),
        "deep": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "a deep key": b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"K\x01s.",
        "a key that is hashed for ever": b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"K\x01s.",
        "a tuple looked at for ever": b"\x80\x02(" + b"K\x01" * 100_000 + b"tq\x00" + b"h\x00\x85" * 100_000 + b".",
        "a far place in the memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
        "a long text": b"\x80\x02X\xff\xff\xff\x7fabc.",
        "no end": b"\x80\x02N",
        "nothing": b"",
        "marks": b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".",
        "too long": b"\x80\x02" + b"N0" * 4_000_001 + b".",
        "protocol 4": pickle.dumps({"format": 1}, 4),
        "text protocol": pickle.dumps({"format": 1}, 0),
        "another object's state": b"\x80\x02]}b.",
        "object made": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        "extension": b"\x80\x02\x82\x01.",
        "key made of a list": b"\x80\x02ccollections\nOrderedDict\n)R]]})" + b"q\x00h\x00\x86" * 60 + b"K\x01saab.",
        "storage made": b"\x80\x02ctorch\nFloatStorage\nJ\x00\x00\x00\x7f\x85\x81.",
        "message without end": pickled(laughs)[:-1] + b")R.",
        "instance": b"\x80\x02(S'x'\nios\nsystem\n.",
    }


@pytest.mark.parametrize("name", loops(Path()))
def test_pickles_without_end(tmp_path: Path, name: str) -> None:
    start = time.monotonic()
    refusal(write_pickle(tmp_path / "x.pt", loops(tmp_path)[name]))
    assert time.monotonic() - start < 30


# Files of torch before 1.6


class OldPickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return (*value.identity, value.view) if isinstance(value, Stored) else None


def write_old(path: Path, value: Any, keys: Any = ("0",), *records: tuple[int, bytes]) -> Path:
    """A file with this value, or its pickle, with these keys of storages, and for each its elements and bytes."""
    content = io.BytesIO()
    for header in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(header, content, 2)
    if isinstance(value, bytes):
        content.write(value)
    else:
        OldPickler(content, 2).dump(value)
    pickle.dump(list(keys) if isinstance(keys, tuple) else keys, content, 2)
    for elements, data in records:
        content.write(struct.pack("<q", elements) + data)
    path.write_bytes(content.getvalue())
    return path


FLOATS = (4, bytes(16))
UNLIKE = "holds a storage of another size than its tensors say"
NOT_ONCE = "does not hold each storage of its tensors once"
SHORT = "is cut short, or declares more bytes than it has"
OLD_FILES: dict[str, tuple[Any, Any, list[tuple[int, bytes]], str]] = {
    "a terabyte": (tensor(Stored(2**40)), ("0",), [FLOATS], UNLIKE),
    "a terabyte in both": (tensor(Stored(2**38)), ("0",), [(2**38, bytes(16))], SHORT),
    "more than can be counted": (tensor(Stored(2**62)), ("0",), [(2**62, b"")], "is damaged or cut short; "),
    "many of half the file": (
        [tensor(Stored(4, str(key))) for key in range(99)],
        tuple(str(key) for key in range(99)),
        [FLOATS] * 50,
        UNLIKE,
    ),
    "never filled": (tensor(GOOD), (), [], NOT_ONCE),
    "filled twice": (tensor(GOOD), ("0", "0"), [FLOATS, FLOATS], NOT_ONCE),
    "another one filled": (tensor(GOOD), ("1",), [FLOATS], NOT_ONCE),
    "keys of two types": (tensor(GOOD), ("0", 1), [FLOATS], "is damaged or cut short; "),
    "keys in a dict": (tensor(GOOD), {"0": ()}, [FLOATS], "holds no weights by name (a state dict)"),
    "no keys": (tensor(GOOD), 5, [FLOATS], "is damaged or cut short; "),
    "two sizes": ([tensor(GOOD), tensor(Stored(2**40))], ("0",), [FLOATS], "holds a storage of two sizes, or of a"),
    "two types": ([tensor(GOOD), tensor(Stored(4, kind=torch.DoubleStorage))], ("0",), [FLOATS], "holds a storage of"),
    "no type": (tensor(Stored(4, kind=OrderedDict)), ("0",), [FLOATS], "holds a storage of two sizes, or of a type"),
    "a part of another": (tensor(Stored(4, view=("1", 0, 2**40))), ("0",), [FLOATS], "holds more than tensors and pl"),
    "negative": (tensor(Stored(-4)), ("0",), [(-4, b"")], UNLIKE),
    "cut": (tensor(GOOD), ("0",), [(4, bytes(15))], SHORT),
    "nothing there": (tensor(GOOD), ("0",), [], UNLIKE),
    "of a zip": (b"\x80\x02" + pickled(tensor(GOOD))[2:], ("0",), [FLOATS], NOT_ONCE),
    "code": (Call(os.system, "true"), (), [], "holds 'posix.system'"),
    "module": (Call(torch.nn.Linear, 2, 2), (), [], "holds 'torch.nn.modules.linear.Linear'"),
}


@pytest.mark.parametrize("name", OLD_FILES)
def test_old_files_that_ask_for_more_than_there_is(tmp_path: Path, name: str) -> None:
    value, keys, records, message = OLD_FILES[name]
    write_old(tmp_path / "x.pt", value, keys, *records)
    with little_memory():
        assert refusal(tmp_path / "x.pt").startswith(message)


@pytest.mark.parametrize("name", HOSTILE)
def test_old_files_with_hostile_pickles(tmp_path: Path, name: str) -> None:
    value, _ = HOSTILE[name]
    if isinstance(value, Call) and isinstance(value.function, Call):
        value = pickled(OrderedDict())[:-1] + b")R."
    write_old(tmp_path / "x.pt", value, ("0",), FLOATS)
    with little_memory():
        refusal(tmp_path / "x.pt")


def test_an_old_file_as_it_should_be(tmp_path: Path) -> None:
    """The same makers with good sizes; and what torch itself writes, whatever follows it."""
    assert read_torch_file(write_old(tmp_path / "x.pt", {"x": tensor(GOOD)}, ("0",), FLOATS), "")["x"].shape == (4,)
    content = {"a": torch.arange(6.0)[1:4], "b": [torch.ones(2).half(), None, (1, 2.5)], "c": {1: "d", 2**70: True}}
    torch.save(content, tmp_path / "y.pt", _use_new_zipfile_serialization=False)
    with (tmp_path / "y.pt").open("ab") as file:
        file.write(b"more")
    assert same(read_torch_file(tmp_path / "y.pt", ""), content)


# Pickles of Caffe2


def blobs_of(
    *, kind: bytes = b"f4", shape: bytes = b"K\x04\x85", data: bytes = bytes(16), order: bytes = b"<"
) -> bytes:
    """A pickle with one blob, with a part of it exchanged: type, shape, bytes."""
    good = python2_pickle({"conv1_w": np.zeros(4, np.float32)})
    changes = {string(b"f4"): string(kind), b"(J\x04\x00\x00\x00t": shape, string(bytes(16)): string(data)}
    changes[string(b"<")] = string(order)
    for old, new in changes.items():
        assert good.count(old) == 1
        good = good.replace(old, new)
    return good


def shared(count: int) -> bytes:
    """One text of a megabyte as the bytes of many arrays."""
    first = array(np.zeros(250_000, np.float32)).replace(string(bytes(1_000_000)), string(bytes(1_000_000)) + b"q\x07")
    other = array(np.zeros(250_000, np.float32)).replace(string(bytes(1_000_000)), b"h\x07")
    items = b"".join(string(b"%d" % number) + (other if number else first) for number in range(count))
    return b"\x80\x02}" + string(b"blobs") + b"}(" + items + b"us."


SIZE = "holds an array of another size than it says"
PLAIN = "holds more than tensors and plain values (pickle's "
CAFFE2: dict[str, tuple[bytes, str]] = {
    "a terabyte": (blobs_of(shape=b"\x8a\x06\x00\x00\x00\x00\x00\x01\x85"), SIZE),
    "negative": (blobs_of(shape=b"J\xff\xff\xff\xffJ\xfc\xff\xff\xff\x86"), SIZE),
    "text as a shape": (blobs_of(shape=string(b"4")), f"{PLAIN}BUILD)"),
    "text in a shape": (blobs_of(shape=string(b"4") + b"\x85"), SIZE),
    "many dimensions": (blobs_of(shape=b"(" + b"\x8a\x08" + b"\x7f" * 8 + b"K\x04" * 10_000 + b"t"), SIZE),
    "too few bytes": (blobs_of(data=bytes(15)), SIZE),
    "objects": (blobs_of(kind=b"O8"), "holds an array of numpy's type 'O8', which is not read"),
    "text": (blobs_of(kind=b"S4"), "holds an array of numpy's type 'S4'"),
    "big end first": (blobs_of(order=b">"), f"{PLAIN}BUILD)"),
    "bytes for many": (shared(50), "declares more bytes than it has"),
    "type of a tuple": (
        b"\x80\x02cnumpy\ndtype\n)" + b"q\x00h\x00\x86" * 60 + b"NN\x87R.",
        "holds 'numpy.dtype', and only tensors",
    ),
    "code": (b"\x80\x02cposix\nsystem\n" + string(b"true") + b"\x85R.", "holds 'posix.system', and only tensors"),
    "code of numpy": (
        b"\x80\x02cnumpy.testing._private.utils\nrunstring\n" + string(b"1") + b"}\x86R.",
        "holds 'numpy.testing._private.utils.runstring', and only",
    ),
    "another encoding": (pickled({"blobs": Call(bytearray, "x", "latin-1")}), "holds '__builtin__.bytearray'"),
    "tuple as a key": (pickled({"blobs": {(1, 2): 3}}), "holds a key that is neither text nor a number"),
    "a list": (pickled([1]), "is a pickle, but not one of Caffe2"),
    "no blobs": (pickled({"blobs": [1]}), "is a pickle, but not one of Caffe2"),
    "no arrays": (pickled({"blobs": {"conv1_w": 1}}), "holds no weights of a SlowFast network"),
    "itself": (b"\x80\x02}q\x00" + string(b"blobs") + b"h\x00s.", "holds no weights of a SlowFast network"),
    "another network": (blobs_of(), "does not fit the network: s1.pathway0_stem.conv.weight is (4,), not ("),
    "never filled": (
        b"\x80\x02}"
        + string(b"blobs")
        + b"}"
        + string(b"conv1_w")
        + array(np.zeros(4)).partition(b"(K\x01")[0]
        + b"ss.",
        "does not fit the network: s1.pathway0_stem.conv.weight is not a tensor of torch.float32",
    ),
    "cut": (blobs_of()[:-5], "is damaged or cut short; "),
    "one letter of two bytes": (
        pickled({"blobs": {}})[:-1] + string(b"x") + b"X\x02\x00\x00\x00\xc4\x80s.",
        "holds no weights",
    ),
}


@pytest.mark.parametrize("name", CAFFE2)
def test_pickles_that_caffe2_does_not_write(tmp_path: Path, name: str) -> None:
    content, message = CAFFE2[name]
    (tmp_path / "x.pkl").write_bytes(content)
    with little_memory():
        assert refusal(tmp_path / "x.pkl").startswith(message)


@pytest.mark.parametrize("name", loops(Path()))
@pytest.mark.parametrize("wrapped", [False, True], ids=["Caffe2", "old torch"])
def test_other_files_with_pickles_without_end(tmp_path: Path, name: str, wrapped: bool) -> None:
    start, content = time.monotonic(), loops(tmp_path)[name]
    if wrapped:
        write_old(tmp_path / "x.pkl", content, ())
    else:
        (tmp_path / "x.pkl").write_bytes(content)
    refusal(tmp_path / "x.pkl")
    assert time.monotonic() - start < 30


# Crafted zips


def compressed(path: Path) -> None:
    write_records(path, records_of(path), zipfile.ZIP_DEFLATED)


def bomb(path: Path) -> None:
    """400 MB that take 400 kB."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("checkpoint/data/999", "w") as entry:
        for _ in range(400):
            entry.write(bytes(1_000_000))


def declare(**fields: tuple[int, int]) -> Callable[[Path], None]:
    """Another number in every entry of the central directory: place and value, 4 bytes."""

    def change(path: Path) -> None:
        write_records(path, records_of(path))
        data = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            start = archive.start_dir
        while (start := data.find(b"PK\x01\x02", start)) >= 0:
            for place, value in fields.values():
                data[start + place : start + place + 4] = struct.pack("<I", value)
            start += 4
        path.write_bytes(data)

    return change


def many(path: Path) -> None:
    write_records(path, records_of(path) | {f"checkpoint/data/{number}": b"" for number in range(1000, 3000)})


def twice(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data/0"))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(name, b"x" * 8)


def script(path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Identity()), str(path))


def without(ending: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        write_records(path, {name: content for name, content in records_of(path).items() if not name.endswith(ending)})

    return change


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


ZIPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "compressed": (compressed, "is compressed, which torch.save never does"),
    "bomb": (bomb, "is compressed, which torch.save never does"),
    "huge sizes": (declare(packed=(20, 2**31), size=(24, 2**31)), "declares more bytes than it has"),
    "larger unpacked": (declare(size=(24, 2**31)), "is compressed, which torch.save never does"),
    "encrypted": (declare(flags=(8, 1)), "is damaged or cut short; "),
    "wrong sum": (declare(crc=(16, 1)), "is damaged or cut short; "),
    "many entries": (many, "is a zip, but not one of torch.save"),
    "an entry twice": (twice, "is a zip, but not one of torch.save"),
    "no pickle": (without("data.pkl"), "is a zip, but not one of torch.save"),
    "no tensor": (without("data/0"), MISFIT),
    "another zip": (lambda path: write_records(path, {"x": b"y"}), "is a zip, but not one of torch.save"),
    "nameless": (lambda path: write_records(path, {"/": b"y", "data.pkl": b"N."}), "is a zip, but not one of torch"),
    "nothing": (content(b""), "is not a safetensors file, or is cut short"),
    "text": (content(b"weights"), "is not a safetensors file, or is cut short"),
    "pickle": (content(pickle.dumps({"weights": {}}, 2)), "is a pickle, but not one of Caffe2"),
    "start of a zip": (content(b"PK\x03\x04" + bytes(100)), "is damaged or cut short; "),
    "empty zip": (content(b"PK\x05\x06" + bytes(18)), "is a zip, but not one of torch.save"),
    "program": (content(b"\x7fELF" + bytes(100)), "is not a safetensors file"),
}


@pytest.mark.parametrize("name", ZIPS)
def test_zips_that_torch_does_not_write(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidaug_cli.train.torch_file.MAX_ENTRIES", 2000)
    change, message = ZIPS[name]
    change(torch_made(tmp_path / "checkpoint"))
    with little_memory():
        assert refusal(tmp_path / "checkpoint").startswith(message)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_torchscript_program(tmp_path: Path) -> None:
    script(tmp_path / "x.pt")
    assert refusal(tmp_path / "x.pt").startswith("is compressed")


# Crafted safetensors


def stored(header: Any, data: bytes = bytes(16), size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def entry(dtype: Any = "F32", shape: Any = (4,), offsets: Any = (0, 16)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def about(text: str) -> dict[str, Any]:
    return {"__metadata__": {"vidaug-checkpoint": text}, "x": entry()}


DAMAGED = "is damaged or cut short; "
HEADERS: dict[str, tuple[bytes, str]] = {
    "vast header": (stored({"x": entry()}, size=2**63), "is not a safetensors file, or is cut short"),
    "long header": (
        stored({"x": entry()}, bytes(200), size=150),
        "has a header of 150 bytes, and at most 100 bytes are read",
    ),
    "no JSON": (stored(b"{x" + bytes(20)), DAMAGED),
    "not UTF-8": (stored(b'{"\xff": 1}'), DAMAGED),
    "a list": (stored(b"[]"), "is not a safetensors file"),
    "deep": (stored(b'{"x":' * 20 + b"1" + b"}" * 20), DAMAGED),
    "overlapping": (stored({"x": entry(), "y": entry()}), DAMAGED),
    "a hole": (stored({"x": entry(shape=(2,), offsets=(8, 16))}), DAMAGED),
    "beyond the end": (stored({"x": entry(shape=(8,), offsets=(0, 32))}), DAMAGED),
    "bytes left": (stored({"x": entry(shape=(2,), offsets=(0, 8))}), DAMAGED),
    "backwards": (stored({"x": entry(offsets=(16, 0))}), DAMAGED),
    "negative": (stored({"x": entry(shape=(-4,))}), DAMAGED),
    "overflowing": (stored({"x": entry(shape=(2**62, 2**62))}), DAMAGED),
    "other size": (stored({"x": entry(shape=(10**9, 10**9))}), DAMAGED),
    "unknown dtype": (stored({"x": entry("F17")}), DAMAGED),
    "metadata of numbers": (stored({"__metadata__": {"vidaug-checkpoint": 1}, "x": entry()}), DAMAGED),
    "metadata of a list": (stored({"__metadata__": [], "x": entry()}), DAMAGED),
}
TEXTS: dict[str, tuple[str, str]] = {
    "nothing": ("", "its header is not JSON: "),
    "cut": ('{"version": 1', "its header is not JSON: "),
    "NaN": ('{"version": 1, "x": NaN}', "its header is not JSON: NaN is not a number of JSON"),
    "infinity": ('{"version": -Infinity}', "its header is not JSON: -Infinity is"),
    "key twice": ('{"version": 1, "version": 1}', "its header is not JSON: it has a key twice"),
    "nested": ('{"x":' * 200_000, "its header is not JSON: it is too deep"),
    "long number": (f'{{"version": {"9" * 6000}}}', "its header is not JSON: "),
    "list": ("[1]", "its header should be a JSON object"),
    "control letters": (r'{"version": 1, "\u001b[2J\n": 1}', "architecture: is missing"),
    "surrogates": (r'{"version": 1, "\ud800": 1}', "architecture: is missing"),
}


@pytest.mark.parametrize("read", [read_checkpoint, foreign], ids=["predict", "init"])
@pytest.mark.parametrize("name", [*HEADERS, *TEXTS])
def test_crafted_headers(tmp_path: Path, name: str, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data, message = HEADERS[name] if name in HEADERS else (stored(about(TEXTS[name][0])), TEXTS[name][1])
    if name == "long header":
        monkeypatch.setattr("vidaug_cli.train.checkpoint.MAX_HEADER", 100)
    (tmp_path / "x.safetensors").write_bytes(data)
    with little_memory():
        assert message in refusal(tmp_path / "x.safetensors", read)


def test_safetensors_of_another_program(tmp_path: Path) -> None:
    save_file({"x": torch.ones(4)}, tmp_path / "x.safetensors")
    assert refusal(tmp_path / "x.safetensors").startswith("holds no weights of a SlowFast network")
    message = refusal(tmp_path / "x.safetensors", read_checkpoint)
    assert message.startswith("is a safetensors file, but not a checkpoint of vidaug; start from weights")


def test_a_vast_network_in_a_small_file(tmp_path: Path) -> None:
    """No tensor is made before its shape is the network's, whose weights take no memory either."""
    path = made(tmp_path / "x.safetensors")
    parts = parts_of(path)
    parts["about"]["architecture"] |= {"blocks": [64, 64, 64, 64], "bottleneck": True, "width": 512, "beta": 1}
    write_parts(path, parts)
    with little_memory():
        assert "is missing or unknown" in refusal(path, read_checkpoint)


@pytest.mark.parametrize("sum_", [0, None, "x"])
def test_another_checksum(tmp_path: Path, sum_: Any) -> None:
    path = made(tmp_path / "x.safetensors")
    parts = parts_of(path)
    save_file(parts["tensors"], path, {"vidaug-checkpoint": json.dumps(parts["about"] | {"crc32": sum_})})
    assert refusal(path, read_checkpoint).startswith("is damaged: its checksum is wrong")


@pytest.mark.parametrize("read", [read_checkpoint, foreign])
def test_a_pipe_is_not_waited_for(tmp_path: Path, read: Any) -> None:
    os.mkfifo(tmp_path / "x.pt")
    assert refusal(tmp_path / "x.pt", read).startswith("is not a file; ")


# Fuzz


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(len(data))] ^= rng.integers(1, 256)
    return bytes(changed)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def noise(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(0, 64)] + rng.bytes(int(rng.integers(0, 4096)))


def rezipped(data: bytes, change: Callable[[Records], Any]) -> bytes:
    """The file with other records, and right sums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    change(records)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return made.getvalue()


def other_pickle(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of the pickle changed, mostly near each other, so that torch's own reader is reached."""

    def change(records: Records) -> None:
        name = next(name for name in records if name.endswith("data.pkl"))
        start = rng.integers(len(records[name]))
        part = records[name][start : start + rng.integers(2, 40)]
        records[name] = records[name][:start] + flip(part, rng) + records[name][start + len(part) :]

    return rezipped(data, change)


def other_names(data: bytes, rng: np.random.Generator) -> bytes:
    """Two records swapped, one renamed or lost."""

    def change(records: Records) -> None:
        one, other = (str(name) for name in rng.choice(list(records), 2, replace=False))
        match rng.integers(3):
            case 0:
                records[one], records[other] = records[other], records[one]
            case 1:
                records[one + "x"] = records.pop(one)
            case 2:
                del records[one]

    return rezipped(data, change)


def other_content(data: bytes, rng: np.random.Generator) -> bytes:
    """One value anywhere in the contents replaced, in a file that torch itself wrote."""
    content = torch.load(io.BytesIO(data))
    odd: list[Any] = [None, -1, 0.5, 2**200, "x", [], {}, True, float("nan"), (1,)]
    odd += [torch.ones(2), torch.ones(1).expand(9, 9)]
    replace_one(content, odd, rng)
    changed = io.BytesIO()
    torch.save(content, changed)
    return changed.getvalue()


def replace_one(content: Any, odd: list[Any], rng: np.random.Generator) -> None:
    place = content
    while True:
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.integers(len(place))
        key = str(key) if isinstance(key, np.str_) else int(key)
        inside = place[key]
        if not (isinstance(inside, dict | list) and inside) or rng.random() < 0.1:
            place[key] = odd[rng.integers(len(odd))]
            break
        place = inside


def other_part(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed near each other, mostly in what names and describes tensors."""
    start = rng.integers(len(data)) if rng.random() < 0.3 else rng.choice([m.start() for m in MARKS.finditer(data)])
    part = data[start : start + rng.integers(2, 40)]
    return data[:start] + flip(part, rng) + data[start + len(part) :]


def other_header(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of the header changed, mostly near each other."""
    size = int.from_bytes(data[:8], "little")
    start = 8 + rng.integers(size)
    part = data[start : start + rng.integers(2, 40)]
    return data[:start] + flip(part, rng) + data[start + len(part) :]


def other_about(data: bytes, rng: np.random.Generator) -> bytes:
    """One value in the metadata replaced, or one tensor, with a right sum."""
    tensors = load(data)
    size = int.from_bytes(data[:8], "little")
    text = json.loads(data[8 : 8 + size])["__metadata__"]["vidaug-checkpoint"]
    parts = {"about": json.loads(text), "tensors": tensors}
    if rng.random() < 0.7:
        replace_one(parts["about"], [None, -1, 0.5, 2**200, "x", [], {}, True, [1], {"a": {}}], rng)
    else:
        name = str(rng.choice(list(tensors)))
        tensors[name] = [torch.ones(2), torch.tensor(1), tensors[name].half(), torch.zeros(0)][rng.integers(4)]
    del parts["about"]["crc32"]
    return save(tensors, {"vidaug-checkpoint": json.dumps(parts["about"] | {"crc32": checksum(**parts)})})


MARKS = re.compile(rb"_rebuild|Storage|branch|_reconstruct|dtype|weight|protocol")
OURS = (flip, flip, cut, noise, other_header, other_about, other_about)
UNCHECKED = (flip, flip, cut, noise, other_part, other_part)  # such files have no sums
CAFFE2_TINY = replace(TINY, bottleneck=True, lateral_norm=True, head_bias=True)
THEIRS = (flip, flip, cut, noise, other_pickle, other_pickle, other_names, other_content, other_content)


def test_damage_is_reported_or_harmless(tmp_path: Path) -> None:
    good, path = made(tmp_path / "good"), tmp_path / "x.safetensors"
    data, wanted = good.read_bytes(), read_checkpoint(good)
    rng, refused = np.random.default_rng(3), 0
    for number in range(ROUNDS):
        damage = OURS[number % len(OURS)]
        path.write_bytes(damage(data, rng))
        found = outcome(read_checkpoint, path)
        if isinstance(found, VidaugError):
            refused += 1
            assert str(found).isprintable()
            assert found.hint
            continue
        with torch.no_grad():  # whatever was read can be used
            assert found.network("cpu")(torch.zeros(1, 8, 16, 16, 3, dtype=torch.uint8)).shape == (
                1,
                len(found.classes),
            )
        if damage is not other_about:  # where no one has mended the sum, it is the right result
            assert same(vars(found), vars(wanted))
    assert ROUNDS / 2 < refused < ROUNDS


def torch_zip(path: Path) -> None:
    torch_made(path)


def old_file(path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": network_of().state_dict()}, path, _use_new_zipfile_serialization=False)


def caffe2_file(path: Path) -> None:
    state = {pyslowfast_name(name): weight for name, weight in network_of(CAFFE2_TINY).state_dict().items()}
    names = {name: caffe2_name(name, CAFFE2_TINY.blocks) for name in state}
    path.write_bytes(
        python2_pickle({str(names[name]): weight.numpy() for name, weight in state.items() if names[name]})
    )


FOREIGN: dict[Callable[[Path], None], tuple[Architecture, tuple[Damage, ...]]] = {
    torch_zip: (TINY, THEIRS),
    old_file: (TINY, UNCHECKED),
    caffe2_file: (CAFFE2_TINY, UNCHECKED),
}


@pytest.mark.parametrize("make", FOREIGN)
def test_damaged_foreign_weights(tmp_path: Path, make: Callable[[Path], None]) -> None:
    architecture, damages = FOREIGN[make]
    make(tmp_path / "good")
    data, path = (tmp_path / "good").read_bytes(), tmp_path / "x.pt"
    assert len(data) < 150_000
    read = partial(read_foreign, architecture=architecture, classes=CLASSES)
    wanted, refused = read(tmp_path / "good")[0], 0
    rng = np.random.default_rng(4)
    for number in range(ROUNDS):
        damage = damages[number % len(damages)]
        path.write_bytes(damage(data, rng))
        found = outcome(read, path)
        if isinstance(found, VidaugError):
            refused += 1
            assert str(found).isprintable()
            assert found.hint
            continue
        assert all(weight.shape == wanted[name].shape for name, weight in found[0].items())
        if damages is THEIRS and damage in (flip, cut, noise):  # where no one has mended the sums, it is right
            assert same(found[0], wanted)
    assert ROUNDS / 3 < refused < ROUNDS
