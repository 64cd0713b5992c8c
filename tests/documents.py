"""Programs in the documents, and running them as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[1]


class Block(NamedTuple):
    """A program in a document."""

    shell: str  # sh, or python
    text: str
    skipped: str  # why it is not run


def blocks(document: str) -> list[Block]:
    """The programs of a document; a comment over one says why it is not run."""
    text = (PROJECT / document).read_text("utf-8")
    found = re.findall(
        r"(?:<!-- not run in tests: (.*?) -->\n)?^```(sh|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    return [Block(shell, program, why) for why, shell, program in found]


def run(folder: Path, script: str, shell: str = "sh") -> str:
    """Output of a program, which has to end well."""
    command = ["sh", "-ec", script] if shell == "sh" else [sys.executable, "-c", script]
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": found, "XDG_CACHE_HOME": str(folder / "cache"), "VIDAUG_TRAIN_EPOCHS": "1"}
    made = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout
