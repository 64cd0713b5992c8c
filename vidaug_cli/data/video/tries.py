"""How often a video is tried before it counts as broken, or as one that could not be read this time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vidaug_cli.data.video.limits import PAUSES
from vidaug_cli.data.video.memory import is_short
from vidaug_cli.errors import THIS_TIME, CrashError, VideoError

T = TypeVar("T")

TRIES = len(PAUSES) + 1  # each may take twice as long as the one before


def settle(
    attempt: Callable[[int], T], pause: Callable[[float], object], doubt: Callable[[T], object] = lambda _: None
) -> T:
    """Return `attempt(more)`, which may take `more` times as long, from the first try whose answer holds.

    FFmpeg hardly tells a damaged file from a disk that fails for a moment. So two tries have to find the same fault of
    a file; whatever else stops a try may pass, and is tried again a little later.

    Args:
        attempt: one try.
        pause: waits for so many seconds; true where no other try is wanted.
        doubt: what is odd about an answer that has to come twice; None where nothing is.

    Raises VideoError: one that may pass has not passed in the last try.
    """
    found: list[object] = []
    errors: list[VideoError] = []
    for number, seconds in enumerate((*PAUSES, 0.0)):
        try:
            answer = attempt(2**number)
            fault = doubt(answer)
            if fault is None or fault in found:
                return answer
        except VideoError as error:
            fault = error.args
            if not error.passing and fault in found:
                raise
            errors.append(error)
            if error.passing and pause(seconds):
                break
        found.append(fault)
    last = errors[-1] if errors else VideoError("ends at another frame each time it is decoded")
    # In processes of their own, so neither what was decoded before nor a signal from outside is to blame. Memory may
    # be: decoders crash without it.
    crashed = len(errors) == TRIES and all(isinstance(error, CrashError) for error in errors) and not is_short()
    if crashed or not any(error.passing for error in errors):
        raise VideoError(last.what, where=last.where, hint=last.hint) from last
    what = f"{THIS_TIME}, at try {len(errors)} of {TRIES}: {last.what}"
    raise VideoError(what, where=last.where, hint=last.hint, passing=True) from last
