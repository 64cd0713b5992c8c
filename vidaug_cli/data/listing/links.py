"""Links, and files of text that stand for links: where they lead, and how a user has them followed."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST = 4096  # bytes of a path


def say_link(target: Path, root: Path, what: str = "is a link") -> str:
    """Why a link is not followed, and how to have it followed."""
    both = Path(os.path.commonpath([target, root]))
    place = both if both != both.parent else target.parent
    where = "in" if target.is_relative_to(root) else "outside"
    return f"{what} to {target}, {where} the data set's folder; 'vidaug scan --follow-links={place}' follows it"


def text_link(file: Path) -> Path | None:
    """The file that a small text names, as links become on systems and in archives that have none."""
    try:
        if not (file.is_file() and 0 < file.stat().st_size <= LONGEST):
            return None
        text = file.read_text("utf-8")
        target = (file.parent / text.strip()).resolve()
        return target if text.count("\n") < 2 and target != file and target.is_file() else None
    except (OSError, ValueError, RuntimeError):  # not a path at all
        return None
