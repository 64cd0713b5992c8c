"""Every file, module and name of ours that the documents mention is there."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "vidaug_cli"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in DOCUMENTS}
CONTRIBUTING = TEXTS["CONTRIBUTING.md"]


def is_module(place: Path) -> bool:
    return place.is_dir() or place.with_suffix(".py").is_file()


def test_there_are_documents() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/shard-format.md"} <= set(TEXTS)


@pytest.mark.parametrize("document", TEXTS)
def test_links_lead_to_files(document: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", TEXTS[document])
    gone = [link for link in links if "://" not in link and not (ROOT / document).parent.joinpath(link).exists()]
    assert gone == []


@pytest.mark.parametrize("document", TEXTS)
def test_paths_are_there(document: str) -> None:
    ours = r"(?<![\w/])(?:vidaug_cli|tests|benchmarks|tools|recipes|docs|\.ci)/[\w./*-]*\w"
    paths = re.findall(ours, TEXTS[document])
    assert [path for path in paths if not list(ROOT.glob(path))] == []


@pytest.mark.parametrize("document", TEXTS)
def test_dotted_names_are_there(document: str) -> None:
    for name in re.findall(r"(?<![\w.-])vidaug_cli(?:\.\w+)+", TEXTS[document]):
        pkgutil.resolve_name(name)
    for module, names in re.findall(r"^from (vidaug_cli[\w.]*) import (.+)$", TEXTS[document], re.MULTILINE):
        for name in names.split(", "):
            pkgutil.resolve_name(f"{module}:{name}")


def test_the_map_of_the_package_is_right() -> None:
    """Names in the table of folders are modules of their folder, or of the package; all folders stand in it."""
    table = CONTRIBUTING.split("\n| folder or file |", 1)[1].split("\n\n", 1)[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    named = {folder for first, _ in rows for folder in re.findall(r"`([^`]+)`", first)}
    assert all(is_module(PACKAGE / name) for name in named), named
    packages = {path.parent.relative_to(PACKAGE).as_posix() + "/" for path in PACKAGE.rglob("__init__.py")} - {"./"}
    top = {path.stem for path in PACKAGE.glob("[!_]*.py")}
    assert packages | top == named
    gone = [
        first.strip().strip("`") + name
        for first, what in rows
        for name in re.findall(r"`([a-z_]+)`", what)
        if not is_module(PACKAGE / first.strip().strip("`") / name)
    ]
    assert gone == []


def test_files_of_the_house_are_there() -> None:
    """Paths in the text are those of the project or of the package; tests in the table of golden tests too."""
    paths = re.findall(r"`([\w/.-]+/[\w.-]*)`", CONTRIBUTING.split("## Where things are")[1])
    gone = [path for path in paths if not ((ROOT / path).exists() or is_module(PACKAGE / path) or "NAME" in path)]
    assert gone == []
    for name in re.findall(r"`(test_\w+)`", CONTRIBUTING.split("## How the golden tests work")[1]):
        assert (ROOT / "tests" / f"{name}.py").is_file(), name
