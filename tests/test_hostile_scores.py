"""Scores, submissions and annotations that are damaged or out to do harm: one line of error, or the right result.

VIDAUG_FUZZ is how many are tried in all; 400 by default.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from console import Done, vidaug
from score_makers import scores_of

from vidaug_cli.errors import ShardError
from vidaug_cli.scores.file import read_scores, write_scores

EACH = int(os.environ.get("VIDAUG_FUZZ", "400")) // 4
SECONDS = 5

Change = Callable[[Any], object]


def put(name: str, shape: tuple[int, ...], dtype: Any, **options: Any) -> Change:
    """Another dataset in place of ours; otherwise made as ours are."""
    usual = {"chunks": (1, *shape[1:]), "maxshape": (None, *shape[1:]), "fletcher32": True}

    def change(file: Any) -> None:
        del file[name]
        file.create_dataset(name, shape, dtype, **{k: v for k, v in (usual | options).items() if v is not None})

    return change


def edit(name: str, place: Any, value: Any) -> Change:
    return lambda file: file[name].__setitem__(place, value)


def attribute(name: str, value: Any, dtype: Any = None) -> Change:
    return lambda file: file.attrs.create(name, value, dtype=dtype)


def swap(one: str, two: str) -> Change:
    def change(file: Any) -> None:
        file.move(one, "aside")
        file.move(two, one)
        file.move("aside", two)

    return change


def link(name: str, to: Any) -> Change:
    def change(file: Any) -> None:
        del file[name]
        file[name] = to

    return change


N, V, K = 5, 2, 6
NAMES = ("rotation-held-1", "rotation-ramped-1", "reversed")
HOSTILE: dict[str, tuple[Change, str]] = {
    "not a number": (edit("scores", (1, 2), np.nan), "'a/v01.avi' has scores that are negative or do not sum to 1"),
    "infinite": (edit("scores", (0, 0), -np.inf), "'a/v00.avi' has scores"),
    "view not a number": (edit("views", (3, 1, 0), np.nan), "'a/v03.avi' has scores of a view"),
    "disturbed not a number": (
        edit("disturbed", (3, 1, 0), np.nan),
        "'a/v03.avi' has scores under 'rotation-r",
    ),
    "unknown disturbance": (
        edit("disturbances", 0, b"snow\x1b[31m"),
        "the disturbance 'snow\\x1b[31m', which",
    ),
    "disturbance twice": (edit("disturbances", 0, b"reversed"), "'reversed' twice"),
    "disturbance less": (
        lambda file: file["disturbances"].resize(2, 0),
        "names 2 disturbances, and has",
    ),
    "disturbances without saying so": (attribute("disturbances", 0), "missing or foreign"),
    "other disturbances": (attribute("disturbances", 2), "should be float32 (5, 2, 6)"),
    "negative disturbances": (attribute("disturbances", -1), "should be float32 (5, -1, 6)"),
    "another table": (attribute("source", np.bytes_(b'{"disturbances": "x 2"}')), "by the table 'x 2'"),
    "label": (edit("labels", 4, 99), "'a/v04.avi' has a label"),
    "label of a failure": (edit("failed_labels", 0, -2), "'b/broken.avi' has a label"),
    "size": (edit("shape", (0, 0), -1), "negative size"),
    "video twice": (edit("videos", 1, b"a/v00.avi"), "'a/v00.avi' twice"),
    "video without name": (edit("videos", 1, b""), "without a name"),
    "class twice": (edit("classes", 1, b"walk"), "'walk' twice"),
    "no UTF-8": (edit("videos", 0, b"\xff\xfe"), "damaged"),
    "class more": (lambda file: file["classes"].resize(K + 1, 0), "not in the file"),
    "class less": (lambda file: file["classes"].resize(K - 1, 0), "names 5 classes, and has scores for 6"),
    "video less": (lambda file: file["labels"].resize(N - 1, 0), "'videos' is"),
    "failure more": (lambda file: file["failed_labels"].resize(2, 0), "'failed' is"),
    "terabytes": (lambda file: [data.resize(2**40, 0) for data in file.values()], "not in the file"),
    "dataset missing": (lambda file: file.__delitem__("shape"), "missing or foreign"),
    "dataset more": (lambda file: file.create_dataset("x\x1b[31m", data=1), "missing or foreign"),
    "views without saying so": (attribute("views", 0), "missing or foreign"),
    "other views": (attribute("views", 3), "should be float32 (5, 3, 6)"),
    "negative views": (attribute("views", -1), "should be float32 (5, -1, 6)"),
    "swapped": (swap("labels", "failed_labels"), "'videos' is"),
    "swapped texts": (swap("videos", "reasons"), "'videos' is"),
    "swapped numbers": (swap("scores", "views"), "'scores' is"),
    "group": (lambda file: (file.__delitem__("labels"), file.create_group("labels")), "not a dataset"),
    "soft link": (link("labels", h5py.SoftLink("/failed_labels")), "link to somewhere else"),
    "external link": (link("labels", h5py.ExternalLink("/etc/passwd", "/x")), "link to somewhere else"),
    "float64": (put("scores", (N, K), "f8"), "should be float32"),
    "int32": (put("labels", (N,), "i4"), "should be int64"),
    "big-endian": (put("scores", (N, K), ">f4"), "should be float32"),
    "objects": (put("videos", (N,), h5py.string_dtype(), fletcher32=None), "'videos' is object"),
    "references": (put("labels", (N,), h5py.ref_dtype), "should be int64"),
    "gzip": (put("labels", (N,), "i8", compression="gzip"), "no other filter"),
    "no checksum": (put("labels", (N,), "i8", fletcher32=None), "should have a checksum"),
    "contiguous": (
        put("labels", (N,), "i8", chunks=None, maxshape=None, fletcher32=None),
        "one chunk per video",
    ),
    "huge classes": (attribute("classes", 2**62), "'scores' is"),
    "text in place of a number": (attribute("classes", np.bytes_(b"6")), "classes: '6' should be a whole number"),
    "attribute more": (attribute("more", 1), "more: unknown key"),
    "attribute missing": (lambda file: file.attrs.__delitem__("source"), "source: is missing"),
    "attribute of free length": (attribute("source", "{}"), "fixed length"),
    "source": (attribute("source", np.bytes_(b"{")), "source is not JSON"),
    "deep source": (attribute("source", np.bytes_(b'{"a":' * 11_000)), "source is not JSON"),
    "a shard": (attribute("format", np.bytes_(b"vidaug")), "not a file of scores of vidaug"),
    "later version": (attribute("version", 2), "update vidaug-cli"),
}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    scores = scores_of(N)
    views, disturbed = np.stack([scores.scores] * V, 1), np.stack([scores.scores] * len(NAMES))
    whole = scores_of(N, views=views, disturbances=NAMES, disturbed=disturbed)
    write_scores(path := tmp_path / "scores.h5", whole)
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(good: Path, name: str) -> None:
    change, message = HOSTILE[name]
    with h5py.File(good, "r+", libver=("v110", "v110")) as file:
        change(file)
    tracemalloc.start()
    with pytest.raises(ShardError) as caught:
        read_scores(good)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(good))
    assert str(caught.value).isprintable()
    assert peak < 5e6


@pytest.mark.parametrize("content", [b"", b"x" * 9000, b"\x89HDF\r\n\x1a\n" * 99])
def test_what_is_not_hdf5(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scores.h5").write_bytes(content)
    with pytest.raises(ShardError, match="is damaged or not a file of scores"):
        read_scores(tmp_path / "scores.h5")
    with pytest.raises(ShardError, match="does not exist"):
        read_scores(tmp_path / "no.h5")
    with pytest.raises(ShardError, match="cannot be read: Is a directory; name a file"):
        read_scores(tmp_path)


def quick(*words: object) -> Done:
    """`vidaug WORDS`, which does not take long, and ends well or with one printable line."""
    start = time.monotonic()
    done = vidaug(*words)
    assert time.monotonic() - start < SECONDS
    if done.code != 0:
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("vidaug: error: ")
        assert done.err.removesuffix("\n").isprintable()
    return done


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four bytes changed, a stretch overwritten, or the end cut off."""
    if rng.random() < 0.2:
        return data[: rng.integers(len(data))]
    changed = bytearray(data)
    if rng.random() < 0.2:
        start, length = rng.integers(len(data)), rng.integers(1, 200)
        changed[start : start + length] = rng.bytes(len(changed[start : start + length]))
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(len(data))] ^= rng.integers(1, 256)
    return bytes(changed)


