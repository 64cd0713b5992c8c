"""Build the documents as a site of plain files: python tools/build_site.py SITE

Beside the pages of `docs/` it has README, CONTRIBUTING and CHANGELOG, and what is made from the program: a page for
each command, a film of each recipe from the program's own sample, the Python reference. Ends with 1 where a link is
dead.
"""

from __future__ import annotations

import argparse
import inspect
import os
import posixpath
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

import vidaug_cli
from vidaug_cli.main import cli
from vidaug_cli.recipe.loading import load_recipe, shipped_recipes

PROJECT = Path(__file__).parents[1]
WHOLE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
FILM = shlex.split("--count 2 --frames 24 --size 112 --crop 0.9 1 --flip 0 --thumb 112 --seed 1 -q")
CONTENTS = {  # the side bar, in the order of somebody who is new
    "Guides": "guides/own-videos classes export guides/vipriors guides/cluster guides/training-loop guides/own-op",
    "Recipes": "gallery recipes sweep",
    "Reference": "commands/index config report training robustness shard-format json errors python",
    "Measured": "results performance reliability scale",
    "Project": "contributing changelog",
}


def main() -> None:
    """Put the pages together, and build them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    site = parser.parse_args().site
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "docs"
        shutil.copytree(PROJECT / "docs", pages)
        for source, page in WHOLE.items():
            shutil.copy(PROJECT / source, pages / page)
        make_films(pages / "films")
        for name, text in generated():
            (pages / name).parent.mkdir(exist_ok=True)
            (pages / name).write_text(text, "utf-8")
        with (pages / "index.md").open("a", encoding="utf-8") as index:
            index.writelines(f"\n{contents(names, caption)}" for caption, names in CONTENTS.items())
        for path in pages.rglob("*.md"):
            path.write_text(as_page(path.read_text("utf-8"), str(path.relative_to(pages))), "utf-8")
        sphinx = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going"]
        sys.exit(subprocess.run([*sphinx, "-d", f"{folder}/cache", pages, site], check=False).returncode)


def as_page(markdown: str, here: str) -> str:
    """Return a document without what makes its tables anew, its links leading to files that are pages here."""
    markdown = re.sub(r"<!-- \[\[\[cog.*?\]\]\] -->\n|<!-- \[\[\[end\]\]\] -->", "", markdown, flags=re.DOTALL)
    source = {page: source for source, page in WHOLE.items()}.get(here, f"docs/{here}")

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        if target not in WHOLE and not target.startswith("docs/"):
            return link[1]  # a file beside the documents
        target = WHOLE.get(target, target.removeprefix("docs/"))
        return f"[{link[1]}]({posixpath.relpath(target, posixpath.dirname(here) or '.')}{link[3]})"

    return re.sub(r"\[([^]]*)\]\((?!\w+:|#)([^)#\s]+)([^)]*)\)", moved, markdown)


def run(*words: object) -> None:
    """Run the program, as a user would."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "vidaug_cli", *map(str, words)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def make_films(folder: Path) -> None:
    """Make a short film of each recipe."""
    folder.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        run("sample", f"{temporary}/sample", "--per-class", 2, "-q")
        run("scan", f"{temporary}/sample", "-o", f"{temporary}/sample.jsonl", "-q", "--no-cache")
        for name in shipped_recipes():
            run("preview", f"{temporary}/sample.jsonl", "-r", name, "-o", folder / f"{name}.mp4", *FILM)


def generated() -> Iterator[tuple[str, str]]:
    """Yield the pages that are made from the program: their names and texts."""
    yield "commands/index.md", "# Commands\n\n" + contents(" ".join(cli.commands))
    for name in cli.commands:
        yield f"commands/{name}.md", "\n".join(helped(cli.commands[name], f"vidaug {name}"))
    yield "gallery.md", "\n".join(gallery())
    yield "python.md", "\n".join(reference())


def contents(pages: str, caption: str = "") -> str:
    """Return a table of contents: part of the side bar, or without a caption a list."""
    return "\n".join(["```{toctree}", f":caption: {caption}\n:hidden:\n" * bool(caption), *pages.split(), "```\n"])


def helped(command: click.Command, name: str, heading: str = "#") -> Iterator[str]:
    """Yield the lines of a page that says what `--help` says, with those of commands in it."""
    with click.Context(command, info_name=name) as context:
        yield f"{heading} {name}\n\n```console\n{command.get_usage(context)}\n```\n"
        for part in inspect.cleandoc(command.help or "").split("\n\n"):
            examples = part.removeprefix("\b\n")
            yield f"```sh\n{examples}\n```\n" if examples != part else f"{shown(part)}\n"
        yield "**Options**\n"
        for option in command.params:
            record = option.get_help_record(context)
            if record and record[1]:
                yield f"`{record[0]}`\n: {shown(record[1])}\n"
        for word, part in getattr(command, "commands", {}).items():
            yield "\n"
            yield from helped(part, f"{name} {word}", heading + "#")


def shown(text: str) -> str:
    """Return plain text as Markdown that shows it."""
    return re.sub(r"([*_<>|`\[\]\\])", r"\\\1", " ".join(text.split()))


def reference() -> Iterator[str]:
    """Yield the lines of a page with every public name."""
    yield "# Python\n\nAll names are imported from `vidaug_cli`; each is loaded when it is first used.\n"
    for name in vidaug_cli.__all__:
        thing = getattr(vidaug_cli, name)
        options = {"autoclass": "   :members:\n", "autofunction": "", "autodata": "   :no-value:\n"}
        kind = "autoclass" if isinstance(thing, type) else "autofunction" if callable(thing) else "autodata"
        home = vidaug_cli._HOMES[name] if kind == "autodata" else "vidaug_cli"  # where a comment beside it is its text
        yield f"```{{eval-rst}}\n.. {kind}:: {home}.{name}\n{options[kind]}```\n"


def gallery() -> Iterator[str]:
    """Yield the lines of a page with a film of each recipe that ships."""
    yield "# Recipes, moving\n"
    yield "Two clips of each, made by the recipe from the videos of `vidaug sample`. What it makes of yours:\n"
    yield "```sh\nvidaug preview VIDEOS -r fademixup -o look.mp4\n```\n"
    for name in shipped_recipes():
        yield f"## {name}\n\n{load_recipe(name).summary}.\n"
        yield f'<video src="_static/{name}.mp4" autoplay loop muted playsinline controls></video>\n'


if __name__ == "__main__":
    main()
