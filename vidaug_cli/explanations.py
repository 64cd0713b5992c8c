"""What each code of an error means: `errors.toml` for a terminal, for other programs and for the documents."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import groupby
from textwrap import TextWrapper

_GROUPS = (  # what the hundreds of the codes are about
    *("The command, its files and the machine", "Lists of videos and their classes", "Videos", "Recipes"),
    *("Shards and output folders", "Training", "Scores and submissions", "Pictures"),
)


@dataclass(frozen=True)
class Explanation:
    """What one kind of error means, why it happens and what to do; the last three are for its test."""

    code: str
    title: str
    means: str
    why: tuple[str, ...]
    do: tuple[str, ...]
    example: str
    command: str = ""  # that says `example` in an empty folder
    prepare: str = ""  # ... but for this empty file
    stdin: str = ""  # ... with this as its input

    def as_json(self) -> dict[str, object]:
        """Return it for other programs."""
        return {name: getattr(self, name) for name in ("code", "title", "means", "why", "do", "example")}

    @property
    def text(self) -> str:
        """It for a terminal, in paragraphs."""
        lists = (("Why it happens:", self.why), ("What to do:", self.do))
        parts = ("\n".join([heading, *(_wrapped(line, "- ", "  ") for line in lines)]) for heading, lines in lists)
        return "\n\n".join([f"{self.code}: {self.title}", _wrapped(self.means), *parts, f"Such as:\n{self.example}"])


@cache
def explanations() -> Mapping[str, Explanation]:
    """Return the explanation of each code, in the order of the codes."""
    tables = tomllib.loads((resources.files("vidaug_cli") / "errors.toml").read_text("utf-8"))
    return {
        code: Explanation(code, why=tuple(table.pop("why")), do=tuple(table.pop("do")), **table)
        for code, table in tables.items()
    }


def _wrapped(text: str, first: str = "", rest: str = "") -> str:
    """Return the text in lines for a terminal of 80 columns, with paths and options whole."""
    whole = TextWrapper(79, first, rest, break_long_words=False, break_on_hyphens=False)
    return whole.fill(text)


def code_in(text: str) -> str:
    """Return the code that a word is, in any spelling (`VA012`, `va012`, `[VA012]`, `12`); empty where it is none."""
    found = re.fullmatch(r"\[?(?:VA)?(\d{1,3})\]?", text.strip(), re.IGNORECASE | re.ASCII)
    return f"VA{int(found[1]):03}" if found else ""


def as_markdown(shown: Iterable[Explanation]) -> Iterator[str]:
    """Yield the blocks of `docs/errors.md`: a heading for each group, and one for each code, which is its anchor."""
    for group, members in groupby(shown, key=lambda each: int(each.code[2:]) // 100):
        yield f"## {_GROUPS[group]}"
        for each in members:
            yield f"### {each.code}"
            yield f"**{each.title}.** {each.means}"
            for heading, lines in (("Why it happens:", each.why), ("What to do:", each.do)):
                yield "\n".join([heading, "", *(f"- {line}" for line in lines)])
            yield f"```text\n{each.example}\n```"
