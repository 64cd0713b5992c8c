"""`vidaug` as its console script runs it, but in this process, which saves starting Python and torch each time."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from vidaug_cli.main import main


class Done(NamedTuple):
    code: object
    out: str
    err: str


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
    return Done(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