def test_damaged_scores(good: Path) -> None:
    rng, data = np.random.default_rng(1), good.read_bytes()
    wanted = quick("evaluate", good, "--json", "--worst", 99)
    assert wanted.code == 0
    refused = 0
    for _ in range(EACH):
        good.write_bytes(damage(data, rng))
        done = quick("evaluate", good, "--json", "--worst", 99)
        assert done.code or done == wanted
        refused += done.code == 1
    assert refused > EACH / 4


def test_scores_rewritten_at_random(good: Path) -> None:
    """Well-formed HDF5 with any values, types, shapes and names: past the checksums."""
    rng, data = np.random.default_rng(2), good.read_bytes()
    for _ in range(EACH):
        good.write_bytes(data)
        with h5py.File(good, "r+", libver=("v110", "v110")) as file:
            names = sorted(file)
            for name in rng.choice(names, rng.integers(1, 4), replace=False).tolist():
                CHANGES[rng.integers(len(CHANGES))](file, name, rng)
        done = quick("evaluate", good, "--json")
        if done.code == 0:
            found = read_scores(good)
            assert abs(found.scores.sum(1) - 1).max(initial=0) < 2e-3
            assert 0 <= done.result["top1"] <= 1


def rebytes(file: Any, name: str, rng: np.random.Generator) -> None:
    """Any bytes as values."""
    old = file[name][...]
    file[name][...] = np.frombuffer(rng.bytes(old.nbytes), old.dtype).reshape(old.shape)


