"""`vidaug` as its console script runs it, but in this process, which saves starting Python and torch each time."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from functools import cache
from typing import Any, NamedTuple
from unittest.mock import patch

from jsonschema import Draft7Validator

from vidaug_cli.main import main


class Done(NamedTuple):
    """What a command did; `err` is without the code at the end of an error, which is `error`, and without what comes
    `next`, which is its last line.

    With --json an error is on stdout, too: `out` is without it, and it is `json_error`. What is there is what the JSON
    Schema says that it is.
    """

    code: object
    out: str
    err: str
    error: str = ""
    json_error: str = ""
    next: str = ""

    @property
    def result(self) -> Any:
        """The result, which is all of stdout."""
        return json.loads(self.out)["result"]

    @property
    def made(self) -> Any:
        """The one folder that `augment` made, or would make."""
        (folder,) = self.result.get("made") or self.result["planned"]
        return folder


_JSON_ERROR = re.compile(r'^\{"vidaug": .*"error": \{"code": "VA\d{3}", .*\}\}\n\Z', re.MULTILINE)
_NEXT = re.compile(r"^next: (vidaug .*)\n\Z", re.MULTILINE)
_CODE = re.compile(r" \[(VA\d{3})\]$", re.MULTILINE)


@cache
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of what --json prints."""
    from vidaug_cli.commands.printed import schema

    Draft7Validator.check_schema(schema())
    return schema()


def check_envelope(text: str) -> None:
    """Fail where it is not what the JSON Schema says that the command prints."""
    printed = json.loads(text)
    if "error" not in printed:  # for a message that says more than that nothing fits
        mine = {each["properties"]["command"].get("const"): each for each in json_schema()["anyOf"]}[printed["command"]]
        fitting = mine | {"definitions": json_schema()["definitions"]}
        faults = [error.message[:300] for error in Draft7Validator(fitting).iter_errors(printed)]
        assert not faults, (faults, text)
    Draft7Validator(json_schema()).validate(printed)


def without_code(text: str) -> str:
    """Return the text of stderr without the code of an error, which has to be there where an error is."""
    assert not re.search(r"^(vidaug: error|Error): ", text, re.MULTILINE) or len(_CODE.findall(text)) == 1, text
    return _CODE.sub("", text)


def vidaug(*words: object, stdin: bytes | str = b"", **variables: str) -> Done:
    """Return exit code, stdout and stderr of `vidaug WORDS`; whatever would be a traceback is raised."""
    piped = stdin.encode() if isinstance(stdin, str) else stdin
    out, err, given = (io.TextIOWrapper(io.BytesIO(text), encoding="utf-8") for text in (b"", b"", piped))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    with ExitStack() as stack:
        stack.enter_context(patch("sys.argv", ["vidaug", *map(str, words)]))
        stack.enter_context(patch("sys.stdin", given))
        stack.enter_context(patch.dict(os.environ, {"COLUMNS": "0"} | variables))  # a pipe, as wide as lines are
        stack.enter_context(patch("click.formatting.FORCED_WIDTH", 78))  # of help, in a terminal of 80 columns
        stack.enter_context(patch("sys.unraisablehook", sys.unraisablehook))  # which `main` replaces
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        for number, handler in handlers.items():
            stack.callback(signal.signal, number, handler)
        try:
            main()
        except SystemExit as end:
            code = end.code
    for stream in (out, err):
        stream.flush()
    said, faults = (stream.buffer.getvalue().decode() for stream in (out, err))
    json_error = "".join(_JSON_ERROR.findall(said))
    out_text = said.removesuffix(json_error)
    if "--json" in words:
        for text in filter(None, (out_text, json_error)):
            check_envelope(text)
    following = "".join(_NEXT.findall(faults))
    err_text = without_code(_NEXT.sub("", faults))
    return Done(code, out_text, err_text, "".join(_CODE.findall(faults)), json_error, following)
