"""`--exclude`: what patterns leave out, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_video
from console import vidaug
from hypothesis import given
from hypothesis import strategies as st

from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.listing.exclusion import Exclusion
from vidaug_cli.data.scan import scan
from vidaug_cli.errors import VidaugError

FILES = ["jump/1.mp4", "jump/2_flow.mp4", "jump/old/3.mp4", "walk/1.mp4", "walk/2.mp4", "walk/2_flow.mp4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exclude") / "videos"
    for file in FILES:
        write_video(root / file, frames=3)
    return root


def found(*inputs: Path, exclude: list[str], **how: object) -> list[str]:
    return [row.path for row in scan(*inputs, exclude=exclude, cache=False, progress=False, workers=1, **how).rows]  # type: ignore[arg-type]


# What git leaves out by the same lines: `git check-ignore --no-index`.
@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["*_flow.mp4"], ["jump/1.mp4", "jump/old/3.mp4", "walk/1.mp4", "walk/2.mp4"]),
        (["*_flow.mp4", "!walk/2_flow.mp4"], [file for file in FILES if file != "jump/2_flow.mp4"]),
        (["old/"], [file for file in FILES if "old" not in file]),
        (["/old"], FILES),
        (["/jump/*.mp4"], [file for file in FILES if file not in ("jump/1.mp4", "jump/2_flow.mp4")]),
        (["jump/**/3.mp4", "[12].mp4"], ["jump/2_flow.mp4", "walk/2_flow.mp4"]),
    ],
)
def test_patterns_are_those_of_gitignore(folder: Path, patterns: list[str], left: list[str]) -> None:
    assert found(folder, exclude=patterns, layout="CLASS") == left


@given(st.lists(st.sampled_from(FILES), unique=True, max_size=5))
def test_a_path_leaves_out_itself_and_counts(files: list[str]) -> None:
    exclusion = Exclusion([f"/{file}" for file in files])
    left = [file for file in FILES * 2 if not exclusion.leaves_out(Path("/data"), file)]
    assert left == [file for file in FILES * 2 if file not in files]
    assert exclusion.counts == dict.fromkeys((f"/{file}" for file in files), 1)  # however often it was seen


def test_a_class_folder_that_is_left_out_says_nothing_of_the_layout(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").symlink_to(folder)
    for file in FILES:
        write_video(tmp_path / "both" / "set" / file, frames=3)
    write_video(tmp_path / "both" / "backup" / "2020" / "deep" / "set" / "walk" / "1.mp4", frames=3)
    with pytest.raises(VidaugError, match="unclear which folders are the classes"):
        found(tmp_path / "both", exclude=[])
    rows = scan(tmp_path / "both", exclude=["backup/", "old/"], cache=False, progress=False, workers=1).rows
    assert {row.label for row in rows} == {"jump", "walk"}


def test_what_a_list_names_and_is_left_out_is_not_missed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"{file} {file.split('/')[0]}\n" for file in FILES))
    made = scan(tmp_path / "list.txt", root=folder, exclude=["walk/"], cache=False, progress=False, workers=1)
    assert [row.path for row in made.rows] == FILES[:3]
    assert made.quarantined == []
    assert made.excluded == {"walk/": 3}
    for name, files in {"trainlist01.txt": FILES[:4], "testlist01.txt": FILES[4:]}.items():
        lines = [f"{file} {1 + file.startswith('walk')}\n" for file in files]
        (tmp_path / name).write_text("".join(lines if "train" in name else [f"{file}\n" for file in files]))
    made = scan(folder, lists=tmp_path, exclude=["*_flow.mp4"], cache=False, progress=False, workers=1)
    assert made.layout == "ucf101"
    assert made.quarantined == []
    assert made.excluded == {"*_flow.mp4": 2}
    assert [row.path for row in made.rows] == [file for file in FILES if "flow" not in file]
    assert not any("in no list" in note for note in made.notes)


def test_folders_of_frames_are_left_out_as_a_whole(tmp_path: Path) -> None:
    from PIL import Image

    for clip in ("walk/a", "walk/b", "jump/a"):
        (tmp_path / clip).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (16, 16)).save(tmp_path / clip / f"{number}.png")
    assert found(tmp_path, exclude=["walk/b/"]) == ["jump/a", "walk/a"]
    assert found(tmp_path, exclude=["/walk/b"]) == ["jump/a", "walk/a"]


def test_what_is_excluded_is_counted_and_said(folder: Path, tmp_path: Path) -> None:
    exclude = ["--exclude", "*_flow.mp4", "--exclude", "old/", "--exclude", "/test/"]
    done = vidaug("scan", folder, "-o", tmp_path / "all.jsonl", *exclude)
    assert done.code == 0
    assert "excluded: 2 videos by '*_flow.mp4', 1 video by 'old/'" in done.err
    assert "nothing is excluded by '/test/'" in done.err
    counts = vidaug("scan", folder, "-o", tmp_path / "all.jsonl", *exclude, "--json").result["excluded"]
    assert counts == {"*_flow.mp4": 2, "old/": 1, "/test/": 0}
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 3


def test_a_manifest_and_a_folder_are_excluded_alike(folder: Path, tmp_path: Path) -> None:
    assert vidaug("scan", folder, "-o", tmp_path / "all.jsonl").code == 0
    for source in (tmp_path / "all.jsonl", folder):
        read = read_input(str(source), exclude=["*_flow.mp4", "old"], progress=False, workers=1)
        assert [row.path for row in read.rows] == ["jump/1.mp4", "walk/1.mp4", "walk/2.mp4"]
        assert "excluded: 2 videos by '*_flow.mp4', 1 video by 'old'" in read.notes


@pytest.mark.parametrize("source", ["all.jsonl", "videos"])
def test_nothing_left_is_an_error(folder: Path, tmp_path: Path, source: str) -> None:
    (tmp_path / "videos").symlink_to(folder)
    assert vidaug("scan", folder, "-o", tmp_path / "all.jsonl").code == 0
    done = vidaug("preview", tmp_path / source, "-r", "none", "--exclude", "*.mp4", "-o", tmp_path / "a.png")
    assert done.code == 1
    assert "--exclude leaves out" in done.err
    assert "Traceback" not in done.err


def test_a_text_that_is_no_pattern(folder: Path) -> None:
    with pytest.raises(VidaugError, match=r"--exclude '!' is no pattern of a \.gitignore; such as"):
        found(folder, exclude=["!"])
