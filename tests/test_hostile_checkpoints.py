"""Checkpoints that are damaged, foreign or out to do harm: one line, no code run, no memory filled, no crash."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_makers import CLASSES, TINY, made
from test_checkpoint import same

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.checkpoint import read_checkpoint
from vidaug_cli.train.pretrained import read_foreign
from vidaug_cli.train.torch_file import read_archive

ROUNDS = int(os.environ.get("VIDAUG_FUZZ", "200"))  # 2,000 take about a minute
Records = dict[str, bytes]


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


def refusal(path: Path) -> str:
    """The one line that both readers refuse the file with."""
    messages = []
    for read in (read_checkpoint, lambda path: read_foreign(path, TINY, CLASSES)):
        with pytest.raises(VidaugError) as caught:
            read(path)
        messages.append(str(caught.value))
        assert messages[-1].isprintable()
        assert messages[-1].startswith(f"{path}: ")
        assert caught.value.hint
        assert len(messages[-1]) < len(str(path)) + 400
    return messages[0].removeprefix(f"{path}: ")


# Crafted pickles


class Call:
    """Pickled as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.arguments, *([self.state] if self.state is not None else []))


class Stored:
    """Pickled as a storage with the given name and number of elements."""

    def __init__(self, elements: Any, key: Any = "0", kind: Any = torch.FloatStorage) -> None:
        self.identity = ("storage", kind, key, "cpu", elements)


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
MISFIT = "declares a tensor of another size than it holds"
HOSTILE: dict[str, tuple[Any, str]] = {
    "bytes": (Call(bytearray, 10**12), "holds '__builtin__.bytearray', and only tensors and plain values are read"),
    "bytes in protocol 2": (Call(bytearray, "x", "latin-1"), "holds '__builtin__.bytearray'"),
    "tensor of a size": (Call(torch.Tensor, 10**12), "holds 'torch.Tensor'"),
    "storage of a size": (Call(torch.UntypedStorage, 10**12), "holds 'torch.storage.UntypedStorage'"),
    "counter": (Counter("abc"), "holds 'collections.Counter'"),
    "set": ({1, 2}, "holds '__builtin__.set'"),
    "numpy number": (np.float64(1), "holds 'numpy"),
    "too many elements": (tensor(Stored(10**9), 0, (10**9,)), MISFIT),
    "too few elements": (tensor(Stored(3)), MISFIT),
    "negative elements": (tensor(Stored(-4)), MISFIT),
    "no such record": (tensor(Stored(4, "1")), MISFIT),
    "record outside data": (tensor(Stored(4, "../data.pkl")), MISFIT),
    "number as a name": (tensor(Stored(4, 0)), MISFIT),
    "other type": (tensor(Stored(4, kind=torch.DoubleStorage)), MISFIT),
    "no storage type": (tensor(Stored(4, kind=OrderedDict)), MISFIT),
    "more elements than there are": (tensor(GOOD, 0, (5,)), MISFIT),
    "expanded": (tensor(GOOD, 0, (10**6, 10**6), (0, 0)), MISFIT),
    "overflowing": (tensor(GOOD, 0, (2**40, 2**40), (2**40, 2**40)), MISFIT),
    "long stride": (tensor(GOOD, 0, (2, 2), (2**62, 1)), MISFIT),
    "negative stride": (tensor(GOOD, 3, (4,), (-1,)), MISFIT),
    "offset": (tensor(GOOD, 1), MISFIT),
    "negative offset": (tensor(GOOD, -1, (1,)), MISFIT),
    "negative size": (tensor(GOOD, 0, (-2, -2), (1, 1)), MISFIT),
    "no stride": (tensor(GOOD, 0, (4,), ()), MISFIT),
    "text as a size": (tensor(GOOD, 0, "4", "1"), MISFIT),
    "many axes": (tensor(GOOD, 0, (1,) * 9, (1,) * 9), MISFIT),
    "no storage": (tensor(None), "holds 'torch._utils._rebuild_tensor_v2'"),
    "metadata": (tensor(GOOD, 0, (4,), (1,), {"a": 1}), "holds 'torch._utils._rebuild_tensor_v2'"),
    "state of a tensor": (
        Call(torch._utils._rebuild_parameter, 1, False, OrderedDict(), state=(GOOD, 0, (9,), (1,))),
        "holds 'torch._utils._rebuild_parameter'",
    ),
    "call of a number": (Call(Call(OrderedDict)), "holds an object that is no tensor"),
    "list as a key": (Call(OrderedDict, [([], 1)]), "holds 'collections.OrderedDict'"),
    "tuple as a key": ({(1, 2): 3}, "holds a key that is neither text nor a number"),
    "number too large": ({"x": 2**300}, "holds a number that is too large"),
    "half a surrogate pair": ({"format": "\ud800"}, "is damaged or cut short (UnicodeEncodeError)"),
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
        assert read_archive(path, "")["x"].shape == size


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
        "instance": b"\x80\x02(S'x'\nios\nsystem\n.",
    }


@pytest.mark.parametrize("name", loops(Path()))
def test_pickles_without_end(tmp_path: Path, name: str) -> None:
    start = time.monotonic()
    refusal(write_pickle(tmp_path / "x.pt", loops(tmp_path)[name]))
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


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


