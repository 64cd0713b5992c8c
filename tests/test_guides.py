"""Every program of the guides runs, in its order, on a sample."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from documents import PROJECT, blocks, run

GUIDES = sorted(str(path.relative_to(PROJECT)) for path in (PROJECT / "docs/guides").glob("*.md"))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guides take to be there."""
    given = tmp_path_factory.mktemp("guides")
    run(given, "vidaug sample videos --per-class 5")
    small = "--frames 16 --size 48 --codec jpeg"
    run(given, f"vidaug augment videos --limit 16 -o shards -r fademixup {small} -j 1")
    return given


@pytest.fixture
def folder(given: Path, tmp_path: Path) -> Path:
    """A folder with its videos."""
    (tmp_path / "videos").symlink_to(given / "videos")
    return tmp_path


def as_the_challenge(folder: Path) -> None:
    """Lay the sample's videos out as those of VIPriors 2020."""
    data, lists = folder / "data", folder / "data/annotations"
    classes: dict[str, int] = {}
    (data / "videos").mkdir(parents=True)
    lists.mkdir()
    rows: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for path in sorted((folder / "videos").glob("*/*.*")):
        label = classes.setdefault(path.parent.name, len(classes) + 1)
        if label and path.suffix in (".mp4", ".avi") and path.parent.name != "splits":
            shutil.copy(path, data / "videos" / path.name)
            split = {"003": "validation", "004": "test"}.get(path.stem[-3:], "train")
            rows[split].append(path.name if split == "test" else f"{path.name} {label}")
    (lists / "mod-ucf101-classInd.txt").write_text("".join(f"{n} {name}\n" for name, n in classes.items()))
    for split, lines in rows.items():
        (lists / f"mod-ucf101-{split}.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("guide", [guide for guide in GUIDES if "own-op" not in guide])  # that one: test_docs
def test_the_programs_of_a_guide_run_in_their_order(given: Path, folder: Path, guide: str) -> None:
    if "lightning" in (text := "".join(block.text for block in blocks(guide))):
        pytest.importorskip("lightning")
        (folder / "shards").symlink_to(given / "shards")
    if "mod-ucf101" in text:
        as_the_challenge(folder)
    ran = [run(folder, block.text, block.shell) for block in blocks(guide) if not block.skipped]
    assert ran