def shuffled(file: Any, name: str, rng: np.random.Generator) -> None:
    file[name][...] = rng.permutation(file[name][...])


def resized(file: Any, name: str, rng: np.random.Generator) -> None:
    file[name].resize(int(rng.choice([0, 1, 4, 6, 1000, 2**33])), axis=0)


def retyped(file: Any, name: str, rng: np.random.Generator) -> None:
    kind = rng.choice(["i1", "u8", "f2", ">f8", "S3", "c8", "?"])
    put(name, file[name].shape, kind)(file)


def renamed(file: Any, name: str, rng: np.random.Generator) -> None:
    file.move(name, name + str(rng.choice(["x", "é", "\x1b[0m", "s"])))


def removed(file: Any, name: str, rng: np.random.Generator) -> None:
    del file[name]


def counted(file: Any, name: str, rng: np.random.Generator) -> None:
    file.attrs[str(rng.choice(["classes", "views", "version"]))] = rng.integers(-(2**62), 2**62)


CHANGES = [rebytes, rebytes, shuffled, shuffled, resized, retyped, renamed, removed, counted]

TRUTH = "".join(f"v{number:02d}.avi {1 + number % 7}\n" for number in range(20))
LINES = "".join(
    f"v{number:02d}.avi {' '.join(str(1 + (number + 2 * rank) % 7) for rank in range(5))}\n" for number in range(20)
)


def mutated(text: str, rng: np.random.Generator) -> bytes:
    """Lines changed, repeated, dropped, moved; words and letters too; or damaged bytes; or no text at all."""
    if rng.random() < 0.1:
        return rng.bytes(int(rng.integers(1, 500)))
    if rng.random() < 0.2:
        return damage(text.encode(), rng)
    lines = text.splitlines(keepends=True)
    for _ in range(rng.integers(1, 4)):
        i, j = rng.integers(len(lines), size=2)
        words = lines[i].rstrip("\n").split(" ")
        k = rng.integers(len(words))
        odd = [
            "0",
            "8",
            "-1",
            "3",
            "1e3",
            "9" * 400,
            "\u0663",
            "\r",
            "\0",
            "\ufeff",
            "",
            "v00.avi",
            "a b",
            "../x",
            "\x1b[31m",
        ]
        changes: list[list[str]] = [
            [*words[:k], str(rng.choice(odd)), *words[k + 1 :]],
            [*words[:k], *words[k + 1 :]],
            [*words, str(rng.choice(odd))],
            [*words[:k], str(rng.integers(-2, 12)), *words[k + 1 :]],
        ]
        new = " ".join(changes[rng.integers(4)]) + str(rng.choice(["\n", "\n", "\n", "\r\n", " \n", "", "\n\n"]))
        edits: list[list[str]] = [
            [*lines[:i], new, *lines[i + 1 :]],
            [*lines[:i], new, *lines[i + 1 :]],
            [*lines[:i], *lines[i + 1 :]],
            [*lines[:i], lines[j], *lines[i:]],
            list(rng.permutation(lines)),
        ]
        lines = edits[rng.integers(5)] or [new]
    return "".join(lines).encode()


def counted_by_hand(submission: bytes, truth: bytes) -> dict[str, float]:
    """The score, told another way: class by class, video by video."""
    given = {line.split()[0]: line.split()[1:] for line in submission.decode().splitlines()}
    classes: dict[str, list[str]] = {}
    for line in truth.decode("utf-8-sig").splitlines():
        if line.strip():
            name, number = line.strip().rsplit(" ", 1)
            classes.setdefault(str(int(number)), []).append(name.strip())
    found = {}
    for k in (1, 3, 5):
        right = {number: [number in given.get(name, [])[:k] for name in names] for number, names in classes.items()}
        found[f"top{k}"] = sum(map(sum, right.values())) / sum(map(len, right.values()))
        found[f"mean_class_top{k}"] = sum(sum(each) / len(each) for each in right.values()) / len(right)
    return found


@pytest.mark.parametrize("which", ["submission", "annotations"])
def test_mutated_texts(tmp_path: Path, which: str) -> None:
    rng = np.random.default_rng(3)
    right = 0
    for _ in range(EACH):
        submission, truth = LINES.encode(), TRUTH.encode()
        if which == "submission":
            submission = mutated(LINES, rng)
        else:
            truth = mutated(TRUTH, rng)
        (tmp_path / "submission.txt").write_bytes(submission)
        (tmp_path / "truth.txt").write_bytes(truth)
        done = quick("score", tmp_path / "submission.txt", "--annotations", tmp_path / "truth.txt", "--json")
        if done.code == 0:
            found = done.result
            wanted = counted_by_hand(submission, truth)
            assert {name: found[name] for name in wanted} == pytest.approx(wanted)
            right += 1
    assert EACH / 50 < right < EACH