ZIPS: dict[str, tuple[Callable[[Path], None], str]] = {
    "compressed": (compressed, "is compressed, which torch.save never does"),
    "bomb": (bomb, "is compressed, which torch.save never does"),
    "huge sizes": (declare(packed=(20, 2**31), size=(24, 2**31)), "declares more bytes than it has"),
    "larger unpacked": (declare(size=(24, 2**31)), "is compressed, which torch.save never does"),
    "encrypted": (declare(flags=(8, 1)), "is damaged or cut short (RuntimeError)"),
    "wrong sum": (declare(crc=(16, 1)), "is damaged or cut short (BadZipFile)"),
    "many entries": (many, "is a zip, but not one of torch.save"),
    "an entry twice": (twice, "is a zip, but not one of torch.save"),
    "no pickle": (without("data.pkl"), "is a zip, but not one of torch.save"),
    "no tensor": (without("data/0"), MISFIT),
    "another zip": (lambda path: write_records(path, {"x": b"y"}), "is a zip, but not one of torch.save"),
    "nameless": (lambda path: write_records(path, {"/": b"y", "data.pkl": b"N."}), "is a zip, but not one of torch"),
    "nothing": (content(b""), "is not a file of torch.save"),
    "text": (content(b"weights"), "is not a file of torch.save"),
    "start of a zip": (content(b"PK\x03\x04" + bytes(100)), "is damaged or cut short (BadZipFile)"),
    "empty zip": (content(b"PK\x05\x06" + bytes(18)), "is not a file of torch.save"),
    "program": (content(b"\x7fELF" + bytes(100)), "is not a file of torch.save"),
}


@pytest.mark.parametrize("name", ZIPS)
def test_zips_that_torch_does_not_write(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidaug_cli.train.torch_file.MAX_ENTRIES", 2000)
    change, message = ZIPS[name]
    change(made(tmp_path / "checkpoint"))
    with little_memory():
        assert refusal(tmp_path / "checkpoint").startswith(message)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_torchscript_program(tmp_path: Path) -> None:
    script(tmp_path / "x.pt")
    assert refusal(tmp_path / "x.pt").startswith("is compressed")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pt")
    assert refusal(tmp_path / "x.pt").startswith("is not a file; ")


def test_one_storage_for_all_weights(tmp_path: Path) -> None:
    """A few floats cannot stand for a vast network."""
    path = made(tmp_path / "x.pt")
    content = torch.load(path)
    largest = max(content["weights"].values(), key=torch.Tensor.numel).flatten()
    for name, weight in content["weights"].items():
        if weight.is_floating_point():
            content["weights"][name] = largest[: weight.numel()].view(weight.shape)
    content["training"] = {}
    torch.save(content, path)
    with pytest.raises(VidaugError, match="holds the same weights many times over"):
        read_checkpoint(path)


# Fuzz


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(len(data))] ^= rng.integers(1, 256)
    return bytes(changed)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def noise(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(0, 64)] + rng.bytes(rng.integers(0, 4096))


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
    odd = [None, -1, 0.5, 2**200, "x", [], {}, True, float("nan"), torch.ones(2), torch.ones(1).expand(9, 9), (1,)]
    place: Any = content
    while True:
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.integers(len(place))
        key = str(key) if isinstance(key, np.str_) else int(key)
        inside = place[key]
        if not (isinstance(inside, dict | list) and inside) or rng.random() < 0.1:
            place[key] = odd[rng.integers(len(odd))]
            break
        place = inside
    changed = io.BytesIO()
    torch.save(content, changed)
    return changed.getvalue()


DAMAGES = (flip, flip, cut, noise, other_pickle, other_pickle, other_names, other_content, other_content)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = {"step": 4, "generator": torch.arange(9), "state": [{"exp_avg": torch.ones(3)}, (1, "x")]}
    return made(tmp_path_factory.mktemp("good") / "x.pt", training=few)


def test_damage_is_reported_or_harmless(tmp_path: Path, good: Path) -> None:
    data, wanted, path = good.read_bytes(), read_checkpoint(good), tmp_path / "x.pt"
    assert len(data) < 150_000
    rng, refused = np.random.default_rng(3), 0
    for number in range(ROUNDS):
        damage = DAMAGES[number % len(DAMAGES)]
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
        if damage in (flip, cut, noise):  # where no one has mended the sums, it is the right result
            assert same(vars(found), vars(wanted))
    assert ROUNDS / 2 < refused < ROUNDS


def test_damaged_foreign_weights(tmp_path: Path, good: Path) -> None:
    data, path = good.read_bytes(), tmp_path / "x.pt"
    shapes = {name: weight.shape for name, weight in read_checkpoint(good).weights.items()}
    rng = np.random.default_rng(4)
    for number in range(ROUNDS // 4):
        path.write_bytes(DAMAGES[number % len(DAMAGES)](data, rng))
        found = outcome(lambda path: read_foreign(path, TINY, CLASSES), path)
        if isinstance(found, VidaugError):
            assert str(found).isprintable()
        else:
            assert all(weight.shape == shapes[name] for name, weight in found[0].items())
