"""Videos that the user leaves out, by patterns as a `.gitignore` has them, and how many each pattern left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vidaug_cli.errors import SettingError
from vidaug_cli.words import count


class Exclusion:
    """What is left out: of several patterns that fit a path the last one counts, and one with `!` takes it in again.

    Raises VidaugError on a text that is no pattern.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.patterns = tuple(patterns)
        self._left_out: dict[tuple[Path, str], int] = {}  # the pattern of each
        if not patterns:
            return
        from pathspec import GitIgnoreSpec  # only here: most runs have no pattern

        for pattern in self.patterns:
            try:
                GitIgnoreSpec.from_lines([pattern])
            except (ValueError, re.error) as error:
                what = f"--exclude {pattern!r} is no pattern of a .gitignore"
                raise SettingError(what, hint="such as 'test/', '*_flow.avi' or '/walk/person0[1-3]*'") from error
        self._spec = GitIgnoreSpec.from_lines(self.patterns)

    def leaves_out(self, root: Path, path: str) -> bool:
        """Return whether a video is left out, and count it: a path relative to `root`, of a folder with `/` behind."""
        found = self._spec.check_file(path) if self.patterns else None
        if not (found and found.include) or found.index is None:
            return False
        self._left_out[root, path.rstrip("/")] = found.index
        return True

    @property
    def counts(self) -> dict[str, int]:
        """How many videos each pattern left out."""
        times = Counter(self._left_out.values())
        return {pattern: times[number] for number, pattern in enumerate(self.patterns)}

    @property
    def notes(self) -> list[str]:
        """What was left out, and which patterns leave out nothing, a line each."""
        counts = {pattern: number for pattern, number in self.counts.items() if not pattern.startswith("!")}
        each = [f"{count(number, 'video')} by {pattern!r}" for pattern, number in counts.items() if number]
        lines = [f"excluded: {', '.join(each)}"] if each else []
        idle = [repr(pattern) for pattern, number in counts.items() if not number]
        return lines + ([f"nothing is excluded by {', '.join(idle)}"] if idle else [])
