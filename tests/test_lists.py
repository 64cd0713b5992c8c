"""Lists as people write them: any separator, any header, labels of several words, numbers, paths of other machines.

What a list means is plain from the files that are there, or one line says what was seen and what is wanted.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidaug_cli.data.listing.candidates import Listing
from vidaug_cli.data.listing.combine import list_inputs
from vidaug_cli.data.listing.entries import read_entries
from vidaug_cli.data.listing.layouts import list_videos
from vidaug_cli.data.listing.lookup import Lookup
from vidaug_cli.data.listing.source import source_of
from vidaug_cli.data.manifest import Row, classes_of
from vidaug_cli.errors import VidaugError

FILES = ["v/00.mp4", "v/01.mp4", "v/02.mp4", "v/10.mp4", "v/it, s.mp4", "v/with space.mp4", "v/a;b.mp4"]
FILES += ["frames/c1/1.jpg", "frames/c2/1.jpg", "train/t.mp4", "réseau.mp4"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return tmp_path


def read(folder: Path, text: str | bytes, name: str = "l.txt", root: Path | None = None) -> Listing:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list_videos(source_of(path, root, None, None))[1]


def plain(listing: Listing) -> list[Any]:
    """Path, label, split and segment as far as they are given."""
    kept: list[Any] = [(c.path, c.label, c.split, c.start, c.end) for c in listing.candidates]
    while kept and all(row[-1] is None for row in kept):
        kept = [row[:-1] for row in kept]
    return kept


TWO = [("v/00.mp4", "wave"), ("v/01.mp4", "run")]
SPLIT = [("v/00.mp4", "wave", "train"), ("v/01.mp4", "run", "test")]
PARTS = [("v/00.mp4", "wave", None, 1.5, 3.0), ("v/00.mp4", "run", None, 3.0, 65.0)]
READ: dict[str, tuple[str, Sequence[tuple[object, ...]]]] = {
    "blanks": ("v/00.mp4 wave\nv/01.mp4 run\n", TWO),
    "tabs": ("v/00.mp4\twave\nv/01.mp4\trun\n", TWO),
    "commas": ("v/00.mp4,wave\nv/01.mp4,run\n", TWO),
    "commas and blanks": ("v/00.mp4, wave\nv/01.mp4 , run\n", TWO),
    "semicolons": ("v/00.mp4;wave\nv/01.mp4;run\n", TWO),
    "several blanks": ("v/00.mp4    wave\nv/01.mp4  \t run\n", TWO),
    "quotes": ('"v/00.mp4" wave\n"v/01.mp4","run"\n', TWO),
    "Windows": ("\ufeffv\\00.mp4 wave\r\nv\\01.mp4 run\r\n", TWO),
    "old Mac lines": ("v/00.mp4 wave\rv/01.mp4 run\r", TWO),
    "comments": ("# my list\nv/00.mp4 wave\n\n# more of v.txt\nv/01.mp4 run\n", TWO),
    "the label first": ("wave v/00.mp4\nrun v/01.mp4\n", TWO),
    "the label first, commas": ("wave,v/00.mp4\nrun,v/01.mp4\n", TWO),
    "no extensions": ("v/00 wave\nv/01 run\n", TWO),
    "another machine's paths": ("/home/you/data/v/00.mp4 wave\n/home/you/data/v/01.mp4 run\n", TWO),
    "another machine's drive": ("C:\\data\\v\\00.mp4,wave\nC:\\data\\v\\01.mp4,run\n", TWO),
    "labels of several words": (
        "v/00.mp4 riding a bike\nv/with space.mp4 run\nv/it, s.mp4 jump\n",
        [("v/00.mp4", "riding a bike"), ("v/with space.mp4", "run"), ("v/it, s.mp4", "jump")],
    ),
    "separators in names": (
        "v/it, s.mp4,wave\nv/a;b.mp4,run\n",
        [("v/it, s.mp4", "wave"), ("v/a;b.mp4", "run")],
    ),
    "splits by tabs": ("v/00.mp4\twave\ttrain\nv/01.mp4\trun\tTest\n", SPLIT),
    "splits by commas": ("v/00.mp4,wave,TRAIN\nv/01.mp4,run,testing\n", SPLIT),
    "splits by blanks": ("v/00.mp4 wave train\nv/01.mp4 run test\n", SPLIT),
    "path, frames, label": ("v/00 40 3\nv/01 52 0\n", [("v/00.mp4", "3"), ("v/01.mp4", "0")]),
    "frame folders, frames, label": ("frames/c1 40 3\nframes/c2 52 0\n", [("frames/c1", "3"), ("frames/c2", "0")]),
    "other accents": (f"{unicodedata.normalize('NFD', 'réseau.mp4')} wave\n", [("réseau.mp4", "wave")]),
    "paths alone": ("v/00.mp4\nv/01.mp4\n", [("v/00.mp4", "v"), ("v/01.mp4", "v")]),
    "a header": ("path,label\nv/00.mp4,wave\nv/01.mp4,run\n", TWO),
    "header, tabs": ("path\tlabel\tsplit\nv/00.mp4\twave\ttrain\nv/01.mp4\trun\ttest\n", SPLIT),
    "header, semicolons": ("File Name;Class\nv/00.mp4;wave\nv/01.mp4;run\n", TWO),
    "header, blanks": ("video label\nv/00.mp4 wave\nv/01.mp4 run\n", TWO),
    "header in capitals": ("Path,Label,Split\nv/00.mp4,wave,Train\nv/01.mp4,run,TEST\n", SPLIT),
    "header in camel case": ("videoPath,className,subset\nv/00.mp4,wave,training\nv/01.mp4,run,test\n", SPLIT),
    "header of Hugging Face": ("file_name,label\nv/00.mp4,wave\nv/01.mp4,run\n", TWO),
    "header of Kaggle": (
        "clip_name,clip_path,label\n00,/v/00.mp4,wave\n01,/v/01.mp4,run\n",
        TWO,
    ),
    "the label first in the header": ("label,video_id\nwave,v/00\nrun,v/01\n", TWO),
    "class and number": ("video,class_name,label\nv/00.mp4,wave,7\nv/01.mp4,run,3\n", TWO),
    "an index without name": (",filename,tag,label\n0,v/00.mp4,x,wave\n1,v/01.mp4,y,run\n", TWO),
    "an unknown header": ("datei,handlung\nv/00.mp4,wave\nv/01.mp4,run\n", TWO),
    "an unknown header, tabs": ("handlung\tdatei\nwave\tv/00.mp4\nrun\tv/01.mp4\n", TWO),
    "quoted cells": (
        'path,label\n"v/it, s.mp4","a, b"\nv/01.mp4,run\n',
        [("v/it, s.mp4", "a, b"), ("v/01.mp4", "run")],
    ),
    "segments": ("path,label,start,end\nv/00.mp4,wave,1.5,3\nv/00.mp4,run,3,1:05\n", PARTS),
    "segments by other names": (
        "video,action,t_start,t_end\nv/00.mp4,wave,1.5,3\nv/00.mp4,run,3,00:01:05\n",
        PARTS,
    ),
    "start and duration": ("name,class,Start Time,Duration\nv/00.mp4,wave,1.5,1.5\nv/00.mp4,run,3,62\n", PARTS),
}


@pytest.mark.parametrize("case", READ)
def test_lists_are_read(data: Path, case: str) -> None:
    text, wanted = READ[case]
    listing = read(data, text)
    assert plain(listing) == wanted
    assert not listing.quarantined


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "several labels": (
        "v/00.mp4 0 3\nv/01.mp4 1\n",
        r"l\.txt:1: 'v/00\.mp4 0 3' has several numbers .*: 0 3; a video has one label",
    ),
    "several labels of frames": ("v/00 0 3\nv/01 1 4\n", r"l\.txt:1: .* several numbers after the path: 0 3"),
    "many labels": ("v/00 5 3 7\nv/01 1 4 2\n", r"l\.txt:1: .*: 5 3 7"),
    "several labels in a cell": ('path,label\nv/00.mp4,"0,3"\n', r"l\.txt:2: several labels: '0,3'; a video has one"),
    "another separator": (
        "v/00.mp4|wave\nv/01.mp4|run\n",
        r"l\.txt:1: 'v/00\.mp4\|wave': .* separated by '\|'; .* tab, comma",
    ),
    "an arrow": ("v/00.mp4 -> wave\nv/01.mp4 -> run\n", r"l\.txt:1: .* separated by '->'; .* tab, comma"),
    "bars and blanks": ("v/00.mp4 | wave\nv/01.mp4 | run\n", r"l\.txt:1: .* separated by '\|'; .* tab, comma"),
    "two readings": (
        "v/00.mp4 catch train\nv/01.mp4 long train\n",
        r"l\.txt:1: .* reads two ways: class 'catch train', or 'catch' in train; separate path, label and split",
    ),
    "too many columns": (
        "v/00.mp4,wave,7,good\nv/01.mp4,run,8,bad\n",
        r"has 3 values after the path: wave, 7, good; .* header",
    ),
    "label and number": ("v/00.mp4 wave 3\nv/01.mp4 run 4\n", r"l\.txt:1: .* has 2 values after the path: wave, 3"),
    "too many cells": (
        "path,label\nv/it, s.mp4,wave\n",
        r"l\.txt:2: .* has 3 cells, separated by commas, of 2 columns; .*quotes",
    ),
    "unknown columns": (
        "datei,a,b\nv/00.mp4,x,y\nv/01.mp4,x,z\n",
        r"which column is the class: datei, a, b\? call the columns",
    ),
    "two classes": (
        "classname,youtube_id,label\nwave,v/00.mp4,1\nrun,v/01.mp4,1\n",
        r"l\.txt: which column is the class: label or classname\? remove or rename the other",
    ),
    "frames for seconds": (
        "path,label,start_frame,end_frame\nv/00.mp4,wave,10,50\n",
        r"'start_frame' counts frames, and segments are in seconds; call .* start and end, in seconds",
    ),
    "no seconds": (
        "path,label,start,end\nv/00.mp4,wave,early,late\n",
        r"l\.txt:2: 'early' should be a time; such as",
    ),
    "no length": ("path,label,start,end\nv/00.mp4,wave,7,3\n", r"l\.txt:2: the segment from 7 to 3 s has no length"),
    "UTF-16": ("v/00.mp4 wave\n".encode("utf-16"), r"l\.txt: is UTF-16 text; save it as UTF-8"),
    "only comments": ("# nothing\n", r"l\.txt: holds only comments"),
    "a line of 10 MB": ("x" * 10_000_000 + "\n", r"l\.txt:1: a line of 10,000,000 characters, which begins 'xxx"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_lists_that_are_not_plain_are_refused(data: Path, case: str) -> None:
    text, message = REFUSED[case]
    with pytest.raises(VidaugError, match=message) as caught:
        read(data, text)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def order(listing: Listing) -> list[str]:
    rows = [
        Row(root="/", frames=1, fps=1.0, width=1, height=1, codec="", **found._asdict()) for found in listing.candidates
    ]
    return classes_of(rows)


@pytest.mark.parametrize(
    "text",
    [
        "v/00.mp4 0\nv/01.mp4 10\nv/02.mp4 2\nv/10.mp4 1\n",
        "path,y\nv/00.mp4,0.0\nv/01.mp4,10.0\nv/02.mp4,2.0\nv/10.mp4,1.0\n",
    ],
)
@pytest.mark.parametrize("header", ["", "filename,label\n"])
def test_numbers_are_ordered_as_numbers(data: Path, text: str, header: str) -> None:
    if header and not text.startswith("path"):
        text = header + text.replace(" ", ",")
    listing = read(data, text)
    assert order(listing) == ["0", "1", "2", "10"]
    assert [found.class_id for found in listing.candidates] == [0, 10, 2, 1]


def test_names_with_numbers_keep_both(data: Path) -> None:
    listing = read(data, "path,label,label_id\nv/00.mp4,wave,10\nv/01.mp4,run,2\n")
    assert order(listing) == ["run", "wave"]


def test_numbers_and_words_together_are_said(data: Path) -> None:
    listing = read(data, "v/00.mp4 0\nv/01.mp4 wave\n")
    assert listing.notes == ["some classes are numbers, as 0, and others words, as wave: all are taken for names"]


@pytest.mark.parametrize("again", ["v/00.mp4", "./v/00.mp4", "{data}/v/00.mp4", "v/link.mp4", "v/../v/00.mp4"])
def test_a_file_with_two_labels_is_left_out_and_said(data: Path, again: str) -> None:
    (data / "v/link.mp4").symlink_to(data / "v/00.mp4")
    (data / "l.txt").write_text(f"v/00.mp4 wave\nv/01.mp4 run\n{again.format(data=data)} jump\n")
    _, _, listing = list_inputs([source_of(data / "l.txt", None, None, None)])
    assert [found.path for found in listing.candidates] == ["v/01.mp4"]
    ((_, reason),) = listing.quarantined
    assert "more than one label: jump (l.txt:3) and wave (l.txt:1)" in reason or "several labels: jump" in reason


def test_a_list_of_absolute_paths_needs_no_root(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    listing = read(tmp_path_factory.mktemp("elsewhere"), f"{data}/v/00.mp4 wave\n{data}/train/t.mp4 run\n")
    assert listing.root == data
    assert plain(listing) == [("v/00.mp4", "wave"), ("train/t.mp4", "run")]


def test_what_is_listed_and_missing_is_said_by_line(data: Path) -> None:
    listing = read(data, "v/00.mp4 wave\nv/gone one.mp4 run\nv/gone riding a bike\n")
    assert [tuple(fault) for fault in listing.quarantined] == [
        ("v/gone one.mp4", "listed in l.txt:2 but not found"),
        ("v/gone", "listed in l.txt:3 but not found"),
    ]


def test_columns_without_use_are_said(data: Path) -> None:
    listing = read(data, "path,label,is_cc,views\nv/00.mp4,wave,1,7\nv/01.mp4,run,0,9\n")
    assert listing.notes == ["l.txt: columns not used: is_cc, views"]


def test_a_list_on_stdin(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `find . -name '*.mp4' | vidaug scan -` writes it."""
    monkeypatch.chdir(data)
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"./wave/a.mp4\n./run/b.mp4\n")))
    for path in ("wave/a.mp4", "run/b.mp4"):
        (data / path).parent.mkdir()
        (data / path).touch()
    name, root, listing = list_inputs([source_of(Path("-"), None, None, None)])
    assert (name, root) == ("list", data)
    assert plain(listing) == [("wave/a.mp4", "wave"), ("run/b.mp4", "run")]
    assert "no classes are named: they are those of the folders" in listing.notes


