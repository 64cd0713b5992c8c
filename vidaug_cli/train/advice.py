"""What torch says when a user could mend it, as one line."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from vidaug_cli.errors import VidaugError
from vidaug_cli.render import MEMORY

_MEMORY = "not enough memory", "lower --batch-size, raise --accumulate, or train with --frames and --size"
_GONE = "another process of this run ended", "see what it said"
ADVICE = {  # some of torch's words: what is wrong, and what to try
    "DataLoader worker": (
        "a process that reads clips was killed, perhaps for want of memory",
        "give the command again, with a smaller --batch-size or fewer processes (-j) if need be",
    ),
    **dict.fromkeys(MEMORY, _MEMORY),
    "more than 1 value per channel": (
        "one clip at a time is too few to normalise by",
        "raise --batch-size or lower --accumulate",
    ),
    "closed by peer": _GONE,
    "reset by peer": _GONE,
}


@contextmanager
def advising(where: object) -> Iterator[None]:
    """Raise a VidaugError in place of such an error of torch."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        for words, (what, hint) in ADVICE.items():
            if words in str(error):
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would report the dead again and again
                raise VidaugError(what, where=where, hint=hint) from error
        raise
