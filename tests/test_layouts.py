"""Layouts are recognised by looking, and every listed video is a candidate or quarantined with its line."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vidaug_cli.data.listing.candidates import Candidate, Listing
from vidaug_cli.data.listing.entries import read_entries
from vidaug_cli.data.listing.layouts import list_videos
from vidaug_cli.data.listing.lookup import Lookup
from vidaug_cli.data.listing.names import SPLITS
from vidaug_cli.data.listing.source import source_of
from vidaug_cli.data.listing.tree import natural
from vidaug_cli.errors import VidaugError


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def look(
    given: Path,
    layout: str | None = None,
    *,
    split: int | None = None,
    lists: Path | None = None,
    root: Path | None = None,
) -> tuple[str, Listing]:
    return list_videos(source_of(given, root, split, lists), layout)


def found(listing: Listing) -> set[tuple[str, str | None, int | None, str | None]]:
    return {candidate[:4] for candidate in listing.candidates}


FOLDERS: dict[str, tuple[list[str], set[tuple[str, str | None, str | None]]]] = {
    "class folders": (["wave/a.avi", "run/b.MP4"], {("wave/a.avi", "wave", None), ("run/b.MP4", "run", None)}),
    "deeper ones": (["wave/s1/x/a.avi", "run/b.avi"], {("wave/s1/x/a.avi", "wave", None), ("run/b.avi", "run", None)}),
    "splits": (
        ["train/wave/a.avi", "val/wave/b.avi", "Testing/c.avi"],
        {
            ("train/wave/a.avi", "wave", "train"),
            ("val/wave/b.avi", "wave", "validation"),
            ("Testing/c.avi", None, "test"),
        },
    ),
    "a folder around it": (
        ["UCF-101/wave/a.avi", "UCF-101/run/b.avi"],
        {("UCF-101/wave/a.avi", "wave", None), ("UCF-101/run/b.avi", "run", None)},
    ),
    "train is a class": (["train/a.avi", "boat/b.avi"], {("train/a.avi", "train", None), ("boat/b.avi", "boat", None)}),
    "no class": (["a.avi"], {("a.avi", None, None)}),
    "verbatim names": (["Ünï & 'so'/名前.avi"], {("Ünï & 'so'/名前.avi", "Ünï & 'so'", None)}),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_class_and_split_come_from_folders(tmp_path: Path, case: str) -> None:
    files, wanted = FOLDERS[case]
    name, listing = look(touch(tmp_path, *files))
    assert name == "folders"
    assert found(listing) == {(path, label, None, split) for path, label, split in wanted}


def test_folders_of_images(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "train/wave/clip1/1.jpg",
        "train/wave/clip1/2.JPG",
        "train/wave/clip1/notes.txt",
        "test/run/c/1.png",
        "cover.jpg",
    )
    name, listing = look(tmp_path)
    assert name == "frames"
    assert found(listing) == {("train/wave/clip1", "wave", None, "train"), ("test/run/c", "run", None, "test")}
    assert listing.passed_over == Counter({".txt": 1, ".jpg": 1})


def test_images_beside_videos_are_passed_over_with_a_word(tmp_path: Path) -> None:
    _, listing = look(touch(tmp_path, "wave/a.avi", "wave/thumbs/a.jpg", "wave/.hidden.avi", ".git/b.avi", "notes"))
    assert found(listing) == {("wave/a.avi", "wave", None, None)}
    assert listing.passed_over == Counter({".jpg": 1, "hidden": 2, "": 1})
    assert any("--layout frames" in note for note in listing.notes)


@pytest.mark.parametrize("folder", ["ucfTrainTestlist", "splits", "."])
def test_ucf101_lists_count_only_with_split(tmp_path: Path, folder: str) -> None:
    touch(tmp_path, "Wave/v_wave_1.avi", "HandStandPushups/v_HandStandPushups_g01.avi", "Run/x.avi")
    write(tmp_path / folder / "classInd.txt", "1 HandstandPushups\r\n7 Wave\r\n")
    write(tmp_path / folder / "trainlist01.txt", "Wave/v_wave_1.avi 7\r\n")
    write(tmp_path / folder / "testlist01.txt", "HandstandPushups/v_HandStandPushups_g01.avi\r\n")
    name, listing = look(tmp_path)
    assert name == "ucf101"
    assert {(c.label, c.class_id, c.split) for c in listing.candidates} == {
        ("Wave", 7, None),
        ("HandStandPushups", 1, None),
        ("Run", None, None),
    }
    assert any("--split 1" in note for note in listing.notes)
    _, listing = look(tmp_path, split=1)
    assert {(c.label, c.class_id, c.split) for c in listing.candidates} == {
        ("Wave", 7, "train"),
        ("HandStandPushups", 1, "test"),
    }
    assert "1 video in no list: left out" in listing.notes
    with pytest.raises(VidaugError, match=r"no lists for split 4; there are 1$"):
        look(tmp_path, split=4)


def test_a_listed_video_is_never_silently_dropped(tmp_path: Path) -> None:
    touch(tmp_path, "Wave/a.avi")
    write(tmp_path / "trainlist01.txt", "Wave/a.avi 1\n\nWave/gone.avi 1\nWave/a.avi 1\n")
    write(tmp_path / "testlist01.txt", "Wave/a.avi\n")
    _, listing = look(tmp_path, split=1)
    assert found(listing) == {("Wave/a.avi", "Wave", 1, "train")}
    assert listing.quarantined == [("Wave/gone.avi", "listed in trainlist01.txt:3 but not found")]
    assert listing.notes == ["2 listed again, the first line counts: trainlist01.txt:4 repeats trainlist01.txt:1 ..."]


def test_a_list_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "Wave/a.avi")
    write(tmp_path / "classInd.txt", "3 Wave\n")
    write(tmp_path / "trainlist01.txt", "Wave/a.avi 1\n")
    with pytest.raises(VidaugError, match=r"trainlist01\.txt:1: says class 1, but 'wave' was 3 before"):
        look(tmp_path, split=1)


def test_hmdb51(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "hmdb51_org/wave/#1_a.avi",
        "hmdb51_org/wave/b [x].avi",
        "hmdb51_org/wave/c.avi",
        "hmdb51_org/run/d.avi",
    )
    lists = tmp_path / "testTrainMulti_7030_splits"
    write(lists / "wave_test_split1.txt", "#1_a.avi 1 \nb [x].avi 2 \nc.avi 0 \n")
    write(lists / "run_test_split1.txt", "d.avi 1 \n")
    name, listing = look(tmp_path, split=1)
    assert name == "hmdb51"
    assert {(c.path, c.label, c.split) for c in listing.candidates} == {
        ("hmdb51_org/wave/#1_a.avi", "wave", "train"),
        ("hmdb51_org/wave/b [x].avi", "wave", "test"),
        ("hmdb51_org/run/d.avi", "run", "train"),
    }
    assert listing.notes == ["1 video marked as unused in split 1: left out"]
    assert {(c.label, c.split) for c in look(tmp_path)[1].candidates} == {("wave", None), ("run", None)}


CSV = """label,youtube_id,time_start,time_end,split
waving hand,-ab_1,10,20,train
run,XyZ,3,13,validate
run,xyz,0,10,test
"""
KINETICS = {
    "flat": ["-ab_1_000010_000020.mp4", "XyZ.mkv", "xyz_000000_000010.mp4"],
    "split": ["train/-ab_1.mp4", "val/XyZ_000003_000013.mp4", "test/xyz.mp4"],
    "split, label": ["train/waving hand/-ab_1.mp4", "val/run/XyZ.mp4", "test/run/xyz.mp4"],
    "label": ["waving_hand/-ab_1.mp4", "run/XyZ.mp4", "run/xyz.mp4"],
}


@pytest.mark.parametrize("case", KINETICS)
@pytest.mark.parametrize("as_input", [False, True])
def test_kinetics(tmp_path: Path, case: str, as_input: bool) -> None:
    videos = touch(tmp_path / "videos", *KINETICS[case])
    file = write((tmp_path if as_input else videos) / "k.csv", CSV)
    name, listing = look(file, root=videos) if as_input else look(videos)
    assert name == "kinetics"
    expected = [("waving hand", "train"), ("run", "validation"), ("run", "test")]
    assert found(listing) == {
        (path, label, None, split) for path, (label, split) in zip(KINETICS[case], expected, strict=True)
    }


def test_kinetics_prefers_the_listed_split_and_reports_what_is_gone(tmp_path: Path) -> None:
    write(tmp_path / "k.csv", CSV)
    _, listing = look(touch(tmp_path, "test/XyZ.mp4", "val/run/XyZ.mp4", "test/XYZ.mp4"))
    assert found(listing) == {("val/run/XyZ.mp4", "run", None, "validation")}
    assert listing.quarantined == [
        ("-ab_1_000010_000020", "listed in k.csv:2 but not found"),
        ("xyz_000000_000010", "listed in k.csv:4 but not found"),
    ]


def test_vipriors2020(tmp_path: Path) -> None:
    notes = tmp_path / "annotations"
    write(notes / "mod-ucf101-classInd.txt", "100 ApplyEyeMakeup\n1 YoYo\n")
    write(notes / "mod-ucf101-train.txt", "t1.avi 100\n")
    write(notes / "mod-ucf101-validation.txt", "v1.avi 1\n")
    write(notes / "mod-ucf101-test.txt", "x1.avi\n")
    touch(tmp_path, "videos/t1.avi", "videos/v1.avi", "videos/x1.avi")
    wanted = {
        ("videos/t1.avi", "ApplyEyeMakeup", 100, "train"),
        ("videos/v1.avi", "YoYo", 1, "validation"),
        ("videos/x1.avi", None, None, "test"),
    }
    name, listing = look(tmp_path)
    assert (name, found(listing)) == ("vipriors2020", wanted)
    write(notes / "mod-ucf101-train.txt", "t1.avi 101\n")
    with pytest.raises(VidaugError, match=r"mod-ucf101-train\.txt:1: class 101 is not in mod-ucf101-classInd"):
        look(tmp_path)


def test_plain_list(tmp_path: Path) -> None:
    files = ["a.avi", "my video.avi", "b c.avi", "sub/d", "don't.avi"]
    touch(tmp_path / "data", *files)
    text = '\ufeffa.avi wave\r\nmy video.avi\r\n"b c.avi" to run\nsub/d\twave hand\ndon\'t.avi wave\n./a.avi wave\n'
    name, listing = look(write(tmp_path / "list.txt", text), root=tmp_path / "data")
    assert name == "list"
    assert [(c.path, c.label, c.class_id) for c in listing.candidates] == [
        ("a.avi", "wave", None),
        ("my video.avi", None, None),
        ("b c.avi", "to run", None),
        ("sub/d", "wave hand", None),
        ("don't.avi", "wave", None),
    ]
    assert listing.notes == ["1 listed again, the first line counts: list.txt:6 repeats list.txt:1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.txt", "a.avi 10\nb.avi 2\n"),
        ("l.csv", "path,label\na.avi,10\nb.avi,2\n"),
        ("l.csv", "a.avi,10\nb.avi,2\n"),
        ("l.csv", "a.avi 10\nb.avi 2\n"),
        ("l.csv", 'class,path\n10,"a.avi"\n2,b.avi\n'),
        ("l.txt", "{root}/a.avi 10\n{root}/b.avi 2\n"),
    ],
)
def test_numbers_in_a_list_are_class_numbers(tmp_path: Path, name: str, text: str) -> None:
    touch(tmp_path, "a.avi", "b.avi")
    _, listing = look(write(tmp_path / name, text.format(root=tmp_path)))
    assert listing.candidates == [Candidate("a.avi", "10", 10), Candidate("b.avi", "2", 2)]


def test_a_csv_may_name_splits(tmp_path: Path) -> None:
    touch(tmp_path, "a.avi")
    _, listing = look(write(tmp_path / "l.csv", "path,label,split\na.avi,wave,val\n"))
    assert listing.candidates == [Candidate("a.avi", "wave", None, "validation")]


WORDS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"'), min_size=1)


@given(st.lists(WORDS, min_size=1, max_size=4).map(" ".join), st.lists(WORDS, min_size=1, max_size=3).map(" ".join))
def test_any_name_that_is_there_can_be_listed(name: str, label: str) -> None:
    """With any separator, blanks and separators in the name, and blanks in the label."""
    label = " ".join(re.sub(r"[.,;0-9]", "", label).split()) or "x"  # `x.avi` would be a name, `0 3` two labels
    assume(label.split()[-1].casefold() not in SPLITS)  # `catch train` reads two ways
    there = Lookup(lambda said: [said] if said == name else [])
    for line in (f'"{name}" {label}', *(f"{name}{sign}{label}" for sign in "\t,; ")):
        (entry,), _ = read_entries([("l:1", line)], "l", there)
        assert (entry.name, entry.label) == (name, label)


@given(st.lists(st.from_regex(r"[ab/]?c[0-9]{1,3}[_]?[0-9]{0,2}", fullmatch=True), unique=True), st.randoms())
def test_natural_order_depends_on_nothing_but_the_names(names: list[str], random: Random) -> None:
    shuffled = random.sample(names, len(names))
    assert sorted(names, key=natural) == sorted(shuffled, key=natural)


def test_natural_order_counts() -> None:
    assert sorted(["c10/2", "c9/11", "c9/2", "b/x"], key=natural) == ["b/x", "c9/2", "c9/11", "c10/2"]


def test_a_folder_of_nothing_but_links_says_how_to_follow_them(tmp_path: Path) -> None:
    touch(tmp_path, "out/wave/a.avi", "in/readme.txt")
    (tmp_path / "in/wave").symlink_to(tmp_path / "out/wave")
    with pytest.raises(VidaugError, match=f"holds no video, .*; wave is a link to .*--follow-links={tmp_path}'"):
        look(tmp_path / "in")


def test_nothing_outside_is_followed(tmp_path: Path) -> None:
    touch(tmp_path, "out/wave/a.avi", "in/run/b.avi")
    (tmp_path / "in/wave").symlink_to(tmp_path / "out/wave")
    (tmp_path / "in/again").symlink_to(tmp_path / "in/run")
    (tmp_path / "in/run/loop").symlink_to(tmp_path / "in")
    _, listing = look(tmp_path / "in")
    assert found(listing) == {("run/b.avi", "run", None, None)}
    assert [path for path, _ in listing.quarantined] == ["wave"]
    assert any("2 links to folders inside" in note for note in listing.notes)


def test_names_that_are_not_utf8_are_quarantined(tmp_path: Path) -> None:
    touch(tmp_path, "wave/a.avi")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/wave/\xff.avi")).touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9t\xe9")).mkdir()
    _, listing = look(tmp_path)
    assert found(listing) == {("wave/a.avi", "wave", None, None)}
    assert {path for path, _ in listing.quarantined} == {r"wave/\xff.avi", r"\xe9t\xe9"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"holds no video, only 1 \.txt; looked for class folders of videos.* lists of kinetics, .* or ucf101"),
        ({"layout": "ucf"}, r"no layout 'ucf'; perhaps you meant ucf101; there are kinetics"),
        ({"layout": "hmdb51"}, r"layout hmdb51 needs \*_test_split.*; --lists DIR"),
        ({"layout": "list"}, r"layout list needs a list of"),
        ({"lists": Path("/nowhere")}, r"/nowhere: does not exist; is the name right"),
    ],
)
def test_what_does_not_fit_says_what_was_looked_for(tmp_path: Path, options: dict[str, Path], message: str) -> None:
    with pytest.raises(VidaugError, match=message):
        look(touch(tmp_path, "notes.txt"), **options)  # type: ignore[arg-type]


def test_split_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VidaugError, match=r"layout folders takes no --split; looked for"):
        look(touch(tmp_path, "wave/a.avi"), split=1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.txt", "", "is empty"),
        ("l.txt", "a\0b", "is not a text file"),
        ("m.jsonl", '{"path": "a"}\n', "looks like a manifest already"),
    ],
)
def test_a_file_that_is_no_list(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(VidaugError, match=message):
        look(write(tmp_path / name, text))


@pytest.fixture(scope="module")
def ucf101(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 13,320 names of UCF101, empty, as a copy whose folder is spelled like its files: HandStandPushups."""
    root = tmp_path_factory.mktemp("ucf101")
    names: set[str] = set()
    for path in (real_data / "splits/ucfTrainTestlist").glob("t*list*.txt"):
        names |= {line.split()[0] for line in path.read_text().splitlines()}
    return touch(root, *(name.replace("Handstand", "HandStand") for name in names))


