"""`vidaug` as its console script runs it, but in this process, which saves starting Python and torch each time."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from vidaug_cli.main import main


class Done(NamedTuple):
    """What a command did; `err` is without the code at the end of an error, which is `error`.

    With --json an error is on stdout, too: `out` is without it, and it is `json_error`.
    """

    code: object
    out: str
    err: str
    error: str = ""
    json_error: str = ""


_JSON_ERROR = re.compile(r'^\{"error": \{"code": "VA\d{3}", .*\}\}\n\Z', re.MULTILINE)
_CODE = re.compile(r" \[(VA\d{3})\]$", re.MULTILINE)


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
        stack.enter_context(patch.dict(os.environ, {"COLUMNS": "80"} | variables))
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
    return Done(code, out_text, without_code(faults), "".join(_CODE.findall(faults)), json_error)
