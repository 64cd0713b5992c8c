"""Print which of our files each command runs through, as a table in Markdown: `python tools/command_files.py`.

A row has the shortest chains of imports, those in functions too, from the command's file to those that do the work on
pixels or numbers. Two files are left out, as a chain through them says nothing about one command: `commands/options`
makes the library's objects for all of them, and `data/kinds` looks into files of every kind for error messages.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import grimp

from vidaug_cli.main import COMMANDS

PACKAGE = "vidaug_cli"
LEFT_OUT = "commands.options", "data.kinds"
WORK = {  # what is done, by the library that does it, in modules below this one
    "decodes or writes videos": ("av", PACKAGE),
    "computes pixels": ("torch", f"{PACKAGE}.ops"),
    "draws": ("PIL", f"{PACKAGE}.draw"),
    "reads or writes HDF5": ("h5py", PACKAGE),
}


class Route(NamedTuple):
    """The files that a command runs through."""

    chains: dict[str, tuple[str, ...]]  # modules from the command's to the one that does this
    files: int  # that the command can load in all, but for `LEFT_OUT` and what only those load


def routes() -> dict[str, Route]:
    """Return the route of each command, in the order of `vidaug --help`."""
    graph = grimp.build_graph(
        PACKAGE, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    for module in LEFT_OUT:
        graph.remove_module(f"{PACKAGE}.{module}")
    return {name: _route(graph, f"{PACKAGE}.commands.{name}") for name in COMMANDS}


def _route(graph: grimp.ImportGraph, command: str) -> Route:
    chains: dict[str, tuple[str, ...]] = {command: (command,)}  # to all it can load, breadth first, by name
    queue = deque([command])
    while queue:
        module = queue.popleft()
        for other in sorted(graph.find_modules_directly_imported_by(module)):
            if other.startswith(f"{PACKAGE}.") and other not in chains:
                chains[other] = (*chains[module], other)
                queue.append(other)
    nearest = {}
    for work, (library, folder) in WORK.items():
        users = graph.find_modules_that_directly_import(library)
        if ends := [chain for end, chain in chains.items() if end in users and end.startswith(f"{folder}.")]:
            nearest[work] = ends[0]  # no other is shorter, in the order in which they were found
    return Route(nearest, len(chains))


def table() -> str:
    """Return the table."""
    lines = ["| command | files from the command to the work | files in all |", "|---|---|---|"]
    for name, route in routes().items():
        cells = (f"{work}: {' → '.join(map(_file, chain))}" for work, chain in route.chains.items())
        lines.append(f"| `{name}` | {'<br>'.join(cells)} | {route.files} |")
    return "\n".join(lines)


def _file(module: str) -> str:
    return f"`{module.removeprefix(f'{PACKAGE}.').replace('.', '/')}`"


if __name__ == "__main__":
    print(table())
