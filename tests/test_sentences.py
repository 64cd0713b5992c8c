"""Every sentence that the program can print in an error, as `tools/error_sentences.py` finds them in the source."""

from __future__ import annotations

import re
import runpy
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from vidaug_cli.errors import USAGE, VALUE, VidaugError
from vidaug_cli.explanations import explanations

TOOL = Path(__file__).parents[1] / "tools/error_sentences.py"
LISTED = runpy.run_path(str(TOOL))
SENTENCES, TOLD = LISTED["sentences"](), LISTED["TOLD"]
KNOWN = explanations()
OF_CLICK = {USAGE, VALUE}
# Made of other sentences, by the system, or by what another package raises.
WITHOUT = {VidaugError.code, "VA006", "VA013", "VA016", "VA017", "VA201", "VA300"}


def pattern(sentence: str) -> str:
    """A regular expression of all that a sentence may become."""
    while (shorter := re.sub(r"\{[^{}]*\}", "\0", sentence)) != sentence:
        sentence = shorter
    return re.escape(sentence).replace("<", "(").replace(r"\ \|\ ", "|").replace(">", ")").replace("\0", ".*")


def first_part(sentence: str) -> str:
    """What is wrong, without what to try."""
    return re.split(r"; (?![^<]*>)", sentence)[0]


def test_every_code_has_a_sentence() -> None:
    assert {each.code for each in SENTENCES} >= KNOWN.keys() - WITHOUT
    assert len(SENTENCES) > 500


@pytest.mark.parametrize("code", [code for code, each in KNOWN.items() if not each.command and code not in WITHOUT])
def test_the_example_of_a_code_is_one_of_its_sentences(code: str) -> None:
    """... or one whose kind its caller says. Examples with a command are tried as such."""
    said = KNOWN[code].example.removeprefix("vidaug: error: ").removesuffix(f" [{code}]")
    near = [pattern(first_part(each.text)) for each in SENTENCES if each.code in (code, TOLD)]
    plain = [text for text in near if len(text.replace(".*", "")) > 10]
    assert any(re.match(f"(.*: )?{text}", said) for text in plain), said


def test_no_two_kinds_say_the_same() -> None:
    """A sentence of a kind is not one of another, and no two explanations have one title, meaning or remedy."""

    def said(each: Any) -> str:
        return pattern(first_part(each.text)).removeprefix(".*: ")

    ours = sorted((each for each in SENTENCES if each.code.startswith("VA") and "<" not in each.text), key=said)
    for text, same in groupby(ours, said):
        codes = {each.code for each in same}
        assert len(codes) == 1 or len(re.sub(r"[^a-z]", "", text)) < 16, (text, codes)
    for part in ("title", "means", "do"):
        assert len({getattr(each, part) for each in KNOWN.values()}) == len(KNOWN)


@pytest.mark.parametrize("each", SENTENCES, ids=lambda each: each.place)
def test_a_sentence_is_one_line_in_our_words(each: Any) -> None:
    text: str = each.text
    assert "\n" not in re.sub(r"\{.*?\}", "", text)
    assert "  " not in text
    assert not re.search(r"__name__|\btype\(|\bNone\b(?=[^|})]*$)", text), "what Python calls something"
    assert not re.search(r"; ?;|;$|\?;|: :", text)
    if not text.endswith(("}", ">", "...")):
        assert text.endswith(".") == (each.code in OF_CLICK), "those of click's kind end with a full stop"
