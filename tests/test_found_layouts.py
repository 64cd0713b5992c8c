"""Layouts nobody named: classes and splits are found by how videos lie, or one line says what was seen, what to give.

Files are empty; a case is a list of them with `{a,b}` for either and `#` for 1 and 2.
"""

from __future__ import annotations

import os
import re
import unicodedata
from contextlib import chdir
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidaug_cli.data.listing.candidates import Listing
from vidaug_cli.data.listing.folders import by_folder, find_pattern
from vidaug_cli.data.listing.layouts import list_videos
from vidaug_cli.data.listing.source import source_of
from vidaug_cli.errors import UnclearError, VidaugError

ACTS = "{abseiling,archery,zumba}"


def expand(pattern: str) -> list[str]:
    """`{a,b}/#.avi` as its four paths."""
    parts = re.split(r"\{([^}]*)\}|(#)", pattern)
    choices = [
        [text] if place % 3 == 0 else (text or "").split(",") if place % 3 == 1 else ["1", "2"]
        for place, text in enumerate(parts)
        if text is not None
    ]
    return ["".join(path) for path in product(*choices)]


def build(root: Path, *patterns: str) -> Path:
    for path in (path for pattern in patterns for path in expand(pattern)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def look(root: Path, layout: str | None = None, **options: Path | int | None) -> tuple[str, Listing]:
    source = source_of(root, None, options.get("split"), options.get("lists"))  # type: ignore[arg-type]
    return list_videos(source, layout)


def summary(listing: Listing) -> set[tuple[str | None, str | None]]:
    return {(found.label, found.split) for found in listing.candidates}


def each(labels: str, *splits: str | None) -> set[tuple[str | None, str | None]]:
    return {(label, split) for label in labels.split() for split in splits or (None,)}


ALL = "abseiling archery zumba"
# What lies there; the classes with their splits; a word of a note, where one is due.
FOUND: dict[str, tuple[list[str], set[tuple[str | None, str | None]], str]] = {
    "mmaction2": ([f"videos_train/{ACTS}/#.mp4", f"videos_val/{ACTS}/v.mp4"], each(ALL, "train", "validation"), ""),
    "rawframes": (
        [f"rawframes_train/{ACTS}/clip_#/img_#.jpg", f"rawframes_val/{ACTS}/clip_3/img_#.jpg"],
        each(ALL, "train", "validation"),
        "",
    ),
    "sizes behind splits": ([f"train_256/{ACTS}/#.mp4", f"val_256/{ACTS}/#.mp4"], each(ALL, "train", "validation"), ""),
    "Kinetics releases": (
        [f"{{Kinetics400-Train,Kinetics400-Test_320x240}}/{ACTS}/#.mp4"],
        each(ALL, "train", "test"),
        "",
    ),
    "splits in capitals": ([f"{{TRAIN,Dev,tst}}/{ACTS}/#.mp4"], each(ALL, "train", "validation", "test"), ""),
    "camel case": ([f"{{trainVideos,ValidationSet}}/{ACTS}/#.mp4"], each(ALL, "train", "validation"), ""),
    "only a training set": ([f"train/{ACTS}/#.mp4"], each(ALL, "train"), ""),
    "a wrapper": ([f"mydata_v2/{ACTS}/#.mp4"], each(ALL), "classes are the folders in mydata_v2/"),
    "wrappers": ([f"a/b/c/d/{ACTS}/#.mp4"], each(ALL), "classes are the folders in a/b/c/d/"),
    "a wrapper with junk beside it": (
        [f"UCF50/{ACTS}/#.avi", "annotations/x.txt", "README.md", "UCF50.zip"],
        each(ALL),
        "classes are the folders in UCF50/",
    ),
    "a wrapper with a video beside it": (
        [f"NAME/{ACTS}/#.mp4", "intro.mp4"],
        {*each(ALL), (None, None)},
        "1 video in no",
    ),
    "a wrapper around splits": ([f"kinetics400/{{train,val}}/{ACTS}/#.mp4"], each(ALL, "train", "validation"), ""),
    "a wrapper in splits": ([f"{{train,val}}/videos/{ACTS}/#.mp4"], each(ALL, "train", "validation"), ""),
    "splits in classes": ([f"{ACTS}/{{train,test}}/#.mp4"], each(ALL, "train", "test"), ""),
    "YouTube actions": (
        ["{diving,biking}/v_{diving,biking}_0#/v_1.mpg", "diving/Annotation/x.xgtf"],
        each("diving biking"),
        "class folders hold folders",
    ),
    "persons in classes": (["{wave,run}/person#/#.avi"], each("wave run"), "class folders hold folders"),
    "classes in persons": (
        ["subject#/{wave,run}/1.avi"],
        each("wave run"),
        "classes are the folders in subject1/, subject2/",
    ),
    "persons who did not do all": (["s1/{wave,run}/1.avi", "s2/{walk,run}/1.avi"], each("wave run walk"), ""),
    "one person": (["subject1/{wave,run}/1.avi"], each("wave run"), ""),
    "parts of a download": (["part_1/{abseiling,archery}/#.mp4", "part_2/zumba/#.mp4"], each(ALL), ""),
    "a folder for each video": (["{wave,run}/abc{1,2}xyz/clip.mp4"], each("wave run"), ""),
    "media folders in classes": (["{wave,run}/videos/#.avi"], each("wave run"), ""),
    "archives unpacked in their folders": (
        ["{wave,run}/" + "#.avi", "jump/jump/#.avi", "clap/clap/#.avi"],
        each("wave run jump clap"),
        "",
    ),
    "all archives unpacked in their folders": (["wave/wave/#.avi", "run/run/#.avi"], each("wave run"), ""),
    "one class has deeper folders": (
        ["wave/#.avi", "run/indoor/#.avi"],
        each("wave run"),
        "class folders hold folders",
    ),
    "loose videos beside classes": (
        ["{wave,run}/#.avi", "extra.avi"],
        {*each("wave run"), (None, None)},
        "1 video in no",
    ),
    "classes called train and test": (["{train,plane,test}/#.avi"], each("train plane test"), "taken for classes"),
    "classes of trains": (["{toy_train,fast_train}/#.avi"], each("toy_train fast_train"), ""),
    "one class": (["wave/#.avi"], each("wave"), ""),
    "no class": (["videos/#.avi"], {(None, None)}, "2 videos in no class folder"),
    "no class in splits": (["{train,test}/#.avi"], {(None, "train"), (None, "test")}, "4 videos in no class folder"),
    "numbers are classes": (["{0,1,2,10}/#.avi"], each("0 1 2 10"), ""),
    "class1 and class2": (["class#/#.avi"], each("class1 class2"), ""),
    "frames in img folders": (["{wave,run}/clip_#/img/{001,002}.jpg"], each("wave run"), ""),
    "frames beside flow folders": (
        ["{wave,run}/clip_#/{img,flow_x,flow_y}/{001,002}.jpg"],
        each("wave run"),
        "16 images beside the frames left out: flow_x, flow_y",
    ),
    "frames beside u and v": (["{wave,run}/clip_#/{rgb,u,v}/{001,002}.jpg"], each("wave run"), "16 images beside"),
    "frames mixed with flow": (
        ["{wave,run}/clip_#/{img,flow_x,flow_y}_0000#.jpg"],
        each("wave run"),
        "16 images beside the frames left out: flow_x_#, flow_y_#",
    ),
    "signers, as many as there are": (["signer0{1,2,3}/{hello,thanks}/#.mp4"], each("hello thanks"), "in signer01/"),
    "split1": (["split1/{train,test}/{wave,run}/1.mp4"], each("wave run", "train", "test"), ""),
    "flow next to the picture folders": (
        ["JHMDB/{Rename_Images,flow}/{brush_hair,catch}/v#/0000#.png"],
        each("brush_hair catch"),
        "images beside the frames left out: v1, v2",
    ),
    "pictures are classes": (["{😀,🏃}/1.avi"], each("😀 🏃"), ""),
    "system folders": (
        [
            "{wave,run}/#.avi",
            "{lost+found,@eaDir,$RECYCLE.BIN,System Volume Information,__MACOSX,.Trashes}/x.avi",
            "wave/{._1.avi,Thumbs.db}",
            "wave/@eaDir/1.avi/SYNO.avi",
            "node_modules/pkg/demo.mp4",
        ],
        each("wave run"),
        "",
    ),
    "system folders beside splits": (
        [f"{{train,val}}/{ACTS}/#.avi", "lost+found/x.avi"],
        each(ALL, "train", "validation"),
        "",
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_classes_and_splits_are_found(tmp_path: Path, case: str) -> None:
    files, wanted, word = FOUND[case]
    _, listing = look(build(tmp_path, *files))
    assert summary(listing) == wanted
    assert not listing.quarantined
    assert any(word in note for note in listing.notes) or not word


# What lies there, and the line: what was seen, and what to give.
UNCLEAR = {
    "categories": (
        ["sports/{tennis,golf}/#.avi", "music/{piano,drums}/#.avi"],
        r"music, sports \(2\) or drums, golf, piano, tennis \(4\); say --layout CLASS or --layout '\*/CLASS'",
    ),
    "two data sets": (["ucf/{Swing,YoYo}/#.avi", "hmdb/{catch,chew}/#.avi"], r"--layout '\*/CLASS'"),
    "persons by name": (["{daria,denis,eli}/{wave,run}/1.avi"], r"daria, denis, eli \(3\) or run, wave \(2\)"),
    "a folder that is no split beside splits": (
        ["{train,val,extra}/{wave,run}/#.avi"],
        r"extra, train, val \(3\) .*--layout SPLIT/CLASS",
    ),
    "a sample beside the wrapper": ([f"UCF50/{ACTS}/#.avi", "samples/demo.avi"], r"UCF50, samples \(2\) or .*\(3\)"),
    "videos in the wrapper": ([f"NAME/{ACTS}/#.avi", "NAME/a.avi"], r"NAME \(1\) or abseiling, archery, zumba \(3\)"),
    "a demo beside data/videos": (
        ["data/videos/{run,walk}/#.avi", "docs/demo.avi"],
        r"data, docs \(2\) or run, walk \(2\); say --layout CLASS or --layout '\*/\*/CLASS'",
    ),
    "numbered classes and groups": (["{0,1,2}/g{1,2}/#.avi"], r"0, 1, 2 \(3\) or g1, g2 \(2\)"),
    "splits that repeat themselves": (
        [f"train/train_256/{ACTS}/#.mp4", f"val/val_256/{ACTS}/#.mp4"],
        r"say --layout SPLIT/CLASS or --layout 'SPLIT/\*/CLASS'",
    ),
    "folds": (["fold#/{train,test}/{wave,run}/#.avi"], r"say --layout CLASS/SPLIT or --layout '\*/SPLIT/CLASS'"),
    "splits in classes around groups": (
        ["{wave,run}/{train,val}/s#/1.avi"],
        r"run, wave \(2\) or s1, s2 \(2\); say --layout CLASS/SPLIT or",
    ),
    "sessions of days": (["raw/{s1,s2}/{morning,noon}/{wave,run}/1.avi"], r"say --layout '\*/\*/CLASS' or --layout"),
    "cameras": (["{left,right}/{wave,run}/1.avi"], r"left, right \(2\) or run, wave \(2\)"),
    "more clips of frames than videos": (
        ["{wave,run}/clip#/{1,2,3}.jpg", "demo.mp4"],
        r"holds 1 video, such as demo.mp4, and 4 folders of images, such as .*; say --layout folders or",
    ),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_reads_two_ways_is_asked(tmp_path: Path, case: str) -> None:
    files, message = UNCLEAR[case]
    with pytest.raises(VidaugError, match=message) as caught:
        look(build(tmp_path, *files))
    assert str(caught.value).startswith(f"{tmp_path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "pattern", "wanted"),
    [
        (UNCLEAR["categories"][0], "*/CLASS", each("tennis golf piano drums")),
        (UNCLEAR["categories"][0], "CLASS", each("sports music")),
        (
            UNCLEAR["a folder that is no split beside splits"][0],
            "SPLIT/CLASS",
            each("wave run", "train", "validation", "extra"),
        ),
        (UNCLEAR["folds"][0], "*/SPLIT/CLASS", each("wave run", "train", "test")),
        (["wave/s#/1.avi"], "CLASS", each("wave")),
        (["{wave,run}/{train,val}/s#/1.avi"], "CLASS/SPLIT", each("wave run", "train", "validation")),
        (["{wave,run}/clip#/x/1.jpg"], "CLASS/*", each("wave run")),
    ],
)
def test_a_pattern_says_which_folders_are_the_classes(
    tmp_path: Path, files: list[str], pattern: str, wanted: set[tuple[str | None, str | None]]
) -> None:
    _, listing = look(build(tmp_path, *files), pattern)
    assert summary(listing) == wanted


@pytest.mark.parametrize("pattern", ["class", "CLASS/CLASS", "SPLIT", "*/NAME", ""])
def test_a_wrong_pattern(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(
        VidaugError, match=r"no layout .*; perhaps you meant .*patterns such as SPLIT/CLASS or '\*/CLASS'"
    ):
        look(build(tmp_path, "wave/1.avi"), pattern)


def test_names_in_either_unicode_form_are_one_class(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    build(tmp_path, f"train/{composed}/1.avi", f"val/{apart}/2.avi", "train/thé/3.avi")
    _, listing = look(tmp_path)
    assert summary(listing) == {(composed, "train"), (composed, "validation"), ("thé", "train")}
    assert {found.path for found in listing.candidates} >= {f"val/{apart}/2.avi"}  # as on disk
    assert any("one class: café" in note for note in listing.notes)


def test_classes_that_are_called_almost_the_same_are_said(tmp_path: Path) -> None:
    _, listing = look(build(tmp_path, "train/{riding_a_bike,run}/1.avi", "val/{Riding a bike,run}/1.avi"))
    assert any("almost the same: Riding a bike, riding_a_bike" in note for note in listing.notes)


DEEP = 2500  # more than Python's recursion and, in bytes, the system's paths go


def test_folders_in_folders_without_end(tmp_path: Path) -> None:
    """The system takes no path of more than 4096 bytes, so the folders are made one in the other."""
    build(tmp_path, "{wave,run}/#.avi")
    with chdir(tmp_path):
        for _ in range(DEEP):
            Path("d").mkdir()
            os.chdir("d")
        deepest = os.open(".", os.O_RDONLY)
    try:
        _, listing = look(tmp_path)
        assert summary(listing) == each("wave run")
        ((path, reason),) = listing.quarantined
        assert set(path) == {"d", "/"}
        assert reason == "cannot be read: File name too long"
    finally:  # pytest's own removal is recursive
        with chdir(tmp_path):
            os.fchdir(deepest)
            for _ in range(DEEP):
                os.chdir("..")
                Path("d").rmdir()
        os.close(deepest)


NAMES = st.sampled_from(["wave", "run", "train", "val", "videos", "s1", "s2", "test_a", "flow", "10", "2"])
TREES = st.lists(st.lists(NAMES, max_size=4).map(tuple), min_size=1, max_size=12)


@given(TREES)
@settings(max_examples=300)
def test_any_tree_is_read_one_way_or_asked(trees: list[tuple[str, ...]]) -> None:
    """No class is called for a split or for what all data sets hold, unless a note says so; no order matters."""
    try:
        roles = find_pattern(trees)
    except UnclearError:
        return
    assert roles == find_pattern(reversed(trees))
    assert roles.count("CLASS") <= 1
    assert roles.count("SPLIT") <= 1
    listing = by_folder(["/".join([*folders, f"{number}.avi"]) for number, folders in enumerate(trees)])
    labels = {found.label for found in listing.candidates}
    assert "videos" not in labels
    assert any("taken for classes" in note for note in listing.notes) or labels.isdisjoint({"train", "val"})
    assert any("no class folder" in note for note in listing.notes) == (None in labels)


@given(st.sets(st.sampled_from(["wave", "run", "walk", "jump", "clap"]), min_size=2), st.lists(NAMES, max_size=3))
def test_classes_are_found_below_any_folders(classes: set[str], around: list[str]) -> None:
    paths = ["/".join([*around, label, f"{number}.avi"]) for label in classes for number in range(3)]
    listing = by_folder(paths)
    assert {found.label for found in listing.candidates} == classes