def test_several_inputs_are_one_data_set(data: Path) -> None:
    for path in ("a/wave/1.avi", "a/run/1.avi", "b/train/wave/1.avi", "b/test/jump/1.avi"):
        (data / path).parent.mkdir(parents=True)
        (data / path).touch()
    (data / "l.txt").write_text("v/00.mp4 wave\na/run/1.avi run\n")
    sources = [source_of(data / name, None, None, None) for name in ("a", "b", "l.txt")]
    name, root, listing = list_inputs(sources)
    assert (name, root) == ("folders, list", data)
    assert sorted(plain(listing), key=str) == [
        ("a/run/1.avi", "run", None),
        ("a/wave/1.avi", "wave", None),
        ("b/test/jump/1.avi", "jump", "test"),
        ("b/train/wave/1.avi", "wave", "train"),
        ("v/00.mp4", "wave", None),
    ]
    assert "1 listed in several inputs: the first counts" in listing.notes


def test_folders_as_inputs_are_the_classes_where_nothing_else_is(tmp_path: Path) -> None:
    """`vidaug scan videos/*`."""
    for path in ("wave/1.avi", "wave/2.avi", "run/1.avi"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    _, root, listing = list_inputs([source_of(tmp_path / name, None, None, None) for name in ("run", "wave")])
    assert root == tmp_path
    assert {found.path: found.label for found in listing.candidates} == {
        "wave/1.avi": "wave",
        "wave/2.avi": "wave",
        "run/1.avi": "run",
    }
    assert not any("label null" in note for note in listing.notes)


def test_folders_that_find_prints_are_no_clips(tmp_path: Path) -> None:
    """`find videos | vidaug scan -`, with the folders themselves; those with frames are clips."""
    for path in ("d/wave/1.avi", "d/run/1.avi", "d/run/clip/1.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "l.txt").write_text("d\nd/wave\nd/wave/1.avi\nd/run\nd/run/1.avi\nd/run/clip\n")
    _, listing = list_videos(source_of(tmp_path / "l.txt", None, None, None))
    assert {found.path: found.label for found in listing.candidates} == {
        "d/wave/1.avi": "wave",
        "d/run/1.avi": "run",
        "d/run/clip": "run",
    }
    assert "3 folders in the list passed over: no frames lie in them" in listing.notes


def test_inputs_that_number_classes_differently_are_refused(data: Path) -> None:
    for name, number in (("a.csv", 1), ("b.csv", 2)):
        (data / name).write_text(f"path,label,class_id\nv/0{number}.mp4,wave,{number}\n")
    with pytest.raises(VidaugError, match=r"class 'wave' has number 1 at v/01\.mp4 and 2 at v/02\.mp4"):
        list_inputs([source_of(data / name, None, None, None) for name in ("a.csv", "b.csv")])


def test_a_number_that_one_input_knows_holds_for_all(data: Path) -> None:
    (data / "a.csv").write_text("path,label,class_id\nv/01.mp4,wave,7\n")
    (data / "b.txt").write_text("v/02.mp4 wave\n")
    _, _, listing = list_inputs([source_of(data / name, None, None, None) for name in ("b.txt", "a.csv")])
    assert {(found.label, found.class_id) for found in listing.candidates} == {("wave", 7)}


FLAT = ["videos/a.mp4", "videos/b.mp4", "videos/c.mp4"]


@pytest.mark.parametrize(
    ("lists", "wanted"),
    [
        (
            {"labels.csv": "video,action\na.mp4,wave\nb.mp4,run\nc.mp4,run\n"},
            [("wave", None), ("run", None), ("run", None)],
        ),
        ({"annotations/labels.txt": "videos/a.mp4 0\nvideos/b.mp4 10\n"}, [("0", None), ("10", None)]),
        (
            {"train_list.txt": "a.mp4 0\nb.mp4 1\n", "val_list.txt": "c.mp4 1\n"},
            [("0", "train"), ("1", "train"), ("1", "validation")],
        ),
        (
            {"meta.tsv": "clip\tset\tclass\na\ttrain\twave\nb\tTest\trun\n", "README.txt": "my videos are nice\n"},
            [("wave", "train"), ("run", "test")],
        ),
        ({"seg.csv": "id,label,start,end\na,wave,0,2\na,run,2,4\n"}, [("wave", None), ("run", None)]),
        ({"notes.txt": "these videos\nhave no labels\n"}, [(None, None)] * 3),
    ],
)
def test_lists_beside_videos_without_class_folders(
    tmp_path: Path, lists: dict[str, str], wanted: list[tuple[str | None, str | None]]
) -> None:
    for name, text in {**dict.fromkeys(FLAT, ""), **lists}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    _, listing = list_videos(source_of(tmp_path, None, None, None))
    assert [(found.label, found.split) for found in listing.candidates] == wanted
    assert not listing.quarantined
    assert ("classes are those in" in listing.notes[0]) == (wanted[0][0] is not None)


def test_a_hub_cache_of_links(tmp_path: Path) -> None:
    videos = tmp_path / "hub/snapshots/abc/videos"
    for label in ("jump", "run"):
        for number in range(2):
            blob = tmp_path / f"hub/blobs/{label}{number}"
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_text(f"{label}{number}")
            (videos / label).mkdir(parents=True, exist_ok=True)
            (videos / label / f"{number}.mp4").symlink_to(os.path.relpath(blob, videos / label))
    _, _, listing = list_inputs([source_of(videos, None, None, None)])
    assert not listing.candidates
    reason = f"'vidaug scan --follow-links={tmp_path}/hub' follows it"
    assert all(fault.reason.startswith("is a link to ") for fault in listing.quarantined)
    assert all(fault.reason.endswith(reason) for fault in listing.quarantined)
    _, root, listing = list_inputs([source_of(videos, None, None, None, tmp_path / "hub")])
    assert root == tmp_path / "hub"
    assert [found.path for found in listing.candidates][:2] == [f"snapshots/abc/videos/jump/{n}.mp4" for n in range(2)]
    assert {found.label for found in listing.candidates} == {"jump", "run"}
    assert not listing.quarantined


def test_texts_that_stand_for_links(tmp_path: Path) -> None:
    """As links are unpacked where there are none."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/x").write_text("a video")
    (tmp_path / "videos/wave").mkdir(parents=True)
    (tmp_path / "videos/wave/a.mp4").write_text("../../blobs/x\n")
    _, _, listing = list_inputs([source_of(tmp_path / "videos", None, None, None)])
    ((path, reason),) = listing.quarantined
    assert (path, reason.split(",")[0]) == ("wave/a.mp4", f"is a text in place of a link to {tmp_path}/blobs/x")
    _, root, listing = list_inputs([source_of(tmp_path / "videos", None, None, None, tmp_path)])
    assert (root, plain(listing)) == (tmp_path, [("blobs/x", "wave")])


def test_linked_class_folders(tmp_path: Path) -> None:
    for path in ("big/x/1.avi", "big/y/1.avi", "secret/1.avi", "set/jump/1.avi"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(path)
    for link, target in {"wave": "big/x", "run": "big/y", "other": "secret"}.items():
        (tmp_path / "set" / link).symlink_to(tmp_path / target)
    _, _, listing = list_inputs([source_of(tmp_path / "set", None, None, None)])
    assert {found.label for found in listing.candidates} == {"jump"}
    assert [path for path, _ in listing.quarantined] == ["other", "run", "wave"]
    _, root, listing = list_inputs([source_of(tmp_path / "set", None, None, None, tmp_path / "big")])
    assert root == tmp_path
    assert sorted(plain(listing)) == [("big/x/1.avi", "wave"), ("big/y/1.avi", "run"), ("set/jump/1.avi", "jump")]
    ((path, reason),) = listing.quarantined
    assert path == "other"
    assert reason.startswith(f"is a link to {tmp_path}/secret, outside the data set's folder")


def test_links_in_circles_end(tmp_path: Path) -> None:
    for path in ("wave/1.avi", "x/1.avi", "y/1.avi"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "wave/up").symlink_to(tmp_path)
    (tmp_path / "x/l").symlink_to(tmp_path / "y")
    (tmp_path / "y/m").symlink_to(tmp_path / "x")
    (tmp_path / "a").symlink_to(tmp_path / "wave")
    _, _, listing = list_inputs([source_of(tmp_path, None, None, None, True)])
    assert {(found.path, found.label) for found in listing.candidates} == {
        ("wave/1.avi", "wave"),
        ("x/1.avi", "x"),
        ("y/1.avi", "y"),
    }
    assert any(note.startswith("4 links to folders inside the data set not followed") for note in listing.notes)


@pytest.mark.parametrize("hard", [False, True])
def test_one_file_in_two_classes_by_links_is_left_out_and_said(tmp_path: Path, hard: bool) -> None:
    for path in ("wave/1.avi", "run/2.avi"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(path)
    link = (tmp_path / "run/1.avi").hardlink_to if hard else (tmp_path / "run/1.avi").symlink_to
    link(tmp_path / "wave/1.avi")
    _, _, listing = list_inputs([source_of(tmp_path, None, None, None)])
    assert plain(listing) == [("run/2.avi", "run")]
    assert [fault.reason for fault in listing.quarantined] == [
        "is one file with several labels: run (run/1.avi) and wave (wave/1.avi)"
    ]


def test_ucf101_lists_over_frames_without_class_folders(tmp_path: Path) -> None:
    """As the flow of two-stream networks is handed out."""
    for path in ("jpegs_256/v_Apply_g01_c01", "jpegs_256/v_YoYo_g01_c02", "tvl1_flow/u/v_Apply_g01_c01"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "frame000001.jpg").touch()
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Apply\n2 YoYo\n")
    (lists / "trainlist01.txt").write_text("Apply/v_Apply_g01_c01.avi 1\n")
    (lists / "testlist01.txt").write_text("YoYo/v_YoYo_g01_c02.avi\n")
    _, listing = list_videos(source_of(tmp_path, None, 1, None))
    assert [found[:4] for found in listing.candidates] == [
        ("jpegs_256/v_Apply_g01_c01", "Apply", 1, "train"),
        ("jpegs_256/v_YoYo_g01_c02", "YoYo", 2, "test"),
    ]
    assert any("1 images beside the frames left out" in note for note in listing.notes)


@pytest.mark.parametrize("around", ["", "20bn-jester-v1/"])
def test_frames_named_by_number_with_a_list(tmp_path: Path, around: str) -> None:
    for number in (1, 2, 10):
        (tmp_path / f"{around}{number}").mkdir(parents=True)
        (tmp_path / f"{around}{number}/00001.jpg").touch()
        (tmp_path / f"{around}{number}/00002.jpg").touch()
    (tmp_path / "jester-v1-train.csv").write_text("1;Drumming Fingers\n2;No gesture\n")
    (tmp_path / "jester-v1-validation.csv").write_text("10;No gesture\n")
    _, listing = list_videos(source_of(tmp_path, None, None, None))
    assert {(found.path, found.label, found.split) for found in listing.candidates} == {
        (f"{around}1", "Drumming Fingers", "train"),
        (f"{around}2", "No gesture", "train"),
        (f"{around}10", "No gesture", "validation"),
    }


def test_a_table_that_names_videos_under_unknown_headers_is_said(tmp_path: Path) -> None:
    for path in ("cam1/x0.mp4", "cam1/x1.mp4", "cam2/y0.mp4", "cam2/y1.mp4"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "meta.csv").write_text("uid,klass,fold\nx0,sit,1\nx1,run,2\ny0,sit,1\ny1,run,2\n")
    (tmp_path / "readme.txt").write_text("Two cameras.\nMade in a lab.\nx0 is the best.\n")
    _, listing = list_videos(source_of(tmp_path, None, None, None))
    assert listing.notes == [
        "not used, though most lines name a video: meta.csv; a header 'path,label' makes it a list"
    ]


def test_labels_that_may_mean_something_else_are_said(data: Path) -> None:
    for label, said in (("a|b", "'a|b' is taken for one class"), ("-1", "-1 is a class like any other")):
        (data / "l.csv").write_text(f"v/00.mp4,{label}\nv/01.mp4,2\n")
        _, listing = list_videos(source_of(data / "l.csv", None, None, None))
        assert any(note.startswith(said) for note in listing.notes)


def test_lists_that_are_not_used_are_said(tmp_path: Path) -> None:
    for path in ("wave/a.mp4", "run/b.mp4"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    (tmp_path / "train.txt").write_text("wave/a.mp4 0\n")
    (tmp_path / "test.txt").write_text("run/b.mp4 1\n")
    name, listing = list_videos(source_of(tmp_path, None, None, None))
    assert (name, listing.notes) == (
        "folders",
        ["lists of videos not used: test.txt, train.txt; --layout list reads them"],
    )
    _, listing = list_videos(source_of(tmp_path, None, None, None), "list")
    assert plain(listing) == [("run/b.mp4", "1", "test"), ("wave/a.mp4", "0", "train")]


TOKENS = [
    "v/00.mp4",
    "v/00",
    "gone.avi",
    "wave",
    "3",
    "0",
    "-1",
    "train",
    "path",
    "label",
    "start",
    "#",
    '"',
    "\\",
    "é",
]
LINES = st.lists(st.sampled_from([*TOKENS, " ", ",", ";", "\t", "|", "..", "/", ":", "1:2"]), max_size=9).map("".join)


@given(st.lists(LINES, min_size=1, max_size=5), st.booleans())
@settings(max_examples=400)
def test_any_text_is_read_or_refused_in_a_line(lines: list[str], there: bool) -> None:
    """Every line that is no comment and no header is an entry, or the whole is refused: none is dropped."""
    finder = Lookup(lambda name: [name] if there and name.startswith("v/00") and len(name) < 9 else [])
    numbered = [(f"l:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    try:
        entries, _ = read_entries(numbered, "l", finder)
    except VidaugError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)
        return
    missing = {where for where, _ in numbered} - {entry.where for entry in entries}
    told = [where for where, line in numbered if not line.lstrip().startswith("#")]
    assert missing.isdisjoint(told[1:])  # the first may be a header