@pytest.mark.parametrize(("split", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_official_counts_of_ucf101(real_data: Path, ucf101: Path, split: int, train: int, test: int) -> None:
    name, listing = look(ucf101, split=split, lists=real_data / "splits/ucfTrainTestlist")
    assert name == "ucf101"
    assert Counter(c.split for c in listing.candidates) == {"train": train, "test": test}
    assert len({(c.label, c.class_id) for c in listing.candidates}) == 101
    assert ("HandStandPushups", 37) in {(c.label, c.class_id) for c in listing.candidates}
    assert not listing.quarantined
    assert not listing.notes


@pytest.mark.parametrize("split", [1, 2, 3])
def test_official_counts_of_hmdb51(real_data: Path, tmp_path: Path, split: int) -> None:
    lists = real_data / "splits/testTrainMulti_7030_splits"
    for path in lists.glob(f"*_test_split{split}.txt"):
        label = path.stem.removesuffix(f"_test_split{split}")
        touch(tmp_path, *(f"{label}/{line.split()[0]}" for line in path.read_text().splitlines()))
    _, listing = look(tmp_path, split=split, lists=lists)
    assert Counter(c.split for c in listing.candidates) == {"train": 3570, "test": 1530}
    assert len({c.label for c in listing.candidates}) == 51
    assert listing.notes == [f"1666 videos marked as unused in split {split}: left out"]


def test_official_counts_of_vipriors(real_data: Path, tmp_path: Path) -> None:
    lists = real_data / "splits/vipriors2020"
    for split in ("train", "validation", "test"):
        lines = (lists / f"mod-ucf101-{split}.txt").read_text().splitlines()
        touch(tmp_path, *(f"videos/{line.split()[0]}" for line in lines))
    name, listing = look(tmp_path, lists=lists)
    assert name == "vipriors2020"
    assert Counter(c.split for c in listing.candidates) == {"train": 4795, "validation": 4742, "test": 3783}
    assert {c.label for c in listing.candidates if c.split == "test"} == {None}
    assert {c.class_id for c in listing.candidates if c.split == "train"} == set(range(1, 102))


def test_segments_of_whole_videos_are_videos_of_their_own(tmp_path: Path) -> None:
    """`ID.mp4` is all of it, `ID_000010_000020.mp4` the segment."""
    write(
        tmp_path / "k.csv",
        "label,youtube_id,time_start,time_end,split\njump,A,0,1,train\nrun,A,1,2,train\nrun,B,3,13,val\n",
    )
    name, listing = look(touch(tmp_path, "videos/A.mp4", "videos/B_000003_000013.mp4"))
    assert name == "kinetics"
    assert listing.candidates == [
        Candidate("videos/A.mp4", "jump", None, "train", 0.0, 1.0),
        Candidate("videos/A.mp4", "run", None, "train", 1.0, 2.0),
        Candidate("videos/B_000003_000013.mp4", "run", None, "validation"),
    ]
    assert listing.notes == ["2 listed videos taken as segments of whole videos, by their times"]


@pytest.mark.parametrize("stem", ["ab_000010_000020", "ab_10_20", "ab_000010", "ab_10"])
@pytest.mark.parametrize("folder", ["train", "replacement/for_k400", "train/jump"])
def test_kinetics_600_and_700(tmp_path: Path, stem: str, folder: str) -> None:
    """Lists are texts in a folder beside, and may lack the label or the split, which their name says."""
    write(tmp_path / "annotations/train.txt", "label,youtube_id,time_start,time_end\njump,ab,10,20\n")
    write(tmp_path / "annotations/test.txt", "youtube_id,time_start,time_end,split\nxy,10,20,test\n")
    name, listing = look(touch(tmp_path, f"{folder}/{stem}.mp4", "test/xy_000010_000020.mp4"))
    assert name == "kinetics"
    assert listing.candidates == [
        Candidate("test/xy_000010_000020.mp4", None, None, "test"),
        Candidate(f"{folder}/{stem}.mp4", "jump", None, "train"),
    ]


def test_vipriors2021(tmp_path: Path) -> None:
    lists = tmp_path / "annotations"
    write(lists / "clsIdx.csv", "label,idx\nabseiling,400\nzumba,1\n")
    write(lists / "kinetics400ViPriors-train.csv", "label,videoid,split\nabseiling,PVb,train\nzumba,qVb,train\n")
    write(lists / "kinetics400ViPriors-val.csv", "label,videoid,split\nzumba,vpw,val\n")
    write(lists / "kinetics400ViPriors-test-public.csv", "videoid,split\naaa,test\n")
    name, listing = look(touch(tmp_path, "train/PVb.mp4", "train/qVb.mp4", "val/vpw.mp4", "test/aaa.mp4"))
    assert name == "vipriors2021"
    assert found(listing) == {
        ("train/PVb.mp4", "abseiling", 400, "train"),
        ("train/qVb.mp4", "zumba", 1, "train"),
        ("val/vpw.mp4", "zumba", 1, "validation"),
        ("test/aaa.mp4", None, None, "test"),
    }


REPORTS: dict[str, tuple[int | None, str, dict[tuple[str | None, str | None], int]]] = {
    "layouts/mmaction2": (
        None,
        "folders",
        {(c, s): n for c in ("abseiling", "archery", "zumba") for s, n in (("train", 3), ("validation", 1))},
    ),
    "layouts/wrapper": (None, "folders", dict.fromkeys([("abseiling", None), ("archery", None), ("zumba", None)], 2)),
    "layouts/wrapsplit": (
        None,
        "folders",
        {(c, s): n for c in ("abseiling", "archery", "zumba") for s, n in (("train", 2), ("validation", 1))},
    ),
    "layouts/k600": (None, "kinetics", {(c, s): 1 for c in ("abseiling", "zumba") for s in ("train", "validation")}),
    "layouts/vip21": (
        None,
        "vipriors2021",
        {(c, s): 1 for c in ("abseiling", "zumba") for s in ("train", "validation")} | {(None, "test"): 1},
    ),
    "layouts/untrimmed": (None, "kinetics", {("jump", "train"): 1, ("run", "train"): 2}),
    "frames/ucfframes": (1, "ucf101", {(c, s): 1 for c in ("Apply", "Zoom") for s in ("train", "test")}),
    "lists/comma.txt": (None, "list", {(f"c{c}", None): 4 for c in range(3)}),
    "lists/three.txt": (None, "list", {(f"{c}", None): 4 for c in range(3)}),
    "lists/head_filename.csv": (None, "list", {(f"{c}", None): 1 for c in range(12)}),
    "lists/labelspace.txt": (None, "list", {("playing tennis", None): 6, ("riding a bike", None): 6}),
    "lists/tab3.tsv": (None, "list", {(f"c{c}", "train"): 4 for c in range(3)}),
    "lists/tab3_nohead.txt": (None, "list", {("c0", "train"): 1, ("c1", "test"): 1, ("c0", "test"): 1}),
}


@pytest.mark.parametrize("case", REPORTS)
def test_inputs_that_were_reported(real_data: Path, case: str) -> None:
    split, layout, wanted = REPORTS[case]
    if not (real_data / "reports" / case).exists():
        pytest.skip("no such report here")
    name, listing = look(real_data / "reports" / case, split=split)
    assert (name, Counter((found.label, found.split) for found in listing.candidates)) == (layout, wanted)
    assert not listing.quarantined
