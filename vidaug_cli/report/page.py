"""Reports as one page: templates, style and script in it, and nothing that a browser would fetch."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from vidaug_cli.report.pieces import Report
from vidaug_cli.words import percent, printable


class Section(NamedTuple):
    """A source in the page."""

    id: str
    report: Report


def render(reports: Sequence[Report], command: str) -> str:
    """Return a page of HTML. Every text in it is escaped, and the browser may run no other script than the page's own.

    `command` is what the user typed.
    """
    script = _file("script.js")
    return (
        _environment()
        .get_template("page.html")
        .render(
            sections=[Section(f"s{number}", report) for number, report in enumerate(reports, 1)],
            title=", ".join(report.name for report in reports),
            command=command,
            version=version("vidaug-cli"),
            script=script,
            script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            style=_file("style.css"),
        )
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_shown,
    )
    environment.filters["percent"] = percent
    return environment


def _shown(value: Any) -> Any:
    """Return a value as the page shows it: of a text of any origin, every letter can be written."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
